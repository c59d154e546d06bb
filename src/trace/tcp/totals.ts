/** The totals of a TCP connection as they are shown, and the fields of the guess that they need. Pure. */
import type { EventKind, Totals } from "../../conn/event.ts";
import type { TracedEvent } from "../../conn/identity.ts";
import type { GuessReport } from "../../guess/report.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  FailureReason,
  EVENT_RECV_BYTES,
  EVENT_SENT_BYTES,
  EventKind as Kind,
  LINE_CONDITIONS_MOST_BYTES,
  type Event,
} from "../../record/layout.gen.ts";
import { lastedNs } from "../event.ts";

/** The totals that are known. A false one is shown as unknown, never as the number that stands at a wrong offset. */
export interface KnownTotals {
  bytesSent: boolean;
  bytesReceived: boolean;
  segs: boolean;
  rtt: boolean;
  rttVar: boolean;
  retransmits: boolean;
}

/** The fields that each total is computed from. To add a total: a row. */
const TOTALS: Record<keyof KnownTotals, readonly string[]> = {
  bytesSent: ["bytes_acked", "write_seq", "snd_una"],
  bytesReceived: ["bytes_received", "rcv_nxt", "copied_seq", "sk_flags"],
  segs: ["segs_in", "segs_out"],
  rtt: ["srtt_us"],
  rttVar: ["mdev_us"],
  retransmits: ["total_retrans"],
};

/** Without it a failure is seen, but seldom why. */
const FAILURE = ["sk_err"] as const;
/** Without it the time that an accept took to come is not known. */
const ACCEPT = ["rcvq_space_time"] as const;

/** Fields on which depends what is shown. */
export const shownFields: readonly string[] = [
  ...Object.values(TOTALS).flat(),
  ...FAILURE,
  ...ACCEPT,
];

export function knownTotals(report: GuessReport): KnownTotals {
  const found = new Set(report.fields.filter((f) => f.status === "found").map((f) => f.field));
  return Object.fromEntries(
    Object.entries(TOTALS).map(([total, fields]) => [total, fields.every((f) => found.has(f))]),
  ) as unknown as KnownTotals;
}

/** Adds its failure, its time to connect or until its accept, and its totals to an event of TCP. */
export function addTotals(known: KnownTotals) {
  return (shown: TracedEvent, event: Event, kind: EventKind): void => {
    if ((event.ends.metadata & ConnMetadata.METADATA_TCP) === 0) return;
    if (kind === "connect" || kind === "fail") shown.connectNs = connectNsOf(event, kind);
    if (kind === "accept") shown.acceptNs = acceptNsOf(event);
    if (hasFailed(event, kind)) shown.failure = event.failure_reason || null;
    if (kind === "close" || event.kind === Kind.EVENT_OPEN || event.kind === Kind.EVENT_SAMPLE)
      shown.totals = totalsOf(event, known);
  };
}

/** Whether the record at `p` has all its totals as they are shown: so few bytes that no counter can have wrapped. */
export const holdsTotals = (view: DataView, p: number): boolean =>
  isFew(view, p + EVENT_SENT_BYTES) && isFew(view, p + EVENT_RECV_BYTES);

/** The same as a condition: see Working.conditions. */
export const askFew = (to: DataView): void =>
  to.setBigUint64(LINE_CONDITIONS_MOST_BYTES, BigInt(FEW - 1), true);

// --- internal ---

/** Only an answer, the want of one, or the application ends an attempt so: connect(2) has sent a SYN. */
const AFTER_SYN: ReadonlySet<number> = new Set([
  FailureReason.FAILURE_REFUSED,
  FailureReason.FAILURE_TIMED_OUT,
  FailureReason.FAILURE_RESET,
  FailureReason.FAILURE_CANCELLED,
]);

/** Of an attempt without a SYN nobody has seen the beginning. */
function connectNsOf(event: Event, kind: EventKind): bigint | null {
  const { flags, started_at, timestamp, failure_reason } = event;
  if (kind === "fail" && !AFTER_SYN.has(failure_reason)) return null;
  if ((flags & (ConnFact.FACT_UNSEEN_OPEN | ConnFact.FACT_NO_SYN)) !== 0) return null;
  return timestamp > started_at ? timestamp - started_at : null;
}

/** No time at all would not be one. */
function acceptNsOf({ flags, timestamp, ended_at }: Event): bigint | null {
  if ((flags & ConnFact.FACT_WAIT_KNOWN) === 0) return null;
  return timestamp > ended_at ? timestamp - ended_at : null;
}

/** Less than 2^29. */
const FEW = 2 ** 29;
const isFew = (view: DataView, at: number): boolean =>
  view.getUint32(at + 4, true) === 0 && view.getUint32(at, true) < FEW;

/** An accept can carry the fact too: of a connection that was reset before somebody took it. Its close tells. */
const hasFailed = ({ flags }: Event, kind: EventKind): boolean =>
  (kind === "fail" || kind === "close") && (flags & ConnFact.FACT_FAILED) !== 0;

/**
 * bytes_acked counts a SYN that was sent and write_seq a FIN: of a connection older than the trace the one is not
 * known unless its direction is, of one whose close was not seen the other.
 */
function totalsOf(event: Event, known: KnownTotals): Totals {
  const is = (fact: number) => (event.flags & fact) !== 0;
  const unseenOpen = is(ConnFact.FACT_UNSEEN_OPEN);
  const undirected = unseenOpen && event.direction === ConnDirection.DIRECTION_UNKNOWN;
  const told = !is(ConnFact.FACT_TOTALS_LOST);
  const stable = told && !is(ConnFact.FACT_COUNTERS_UNSTABLE) && !is(ConnFact.FACT_REDIRECTED);
  const sent = known.bytesSent && stable && !undirected && !is(ConnFact.FACT_UNSEEN_CLOSE);
  const bounded = known.bytesSent && known.bytesReceived;
  const segments = told && bounded && !mayHaveWrapped(event, unseenOpen);
  return {
    bytesSent: sent ? plausible(event.sent_bytes) : null,
    bytesReceived: known.bytesReceived && stable ? plausible(event.recv_bytes) : null,
    segsOut: segments && known.segs ? Number(event.sent_packets) : null,
    segsIn: segments && known.segs ? Number(event.recv_packets) : null,
    rttUs: told && known.rtt ? event.rtt : null,
    rttVarUs: told && known.rttVar ? event.rtt_var : null,
    retransmits: segments && known.retransmits ? event.retransmits : null,
    durationNs: unseenOpen ? null : lastedNs(event),
  };
}

const COUNTER_END = 2 ** 32;
/** The kernel takes no smaller segment size from a peer than 48 bytes (TCP_MIN_SND_MSS), 40 of which can be options. */
const LEAST_PAYLOAD = 8;
/** More than a program can make on one connection, so more than there can be segments that are not full. */
const WRITES_PER_SECOND = 5_000_000;

/**
 * The kernel counts segments and retransmits in 32 bits. The bytes tell how many segments there can be at most: full ones,
 * and one for each write that fills none. Each is answered by one segment at most.
 */
function mayHaveWrapped(event: Event, unseenOpen: boolean): boolean {
  const seconds = unseenOpen ? Infinity : Number(lastedNs(event)) / 1e9;
  const most = (count: bigint) => {
    // A FIN that was taken off twice leaves less than 0.
    const bytes = Math.max(0, Number(BigInt.asIntN(64, count)));
    return bytes / LEAST_PAYLOAD + Math.min(bytes, seconds * WRITES_PER_SECOND);
  };
  return most(event.sent_bytes) + most(event.recv_bytes) >= COUNTER_END;
}

/** No connection moves 2^63 bytes: a count beyond came of something we do not know, so it is not known. */
const plausible = (bytes: bigint): bigint | null => (bytes < IMPLAUSIBLE ? bytes : null);
const IMPLAUSIBLE = 1n << 63n;
