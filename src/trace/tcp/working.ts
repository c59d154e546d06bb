/** TCP at work, without the kernel. Pure. */
import { EventKind } from "../../record/layout.gen.ts";
import type { Working } from "../part.ts";
import type { Accepts } from "./accepts.ts";
import type { Handshakes } from "./handshakes.ts";
import { isOlderAt, Opens, refuseOlder } from "./opens.ts";
import { tellOne, tellRecord } from "./tell.ts";

const { EVENT_CONNECT, EVENT_ACCEPT, EVENT_PASSIVE, EVENT_CLOSE } = EventKind;
const { EVENT_FAIL, EVENT_OPEN, EVENT_SAMPLE, EVENT_LISTEN } = EventKind;

/** Nearly all records of a busy host. */
const PLAIN: readonly number[] = [EVENT_CONNECT, EVENT_ACCEPT, EVENT_PASSIVE, EVENT_CLOSE];

/** By the second poll all that was drained before the first has been applied, and by the third its races. */
const SETTLED_POLLS = 3;

/** `untold`: see Accepts. `kinds`: what it takes besides; listeners are of use only where an accept does not tell its process. */
export function workingTcp(
  accepts: Accepts,
  opens = new Opens(),
  kinds: readonly number[] = [EVENT_LISTEN],
  untold: Pick<Handshakes, "conditions"> | null = null,
) {
  /** Since all that the listing found is known. */
  let polls = -Infinity;
  return {
    // Of an older connection the listing knows more.
    needsStock: isOlderAt,
    stockTaken: () => void (polls = 0),
    revises: (view, p) => opens.concern(view, p),
    revise: (event) => opens.apply(event),
    kinds: [...PLAIN, EVENT_FAIL, EVENT_OPEN, EVENT_SAMPLE, ...kinds],
    tell: (event, show) => tellOne(event, accepts, show),
    plainKinds: PLAIN,
    tellRecord: (view, p, record, show, isDirect) =>
      tellRecord(view, p, accepts, record, show, isDirect),
    conditions(to) {
      refuseOlder(to);
      untold?.conditions(to);
      return opens.isSettled;
    },
    tick(nowNs, show, last) {
      if (++polls === SETTLED_POLLS) opens.settle();
      for (const event of accepts.poll(nowNs, last)) show(event, "accept");
    },
    dueMs: (nowNs) => (polls <= SETTLED_POLLS ? 0 : accepts.dueMs(nowNs)),
  } satisfies Working;
}
