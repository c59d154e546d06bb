/** Everything the programs have sent since the last time: from the rings, and what these did not take. */
import type { KernelObject } from "../kernel/object.ts";
import type { PerfRings, Shim } from "../kernel/shim.ts";
import {
  eventSize,
  readEvent,
  readSpillKey,
  spillKeySize,
  type Event,
} from "../record/layout.gen.ts";
import { readRecords } from "./decode.ts";

export interface Drain {
  (): Event[];
  /** Records that found no room, as the rings tell. */
  lost(): number;
}

export function drainer(shim: Shim, object: KernelObject, rings: PerfRings): Drain {
  const buffer = new Uint8Array(1 << 20);
  const takeSpilled = spillReader(shim, object.mapFd("spill"));
  let lost = 0;
  let refreshedAt = performance.now();
  const drain = () => {
    const events: Event[] = [];
    for (;;) {
      const { bytes, lost: more } = shim.ringsDrain(rings, buffer);
      lost += more;
      for (const event of readRecords(buffer.subarray(0, bytes))) events.push(event);
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
  return Object.assign(drain, { lost: () => lost });
}

// --- internal ---

/** How often to look for CPUs that came online: it reads a file of sysfs. */
const REFRESH_EVERY_MS = 1000;
/** As in bpf/maps.h. */
const SPILL_ENTRIES = 4096;

/** Adds the events that are in the spill, takes them out of it, and returns the CPUs they come from. */
function spillReader(shim: Shim, fd: number): (events: Event[]) => Set<number> {
  const key = new Uint8Array(spillKeySize);
  const value = new Uint8Array(eventSize);
  const keyView = new DataView(key.buffer);
  const valueView = new DataView(value.buffer);
  return (events) => {
    const cpus = new Set<number>();
    // No more than it holds: others may fill it as fast as it is read.
    for (let n = 0; n < SPILL_ENTRIES && shim.mapNextKey(fd, null, key); n++) {
      if (shim.mapLookup(fd, key, value)) events.push(readEvent(valueView, 0));
      cpus.add(readSpillKey(keyView, 0).cpu);
      shim.mapDelete(fd, key);
    }
    return cpus;
  };
}
