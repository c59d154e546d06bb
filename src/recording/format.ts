/**
 * The lines of a recording. Each stands for itself: `CRC JSON`, where CRC is the CRC-32 of the JSON text in eight hex
 * digits and JSON an object whose first member says what it is. Damage elsewhere in the file does not matter to a line.
 * The lines of a session are numbered, so that a line that is missing or repeated is noticed:
 *
 *     bd161ee1 {"session":{"format":"tracer-bpf recording","version":1,...},"line":1,"startNs":"...","wallMinusMonoNs":"..."}
 *     fabff037 {"event":{"kind":"close",...},"line":2,"startNs":"...","wallMinusMonoNs":"..."}
 *     8a1be2c4 {"lost":{"atNs":"...","cause":"event ring full","count":"12"},"line":3,...}
 *     01c2b5f3 {"end":{"lines":"3"},"line":4,...}
 *
 * `cut -c10- FILE | jq` reads them. 64-bit numbers are texts. Pure.
 */

import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { putInteger, putSegment, segment, type Lines, type Segment } from "../output/lines.ts";
import type { RecordedLines, Recording } from "../output/straight/index.ts";
import { lineTemplate } from "../output/straight/template.ts";
import { integer, integer64, object, oneOf, text, textOf, texts, type Codec } from "./codec.ts";
import { eventCodec, eventPieces } from "./event.ts";

const FORMAT = "tracer-bpf recording";
/** Raised when a line changes its meaning; new members and new kinds of line do not raise it. */
export const VERSION = 1;
/** Far more than any event takes. A longer line was not written by a recorder. */
export const MAX_LINE_BYTES = 1 << 20;
/** Eight digits and a space. */
const CRC_BYTES = 9;

/** One run of the tracer. */
export interface Session {
  format: string;
  version: number;
  /** Of the tracer. */
  tool: string;
  kernel: string;
  /** The description of the trace, as printed at its start. */
  description: string;
  notes: string[];
}

export interface Lost {
  /** When it was noticed, on the events' clock. */
  atNs: bigint;
  cause: string;
  /** Since the session's last line about this cause. */
  count: bigint;
}

/** The regular end of a session. */
interface End {
  /** The lines of the session before this one. */
  lines: bigint;
}

/** Members of every line, so that no line depends on another. */
interface When {
  /** The number of the line in its session, from 1. Left out: a recording of a version that did not number its lines. */
  line?: number;
  /** When the session began, on the events' clock: tells sessions apart. */
  startNs: bigint;
  /** Added to a time on the events' clock it gives nanoseconds since 1970, UTC. */
  wallMinusMonoNs: bigint;
}

export type Content =
  | { what: "session"; session: Session }
  | { what: "event"; event: ConnEvent }
  | { what: "lost"; lost: Lost }
  | { what: "end"; end: End }
  /** Of a later version of the tool. */
  | { what: "unknown" };

export type Line = Content & When;

/** Writes a session's lines. `number`: that of the line in the session. `clocks` may change from line to line; few do. */
export function lineWriter(startNs: bigint) {
  let held: { clocks: ClockPair; tail: Segment } | null = null;
  const tailOf = (clocks: ClockPair): Segment => {
    if (held?.clocks !== clocks) {
      const when = { startNs, wallMinusMonoNs: wallTime(0n, clocks) };
      held = { clocks, tail: segment(`,${textOf((lines) => whenCodec.members(lines, when))}}`) };
    }
    return held.tail;
  };
  /** Without the line break. */
  const append = <T>(lines: Lines, { head, codec, value, clocks, number }: Part<T>) => {
    const at = lines.hole(CRC_BYTES);
    lines.segment(head);
    codec.write(lines, value);
    lines.segment(LINE);
    lines.integer(number);
    lines.segment(tailOf(clocks));
    lines.fill(at, `${crcText(lines.since(at + CRC_BYTES))} `);
  };
  const line = <T>(part: Part<T>): string => textOf((lines) => append(lines, part));
  return {
    /** The text behind the number of each line. */
    tailOf,
    /** The whole line of an event, and its end. */
    appendEvent(lines: Lines, event: ConnEvent, clocks: ClockPair, number: number): void {
      append(lines, { head: heads.event, codec: eventCodec, value: event, clocks, number });
      lines.end();
    },
    session(of: Omit<Session, "format" | "version">, clocks: ClockPair, number: number): string {
      const value = { format: FORMAT, version: VERSION, ...of };
      return line({ head: heads.session, codec: sessionCodec, value, clocks, number });
    },
    lost: (value: Lost, clocks: ClockPair, number: number): string =>
      line({ head: heads.lost, codec: lostCodec, value, clocks, number }),
    /** `number` is one more than the lines before it. */
    end: (clocks: ClockPair, number: number): string =>
      line({
        head: heads.end,
        codec: endCodec,
        value: { lines: BigInt(number - 1) },
        clocks,
        number,
      }),
  };
}

/** The line of an event for the straight way: see src/output/straight. */
export const recordedShape: Omit<Recording, "into"> = {
  shape: (event) => lineTemplate(['{"event":', ...eventPieces(event), LINE_TEXT]),
  headBytes: CRC_BYTES,
  seal(out: DataView, at: number, to: number, { number, tail }: RecordedLines): number {
    const end = putSegment(out, putInteger(out, to, number), tail);
    const [begin, bytes] = [out.byteOffset + at, end - at];
    const json = new Uint8Array(out.buffer, begin + CRC_BYTES, bytes - CRC_BYTES);
    Buffer.from(out.buffer, begin, CRC_BYTES).write(`${crcText(json)} `, "latin1");
    return end;
  },
};

/** `bytes` without the line break; `null`: damaged, or no line of ours. */
export function readLine(bytes: Uint8Array): Line | null {
  const { length } = bytes;
  if (length <= CRC_BYTES || length > MAX_LINE_BYTES || bytes[CRC_BYTES - 1] !== SPACE) return null;
  const json = bytes.subarray(CRC_BYTES);
  if (latin1.decode(bytes.subarray(0, CRC_BYTES - 1)) !== crcText(json)) return null;
  return lineOf(parsed(json));
}

// --- internal ---

/** The parts of a line. */
interface Part<T> {
  head: Segment;
  codec: Codec<T>;
  value: T;
  clocks: ClockPair;
  number: number;
}

const LINE_TEXT = ',"line":';
const LINE = segment(LINE_TEXT);
const SPACE = 0x20;
const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const crcText = (json: Uint8Array): string => Bun.hash.crc32(json).toString(16).padStart(8, "0");

const heads = {
  session: segment('{"session":'),
  event: segment('{"event":'),
  lost: segment('{"lost":'),
  end: segment('{"end":'),
};

/** `undefined` is no JSON. */
function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

function lineOf(json: unknown): Line | null {
  const when = whenCodec.read(json);
  if (when === undefined || typeof json !== "object" || json === null) return null;
  const members = json as Record<string, unknown>;
  const what = kinds.find((kind) => Object.hasOwn(members, kind.what));
  if (what === undefined) return { what: "unknown", ...when };
  const content = what.read(members[what.what]);
  if (content === null) return null;
  // A time before 1970 is none.
  const atNs = content.what === "event" ? content.event.atNs : startOf(content, when);
  return atNs + when.wallMinusMonoNs < 0n ? null : { ...content, ...when };
}

const startOf = (content: Content, { startNs }: When): bigint =>
  content.what === "lost" ? content.lost.atNs : startNs;

const U32 = 2 ** 32 - 1;
const sessionCodec = object<Session>({
  format: oneOf([FORMAT]),
  version: integer(U32),
  tool: text,
  kernel: text,
  description: text,
  notes: texts,
});
/** All that is asked of a later version's. */
const laterSession = object<Pick<Session, "format" | "version">>({
  format: oneOf([FORMAT]),
  version: integer(U32),
});
const lostCodec = object<Lost>({ atNs: integer64(), cause: text, count: integer64() });
const endCodec = object<End>({ lines: integer64() });
const U64 = 1n << 64n;
const whenCodec = object<When>(
  {
    line: integer(Number.MAX_SAFE_INTEGER, 1),
    startNs: integer64(),
    wallMinusMonoNs: integer64(-U64),
  },
  "line",
);

/** To add a kind of line, add a row. */
const kinds: readonly { what: string; read(json: unknown): Content | null }[] = [
  kind("event", eventCodec, (event) => ({ what: "event", event })),
  kind("lost", lostCodec, (lost) => ({ what: "lost", lost })),
  {
    what: "session",
    read(json) {
      const { version } = laterSession.read(json) ?? {};
      if (version === undefined) return null;
      const none = { tool: "", kernel: "", description: "", notes: [] };
      const session =
        version === VERSION ? sessionCodec.read(json) : { format: FORMAT, version, ...none };
      return session === undefined ? null : { what: "session", session };
    },
  },
  kind("end", endCodec, (end) => ({ what: "end", end })),
];

function kind<T>(what: string, codec: Codec<T>, of: (value: T) => Content) {
  return {
    what,
    read(json: unknown): Content | null {
      const value = codec.read(json);
      return value === undefined ? null : of(value);
    },
  };
}
