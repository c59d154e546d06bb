/** Follows every path of a program as Linux 4.4's verifier does, with what it knows and forgets. */
import { HELPERS, PERF_EVENT_ARRAY, PERF_HELPERS, type Argument } from "./bpf_helpers.ts";
import {
  ALU,
  CLASS,
  classOf,
  disassemble,
  isCall,
  isExit,
  isGoto,
  isJump,
  JMP,
  MODE,
  modeOf,
  operationOf,
  sizeOf,
  usesRegister,
  type Instruction,
  type BpfMap,
  type Slots,
} from "./bpf_instruction.ts";
import type { Report } from "./verifier.ts";
import {
  copyOf,
  covers,
  firstState,
  gapIn,
  isPointer,
  NUMBER,
  readStack,
  STACK_SIZE,
  UNINITIALISED,
  writeStack,
  type State,
  type Value,
} from "./verifier_state.ts";

const MAX_STEPS = 32768;
const MAX_PENDING = 1024;

interface Walk {
  state: State;
  /** Branches not yet taken; the last one is next. */
  pending: State[];
  contextSize: number;
  /** By instruction: its memory is the context. */
  inContext: Map<number, boolean>;
  report: Report;
}

/** Returns the number of steps. After a problem it goes on as if a number had been there. */
export function explore(slots: Slots, contextSize: number, report: Report): number {
  const seen = new Map(pruningPoints(slots).map((at) => [at, [] as State[]]));
  const inContext = new Map<number, boolean>();
  const walk: Walk = { state: firstState(), pending: [], contextSize, inContext, report };
  for (let steps = 1; ; steps++) {
    const { state, pending } = walk;
    if (steps > MAX_STEPS || pending.length > MAX_PENDING) {
      report("complexity", state.at, `${steps} steps, ${pending.length} branches are left`);
      return steps;
    }
    const before = seen.get(state.at);
    const proven = before?.some((old) => covers(old, state)) === true;
    // Not proven yet, but what is wrong with it will be found on the way to its end.
    if (!proven) before?.push(copyOf(state));
    const i = slots[state.at]!;
    if (!proven) step(walk, i);
    if (!proven && !isExit(i)) continue;
    const next = pending.pop();
    if (next === undefined) return steps;
    walk.state = next;
  }
}

/** 4.4 compares states only here. */
function pruningPoints(slots: Slots): number[] {
  const points = slots.flatMap((i) => {
    if (!i || !isJump(i)) return [];
    return [isGoto(i) ? i.at + 1 : i.at + 1 + i.off];
  });
  return [...new Set(points)];
}

/** By instruction class. Each leaves `state.at` at the next instruction. */
const STEPS: ((walk: Walk, i: Instruction) => void)[] = [
  loadImmediate,
  load,
  store,
  store,
  arithmetic,
  jump,
  jump,
  arithmetic,
];

function step(walk: Walk, i: Instruction): void {
  walk.state.at++;
  STEPS[classOf(i.code)]!(walk, i);
}

function loadImmediate({ state }: Walk, { dst, target }: Instruction): void {
  state.at++;
  state.registers[dst] =
    target === null || typeof target === "string" ? NUMBER : { kind: "map", map: target };
}

function load(walk: Walk, i: Instruction): void {
  const base = read(walk, i, i.src);
  walk.state.registers[i.dst] = access(walk, i, base, i.src, null);
}

function store(walk: Walk, i: Instruction): void {
  const value = classOf(i.code) === CLASS.stx ? read(walk, i, i.src) : NUMBER;
  const base = read(walk, i, i.dst);
  if (base.kind === "value" && isPointer(value))
    walk.report("leaks", i.at, `r${i.src} is a pointer (${value.kind})`);
  if (modeOf(i.code) === MODE.xadd) access(walk, i, base, i.dst, null);
  access(walk, i, base, i.dst, modeOf(i.code) === MODE.xadd ? NUMBER : value);
}

/** Memory at `base`, register `n`; reads when `written` is null. */
function access(walk: Walk, i: Instruction, base: Value, n: number, written: Value | null): Value {
  const { state, contextSize, inContext, report } = walk;
  const isContext = base.kind === "context";
  if (inContext.has(i.at) && inContext.get(i.at) !== isContext)
    report("context", i.at, `r${n} is the context on one path and not on another`);
  inContext.set(i.at, isContext);
  const size = sizeOf(i.code);
  const inside = (from: number, to: number, offset: number): boolean =>
    offset >= from && offset + size <= to && offset % size === 0;

  if (base.kind === "value") {
    if (!inside(0, base.map.value_size, i.off))
      report("values", i.at, `not aligned or not inside the ${base.map.value_size} bytes`);
  } else if (base.kind === "value or null") {
    report("values", i.at, `r${n} was not compared with 0 itself`);
  } else if (isContext) {
    if (written !== null || size !== 8 || !inside(0, contextSize, i.off))
      report("context", i.at, "no 8-byte read of one register");
  } else if (base.kind === "frame" || base.kind === "stack") {
    const offset = i.off + (base.kind === "stack" ? base.offset : 0);
    if (!inside(-STACK_SIZE, 0, offset))
      report("initialised", i.at, "not aligned or not inside the stack");
    else if (written !== null) writeStack(state, offset, size, written);
    else return readStack(state, offset, size) ?? unreadable(walk, i);
  } else if (base.kind !== "uninitialised") {
    report("values", i.at, `r${n} is no pointer to memory (${base.kind})`);
  }
  return NUMBER;
}

function unreadable({ report }: Walk, i: Instruction): Value {
  report("initialised", i.at, "reads stack bytes that were not written, or half a pointer");
  return NUMBER;
}

function arithmetic(walk: Walk, i: Instruction): void {
  const { state, report } = walk;
  const wide = classOf(i.code) === CLASS.alu64;
  const operation = operationOf(i.code);
  const other = usesRegister(i.code) && operation !== ALU.end ? read(walk, i, i.src) : null;
  if (operation === ALU.mov) {
    const constant: Value = wide || i.imm >= 0 ? { kind: "constant", value: i.imm } : NUMBER;
    if (!wide && other !== null && isPointer(other))
      report("arithmetic", i.at, `half of a pointer (${other.kind})`);
    state.registers[i.dst] = other === null ? constant : wide ? other : NUMBER;
    return;
  }
  const value = read(walk, i, i.dst);
  if (wide && operation === ALU.add && other === null && value.kind === "frame") {
    state.registers[i.dst] = { kind: "stack", offset: i.imm };
    return;
  }
  for (const operand of [value, other ?? NUMBER])
    if (isPointer(operand))
      report("arithmetic", i.at, `a ${operand.kind} pointer, which 4.4 forgets by this`);
  state.registers[i.dst] = NUMBER;
}

function jump(walk: Walk, i: Instruction): void {
  const { state, pending } = walk;
  if (isCall(i)) return call(walk, i);
  if (isExit(i)) return void read(walk, i, 0);
  const target = i.at + 1 + i.off;
  if (isGoto(i)) {
    state.at = target;
    return;
  }
  const equality = [JMP.jeq, JMP.jne].some((o) => o === operationOf(i.code));
  if (usesRegister(i.code)) read(walk, i, i.src);
  const value = read(walk, i, i.dst);
  const jumpsIfEqual = operationOf(i.code) === JMP.jeq;
  const learns = equality && !usesRegister(i.code);
  if (learns && value.kind === "constant" && value.value === i.imm) {
    if (jumpsIfEqual) state.at = target;
    return;
  }
  const other = { ...copyOf(state), at: target };
  pending.push(other);
  if (!learns) return;
  const [equal, unequal] = jumpsIfEqual ? [other, state] : [state, other];
  equal.registers[i.dst] = { kind: "constant", value: i.imm };
  // This register alone: before 4.10 no copy of it is known to be the same.
  if (value.kind === "value or null" && i.imm === 0)
    unequal.registers[i.dst] = { kind: "value", map: value.map };
}

function call(walk: Walk, i: Instruction): void {
  const { state, report } = walk;
  const helper = HELPERS.get(i.imm)!;
  let map: BpfMap | null = null;
  for (const [n, argument] of helper.arguments.entries()) {
    const value = state.registers[n + 1]!;
    if (argument === "map" && value.kind === "map") map = value.map;
    checkArgument(walk, i, n + 1, argument, map);
  }
  if (map !== null && PERF_HELPERS.has(i.imm) !== (map.type === PERF_EVENT_ARRAY))
    report("maps", i.at, `${helper.name} is not for the map ${map.name}`);
  state.registers.fill(UNINITIALISED, 0, 6);
  if (helper.returns === "number") state.registers[0] = NUMBER;
  if (helper.returns === "value or null" && map !== null)
    state.registers[0] = { kind: "value or null", map };
}

function checkArgument(
  walk: Walk,
  i: Instruction,
  n: number,
  argument: Argument,
  map: BpfMap | null,
): void {
  const { report } = walk;
  const value = read(walk, i, n);
  const wrong = (what: string): void =>
    report("arguments", i.at, `r${n} is ${what}, not ${argument}`);

  if (argument === "number") {
    if (isPointer(value)) report("leaks", i.at, `r${n} is a pointer (${value.kind})`);
  } else if (argument === "size") {
    const buffer = walk.state.registers[n - 1]!;
    if (value.kind === "constant") checkStack(walk, i, n - 1, buffer, value.value);
    else wrong(value.kind);
  } else if (argument === "key" || argument === "value") {
    if (map !== null)
      checkStack(walk, i, n, value, argument === "key" ? map.key_size : map.value_size);
  } else if (argument !== "buffer" && value.kind !== argument) {
    wrong(value.kind);
  }
}

/** 4.4 wants all of it written, also what the helper is only going to write itself. */
function checkStack(walk: Walk, i: Instruction, n: number, value: Value, size: number): void {
  if (value.kind !== "stack")
    return walk.report("arguments", i.at, `r${n} is ${value.kind}, not r10 plus a constant`);
  const { offset } = value;
  if (offset < -STACK_SIZE || size <= 0 || offset + size > 0)
    return walk.report("arguments", i.at, `${size} bytes at r10 ${offset} are not in the stack`);
  const gap = gapIn(walk.state, offset, size);
  if (gap !== null)
    walk.report("arguments", i.at, `r10 ${gap}, one of the ${size} bytes, was not written`);
}

/** The value of a register that is an operand. */
function read({ state, report }: Walk, i: Instruction, n: number): Value {
  const value = state.registers[n]!;
  if (value.kind === "uninitialised")
    report("initialised", i.at, `r${n} was not written on a path to "${disassemble(i)}"`);
  return value;
}
