/** The truth about translation, from the names of both sockets and from conntrack's table, and the comparison with events. */
import { runIn } from "./nat_network.ts";
import type { Link, Names } from "./nat_sockets.ts";
import type { Endpoint } from "./peer.ts";
import type { Event, Tracer } from "./tracer.ts";

/** As `trace --json` tells it; `false`: nothing is translated, `null`: not known. */
export type Nat = { local: Endpoint | null; remote: Endpoint | null } | false | null;

/** `exact or unknown`: it depends on moments that no test can set. An answer that is told must be right. */
export type Answer = "exact" | "unknown" | "exact or unknown";

/** One end of a connection or a flow, and what its events must say. */
export interface Side extends Names {
  opened: "connect" | "accept" | "begin" | "fail";
  nat: Nat;
  /** As true as `nat`. */
  or?: Nat;
  answer: Answer;
}

/** Both ends, and what the other end's names say about each. */
export function sidesOf({ protocol, client, server }: Link, answer: Answer): Side[] {
  const [asks, answers] =
    protocol === "tcp" ? (["connect", "accept"] as const) : (["begin", "begin"] as const);
  return [
    { ...client, opened: asks, nat: seenBy(client, server), answer },
    { ...server, opened: answers, nat: seenBy(server, client), answer },
  ];
}

/**
 * Of ends that have the same names one after the other, only the last one is certain where the table is asked: two that begin
 * within one poll cannot be told apart by it, and one entry may have gone in between.
 */
export function repeatedAreHardToAsk(sides: readonly Side[]): Side[] {
  const last = new Map(sides.map((side) => [text(side), side]));
  return sides.map((side) =>
    last.get(text(side)) === side || side.answer !== "exact"
      ? side
      : { ...side, answer: "exact or unknown" },
  );
}

/** Events by what they told: the truth, nothing, or something else. */
export interface Tally {
  right: number;
  unknown: number;
  wrong: number;
}

/** Compares both events of each side; gives what is not as it must be, in words. */
export async function misjudged(
  tracer: Tracer,
  sides: readonly Side[],
  tally: Tally = { right: 0, unknown: 0, wrong: 0 },
): Promise<string[]> {
  const wrong: string[] = [];
  for (const side of sides) {
    const kinds = side.opened === "fail" ? (["fail"] as const) : ([side.opened, "close"] as const);
    for (const kind of kinds) {
      const event = await tracer.take(kind, side);
      const nat = natIn(event);
      // A datagram is told before the packet meets any rule.
      const answer = kind === "begin" && side.answer === "exact" ? "exact or unknown" : side.answer;
      const truths = [side.nat, side.or ?? side.nat];
      tally[told(nat, truths)]++;
      if (!truths.some((truth) => isRight(nat, truth, answer)))
        wrong.push(
          `${kind} ${text(side)}: ${answer} ${JSON.stringify(side.nat)}, not ${JSON.stringify(nat)}`,
        );
    }
  }
  return wrong;
}

/** The entries of conntrack in the router and in p3: what becomes of the tuple that a client has, by both tables. */
export function tableOfConntrack(): (link: Link) => string {
  const tables = (["p3", "root"] as const).map((place) => entriesOf(place));
  return (link) => tables.reduce((tuple, entries) => entries.get(tuple) ?? tuple, asked(link));
}

/** The tuple of the client's first packet. */
export const asked = ({ protocol, client: { local, remote } }: Link): string =>
  tupleText(protocol, local, remote);

/** The tuple of that packet as the server's socket has it. */
export const arrived = ({ protocol, server: { local, remote } }: Link): string =>
  tupleText(protocol, remote, local);

/** A line of conntrack(8): the tuple of the first packet, and the tuple that the answering socket has. */
export function changeOf(line: string): [string, string] | null {
  const protocol = /\b(tcp|udp)\b/.exec(line)?.[1];
  const found = [...line.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g)];
  if (protocol === undefined || found.length !== 2) return null;
  const [first, answer] = found as [RegExpExecArray, RegExpExecArray];
  const [, src, dst, sport, dport] = first;
  const [, by, to, byPort, toPort] = answer;
  return [
    tupleText(protocol, { address: src!, port: sport! }, { address: dst!, port: dport! }),
    tupleText(protocol, { address: to!, port: toPort! }, { address: by!, port: byPort! }),
  ];
}

// --- internal ---

interface Text {
  address: string;
  port: number | string;
}

/** A TCP connection and a UDP flow may have the same addresses and ports: the protocol tells them apart. */
const tupleText = (protocol: string, source: Text, destination: Text): string =>
  `${protocol} ${source.address} ${source.port} > ${destination.address} ${destination.port}`;

function seenBy(own: Names, other: Names): Nat {
  const local = differs(other.remote, own.local) ? other.remote : null;
  const remote = differs(other.local, own.remote) ? other.local : null;
  return local === null && remote === null ? false : { local, remote };
}

const differs = (a: Endpoint, b: Endpoint): boolean => a.address !== b.address || a.port !== b.port;

function told(nat: Nat | undefined, truths: readonly Nat[]): keyof Tally {
  if (nat === null) return "unknown";
  return truths.some((truth) => isRight(nat, truth, "exact")) ? "right" : "wrong";
}

function isRight(nat: Nat | undefined, truth: Nat, answer: Answer): boolean {
  if (nat === undefined) return false;
  if (nat === null) return answer !== "exact";
  return answer !== "unknown" && JSON.stringify(plain(nat)) === JSON.stringify(plain(truth));
}

/** With its members in one order. */
const plain = (nat: Nat): unknown =>
  nat && [nat.local, nat.remote].map((end) => end && `${end.address} ${end.port}`);

const natIn = (event: Event): Nat | undefined => event.nat;

const text = ({ local, remote, netns }: Names): string =>
  `${local.address}:${local.port} -> ${remote.address}:${remote.port} in netns ${netns}`;

/** By the tuple of the first packet: the tuple that the answering socket has. */
function entriesOf(place: "root" | "p3"): Map<string, string> {
  const lines = ["ipv4", "ipv6"].flatMap((family) =>
    runIn(place, ["conntrack", "-L", "-f", family]).split("\n"),
  );
  return new Map(lines.map(changeOf).filter((change) => change !== null));
}
