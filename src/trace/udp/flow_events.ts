/** Of UDP flows: which is which, what they have moved, and the events with which they begin, go on and end. Pure. */
import {
  ConnFact,
  EVENT_COOKIE,
  EVENT_SK,
  EventKind,
  eventSize,
  EventView,
  writeEvent,
  type Event,
  type Flow,
} from "../../record/layout.gen.ts";

export interface Counts {
  sentBytes: bigint;
  receivedBytes: bigint;
  sentPackets: bigint;
  receivedPackets: bigint;
}

export const NOTHING: Counts = {
  sentBytes: 0n,
  receivedBytes: 0n,
  sentPackets: 0n,
  receivedPackets: 0n,
};

export const timeOf = ({ timestamp }: Event): bigint => timestamp;
/** Of a flow of the map: its last datagram. */
export const lastOf = ({ ended_at }: Event): bigint => ended_at;
/** Nanoseconds since the last datagram. A number, as a look at the map would make an object for a bigint of each flow. */
export const silenceOf = (event: Event, nowNs: bigint): number =>
  Number(nowNs) - placeOf(event).ended_at_number;
export const isFirst = ({ flags }: Event): boolean => (flags & ConnFact.FACT_FIRST_FLOW) !== 0;

/** A sock's address is used again, its cookie is not. */
export function sockOf(event: Event): string {
  const { view, p } = placeOf(event);
  const low = view.getUint32(p + EVENT_SK, true);
  const high = view.getUint32(p + EVENT_SK + 4, true);
  const cookie = view.getUint32(p + EVENT_COOKIE, true);
  // One socket can have tens of thousands of flows, which a look at the map meets one after the other.
  if (low === last.low && high === last.high && cookie === last.cookie) return last.id;
  keyView.setUint32(0, low);
  keyView.setUint32(4, high);
  keyView.setUint32(8, cookie);
  const id = keyBytes.toString("latin1");
  last = { low, high, cookie, id };
  return id;
}

/** The close of a flow of the map. `opened`: as it began. */
export const closeOf = (flow: Flow, opened: Event, atNs: bigint): Event =>
  laterOf(flow, opened, atNs, EventKind.EVENT_UDP_CLOSE);

/** The counts that a flow of the map has added since it was told as over. */
export const sampleOf = (flow: Flow, opened: Event, told: Counts, atNs: bigint): Event =>
  minus(laterOf(flow, opened, atNs, EventKind.EVENT_UDP_SAMPLE), told);

/** The end of a flow whose totals nobody knows. */
export function lostOf(opened: Event, atNs: bigint): Event {
  const flags = opened.flags | ConnFact.FACT_TOTALS_LOST;
  return { ...at(opened, atNs), kind: EventKind.EVENT_UDP_CLOSE, flags };
}

/** A later event of a flow, with what has been found out about its beginning. */
export const begunAs = ({ direction, started_at }: Event, event: Event): Event =>
  event.direction === direction && event.started_at === started_at
    ? event
    : { ...event, direction, started_at };

/** The beginning of a flow that was told as over and goes on: another record, of the same owner. */
export const begunAgain = (opened: Event, atNs: bigint): Event => ({
  ...opened,
  timestamp: atNs,
  started_at: atNs,
});

export const countsOf = (event: Event): Counts => ({
  sentBytes: event.sent_bytes,
  receivedBytes: event.recv_bytes,
  sentPackets: event.sent_packets,
  receivedPackets: event.recv_packets,
});

/** Whether countsOf() would give the same. */
export const hasCounts = (event: Event, counts: Counts): boolean =>
  event.sent_packets === counts.sentPackets &&
  event.recv_packets === counts.receivedPackets &&
  event.sent_bytes === counts.sentBytes &&
  event.recv_bytes === counts.receivedBytes;

export const same = (a: Counts, b: Counts): boolean =>
  a.sentPackets === b.sentPackets &&
  a.receivedPackets === b.receivedPackets &&
  a.sentBytes === b.sentBytes &&
  a.receivedBytes === b.receivedBytes;

/** When the rest began was not seen, so how long it took is not known. */
export function minus(event: Event, told: Counts): Event {
  if (told === NOTHING) return event;
  return {
    ...event,
    flags: event.flags | ConnFact.FACT_UNSEEN_OPEN,
    sent_bytes: event.sent_bytes - told.sentBytes,
    recv_bytes: event.recv_bytes - told.receivedBytes,
    sent_packets: event.sent_packets - told.sentPackets,
    recv_packets: event.recv_packets - told.receivedPackets,
  };
}

// --- internal ---

/** Made of `flow` itself, of which there can be many. */
function laterOf({ event }: Flow, opened: Event, atNs: bigint, kind: number): Event {
  event.kind = kind;
  event.direction = opened.direction;
  event.started_at = opened.started_at;
  event.timestamp = atNs;
  return event;
}

const at = (event: Event, timestamp: bigint): Event => ({ ...event, timestamp });

/** A key is bytes, and read as words: a big number costs ten times as much as text. */
const keyBytes = Buffer.alloc(12);
const keyView = new DataView(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length);
let last = { low: 0, high: 0, cookie: 0, id: "\0".repeat(12) };

const scratch = new EventView(new DataView(new ArrayBuffer(eventSize)), 0);

/** Good until the next call. */
function placeOf(event: Event): EventView {
  if (event instanceof EventView) return event;
  writeEvent(scratch.view, 0, event);
  return scratch;
}
