/**
 * The translation of a connection on its way through this host, by asking tables of connection tracking: the table of the
 * socket's own network namespace, then the host's, with the tuple that came out of the first. Own first: of a connection
 * that is translated in both, the host's namespace never has the socket's tuple. Pure.
 */
import type { Endpoint, Translation } from "../../conn/event.ts";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../kernel/constants.ts";
import { turned, type ConntrackEntry, type Tuple } from "../../kernel/ctnetlink_codec.ts";
import { addressOfWords, isLoopback } from "../../record/address.ts";
import { ConnMetadata, type Event } from "../../record/layout.gen.ts";

/** `false`: known to be translated nowhere on this host; `null`: not known. */
export type Nat = Translation | false | null;

/** A connection that is asked for. */
export interface Asked {
  netns: number;
  /** That of the socket, its local end as the source. */
  tuple: Tuple;
  /**
   * Whether the other end has answered. An entry that says otherwise is of another connection with the same tuple. Left
   * out: not known.
   */
  answered?: boolean;
}

/**
 * Asks the table of one namespace. Returns for each tuple the tuple that comes out of the translation, the same one for a
 * plain connection; `null`: the table does not have it, or cannot be asked.
 */
export type Ask = (netns: number, asked: readonly Asked[]) => (Tuple | null)[];

/** `root`: the host's namespace; `null`: it cannot be told, so nothing is known to be plain. */
export function natOf(asked: readonly Asked[], root: number | null, ask: Ask): Nat[] {
  const own = askEach(asked, ask);
  const onward = asked.map((of, n): Asked | null => {
    const out = own[n] ?? of.tuple;
    return root === null || of.netns === root || staysInside(out)
      ? null
      : { ...of, netns: root, tuple: out };
  });
  const there = askEach(
    onward.filter((of) => of !== null),
    ask,
  ).values();
  return asked.map(({ netns, tuple }, n) => {
    const beyond = onward[n] === null ? null : there.next().value!;
    const last = beyond ?? own[n] ?? null;
    if (last === null) return null;
    const translation = translationOf(tuple, last);
    if (translation !== false) return translation;
    // The tables that its packets pass must all have said so.
    const isAll = beyond !== null || netns === root || staysInside(tuple);
    return isAll ? false : null;
  });
}

/** The tuple that comes out of the translation of `entry`; `null`: the entry is not about this connection. */
export function beyond(
  { orig, reply, status }: ConntrackEntry,
  { tuple, answered }: Asked,
): Tuple | null {
  if (answered !== undefined && status !== null && answered !== ((status & IPS_SEEN_REPLY) !== 0))
    return null;
  if (isSame(orig, tuple)) return turned(reply);
  return isSame(reply, tuple) ? turned(orig) : null;
}

/** The tuple of an event's connection; `null` where an end is not known. */
export function tupleOf({ ends }: Event): Tuple | null {
  if (ends.sport === 0 || ends.dport === 0) return null;
  const { metadata } = ends;
  const family = (metadata & ConnMetadata.METADATA_IPV6) !== 0 ? 6 : 4;
  const local = addressOfWords(ends.saddr_h, ends.saddr_l, family);
  const remote = addressOfWords(ends.daddr_h, ends.daddr_l, family);
  // One that is mapped and one that is not: the socket is not bound to an address.
  if (local.family !== remote.family) return null;
  return {
    protocol: (metadata & ConnMetadata.METADATA_TCP) !== 0 ? IPPROTO_TCP : IPPROTO_UDP,
    source: { ...local, port: ends.sport },
    destination: { ...remote, port: ends.dport },
  };
}

// --- internal ---

/** Of enum ip_conntrack_status. */
const IPS_SEEN_REPLY = 2;

/** With one call for all of a namespace. */
function askEach(asked: readonly Asked[], ask: Ask): (Tuple | null)[] {
  const answers = asked.map((): Tuple | null => null);
  const places = Map.groupBy(asked.keys(), (n) => asked[n]!.netns);
  for (const [netns, at] of places) {
    const found = ask(
      netns,
      at.map((n) => asked[n]!),
    );
    for (const [i, n] of at.entries()) answers[n] = found[i] ?? null;
  }
  return answers;
}

/** Each end only where it differs; `false`: neither does. */
function translationOf(tuple: Tuple, beyond: Tuple): Translation | false {
  const local = differing(tuple.source, beyond.source);
  const remote = differing(tuple.destination, beyond.destination);
  return local === null && remote === null ? false : { local, remote };
}

const differing = (one: Tuple["source"], { address, port }: Tuple["source"]): Endpoint | null =>
  one.address === address && one.port === port ? null : { address, port };

const isSame = (one: Tuple, other: Tuple): boolean =>
  one.protocol === other.protocol &&
  differing(one.source, other.source) === null &&
  differing(one.destination, other.destination) === null;

/** Each namespace has a loopback of its own: the same tuple elsewhere is another connection. */
const staysInside = ({ source, destination }: Tuple): boolean =>
  isLoopback(source.address) || isLoopback(destination.address);
