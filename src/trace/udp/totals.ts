/** The totals of a UDP flow as they are shown. Pure. */
import type { EventKind, Totals } from "../../conn/event.ts";
import type { TracedEvent } from "../../conn/identity.ts";
import { ConnFact, ConnMetadata, type Event } from "../../record/layout.gen.ts";
import { lastedNs } from "../event.ts";

/** The totals that a check with datagrams of the tool's own has shown to be right. */
export interface KnownFlowTotals {
  bytes: boolean;
  packets: boolean;
}

/** Adds its failure and its totals to an event of UDP. */
export function addFlowTotals(known: KnownFlowTotals) {
  return (shown: TracedEvent, event: Event, kind: EventKind): void => {
    if ((event.ends.metadata & ConnMetadata.METADATA_TCP) !== 0) return;
    if (kind === "fail") shown.failure = event.failure_reason || null;
    if (kind === "close" || kind === "sample") shown.totals = flowTotalsOf(event, known);
  };
}

// --- internal ---

/** Of a UDP flow. */
function flowTotalsOf(event: Event, known: KnownFlowTotals): Totals {
  const told = (event.flags & ConnFact.FACT_TOTALS_LOST) === 0;
  const receivedKnown = (event.flags & ConnFact.FACT_RECEIVED_UNKNOWN) === 0;
  return {
    bytesSent: told && known.bytes ? event.sent_bytes : null,
    bytesReceived: told && receivedKnown && known.bytes ? event.recv_bytes : null,
    segsOut: told && known.packets ? Number(event.sent_packets) : null,
    segsIn: told && known.packets ? Number(event.recv_packets) : null,
    rttUs: null,
    rttVarUs: null,
    retransmits: null,
    durationNs: told && (event.flags & ConnFact.FACT_UNSEEN_OPEN) === 0 ? lastedNs(event) : null,
  };
}
