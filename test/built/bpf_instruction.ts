/** eBPF instructions: decoding, and their text as llvm-objdump prints it. */

export const CLASS = { ld: 0, ldx: 1, st: 2, stx: 3, alu: 4, jmp: 5, jmp32: 6, alu64: 7 } as const;
export const ALU = { add: 0x00, neg: 0x80, mov: 0xb0, arsh: 0xc0, end: 0xd0 } as const;
export const JMP = { ja: 0x00, jeq: 0x10, jne: 0x50, call: 0x80, exit: 0x90 } as const;
export const MODE = { mem: 0x60, xadd: 0xc0 } as const;
export const LD_IMM64 = 0x18;

export interface BpfMap {
  name: string;
  /** A number of enum bpf_map_type. */
  type: number;
  key_size: number;
  value_size: number;
  /** Members of its definition beyond type, sizes and max_entries, like map_flags. */
  extras: string[];
}

/** The value that a relocation puts into an instruction; a string names anything that is not a map. */
export type Target = BpfMap | string;

export interface Instruction {
  /** Its number as llvm-objdump and the kernel count: an ld_imm64 takes two. */
  at: number;
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
  /** The upper half of an ld_imm64, 0 for everything else. */
  imm_high: number;
  target: Target | null;
}

/** null: the second half of an ld_imm64. */
export type Slots = (Instruction | null)[];

export function decode(bytes: Uint8Array, targets: ReadonlyMap<number, Target>): Slots {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots: Slots = [];
  for (let at = 0; at * 8 < bytes.length; at++) {
    const [byte, code] = [at * 8, bytes[at * 8]!];
    const wide = code === LD_IMM64 && byte + 16 <= bytes.length;
    slots.push({
      at,
      code,
      dst: bytes[byte + 1]! & 15,
      src: bytes[byte + 1]! >> 4,
      off: view.getInt16(byte + 2, true),
      imm: view.getInt32(byte + 4, true),
      imm_high: wide ? view.getInt32(byte + 12, true) : 0,
      target: targets.get(at) ?? null,
    });
    if (wide) slots[++at] = null;
  }
  return slots;
}

export const classOf = (code: number): number => code & 7;
/** Of arithmetic and jumps. */
export const operationOf = (code: number): number => code & 0xf0;
/** Of arithmetic and jumps: the other operand is a register, not imm. */
export const usesRegister = (code: number): boolean => (code & 8) !== 0;
/** Of loads and stores. */
export const modeOf = (code: number): number => code & 0xe0;
export const sizeOf = (code: number): number => [4, 2, 1, 8][(code >> 3) & 3]!;

export const isCall = (i: Instruction): boolean => i.code === (CLASS.jmp | JMP.call);
export const isExit = (i: Instruction): boolean => i.code === (CLASS.jmp | JMP.exit);
export const isGoto = (i: Instruction): boolean => i.code === (CLASS.jmp | JMP.ja);

export const isJump = (i: Instruction): boolean =>
  [CLASS.jmp, CLASS.jmp32].some((c) => c === classOf(i.code)) && !isCall(i) && !isExit(i);

/** Where execution may go from here. */
export function successors(i: Instruction): number[] {
  if (isExit(i)) return [];
  if (isGoto(i)) return [i.at + 1 + i.off];
  const next = i.at + (i.code === LD_IMM64 ? 2 : 1);
  return isJump(i) ? [next, i.at + 1 + i.off] : [next];
}

const SIGNS = "+= -= *= /= |= &= <<= >>= neg %= ^= = s>>= swap".split(" ");
const COMPARISONS = "goto == > >= & != s> s>= call exit < <= s< s<=".split(" ");

/** By instruction class. */
const TEXTS = [
  (i: Instruction) => {
    const value = (BigInt(i.imm_high >>> 0) << 32n) | BigInt(i.imm >>> 0);
    return i.code === LD_IMM64 ? `r${i.dst} = ${nameOf(i.target) ?? value} ll` : unknown(i);
  },
  (i: Instruction) => `r${i.dst} = ${memory(i, i.src)}`,
  (i: Instruction) => `${memory(i, i.dst)} = ${i.imm}`,
  (i: Instruction) => {
    if (modeOf(i.code) === MODE.mem) return `${memory(i, i.dst)} = r${i.src}`;
    return `lock ${memory(i, i.dst)} ${i.imm === 0 ? "+=" : `atomic ${i.imm}`} r${i.src}`;
  },
  arithmetic,
  jump,
  jump,
  arithmetic,
];

export const disassemble = (i: Instruction): string => TEXTS[classOf(i.code)]!(i);

const nameOf = (target: Target | null): string | undefined =>
  typeof target === "string" ? target : target?.name;

const unknown = (i: Instruction): string => `opcode 0x${i.code.toString(16)}`;

function memory(i: Instruction, base: number): string {
  const sign = i.off < 0 ? "-" : "+";
  return `*(u${sizeOf(i.code) * 8} *)(r${base} ${sign} ${Math.abs(i.off)})`;
}

function arithmetic(i: Instruction): string {
  const name = classOf(i.code) === CLASS.alu64 ? "r" : "w";
  const operation = operationOf(i.code);
  if (operation === ALU.neg) return `${name}${i.dst} = -${name}${i.dst}`;
  if (operation === ALU.end) return `r${i.dst} = swap${i.imm} r${i.dst}`;
  const operand = usesRegister(i.code) ? name + i.src : i.imm;
  return `${name}${i.dst} ${SIGNS[operation >> 4] ?? unknown(i)} ${operand}`;
}

function jump(i: Instruction): string {
  if (isExit(i)) return "exit";
  if (isCall(i)) return i.src === 0 ? `call ${i.imm}` : `call program ${nameOf(i.target) ?? i.imm}`;
  const target = `goto ${i.off < 0 ? "" : "+"}${i.off}`;
  if (operationOf(i.code) === JMP.ja) return target;
  const name = classOf(i.code) === CLASS.jmp ? "r" : "w";
  const operand = usesRegister(i.code) ? name + i.src : i.imm;
  return `if ${name}${i.dst} ${COMPARISONS[operationOf(i.code) >> 4] ?? unknown(i)} ${operand} ${target}`;
}
