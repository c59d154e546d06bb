/** The sockets that processes hold, in all network namespaces, as one walk over the files of all tasks found them. Pure. */
import { AF_INET6, IPPROTO_TCP, IPPROTO_UDP } from "../kernel/constants.ts";
import type { Holder } from "../kernel/owners.ts";
import type { Row } from "../kernel/proc_net.ts";
import type { Table } from "../kernel/sockstat.ts";
import { addressesOf } from "../record/row_address.ts";
import {
  EventKind,
  type Event,
  type EventView,
  type HeldSock,
  type HeldSockView,
} from "../record/layout.gen.ts";

/** By inode, so that a socket of several holders counts once. */
type Place = Readonly<Record<Table, Map<number, HeldSockView>>>;

export class Held {
  readonly #places = new Map<number, Place>();
  /** null: several. */
  readonly #holders = new Map<number, Holder | null>();
  /** The connections that are to be told, with the inode of each. */
  readonly #told = new Map<EventView, number>();

  /** Whether the ids of processes are right. */
  readonly trusted: boolean;

  constructor(records: Iterable<HeldSockView>, trusted: boolean) {
    this.trusted = trusted;
    for (const record of records) this.#add(record);
  }

  /** Connections that are to be told. */
  get told(): Iterable<EventView> {
    return this.#told.keys();
  }

  /** The inode of a connection that is to be told; `undefined`: it is none of these. */
  inodeOf(event: Event): number | undefined {
    return this.#told.get(event as EventView);
  }

  /** The one process that holds the socket; `null`: several, or none that is known. */
  holderOf(ino: number): Holder | null {
    return this.#holders.get(ino) ?? null;
  }

  /** How many sockets of a table processes hold; those beyond it are held by none. */
  count(netns: number, table: Table): number {
    return this.#places.get(netns)?.[table].size ?? 0;
  }

  /** As /proc/net has them. */
  rows(netns: number, table: Table): Row[] {
    const rows: Row[] = [];
    this.#places.get(netns)?.[table].forEach((record) => rows.push(new HeldRow(record)));
    return rows;
  }

  #add(record: HeldSockView): void {
    const { ino_number: ino, event } = record;
    this.#addHolder(ino, record);
    if (event.kind === EventKind.EVENT_OPEN) this.#told.set(event, ino);
    const table = tableOf(record);
    if (table === null) return;
    const { netns } = event;
    let place = this.#places.get(netns);
    if (place === undefined) {
      place = { tcp: new Map(), tcp6: new Map(), udp: new Map(), udp6: new Map() };
      this.#places.set(netns, place);
    }
    place[table].set(ino, record);
  }

  #addHolder(ino: number, { tgid: pid, tid }: HeldSockView): void {
    const known = this.#holders.get(ino);
    if (known === undefined) this.#holders.set(ino, { pid, tid });
    else if (known !== null && known.pid !== pid) this.#holders.set(ino, null);
  }
}

// --- internal ---

/** A sock of MPTCP is in none of these tables; its subflows are, and have its socket. */
function tableOf({ protocol, family }: HeldSock): Table | null {
  const ipv6 = family === AF_INET6;
  if (protocol === IPPROTO_TCP) return ipv6 ? "tcp6" : "tcp";
  if (protocol === IPPROTO_UDP) return ipv6 ? "udp6" : "udp";
  return null;
}

/** Of most sockets nobody asks for more than the state. */
class HeldRow implements Row {
  readonly #record: HeldSockView;

  constructor(record: HeldSockView) {
    this.#record = record;
  }

  get localPort(): number {
    return this.#record.port;
  }

  get remotePort(): number {
    return this.#record.event.ends.dport;
  }

  get state(): number {
    return this.#record.state;
  }

  get ino(): number {
    return this.#record.ino_number;
  }

  get local(): string {
    return addressesOf(this.#record.event.ends)[0];
  }

  get remote(): string {
    return addressesOf(this.#record.event.ends)[1];
  }
}
