/**
 * The endpoints of servers, with the protocols that the last connections to each were seen to speak. On a busy host not every
 * connection is looked at; one that is not is named after its endpoint, where all the last ones agree. Of an endpoint the two
 * ends of its connections are apart: one of them may tell less. Pure.
 */
import type { TracedEvent } from "../../conn/identity.ts";
import {
  ConnDirection,
  ConnFact,
  EndpointSlot,
  EVENT_DIRECTION,
  EVENT_ENDS_DADDR_H,
  EVENT_ENDS_DPORT,
  EVENT_ENDS_SADDR_H,
  EVENT_ENDS_SPORT,
  EVENT_NETNS,
  EVENT_STARTED_AT,
  Verdict,
  type EventView,
} from "../../record/layout.gen.ts";
import { EndpointTable } from "./endpoint_table.ts";
import { commonOf, numberOf, stackAt, type Application } from "../../protocols/stack.ts";

/** Connections that must agree before others are named after them. */
export const AGREEING = 16;
/** One of them began no longer than this before the one that is named: servers change. */
const FRESH_NS = 2e9;
/** The oldest goes first. */
const MOST = 8192;

const { VERDICT_NONE, VERDICT_ALIKE, VERDICT_MIXED } = Verdict;

interface Endpoint {
  /** See endpoint_of() in bpf/protocols/gate.h. */
  hash: number;
  netns: number;
  port: number;
  /** The words of the address and the end; another endpoint may have the same key. */
  words: readonly number[];
  /** Of the last connections that were looked at; `null`: none was recognised. */
  seen: (Application | null)[];
  next: number;
  /** The layers in which all of them are alike. */
  common: Application | null;
  /** The beginnings of the first and the newest of these connections. */
  sinceNs: number;
  newestNs: number;
  /** As the kernel side was told. */
  verdict: Verdict;
}

export class Endpoints {
  readonly #tell: (hash: number, verdict: Verdict) => void;
  readonly #most: number;
  readonly #byKey = new Map<number, Endpoint>();
  readonly #table = new EndpointTable();

  /** `tell`: how many looks will do. */
  constructor(tell: (hash: number, verdict: Verdict) => void, most = MOST) {
    this.#tell = tell;
    this.#most = most;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The endpoints after which connections are named, for others. */
  get table(): EndpointTable {
    return this.#table;
  }

  /** The connection of the struct event at `p` was looked at. `hash`: that of its endpoint; 0: not known. */
  saw(view: DataView, p: number, hash: number, application: Application | null): void {
    const at = wordsAt(view, p);
    const startedNs = startAt(view, p);
    if (at === 0 || hash === 0 || startedNs === 0) return;
    const endpoint = this.#find(view, p, at) ?? this.#add(view, p, at, startedNs);
    endpoint.hash = hash;
    endpoint.seen[endpoint.next] = application;
    endpoint.next = (endpoint.next + 1) % AGREEING;
    endpoint.newestNs = Math.max(endpoint.newestNs, startedNs);
    const agree = endpoint.seen.length === AGREEING;
    this.#name(keyAt(view, p, at), endpoint, agree ? commonOf(endpoint.seen) : null);
    if (!agree) return;
    const isSilent = endpoint.seen.every((one) => one === null);
    this.#judge(endpoint, isSilent || endpoint.common !== null ? VERDICT_ALIKE : VERDICT_MIXED);
  }

  /** After its endpoint, the protocols of a connection that was not looked at, whose event lies at `p`; `null`: not known. */
  of(view: DataView, p: number): Application | null {
    if (this.#byKey.size === 0) return null;
    const at = wordsAt(view, p);
    const endpoint = at === 0 ? null : this.#find(view, p, at);
    if (endpoint === null || endpoint.common === null) return null;
    const startedNs = startAt(view, p);
    const isCovered = startedNs >= endpoint.sinceNs && startedNs - endpoint.newestNs <= FRESH_NS;
    return isCovered ? endpoint.common : null;
  }

  /** A server begins, or is gone: what was spoken at this port before says nothing any more. 0: the port is not known yet. */
  forget(netns: number, port: number): void {
    for (const [key, endpoint] of this.#byKey) {
      if (endpoint.netns !== netns || (port !== 0 && endpoint.port !== port)) continue;
      this.#judge(endpoint, VERDICT_NONE);
      this.#name(key, endpoint, null);
      this.#byKey.delete(key);
    }
  }

  #name(key: number, endpoint: Endpoint, common: Application | null): void {
    endpoint.common = common;
    if (common === null) return this.#table.delete(key);
    const { netns, port, words, sinceNs, newestNs } = endpoint;
    this.#table.set(key, {
      netns,
      port,
      end: words[4]!,
      address: new Uint8Array(Int32Array.from(words.slice(0, 4)).buffer),
      since: sinceNs,
      until: newestNs + FRESH_NS,
      speaks: numberOf(common),
    });
  }

  #judge(endpoint: Endpoint, verdict: Verdict): void {
    if (endpoint.verdict === verdict) return;
    endpoint.verdict = verdict;
    this.#tell(endpoint.hash, verdict);
  }

  #find(view: DataView, p: number, at: number): Endpoint | null {
    const endpoint = this.#byKey.get(keyAt(view, p, at));
    if (endpoint === undefined) return null;
    const { netns, port, words } = endpoint;
    const isSame =
      view.getUint32(p + EVENT_NETNS, true) === netns &&
      portAt(view, p, at) === port &&
      words[4] === at &&
      words[0] === view.getInt32(p + at, true) &&
      words[1] === view.getInt32(p + at + 4, true) &&
      words[2] === view.getInt32(p + at + 8, true) &&
      words[3] === view.getInt32(p + at + 12, true);
    return isSame ? endpoint : null;
  }

  /** In place of another one with the same key. */
  #add(view: DataView, p: number, at: number, startedNs: number): Endpoint {
    const endpoint: Endpoint = {
      hash: 0,
      netns: view.getUint32(p + EVENT_NETNS, true),
      port: portAt(view, p, at),
      words: [...[0, 4, 8, 12].map((word) => view.getInt32(p + at + word, true)), at],
      seen: [],
      next: 0,
      common: null,
      sinceNs: startedNs,
      newestNs: startedNs,
      verdict: VERDICT_NONE,
    };
    const key = keyAt(view, p, at);
    const other = this.#byKey.get(key);
    if (other !== undefined) this.#name(key, other, null);
    this.#byKey.delete(key);
    this.#byKey.set(key, endpoint);
    if (this.#byKey.size > this.#most) {
      const [oldest, first] = this.#byKey.entries().next().value!;
      this.#byKey.delete(oldest);
      this.#name(oldest, first, null);
      this.#tell(first.hash, VERDICT_NONE);
    }
    return endpoint;
  }
}

/** Names a connection as its record tells: see endpoint_speaks in bpf/record.h. */
export function nameByRecord(
  shown: TracedEvent,
  { endpoint_speaks, flags }: Pick<EventView, "endpoint_speaks" | "flags">,
): void {
  nameAfter(shown, stackAt(endpoint_speaks));
  if ((flags & ConnFact.FACT_SEEN) !== 0) shown.protocolSource = "seen";
}

/** `null`: its endpoint tells nothing. */
export function nameAfter(shown: TracedEvent, application: Application | null): void {
  if (application === null) return;
  shown.application = application;
  shown.protocolSource = "endpoint";
}

// --- internal ---

/** Where the address of the server's end lies, behind `p`; 0: which end is the server's is not known. */
function wordsAt(view: DataView, p: number): number {
  const direction = view.getUint8(p + EVENT_DIRECTION);
  if (direction === ConnDirection.DIRECTION_INCOMING) return EVENT_ENDS_SADDR_H;
  return direction === ConnDirection.DIRECTION_OUTGOING ? EVENT_ENDS_DADDR_H : 0;
}

const portAt = (view: DataView, p: number, at: number): number =>
  view.getUint16(p + (at === EVENT_ENDS_SADDR_H ? EVENT_ENDS_SPORT : EVENT_ENDS_DPORT), true);

/** 0: older than the trace. */
const startAt = (view: DataView, p: number): number =>
  view.getUint32(p + EVENT_STARTED_AT, true) +
  view.getUint32(p + EVENT_STARTED_AT + 4, true) * 2 ** 32;

const { ENDPOINT_FIRST: FIRST, ENDPOINT_SECOND: SECOND, ENDPOINT_THIRD: THIRD } = EndpointSlot;

/** As endpoint_key() of src/kernel/shim/lines.c. */
function keyAt(view: DataView, p: number, at: number): number {
  let key = at ^ (portAt(view, p, at) << 8);
  key = Math.imul(key ^ view.getInt32(p + EVENT_NETNS, true), FIRST);
  key = Math.imul(key ^ (key >>> 15) ^ view.getInt32(p + at, true), SECOND);
  key = Math.imul(key ^ (key >>> 13) ^ view.getInt32(p + at + 4, true), THIRD);
  key = Math.imul(key ^ (key >>> 16) ^ view.getInt32(p + at + 8, true), FIRST);
  return Math.imul(key ^ (key >>> 15) ^ view.getInt32(p + at + 12, true), SECOND);
}
