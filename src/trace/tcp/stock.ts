/** Takes stock of TCP: asks /proc in each network namespace for the owners of open connections and for their directions. */
import { readTables } from "../../kernel/proc_net.ts";
import { allPids, findOwners } from "../../kernel/owners.ts";
import { ConnFact, EventKind, type Event } from "../../record/layout.gen.ts";
import type { Opened, Stocktaking } from "../part.ts";
import { Census } from "./census.ts";

export function takeStock({ tgid }: Opened): Stocktaking {
  const census = new Census();
  return {
    visit({ netns, ephemeral, tables }, keep) {
      census.add(netns, readTables(tables, ["tcp", "tcp6"], keep), ephemeral);
    },
    describe: (events, between) => describe(events, census, tgid, between),
  };
}

// --- internal ---

/** Also the closes of connections that ended before they were listed: their direction is as unknown. */
const isOlder = ({ kind, flags }: Event): boolean =>
  kind === EventKind.EVENT_OPEN ||
  (kind === EventKind.EVENT_CLOSE && (flags & ConnFact.FACT_UNSEEN_OPEN) !== 0);

/** `between` adds events while it runs. */
function describe(
  events: readonly Event[],
  census: Census,
  tgid: number,
  between: () => void,
): Event[] {
  const older = events.filter(isOlder);
  // In a pid namespace /proc numbers processes otherwise than the events do.
  if (older.length > 0 && tgid === process.pid) {
    const inodes = new Set(older.map((event) => census.inodeOf(event)).filter((ino) => ino !== 0));
    census.setOwners(findOwners(inodes, allPids(), between));
  }
  return events.map((event) => (isOlder(event) ? census.describe(event) : event));
}
