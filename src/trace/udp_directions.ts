/**
 * Flows of UDP sockets that are older than the trace: their first datagram may have gone unseen, and the first that is
 * seen is then an answer. Whose, the ports tell. Of younger sockets the first datagram is known. Pure.
 */
import { correctUdpDirection, DEFAULT_EPHEMERAL, type PortRange } from "../conn/direction.ts";
import type { Row } from "../kernel/proc_net.ts";
import { ConnDirection, ConnMetadata, type ConnTuple, type Event } from "../record/layout.gen.ts";

export class UdpDirections {
  readonly #places = new Map<number, Place>();

  /** The UDP sockets of a network namespace when the trace began. */
  add(netns: number, rows: readonly Row[], ephemeral: PortRange = DEFAULT_EPHEMERAL): void {
    this.#places.set(netns, { bound: new Set(rows.map((row) => row.localPort)), ephemeral });
  }

  /** An event of a flow, with the direction of its beginning. */
  correct(event: Event): Event {
    const { tup, conn_stats: stats } = event.conn;
    const place = this.#places.get(tup.netns);
    // Port 0: the remote end is not known.
    if (!place?.bound.has(tup.sport) || tup.dport === 0) return event;
    const ends = { localPort: tup.sport, remotePort: tup.dport, intraHost: isIntraHost(tup) };
    const seen = stats.direction === ConnDirection.DIRECTION_INCOMING ? "incoming" : "outgoing";
    const right = correctUdpDirection(seen, ends, place.ephemeral);
    if (right === seen) return event;
    const direction =
      right === "incoming" ? ConnDirection.DIRECTION_INCOMING : ConnDirection.DIRECTION_OUTGOING;
    return { ...event, conn: { ...event.conn, conn_stats: { ...stats, direction } } };
  }
}

// --- internal ---

interface Place {
  bound: ReadonlySet<number>;
  ephemeral: PortRange;
}

function isIntraHost(tup: ConnTuple): boolean {
  if (tup.saddr_l === tup.daddr_l && tup.saddr_h === tup.daddr_h) return true;
  // 127.0.0.0/8, in network order.
  return (tup.metadata & ConnMetadata.METADATA_IPV6) === 0 && (tup.daddr_l & 0xffn) === 127n;
}
