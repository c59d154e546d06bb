/** A tuple of conntrack: the 48 bytes that name the two ends of one direction of an entry. */
import type { ConntrackTuple as Layout } from "../record/layout.gen.ts";
import { EMPTY, Tuple, type TupleParts } from "./tuple.ts";

export type ConntrackTupleParts = TupleParts;

/** The source is the end that sends in this direction; the namespace is that of the entry. */
export class ConntrackTuple extends Tuple {
  constructor(fields: Layout) {
    super("ConntrackTuple", fields);
  }

  static of(parts: ConntrackTupleParts): ConntrackTuple {
    return new ConntrackTuple(EMPTY).setParts(parts);
  }

  /** The tuple of the other direction where nothing is translated. */
  inverse(): ConntrackTuple {
    const { saddr_h, saddr_l, daddr_h, daddr_l, sport, dport, netns, metadata } = this;
    return new ConntrackTuple({
      ...{ saddr_h: daddr_h, saddr_l: daddr_l, sport: dport },
      ...{ daddr_h: saddr_h, daddr_l: saddr_l, dport: sport },
      ...{ netns, metadata },
    });
  }

  /** Whether an entry of this tuple and `reply`, that of the other direction, translates an address or a port. */
  isTranslatedBy(reply: ConntrackTuple): boolean {
    const plain = this.inverse();
    return (
      reply.saddr_h !== plain.saddr_h ||
      reply.saddr_l !== plain.saddr_l ||
      reply.daddr_h !== plain.daddr_h ||
      reply.daddr_l !== plain.daddr_l ||
      reply.sport !== plain.sport ||
      reply.dport !== plain.dport
    );
  }
}
