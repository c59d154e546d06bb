/**
 * The end that began a UDP flow is the one that sent its first datagram. Of a socket that is older than the trace that one may
 * have gone unseen, and where several sockets share a port, it may have come to another one: servers answer some clients from a socket of
 * their own, and workers take over from each other. Then the first that is seen here can be an answer; whose, the ports tell. Pure.
 */
import {
  correctUdpDirection,
  DEFAULT_EPHEMERAL,
  isEphemeral,
  type PortRange,
} from "../../conn/direction.ts";
import type { Row } from "../../kernel/proc_net.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  type Ends,
  type Event,
} from "../../record/layout.gen.ts";

export class UdpDirections {
  readonly #places = new Map<number, Place>();
  /** How many sockets have spoken since, by their port. */
  readonly #speaking = new Map<number, number>();

  /** The UDP sockets of a network namespace when the trace began. */
  add(netns: number, rows: readonly Row[], ephemeral: PortRange = DEFAULT_EPHEMERAL): void {
    this.#places.set(netns, { used: new Set(rows.map((row) => row.localPort)), ephemeral });
  }

  /** The first event of a flow, with the direction of its beginning. Of each flow once, in order of time. */
  begun(event: Event): Event {
    const { ends: flow, netns, direction } = event;
    const { used, ephemeral } = this.#places.get(netns) ?? YOUNG;
    const others = this.#others(event);
    const incoming = direction === ConnDirection.DIRECTION_INCOMING;
    const older = used.has(flow.sport);
    // Port 0: the remote end is not known.
    if (flow.dport === 0 || !(older || (others > 0 && !incoming))) return event;
    const ends = {
      localPort: flow.sport,
      remotePort: flow.dport,
      intraHost: isIntraHost(flow),
      // The kernel chooses from its range alone, also where the sock could not be asked.
      bound: (event.flags & ConnFact.FACT_BOUND) !== 0 || !isEphemeral(flow.sport, ephemeral),
    };
    const right = correctUdpDirection(incoming ? "incoming" : "outgoing", ends, ephemeral);
    return withDirection(event, numbers[right]);
  }

  /** The socket whose first flow began so is gone. */
  ended(event: Event): void {
    const key = keyOf(event);
    const left = (this.#speaking.get(key) ?? 0) - 1;
    if (left > 0) this.#speaking.set(key, left);
    else this.#speaking.delete(key);
  }

  /** Ports of sockets that have spoken. */
  get size(): number {
    return this.#speaking.size;
  }

  /** Other sockets on the same port, of those that have spoken. */
  #others(event: Event): number {
    const key = keyOf(event);
    const known = this.#speaking.get(key) ?? 0;
    if ((event.flags & ConnFact.FACT_FIRST_FLOW) === 0) return known - 1;
    this.#speaking.set(key, known + 1);
    return known;
  }
}

// --- internal ---

/** The UDP sockets of a network namespace when the trace began. */
interface Place {
  /** Local ports of UDP sockets. */
  used: ReadonlySet<number>;
  ephemeral: PortRange;
}

/** A namespace that was not there then. */
const YOUNG: Place = { used: new Set(), ephemeral: DEFAULT_EPHEMERAL };

const numbers = {
  unknown: ConnDirection.DIRECTION_UNKNOWN,
  incoming: ConnDirection.DIRECTION_INCOMING,
  outgoing: ConnDirection.DIRECTION_OUTGOING,
} as const;

const keyOf = ({ netns, ends }: Event): number => netns * 0x1_0000 + ends.sport;

function isIntraHost(flow: Ends): boolean {
  if (flow.saddr_l === flow.daddr_l && flow.saddr_h === flow.daddr_h) return true;
  // 127.0.0.0/8, in network order.
  return (flow.metadata & ConnMetadata.METADATA_IPV6) === 0 && (flow.daddr_l & 0xffn) === 127n;
}

function withDirection(event: Event, direction: number): Event {
  return event.direction === direction ? event : { ...event, direction };
}
