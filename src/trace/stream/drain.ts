/** Everything the programs have sent since the last time: from the rings, and what these did not take. */
import type { KernelObject } from "../../kernel/object.ts";
import type { PerfRings, Shim } from "../../kernel/shim.ts";
import {
  Counter,
  eventSize,
  EventView,
  readEvent,
  readSpillKey,
  spillKeySize,
  traceEntries,
  type Event,
} from "../../record/layout.gen.ts";
import { EventQueue } from "./queue.ts";

export interface Drain {
  /** In the order of time. */
  (): Event[];
  /** The same to the end of a queue, as they are. */
  into(queue: EventQueue): void;
  /** Records that found no room, as the rings tell. */
  lost(): number;
}

export function drainer(shim: Shim, object: KernelObject, rings: PerfRings): Drain {
  const takeSpilled = spillReader(shim, object);
  let lost = 0;
  let refreshedAt = performance.now();
  const emptyRings = (queue: EventQueue) => {
    for (;;) {
      const room = queue.room(LEAST_ROOM);
      const { bytes, lost: more } = shim.ringsDrain(rings, room);
      lost += more;
      queue.filled(bytes);
      // Room that was not filled means that the rings were empty.
      if (bytes < room.length - LEAST_ROOM / 2) break;
    }
  };
  const into = (queue: EventQueue) => {
    // Full rings would not take what waits for them.
    emptyRings(queue);
    if (shim.ringsCollect(rings)) emptyRings(queue);
    const cpus = takeSpilled(queue);
    for (const cpu of cpus) shim.ringsRevive(rings, cpu);
    if (performance.now() - refreshedAt > REFRESH_EVERY_MS) {
      refreshedAt = performance.now();
      shim.ringsRefresh(rings);
    }
  };
  const own = new EventQueue();
  const all = () => {
    const events: Event[] = [];
    into(own);
    own.take(Infinity, (view, p) => void events.push(readEvent(view, p)));
    return events;
  };
  return Object.assign(all, { into, lost: () => lost });
}

// --- internal ---

/** Many records: a drain ends with the first one that has no room. */
const LEAST_ROOM = 64 << 10;
/** How often to look for CPUs that came online: it reads a file of sysfs. */
const REFRESH_EVERY_MS = 1000;

/**
 * Adds the events that are in the spill, takes them out of it, and returns the CPUs they come from. To find an empty map
 * empty is a walk over all its buckets: the counter says whether there is something to be found.
 */
function spillReader(shim: Shim, object: KernelObject): (queue: EventQueue) => Set<number> {
  const [fd, lossesFd] = [object.mapFd("spill"), object.mapFd("losses")];
  const cause = Uint32Array.of(Counter.COUNTER_EVENT_SPILLED);
  const spilled = new BigUint64Array(1);
  let taken = 0n;
  const key = new Uint8Array(spillKeySize);
  const keyView = new DataView(key.buffer);
  return (queue) => {
    const cpus = new Set<number>();
    shim.mapLookup(lossesFd, cause, spilled);
    const now = spilled[0]!;
    if (now === taken) return cpus;
    // No more than it holds: others may fill it as fast as it is read.
    let left: number = traceEntries.spill;
    for (; left > 0 && shim.mapNextKey(fd, null, key); left--) {
      const value = new Uint8Array(eventSize);
      if (shim.mapLookup(fd, key, value)) queue.push(new EventView(new DataView(value.buffer), 0));
      cpus.add(readSpillKey(keyView, 0).cpu);
      shim.mapDelete(fd, key);
    }
    // An event is in the map before it is counted, so this one was found empty of all that were counted.
    if (left > 0) taken = now;
    return cpus;
  };
}
