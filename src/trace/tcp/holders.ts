/** Asks the kernel who holds listeners and young connections, by a walk over the files of all tasks. */
import type { GuessReport } from "../../guess/report.ts";
import { monotonicNs } from "../../kernel/clock.ts";
import type { Host } from "../../kernel/host.ts";
import { eachRecord } from "../../kernel/iterator.ts";
import { close } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { addHolder, type Holder, type Holders } from "../../kernel/owners.ts";
import { holderSize, readHolder, SockCopySize } from "../../record/layout.gen.ts";
import type { Opened, Part, Prepared } from "../part.ts";
import { sockCopyAt } from "../sock_copy.ts";
import { portOf, type Walk } from "./acceptors.ts";
import { listenerHead } from "./listener_head.ts";
import { RECORDS_PER_READ, visiting } from "./visit.ts";
import { prepareWalk } from "./walk_needs.ts";

/** The walk. */
const ITERATOR = { program: "list_holders", held: true } as const;
/** Attached only while the tool connects to itself. */
const LEARNER = { program: "on_listener_copied", held: true } as const;

/** The walk that tells who accepts: only a process that holds the listener can. */
export function holders(): Part {
  let prepared = false;
  return {
    name: "holders",
    without: "who accepted is looked up in /proc, so fewer accepts have a process",
    prepare(host, report) {
      const values = prepare(host, report);
      prepared = typeof values !== "string" && values.constants !== undefined;
      return values;
    },
    points: ({ mode }) => (mode === "tracepoint" && prepared ? [ITERATOR] : []),
  };
}

/** The listener of a connection is found without BTF. */
export const listeners = (): Part => ({
  name: "listeners",
  without: "accepts have no process",
  points: ({ mode }) => (mode === "tracepoint" ? [LEARNER] : []),
});

/** From now on, until it is disposed of, connections of the tool and of others tell how a listener is found. */
export function learnListeners({ host, mode, object }: Opened): Disposable {
  if (mode !== "tracepoint" || !object.loaded(LEARNER.program)) return { [Symbol.dispose]() {} };
  const { shim } = host;
  const fd = shim.rawTracepoint(object.progFd(LEARNER.program), "inet_sock_set_state");
  return {
    [Symbol.dispose]() {
      close(fd);
      const newborns = Array.from({ length: SockCopySize.SOCK_COPIES - 1 }, (_, n) =>
        sockCopyAt(shim, object, n + 1),
      );
      const head = listenerHead(newborns);
      shim.mapUpdate(object.mapFd("listener_at"), new Uint32Array(1), Uint32Array.of(head));
    },
  };
}

export const listsHolders = (object: KernelObject): boolean => object.loaded(ITERATOR.program);

/** The beginning of a walk, for which the kernel asks a capability. */
export function rehearseWalk({ host: { shim }, object }: Opened): void {
  if (listsHolders(object)) close(shim.iterator(object.progFd(ITERATOR.program)));
}

/** Connections that began before `sinceNs` are left out. */
export function walkAll(on: Opened, sinceNs: number): Walk {
  const {
    host: { shim },
    object,
  } = on;
  const [held, accepted]: [Holders, Holders] = [new Map(), new Map()];
  const listeners = new Map<string, Holder[]>();
  shim.mapUpdate(
    object.mapFd("held_since"),
    new Uint32Array(1),
    BigUint64Array.of(BigInt(sinceNs)),
  );
  const beganNs = Number(monotonicNs());
  const each = (view: DataView, at: number) => {
    const { ino, tgid: pid, tid, netns, listens_at } = readHolder(view, at);
    if (ino === 0) return;
    addHolder(listens_at === 0 ? accepted : held, ino, { pid, tid });
    if (listens_at !== 0) addTo(listeners, portOf(netns, listens_at), { pid, tid });
  };
  const program = object.progFd(ITERATOR.program);
  const whole = visiting(on, () => eachRecord(shim, program, holderSize, each, RECORDS_PER_READ));
  return { beganNs, endedNs: Number(monotonicNs()), whole, holders: held, accepted, listeners };
}

// --- internal ---

/** Of no use with kprobes, which see who accepts. */
function prepare(host: Host, { attach }: GuessReport): Prepared | string {
  if (attach !== "tracepoint") return {};
  return prepareWalk(host);
}

function addTo(listeners: Map<string, Holder[]>, port: string, holder: Holder): void {
  const known = listeners.get(port);
  if (known === undefined) listeners.set(port, [holder]);
  else if (!known.some(({ pid }) => pid === holder.pid)) known.push(holder);
}
