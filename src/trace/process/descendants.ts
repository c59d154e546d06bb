/** The processes that a command leads to. The kernel side follows them from fork to fork: see bpf/process/follow.h. */
import type { EventKind } from "../../conn/event.ts";
import { Failure } from "../../errors.ts";
import { hasProcess } from "../../kernel/host_names.ts";
import { mapDumper } from "../../kernel/map_dump.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { ConnFact, type Event } from "../../record/layout.gen.ts";
import { plainEvent } from "../event.ts";
import type { Startable } from "../part.ts";
import { Leftover, type FollowedSource } from "./leftover.ts";

/** Accepts whose owner nobody knows yet: of all processes of the host. */
const UNOWNED_MAX = 65_536;

export class Descendants {
  readonly #shim: Shim;
  readonly #object: KernelObject;
  readonly #tgid: number;
  readonly #leftover: Leftover;
  /** By sock. */
  readonly #unowned = new Map<bigint, Event>();

  /** `tgid`: of the tool, as the kernel numbers it. */
  constructor(shim: Shim, object: KernelObject, tgid: number) {
    this.#shim = shim;
    this.#object = object;
    this.#tgid = tgid;
    this.#leftover = new Leftover(followedSource(shim, object));
  }

  /** To be called with each poll. */
  renew(nowNs: bigint): void {
    this.#leftover.renew(nowNs);
  }

  /**
   * Calls `start`, which must start one process, and follows that from its first moment. Throws what `start` throws, and a
   * Failure, and ends the process, if the kernel side did not see its start.
   */
  launch<T extends Startable>(start: () => T): T {
    const fd = this.#object.mapFd("followed");
    const [own, none] = [Uint32Array.of(this.#tgid), new BigUint64Array(1)];
    this.#shim.mapUpdate(fd, own, none);
    let child: T;
    try {
      child = start();
    } finally {
      this.#shim.mapDelete(fd, own);
    }
    const seen = this.#command();
    // In a pid namespace the kernel numbers it otherwise.
    if (seen === 0 || (this.#tgid === process.pid && seen !== child.pid)) {
      child.kill("SIGKILL");
      throw new Failure(
        "the command: its start was not seen in the kernel, so it cannot be traced",
        {
          why: `process ${child.pid} was started, and ${seen === 0 ? "none" : seen} was seen; it was ended`,
          hint: "report it with the kernel's version; trace without `-- CMD`, and use --pid",
        },
      );
    }
    return child;
  }

  /**
   * Whether this event is of one of them. In tracepoint mode the owner of an accept may be unknown; then the accept is kept
   * until its close tells whether it was one of theirs.
   */
  own(event: Event, kind: EventKind): boolean {
    if (isFollowed(event)) return true;
    if (kind !== "accept") return false;
    const { pid } = event.owner;
    if (pid === 0 && this.#unowned.size < UNOWNED_MAX)
      this.#unowned.set(event.sk, plainEvent(event));
    return pid !== 0 && this.#has(pid);
  }

  /** The accept that was kept for this close, if that is one of theirs; who closes need not be who accepted. */
  acceptOf(close: Event): Event | null {
    const accept = this.#unowned.get(close.sk);
    if (accept === undefined) return null;
    this.#unowned.delete(close.sk);
    if (!isFollowed(close) || accept.cookie !== close.cookie) return null;
    return { ...accept, flags: accept.flags | ConnFact.FACT_FOLLOWED };
  }

  /** Also for a moment after its end. */
  #has(tgid: number): boolean {
    const task = new BigUint64Array(1);
    return this.#shim.mapLookup(this.#object.mapFd("followed"), Uint32Array.of(tgid), task);
  }

  #command(): number {
    const tgid = new Uint32Array(1);
    this.#shim.mapLookup(this.#object.mapFd("command_tgid"), new Uint32Array(1), tgid);
    return tgid[0]!;
  }
}

// --- internal ---

const isFollowed = ({ flags }: Event): boolean => (flags & ConnFact.FACT_FOLLOWED) !== 0;

/** Of the map: a tgid and the address of a task. */
const [TGID_BYTES, TASK_BYTES] = [4, 8];

function followedSource(shim: Shim, object: KernelObject): FollowedSource {
  const fd = object.mapFd("followed");
  const followed = mapDumper(shim, fd, TGID_BYTES, TASK_BYTES);
  return {
    *dump() {
      const { count, view } = followed();
      for (let n = 0, at = 0; n < count; n++, at += TGID_BYTES + TASK_BYTES)
        yield [view.getUint32(at, true), view.getBigUint64(at + TGID_BYTES, true)];
    },
    isOver: (tgid) => !hasProcess(tgid),
    forget: (tgid) => void shim.mapDelete(fd, Uint32Array.of(tgid)),
  };
}
