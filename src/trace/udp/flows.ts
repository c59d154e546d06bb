/**
 * The UDP flows that the tool knows. The kernel counts them (bpf/udp/flow.h); here is decided when one has begun and when it
 * is over. Pure: the kernel's maps come as FlowSource. However events, reads of the maps and losses interleave, what is
 * shown of a flow adds up to what the kernel counted.
 */
import { ConnFlags, EventKind, type Event, type Flow } from "../../record/layout.gen.ts";
import type { FlowTimeouts } from "../options.ts";
import {
  begunAgain,
  begunAs,
  closeOf,
  type Counts,
  countsOf,
  hasCounts,
  isFirst,
  lastOf,
  lostOf,
  minus,
  NOTHING,
  same,
  sampleOf,
  silenceOf,
  sockOf,
  timeOf,
} from "./flow_events.ts";
import { UdpDirections } from "./directions.ts";
import { FlowIndex } from "./flow_index.ts";
import { KeptEvents, type Slot } from "../kept_events.ts";

/** A flow as it lies in a dump. */
export interface DumpedFlow {
  /** Good until the next dump; its members are read when they are asked for. */
  readonly event: Readonly<Event>;
  copy(): Flow;
}

export interface FlowSource {
  /**
   * Every flow that the kernel has, or only those with a datagram at `sinceNs` or later: first those of udp_flows, then
   * those of udp_socks. There can be 65,536: to make an object of each would take more memory than all else.
   */
  dump(sinceNs?: bigint): Iterable<DumpedFlow>;
  /** Reads and deletes a flow of udp_flows; null: it is not there. */
  take(flow: Readonly<Event>): Flow | null;
  /** Has the kernel look whether these sockets are still there; their ends come as events. */
  lookAfter(socks: Iterable<Pick<Event, "sk" | "cookie">>): void;
}

export const DEFAULT_FLOW_TIMEOUTS: FlowTimeouts = {
  silentNs: 30_000_000_000n,
  assuredNs: 120_000_000_000n,
};

export interface ShownFlow {
  event: Event;
  kind: "begin" | "fail" | "sample" | "close";
}

export class Flows {
  readonly #source: FlowSource;
  readonly #timeouts: FlowTimeouts;
  readonly #directions: UdpDirections;
  readonly #socks = new Map<string, Sock>();
  readonly #kept = new KeptEvents();
  readonly #others = new FlowIndex<Known>(this.#kept);
  #nextTickNs = 0n;
  #tickedNs = 0n;
  #ticks = 0;
  /** No flow that has been sampled since has moved before. */
  #sampledNs = 0n;

  constructor(source: FlowSource, timeouts: FlowTimeouts, directions = new UdpDirections()) {
    this.#source = source;
    this.#timeouts = timeouts;
    this.#directions = directions;
  }

  /**
   * One event of the ring or of `sample`, in order of time. null: it is none of UDP's. The result must be read to its end
   * at once: a socket can have 65,536 flows, of which an array would take more memory than all else.
   */
  event(event: Event): Iterable<ShownFlow> | null {
    switch (event.kind) {
      case EventKind.EVENT_UDP_OPEN:
        return this.#open(event);
      case EventKind.EVENT_UDP_FAIL:
        return this.#fail(event);
      case EventKind.EVENT_UDP_CLOSE:
        return this.#close(event);
      case EventKind.EVENT_UDP_SAMPLE:
        return this.#follow(event);
      default:
        return null;
    }
  }

  /** Flows that are remembered. */
  get size(): number {
    return this.#kept.size;
  }

  /** Until the next tick has something to do. */
  dueMs(nowNs: bigint): number {
    return Number((this.#nextTickNs - nowNs) / NS_PER_MS);
  }

  /** To be called at each poll, after its events: ends what is silent, finds what no event told. Read as `event`. */
  *tick(nowNs: bigint): Iterable<ShownFlow> {
    if (nowNs < this.#nextTickNs) return;
    this.#source.lookAfter(this.#firsts());
    const tick = ++this.#ticks;
    let seen = 0;
    let young = 0;
    const alive = new Set<string>();
    for (const flow of this.#source.dump()) {
      let known = this.#known(flow.event);
      if (known === undefined) {
        // Its event is on its way, and comes with what other parts find out about it. The next tick tells of it if not.
        if (timeOf(flow.event) > this.#tickedNs) {
          young++;
          if (isFirst(flow.event)) alive.add(sockOf(flow.event));
          continue;
        }
        yield* this.#open(flow.copy().event);
        known = this.#known(flow.event)!;
      }
      // A map that changes while it is read may give an entry twice.
      if (known.tick === tick) continue;
      known.tick = tick;
      seen++;
      if (isFirst(flow.event)) alive.add(sockOf(flow.event));
      // Of nearly all flows there is nothing to be told, and nothing is made of them here.
      const shown = this.#look(flow, known, nowNs);
      if (shown.length > 0) yield* shown;
    }
    for (const [id, sock] of this.#socks) {
      // The event of its end may still lie in a ring: wait for the next drain.
      sock.missed = alive.has(id) ? 0 : sock.missed + 1;
      if (sock.missed <= 1) continue;
      yield* this.#vanished(id, sock, nowNs);
    }
    this.#tickedNs = nowNs;
    this.#nextTickNs = nowNs + this.#pauseNs(seen, young);
  }

  /** Sockets that are gone are told of with the next drain, those whose beginning is still to come as well. */
  ending(): void {
    this.#source.lookAfter(this.#firstsInMap());
  }

  /** One event for each flow that has moved something since it was told of last, for `event` when its time has come; `all`: for every flow. */
  sample(nowNs: bigint, all = false): Event[] {
    const moved: Event[] = [];
    // To find two large maps empty takes long.
    if (this.#socks.size === 0) return moved;
    // A datagram is counted first and its time written then: what a dump fell in between is found by the next one.
    let next = nowNs;
    for (const flow of this.#source.dump(all ? 0n : this.#sampledNs - PAUSE_NS)) {
      const known = this.#known(flow.event);
      if (known === undefined || known.over) {
        // Its beginning is on its way, or it wakes at the next tick.
        if (lastOf(flow.event) < next) next = lastOf(flow.event);
        continue;
      }
      if (!all && hasCounts(flow.event, known.sampled)) continue;
      known.sampled = countsOf(flow.event);
      moved.push(sampleOf(flow.copy(), this.#kept.get(known.opened), known.told, nowNs));
    }
    this.#sampledNs = next;
    return moved;
  }

  // --- internal ---

  *#firsts(): Iterable<Event> {
    for (const { first } of this.#socks.values())
      if (first !== null) yield this.#kept.get(first.opened);
  }

  *#firstsInMap(): Iterable<Event> {
    for (const { event } of this.#source.dump()) if (isFirst(event)) yield event;
  }

  #known(event: Event): Known | undefined {
    return isFirst(event)
      ? (this.#socks.get(sockOf(event))?.first ?? undefined)
      : this.#others.of(event);
  }

  /** A flow is told once, by its event or, where that was lost, by the map. */
  #open(seen: Event): ShownFlow[] {
    if (this.#known(seen)) return [];
    const id = sockOf(seen);
    const soon = timeOf(seen) + PAUSE_NS;
    if (this.#socks.size === 0 && this.#nextTickNs > soon) this.#nextTickNs = soon;
    const sock = this.#socks.get(id) ?? { first: null, others: new Set(), missed: 0 };
    this.#socks.set(id, sock);
    const event = this.#directions.begun(seen);
    const known = {
      opened: this.#kept.keep(event),
      told: NOTHING,
      sampled: NOTHING,
      over: false,
      tick: 0,
    };
    if (isFirst(event)) sock.first = known;
    else {
      sock.others.add(known);
      this.#others.add(known.opened, known);
    }
    return [{ event, kind: "begin" }];
  }

  /** A datagram has drawn an error, and the flow goes on. Of each reason once; its beginning may be lost. */
  #fail(event: Event): ShownFlow[] {
    const shown = this.#open(event);
    const known = this.#known(event)!;
    if (isFirst(event)) shown.push(...this.#wake(known, event));
    const { failure_reason } = event;
    if (known.failures?.includes(failure_reason)) return shown;
    known.failures = [...(known.failures ?? []), failure_reason];
    return [...shown, { event: begunAs(this.#kept.get(known.opened), event), kind: "fail" }];
  }

  /** The end of a socket and so of all its flows; the event holds the totals of the first. */
  *#close(event: Event): Iterable<ShownFlow> {
    const id = sockOf(event);
    const sock = this.#socks.get(id);
    // Its beginning was lost, and it ended before a look at the maps.
    const opened = sock?.first ? this.#kept.get(sock.first.opened) : this.#directions.begun(event);
    const close = begunAs(opened, event);
    this.#forget(id, opened);
    if (sock?.first) yield* endFirst(sock.first, opened, close);
    else yield { event: close, kind: "close" };
    yield* this.#closeOthers(sock, timeOf(event));
  }

  /** A flow as it was when it was sampled. Its end may have been told since, which says more. */
  #follow(event: Event): ShownFlow[] {
    const known = this.#known(event);
    return known && !known.over ? [{ event, kind: "sample" }] : [];
  }

  *#closeOthers(sock: Sock | undefined, atNs: bigint): Iterable<ShownFlow> {
    for (const known of sock?.others ?? []) {
      // Of so many flows no object is made that is not shown.
      const opened = this.#kept.at(known.opened);
      const flow = this.#source.take(opened);
      const event = flow ? closeOf(flow, opened, atNs) : lostOf(this.#kept.get(known.opened), atNs);
      this.#others.delete(known.opened);
      this.#kept.drop(known.opened);
      yield { event, kind: "close" };
    }
  }

  /** One flow as the maps have it: has it been silent for too long, or is it awake again? */
  #look(flow: DumpedFlow, known: Known, nowNs: bigint): readonly ShownFlow[] {
    const { event } = flow;
    const silent = this.#isSilent(event, nowNs);
    if (isFirst(event)) {
      const woken = this.#wake(known, event);
      if (!silent || known.over) return woken;
      // It stays in the map, which remembers by it that the socket is there: what was told is subtracted from now on.
      const close = minus(closeOf(flow.copy(), this.#kept.get(known.opened), nowNs), known.told);
      known.told = countsOf(event);
      known.over = true;
      return [...woken, { event: close, kind: "close" }];
    }
    if (!silent) return NONE;
    const taken = this.#source.take(flow.event);
    const opened = this.#kept.at(known.opened);
    const close = taken && closeOf(taken, opened, nowNs);
    this.#socks.get(sockOf(opened))?.others.delete(known);
    this.#others.delete(known.opened);
    this.#kept.drop(known.opened);
    return close ? [{ event: close, kind: "close" }] : [];
  }

  /** The first flow of a socket, as the map has it. */
  #wake(first: Known, event: Event): ShownFlow[] {
    if (!isAwake(first, countsOf(event))) return [];
    first.over = false;
    const again = begunAgain(this.#kept.get(first.opened), lastOf(event));
    this.#kept.drop(first.opened);
    first.opened = this.#kept.keep(again);
    return [{ event: again, kind: "begin" }];
  }

  /** A look costs some microseconds per flow, so that many flows are looked at more rarely. */
  #pauseNs(flows: number, young: number): bigint {
    const { silentNs, assuredNs } = this.#timeouts;
    const shortest = silentNs < assuredNs ? silentNs : assuredNs;
    // To find two large maps empty takes long: where no event tells of a flow, that is only for events that were lost.
    if (this.#socks.size === 0 && young === 0) return shortest / 2n;
    const usual = shortest / 8n < PAUSE_NS ? shortest / 8n : PAUSE_NS;
    const busy = BigInt(flows) * PAUSE_PER_FLOW_NS;
    return usual > busy ? usual : busy;
  }

  #isSilent(event: Event, nowNs: bigint): boolean {
    return silenceOf(event, nowNs) > this.#timeoutOf(event);
  }

  #timeoutOf({ legs }: Event): bigint {
    const assured = (legs & ConnFlags.CONN_ASSURED) !== 0;
    return assured ? this.#timeouts.assuredNs : this.#timeouts.silentNs;
  }

  /** A socket that is in no map any more, and whose end no event told. */
  *#vanished(id: string, sock: Sock, nowNs: bigint): Iterable<ShownFlow> {
    const opened = sock.first === null ? undefined : this.#kept.get(sock.first.opened);
    this.#forget(id, opened);
    if (opened && !sock.first!.over) yield { event: lostOf(opened, nowNs), kind: "close" };
    yield* this.#closeOthers(sock, nowNs);
  }

  #forget(id: string, opened: Event | undefined): void {
    const first = this.#socks.get(id)?.first;
    if (first) this.#kept.drop(first.opened);
    this.#socks.delete(id);
    if (opened) this.#directions.ended(opened);
  }
}

const NONE: readonly ShownFlow[] = [];
const NS_PER_MS = 1_000_000n;
const PAUSE_NS = 1_000_000_000n;
const PAUSE_PER_FLOW_NS = 50_000n;

interface Known {
  /** Its first event, with its direction. */
  opened: Slot;
  /** The counts that its earlier closes told. Only a socket's first flow goes on after one. */
  told: Counts;
  /** Its counts when it was sampled last. */
  sampled: Counts;
  /** Closed for its silence. */
  over: boolean;
  /** The reasons why datagrams of it have failed. Left out: none has. */
  failures?: readonly number[];
  /** The number of the tick that has looked at it last. */
  tick: number;
}

interface Sock {
  first: Known | null;
  /** They are looked up in the index of all sockets. */
  others: Set<Known>;
  /** Looks at the maps in a row that did not find it. */
  missed: number;
}

function endFirst(first: Known, opened: Event, close: Event): ShownFlow[] {
  const told = minus(close, first.told);
  if (!first.over) return [{ event: told, kind: "close" }];
  if (!isAwake(first, countsOf(close))) return [];
  const again = begunAgain(opened, timeOf(close));
  return [
    { event: again, kind: "begin" },
    { event: begunAs(again, told), kind: "close" },
  ];
}

/** Closed for its silence, and then there were datagrams again. */
const isAwake = (first: Known, counts: Counts): boolean => first.over && !same(counts, first.told);
