/** A recording's bytes → its lines, and an account of what is not right with it. Bounded memory. Pure. */

import { Failure } from "../errors.ts";
import { MAX_LINE_BYTES, readLine, VERSION, type Line } from "./format.ts";
import { SessionLines } from "./session_lines.ts";

/** The damage of a file: everything in it that is no whole line. */
export interface Damage {
  /** Lines cut off or damaged, each skipped. */
  damaged: number;
  /** The number of the first of them; 0: there is none. */
  firstDamaged: number;
  /** Lines that the numbers of the others, or the ends of sessions, count, but that are not there. */
  missing: bigint;
  /** Lines that stand in the file a second time, each skipped. */
  repeated: number;
  /** Sessions without an end: the tracer was killed, or still runs, or the file was cut off. */
  unended: number;
}

/** So many lines that are none of ours, and none that is: no recording. */
const FOREIGN_LINES = 16;
const LINE_FEED = 10;

export class Parser implements Damage {
  damaged = 0;
  firstDamaged = 0;
  repeated = 0;
  unended = 0;
  readonly #path: string;
  #packed: Packed | undefined;
  #isFirst = true;
  #line = 0;
  #whole = 0;
  /** The beginning of a line whose end has not come yet. */
  #begun: Uint8Array = new Uint8Array();
  /** It is too long to be one, so it is not kept. */
  #tooLong = false;
  #session: SessionLines | null = null;
  /** Of the sessions before. */
  #missing = 0n;

  /** `path` is for messages. */
  constructor(path: string) {
    this.#path = path;
  }

  get missing(): bigint {
    return this.#missing + BigInt(this.#session?.missing ?? 0);
  }

  /** The lines that end in `bytes`, which are not kept. Throws a Failure as soon as this cannot be a recording. */
  push(bytes: Uint8Array): Line[] {
    const lines: Line[] = [];
    if (this.#isFirst)
      this.#packed = packed.find(({ start }) => start.every((b, i) => bytes[i] === b));
    this.#isFirst = false;
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      this.#take(this.#joined(bytes.subarray(from, end)), lines);
      from = end + 1;
    }
    this.#begun = this.#joined(bytes.slice(from));
    return lines;
  }

  /** The last line, if it lacks nothing but its line break. Throws a Failure if there was none at all. */
  end(): Line[] {
    const lines: Line[] = [];
    if (this.#begun.length > 0 || this.#tooLong) this.#take(this.#begun, lines);
    if (this.#whole === 0) throw this.#noRecording();
    this.#endSession();
    return lines;
  }

  #joined(more: Uint8Array): Uint8Array {
    this.#tooLong ||= this.#begun.length + more.length > MAX_LINE_BYTES;
    if (this.#tooLong) {
      if (this.#whole === 0) throw this.#noRecording();
      return new Uint8Array();
    }
    return this.#begun.length === 0 ? more : Buffer.concat([this.#begun, more]);
  }

  #take(bytes: Uint8Array, lines: Line[]): void {
    this.#line += 1;
    const line = this.#tooLong ? null : readLine(bytes);
    this.#begun = new Uint8Array();
    this.#tooLong = false;
    if (line !== null) {
      this.#whole += 1;
      if (this.#follow(line)) lines.push(line);
      else this.repeated += 1;
      return;
    }
    this.damaged += 1;
    this.firstDamaged ||= this.#line;
    if (this.#session?.ended === false) this.#session.damaged += 1;
    if (this.#whole === 0 && this.damaged >= FOREIGN_LINES) throw this.#noRecording();
  }

  /** Whether the line is new. */
  #follow(line: Line): boolean {
    if (line.what === "session" && line.session.version !== VERSION) throw this.#otherVersion(line);
    // Without a number, a line behind the end of a session can only be of another run.
    const isSame =
      this.#session?.startNs === line.startNs && (line.line !== undefined || !this.#session.ended);
    if (!isSame) {
      this.#endSession();
      this.#session = new SessionLines(line.startNs);
    }
    const session = this.#session!;
    const isNew = session.see(line.line);
    if (line.what === "end" && isNew) session.end(Number(line.end.lines));
    return isNew;
  }

  #endSession(): void {
    if (this.#session === null) return;
    if (!this.#session.ended) this.unended += 1;
    this.#missing = this.missing;
    this.#session = null;
  }

  #noRecording(): Failure {
    if (this.#packed !== undefined) {
      const { by, unpack } = this.#packed;
      return new Failure(`${this.#path}: no recording`, {
        why: `it is packed by ${by}`,
        hint: `${unpack} FILE | tracer-bpf replay -`,
      });
    }
    const empty = this.#line === 0 && this.#begun.length === 0 && !this.#tooLong;
    return new Failure(`${this.#path}: no recording`, {
      why: empty ? "it is empty" : "no line of it is one of a recording, or none is whole",
      hint: noRecording.hint,
    });
  }

  #otherVersion({ session: { version } }: Line & { what: "session" }): Failure {
    return new Failure(`${this.#path}: no usable recording`, {
      why: `line ${this.#line} is of version ${version}, this tracer-bpf reads ${VERSION}`,
      hint: "replay it with the tracer-bpf that made it",
    });
  }
}

/** A way to pack a file, and what a file begins with then. */
interface Packed {
  by: string;
  start: readonly number[];
  unpack: string;
}

/** Rotated recordings are packed by these. To add one, add a row. */
const packed: readonly Packed[] = [
  { by: "gzip", start: [0x1f, 0x8b], unpack: "zcat" },
  { by: "xz", start: [0xfd, 0x37, 0x7a, 0x58, 0x5a], unpack: "xzcat" },
  { by: "zstd", start: [0x28, 0xb5, 0x2f, 0xfd], unpack: "zstdcat" },
];

/** The error about a file that is no recording. */
export const noRecording = {
  what: "no recording",
  hint: "make one with: tracer-bpf trace --record FILE",
};
