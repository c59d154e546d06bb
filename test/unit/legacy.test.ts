/** The rules of test/built/verifier.ts: each is broken here by a program of a few instructions. */
import { describe, expect, test } from "bun:test";
import { decode, type BpfMap, type Target } from "../built/bpf_instruction.ts";
import { RULES, verify, type Rule, type Verdict } from "../built/verifier.ts";

const plain = { key_size: 4, value_size: 16, extras: [] };
const counts: BpfMap = { name: "counts", type: 2, ...plain };
const ring: BpfMap = { name: "ring", type: 4, ...plain, value_size: 4 };
const perCpu: BpfMap = { name: "per_cpu", type: 5, ...plain };
const flagged: BpfMap = { name: "flagged", type: 1, ...plain, extras: ["map_flags"] };

interface Code {
  bytes: number[];
  target?: Target;
}

const code = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Code => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(dst | (src << 4), 1);
  bytes.writeInt16LE(off, 2);
  bytes.writeInt32LE(imm, 4);
  return { bytes: [...bytes] };
};
const mov = (dst: number, imm: number): Code => code(0xb7, dst, 0, 0, imm);
const copy = (dst: number, src: number): Code => code(0xbf, dst, src);
const add = (dst: number, imm: number): Code => code(0x07, dst, 0, 0, imm);
const load = (dst: number, src: number, off: number): Code => code(0x79, dst, src, off);
const load32 = (dst: number, src: number, off: number): Code => code(0x61, dst, src, off);
const store = (dst: number, off: number, src: number): Code => code(0x7b, dst, src, off);
const zero = (off: number): Code => code(0x7a, 10, 0, off, 0);
const ifZero = (dst: number, off: number): Code => code(0x15, dst, 0, off, 0);
const goto = (off: number): Code => code(0x05, 0, 0, off);
const call = (id: number): Code => code(0x85, 0, 0, 0, id);
const exit = code(0x95);
const address = (dst: number, target: Target): Code => {
  const { bytes } = code(0x18, dst);
  return { bytes: [...bytes, ...code(0).bytes], target };
};
const stack = (dst: number, off: number): Code[] => [copy(dst, 10), add(dst, off)];
/** Instructions 0 to 5, the call is 5. */
const lookup = [zero(-8), address(1, counts), ...stack(2, -8), call(1)];
const end = [mov(0, 0), exit];

function verdictOf(codes: Code[]): Verdict {
  const targets = new Map<number, Target>();
  const bytes: number[] = [];
  for (const each of codes) {
    if (each.target !== undefined) targets.set(bytes.length / 8, each.target);
    bytes.push(...each.bytes);
  }
  const slots = decode(Uint8Array.from(bytes), targets);
  return verify({ name: "program", slots, sourceOf: () => "here" }, 168);
}

/** `at`: the instruction that is to blame. */
const BREAKS: Record<Rule, { program: string; at: number; codes: Code[] }[]> = {
  size: [
    { program: "of 4,097 instructions", at: 4096, codes: [...Array(4095).fill(mov(0, 0)), ...end] },
  ],
  opcodes: [
    { program: "with a 32-bit jump", at: 1, codes: [mov(0, 0), code(0x16, 0), exit] },
    { program: "with an unsigned less-than", at: 1, codes: [mov(0, 0), code(0xa5, 0), exit] },
    {
      program: "with a fetching add",
      at: 2,
      codes: [zero(-8), mov(0, 0), code(0xdb, 10, 0, -8, 1), exit],
    },
    {
      program: "with an atomic or",
      at: 2,
      codes: [zero(-8), mov(0, 0), code(0xdb, 10, 0, -8, 0x40), exit],
    },
    { program: "with a signed division", at: 1, codes: [mov(0, 0), code(0x37, 0, 0, 1, 2), exit] },
    {
      program: "with a sign-extending load",
      at: 1,
      codes: [zero(-8), code(0x99, 0, 10, -8), exit],
    },
    {
      program: "with a 64-bit byte swap",
      at: 1,
      codes: [mov(0, 0), code(0xd7, 0, 0, 0, 16), exit],
    },
    {
      program: "with a 32-bit arithmetic shift",
      at: 1,
      codes: [mov(0, 0), code(0xc4, 0, 0, 0, 1), exit],
    },
  ],
  helpers: [
    { program: "that calls get_prandom_u32", at: 0, codes: [call(7), exit] },
    { program: "that calls probe_read_kernel", at: 0, codes: [call(113), exit] },
    { program: "that calls another program", at: 0, codes: [code(0x85, 0, 1, 0, -1), exit] },
  ],
  flow: [
    { program: "with a loop", at: 1, codes: [mov(0, 0), ifZero(0, -2), exit] },
    {
      program: "with an unreachable instruction",
      at: 2,
      codes: [mov(0, 0), goto(1), mov(0, 0), exit],
    },
    { program: "that runs over its end", at: 0, codes: [mov(0, 0)] },
    { program: "that jumps behind its end", at: 1, codes: [mov(0, 0), ifZero(0, 7), exit] },
    {
      program: "that jumps into an ld_imm64",
      at: 1,
      codes: [mov(0, 0), ifZero(0, 1), address(1, counts), exit],
    },
  ],
  maps: [
    { program: "that refers to .rodata", at: 0, codes: [address(1, ".rodata"), ...end] },
    { program: "with a per-CPU hash map", at: 0, codes: [address(1, perCpu), ...end] },
    { program: "with a map that has flags", at: 0, codes: [address(1, flagged), ...end] },
    {
      program: "that looks up in a ring",
      at: 5,
      codes: [zero(-8), address(1, ring), ...stack(2, -8), call(1), ...end],
    },
  ],
  arguments: [
    {
      program: "that reads to unwritten stack",
      at: 4,
      codes: [...stack(1, -8), mov(2, 8), mov(3, 0), call(4), exit],
    },
    {
      program: "that reads to stack half written",
      at: 5,
      codes: [code(0x62, 10, 0, -8), ...stack(1, -8), mov(2, 8), mov(3, 0), call(4), exit],
    },
    {
      program: "that reads to stack written on one path",
      at: 7,
      codes: [
        load(4, 1, 0),
        mov(3, 0),
        ifZero(4, 1),
        zero(-8),
        mov(2, 8),
        ...stack(1, -8),
        call(4),
        exit,
      ],
    },
    {
      program: "that reads over the end of the stack",
      at: 5,
      codes: [zero(-8), ...stack(1, -8), mov(2, 16), mov(3, 0), call(4), exit],
    },
    {
      program: "that reads as much as it has loaded",
      at: 5,
      codes: [zero(-8), load(2, 1, 0), ...stack(1, -8), mov(3, 0), call(4), exit],
    },
    {
      program: "that reads as much as an ld_imm64 says",
      at: 6,
      codes: [
        zero(-8),
        { bytes: [...code(0x18, 2, 0, 0, 8).bytes, ...code(0).bytes] },
        ...stack(1, -8),
        mov(3, 0),
        call(4),
        exit,
      ],
    },
    {
      program: "that reads into a map value",
      at: 10,
      codes: [...lookup, ifZero(0, 4), copy(1, 0), mov(2, 8), mov(3, 0), call(4), ...end],
    },
    {
      program: "that uses a spilled pointer as key",
      at: 5,
      codes: [store(10, -8, 10), address(1, counts), ...stack(2, -8), call(1), ...end],
    },
    {
      program: "whose key is longer than written",
      at: 5,
      codes: [code(0x6a, 10, 0, -8), address(1, counts), ...stack(2, -8), call(3), exit],
    },
    {
      program: "that updates with a map value",
      at: 13,
      codes: [
        ...lookup,
        ifZero(0, 7),
        copy(3, 0),
        mov(4, 0),
        address(1, counts),
        ...stack(2, -8),
        call(2),
        ...end,
      ],
    },
    {
      program: "that sends from a map value",
      at: 14,
      codes: [
        copy(6, 1),
        ...lookup,
        ifZero(0, 7),
        copy(1, 6),
        address(2, ring),
        mov(3, 0),
        copy(4, 0),
        mov(5, 8),
        call(25),
        ...end,
      ],
    },
    {
      program: "that sends without the context",
      at: 8,
      codes: [
        zero(-8),
        mov(1, 0),
        address(2, ring),
        mov(3, 0),
        ...stack(4, -8),
        mov(5, 8),
        call(25),
        exit,
      ],
    },
  ],
  values: [
    { program: "that does not compare with 0", at: 6, codes: [...lookup, load(0, 0, 0), ...end] },
    {
      program: "that compares r0 and uses its copy r6",
      at: 8,
      codes: [...lookup, copy(6, 0), ifZero(0, 1), load(1, 6, 0), ...end],
    },
    {
      program: "that compares r0 and uses its refilled copy",
      at: 9,
      codes: [...lookup, store(10, -16, 0), ifZero(0, 2), load(6, 10, -16), load(1, 6, 0), ...end],
    },
    {
      program: "that uses the value where it is NULL",
      at: 7,
      codes: [...lookup, code(0x55, 0, 0, 1, 0), load(1, 0, 0), ...end],
    },
    {
      program: "that reads behind the value",
      at: 7,
      codes: [...lookup, ifZero(0, 1), load(1, 0, 16), ...end],
    },
    {
      program: "that reads before the value",
      at: 7,
      codes: [...lookup, ifZero(0, 1), load(1, 0, -8), ...end],
    },
    {
      program: "that reads the value unaligned",
      at: 7,
      codes: [...lookup, ifZero(0, 1), load(1, 0, 4), ...end],
    },
    {
      program: "that reads where a number points",
      at: 1,
      codes: [load(1, 1, 0), load(1, 1, 0), ...end],
    },
  ],
  context: [
    { program: "that reads half a register", at: 0, codes: [load32(0, 1, 0), exit] },
    { program: "that reads unaligned", at: 0, codes: [load(0, 1, 4), exit] },
    { program: "that reads behind the registers", at: 0, codes: [load(0, 1, 168), exit] },
    { program: "that writes a register", at: 1, codes: [mov(0, 0), store(1, 0, 0), exit] },
    {
      program: "that reads the context or the stack",
      at: 4,
      codes: [zero(-8), load(2, 1, 0), ifZero(2, 1), copy(1, 10), load(0, 1, -8), exit],
    },
  ],
  initialised: [
    { program: "that reads a register never written", at: 0, codes: [copy(0, 3), exit] },
    {
      program: "that reads a register lost in a call",
      at: 2,
      codes: [mov(1, 0), call(5), copy(0, 1), exit],
    },
    { program: "that returns nothing", at: 0, codes: [exit] },
    { program: "that reads stack never written", at: 0, codes: [load(0, 10, -8), exit] },
    {
      program: "that reads stack half written",
      at: 1,
      codes: [code(0x62, 10, 0, -8), load(0, 10, -8), exit],
    },
    {
      program: "that reads half a spilled pointer",
      at: 1,
      codes: [store(10, -8, 1), load32(0, 10, -8), exit],
    },
    { program: "that reads below the stack", at: 0, codes: [load(0, 10, -520), exit] },
    {
      program: "that reads a register written on one path",
      at: 3,
      codes: [load(2, 1, 0), ifZero(2, 1), mov(0, 0), exit],
    },
  ],
  arithmetic: [
    {
      program: "that adds to a map value",
      at: 7,
      codes: [...lookup, ifZero(0, 1), add(0, 8), ...end],
    },
    {
      program: "that adds to a stack address twice",
      at: 2,
      codes: [...stack(1, -16), add(1, 8), ...end],
    },
    {
      program: "that adds a register to r10",
      at: 2,
      codes: [copy(1, 10), mov(2, -8), code(0x0f, 1, 2), ...end],
    },
    { program: "that copies half a pointer", at: 0, codes: [code(0xbc, 0, 10), exit] },
  ],
  leaks: [
    {
      program: "that stores a stack address in a map value",
      at: 7,
      codes: [...lookup, ifZero(0, 1), store(0, 0, 10), ...end],
    },
    {
      program: "that reads from its own context",
      at: 5,
      codes: [zero(-8), copy(3, 1), ...stack(1, -8), mov(2, 8), call(4), exit],
    },
  ],
  complexity: [
    {
      program: "of 16 paths that write different bytes, and 3,000 instructions for each",
      // In the eleventh path.
      at: 2742,
      codes: [
        load(2, 1, 0),
        ...Array.from({ length: 4 }, (_, n) => [code(0x55, 2, 0, 1, n), code(0x72, 10, 0, -1 - n)]),
        ...Array<Code>(3000).fill(mov(0, 0)),
        exit,
      ].flat(),
    },
  ],
};

for (const [rule, cases] of Object.entries(BREAKS))
  describe(`"programs ${RULES[rule as Rule]}"`, () => {
    for (const { program, at, codes } of cases)
      test(`is broken by one ${program}`, () => {
        const { problems } = verdictOf(codes);
        expect(problems[0]).toMatchObject({ rule, at });
        expect(problems.filter((problem) => problem.rule !== rule)).toEqual([]);
      });
  });

/** `steps` by hand: a branch counts its instructions up to where an equal state was seen. */
const ACCEPTED: { program: string; steps: number; codes: Code[] }[] = [
  { program: "that only returns", steps: 2, codes: end },
  {
    program: "that adds to a map value, compared first and copied then",
    steps: 13,
    codes: [...lookup, ifZero(0, 3), copy(6, 0), mov(1, 1), code(0xdb, 6, 1, 8), ...end],
  },
  {
    program: "that refills a compared pointer",
    steps: 13,
    codes: [...lookup, ifZero(0, 3), store(10, -16, 0), load(6, 10, -16), load(0, 6, 8), ...end],
  },
  {
    program: "that sends what it has read",
    steps: 16,
    codes: [
      copy(6, 1),
      zero(-8),
      ...[...stack(1, -8), mov(2, 8), load(3, 6, 0x70), call(4)],
      ...[copy(1, 6), address(2, ring), mov(3, 0), ...stack(4, -8), mov(5, 8), call(25)],
      ...end,
    ],
  },
  {
    program: "with a jump backwards that is no loop",
    steps: 8,
    codes: [load(2, 1, 0), ifZero(2, 2), mov(0, 0), exit, mov(2, 7), goto(-4)],
  },
  {
    program: "that goes on with 5 after it did with any number",
    steps: 5,
    codes: [load(2, 1, 0), code(0x15, 2, 0, 0, 5), ...end],
  },
  {
    program: "that goes on with any number after it did with 5",
    steps: 6,
    codes: [load(2, 1, 0), code(0x55, 2, 0, 0, 5), ...end],
  },
];

for (const { program, steps, codes } of ACCEPTED)
  test(`a program ${program} is accepted after ${steps} steps`, () => {
    expect(verdictOf(codes)).toEqual({ problems: [], steps });
  });

test("a problem names program, instruction, its text and its place in the source", () => {
  const [problem] = verdictOf([
    ...lookup,
    copy(6, 0),
    ifZero(0, 1),
    load(1, 6, 0),
    ...end,
  ]).problems;
  expect(problem?.text).toBe(
    "program, instruction 8 (r1 = *(u64 *)(r6 + 0)) of here: r6 was not compared with 0 itself",
  );
});
