/** The totals of a TCP connection as they are shown, and the fields of the guess that they need. Pure. */
import type { EventKind, Totals } from "../../conn/event.ts";
import type { TracedEvent } from "../../conn/identity.ts";
import type { GuessReport } from "../../guess/report.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  EventKind as Kind,
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

/** Fields on which depends what is shown. */
export const shownFields: readonly string[] = [...Object.values(TOTALS).flat(), ...FAILURE];

export function knownTotals(report: GuessReport): KnownTotals {
  const found = new Set(report.fields.filter((f) => f.status === "found").map((f) => f.field));
  return Object.fromEntries(
    Object.entries(TOTALS).map(([total, fields]) => [total, fields.every((f) => found.has(f))]),
  ) as unknown as KnownTotals;
}

/** Adds its failure and its totals to an event of TCP. */
export function addTotals(known: KnownTotals) {
  return (shown: TracedEvent, event: Event, kind: EventKind): void => {
    if ((event.ends.metadata & ConnMetadata.METADATA_TCP) === 0) return;
    if (hasFailed(event, kind)) shown.failure = event.failure_reason || null;
    if (kind === "close" || event.kind === Kind.EVENT_OPEN || event.kind === Kind.EVENT_SAMPLE)
      shown.totals = totalsOf(event, known);
  };
}

// --- internal ---

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
  const stable = told && !is(ConnFact.FACT_COUNTERS_UNSTABLE);
  const sent = known.bytesSent && stable && !undirected && !is(ConnFact.FACT_UNSEEN_CLOSE);
  return {
    bytesSent: sent ? plausible(event.sent_bytes) : null,
    bytesReceived: known.bytesReceived && stable ? plausible(event.recv_bytes) : null,
    segsOut: told && known.segs ? Number(event.sent_packets) : null,
    segsIn: told && known.segs ? Number(event.recv_packets) : null,
    rttUs: told && known.rtt ? event.rtt : null,
    rttVarUs: told && known.rttVar ? event.rtt_var : null,
    retransmits: told && known.retransmits ? event.retransmits : null,
    durationNs: unseenOpen ? null : lastedNs(event),
  };
}

/** No connection moves 2^63 bytes: a count beyond came of something we do not know, so it is not known. */
const plausible = (bytes: bigint): bigint | null => (bytes < IMPLAUSIBLE ? bytes : null);
const IMPLAUSIBLE = 1n << 63n;
