/**
 * Attaches kprobes: through the kprobe PMU (4.17 and later), which vanishes with its file descriptor, else through
 * tracefs, whose lines in kprobe_events outlive a killed process and are swept at the next start.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { ENOENT } from "./constants.ts";
import { findSymbol } from "./kallsyms.ts";
import { close } from "./libc.ts";
import { KernelError, type Shim } from "./shim.ts";

const PMU = "/sys/bus/event_source/devices/kprobe";
const TRACEFS = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/** The group our lines in kprobe_events carry. */
const GROUP = "tracer_bpf";
/** Returns that can be pending at once; a process blocked in the function holds one. The kernel's limit is 4,096. */
const MAXACTIVE = 4096;

export interface KprobeTarget {
  symbol: string;
  retprobe: boolean;
  /**
   * The function is in this module, which need not be there: the probe waits for it, and comes back with it. Only tracefs
   * knows such probes; without tracefs the module must be there now, and its probe is gone for good when it goes.
   */
  module?: string;
}

export interface KprobeAttacher {
  /** The way to attach, as the user is told. */
  readonly via: "pmu" | "tracefs";
  /** Throws a KernelError: errno ENOENT when this kernel has no such symbol, also under a compiler's clone name. */
  attach(progFd: number, target: KprobeTarget): Disposable;
}

/** The way to attach that exists, without taking it; null: no kprobe PMU, and tracefs is missing or not mounted. */
export function kprobeWay(): KprobeAttacher["via"] | null {
  if (readPmu()) return "pmu";
  return findTracefs() ? "tracefs" : null;
}

/** null: as above. */
export function openKprobes(shim: Shim): KprobeAttacher | null {
  const tracefs = findTracefs();
  if (tracefs) sweepStale(tracefs);
  const pmu = readPmu();
  if (pmu)
    return {
      via: "pmu",
      attach: byName((fd, target) =>
        target.module !== undefined && tracefs
          ? attachTracefs(shim, tracefs, fd, target)
          : attachPmu(shim, pmu, fd, target),
      ),
    };
  if (!tracefs) return null;
  return { via: "tracefs", attach: byName((fd, t) => attachTracefs(shim, tracefs, fd, t)) };
}

/** Names of our events in `kprobe_events` whose process is gone. Pure but for `alive`. */
export function staleEvents(kprobe_events: string, alive: (pid: number) => boolean): string[] {
  const stale: string[] = [];
  for (const [, event, pid] of kprobe_events.matchAll(/^[pr]\d*:(tracer_bpf\/[pr]_(\d+)_\S+)/gm)) {
    if (!alive(Number(pid))) stale.push(event!);
  }
  return stale;
}

/**
 * The line of kprobe_events that makes an event. How many returns may be pending is settable from 4.12 on, which tracefs's
 * README tells. Before, the number is no error: the event gets another name than was asked for. Pure.
 */
export function definition(kind: "p" | "r", event: string, symbol: string, readme: string): string {
  const pending = kind === "r" && readme.includes("r[maxactive]") ? String(MAXACTIVE) : "";
  return `${kind}${pending}:${event} ${symbol}`;
}

// --- internal ---

type Attach = (progFd: number, target: KprobeTarget) => Disposable;

/** The plain name first; kallsyms, a file of ten megabytes, is read only when that fails. */
function byName(attach: Attach): Attach {
  return (progFd, target) => {
    try {
      return attach(progFd, target);
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== ENOENT) throw error;
      const clone = findSymbol(target.symbol);
      if (clone === null || clone === target.symbol) throw error;
      return attach(progFd, { ...target, symbol: clone });
    }
  };
}

const findTracefs = (): string | null =>
  TRACEFS.find((dir) => existsSync(`${dir}/kprobe_events`)) ?? null;

function readPmu(): { type: number; retprobeBit: number } | null {
  try {
    const type = Number(readFileSync(`${PMU}/type`, "utf8"));
    const bit = /config:(\d+)/.exec(readFileSync(`${PMU}/format/retprobe`, "utf8"));
    return bit ? { type, retprobeBit: Number(bit[1]) } : null;
  } catch {
    return null;
  }
}

function attachPmu(
  shim: Shim,
  pmu: { type: number; retprobeBit: number },
  progFd: number,
  { symbol, retprobe }: KprobeTarget,
): Disposable {
  const fd = shim.kprobePmu(progFd, pmu.type, retprobe ? pmu.retprobeBit : -1, symbol);
  return { [Symbol.dispose]: () => void close(fd) };
}

function attachTracefs(
  shim: Shim,
  tracefs: string,
  progFd: number,
  { symbol, retprobe, module }: KprobeTarget,
): Disposable {
  const kind = retprobe ? "r" : "p";
  const event = freeName(`${GROUP}/${kind}_${process.pid}_${symbol.replaceAll(".", "_")}`);
  define(tracefs, kind, event, module === undefined ? symbol : `${module}:${symbol}`);
  named.add(event);
  const remove = () => {
    edit(tracefs, `-:${event}`);
    named.delete(event);
  };
  try {
    const fd = shim.perfTracepoint(
      progFd,
      Number(readFileSync(`${tracefs}/events/${event}/id`, "utf8")),
    );
    return {
      [Symbol.dispose]: () => {
        close(fd);
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The events of this process. Two programs at one function need two, as before 4.15 an event has one program. */
const named = new Set<string>();

function freeName(name: string): string {
  for (let n = 2, free = name; ; free = `${name}_${n++}`) if (!named.has(free)) return free;
}

function define(tracefs: string, kind: "p" | "r", event: string, symbol: string): void {
  const readme = kind === "r" ? readmeOf(tracefs) : "";
  const errno = edit(tracefs, definition(kind, event, symbol, readme));
  if (errno !== 0) throw new KernelError(`kprobe ${symbol}`, errno);
}

/** Without it the number is left out, which every kernel takes. */
function readmeOf(tracefs: string): string {
  try {
    return readFileSync(`${tracefs}/README`, "latin1");
  } catch {
    return "";
  }
}

/** Appends one line to kprobe_events; returns 0 or the errno. A removal may be EBUSY: the next start sweeps it. */
function edit(tracefs: string, line: string): number {
  try {
    appendFileSync(`${tracefs}/kprobe_events`, `${line}\n`);
    return 0;
  } catch (error) {
    return Math.abs((error as { errno?: number }).errno ?? ENOENT);
  }
}

function sweepStale(tracefs: string): void {
  let lines: string;
  try {
    lines = readFileSync(`${tracefs}/kprobe_events`, "utf8");
  } catch {
    return; // not ours to read: nothing depends on the sweep
  }
  // EBUSY: in use by a process of another pid namespace, so not stale after all.
  for (const event of staleEvents(lines, (pid) => existsSync(`/proc/${pid}`))) {
    edit(tracefs, `-:${event}`);
  }
}
