/** The search of leader.ts. Pure. */
import type { FieldReport } from "./report.ts";
import { judge, nearest, viewOf, without } from "./search.ts";

/** The first thread of a process, and what lies behind its task_struct. */
export interface FirstThread {
  address: bigint;
  bytes: Uint8Array;
  /** Without its NUL. */
  comm: Uint8Array;
}

/** Bytes: of a task_struct, which is a few KiB, with debugging some more; what lies behind may be another thread's. */
export const TASK_MAX = 1 << 14;

export function solveLeader(task: FirstThread): FieldReport[] {
  const find = (holds: (at: number) => boolean) =>
    nearest(TASK_ENDS, (end) => placesBelow(Math.min(end, task.bytes.length - BEHIND), holds));
  const places = [find((at) => isLeader(task, at)), find((at) => isComm(task, at))];
  if (places.some(({ length }) => length === 0))
    return withoutLeader("the kernel's struct of a process is not laid out as it usually is");
  return FIELDS.map((field, n) => judge(field, STRUCT, places[n]!, NEIGHBOURS, "in one thread"));
}

/** Threads without it are looked up in /proc, so it is no failure. */
export const withoutLeader = (why: string): FieldReport[] =>
  FIELDS.map((field) => without(field, STRUCT, "not-applicable", why));

// --- internal ---

const STRUCT = "task_struct";
const FIELDS = ["task_group_leader", "task_comm"] as const;
const NEIGHBOURS = "what comes later is another thread's";
const TASK_ENDS = [TASK_MAX / 4, TASK_MAX / 2, TASK_MAX] as const;
const WORD = 8;
/** Bytes that are read from a place on. */
const BEHIND = 24;

function placesBelow(end: number, holds: (at: number) => boolean): number[] {
  const found: number[] = [];
  for (let at = 0; at < end; at += WORD) if (holds(at)) found.push(at);
  return found;
}

/** Behind the pointer stands the list of those that the thread traces; it is empty, so that it leads to itself. */
function isLeader({ address, bytes }: FirstThread, at: number): boolean {
  const view = viewOf(bytes);
  const list = address + BigInt(at + WORD);
  const [leader, next, previous] = [0, 1, 2].map((n) => view.getBigUint64(at + n * WORD, true));
  return leader === address && next === list && previous === list;
}

const isComm = ({ bytes, comm }: FirstThread, at: number): boolean =>
  comm.length > 0 &&
  comm.every((byte, n) => bytes[at + n] === byte) &&
  bytes[at + comm.length] === 0;
