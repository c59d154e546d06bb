/** The part at work: payload goes to its connection's recogniser, and what that has found to the connection's events. */
import type { EventKind as ShownKind } from "../../conn/event.ts";
import type { TracedEvent } from "../../conn/identity.ts";
import type { Outcome } from "../../protocols/recognition.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import {
  ConnFact,
  ConnMetadata,
  Counter,
  EVENT_ENDPOINT_SPEAKS,
  EVENT_FLAGS,
  EVENT_RECV_BYTES,
  EVENT_SENT_BYTES,
  EventKind,
  FailureReason,
  LINE_CONDITIONS_ENDPOINTS,
  LINE_CONDITIONS_MOVED,
  LINE_CONDITIONS_NAMED,
  LINE_CONDITIONS_SILENT,
  readPayload,
  type Event,
} from "../../record/layout.gen.ts";
import { asView, isLast, kindAt } from "../event.ts";
import type { Opened, PartCount, Working } from "../part.ts";
import { sockAt, sockOf } from "../sock.ts";
import { numberOf, type Application } from "../../protocols/stack.ts";
import { Endpoints, nameAfter, nameByRecord } from "./endpoints.ts";
import { closeGates, counted, renewRoom, tellVerdict, type Looked } from "./gates.ts";
import type { Leased } from "./lease.ts";
import { News } from "./news.ts";
import { Streams, type Recogniser } from "./streams.ts";

export interface Describing extends Recogniser {
  /** Adds what is known to an event of the connection. */
  describe(shown: TracedEvent): void;
  /** `null`: nothing is known. */
  readonly application: Application | null;
  readonly outcome: Outcome;
  /** Whether `describe` adds more than the protocols; left out: it may. */
  readonly tellsMore?: boolean;
}

/** `tells`: events of their own tell what is known. */
export function recognising(
  { host, object, marks }: Opened,
  lease: Leased,
  make: () => Describing,
  tells: boolean,
): Working {
  const news = tells ? new News<Describing>() : null;
  const streams = new Streams(make, undefined, marks.lookedAt(), marks.map());
  const endpoints = new Endpoints((hash, verdict) => tellVerdict(host.shim, object, hash, verdict));
  const { table } = endpoints;
  const tableAt = BigInt(host.shim.addressOf(table.view));
  /** Recognised, and perhaps still looked at. */
  const recognised = new Map<number, Looked>();
  const ended: [sock: number, cookie: number][] = [];
  /** Since the last tick. */
  let hasCome = false;
  const afterPoll = roomFor(host.shim, object);
  /** Closes that were shown without a call of `passed` are counted there. */
  let shownAsTheyAre: DataView | null = null;
  const told: Told = { silent: 0, unrecognised: 0, missed: 0, byEndpoint: 0 };
  /** A close. */
  const count = (
    view: DataView,
    p: number,
    found: Describing | undefined,
    isNamed: boolean,
  ): void => {
    if (isNamed) told.byEndpoint++;
    else if (found?.outcome === "known") return;
    else if (isJudged(found)) told.unrecognised++;
    else if (isZero(view, p + EVENT_SENT_BYTES) && isZero(view, p + EVENT_RECV_BYTES))
      told.silent++;
    else told.missed++;
  };
  return {
    kinds: [EventKind.EVENT_PAYLOAD, EventKind.EVENT_LISTEN],
    plainKinds: [EventKind.EVENT_PAYLOAD],
    tell(event) {
      if (event.kind === EventKind.EVENT_LISTEN)
        return endpoints.forget(event.netns, event.ends.sport);
      const { view, p } = asView(event);
      const payload = readPayload(view, p);
      hasCome = true;
      const { stream, isDone } = streams.look(payload);
      if (stream.recogniser.outcome === "known") streams.know(stream, payload);
      if (isDone) recognised.set(sockOf(payload), { sk: payload.sk, stream: payload.stream });
      news?.looked(stream);
      // The record's memory is used again; this copy is not kept.
      payload.bytes.fill(0);
    },
    ...(news !== null && {
      brings(event: Event, kind: ShownKind) {
        const stream = kind === "close" ? streams.of(event) : null;
        return stream && news.brings(stream);
      },
    }),
    shown(event) {
      // An accept: what came before it is its own from now on.
      streams.of(event);
      if (event.ends.metadata & ConnMetadata.METADATA_TCP) news?.shown(event);
      if (!isLast(event.kind)) return true;
      const sock = sockOf(event);
      ended.push([sock, event.cookie]);
      recognised.delete(sock);
      if (event.failure_reason === FailureReason.FAILURE_REFUSED)
        endpoints.forget(event.netns, event.ends.dport);
      return true;
    },
    enrich(shown, event) {
      if (shown.protocol !== "tcp") return;
      const found = streams.of(event)?.recogniser;
      if (!isJudged(found)) return nameByRecord(shown, event);
      found.describe(shown);
      if (found.outcome === "known") shown.protocolSource = "seen";
    },
    complete(shown, event, kind) {
      if (shown.protocol !== "tcp") return;
      const stream = streams.of(event);
      const { view, p } = event;
      const found = stream?.recogniser;
      if (!isJudged(found) && AFTER_ITS_START.has(kind)) nameAfter(shown, endpoints.of(view, p));
      if (kind !== "close") return;
      count(view, p, found, shown.protocolSource === "endpoint");
      if (isJudged(found)) endpoints.saw(view, p, stream!.endpoint, found.application);
    },
    holds(view, p) {
      if (news !== null) return false;
      const found = streams.at(view, p)?.recogniser;
      if (isJudged(found)) return tellsBySeen(view, p, found);
      if (kindAt(view, p) !== EventKind.EVENT_CLOSE) return true;
      const application = endpoints.of(view, p);
      if (application !== null) view.setUint8(p + EVENT_ENDPOINT_SPEAKS, numberOf(application));
      return true;
    },
    passed(view, p) {
      if (kindAt(view, p) !== EventKind.EVENT_CLOSE) return;
      const stream = streams.at(view, p);
      const found = stream?.recogniser;
      const isNamed = view.getUint8(p + EVENT_ENDPOINT_SPEAKS) !== 0;
      count(view, p, found, isNamed && !isJudged(found));
      if (stream === null) return;
      if (isJudged(found)) endpoints.saw(view, p, stream.endpoint, found.application);
      const sock = sockAt(view, p);
      // At once: the sock's next connection may be among the next records, and would be taken for one that was looked at.
      streams.delete(sock, stream.cookie);
      // And again, of bytes that come late.
      ended.push([sock, stream.cookie]);
      recognised.delete(sock);
    },
    conditions(to) {
      shownAsTheyAre = to;
      to.setBigUint64(LINE_CONDITIONS_ENDPOINTS, table.isEmpty ? 0n : tableAt, true);
      return news === null;
    },
    tick(_nowNs, show) {
      if (shownAsTheyAre !== null) countThose(shownAsTheyAre, told);
      news?.tell(show);
      for (const [sock, cookie] of ended.splice(0)) streams.delete(sock, cookie);
      if (recognised.size > 0) closeGates(host.shim, object, recognised.values());
      recognised.clear();
      afterPoll(hasCome);
      lease.renew(hasCome);
      hasCome = false;
    },
    rehearse: () => lease.rehearse(),
    counts: () => countsOf(told, lease, (counter) => counted(host.shim, object, counter)),
  };
}

/** Whether enough was seen to tell: of a connection whose first bytes were missed, only what it speaks all the time does. */
export const isJudged = (found: Describing | undefined): found is Describing =>
  found?.outcome === "known" || found?.outcome === "unrecognised";

// --- internal ---

/** Events at which a connection has had the time to speak. */
const AFTER_ITS_START: ReadonlySet<string> = new Set(["close", "sample"]);

/** Connections that ended: named after their endpoint, or not at all, and why. */
interface Told {
  byEndpoint: number;
  silent: number;
  unrecognised: number;
  missed: number;
}

/** Whether the record at `p` tells from here on what was recognised. */
function tellsBySeen(view: DataView, p: number, { application, tellsMore }: Describing): boolean {
  if (tellsMore !== false) return false;
  if (application === null) return true;
  const number = numberOf(application);
  if (number === 0) return false;
  view.setUint8(p + EVENT_ENDPOINT_SPEAKS, number);
  const flags = view.getUint32(p + EVENT_FLAGS, true);
  view.setUint32(p + EVENT_FLAGS, flags | ConnFact.FACT_SEEN, true);
  return true;
}

/** Counts closes of connections that were not looked at. */
function countThose(conditions: DataView, told: Told): void {
  told.silent += conditions.getUint32(LINE_CONDITIONS_SILENT, true);
  told.missed += conditions.getUint32(LINE_CONDITIONS_MOVED, true);
  told.byEndpoint += conditions.getUint32(LINE_CONDITIONS_NAMED, true);
  for (const at of [LINE_CONDITIONS_SILENT, LINE_CONDITIONS_MOVED, LINE_CONDITIONS_NAMED])
    conditions.setUint32(at, 0, true);
}

/** Eight bytes, which as a bigint would cost more than the rest of a record's way. */
const isZero = (view: DataView, at: number): boolean =>
  (view.getUint32(at, true) | view.getUint32(at + 4, true)) === 0;

/** In few lines: each trace of a usual host has some. */
function countsOf(
  { silent, unrecognised, missed, byEndpoint }: Told,
  { pauses, refused }: Leased,
  of: (counter: number) => bigint,
): PartCount[] {
  const unknown = silent + unrecognised + missed;
  const reasons = `${silent} moved no data, ${unrecognised} spoke none that is known here, the first bytes of ${missed} were not seen`;
  return [
    {
      what: `connections with an unknown application protocol: ${reasons}`,
      count: BigInt(unknown),
    },
    {
      what: "connections that were not looked at, and have the protocol of others to the same server (protocol_source endpoint)",
      count: BigInt(byEndpoint),
    },
    {
      what: "ends of connections were not looked at, as many began at that time",
      count: of(Counter.COUNTER_LOOK_SPARED),
    },
    {
      what: "ends of connections were not looked at any more, as another one took their place",
      count: of(Counter.COUNTER_GATE_TAKEN),
    },
    {
      what: "times nobody looked at segments for some seconds, as many came and no connection was new",
      count: BigInt(pauses),
    },
    {
      what: "times the kernel did not let the program be attached again that looks at segments",
      count: BigInt(refused),
    },
    {
      what: "looks at the first bytes of a segment found no room",
      count: of(Counter.COUNTER_LOOK_LOST) + of(Counter.COUNTER_LOOK_WAITING),
    },
  ].filter(({ count }) => count > 0n);
}

/** Where all records were lost, none comes that could say so. */
const RENEWED_MS = 1000;

/** To be called after each poll; `isUsed`: records have come since. */
function roomFor(shim: Shim, object: KernelObject): (isUsed: boolean) => void {
  let renewedAt = performance.now();
  return (isUsed) => {
    const now = performance.now();
    if (!isUsed && now - renewedAt < RENEWED_MS) return;
    renewedAt = now;
    renewRoom(shim, object);
  };
}
