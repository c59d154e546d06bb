/**
 * The start: one GET of ctnetlink for each connection that is open, in the namespace of its socket and in the host's. Never
 * a dump: a GET costs the same however many entries there are. To be done while the tool may still enter namespaces.
 */
import { ENOENT } from "../../kernel/constants.ts";
import { textOf } from "../../kernel/text_file.ts";
import { conntrackIsThere, Ctnetlink, ctnetlinkIsThere } from "../../kernel/ctnetlink.ts";
import { getEntry, type Tuple } from "../../kernel/ctnetlink_codec.ts";
import { errnoName } from "../../kernel/libc.ts";
import {
  hostNamespace,
  inNamespace,
  networkNamespaces,
  type Namespace,
} from "../../kernel/namespaces.ts";
import { REQUESTS_AT_ONCE } from "../../kernel/netlink.ts";
import { beyond, natOf, type Asked, type Nat } from "./ask.ts";

export interface Start {
  nat: Nat[];
  /** Why some could not be asked for, for the user; `null`: all were. */
  refused: string | null;
}

/** One namespace's table has told what comes out of the translation of a tuple. */
export type Heard = (netns: number, tuple: Tuple, out: Tuple) => void;

/** `between` is called all the time. */
export function askAtStart(
  asked: readonly Asked[],
  between: () => void,
  heard: Heard = () => {},
): Start {
  const unknown = { nat: asked.map(() => null) };
  if (asked.length === 0 || !conntrackIsThere()) return { ...unknown, refused: null };
  const root = hostNamespace();
  const places = namespacesOf(asked, root);
  let refused: string | null = null;
  const nat = natOf(asked, root?.netns ?? null, (netns, of) => {
    const place = places.get(netns);
    const answers = place === undefined ? null : inNamespace(place, () => askHere(of, between));
    if (Array.isArray(answers)) {
      for (const [n, out] of answers.entries()) if (out !== null) heard(netns, of[n]!.tuple, out);
      return answers;
    }
    if (answers !== null) refused = answers;
    return [];
  });
  return { nat, refused };
}

/** Asks the calling thread's namespace, and closes the socket: an open one would keep the namespace alive. */
export function askHere(asked: readonly Asked[], between: () => void): (Tuple | null)[] | string {
  if (!hasEntries()) return [];
  // Only now: where there are no modules, it is to read all of /proc/kallsyms.
  if (!ctnetlinkIsThere()) return "the module nf_conntrack_netlink is not loaded";
  const opened = Ctnetlink.open();
  if (typeof opened === "number") return `socket(NETLINK_NETFILTER): ${errnoName(opened)}`;
  using conntrack = opened;
  const found: (Tuple | null)[] = [];
  for (let from = 0; from < asked.length; from += REQUESTS_AT_ONCE) {
    const batch = asked.slice(from, from + REQUESTS_AT_ONCE);
    const answers = conntrack.ask(batch.map(({ tuple }) => getEntry(tuple)));
    for (const [n, answer] of answers.entries()) {
      between();
      if (typeof answer === "number" && answer !== ENOENT) return `ctnetlink: ${errnoName(answer)}`;
      found.push(answer === null || typeof answer === "number" ? null : beyond(answer, batch[n]!));
    }
  }
  return found;
}

/** Whether the calling thread's namespace may have entries: most track nothing. */
export const hasEntries = (): boolean => countHere() !== 0;

// --- internal ---

function namespacesOf(
  asked: readonly Asked[],
  root: Namespace | null,
): ReadonlyMap<number, Namespace> {
  const wanted = new Set(asked.map(({ netns }) => netns));
  // To find them all takes a look at each process.
  const others = wanted.size > 1 || !wanted.has(root?.netns ?? -1) ? networkNamespaces() : [];
  return new Map([...others, ...(root === null ? [] : [root])].map((of) => [of.netns, of]));
}

/** Entries; `null`: not known, as in a namespace of a user namespace of its own. */
function countHere(): number | null {
  const count = textOf("/proc/sys/net/netfilter/nf_conntrack_count");
  return count === null ? null : Number(count);
}
