/** At work: the first bytes of a flow's datagrams go to its recogniser, and what that has found to the flow's events. */
import type { EventKind as ShownKind } from "../../conn/event.ts";
import { Counter, EventKind, readDatagramLook, type Event } from "../../record/layout.gen.ts";
import { asView } from "../event.ts";
import type { Opened, PartCount, Working } from "../part.ts";
import type { Answers } from "./answers.ts";
import { Endpoints, nameAfter } from "./endpoints.ts";
import { FlowLooks, keyAt } from "./flow_looks.ts";
import { FlowNews } from "./flow_news.ts";
import { counted, renewRoom, tellVerdict } from "./gates.ts";
import { isJudged, type Describing } from "./working.ts";

/** `tells`: events of their own tell what is known. `answers`: names are taken from answers of DNS. */
export function recognisingFlows(
  { host: { shim }, object }: Pick<Opened, "host" | "object">,
  make: () => Describing,
  tells: boolean,
  answers: Answers | null = null,
): Working {
  const news = tells ? new FlowNews() : null;
  const flows = new FlowLooks(make);
  const endpoints = new Endpoints((hash, verdict) => tellVerdict(shim, object, hash, verdict));
  const told: Told = { unrecognised: 0, missed: 0, byEndpoint: 0 };
  /** Since the last tick. */
  let hasCome = false;
  /** A close. */
  const count = (found: Describing | undefined, isNamed: boolean): void => {
    if (isNamed) told.byEndpoint++;
    else if (!isJudged(found)) told.missed++;
    else if (found.outcome !== "known") told.unrecognised++;
  };
  return {
    // The events of flows wait for it, and come behind the first bytes.
    needsStock: true,
    kinds: [EventKind.EVENT_DATAGRAM],
    tell(event) {
      const { view, p } = asView(event);
      answers?.see(keyAt(view, p), readDatagramLook(view, p));
      const { recogniser } = flows.look(view, p);
      news?.looked(keyAt(view, p), recogniser.application, event.timestamp);
      hasCome = true;
    },
    ...(news !== null && {
      brings(event: Event, kind: ShownKind) {
        if (kind !== "close" || event.kind !== EventKind.EVENT_UDP_CLOSE) return null;
        return news.brings(keyOf(event));
      },
      shown(event: Event) {
        if (event.kind === EventKind.EVENT_UDP_OPEN) news.begun(keyOf(event), event);
        else if (event.kind === EventKind.EVENT_UDP_CLOSE) news.delete(keyOf(event));
        return true;
      },
    }),
    enrich(shown, { view, p }) {
      if (shown.protocol !== "udp") return;
      const found = flows.of(view, p)?.recogniser;
      if (!isJudged(found)) return;
      found.describe(shown);
      if (found.outcome === "known") shown.protocolSource = "seen";
    },
    complete(shown, event, kind) {
      if (shown.protocol !== "udp" || kind === "begin" || kind === "protocol") return;
      const { view, p } = event;
      const flow = flows.of(view, p);
      const found = flow?.recogniser;
      if (!isJudged(found)) nameAfter(shown, endpoints.of(view, p));
      if (kind !== "close") return;
      count(found, shown.protocolSource === "endpoint");
      if (isJudged(found)) endpoints.saw(view, p, flow!.endpoint, found.application);
      flows.delete(view, p);
    },
    ...(answers !== null && {
      nameOf: (netns: number, address: string) => answers.nameOf(netns, address),
    }),
    // Records that are shown as they lie there are of TCP.
    holds: () => true,
    conditions: () => true,
    tick(_nowNs, show) {
      news?.tell(show);
      if (hasCome) renewRoom(shim, object);
      hasCome = false;
    },
    counts: () => countsOf(told, (counter) => counted(shim, object, counter)),
  };
}

// --- internal ---

function keyOf(event: Event): string {
  const { view, p } = asView(event);
  return keyAt(view, p);
}

/** Flows that ended: named after their endpoint, or not at all, and why. */
interface Told {
  byEndpoint: number;
  unrecognised: number;
  missed: number;
}

function countsOf(
  { unrecognised, missed, byEndpoint }: Told,
  of: (counter: number) => bigint,
): PartCount[] {
  return [
    {
      what: `flows of UDP with an unknown application protocol: ${unrecognised} spoke none that is known here, the first bytes of ${missed} were not seen`,
      count: BigInt(unrecognised + missed),
    },
    {
      what: "flows of UDP that were not looked at, and have the protocol of others to the same server (protocol_source endpoint)",
      count: BigInt(byEndpoint),
    },
    {
      what: "flows of UDP were not looked at, as many began at that time",
      count: of(Counter.COUNTER_FLOW_SPARED),
    },
    {
      what: "looks at the first bytes of a datagram found no room",
      count: of(Counter.COUNTER_DATAGRAM_LOST),
    },
  ].filter(({ count }) => count > 0n);
}
