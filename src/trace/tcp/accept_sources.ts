/** Where the tracepoint mode learns of accepts: the kernel for the state, /proc for the owner. */
import { allPids, findOwners, type Owner } from "../../kernel/owners.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { acceptedSize, readAccepted, type Event } from "../../record/layout.gen.ts";
import type { AcceptSources } from "./accepts.ts";
import { rationed } from "../meanwhile.ts";

/** Reading all of /proc costs some ten milliseconds on a large host, and ten microseconds per descriptor. */
const SCAN_EVERY_MS = 1000;
/** Ports, and processes per port, that are remembered; beyond it they are learned anew. */
const SERVERS_MAX = 1024;

/** `tgid` is the tool's own pid in the kernel's numbers; `between` is called all the time. */
export function acceptSources(
  shim: Shim,
  object: KernelObject,
  tgid: number,
  between: () => void,
): AcceptSources {
  const answer = new Uint8Array(acceptedSize);
  const view = new DataView(answer.buffer);
  const zero = new Uint32Array(1);
  /** Processes that accepted before, by namespace and port: they are asked first. */
  const servers = new Map<string, Set<number>>();
  const look = rationed();
  const scan = rationed(SCAN_EVERY_MS);

  const remember = (event: Event, { pid }: Owner) => {
    const key = serverOf(event);
    const known = servers.get(key) ?? new Set();
    if (known.size >= SERVERS_MAX || servers.size >= SERVERS_MAX) servers.clear();
    servers.set(key, known.add(pid));
  };

  return {
    ask(sk, cookie) {
      between();
      shim.testRun(object.progFd("run_accepted"), BigUint64Array.of(sk, BigInt(cookie)));
      shim.mapLookup(object.mapFd("accepted_answer"), zero, answer);
      const { gone, socket_ino } = readAccepted(view, 0);
      if (gone !== 0) return { state: "gone" };
      return socket_ino === 0n
        ? { state: "waiting" }
        : { state: "accepted", ino: Number(socket_ino) };
    },
    owners(accepted) {
      // In a pid namespace /proc numbers processes otherwise than the events do.
      if (tgid !== process.pid) return new Map();
      const likely = new Set<number>();
      for (const event of accepted.values()) {
        for (const pid of servers.get(serverOf(event)) ?? []) likely.add(pid);
      }
      const wanted = new Set(accepted.keys());
      const found = look(() => findOwners(wanted, likely, between));
      // A server of ten thousands of connections: to look at all of them at each poll would be all that is done.
      if (found === null) return new Map();
      const missing = new Set([...accepted.keys()].filter((ino) => !found.has(ino)));
      if (missing.size > 0) {
        const others = scan(() => findOwners(missing, allPids(), between));
        for (const [ino, owner] of others ?? []) found.set(ino, owner);
      }
      for (const [ino, owner] of found) {
        const event = accepted.get(ino)!;
        // Born after the handshake: the acceptor's child, or somebody it was passed to.
        if (owner.startedNs > event.timestamp) found.delete(ino);
        else remember(event, owner);
      }
      return found;
    },
  };
}

// --- internal ---

const serverOf = ({ netns, ends }: Event): string => `${netns} ${ends.sport}`;
