/** A line with holes: the text that many lines have in common, and what is put in between. Pure. */
import type { ConnEvent } from "../../conn/event.ts";
import { segment, type Segment } from "../lines.ts";
import type { Steps } from "./native.ts";
import { slots, type Slot } from "./slots.ts";

/** As a number: a text takes longer to tell from others. To add one, add it here and a case in write.ts. */
export const Form = {
  none: 0,
  integer: 1,
  briefBytes: 2,
  briefDuration: 3,
  duration: 4,
  isoMicros: 5,
  timeOfDay: 6,
  since: 7,
  address: 8,
  endpoint: 9,
  id: 10,
  nanoseconds: 11,
} as const;

/** A hole. The time and the id have no slot; `endpoint` is an address and the port of the slot. */
export interface Hole {
  form: keyof typeof Form;
  slot?: keyof typeof slots;
  /** Of `since`. */
  startNs?: bigint;
}

export type Piece = string | Hole;

/** Text and, behind it, perhaps a hole, at the place of its column: see text.ts. */
export interface Cell {
  text: string;
  hole: Hole | null;
  width: number;
  right: boolean;
}

export interface Op {
  /** In front of the hole. */
  text: Segment;
  /** Its first 16 bytes, and whether there are more. */
  first: number;
  second: number;
  length: number;
  isLong: boolean;
  /** Columns that it takes. */
  textWidth: number;
  form: number;
  /** Of the hole; that of another where it has none. */
  slot: Slot;
  /** Of `since`, in halves. */
  startLow: number;
  startHigh: number;
  end: number;
  width: number;
  right: boolean;
}

export interface Template {
  ops: readonly Op[];
  /** Made when they are first needed. */
  steps: Steps | null;
  /** Whether the ops stand at the places of columns. */
  aligned: boolean;
  remote: "address" | "endpoint" | null;
  since: boolean;
  /** Before the first op, and behind the last. */
  head: Segment;
  tail: Segment;
  /** More than a line of it takes. */
  bytes: number;
  /** The same line of a recording, and an event of which the template was made; `null`: nothing is told besides. */
  beside: { recorded: Template | null; sample: ConnEvent } | null;
}

/** `pieces` one behind the other. */
export function lineTemplate(pieces: readonly Piece[]): Template {
  const ops: Op[] = [];
  let text = "";
  for (const piece of pieces) {
    if (typeof piece === "string") text += piece;
    else {
      ops.push(opOf({ text, hole: piece, width: 0, right: false }, 0));
      text = "";
    }
  }
  return templateOf(ops, false, "", text);
}

/** `null` for a cell that is left empty. */
export function tableTemplate(
  cells: readonly (Cell | null)[],
  widths: readonly number[],
  head: string,
  tail: string,
): Template {
  const ops: Op[] = [];
  let end = 0;
  for (const [i, cell] of cells.entries()) {
    end += (i === 0 ? 0 : 1) + widths[i]!;
    if (cell !== null) ops.push(opOf(cell, end));
  }
  return templateOf(ops, true, head, tail);
}

// --- internal ---

/** Of the longest number or address. */
const HOLE_BYTES = 64;

function opOf({ text, hole, width, right }: Cell, end: number): Op {
  const inFront = segment(text);
  return {
    text: inFront,
    first: inFront.words[0] ?? 0,
    second: inFront.words[1] ?? 0,
    length: inFront.length,
    isLong: inFront.words.length > 2,
    textWidth: Bun.stringWidth(text),
    form: Form[hole?.form ?? "none"],
    slot: slots[hole?.slot ?? "localPort"],
    startLow: Number((hole?.startNs ?? 0n) & 0xffff_ffffn),
    startHigh: Number((hole?.startNs ?? 0n) >> 32n),
    end,
    width,
    right,
  };
}

function templateOf(ops: readonly Op[], aligned: boolean, head: string, tail: string): Template {
  const [first, last] = [segment(head), segment(tail)];
  const has = (form: number) => ops.some((op) => op.form === form);
  return {
    ops,
    steps: null,
    beside: null,
    aligned,
    remote: has(Form.address) ? "address" : has(Form.endpoint) ? "endpoint" : null,
    since: has(Form.since),
    head: first,
    tail: last,
    bytes: ops.reduce(
      (sum, { text, end }) => sum + text.length + HOLE_BYTES + (aligned ? end : 0),
      first.length + last.length,
    ),
  };
}
