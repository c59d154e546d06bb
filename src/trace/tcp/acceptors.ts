/**
 * The process that accepted a connection, in tracepoint mode. Only a process that holds the listener can accept from it. So
 * the one process that held the listener alone, both before the handshake and after the accept, is the one. Where several
 * held it, who has the accepted socket tells, if it held the listener as well. Else it is not known. Pure.
 */
import type { Holder, Holders, Owner } from "../../kernel/owners.ts";
import type { Event } from "../../record/layout.gen.ts";
import type { Handshakes } from "./handshakes.ts";

/** The holders of sockets, as one walk over the processes found them. Times are nanoseconds of CLOCK_MONOTONIC. */
export interface Walk {
  beganNs: number;
  endedNs: number;
  /** Over every process: whoever is not in it held nothing. Else it is about the sockets that were asked for. */
  whole: boolean;
  /** Of listeners, by inode. */
  holders: Holders;
  /** Of the connections that were asked for, by inode. */
  accepted: Holders;
  /** Of all listeners, by `portOf`. */
  listeners: ReadonlyMap<string, readonly Holder[]>;
}

export interface Asked {
  /** Inodes of accepted sockets. */
  accepted: ReadonlySet<number>;
  /** Inodes of listeners. */
  listeners: ReadonlySet<number>;
  /** When the first of the connections began. */
  sinceNs: number;
  /** Processes that may be among them. */
  likely: ReadonlySet<number>;
  /** It must be now, however long it takes. */
  last?: boolean;
}

export interface HolderSource {
  /** `null`: not now, since it takes too much of the time. */
  walk(asked: Asked): Walk | null;
  /** `null`: gone. */
  owner(holder: Holder): Owner | null;
}

/** A handshake that is done, with what is to be known when the connection is accepted. */
export interface Handshake {
  /** The inode of the listener; 0: not known, so its port must do. */
  listener: number;
  port: string;
  atNs: number;
  /** The holders of the listener before. */
  before: readonly Holder[];
}

export const portOf = (netns: number, port: number): string => `${netns} ${port}`;

/** So many are kept: a handshake is told of up to a poll after it was done, and seconds later on a busy host. */
const WALKS = 32;
/** An older one is done anew when connections come in. */
const STALE_NS = 1e9;
/** Listeners whose beginning was seen since the last walk. */
const BEGUN_MAX = 4096;
/** Of a process' start in /proc: a later one can look as if it were as early as this. */
const START_NS = 10_000_000n;

export class Acceptors {
  /** The newest first. */
  #walks: Walk[] = [];
  /** The process that made it a listener, and when: by its inode, and by its port. */
  readonly #begun = new Map<number | string, { holder: Holder; atNs: number }>();
  /** A listener has begun; or a connection has come in, and the newest walk was old. */
  #stale = false;
  readonly #source: HolderSource;
  readonly #own: number;
  readonly #pupils: Pupils | null;

  /** `own`: the tool's own process; `pupils`: they are told what decides about most connections. */
  constructor(source: HolderSource, own = 0, pupils: Pupils | null = null) {
    this.#source = source;
    this.#own = own;
    this.#pupils = pupils;
  }

  /** To be called before the first handshake is told. */
  begin(): void {
    this.#walk({ ...NOTHING, last: true });
  }

  /** After the records of a poll. */
  refresh(): void {
    if (this.#pupils !== null) this.#grows(this.#pupils.newestNs);
    if (this.#stale) this.#walk(NOTHING);
    this.#stale = false;
  }

  /** A listener begins. */
  listening({ owner: { pid, listener_ino }, netns, ends, timestamp }: Event): void {
    // Often another process has it a moment later, and serves it; none has the tool's.
    if (pid !== this.#own) this.#stale = true;
    if (this.#begun.size >= BEGUN_MAX) this.#begun.clear();
    const begun = { holder: { pid, tid: pid }, atNs: Number(timestamp) };
    this.#begun.set(portOf(netns, ends.sport), begun);
    if (listener_ino !== 0) this.#begun.set(listener_ino, begun);
    this.#pupils?.forgetHolders();
  }

  handshake({ netns, ends, owner: { listener_ino: listener }, timestamp }: Event): Handshake {
    const atNs = Number(timestamp);
    const port = portOf(netns, ends.sport);
    this.#grows(atNs);
    const walk = this.#walks.find(({ endedNs }) => endedNs <= atNs);
    const begun = this.#begun.get(listener || port);
    const before =
      begun !== undefined && begun.atNs <= atNs && begun.atNs >= (walk?.beganNs ?? 0)
        ? [begun.holder]
        : holdersIn(walk, listener, port);
    return { listener, port, atNs, before };
  }

  /** A handshake was done at this time. */
  #grows(atNs: number): void {
    if (atNs - (this.#walks[0]?.beganNs ?? -Infinity) > STALE_NS) this.#stale = true;
  }

  /** Of connections that somebody has accepted by now, by inode; `null`: to be asked again later. */
  ofAccepted(accepted: ReadonlyMap<number, Handshake>, last: boolean): Map<number, Owner> | null {
    const walk = this.#walk({ ...askedFor(accepted), last });
    if (walk === null) return null;
    const owners = new Map<number, Owner>();
    for (const [ino, handshake] of accepted) {
      const holder = this.#acceptor(handshake, walk, walk.accepted.get(ino) ?? []);
      const owner = holder && this.#source.owner(holder);
      if (owner !== null) owners.set(ino, owner);
    }
    return owners;
  }

  /** Of a connection that is over, where this process has closed it (0: nobody is known); "closer": that one. */
  ofClosed(handshake: Handshake, closer: number, closedNs: number): Owner | "closer" | null {
    const witnesses = closer === 0 ? [] : [{ pid: closer, tid: closer }];
    if (has(handshake.before, closer)) {
      this.#teach(handshake.listener, closer);
      return "closer";
    }
    const newest = this.#walks[0];
    const walk =
      newest !== undefined && newest.beganNs >= closedNs
        ? newest
        : this.#walk({ ...askedFor(new Map([[0, handshake]])), accepted: new Set() });
    const holder = walk && this.#acceptor(handshake, walk, witnesses);
    if (holder === null) return null;
    return holder.pid === closer ? "closer" : this.#source.owner(holder);
  }

  #teach(listener: number, pid: number): void {
    if (this.#pupils === null || listener === 0) return;
    const sinceNs = this.#heldSince(listener, pid);
    if (sinceNs !== null) this.#pupils.teach(listener, pid, sinceNs);
  }

  /** From when on a handshake of this listener has the process in `before`; `null`: a new one has not. */
  #heldSince(listener: number, pid: number): number | null {
    const begun = this.#begun.get(listener);
    let since: number | null = null;
    for (const walk of this.#walks) {
      const isNewer = begun !== undefined && begun.atNs >= walk.beganNs;
      const holders = isNewer ? [begun.holder] : holdersIn(walk, listener, "");
      if (!has(holders, pid)) return since;
      since = isNewer ? Math.max(begun.atNs, walk.endedNs) : walk.endedNs;
      // Before it began, the walk alone tells.
      if (since > walk.endedNs) return since;
    }
    return since;
  }

  /** `witnesses`: who has the accepted socket, or closed it. */
  #acceptor(
    { listener, port, atNs, before }: Handshake,
    walk: Walk,
    witnesses: readonly Holder[],
  ): Holder | null {
    const after = holdersIn(walk, listener, port);
    const [sole] = after;
    const alone = before.length === 1 && after.length === 1 && before[0]!.pid === sole!.pid;
    // Of the same port there may be another listener, and a program can direct connections to any.
    if (alone && walk.whole && listener !== 0)
      return witnesses.find(({ pid }) => pid === sole!.pid) ?? sole!;
    const able = witnesses.filter(
      (holder) =>
        has(before, holder.pid) || (has(after, holder.pid) && this.#isOlder(holder, atNs)),
    );
    return able.length === 1 ? able[0]! : null;
  }

  /** A process that was born after the handshake may be the acceptor's child, which has all that its parent had. */
  #isOlder(holder: Holder, atNs: number): boolean {
    const owner = this.#source.owner(holder);
    return owner !== null && Number(owner.startedNs + START_NS) <= atNs;
  }

  #walk(asked: Asked): Walk | null {
    const walk = this.#source.walk(asked);
    if (walk === null) return null;
    const known = walk.whole ? walk : joined(this.#walks[0], walk);
    this.#walks = [{ ...known, accepted: new Map() }, ...this.#walks].slice(0, WALKS);
    this.#forgetBegun(known);
    this.#pupils?.forgetHolders();
    return walk;
  }

  /** Of older listeners a walk knows more than who began them. */
  #forgetBegun({ whole }: Walk): void {
    if (!whole) return;
    const oldest = this.#walks.at(-1)!.beganNs;
    for (const [ino, { atNs }] of this.#begun) if (atNs < oldest) this.#begun.delete(ino);
  }
}

// --- internal ---

type Pupils = Pick<Handshakes, "newestNs" | "teach" | "forgetHolders">;

const NOTHING: Asked = {
  accepted: new Set(),
  listeners: new Set(),
  sinceNs: Number.MAX_SAFE_INTEGER,
  likely: new Set(),
};

const has = (holders: readonly Holder[], of: number): boolean =>
  holders.some(({ pid }) => pid === of);

const holdersIn = (walk: Walk | undefined, listener: number, port: string): readonly Holder[] =>
  (listener === 0 ? walk?.listeners.get(port) : walk?.holders.get(listener)) ?? [];

function askedFor(accepted: ReadonlyMap<number, Handshake>): Asked {
  const handshakes = [...accepted.values()];
  return {
    accepted: new Set(accepted.keys()),
    listeners: new Set(handshakes.map(({ listener }) => listener).filter((ino) => ino !== 0)),
    sinceNs: Math.min(...handshakes.map(({ atNs }) => atNs)),
    likely: new Set(handshakes.flatMap(({ before }) => before.map(({ pid }) => pid))),
  };
}

/** A walk about some sockets, with what an earlier one knew of other listeners. */
function joined(former: Walk | undefined, walk: Walk): Walk {
  const holders = new Map(former?.holders);
  for (const [ino, of] of walk.holders) holders.set(ino, of);
  if (holders.size > BEGUN_MAX) holders.clear();
  return { ...walk, holders };
}
