/**
 * Lines of records by the shim's line.c: faster than functions of TypeScript that are made for each template, and the runtime
 * has nothing to compile for them, which took seconds of a processor. Pure, but for what it is given.
 */
import { idKey } from "../../record/id.ts";
import {
  LineForm,
  lineMomentSize,
  lineStepSize,
  writeLineMoment,
  writeLineStep,
} from "../../record/layout.gen.ts";
import type { Segment } from "../lines.ts";
import { moment } from "./moment.ts";
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
}

/** The ops of a template and its tail as line.c takes them. */
export interface Steps {
  /** Held, so that it stays at its address. */
  bytes: Uint8Array;
  at: number;
  count: number;
}

export class NativeLines {
  readonly #native: Native;
  readonly #moment = new DataView(new ArrayBuffer(lineMomentSize));
  readonly #momentAt: number;
  #second = -1;
  #out: DataView | null = null;
  #outAt = 0;
  #records: DataView | null = null;
  #recordsAt = 0;

  constructor(native: Native) {
    this.#native = native;
    this.#momentAt = native.addressOf(this.#moment);
  }

  /** The line of a template that is not aligned; its moment is entered. Returns where it ends; -1: it cannot be written so. */
  put(
    out: DataView,
    at: number,
    template: Template,
    remote: Segment,
    view: DataView,
    p: number,
  ): number {
    if (this.#out !== out) {
      this.#out = out;
      this.#outAt = this.#native.addressOf(out);
    }
    if (this.#records !== view) {
      this.#records = view;
      this.#recordsAt = this.#native.addressOf(view);
    }
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

  #enter(): void {
    this.#second = moment.seconds;
    const { added, first, second } = idKey();
    writeLineMoment(this.#moment, 0, {
      second_length: moment.iso.length,
      second: bytesOf(moment.iso),
      id_added: added,
      id_first: first,
      id_second: second,
    });
  }
}

// --- internal ---

/** The forms that a line without columns has. */
const FORMS: Readonly<Record<number, LineForm>> = {
  [Form.none]: LineForm.LINE_TEXT_ALONE,
  [Form.integer]: LineForm.LINE_INTEGER,
  [Form.isoMicros]: LineForm.LINE_TIME,
  [Form.address]: LineForm.LINE_ADDRESS,
  [Form.id]: LineForm.LINE_ID,
};

/** Texts are read in blocks of so many bytes. */
const SLACK = 16;

const bytesOf = ({ words, length }: Segment): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, length);

function stepsOf({ ops, tail }: Template, { addressOf }: Native): Steps {
  const texts = [...ops.map(({ text }) => text), tail].map(bytesOf);
  const count = texts.length;
  const begin = count * lineStepSize;
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  const bytes = new Uint8Array(begin + length + SLACK);
  const view = new DataView(bytes.buffer);
  let end = begin;
  for (const [n, text] of texts.entries()) {
    bytes.set(text, end);
    writeLineStep(view, n * lineStepSize, {
      text_at: end,
      text_length: text.length,
      ...holeOf(ops[n]),
    });
    end += text.length;
  }
  return { bytes, at: addressOf(bytes), count };
}

/** `undefined`: nothing is behind the tail. */
function holeOf(op: Op | undefined) {
  if (op === undefined)
    return { form: LineForm.LINE_TEXT_ALONE, size: 0, at: 0, since: 0, least: 0 };
  const form = FORMS[op.form];
  if (form === undefined)
    throw new TypeError(`a hole of the form ${op.form} in a line without columns`);
  const { at, bytes, since, least } = op.slot;
  return { form, size: bytes, at, since: Math.max(0, since), least };
}
