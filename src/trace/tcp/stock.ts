/** Takes stock of TCP: the owners of open connections and their directions, from what each network namespace has. */
import { allPids, findOwners, ownerOf, type Owner } from "../../kernel/owners.ts";
import { ConnFact, EventKind, type Event } from "../../record/layout.gen.ts";
import type { Held } from "../held.ts";
import type { Opened, Stocktaking } from "../part.ts";
import { Census, type Owners } from "./census.ts";
import { visiting } from "./visit.ts";

export function takeStock(on: Opened, held: Held | null): Stocktaking {
  const { tgid } = on;
  const census = new Census();
  const inodeOf = (event: Event): number => held?.inodeOf(event) ?? census.inodeOf(event);
  return {
    visit({ netns, ephemeral, rows, heldOrListening }, keep) {
      // With kprobes to read the tables is to list them. Else a socket that nobody holds tells a direction if it listens.
      const rowsOf = (table: "tcp" | "tcp6") =>
        held !== null && on.mode === "tracepoint" ? heldOrListening(table) : rows(table, keep);
      census.add(netns, [...rowsOf("tcp"), ...rowsOf("tcp6")], ephemeral);
    },
    *describe(events, between) {
      // In a pid namespace /proc numbers processes otherwise than the events do.
      const isNumbered = tgid === process.pid;
      if (isNumbered && held?.trusted) census.setOwners(ownersOf(held, between));
      else if (isNumbered && events.some(isOlder)) {
        const inodes = new Set(events.filter(isOlder).map((event) => inodeOf(event)));
        inodes.delete(0);
        yield;
        census.setOwners(visiting(on, () => findOwners(inodes, allPids(), between)));
      }
      const described: Event[] = [];
      for (const [n, event] of events.entries()) {
        described.push(isOlder(event) ? census.describe(event, held?.inodeOf(event)) : event);
        if (n % DESCRIBED_AT_ONCE === 0) yield;
      }
      return described;
    },
  };
}

// --- internal ---

const DESCRIBED_AT_ONCE = 512;

/** Also the closes of connections that ended before they were listed: their direction is as unknown. */
const isOlder = ({ kind, flags }: Event): boolean =>
  kind === EventKind.EVENT_OPEN ||
  (kind === EventKind.EVENT_CLOSE && (flags & ConnFact.FACT_UNSEEN_OPEN) !== 0);

/** As `findOwners`, without a search: each process is looked at once, when the first of its sockets is asked for. */
function ownersOf(held: Held, between: () => void): Owners {
  const known = new Map<number, Owner | undefined>();
  return {
    get(ino) {
      const holder = held.holderOf(ino);
      if (holder === null) return undefined;
      if (!known.has(holder.tid)) {
        between();
        known.set(holder.tid, ownerOf(holder) ?? undefined);
      }
      return known.get(holder.tid);
    },
  };
}
