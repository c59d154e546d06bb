/** Everything the programs have sent since the last time: from the rings, and what these did not take. */
import type { KernelObject } from "../kernel/object.ts";
import type { PerfRings, Shim } from "../kernel/shim.ts";
import {
  eventSize,
  EventView,
  Loss,
  readSpillKey,
  spillKeySize,
  type Event,
} from "../record/layout.gen.ts";
import { plainEvent, readRecords } from "./decode.ts";

export interface Drain {
  (): Event[];
  /** The same, read where they lie: for those who only look at a few members, and never spread them. */
  views(): EventView[];
  /** Records that found no room, as the rings tell. */
  lost(): number;
}

export function drainer(shim: Shim, object: KernelObject, rings: PerfRings): Drain {
  const buffer = new Uint8Array(1 << 20);
  const takeSpilled = spillReader(shim, object);
  let lost = 0;
  let refreshedAt = performance.now();
  const views = () => {
    const events: EventView[] = [];
    for (;;) {
      const { bytes, lost: more } = shim.ringsDrain(rings, buffer);
      lost += more;
      // A copy, since an event may be kept until the buffer is used again.
      if (bytes > 0) for (const event of readRecords(buffer.slice(0, bytes))) events.push(event);
      // A buffer that was not filled means that the rings were empty.
      if (bytes < buffer.length / 2) break;
    }
    const cpus = takeSpilled(events);
    for (const cpu of cpus) shim.ringsRevive(rings, cpu);
    if (performance.now() - refreshedAt > REFRESH_EVERY_MS) {
      refreshedAt = performance.now();
      shim.ringsRefresh(rings);
    }
    return events;
  };
  return Object.assign(() => views().map(plainEvent), { views, lost: () => lost });
}

// --- internal ---

/** How often to look for CPUs that came online: it reads a file of sysfs. */
const REFRESH_EVERY_MS = 1000;
/** As in bpf/maps.h. */
const SPILL_ENTRIES = 4096;

/**
 * Adds the events that are in the spill, takes them out of it, and returns the CPUs they come from. To find an empty map
 * empty is a walk over all its buckets: the counter says whether there is something to be found.
 */
function spillReader(shim: Shim, object: KernelObject): (events: EventView[]) => Set<number> {
  const [fd, lossesFd] = [object.mapFd("spill"), object.mapFd("losses")];
  const cause = Uint32Array.of(Loss.LOSS_EVENT_SPILLED);
  const spilled = new BigUint64Array(1);
  let taken = 0n;
  const key = new Uint8Array(spillKeySize);
  const keyView = new DataView(key.buffer);
  return (events) => {
    const cpus = new Set<number>();
    shim.mapLookup(lossesFd, cause, spilled);
    const now = spilled[0]!;
    if (now === taken) return cpus;
    // No more than it holds: others may fill it as fast as it is read.
    let left = SPILL_ENTRIES;
    for (; left > 0 && shim.mapNextKey(fd, null, key); left--) {
      const value = new Uint8Array(eventSize);
      if (shim.mapLookup(fd, key, value)) events.push(new EventView(new DataView(value.buffer), 0));
      cpus.add(readSpillKey(keyView, 0).cpu);
      shim.mapDelete(fd, key);
    }
    // An event is in the map before it is counted, so this one was found empty of all that were counted.
    if (left > 0) taken = now;
    return cpus;
  };
}
