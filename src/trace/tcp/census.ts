/** Owners and directions of the connections that were open before the trace, from /proc/net/tcp. Pure. */
import { DEFAULT_EPHEMERAL, tcpDirection, type PortRange } from "../../conn/direction.ts";
import { TCP_LISTEN } from "../../kernel/constants.ts";
import type { Row } from "../../kernel/proc_net.ts";
import { addressesOf } from "../../record/row_address.ts";
import {
  ConnDirection,
  ConnMetadata,
  EVENT_DIRECTION,
  EVENT_OWNER_PID,
  EVENT_SENT_BYTES,
  writeOwner,
  type Ends,
  type Event,
  type EventView,
  type Owner,
} from "../../record/layout.gen.ts";
import { asView, pidAt } from "../event.ts";

/** The TCP sockets of one network namespace when the trace began. */
class Place {
  readonly listening = new Set<number>();
  readonly ephemeral: PortRange;
  readonly #rows: Row[] = [];
  #inodes: Map<string, number> | null = null;

  constructor(rows: readonly Row[], ephemeral: PortRange) {
    this.ephemeral = ephemeral;
    for (const row of rows)
      if (row.state === TCP_LISTEN) this.listening.add(row.localPort);
      else this.#rows.push(row);
  }

  /** Of a socket, by both its ends. Made when it is asked for, which is seldom: for many sockets it takes long. */
  get inodes(): ReadonlyMap<string, number> {
    this.#inodes ??= new Map(this.#rows.map((row) => [endsOfRow(row), row.ino]));
    return this.#inodes;
  }
}

/** By socket inode. */
export type Owners = Pick<ReadonlyMap<number, Owner>, "get">;

export class Census {
  readonly #places = new Map<number, Place>();
  #owners: Owners = new Map();

  add(netns: number, rows: readonly Row[], ephemeral: PortRange = DEFAULT_EPHEMERAL): void {
    this.#places.set(netns, new Place(rows, ephemeral));
  }

  /** Inode of the socket that carries the connection; 0: not known. */
  inodeOf({ netns, ends }: Event): number {
    return this.#places.get(netns)?.inodes.get(endsOf(ends)) ?? 0;
  }

  setOwners(owners: Owners): void {
    this.#owners = owners;
  }

  /**
   * Adds what is known besides: an owner where the event has none, a direction where its counters told none. An event that
   * lies in a buffer gets it there. `ino` is its socket's, where that is known.
   */
  describe(of: Event, ino?: number): EventView {
    const event = asView(of);
    const { view, p } = event;
    if (pidAt(view, p) === 0) {
      const owner = this.#owners.get(ino ?? this.inodeOf(event));
      if (owner !== undefined) writeOwner(view, p + EVENT_OWNER_PID, owner);
    }
    if (event.direction === ConnDirection.DIRECTION_UNKNOWN)
      direct(event, this.#directionOf(event));
    return event;
  }

  #directionOf({ netns, ends: of }: Event): number {
    const place = this.#places.get(netns);
    if (place === undefined) return ConnDirection.DIRECTION_UNKNOWN;
    const ends = {
      localPort: of.sport,
      remotePort: of.dport,
      localListens: place.listening.has(of.sport),
      remoteListens: this.#remotePlace(of, place)?.listening.has(of.dport) ?? false,
    };
    return numbers[tcpDirection(ends, place.ephemeral)];
  }

  /** Where the other end is, if it is on this host. */
  #remotePlace(ends: Ends, own: Place): Place | undefined {
    // Loopback does not leave its namespace; equal addresses elsewhere mean another connection.
    if (isLoopback(ends)) return own;
    const other = otherEndOf(ends);
    if (own.inodes.has(other)) return own;
    return [...this.#places.values()].find(({ inodes }) => inodes.has(other));
  }
}

/**
 * An event whose direction the kernel side did not know, with one. A SYN that was sent has been counted like a byte.
 */
export function directed(event: Event, direction: number): Event {
  if (event.direction === direction) return event;
  return { ...event, direction, sent_bytes: sentBytes(event, direction) };
}

// --- internal ---

/** The same in the place where it lies. */
function direct(event: EventView, direction: number): void {
  if (event.direction === direction) return;
  const { view, p } = event;
  view.setUint8(p + EVENT_DIRECTION, direction);
  view.setBigUint64(p + EVENT_SENT_BYTES, sentBytes(event, direction), true);
}

const sentBytes = ({ sent_bytes }: Event, direction: number): bigint =>
  direction === ConnDirection.DIRECTION_OUTGOING ? BigInt.asUintN(64, sent_bytes - 1n) : sent_bytes;

const numbers = {
  unknown: ConnDirection.DIRECTION_UNKNOWN,
  incoming: ConnDirection.DIRECTION_INCOMING,
  outgoing: ConnDirection.DIRECTION_OUTGOING,
} as const;

const endsOfRow = ({ local, localPort, remote, remotePort }: Row): string =>
  `${local}:${localPort} ${remote}:${remotePort}`;

function endsOf(ends: Ends): string {
  const [local, remote] = addressesOf(ends);
  return `${local}:${ends.sport} ${remote}:${ends.dport}`;
}

function otherEndOf(ends: Ends): string {
  const [local, remote] = addressesOf(ends);
  return `${remote}:${ends.dport} ${local}:${ends.sport}`;
}

/** 127.0.0.0/8 and ::1. */
function isLoopback(ends: Ends): boolean {
  if ((ends.metadata & ConnMetadata.METADATA_IPV6) === 0) return (ends.daddr_l & 0xffn) === 127n;
  return ends.daddr_h === 0n && ends.daddr_l === 1n << 56n;
}
