/** Where the tracepoint mode learns of accepts: the kernel for the state, the kernel or /proc for who holds which socket. */
import { monotonicNs, threadCpuNs } from "../../kernel/clock.ts";
import {
  allPids,
  findHolders,
  ownerOf,
  type Holder,
  type Holders,
  type Owner,
} from "../../kernel/owners.ts";
import { acceptedSize, readAccepted } from "../../record/layout.gen.ts";
import { rationed } from "../meanwhile.ts";
import type { Opened } from "../part.ts";
import type { HolderSource, Walk } from "./acceptors.ts";
import type { AcceptState } from "./accepts.ts";
import { listsHolders, walkAll } from "./holders.ts";
import { visiting } from "./visit.ts";

/** Whether somebody has accepted this connection by now. `between` is called all the time. */
export function askAccepted(
  { host: { shim }, object }: Opened,
  between: () => void,
): (sk: bigint, cookie: number) => AcceptState {
  const answer = new Uint8Array(acceptedSize);
  const view = new DataView(answer.buffer);
  const zero = new Uint32Array(1);
  return (sk, cookie) => {
    between();
    shim.testRun(object.progFd("run_accepted"), BigUint64Array.of(sk, BigInt(cookie)));
    shim.mapLookup(object.mapFd("accepted_answer"), zero, answer);
    const { gone, socket_ino } = readAccepted(view, 0);
    if (gone !== 0) return { state: "gone" };
    return socket_ino === 0n
      ? { state: "waiting" }
      : { state: "accepted", ino: Number(socket_ino) };
  };
}

export function holderSource(on: Opened, between: () => void): HolderSource {
  const owners = new Map<number, Owner | null>();
  // In a pid namespace /proc, and the walk, number processes otherwise than the events do, and do not show all of them.
  const walk =
    on.tgid !== process.pid ? nobody : listsHolders(on.object) ? byKernel(on) : byProc(on, between);
  return {
    walk(asked) {
      owners.clear();
      return walk(asked);
    },
    owner(holder) {
      if (on.tgid !== process.pid) return null;
      const known = owners.get(holder.tid);
      if (known !== undefined) return known;
      const owner = ownerOf(holder);
      owners.set(holder.tid, owner);
      return owner;
    },
  };
}

// --- internal ---

type WalkSource = HolderSource["walk"];

const nobody: WalkSource = () => partial(new Map(), new Set(), Number(monotonicNs()));

function partial(all: Holders, accepted: ReadonlySet<number>, beganNs: number): Walk {
  const of = (isAccepted: boolean): Holders =>
    new Map([...all].filter(([ino]) => accepted.has(ino) === isAccepted));
  return {
    beganNs,
    endedNs: Number(monotonicNs()),
    whole: false,
    holders: of(false),
    accepted: of(true),
    listeners: new Map(),
  };
}

/** A walk takes some 0.2 microseconds per descriptor of the host: of a processor no more than this. */
const SHARE = 1 / 20;
/** So many milliseconds may be taken in advance. */
const AHEAD_MS = 10;
/** For a walk that took longer nobody waits longer: on a busy machine one can take a hundred times as long as the next. */
const OWED_MAX_MS = 50;

function byKernel(on: Opened): WalkSource {
  let owedMs = 0;
  let at = performance.now();
  return ({ sinceNs, last = false }) => {
    const began = performance.now();
    owedMs = Math.max(0, owedMs - (began - at) * SHARE);
    at = began;
    if (owedMs > AHEAD_MS && !last) return null;
    const cpuNs = threadCpuNs();
    const walk = walkAll(on, sinceNs);
    const tookMs = Number(threadCpuNs() - cpuNs) / 1e6;
    if (!last) owedMs = Math.min(owedMs + tookMs, OWED_MAX_MS);
    return walk;
  };
}

/** Reading all of /proc costs some ten milliseconds on a large host, and ten microseconds per descriptor. */
const SCAN_EVERY_MS = 1000;
/** Processes that held a listener before: they are looked at first. */
const SERVERS_MAX = 1024;

function byProc(on: Opened, between: () => void): WalkSource {
  const servers = new Map<number, readonly Holder[]>();
  const look = rationed();
  const scan = rationed(SCAN_EVERY_MS);
  const find = (wanted: ReadonlySet<number>, pids: Iterable<number>) =>
    visiting(on, () => findHolders(wanted, pids, between));
  return ({ accepted, listeners, likely }) => {
    const beganNs = Number(monotonicNs());
    const wanted = new Set([...accepted, ...listeners]);
    if (wanted.size === 0) return partial(new Map(), accepted, beganNs);
    const known = [...listeners].flatMap((ino) => servers.get(ino) ?? []).map(({ pid }) => pid);
    // A server of ten thousands of connections: to look at all of them at each poll would be all that is done.
    const found = look(() => find(wanted, new Set([...likely, ...known])));
    if (found === null) return partial(new Map(), accepted, beganNs);
    const missing = [...wanted].some((ino) => !found.has(ino));
    const all = (missing && scan(() => find(wanted, allPids()))) || found;
    if (servers.size > SERVERS_MAX) servers.clear();
    for (const ino of listeners) servers.set(ino, all.get(ino) ?? []);
    return partial(all, accepted, beganNs);
  };
}
