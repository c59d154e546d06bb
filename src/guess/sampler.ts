/** Takes the copies: one way with kprobes, one with tracepoints. Everything happens in the calling thread. */
import { Failure } from "../errors.ts";
import { guessObject, guessObject62 } from "../embedded.ts";
import { AF_INET, SOCK_STREAM, SOL_TCP } from "../kernel/constants.ts";
import type { KprobeAttacher } from "../kernel/kprobes.ts";
import { close, getsockopt, socket, usleep } from "../kernel/libc.ts";
import { loadObject, type KernelObject } from "../kernel/object.ts";
import { randomU32 } from "../kernel/random.ts";
import { KernelError, type Shim } from "../kernel/shim.ts";
import {
  chunkSize,
  Constant,
  guessAnswerSize,
  GuessArmed,
  GuessAsk,
  guessCommandSize,
  guessPrograms,
  GuessSize,
  GuessWindow,
  readChunk,
  readGuessAnswer,
  ShimNumber,
  writeGuessCommand,
  type GuessAnswer,
  type GuessCommand,
  type GuessProgram,
} from "../record/layout.gen.ts";
import { solveQueue } from "./solve_queue.ts";
import { kernelFloor, REGISTER_ARGUMENTS } from "./window.ts";

const { ARMED_CALL, ARMED_CONNTRACK, ARMED_SEGMENT, ARMED_SHARED, ARMED_SKB, ARMED_TASK } =
  GuessArmed;
const { ASK_MASK, ASK_PEEK, ASK_SOCK } = GuessAsk;
const { BEHIND_CHUNKS, PEEK_CHUNKS, SKB_CHUNKS, SOCK_CHUNKS, STACKED_CHUNKS } = GuessSize;
const { WINDOW_ARGS, WINDOW_BEHIND, WINDOW_SKB, WINDOW_SOCK, WINDOW_STACKED } = GuessWindow;

export interface Sampler extends Disposable {
  readonly attach: "kprobe" | "tracepoint";
  /** The address of the sock that the connect(2) done by `connect` used. */
  sockOf(fd: number, connect: () => void): bigint;
  /** Copies a TCP sock; shorter where memory cannot be read. */
  copySock(fd: number, sk: bigint): Uint8Array;
  /** Copies 1 KiB behind any address; empty when it cannot be read. `fd` is any TCP socket. */
  peek(fd: number, address: bigint): Uint8Array;
  /** The address of the calling thread's task_struct; 0 without `helpers`, and before 4.8. */
  task(fd: number): bigint;
}

/** Copies of a function's arguments while the tool is inside the function. Only kprobes can see them. */
export interface ArgumentSampler extends Sampler {
  arguments(send: () => void): { sk: bigint; arguments: (Uint8Array | null)[] } | null;
  skb(send: () => void): { bytes: Uint8Array; behind: (Uint8Array | null)[] } | null;
  /** Copies the memory at head + end of the sk_buff that `send` makes; `at`: where in it these stand. */
  shared(send: () => void, at: { head: number; end: number }): Uint8Array | null;
}

const KPROBES = {
  on_tcp_getsockopt: "tcp_getsockopt",
  on_ip_make_skb: "ip_make_skb",
  on_ip6_make_skb: "ip6_make_skb",
  on_ip_send_skb: "ip_send_skb",
} as const;
/** Kernels without them trace all the same: the fields they show are reported as failed. */
const OPTIONAL = new Set<string>(["on_ip_make_skb", "on_ip6_make_skb", "on_ip_send_skb"]);
const TRACEPOINTS = ["on_set_state", "run_copy_sock", "run_peek"] as const;

/** `helpers` of the kernel, for a caller that asks for `task`. `flows`: ip6_make_skb is probed too. */
export function openKprobeSampler(
  shim: Shim,
  kprobes: KprobeAttacher,
  { helpers = new Set(), flows = false }: { helpers?: ReadonlySet<number>; flows?: boolean } = {},
): ArgumentSampler {
  const cookie = newCookie();
  const points = Object.entries(KPROBES).filter(
    ([program]) => flows || program !== "on_ip6_make_skb",
  );
  const programs = points.map(([program]) => program);
  const object = load(shim, programs, BigInt(cookie), helpers);
  for (const [program, symbol] of points) {
    try {
      object.own(kprobes.attach(object.progFd(program), { symbol, retprobe: false }));
    } catch (error) {
      if (OPTIONAL.has(program)) continue;
      object[Symbol.dispose]();
      throw error;
    }
  }
  const maps = openMaps(shim, object);
  const option = new Uint8Array(4);
  const ask = (fd: number, question: number) =>
    maps.heard(() => void getsockopt(fd, SOL_TCP, cookie | question, option), "tcp_getsockopt");
  const inside = (armed: number, send: () => void, at = { head: 0, end: 0 }): boolean => {
    // The last answer was to a question about a TCP socket, so its sk is an address of this kernel.
    const { pid_tgid, sequence: before, sk } = maps.answer();
    const floor = kernelFloor(sk);
    const places = { head: BigInt(at.head), end: BigInt(at.end) };
    maps.command({ pid_tgid, armed: BigInt(armed), floor, ...places });
    send();
    maps.command({});
    return maps.answer().sequence !== before;
  };
  return {
    attach: "kprobe",
    sockOf(fd, connect) {
      connect();
      ask(fd, ASK_SOCK);
      return maps.answer().sk;
    },
    copySock(fd) {
      ask(fd, ASK_SOCK);
      return maps.read(WINDOW_SOCK, SOCK_CHUNKS);
    },
    peek(fd, address) {
      maps.command({ address });
      ask(fd, ASK_PEEK);
      return maps.read(WINDOW_SOCK, PEEK_CHUNKS);
    },
    task(fd) {
      ask(fd, ASK_PEEK);
      return maps.answer().task;
    },
    arguments(send) {
      if (!inside(ARMED_CALL, send)) return null;
      const registers = maps.chunks(WINDOW_ARGS, REGISTER_ARGUMENTS);
      const stacked = maps.chunks(WINDOW_STACKED, STACKED_CHUNKS);
      return { sk: maps.answer().sk, arguments: [...registers, ...stacked] };
    },
    skb(send) {
      if (!inside(ARMED_SKB, send)) return null;
      const behind = maps.chunks(WINDOW_BEHIND, BEHIND_CHUNKS);
      return { bytes: maps.read(WINDOW_SKB, SKB_CHUNKS), behind };
    },
    shared: (send, at) => (inside(ARMED_SHARED, send, at) ? maps.chunk(WINDOW_SKB) : null),
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

export function openTracepointSampler(
  shim: Shim,
  helpers: ReadonlySet<number> = new Set(),
): Sampler {
  const object = load(shim, TRACEPOINTS, 0n, helpers);
  const maps = openMaps(shim, object);
  /** The command itself fails where the program is not run. */
  const run = (program: string, address: bigint) =>
    void shim.testRun(object.progFd(program), BigUint64Array.of(address, 0n, 0n));
  try {
    object.own(shim.rawTracepoint(object.progFd("on_set_state"), "inet_sock_set_state"));
    // Any run tells which thread we are, in the kernel's own numbers.
    run("run_peek", 0n);
    maps.command({ pid_tgid: maps.answer().pid_tgid });
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
  return {
    attach: "tracepoint",
    sockOf(_fd, connect) {
      // Other sockets of this thread may have changed their states since.
      maps.answer();
      maps.heard(connect, "inet_sock_set_state");
      return maps.answer().sk;
    },
    copySock(_fd, sk) {
      run("run_copy_sock", sk);
      return maps.read(WINDOW_SOCK, SOCK_CHUNKS);
    },
    peek(_fd, address) {
      run("run_peek", address);
      return maps.read(WINDOW_SOCK, PEEK_CHUNKS);
    },
    task() {
      run("run_peek", 0n);
      return maps.answer().task;
    },
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

/** The runtime starts threads of its own from the same thread, for its compilers: a copy may be of one of those. */
const BIRTH_TRIES = 10;

/** A segment of loopback has arrived when its send returns, or soon after. */
const ARRIVAL_TRIES = 50;

/** Copies of a thread that is being born. */
export interface TaskSampler extends Disposable {
  /** The process of the tool, as the kernel numbers it. */
  readonly tgid: number;
  /** The beginning of the task_struct of the thread that `make` makes. */
  newTask(make: () => void): Uint8Array;
}

/** With kprobes, or without them (`null`) with tracepoints. */
export function openTaskSampler(shim: Shim, kprobes: KprobeAttacher | null): TaskSampler {
  const programs: GuessProgram[] = kprobes
    ? ["on_tcp_getsockopt", "on_wake_up_new_task"]
    : ["run_peek", "on_sched_process_fork"];
  const [who, birth] = programs as [GuessProgram, GuessProgram];
  const cookie = newCookie();
  const object = load(shim, programs, BigInt(cookie));
  const maps = openMaps(shim, object);
  try {
    if (kprobes) {
      for (const [program, symbol] of [
        [who, KPROBES.on_tcp_getsockopt],
        [birth, "wake_up_new_task"],
      ] as const)
        object.own(kprobes.attach(object.progFd(program), { symbol, retprobe: false }));
      using socket = tcpSocket();
      maps.heard(
        () => void getsockopt(socket.fd, SOL_TCP, cookie | ASK_PEEK, new Uint8Array(4)),
        "tcp_getsockopt",
      );
    } else {
      object.own(shim.rawTracepoint(object.progFd(birth), "sched_process_fork"));
      const nothing = BigUint64Array.of(0n, 0n, 0n);
      maps.heard(() => void shim.testRun(object.progFd(who), nothing), "BPF_PROG_TEST_RUN");
    }
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
  const { pid_tgid } = maps.answer();
  return {
    tgid: Number(pid_tgid >> 32n),
    newTask(make) {
      const via = kprobes ? "wake_up_new_task" : "sched_process_fork";
      for (let i = 0; i < BIRTH_TRIES; i++) {
        maps.command({ pid_tgid, armed: BigInt(ARMED_TASK) });
        maps.answer();
        const births = maps.heard(make, via);
        maps.command({});
        if (births === 1) return maps.read(WINDOW_SOCK, SOCK_CHUNKS);
      }
      throw new Failure("a thread of the tool's own: cannot be told from others", {
        why: `this process started several at once, ${BIRTH_TRIES} times in a row`,
        hint: "run it again",
      });
    },
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

/** The kernel function that takes each new entry of conntrack: struct nf_conn is its first argument. */
export const CONNTRACK_INSERT = "__nf_conntrack_hash_insert";

/** Copies of entries of conntrack that are being made. */
export interface ConntrackSampler extends Disposable {
  /** The beginning of a TCP sock. */
  copySock(fd: number): Uint8Array;
  /** The beginning of the struct nf_conn that `make` makes; null: none was seen, or several. */
  entry(make: () => void): Uint8Array | null;
}

export function openConntrackSampler(shim: Shim, kprobes: KprobeAttacher): ConntrackSampler {
  const cookie = newCookie();
  const points = [
    ["on_tcp_getsockopt", KPROBES.on_tcp_getsockopt],
    ["on_conntrack_insert", CONNTRACK_INSERT],
  ] as const;
  const object = load(
    shim,
    points.map(([program]) => program),
    BigInt(cookie),
  );
  const maps = openMaps(shim, object);
  try {
    for (const [program, symbol] of points)
      object.own(kprobes.attach(object.progFd(program), { symbol, retprobe: false }));
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
  const ask = (fd: number) =>
    maps.heard(
      () => void getsockopt(fd, SOL_TCP, cookie | ASK_SOCK, new Uint8Array(4)),
      "tcp_getsockopt",
    );
  return {
    copySock(fd) {
      ask(fd);
      return maps.read(WINDOW_SOCK, SOCK_CHUNKS);
    },
    entry(make) {
      const { pid_tgid, sequence } = maps.answer();
      maps.command({ pid_tgid, armed: BigInt(ARMED_CONNTRACK) });
      make();
      maps.command({});
      return maps.answer().sequence === sequence + 1n ? maps.chunk(WINDOW_SKB) : null;
    },
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

/** The sk_buffs of segments that arrive. */
export interface SegmentSampler extends Disposable {
  /** The address of the sock that the connect(2) done by `connect` used. */
  sockOf(fd: number, connect: () => void): bigint;
  /** The address of the sk_buff of the one segment that `send` makes arrive at the sock; nobody has read it yet. */
  segment(sk: bigint, send: () => void): bigint;
  /** Copies 1 KiB behind any address; shorter, or empty, where it cannot be read. */
  peek(address: bigint): Uint8Array;
  /** The offset of sk_receive_queue in struct sock; 0: it was not needed. */
  readonly receiveQueue: number;
}

/** Linux 5.10 and later, in either mode. */
export function openSegmentSampler(shim: Shim): SegmentSampler {
  const object = load(shim, ["on_set_state", "run_peek", "on_tcp_probe"], 0n);
  const maps = openMaps(shim, object);
  const run = (address: bigint) =>
    maps.heard(() => {
      shim.testRun(object.progFd("run_peek"), BigUint64Array.of(address, 0n, 0n));
    }, "BPF_PROG_TEST_RUN");
  let pid_tgid = 0n;
  try {
    object.own(shim.rawTracepoint(object.progFd("on_set_state"), "inet_sock_set_state"));
    object.own(shim.rawTracepoint(object.progFd("on_tcp_probe"), "tcp_probe"));
    run(0n);
    ({ pid_tgid } = maps.answer());
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
  return {
    receiveQueue: 0,
    sockOf(_fd, connect) {
      maps.command({ pid_tgid });
      maps.heard(connect, "inet_sock_set_state");
      return maps.answer().sk;
    },
    segment(sk, send) {
      maps.command({ address: sk, armed: BigInt(ARMED_SEGMENT) });
      maps.heard(send, "tcp_probe");
      maps.command({});
      return maps.answer().sk;
    },
    peek(address) {
      run(address);
      return maps.read(WINDOW_SOCK, PEEK_CHUNKS);
    },
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

/** Before Linux 5.10: a segment is found where it waits, in its sock's receive queue. */
export function openQueueSampler(shim: Shim, kprobes: KprobeAttacher): SegmentSampler {
  const cookie = newCookie();
  const object = load(shim, ["on_tcp_getsockopt"], BigInt(cookie));
  const socket = tcpSocket();
  const dispose = () => {
    socket[Symbol.dispose]();
    object[Symbol.dispose]();
  };
  const maps = openMaps(shim, object);
  try {
    const { on_tcp_getsockopt: symbol } = KPROBES;
    object.own(kprobes.attach(object.progFd("on_tcp_getsockopt"), { symbol, retprobe: false }));
  } catch (error) {
    dispose();
    throw error;
  }
  const option = new Uint8Array(4);
  const ask = (fd: number, question: number) =>
    maps.heard(() => void getsockopt(fd, SOL_TCP, cookie | question, option), "tcp_getsockopt");
  const peek = (address: bigint): Uint8Array => {
    maps.command({ address });
    ask(socket.fd, ASK_PEEK);
    return maps.read(WINDOW_SOCK, PEEK_CHUNKS);
  };
  let receiveQueue = 0;
  return {
    get receiveQueue() {
      return receiveQueue;
    },
    sockOf(fd, connect) {
      connect();
      ask(fd, ASK_SOCK);
      return maps.answer().sk;
    },
    segment(sk, send) {
      const settled = peek(sk);
      send();
      for (let n = 0; n < ARRIVAL_TRIES; n++) {
        const waiting = peek(sk);
        const queue = solveQueue({ sk, settled, waiting, peek }, kernelFloor(sk));
        if (queue === null) {
          usleep(200);
          continue;
        }
        receiveQueue = queue.at;
        return queue.skb;
      }
      throw new SamplerDeaf("the receive queue");
    },
    peek,
    [Symbol.dispose]: dispose,
  };
}

/** Copies the memory behind an address, as far as it can be read; `fd` is any TCP socket. */
export function peekUpTo(
  sampler: Sampler,
  fd: number,
  address: bigint,
  length: number,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < length; at += pieces.at(-1)!.length) {
    const piece = sampler.peek(fd, address + BigInt(at));
    if (piece.length === 0) break;
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

// --- internal ---

/** Bit 30 set, the bits of the question free: no option anybody else could ask for. */
const newCookie = (): number => ((randomU32() & 0x3fff_ffff & ~ASK_MASK) | 0x4000_0000) >>> 0;

/** Any socket of TCP carries a question. */
function tcpSocket(): Disposable & { fd: number } {
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  return { fd, [Symbol.dispose]: () => void close(fd) };
}

function load(
  shim: Shim,
  programs: readonly string[],
  cookie: bigint,
  helpers: ReadonlySet<number> = new Set(),
): KernelObject {
  const spec = {
    name: "guess",
    programs: guessPrograms,
    load: programs,
    constants: new Map([[Constant.CONSTANT_COOKIE, cookie]]),
    helpers,
  };
  try {
    return loadObject(shim, { ...spec, file: guessObject });
  } catch (error) {
    // In lockdown mode "confidentiality" no helper copies the kernel's memory.
    const loads = error instanceof KernelError ? shim.plainLoads() : null;
    if (loads === null) throw error;
    return loadObject(shim, { ...spec, file: guessObject62, loads });
  }
}

function openMaps(shim: Shim, object: KernelObject) {
  const zero = new Uint32Array(1);
  const [command, answer, window] = ["command", "answer", "window"].map((m) => object.mapFd(m));
  const answered = new Uint8Array(guessAnswerSize);
  const asked = new Uint8Array(guessCommandSize);
  const copied = new Uint8Array(ShimNumber.RANGE_MAX * chunkSize);
  let sequence = 0n;
  const read = (): GuessAnswer => {
    shim.mapLookup(answer!, zero, answered);
    const told = readGuessAnswer(new DataView(answered.buffer), 0);
    ({ sequence } = told);
    return told;
  };
  /** null: it could not be read. Of a chunk that the last question did not ask for, nothing is known. */
  const chunks = (first: number, count: number): (Uint8Array | null)[] => {
    const some = copied.subarray(0, count * chunkSize);
    shim.mapRange(window!, first, chunkSize, some);
    const view = new DataView(copied.buffer);
    return Array.from({ length: count }, (_, n) => {
      const { failed, bytes } = readChunk(view, n * chunkSize);
      return failed === 0n ? bytes : null;
    });
  };
  return {
    answer: read,
    chunks,
    chunk: (index: number): Uint8Array | null => chunks(index, 1)[0]!,
    command(some: Partial<GuessCommand>) {
      const nothing = { address: 0n, pid_tgid: 0n, armed: 0n, head: 0n, end: 0n, floor: 0n };
      writeGuessCommand(new DataView(asked.buffer), 0, { ...nothing, ...some });
      shim.mapUpdate(command!, zero, asked);
    },
    /** Runs `call` and makes sure that a program answered since the last look. Returns how often one did. */
    heard(call: () => void, via: string): number {
      const before = sequence;
      call();
      const answers = Number(read().sequence - before);
      if (answers === 0) throw new SamplerDeaf(via);
      return answers;
    },
    /** The chunks from `first` on, up to the first that could not be read. */
    read(first: number, count: number): Uint8Array {
      const all = chunks(first, count);
      const end = all.indexOf(null);
      const there = end < 0 ? all : all.slice(0, end);
      return new Uint8Array(Buffer.concat(there as Uint8Array[]));
    },
  };
}

/** A probe is attached, the tool made the call, and the probe did not see it. */
export class SamplerDeaf extends Error {
  readonly via: string;
  constructor(via: string) {
    super(`${via}: attached, but it did not see the tool's own call`);
    this.name = "SamplerDeaf";
    this.via = via;
  }
}
