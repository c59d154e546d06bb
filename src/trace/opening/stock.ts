/** Takes stock of what is there already: each part does so in each network namespace of the host that has sockets. */
import { parsePortRange } from "../../conn/direction.ts";
import {
  inNamespace,
  localPortRange,
  networkNamespaces,
  type Namespace,
} from "../../kernel/namespaces.ts";
import { NetFiles, type PathOf } from "../../kernel/net_files.ts";
import { readListeners, readRows } from "../../kernel/proc_net.ts";
import { socketCounts, TABLES } from "../../kernel/sockstat.ts";
import type { Event } from "../../record/layout.gen.ts";
import type { Held } from "../held.ts";
import type { Opened, Part, Pieces, Place, Stocktaking } from "../part.ts";

export interface Stock {
  /** Drains, and returns the events that had to wait for the stocktaking. */
  waiting(): Event[];
  /** Drains now and then; to be called all the time. */
  between(): void;
}

/**
 * Returns the events that had to wait and those of what was found, described; not in order. In pieces, so that the trace tells
 * meanwhile what happens: on a host with many sockets or namespaces it takes seconds.
 */
export function* takeStock(on: Opened, parts: readonly Part[], stock: Stock): Pieces<Event[]> {
  const takers: Stocktaking[] = [];
  const { between } = stock;
  let held: Held | null = null;
  try {
    for (const part of parts) {
      const walk: Pieces<Held | null> | null = (held === null && part.walk?.(on)) || null;
      if (walk) held = yield* walk;
    }
    for (const part of parts) if (part.takesStock) takers.push(part.takesStock(on, held));
    const files = new NetFiles(on.host.shim);
    const left = yield* eachNamespace(({ netns }) =>
      files.within(netns, (pathOf) => (visit(netns, pathOf, held, takers, between), true)),
    );
    if (left > 0) on.notes.push(notEntered(left));
  } finally {
    for (const taker of takers) taker[Symbol.dispose]?.();
  }
  let events = stock.waiting();
  for (const event of held?.told ?? []) events.push(event);
  for (const { found = [] } of takers) for (const event of found) events.push(event);
  yield;
  for (const taker of takers) {
    const described = taker.describe?.(events, between) ?? events;
    events = Array.isArray(described) ? described : yield* described;
  }
  return events;
}

// --- internal ---

/**
 * Returns how many could not be entered, or for which `work` returned null. A process that stood for its namespace may have
 * ended: others may be in it.
 */
function* eachNamespace(work: (place: Namespace) => true | null): Pieces<number> {
  function* tried(places: readonly Namespace[]): Pieces<Namespace[]> {
    const failed: Namespace[] = [];
    for (const place of places) {
      if (inNamespace(place, () => work(place)) === null) failed.push(place);
      yield;
    }
    return failed;
  }
  const missed = new Set((yield* tried(networkNamespaces())).map(({ netns }) => netns));
  if (missed.size === 0) return 0;
  yield* tried(networkNamespaces().filter(({ netns }) => missed.delete(netns)));
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
  between: () => void,
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
  const heldOrListening: Place["heldOrListening"] = (table) => [
    ...(held?.rows(netns, table) ?? []),
    ...(tables.has(table) ? readListeners(pathOf(table)) : []),
  ];
  for (const taker of takers)
    taker.visit({ netns, ephemeral, tables, rows, heldOrListening }, between);
}

function notEntered(count: number): string {
  const which = count === 1 ? "1 network namespace has" : `${count} network namespaces have`;
  return `${which} ended meanwhile, or cannot be entered: connections older than the trace are not listed there`;
}
