/**
 * NAT by asking the kernel's tables of connection tracking: of connections that are older than the trace, and with
 * tracepoints of those that begin while it runs.
 */
import { capability } from "../../kernel/capability.ts";
import { CAP_NET_ADMIN } from "../../kernel/constants.ts";
import { ctnetlinkIsThere } from "../../kernel/ctnetlink.ts";
import { hostNamespace, ownNetns } from "../../kernel/namespaces.ts";
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { plainEvent } from "../event.ts";
import type { TraceOptions } from "../options.ts";
import type { Opened, Part, Working } from "../part.ts";
import { tellRefusal } from "../refusal.ts";
import { tupleOf, type Asked } from "./ask.ts";
import { KnownNat } from "./ask_known.ts";
import { Inquiry } from "./ask_live.ts";
import { openLookup } from "./ask_lookup.ts";
import { askAtStart, askHere, hasEntries, isTracked } from "./ask_start.ts";

const OF_PART = {
  name: "NAT by asking",
  without: "the translation of connections older than the trace is not known",
} as const;

export const askingPart = ({ nat: asked = true }: TraceOptions): Part => {
  const known = new KnownNat();
  return {
    ...OF_PART,
    asked,
    points: () => [],
    takesStock: ({ notes }) => ({
      visit: () => {},
      describe: (events, between) => {
        const refused = askOlder(events, known, between);
        if (refused !== null) tellRefusal(OF_PART, refused, notes);
        return [...events];
      },
    }),
    start: (on) => ({
      ...(on.mode === "tracepoint" ? asking(on, known) : {}),
      shown(event) {
        if (ENDS.has(event.kind)) known.ends(plainEvent(event));
        return true;
      },
      enrich(shown, event) {
        shown.nat ??= known.of(event);
      },
      holds: (view, p) => !known.concern(view, p),
      tick: () => known.forgetEnded(),
    }),
  };
};

// --- internal ---

const ENDS: ReadonlySet<number> = new Set([EventKind.EVENT_CLOSE, EventKind.EVENT_FAIL]);

/** Why some could not be asked for, for the user. */
function askOlder(events: readonly Event[], known: KnownNat, between: () => void): string | null {
  const older: Event[] = [];
  const asked: Asked[] = [];
  for (const event of events) {
    const tuple = OLDER.has(event.kind) ? tupleOf(event) : null;
    if (tuple === null) continue;
    older.push(event);
    asked.push({ netns: event.netns, tuple });
  }
  const { nat, refused } = askAtStart(asked, between);
  for (const [n, event] of older.entries()) known.set(event, nat[n]!);
  return refused;
}

const OLDER: ReadonlySet<number> = new Set([EventKind.EVENT_OPEN, EventKind.EVENT_PASSIVE]);

/** Only the tool's own namespace can be asked while the trace runs: to enter others takes capabilities that are dropped. */
function asking({ host, object }: Opened, known: KnownNat): Partial<Working> {
  if (!isTracked()) return {};
  const table = openLookup(host);
  if (table !== null) object.own(table);
  // A GET without the module would load it.
  else if (!ctnetlinkIsThere()) return {};
  const own = ownNetns();
  const askOwn = (asked: readonly Asked[]) => {
    if (table !== null) return hasEntries() ? table.ask(asked) : [];
    const answers = askHere(asked, () => {});
    return typeof answers === "string" ? [] : answers;
  };
  const root = hostNamespace()?.netns ?? null;
  const inquiry = new Inquiry(known, root, (netns, asked) => (netns === own ? askOwn(asked) : []));
  return {
    drained: (view, p) => inquiry.drained(view, p),
    drainedAll: () => inquiry.ask(),
    ...(table === null ? { capabilities: capability(CAP_NET_ADMIN) } : {}),
  };
}
