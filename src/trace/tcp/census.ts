/** Who holds the connections that were open before the trace, and which way they run: from /proc/net/tcp. Pure. */
import { DEFAULT_EPHEMERAL, tcpDirection, type PortRange } from "../../conn/direction.ts";
import type { Row } from "../../kernel/proc_net.ts";
import {
  ConnDirection,
  ConnMetadata,
  type ConnTuple,
  type Event,
} from "../../record/layout.gen.ts";

const TCP_LISTEN = 10;

/** The process of an event, and what is known of it. */
export interface Owner extends Pick<Event, "comm" | "uid" | "cgroup_id" | "owned_at" | "program"> {
  pid: number;
}

/** What one network namespace held when the trace began. */
interface Place {
  listening: Set<number>;
  ephemeral: PortRange;
  /** Socket inodes by both ends. */
  inodes: Map<string, number>;
}

export class Census {
  readonly #places = new Map<number, Place>();
  #owners: ReadonlyMap<number, Owner> = new Map();

  add(netns: number, rows: readonly Row[], ephemeral: PortRange = DEFAULT_EPHEMERAL): void {
    const place: Place = { listening: new Set(), ephemeral, inodes: new Map() };
    for (const row of rows) {
      if (row.state === TCP_LISTEN) place.listening.add(row.localPort);
      else place.inodes.set(endsOfRow(row), row.ino);
    }
    this.#places.set(netns, place);
  }

  /** Inode of the socket that carries the connection; 0: not known. */
  inodeOf({ conn: { tup } }: Event): number {
    return this.#places.get(tup.netns)?.inodes.get(endsOf(tup)) ?? 0;
  }

  /** By socket inode. */
  setOwners(owners: ReadonlyMap<number, Owner>): void {
    this.#owners = owners;
  }

  /** The event with what is known besides: an owner where it has none, a direction where its counters told none. */
  describe(event: Event): Event {
    const { tup, conn_stats: stats } = event.conn;
    const owner = tup.pid === 0 ? this.#owners.get(this.inodeOf(event)) : undefined;
    const owned = owner === undefined ? event : ownedBy(event, owner);
    if (stats.direction !== ConnDirection.DIRECTION_UNKNOWN) return owned;
    return directed(owned, this.#directionOf(tup));
  }

  #directionOf(tup: ConnTuple): number {
    const place = this.#places.get(tup.netns);
    if (place === undefined) return ConnDirection.DIRECTION_UNKNOWN;
    const ends = {
      localPort: tup.sport,
      remotePort: tup.dport,
      localListens: place.listening.has(tup.sport),
      remoteListens: this.#remotePlace(tup, place)?.listening.has(tup.dport) ?? false,
    };
    return numbers[tcpDirection(ends, place.ephemeral)];
  }

  /** Where the other end is, if it is on this host. */
  #remotePlace(tup: ConnTuple, own: Place): Place | undefined {
    const other = otherEndOf(tup);
    // Loopback does not leave its namespace; equal addresses elsewhere mean another connection.
    if (isLoopback(tup) || own.inodes.has(other)) return own;
    return [...this.#places.values()].find(({ inodes }) => inodes.has(other));
  }
}

export function ownedBy(event: Event, owner: Owner): Event {
  const { pid, comm, uid, cgroup_id, owned_at, program } = owner;
  const conn = { ...event.conn, tup: { ...event.conn.tup, pid } };
  return { ...event, comm, uid, cgroup_id, owned_at, program, conn };
}

export function ownerOf(event: Event): Owner {
  const { comm, uid, cgroup_id, owned_at, program } = event;
  return { pid: event.conn.tup.pid, comm, uid, cgroup_id, owned_at, program };
}

/**
 * An event whose direction the kernel side did not know, with one. A SYN that was sent has been counted like a byte.
 */
export function directed(event: Event, direction: number): Event {
  const { conn_stats: stats } = event.conn;
  if (stats.direction === direction) return event;
  const syn = direction === ConnDirection.DIRECTION_OUTGOING ? 1n : 0n;
  const sent_bytes = BigInt.asUintN(64, stats.sent_bytes - syn);
  return { ...event, conn: { ...event.conn, conn_stats: { ...stats, direction, sent_bytes } } };
}

// --- internal ---

const numbers = {
  unknown: ConnDirection.DIRECTION_UNKNOWN,
  incoming: ConnDirection.DIRECTION_INCOMING,
  outgoing: ConnDirection.DIRECTION_OUTGOING,
} as const;

const endsOfRow = ({ local, localPort, remote, remotePort }: Row): string =>
  `${local}:${localPort} ${remote}:${remotePort}`;

function endsOf(tup: ConnTuple): string {
  const [local, remote] = addressesOf(tup);
  return `${local}:${tup.sport} ${remote}:${tup.dport}`;
}

function otherEndOf(tup: ConnTuple): string {
  const [local, remote] = addressesOf(tup);
  return `${remote}:${tup.dport} ${local}:${tup.sport}`;
}

function addressesOf(tup: ConnTuple): [local: string, remote: string] {
  if ((tup.metadata & ConnMetadata.METADATA_IPV6) === 0) {
    return [word(tup.saddr_l), word(tup.daddr_l)];
  }
  return [words(tup.saddr_h) + words(tup.saddr_l), words(tup.daddr_h) + words(tup.daddr_l)];
}

/** As the kernel prints it: a 32-bit word of the address, as the machine reads it. */
const word = (value: bigint): string =>
  (value & 0xffff_ffffn).toString(16).toUpperCase().padStart(8, "0");
const words = (value: bigint): string => word(value) + word(value >> 32n);

/** 127.0.0.0/8 and ::1. */
function isLoopback(tup: ConnTuple): boolean {
  if ((tup.metadata & ConnMetadata.METADATA_IPV6) === 0) return (tup.daddr_l & 0xffn) === 127n;
  return tup.daddr_h === 0n && tup.daddr_l === 1n << 56n;
}
