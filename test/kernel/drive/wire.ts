/** The records of the kernel side, before anything in user space looks at them. */
import { guessOn } from "../../../src/guess/run.ts";
import type { GuessReport } from "../../../src/guess/report.ts";
import { openHost } from "../../../src/kernel/host.ts";
import type { KernelObject } from "../../../src/kernel/object.ts";
import type { PerfRings, Shim } from "../../../src/kernel/shim.ts";
import type { AttachedParts } from "../../../src/trace/opening/attach.ts";
import { drainer, type Drain } from "../../../src/trace/stream/drain.ts";
import { flowSource } from "../../../src/trace/udp/flow_source.ts";
import { fillFilter, type KernelFilter } from "../../../src/trace/kernel_filter.ts";
import { openRings } from "../../../src/trace/opening/rings.ts";
import {
  EventKind,
  Loss,
  namingSize,
  writeNaming,
  type Event,
  type TraceMap,
} from "../../../src/record/layout.gen.ts";
import { attachAsked } from "./attached.ts";
import type { Mode } from "./modes.ts";
import { until } from "./peer.ts";

const reports = new Map<Mode, GuessReport>();

export class Wire implements Disposable {
  readonly events: Event[] = [];
  readonly mode: Mode;
  readonly #host;
  readonly #attached: AttachedParts;
  readonly #drain: Drain;
  readonly #close: () => void;

  /** The filter acts from the beginning. */
  constructor(mode: Mode, filter: KernelFilter) {
    const host = openHost(mode);
    const report = reports.get(mode) ?? guessOn(host);
    reports.set(mode, report);
    let rings: PerfRings;
    const ready = (object: KernelObject) => {
      rings = openRings(host.shim, object, 1 << 20).rings;
      // Before anything is attached: so not even the rest of the host slips in.
      fillFilter(host.shim, object, filter);
    };
    this.#attached = attachAsked({ host, report, mode, options: { filter }, ready });
    if (mode === "tracepoint") trustHooks(host.shim, this.#attached.object);
    this.mode = mode;
    this.#host = host;
    this.#drain = drainer(host.shim, this.#attached.object, rings!);
    this.#close = () => {
      this.#attached.object[Symbol.dispose]();
      host.shim.ringsClose(rings);
    };
  }

  /** Until so many of them match, and then whatever is there. */
  await(count: number, matches: (event: Event) => boolean): Event[] {
    until(`${count} events`, () => {
      this.#read();
      return this.events.filter(matches).length >= count || undefined;
    });
    this.#read();
    return this.events.filter(matches);
  }

  entries(map: TraceMap): number {
    return this.#attached.object.hashMaps().find(({ name }) => name === map)!.entries;
  }

  /** For one process instead of another one. */
  askFor(pid: number, instead: number): void {
    const fd = this.#attached.object.mapFd("filter_pids");
    this.#host.shim.mapDelete(fd, Uint32Array.of(instead));
    this.#host.shim.mapUpdate(fd, Uint32Array.of(pid), Uint32Array.of(1));
  }

  /** As if it were the command. */
  follow(tgid: number): void {
    const fd = this.#attached.object.mapFd("followed");
    this.#host.shim.mapUpdate(fd, Uint32Array.of(tgid), BigUint64Array.of(1n));
  }

  isFollowed(tgid: number): boolean {
    const fd = this.#attached.object.mapFd("followed");
    return this.#host.shim.mapLookup(fd, Uint32Array.of(tgid), new BigUint64Array(1));
  }

  losses(): bigint[] {
    const fd = this.#attached.object.mapFd("losses");
    const value = new BigUint64Array(1);
    return Array.from({ length: Loss.LOSS_MAX }, (_, cause) => {
      this.#host.shim.mapLookup(fd, Uint32Array.of(cause), value);
      return value[0]!;
    });
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #read(): void {
    // Listeners are told of whatever the filter: they name who accepts.
    for (const event of this.#drain())
      if (event.kind !== EventKind.EVENT_LISTEN) this.events.push(event);
    const opened = this.events.filter(({ kind }) => kind === EventKind.EVENT_UDP_OPEN);
    flowSource(this.#host.shim, this.#attached.object, this.mode).lookAfter(opened);
  }
}

// --- internal ---

/** As the self-check does when the hooks have seen the tool's own datagrams. */
function trustHooks(shim: Shim, object: KernelObject): void {
  const naming = new Uint8Array(namingSize);
  const value = { attached: 1, pending_at: 0, elsewhere: 0, zero: 0 };
  writeNaming(new DataView(naming.buffer), 0, value);
  shim.mapUpdate(object.mapFd("naming"), Uint32Array.of(0), naming);
}
