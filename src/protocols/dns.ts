/** DNS messages (RFC 1035), over TCP with a length in front. Pure. */
import type { Seen } from "./seen.ts";

/** `null`: not known. */
export interface DnsDetails {
  /** Of the first question that was seen: in lower case, without the dot behind it; of the root `.`. */
  questionName: string | null;
  /** Of its answer: `NOERROR`, `NXDOMAIN`, ... */
  responseCode: string | null;
}

/** The header of a message begins at `at`. */
export interface DnsMessage {
  id: number;
  /** Of an answer; `null`: it is a question. */
  code: string | null;
}

export const isDns = (seen: Seen): boolean => isMessage(seen, 0);

export const isDnsOverTcp = (seen: Seen): boolean =>
  seen.u16(0) === seen.length - 2 && isMessage(seen, 2);

/** Of bytes that are known to be a message, with its header at `at`. */
export function readMessage(seen: Seen, at: number): DnsMessage {
  const flags = seen.u16(at + 2);
  return { id: seen.u16(at), code: flags < 0x8000 ? null : (CODES[flags & 15] ?? null) };
}

/** The name of the first question of the message that begins at `at`; `null`: not all of it is there, or it is no name of a host. */
export function questionName(bytes: Uint8Array, at: number): string | null {
  const labels: string[] = [];
  for (let next = at + HEADER; ;) {
    const length = bytes[next];
    if (length === undefined || length > LABEL_MOST || next - at - HEADER > NAME_MOST) return null;
    if (length === 0) return labels.join(".") || ".";
    const label = Buffer.from(bytes.subarray(next + 1, next + 1 + length)).toString("latin1");
    if (label.length < length || !/^[\w-]+$/.test(label)) return null;
    labels.push(label.toLowerCase());
    next += 1 + length;
  }
}

// --- internal ---

/** RFC 1035, RFC 2136, RFC 8490. */
const CODES = [
  ...["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET"],
  ...["NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI"],
];

const HEADER = 12;
const LABEL_MOST = 63;
const NAME_MOST = 255;
/** An empty name, and the type of EDNS. */
const OPT = 0x0029;
/** IN, CH, HS, ANY. A multicast query may ask for an answer to itself alone, by the highest bit. */
const CLASSES: ReadonlySet<number> = new Set([1, 3, 4, 255]);

/** One question: with none, or several, the header alone would decide. */
function isMessage(seen: Seen, at: number): boolean {
  const flags = seen.u16(at + 2);
  if (flags < 0 || seen.u16(at + 4) !== 1) return false;
  const isAnswer = flags >= 0x8000;
  const [opcode, reserved, code] = [(flags >> 11) & 15, flags & 0x40, flags & 15];
  if (reserved !== 0 || (opcode !== 0 && opcode !== 4 && opcode !== 5)) return false;
  const [answers, authorities, more] = [seen.u16(at + 6), seen.u16(at + 8), seen.u16(at + 10)];
  if (!isAnswer && (answers > 0 || code !== 0 || more > 3)) return false;
  if (code > 11 || answers > 4096 || authorities > 256 || more < 0 || more > 256) return false;
  return hasQuestion(seen, at + HEADER, isAnswer ? null : more);
}

/** `more`: of a query, how many records stand behind the question. */
function hasQuestion(seen: Seen, from: number, more: number | null): boolean {
  let at = from;
  for (;;) {
    const length = seen.u8(at);
    // The name is longer than what was seen: all that was seen must be good, and be 16 bytes at least.
    if (length < 0 || at + 1 + length > seen.bytes.length) return isLongName(seen, from, at);
    if (length === 0) break;
    if (length > LABEL_MOST || at - from > NAME_MOST) return false;
    if (!isLabel(seen, at + 1, length)) return false;
    at += 1 + length;
  }
  const [type, of] = [seen.u16(at + 1), seen.u16(at + 3)];
  const end = at + 5;
  if (type === -1 || of === -1 || end > seen.length) return false;
  if (more === 0 && end !== seen.length) return false;
  // EDNS has a record whose name is the root; the name of a signature is no evidence.
  if (more === 1 && seen.u24(end) !== -1 && seen.u24(end) !== OPT && at === from) return false;
  if (isNetbios(seen, from, at, type)) return false;
  return type > 0 && type < 0x8002 && CLASSES.has(of & 0x7fff);
}

function isLongName(seen: Seen, from: number, at: number): boolean {
  const length = seen.u8(at);
  if (seen.bytes.length - from < 16 || seen.whole || length > LABEL_MOST) return false;
  return length < 0 || seen.bytes.length === at + 1 || isLabel(seen, at + 1, length);
}

/** Any byte can be in a label. Other bytes than those of names of hosts and services are no evidence. */
function isLabel(seen: Seen, from: number, length: number): boolean {
  const end = Math.min(from + length, seen.bytes.length);
  for (let at = from; at < end; at++) {
    const byte = seen.u8(at);
    const isName =
      (byte >= 0x61 && byte <= 0x7a) ||
      (byte >= 0x30 && byte <= 0x39) ||
      (byte >= 0x41 && byte <= 0x5a) ||
      byte === 0x2d ||
      byte === 0x5f;
    if (!isName) return false;
  }
  return end > from;
}

/** NetBIOS has the same form: a name of 16 bytes in 32 letters from A to P, and types of its own. */
const isNetbios = (seen: Seen, from: number, end: number, type: number): boolean =>
  (type === 0x20 || type === 0x21) &&
  seen.u8(from) === 32 &&
  /^[A-P]{32}$/.test(
    String.fromCharCode(...seen.bytes.subarray(from + 1, Math.min(from + 33, end))),
  );
