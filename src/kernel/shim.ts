/** libbpf through the C shim: buffers in, numbers out, a KernelError when the answer is negative. */
import { FFIType, ptr, type Pointer } from "bun:ffi";
import { availableParallelism } from "node:os";
import { shimLibrary } from "../embedded.ts";
import { AskedType, ShimNumber } from "../record/layout.gen.ts";
import { ENODATA, ENODEV, ENOENT } from "./constants.ts";
import type { PlainLoads } from "./elf.ts";
import { dlopenFromMemory } from "./memfd.ts";
import { kernelVersionCode } from "./version_code.ts";
import { joinThread, startThread, type Thread } from "./threads.ts";

/** A call that failed. `log` is what libbpf said meanwhile: often the verifier's words. */
export class KernelError extends Error {
  readonly op: string;
  /** Positive: 1 is EPERM. */
  readonly errno: number;
  readonly log: string;

  constructor(op: string, errno: number, log = "") {
    super(`${op}: errno ${errno}`);
    this.name = "KernelError";
    this.op = op;
    this.errno = errno;
    this.log = log;
  }
}

/** Handles into the shim. Their owner closes them; using one afterwards is a crash. */
export type BpfObject = number & { readonly kind: "bpf object" };
export type PerfRings = number & { readonly kind: "perf rings" };
export type RingWaiter = number & { readonly kind: "ring waiter" };

export interface Stayer extends Disposable {
  readonly tid: number;
}

/** A program that a function of the kernel calls. */
export interface TracedProgram {
  program: string;
  /** The function's, in the kernel's BTF. */
  id: number;
  /** When it returns, not when it begins. */
  returns: boolean;
}

export interface MapFill {
  name: string;
  entries: number;
  max: number;
}

export type Shim = ReturnType<typeof openShim>;

/** All that the shim keeps, and a terminator. */
const LOG_BYTES = ShimNumber.LOG_SIZE + 1;

/** 64 bits that are a plain number as long as 53 are enough. */
const LONG = FFIType.i64_fast;
const SIZE = FFIType.u64_fast;

// One row per function of shim.h, in its order.
const SYMBOLS = {
  sh_log: { args: ["ptr", "i32"], returns: "i32" },
  sh_open: { args: ["ptr", SIZE, "ptr"], returns: LONG },
  sh_autoload: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  sh_kernel_version: { args: ["ptr", "u32"], returns: "i32" },
  sh_map_max_entries: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  sh_map_mappable: { args: ["ptr", "ptr"], returns: "i32" },
  sh_no_lru: { args: ["ptr"], returns: "i32" },
  sh_close: { args: ["ptr"], returns: "i32" },
  sh_prog_fd: { args: ["ptr", "ptr"], returns: "i32" },
  sh_map_fd: { args: ["ptr", "ptr"], returns: "i32" },
  sh_test_run: { args: ["i32", "ptr", "u32"], returns: LONG },
  sh_test_run_packet: { args: ["i32", "u32"], returns: LONG },
  sh_kernel_bpf: { args: [], returns: "i32" },
  sh_has_helper: { args: ["u32", "u32", "u32"], returns: "i32" },
  sh_has_test_run: { args: [], returns: "i32" },
  sh_has_lru: { args: [], returns: "i32" },
  sh_prog_misses: { args: ["i32"], returns: LONG },
  sh_prog_time: { args: ["i32", "ptr"], returns: "i32" },
  sh_time_programs: { args: [], returns: "i32" },
  sh_plain_loads: { args: ["ptr"], returns: "i32" },
  sh_function_ids: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  sh_traced: { args: ["ptr", "ptr", "u32", "i32"], returns: "i32" },
  sh_load: { args: ["ptr"], returns: "i32" },
  sh_loads_begin: { args: [], returns: "i32" },
  sh_loads_run: { args: ["ptr"], returns: "ptr" },
  sh_loads_end: { args: ["i32"], returns: "i32" },
  sh_raw_tracepoint: { args: ["i32", "ptr"], returns: "i32" },
  sh_has_tracepoint: { args: ["ptr"], returns: "i32" },
  sh_attach_traced: { args: ["i32"], returns: "i32" },
  sh_kprobe_pmu: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  sh_perf_tracepoint: { args: ["i32", "i32"], returns: "i32" },
  sh_iter: { args: ["i32"], returns: "i32" },
  sh_cgroup: { args: ["i32", "i32", "u32"], returns: "i32" },
  sh_cgroup_root: { args: [], returns: "i32" },
  sh_debugfs: { args: [], returns: "i32" },
  sh_caps_effective: { args: ["u64"], returns: "i32" },
  sh_caps_drop: { args: ["i32", "u64"], returns: "i32" },
  sh_map_lookup: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  sh_map_update: { args: ["i32", "ptr", "ptr", SIZE], returns: "i32" },
  sh_map_delete: { args: ["i32", "ptr"], returns: "i32" },
  sh_map_take: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  sh_map_next_key: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  sh_hash_map_entries: { args: ["ptr", "u32", "ptr", "ptr"], returns: LONG },
  sh_map_dump: { args: ["i32", "u32", "u32", "ptr", "u32"], returns: "i32" },
  sh_map_range: { args: ["i32", "u32", "u32", "u32", "ptr"], returns: "i32" },
  sh_has_sockmap: { args: [], returns: "i32" },
  sh_sockmap_create: { args: ["u32"], returns: "i32" },
  sh_newest_inodes: { args: ["ptr", "u32"], returns: "i32" },
  sh_give_inodes: { args: ["u32", "u32"], returns: LONG },
  sh_rings_open: { args: ["i32", "i32"], returns: LONG },
  sh_rings_batches: { args: ["ptr", "i32", "i32", "u32", "u32"], returns: "i32" },
  sh_rings_collect: { args: ["ptr"], returns: "i32" },
  sh_rings_refresh: { args: ["ptr"], returns: "i32" },
  sh_rings_revive: { args: ["ptr", "u32"], returns: "i32" },
  sh_rings_drain: { args: ["ptr", "ptr", SIZE, "ptr"], returns: LONG },
  sh_rings_close: { args: ["ptr"], returns: "i32" },
  sh_waiter_open: { args: ["ptr", "ptr"], returns: LONG },
  sh_waiter_run: { args: ["ptr"], returns: "ptr" },
  sh_waiter_stop: { args: ["ptr"], returns: "i32" },
  sh_waiter_close: { args: ["ptr"], returns: "i32" },
  sh_stayer_open: { args: [], returns: LONG },
  sh_stayer_run: { args: ["ptr"], returns: "ptr" },
  sh_stayer_tid: { args: ["ptr"], returns: "i32" },
  sh_stayer_stop: { args: ["ptr"], returns: "i32" },
  sh_stayer_close: { args: ["ptr"], returns: "i32" },
  sh_put_line: {
    args: ["ptr", "u32", "ptr", "u32", "ptr", "u32", "ptr", "u32", "ptr", "u32"],
    returns: "i32",
  },
  sh_put_lines: { args: ["ptr"], returns: "i32" },
  sh_order: { args: ["ptr", "u32", "ptr", "ptr", "u32"], returns: "i32" },
} as const;

/** Loads the shim. Everything blocks and belongs to the calling thread. */
export function openShim() {
  const { symbols: c } = dlopenFromMemory(shimLibrary, SYMBOLS);
  const logBytes = Buffer.alloc(LOG_BYTES);
  const lost = new BigUint64Array(1);
  const nsAndRuns = new BigUint64Array(2);
  let plainLoads: PlainLoads | null | undefined;
  const runWaiter = (c.sh_waiter_run as unknown as { ptr: Pointer }).ptr;
  const runLoads = (c.sh_loads_run as unknown as { ptr: Pointer }).ptr;
  const runStayer = (c.sh_stayer_run as unknown as { ptr: Pointer }).ptr;

  /** The messages of libbpf since the last call. */
  const log = (): string => logBytes.toString("utf8", 0, c.sh_log(logBytes, LOG_BYTES));

  const check = (op: string, result: number | bigint): number => {
    if (result < 0) throw new KernelError(op, -Number(result), log());
    return Number(result);
  };
  /** For results where -ENOENT is an answer. */
  const found = (op: string, result: number): boolean =>
    result !== -ENOENT && check(op, result) >= 0;

  return {
    log,

    /** `elf` is copied. */
    open: (elf: Uint8Array, name: string): BpfObject =>
      check(`open ${name}`, c.sh_open(elf, elf.byteLength, text(name))) as BpfObject,
    autoload: (object: BpfObject, program: string, on: boolean): void => {
      check(`autoload ${program}`, c.sh_autoload(at(object), text(program), on ? 1 : 0));
    },
    /** LINUX_VERSION_CODE, before load; without it libbpf takes what uname says. */
    kernelVersion: (object: BpfObject, code: number): void => {
      check("kernel version", c.sh_kernel_version(at(object), code));
    },
    mapMaxEntries: (object: BpfObject, map: string, entries: number): void => {
      check(`resize map ${map}`, c.sh_map_max_entries(at(object), text(map), entries));
    },
    /** Of an array map, 5.5 and later. */
    mapMappable: (object: BpfObject, map: string): void => {
      check(`map ${map}`, c.sh_map_mappable(at(object), text(map)));
    },
    /** Its LRU maps become plain hash maps: before 4.10. */
    noLru: (object: BpfObject): void => {
      check("maps without LRU", c.sh_no_lru(at(object)));
    },
    /** `large`: of many instructions, which a second processor checks meanwhile where there is one. */
    load: (object: BpfObject, large = false): void => {
      log();
      if (!large || availableParallelism() === 1 || c.sh_loads_begin() < 0) {
        check("load", c.sh_load(at(object)));
        return;
      }
      // Without it, all is loaded in this one.
      const thread = startThread(runLoads, null);
      const loaded = c.sh_load(at(object));
      if (typeof thread !== "number") joinThread(thread);
      check("load", c.sh_loads_end(loaded));
    },
    /** Unloads; attached programs live on until their attachment's fd is closed. */
    close: (object: BpfObject): void => {
      c.sh_close(at(object));
    },
    /** Owned by the object, as is a map's. */
    progFd: (object: BpfObject, program: string): number =>
      check(`program ${program}`, c.sh_prog_fd(at(object), text(program))),
    mapFd: (object: BpfObject, map: string): number =>
      check(`map ${map}`, c.sh_map_fd(at(object), text(map))),

    /** Runs a raw tracepoint program once on an argument array; returns its u32 result. */
    testRun: (progFd: number, ctx: NodeJS.TypedArray): number =>
      check("test run", c.sh_test_run(progFd, ctx, ctx.byteLength)),
    /** Runs a program for packets so many times, in the calling thread's network namespace, with a packet that holds nothing. */
    testRunPacket: (progFd: number, times: number): number =>
      check("test run", c.sh_test_run_packet(progFd, times)),
    /** Whether this kernel has LRU maps; null where it cannot be asked. */
    hasLru: (): boolean | null => {
      const answer = c.sh_has_lru();
      return answer < 0 ? null : answer === 1;
    },
    /** Whether raw tracepoint programs can be run on request; null: none can even be loaded. */
    hasTestRun: (): boolean | null => {
      const answer = c.sh_has_test_run();
      return answer < 0 ? null : answer === 1;
    },
    /** The ids by which programs load the kernel's memory; null where they may not. */
    plainLoads: (): PlainLoads | null => {
      if (plainLoads !== undefined) return plainLoads;
      const ids = new Uint32Array(3);
      const has = c.sh_plain_loads(ids) === 1;
      return (plainLoads = has ? { cast: ids[0]!, words: ids[1]!, firstSubflow: ids[2]! } : null);
    },
    /** The ids of these functions in the kernel's BTF; 0: it has none. */
    functionIds: (names: readonly string[]): readonly number[] => {
      const ids = new Uint32Array(names.length);
      check("functions", c.sh_function_ids(text(names.join("\0")), names.length, ids));
      return [...ids];
    },
    /** Before `load`: each program becomes one that its function calls, when it begins or returns. */
    traced: (object: BpfObject, programs: readonly TracedProgram[]): void => {
      for (const { program, id, returns } of programs)
        check(`program ${program}`, c.sh_traced(at(object), text(program), id, returns ? 1 : 0));
    },
    /** How often it was not run because it was running on that CPU already; null: this kernel does not tell (before 5.12). */
    progMisses: (progFd: number): number | null => {
      const misses = c.sh_prog_misses(progFd);
      return misses === -ENODATA ? null : check("program info", misses);
    },
    /** How long it ran and how often, while somebody had the kernel measure that; null: it does not tell (before 5.1). */
    progTime: (progFd: number): { ns: bigint; runs: bigint } | null => {
      const told = c.sh_prog_time(progFd, nsAndRuns);
      if (told === -ENODATA) return null;
      check("program info", told);
      return { ns: nsAndRuns[0]!, runs: nsAndRuns[1]! };
    },
    /** Until the returned fd is closed the kernel measures every program of the host; null: this one cannot, or not for us. */
    timePrograms: (): number | null => {
      const fd = c.sh_time_programs();
      return fd < 0 ? null : fd;
    },
    /** 0 when bpf(2) works, else a positive errno: 38 ENOSYS, 1 EPERM. */
    kernelBpf: (): number => Math.abs(c.sh_kernel_bpf()),

    /**
     * Whether programs that trace, or of another type, may call the helper of this number, which must take no arguments;
     * null: cannot be told.
     */
    hasHelper: (helper: number, type: AskedType = AskedType.ASKED_KPROBE): boolean | null => {
      const answer = c.sh_has_helper(type, helper, kernelVersionCode() ?? 0);
      return answer < 0 ? null : answer === 1;
    },

    /** The newest inode number of each CPU below `cpus`; 0: the calling thread could not ask it. */
    newestInodes: (cpus: number): Uint32Array => {
      const inos = new Uint32Array(cpus);
      c.sh_newest_inodes(inos, cpus);
      return inos;
    },
    /** Uses up so many numbers of a CPU, at least one; returns the last. null: the calling thread could not. */
    giveInodes: (cpu: number, count: number): number | null => {
      const ino = Number(c.sh_give_inodes(cpu, count));
      return ino < 0 ? null : ino;
    },

    // Each returns an fd of the caller's; closing it detaches.
    rawTracepoint: (progFd: number, name: string): number =>
      check(`raw tracepoint ${name}`, c.sh_raw_tracepoint(progFd, text(name))),
    /** Of a program that was loaded for its function. */
    attachTraced: (progFd: number): number => check("function", c.sh_attach_traced(progFd)),
    /** Whether programs can be attached to a tracepoint of this name; false also where that cannot be told. */
    hasTracepoint: (name: string): boolean => c.sh_has_tracepoint(text(name)) === 1,
    /** `retprobeBit` -1: entry probe. */
    kprobePmu: (progFd: number, pmuType: number, retprobeBit: number, symbol: string): number =>
      check(`kprobe ${symbol}`, c.sh_kprobe_pmu(progFd, pmuType, retprobeBit, text(symbol))),
    perfTracepoint: (progFd: number, tracepointId: number): number =>
      check(`perf tracepoint ${tracepointId}`, c.sh_perf_tracepoint(progFd, tracepointId)),
    /** A BPF iterator over the calling thread's namespaces, an fd of the caller's to read to its end. */
    iterator: (progFd: number): number => check("BPF iterator", c.sh_iter(progFd)),

    /** The attachment to a control group, in `hook` (enum socket_hook); closing it, or the end of the process, detaches. */
    cgroupHook: (progFd: number, cgroupFd: number, hook: number): number =>
      check("cgroup hook", c.sh_cgroup(progFd, cgroupFd, hook)),
    /** The top of the hierarchy of version 2 that this process sees, without a place where it is mounted. */
    cgroupRoot: (): number => check("cgroup2", c.sh_cgroup_root()),
    /** The top of debugfs, without a place where it is mounted; null: it cannot be had. */
    debugfs: (): number | null => {
      const fd = c.sh_debugfs();
      return fd < 0 ? null : fd;
    },

    /** Of the calling thread, out of what it is permitted. Bit N stands for capability N. */
    capsEffective: (effective: bigint): void => {
      check("capset", c.sh_caps_effective(effective));
    },
    /** Takes from a thread of this process, for good, all but these. */
    capsDrop: (tid: number, keep: bigint): void => {
      check(`capset in thread ${tid}`, c.sh_caps_drop(tid, keep));
    },

    /** false: no such key. */
    mapLookup: (fd: number, key: NodeJS.TypedArray, value: NodeJS.TypedArray): boolean =>
      found("map lookup", c.sh_map_lookup(fd, key, value)),
    mapUpdate: (fd: number, key: NodeJS.TypedArray, value: NodeJS.TypedArray, flags = 0): void => {
      check("map update", c.sh_map_update(fd, key, value, flags));
    },
    /** false: there was no such key. */
    mapDelete: (fd: number, key: NodeJS.TypedArray): boolean =>
      found("map delete", c.sh_map_delete(fd, key)),
    /** Reads and deletes an entry. false: no such key. Before 5.14 an update between the read and the deletion is lost. */
    mapTake: (fd: number, key: NodeJS.TypedArray, value: NodeJS.TypedArray): boolean =>
      found("map take", c.sh_map_take(fd, key, value)),
    /** `key` null asks for the first; false: there is no further key. */
    mapNextKey: (fd: number, key: NodeJS.TypedArray | null, next: NodeJS.TypedArray): boolean =>
      found("map next key", c.sh_map_next_key(fd, key, next)),
    /**
     * Fills `dst` with entries, each a key followed by its value, and returns how many. When `dst`
     * is full there may be more. On kernels before 5.6 a key may come twice if others delete.
     */
    mapDump: (fd: number, keySize: number, valueSize: number, dst: Uint8Array): number => {
      const cap = Math.floor(dst.byteLength / (keySize + valueSize));
      return check("map dump", c.sh_map_dump(fd, keySize, valueSize, dst, cap));
    },
    /** Fills `dst` with values of an array map, from this index on; at most ShimNumber.RANGE_MAX. */
    mapRange: (fd: number, first: number, valueSize: number, dst: Uint8Array): void => {
      const count = dst.byteLength / valueSize;
      check("map range", c.sh_map_range(fd, first, count, valueSize, dst));
    },

    /** Whether some map of this host is a sockmap; false also where that cannot be told. */
    hasSockmap: (): boolean => c.sh_has_sockmap() === 1,
    /** The descriptor of a new sockmap, whose keys are slots below `entries`, and its values descriptors of sockets. */
    sockmap: (entries: number): number => check("create a sockmap", c.sh_sockmap_create(entries)),

    /** How many entries each hash map of the object has by now, and how many it can have. */
    hashMaps: (object: BpfObject): MapFill[] => {
      const max = new Uint32Array(1);
      const name = Buffer.alloc(ShimNumber.MAP_NAME_SIZE);
      const maps: MapFill[] = [];
      for (let index = 0; ; index++) {
        const entries = c.sh_hash_map_entries(at(object), index, name, max);
        if (entries === -ENOENT) return maps;
        check("count a map", entries);
        const end = name.indexOf(0);
        maps.push({
          name: name.toString("latin1", 0, end),
          entries: Number(entries),
          max: max[0]!,
        });
      }
    },

    /** One ring of `pages` (a power of two) per online CPU, for a PERF_EVENT_ARRAY map. */
    ringsOpen: (mapFd: number, pages: number): PerfRings =>
      check("perf rings", c.sh_rings_open(mapFd, pages)) as PerfRings,
    /**
     * Records wait in a map by CPU before they go into the rings; the program puts them there. At `lenAt` lies how many wait,
     * at `asleepAt` whether none may.
     */
    ringsBatches: (
      rings: PerfRings,
      mapFd: number,
      progFd: number,
      lenAt: number,
      asleepAt: number,
    ): void => {
      check("event batches", c.sh_rings_batches(at(rings), mapFd, progFd, lenAt, asleepAt));
    },
    /** Before a drain that is to have all that was sent before. false: nothing was waiting. */
    ringsCollect: (rings: PerfRings): boolean =>
      check("event batches", c.sh_rings_collect(at(rings))) > 0,
    /** Follows CPUs that came online; to be called right after a drain. Returns how many. */
    ringsRefresh: (rings: PerfRings): number => check("perf rings", c.sh_rings_refresh(at(rings))),
    /**
     * After a drain, for a CPU whose events found no room: opens its ring anew if it took nothing since the last such
     * call, and says so.
     */
    ringsRevive: (rings: PerfRings, cpu: number): boolean => {
      const opened = c.sh_rings_revive(at(rings), cpu);
      return opened !== -ENODEV && check("perf rings", opened) > 0;
    },
    /**
     * Copies records into `dst`, each behind a struct ring_prefix (shim/shared.h). Records that do not fit stay for the next call.
     */
    ringsDrain: (rings: PerfRings, dst: Uint8Array): { bytes: number; lost: number } => {
      lost[0] = 0n;
      const bytes = check(
        "perf rings drain",
        c.sh_rings_drain(at(rings), dst, dst.byteLength, lost),
      );
      return { bytes, lost: Number(lost[0]) };
    },
    ringsClose: (rings: PerfRings): void => {
      c.sh_rings_close(at(rings));
    },

    /**
     * `loopEnd` is the caller's, and does not block: requests go into it, and a byte comes out when a wait is over. See
     * waiter.ts.
     */
    waiterOpen: (rings: PerfRings): { waiter: RingWaiter; loopEnd: number } => {
      const loopEnd = new Int32Array(1);
      const waiter = check("ring waiter", c.sh_waiter_open(at(rings), loopEnd)) as RingWaiter;
      return { waiter, loopEnd: loopEnd[0]! };
    },
    /** For the thread that is going to wait: it ends after `waiterStop`. */
    waiterThread: (waiter: RingWaiter): Thread | number => startThread(runWaiter, at(waiter)),
    waiterStop: (waiter: RingWaiter): void => {
      c.sh_waiter_stop(at(waiter));
    },
    /** Once its thread has ended, or if there was none. */
    waiterClose: (waiter: RingWaiter): void => {
      c.sh_waiter_close(at(waiter));
    },

    /** Where bytes lie, as long as somebody holds them. */
    addressOf: (bytes: ArrayBufferView): number => ptr(bytes as NodeJS.TypedArray),
    /**
     * Puts a line at `at` of `out`, without the line break, and returns where it ends; -1: a value cannot be written so. The
     * record lies at `p` of `records`, `count` steps (struct line_step) at `steps`, a struct line_moment at `moment`, and
     * `us` are within the second. All of these are addresses: bytes would be looked up for each line. There must be room.
     */
    putLine: (
      out: number,
      at: number,
      steps: number,
      count: number,
      records: number,
      p: number,
      moment: number,
      us: number,
      remote: number,
      remoteLength: number,
    ): number =>
      c.sh_put_line(
        out as Pointer,
        at,
        steps as Pointer,
        count,
        records as Pointer,
        p,
        moment as Pointer,
        us,
        remote as Pointer,
        remoteLength,
      ),
    /** The order of drained events by time: see order.c. All but the number of bytes and the room are addresses. */
    order: (drained: number, used: number, places: number, times: number, room: number): number =>
      c.sh_order(drained as Pointer, used, places as Pointer, times as Pointer, room),
    /** Puts lines of many records, as the struct line_batch at this address says. Returns how many. */
    putLines: (batch: number): number => c.sh_put_lines(batch as Pointer),

    /** A thread that stays in the calling thread's network namespace until it is disposed of; null: there can be none. */
    stay: (): Stayer | null => {
      const stayer = at(check("thread that stays", c.sh_stayer_open()));
      const thread = startThread(runStayer, stayer);
      if (typeof thread === "number") {
        c.sh_stayer_close(stayer);
        return null;
      }
      return {
        tid: check("thread that stays", c.sh_stayer_tid(stayer)),
        [Symbol.dispose]() {
          c.sh_stayer_stop(stayer);
          joinThread(thread);
          c.sh_stayer_close(stayer);
        },
      };
    },
  };
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);

/** A handle is an address as a plain number, which is what bun:ffi's Pointer is as well. */
const at = (handle: number): Pointer => handle as Pointer;
