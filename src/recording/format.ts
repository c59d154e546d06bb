/**
 * The lines of a recording. Each stands for itself: `CRC JSON`, where CRC is the CRC-32 of the JSON text in eight hex
 * digits and JSON an object whose first member says what it is. What else of the file is damaged does not matter to it:
 *
 *     bd161ee1 {"session":{"format":"tracer-bpf recording","version":1,...},"startNs":"...","wallMinusMonoNs":"..."}
 *     fabff037 {"event":{"kind":"close",...},"startNs":"...","wallMinusMonoNs":"..."}
 *     8a1be2c4 {"lost":{"atNs":"...","cause":"event ring full","count":"12"},...}
 *     01c2b5f3 {"end":{"lines":"3"},...}
 *
 * `cut -c10- FILE | jq` reads them. 64-bit numbers are texts. Pure.
 */

import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent, Endpoint, Totals } from "../conn/event.ts";
import { eventKinds, protocols } from "../output/members.ts";
import { addressText, parseAddress } from "../record/address.ts";
import { integer, integer64, listOf, object, oneOf, orNull, text, textLike } from "./codec.ts";
import type { Codec } from "./codec.ts";

export const FORMAT = "tracer-bpf recording";
/** Raised when a line changes its meaning; new members and new kinds of line do not raise it. */
export const VERSION = 1;
/** Far more than any event takes. What has no end until then is no line of ours. */
export const MAX_LINE_BYTES = 1 << 20;

/** One run of the tracer. */
export interface Session {
  format: string;
  version: number;
  /** Of the tracer. */
  tool: string;
  kernel: string;
  /** What the trace said of itself at its start. */
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

/** What every line says, so that none depends on another. */
interface When {
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

/** All of its lines but for their contents. `clocks` may change from line to line; few do. */
export function lineWriter(startNs: bigint) {
  let held: { clocks: ClockPair; tail: string } | null = null;
  const tailOf = (clocks: ClockPair): string => {
    if (held?.clocks !== clocks) {
      const when = { startNs, wallMinusMonoNs: wallTime(0n, clocks) };
      held = { clocks, tail: `,${whenCodec.write(when).slice(1)}` };
    }
    return held.tail;
  };
  const seal = (content: string, clocks: ClockPair) => sealed(`{${content}${tailOf(clocks)}`);
  return {
    session: (of: Omit<Session, "format" | "version">, clocks: ClockPair): string =>
      seal(`"session":${sessionCodec.write({ format: FORMAT, version: VERSION, ...of })}`, clocks),
    event: (event: ConnEvent, clocks: ClockPair): string =>
      seal(`"event":${eventCodec.write(event)}`, clocks),
    lost: (lost: Lost, clocks: ClockPair): string =>
      seal(`"lost":${lostCodec.write(lost)}`, clocks),
    end: (lines: bigint, clocks: ClockPair): string =>
      seal(`"end":${endCodec.write({ lines })}`, clocks),
  };
}

/** `bytes` without the line break; `null`: damaged, or no line of ours. */
export function readLine(bytes: Uint8Array): Line | null {
  const { length } = bytes;
  if (length <= CRC_BYTES || length > MAX_LINE_BYTES || bytes[CRC_BYTES - 1] !== SPACE) return null;
  const json = bytes.subarray(CRC_BYTES);
  if (latin1.decode(bytes.subarray(0, CRC_BYTES - 1)) !== crcText(json)) return null;
  return lineOf(parsed(json));
}

// --- internal ---

/** Eight digits and a space. */
const CRC_BYTES = 9;
const SPACE = 0x20;
const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const crcText = (json: string | Uint8Array): string =>
  Bun.hash.crc32(json).toString(16).padStart(8, "0");

const sealed = (json: string): string => `${crcText(json)} ${json}`;

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

const U16 = 2 ** 16 - 1;
const U32 = 2 ** 32 - 1;
const MAX_ERRNO = 4095;
const count = orNull(integer(Number.MAX_SAFE_INTEGER));
const count64 = orNull(integer64());

/** As the tracer writes them, so that nothing else reaches a terminal. */
const address = textLike((value) => {
  const found = parseAddress(value);
  return found !== null && addressText(found.bytes, found.family).address === value;
});

const endpoint = object<Endpoint>({ address, port: integer(U16) });

const totals = object<Totals>({
  bytesSent: count64,
  bytesReceived: count64,
  segsOut: count,
  segsIn: count,
  rttUs: count,
  rttVarUs: count,
  retransmits: count,
  durationNs: count64,
});

const eventCodec = object<ConnEvent>(
  {
    kind: oneOf(eventKinds),
    protocol: oneOf(protocols),
    atNs: integer64(),
    pid: orNull(integer(U32)),
    comm: orNull(text),
    family: oneOf([4, 6]),
    direction: oneOf(["outgoing", "incoming", "unknown"]),
    netns: orNull(integer(U32)),
    uid: orNull(integer(U32)),
    cgroup: orNull(text),
    container: orNull(text),
    args: orNull(text),
    local: endpoint,
    remote: endpoint,
    failure: orNull(integer(MAX_ERRNO, 1)),
    totals,
  },
  "uid",
  "cgroup",
  "container",
  "args",
  "failure",
  "totals",
);

const sessionCodec = object<Session>({
  format: oneOf([FORMAT]),
  version: integer(U32),
  tool: text,
  kernel: text,
  description: text,
  notes: listOf(text),
});
/** All that is asked of a later version's. */
const laterSession = object<Pick<Session, "format" | "version">>({
  format: oneOf([FORMAT]),
  version: integer(U32),
});
const lostCodec = object<Lost>({ atNs: integer64(), cause: text, count: integer64() });
const endCodec = object<End>({ lines: integer64() });
const U64 = 1n << 64n;
const whenCodec = object<When>({ startNs: integer64(), wallMinusMonoNs: integer64(-U64) });

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
