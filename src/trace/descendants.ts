/** The processes that a command leads to. The kernel side follows them from fork to fork: see bpf/follow.h. */
import { Failure } from "../errors.ts";
import type { KernelObject } from "../kernel/object.ts";
import type { Shim } from "../kernel/shim.ts";
import { ConnFact, type Event } from "../record/layout.gen.ts";

export class Descendants {
  readonly #shim: Shim;
  readonly #object: KernelObject;
  readonly #tgid: number;

  /** `tgid`: of the tool, as the kernel numbers it. */
  constructor(shim: Shim, object: KernelObject, tgid: number) {
    this.#shim = shim;
    this.#object = object;
    this.#tgid = tgid;
  }

  /**
   * Calls `start`, which must start one process, and follows that from its first moment. Throws what `start` throws, and a
   * Failure if the kernel side did not see the process.
   */
  launch<T extends { pid: number }>(start: () => T): T {
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
    if (seen === 0 || (this.#tgid === process.pid && seen !== child.pid))
      throw new Failure(
        "the command: its start was not seen in the kernel, so it cannot be traced",
        {
          why: `process ${child.pid} was started, and ${seen === 0 ? "none" : seen} was seen`,
          hint: "report it with the kernel's version; trace without `-- CMD`, and use --pid",
        },
      );
    return child;
  }

  /** Whether this event is of one of them. `accept`: by an owner that only /proc knew. */
  own({ flags, conn }: Event, accept: boolean): boolean {
    if ((flags & ConnFact.FACT_FOLLOWED) !== 0) return true;
    return accept && this.#has(conn.tup.pid);
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
