/** Events of a thread that has another name than its process tell both. It needs no programs. */
import { monotonicNs } from "../../kernel/clock.ts";
import { commOf, lifeOf } from "../../kernel/process.ts";
import {
  EVENT_OWNER_OF_THREAD,
  EVENT_OWNER_OWNED_AT,
  firstNameSize,
  readFirstName,
} from "../../record/layout.gen.ts";
import { pidAt } from "../event.ts";
import type { Opened, Part } from "../part.ts";
import { FirstThreads, OTHER_THREAD, type NameSource } from "./first_threads.ts";
import { endOf } from "./ticks.ts";

export const firstThreadsPart = (): Part => ({
  name: "names of processes",
  without: "of a thread with a name of its own the name of the process is not known",
  points: () => [],
  start(on, between) {
    const firsts = new FirstThreads(nameSource(on, between));
    return {
      renew: () => firsts.renew(),
      enrich(shown, { owner }) {
        const { of_thread } = owner;
        if (of_thread === 0 || shown.pid === null || shown.comm === null) return;
        const name = firsts.nameOf(shown.pid, owner.owned_at, of_thread);
        if (name !== shown.comm) shown.thread = shown.comm;
        shown.comm = name;
      },
      holds(view, p) {
        if (view.getUint8(p + EVENT_OWNER_OF_THREAD) !== OTHER_THREAD) return true;
        const ownedAt = view.getUint32(p + EVENT_OWNER_OWNED_AT, true);
        const number = firsts.numberOf(pidAt(view, p), ownedAt);
        if (number === null) return false;
        view.setUint8(p + EVENT_OWNER_OF_THREAD, number);
        return true;
      },
      // Kept texts are by what `holds` has put in place of OTHER_THREAD.
      conditions: () => true,
    };
  },
});

// --- internal ---

/** `tgid` is the tool's own pid in the kernel's numbers. */
function nameSource({ host, object, tgid }: Opened, between: () => void): NameSource {
  const fd = object.mapFd("first_names");
  const [key, value] = [new Uint32Array(1), new Uint8Array(firstNameSize)];
  return {
    noted(pid) {
      key[0] = pid;
      if (!host.shim.mapLookup(fd, key, value)) return null;
      const { comm, noted_at } = readFirstName(new DataView(value.buffer), 0);
      return comm[0] === 0 ? null : { comm, startedNs: endOf(noted_at, monotonicNs()) };
    },
    process(pid) {
      // In a pid namespace /proc numbers processes otherwise than the events do.
      if (tgid !== process.pid) return null;
      between();
      try {
        // Its life comes last: whoever has got the number meanwhile began too late.
        const comm = commOf(pid);
        return { comm, startedNs: lifeOf(pid).startedNs };
      } catch {
        return null;
      }
    },
    nowNs: monotonicNs,
  };
}
