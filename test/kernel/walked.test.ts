/**
 * The verifier walks all ways through a program before it takes it, and gives up after so many instructions. Versions
 * differ in the ways that they find to be the same, so a program must need little of it. The newest kernels tell the figure.
 */
import { dlopen, ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { guessObject, traceObject, traceObject510, traceObject62 } from "../../src/embedded.ts";
import { openHost } from "../../src/kernel/host.ts";
import { loadObject, type ObjectSpec } from "../../src/kernel/object.ts";
import { KernelError } from "../../src/kernel/shim.ts";
import {
  Constant,
  Filter,
  guessPrograms,
  Offset,
  tracePrograms,
} from "../../src/record/layout.gen.ts";

/**
 * Linux 4.4 to 4.13 allow 32,768 to 131,072 instructions, up to 5.1 131,072, later ones 1,000,000. How 4.4 walks is
 * modelled by test/built/legacy.test.ts; a kernel that walks in another order has as much again.
 */
const MOST = 16_384;
/** For programs that only 5.10 and later get: a quarter. run_samples, which loops over socks, needs most of it on arm64. */
const MOST_5_10 = 250_000;

/** Kernels without verified_insns in struct bpf_prog_info (before 5.16) tell only that they take the program. */
interface Walk {
  object: string;
  program: string;
  instructions: number;
}

/** bpf(2), and where struct bpf_prog_info has the figure: both are ABI. */
const SYS_BPF = process.arch === "arm64" ? 280 : 321;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const INFO_BYTES = 232;
const VERIFIED_INSNS = 216;
const { symbols } = dlopen("libc.so.6", {
  syscall: { args: ["i64", "i64", "ptr", "i64"], returns: "i64" },
});

const host = openHost("auto");
/** Emulated, where each way through the programs takes a minute, only what walks as much as the others. */
const isEmulated = process.env["VM_KERNEL"] !== undefined;
const loads = host.features.has("plain_loads") ? host.shim.plainLoads() : null;
type Walked = Pick<ObjectSpec, "name" | "file" | "programs" | "loads">;
const objects: (Walked & { most: number })[] = [
  { name: "guess", file: guessObject, programs: guessPrograms, most: MOST },
  { name: "trace", file: traceObject, programs: tracePrograms, most: MOST },
  ...(host.features.has("test_run") && !(isEmulated && loads)
    ? [{ name: "trace_5_10", file: traceObject510, programs: tracePrograms, most: MOST_5_10 }]
    : []),
  ...(loads
    ? [
        {
          name: "trace_6_2",
          file: traceObject62,
          programs: tracePrograms,
          loads,
          most: MOST_5_10,
        },
      ]
    : []),
];

/** Raw tracepoints came with 4.17, and a kernel that cannot run them on request has no tracepoint mode. */
const onlyTracepoints = new Set(
  ["on_sched_process_fork", "on_set_state", "run_copy_sock", "run_peek"].map((p) => `guess: ${p}`),
);

/** The programs of lengths use atomic instructions of 5.12. Their tracepoints came with 6.3. */
const ofLengths = /: on_(sent|received)(_backup)?$/;

/** The walks over the files of all tasks call a helper of 5.11. */
const ofHolders = /: list_(holders|held)$/;

/** A program that the tracer never gives to this kernel. */
const isForNewer = (name: string): boolean =>
  (!host.features.has("test_run") && onlyTracepoints.has(name)) ||
  (!host.features.has("udp_lengths") && ofLengths.test(name)) ||
  (!host.features.has("holder_iterator") && ofHolders.test(name));

// The constants of most hosts, and all that can be asked for: other ways through the programs.
const variants: [string, Map<number, bigint>][] = [
  ["as usual", constants(0)],
  [
    "with every filter",
    constants(Object.values(Filter).reduce<number>((all, bit) => all | bit, 0)),
  ],
];

const tried = isEmulated ? variants.slice(1) : variants;

test.each(tried)(
  "%s, no program has more than a small part walked of what the oldest kernels allow",
  (_, values) => {
    const walks: Walk[] = [];
    const refused: string[] = [];
    const long: Walk[] = [];
    for (const { most, ...object } of objects)
      for (const program of object.programs) {
        const instructions = walked(object, program, values);
        if (instructions === undefined) continue;
        if (instructions === null) refused.push(`${object.name}: ${program}`);
        else walks.push({ object: object.name, program, instructions });
        if ((instructions ?? 0) > most) long.push(walks.at(-1)!);
      }
    console.table(walks.toSorted((a, b) => b.instructions - a.instructions));
    expect(long).toEqual([]);
    expect(refused.filter((name) => !isForNewer(name))).toEqual([]);
    expect(walks.length).toBeGreaterThan(25);
  },
);

function constants(filters: number): Map<number, bigint> {
  return new Map([
    ...Object.values(Constant).map((id): [number, bigint] => [id, 1n]),
    ...Object.values(Offset).map((id, n): [number, bigint] => [id, BigInt(8 * (n + 1))]),
    [Constant.CONSTANT_FILTERS, BigInt(filters)],
    [Constant.CONSTANT_PROTOCOL_MASK, 0xffffn],
    // Its low four bits are the question's.
    [Constant.CONSTANT_COOKIE, 0x4000_0000n],
  ]);
}

/** null: the kernel refuses the program; undefined: the object does not have it. */
function walked(
  object: Walked,
  program: string,
  constants: ReadonlyMap<number, bigint>,
): number | null | undefined {
  const { shim, features } = host;
  try {
    using loaded = loadObject(shim, {
      ...object,
      load: [program],
      constants,
      helpers: features.helpers(),
    });
    return verifiedInstructions(loaded.progFd(program));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.op === "load" ? null : undefined;
  }
}

function verifiedInstructions(fd: number): number {
  const info = new Uint8Array(INFO_BYTES);
  const attributes = new Uint8Array(16);
  const view = new DataView(attributes.buffer);
  view.setUint32(0, fd, true);
  view.setUint32(4, info.length, true);
  view.setBigUint64(8, BigInt(ptr(info)), true);
  const done = symbols.syscall(SYS_BPF, BPF_OBJ_GET_INFO_BY_FD, ptr(attributes), attributes.length);
  if (done !== 0n) return 0;
  return new DataView(info.buffer).getUint32(VERIFIED_INSNS, true);
}
