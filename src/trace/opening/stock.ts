/** Takes stock of what is there already: each part does so in each network namespace of the host that has sockets. */
import { parsePortRange } from "../../conn/direction.ts";
import {
  inNamespace,
  localPortRange,
  networkNamespaces,
  type Namespace,
} from "../../kernel/namespaces.ts";
import { NetFiles, type PathOf } from "../../kernel/net_files.ts";
import { readRows } from "../../kernel/proc_net.ts";
import { socketCounts, TABLES } from "../../kernel/sockstat.ts";
import type { Event } from "../../record/layout.gen.ts";
import type { Held } from "../held.ts";
import { meanwhile } from "../meanwhile.ts";
import type { Opened, Part, Place, Stocktaking } from "../part.ts";

/** Everything that was drained since the opening, and what was found, described; not in order. */
export function takeStock(on: Opened, parts: readonly Part[]): Event[] {
  const takers: Stocktaking[] = [];
  let events: Event[] = [];
  const keep = () => {
    for (const event of on.drain()) events.push(event);
  };
  let held: Held | null = null;
  try {
    for (const part of parts) held ??= part.walk?.(on, keep) ?? null;
    for (const part of parts) if (part.takesStock) takers.push(part.takesStock(on, held));
    const files = new NetFiles(on.host.shim);
    const left = eachNamespace(({ netns }) =>
      files.within(netns, (pathOf) => (visit(netns, pathOf, held, takers, keep), true)),
    );
    if (left > 0) on.notes.push(notEntered(left));
  } finally {
    for (const taker of takers) taker[Symbol.dispose]?.();
  }
  keep();
  for (const event of held?.told ?? []) events.push(event);
  for (const { found = [] } of takers) for (const event of found) events.push(event);
  const between = meanwhile(keep);
  for (const taker of takers) events = taker.describe?.(events, between) ?? events;
  return events;
}

// --- internal ---

/**
 * Returns how many could not be entered, or for which `work` returned null. A process that stood for its namespace may have
 * ended: others may be in it.
 */
function eachNamespace(work: (place: Namespace) => true | null): number {
  const tried = (places: readonly Namespace[]): Namespace[] =>
    places.filter((place) => inNamespace(place, () => work(place)) === null);
  const missed = new Set(tried(networkNamespaces()).map(({ netns }) => netns));
  if (missed.size === 0) return 0;
  tried(networkNamespaces().filter(({ netns }) => missed.delete(netns)));
  return missed.size;
}

/**
 * A table of the kernel is read only if it has sockets that the walk did not find: to read one is to walk over the sockets of
 * all namespaces. A namespace without sockets costs as good as nothing.
 */
function visit(
  netns: number,
  pathOf: PathOf,
  held: Held | null,
  takers: readonly Stocktaking[],
  keep: () => void,
): void {
  const counts = socketCounts(pathOf);
  if (counts !== null && TABLES.every((table) => counts[table] === 0)) return;
  const lacking =
    counts === null
      ? TABLES
      : TABLES.filter((table) => counts[table] > (held?.count(netns, table) ?? 0));
  const tables = new Set(lacking);
  const ephemeral = parsePortRange(localPortRange()) ?? undefined;
  const rows: Place["rows"] = (table, afterPage) =>
    tables.has(table) ? readRows(pathOf(table), afterPage) : (held?.rows(netns, table) ?? []);
  for (const taker of takers) taker.visit({ netns, ephemeral, tables, rows }, keep);
}

function notEntered(count: number): string {
  const which = count === 1 ? "1 network namespace has" : `${count} network namespaces have`;
  return `${which} ended meanwhile, or cannot be entered: connections older than the trace are not listed there`;
}
