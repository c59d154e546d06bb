/**
 * Lines of records by the shim's line.c: faster than functions of TypeScript that are made for each template, and the runtime
 * has nothing to compile for them, which took seconds of a processor. Pure, but for what it is given.
 */
import type { ClockPair } from "../../conn/clock.ts";
import { idKey } from "../../record/id.ts";
import {
  LINE_BATCH_AT,
  LINE_BATCH_CONDITIONS,
  LINE_BATCH_END,
  LINE_BATCH_FROM,
  LINE_BATCH_KEYS,
  LINE_BATCH_MADE,
  LINE_BATCH_MOMENT,
  LINE_BATCH_OUT,
  LINE_BATCH_PLACES,
  LINE_BATCH_RECORDED_AT,
  LINE_BATCH_RECORDED_END,
  LINE_BATCH_RECORDED_NUMBER,
  LINE_BATCH_RECORDED_OUT,
  LINE_BATCH_RECORDED_TAIL,
  LINE_BATCH_RECORDED_TAIL_LENGTH,
  LINE_BATCH_RECORDS,
  LINE_BATCH_SECOND,
  LINE_BATCH_TO,
  lineBatchSize,
  LineForm,
  LineKey,
  lineKeptSize,
  lineKeysSize,
  lineMomentSize,
  lineStepSize,
  readLineKept,
  type LineKept,
  writeLineKept,
  writeLineKeys,
  writeLineMoment,
  writeLineStep,
  type LineStep,
} from "../../record/layout.gen.ts";
import type { Records } from "../../record/records.ts";
import type { Lines, Segment } from "../lines.ts";
import type { Beside, RecordedLines } from "./beside.ts";
import type { KeyTable } from "./keys.ts";
import { beginning, moment } from "./moment.ts";
import { UNWANTED, type PortLists } from "./sifting.ts";
import { Form, type Op, type Template } from "./template.ts";

/** See Shim.putLine. */
export interface Native {
  addressOf(bytes: ArrayBufferView): number;
  putLine(
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
  ): number;
  /** See Shim.putLines. */
  putLines(batch: number): number;
}

/** The ops of a template and its tail as line.c takes them. */
export interface Steps {
  /** Held, so that it stays at its address. */
  bytes: Uint8Array;
  at: number;
  count: number;
}

/** Lines are made as long as there is so much room for them. */
const ROOM = 128 << 10;
/** Lines of a recording are longer. */
const RECORDED_ROOM = 2 * ROOM;

const NOTHING_KEPT: LineKept = {
  steps: 0n,
  count: 0,
  bytes: 0,
  recorded_steps: 0n,
  recorded_count: 0,
  recorded_bytes: 0,
  taken: 0n,
};

export class NativeLines {
  readonly #native: Native;
  readonly #beside: Beside | null;
  readonly #batch = new DataView(new ArrayBuffer(lineBatchSize));
  readonly #batchAt: number;
  readonly #keys = new DataView(new ArrayBuffer(lineKeysSize));
  readonly #kept = new DataView(new ArrayBuffer(LineKey.LINE_KEY_SLOTS * lineKeptSize));
  readonly #templates: (Template | null)[] = Array.from(
    { length: LineKey.LINE_KEY_SLOTS },
    () => null,
  );
  #places: Int32Array | null = null;
  readonly #moment = new DataView(new ArrayBuffer(lineMomentSize));
  readonly #momentAt: number;
  #second = -1;
  #out: DataView | null = null;
  #outAt = 0;
  #records: DataView | null = null;
  #recordsAt = 0;

  /** The table and the lists of ports are held by their owners as long as this is used. */
  constructor(
    native: Native,
    table: KeyTable,
    ports: PortLists | null,
    beside: Beside | null = null,
  ) {
    this.#native = native;
    this.#beside = beside;
    this.#momentAt = native.addressOf(this.#moment);
    this.#batchAt = native.addressOf(this.#batch);
    const at = (bytes: ArrayBufferView) => BigInt(native.addressOf(bytes));
    writeLineKeys(this.#keys, 0, {
      places: at(table.places),
      masks: at(table.masks),
      keys: at(table.keys),
      states: at(table.states),
      kept: at(this.#kept),
      words: BigInt(table.places.length),
      ports: ports === null ? 0n : at(ports.lists),
      ports_asked: BigInt(ports?.asked ?? 0),
    });
    this.#set(LINE_BATCH_KEYS, native.addressOf(this.#keys));
    this.#set(LINE_BATCH_MOMENT, this.#momentAt);
  }

  /** From now on records with the key of this slot become lines of the template; `null`: no record does, see putMany. */
  keep(slot: number, template: Template | null): void {
    if (this.#templates[slot] === template) return;
    this.#tell(slot);
    this.#templates[slot] = template;
    const p = slot * lineKeptSize;
    if (template === UNWANTED) return writeLineKept(this.#kept, p, { ...NOTHING_KEPT, steps: 1n });
    const recorded = template?.beside?.recorded;
    const [own, its] = [this.#stepsOf(template), this.#stepsOf(recorded)];
    writeLineKept(this.#kept, p, {
      steps: BigInt(own?.at ?? 0),
      count: own?.count ?? 0,
      bytes: template?.bytes ?? 0,
      recorded_steps: BigInt(its?.at ?? 0),
      recorded_count: its?.count ?? 0,
      recorded_bytes: recorded?.bytes ?? 0,
      taken: 0n,
    });
  }

  /** Tells what is watched of the lines that were made so far. */
  settle(): void {
    for (const slot of this.#templates.keys()) this.#tell(slot);
  }

  #tell(slot: number): void {
    const beside = this.#templates[slot]?.beside ?? null;
    if (beside === null) return;
    const kept = readLineKept(this.#kept, slot * lineKeptSize);
    if (kept.taken === 0n) return;
    this.#beside?.watch?.saw(beside.sample, Number(kept.taken));
    writeLineKept(this.#kept, slot * lineKeptSize, { ...kept, taken: 0n });
  }

  #stepsOf(template: Template | null | undefined): Steps | null {
    return template ? (template.steps ??= stepsOf(template, this.#native)) : null;
  }

  /** Lines of the records that are wanted, up to the first that is to be looked at in TypeScript. Returns how many records these were. */
  putMany(
    lines: Lines,
    { view, places, from, to, conditions }: Records,
    clocks: ClockPair,
  ): number {
    const batch = this.#batch;
    const recorded = this.#beside?.recording?.into(clocks);
    if (recorded === null) return 0;
    if (recorded !== undefined) this.#useRecorded(recorded);
    const out = lines.reserve(ROOM);
    this.#useOut(out);
    this.#useRecords(view);
    if (this.#places !== places) {
      this.#places = places;
      this.#set(LINE_BATCH_PLACES, this.#native.addressOf(places));
    }
    if (this.#second !== moment.seconds) this.#enter();
    this.#set(LINE_BATCH_CONDITIONS, conditions);
    batch.setUint32(LINE_BATCH_FROM, from, true);
    batch.setUint32(LINE_BATCH_TO, to, true);
    batch.setUint32(LINE_BATCH_AT, lines.used, true);
    batch.setUint32(LINE_BATCH_END, lines.used + ROOM, true);
    const count = this.#native.putLines(this.#batchAt);
    const made = batch.getUint32(LINE_BATCH_MADE, true);
    lines.putLines(batch.getUint32(LINE_BATCH_AT, true), made);
    recorded?.lines.putLines(batch.getUint32(LINE_BATCH_RECORDED_AT, true), made);
    return count;
  }

  /** The line of a template; its moment is entered. Returns where it ends; -1: it cannot be written so. */
  put(
    out: DataView,
    at: number,
    template: Template,
    remote: Segment,
    view: DataView,
    p: number,
  ): number {
    this.#useOut(out);
    this.#useRecords(view);
    if (this.#second !== moment.seconds) this.#enter();
    const steps = (template.steps ??= stepsOf(template, this.#native));
    return this.#native.putLine(
      this.#outAt,
      at,
      steps.at,
      steps.count,
      this.#recordsAt,
      p,
      this.#momentAt,
      moment.us,
      remote.length === 0 ? 0 : this.#native.addressOf(remote.words),
      remote.length,
    );
  }

  #useOut(out: DataView): void {
    if (this.#out === out) return;
    this.#out = out;
    this.#outAt = this.#native.addressOf(out);
    this.#set(LINE_BATCH_OUT, this.#outAt);
  }

  #useRecords(view: DataView): void {
    if (this.#records === view) return;
    this.#records = view;
    this.#recordsAt = this.#native.addressOf(view);
    this.#set(LINE_BATCH_RECORDS, this.#recordsAt);
  }

  #useRecorded({ lines, number, tail }: RecordedLines): void {
    const batch = this.#batch;
    this.#set(LINE_BATCH_RECORDED_OUT, this.#native.addressOf(lines.reserve(RECORDED_ROOM)));
    this.#set(LINE_BATCH_RECORDED_TAIL, this.#native.addressOf(tail.words));
    this.#set(LINE_BATCH_RECORDED_NUMBER, number);
    batch.setUint32(LINE_BATCH_RECORDED_AT, lines.used, true);
    batch.setUint32(LINE_BATCH_RECORDED_END, lines.used + RECORDED_ROOM, true);
    batch.setUint32(LINE_BATCH_RECORDED_TAIL_LENGTH, tail.length, true);
  }

  /** An address, or a number below 2^53. */
  #set(at: number, value: number): void {
    this.#batch.setUint32(at, value >>> 0, true);
    this.#batch.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  #enter(): void {
    this.#second = moment.seconds;
    const { low, high } = beginning();
    this.#batch.setUint32(LINE_BATCH_SECOND, low, true);
    this.#batch.setInt32(LINE_BATCH_SECOND + 4, high, true);
    const { added, first, second } = idKey();
    writeLineMoment(this.#moment, 0, {
      second_length: moment.iso.length,
      second: bytesOf(moment.iso),
      day_length: moment.day.length,
      day: bytesOf(moment.day),
      id_added: added,
      id_first: first,
      id_second: second,
    });
  }
}

// --- internal ---

const FORMS: Readonly<Record<number, LineForm>> = {
  [Form.none]: LineForm.LINE_TEXT_ALONE,
  [Form.integer]: LineForm.LINE_INTEGER,
  [Form.briefBytes]: LineForm.LINE_BRIEF_BYTES,
  [Form.briefDuration]: LineForm.LINE_BRIEF_DURATION,
  [Form.duration]: LineForm.LINE_DURATION,
  [Form.isoMicros]: LineForm.LINE_TIME,
  [Form.timeOfDay]: LineForm.LINE_TIME_OF_DAY,
  [Form.since]: LineForm.LINE_SINCE,
  [Form.address]: LineForm.LINE_ADDRESS,
  [Form.endpoint]: LineForm.LINE_ENDPOINT,
  [Form.id]: LineForm.LINE_ID,
  [Form.nanoseconds]: LineForm.LINE_NANOSECONDS,
};

/** Texts are read in blocks of so many bytes. */
const SLACK = 16;

const bytesOf = ({ words, length }: Segment): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, length);

/** A step without its text. */
type Rest = Omit<LineStep, "text_at" | "text_length">;

/** Of a text in no column. */
const ALONE: Rest = {
  ...{ start: 0n, text_width: 0, form: LineForm.LINE_TEXT_ALONE, size: 0, at: 0, since: 0 },
  ...{ least: 0, column_end: 0, column_width: 0, column_right: 0 },
};

function stepsOf({ ops, head, tail, aligned }: Template, { addressOf }: Native): Steps {
  const parts = [
    ...(head.length === 0 ? [] : [{ text: bytesOf(head), rest: ALONE }]),
    ...ops.map((op) => ({ text: bytesOf(op.text), rest: restOf(op, aligned) })),
    { text: bytesOf(tail), rest: ALONE },
  ];
  const count = parts.length;
  const begin = count * lineStepSize;
  const length = parts.reduce((sum, { text }) => sum + text.length, 0);
  const bytes = new Uint8Array(begin + length + SLACK);
  const view = new DataView(bytes.buffer);
  let end = begin;
  for (const [n, { text, rest }] of parts.entries()) {
    bytes.set(text, end);
    writeLineStep(view, n * lineStepSize, { ...rest, text_at: end, text_length: text.length });
    end += text.length;
  }
  return { bytes, at: addressOf(bytes), count };
}

function restOf(op: Op, aligned: boolean): Rest {
  const form = FORMS[op.form];
  if (form === undefined) throw new TypeError(`the shim knows no hole of the form ${op.form}`);
  const { at, bytes, since, least } = op.slot;
  return {
    start: (BigInt(op.startHigh) << 32n) + BigInt(op.startLow),
    form,
    ...{ size: bytes, at, since: Math.max(0, since), least },
    ...(aligned
      ? { column_end: op.end, column_width: op.width, column_right: op.right ? 1 : 0 }
      : { column_end: 0, column_width: 0, column_right: 0 }),
    text_width: op.textWidth,
  };
}
