/** HTTP/1 (RFC 9112), HTTP/2 (RFC 9113) and gRPC, which HTTP/2 carries. Pure. */
import type { Seen } from "./seen.ts";

/** RTSP, SIP and others have requests of the same form: of these the target or the version differs. */
const REQUEST =
  /^(?:(?:GET|HEAD|POST|PUT|DELETE|PATCH|TRACE|OPTIONS) (?:\/|https?:\/\/)|OPTIONS \* HTTP\/1\.|CONNECT [^\s/]{1,100}:\d{1,5} HTTP\/1\.)/;
const VERSION = / HTTP\/1\.[01]$/;
const RESPONSE = /^HTTP\/1\.[01] [1-5]\d\d[ \r]/;

export function isHttp(seen: Seen): boolean {
  const first = seen.u8(0);
  if (first < 0x41 || first > 0x54) return false;
  if (seen.mayBeFrom("server") && RESPONSE.test(seen.text)) return true;
  if (!seen.mayBeFrom("client") || !REQUEST.test(seen.text)) return false;
  const end = seen.text.indexOf("\r\n");
  return end < 0 ? seen.printable(0, seen.bytes.length) : VERSION.test(seen.text.slice(0, end));
}

/** A request for a tunnel: other protocols follow on the same connection. */
export const isConnect = (seen: Seen): boolean => seen.has(0, "CONNECT ");

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_LEAST = 14;

/** The preface of a client, or the SETTINGS frame of a server that does not wait for one. */
export function isHttp2(seen: Seen): boolean {
  if (!seen.start) return false;
  if (seen.u8(0) === 0x50) return seen.mayBeFrom("client") && hasPreface(seen);
  return seen.mayBeFrom("server") && isFirstSettings(seen);
}

/** `null`: cannot be told of this segment. */
export function isGrpc(seen: Seen): boolean | null {
  let at = hasPreface(seen) ? PREFACE.length : 0;
  // A bound on the frames of one look, of at least 9 bytes each.
  for (let frames = 0; frames < 32 && at + FRAME <= seen.bytes.length; frames++) {
    const length = seen.u24(at);
    const type = seen.u8(at + 3);
    if (length > FRAME_MOST || !FRAME_TYPES.has(type) || seen.u8(at + 5) > 0x7f) return null;
    const end = at + FRAME + length;
    if (type === HEADERS && seen.u32(at + 5) !== 0) {
      if (hasGrpcType(seen, at + FRAME, end)) return true;
      // gRPC has only POST.
      const [padding, priority] = [seen.u8(at + 4) & 0x08, seen.u8(at + 4) & 0x20];
      const first = at + FRAME + (padding === 0 ? 0 : 1) + (priority === 0 ? 0 : 5);
      if (seen.from === "client" && first < end && seen.u8(first) === GET) return false;
    }
    at = end;
  }
  return null;
}

// --- internal ---

const FRAME = 9;
const FRAME_MOST = 2 ** 14 + 2 ** 10;
const [HEADERS, SETTINGS] = [1, 4];
/** Index 2 of HPACK's static table: `:method: GET`. */
const GET = 0x82;
/** DATA to CONTINUATION, ALTSVC, ORIGIN, PRIORITY_UPDATE. */
const FRAME_TYPES: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16]);
/** Of the settings that are registered; a setting that none knows is taken for another protocol's number. */
const SETTINGS_MOST = 0x10;

const hasPreface = (seen: Seen): boolean =>
  seen.bytes.length >= PREFACE_LEAST &&
  seen.has(0, PREFACE.slice(0, Math.min(PREFACE.length, seen.bytes.length)));

function isFirstSettings(seen: Seen): boolean {
  const length = seen.u24(0);
  if (length < 0 || length > 6 * 16 || length % 6 !== 0) return false;
  if (seen.u8(3) !== SETTINGS || !seen.zeros(4, 9)) return false;
  for (let at = FRAME; at < FRAME + length && at + 6 <= seen.bytes.length; at += 6)
    if (!isSetting(seen.u16(at), seen.u32(at + 2))) return false;
  const next = FRAME + length;
  if (next > seen.length) return false;
  if (next + FRAME <= seen.bytes.length && !FRAME_TYPES.has(seen.u8(next + 3))) return false;
  // Zeros alone are other protocols' numbers too: another frame must follow.
  if (length > 0) return seen.bytes.length >= FRAME + 6;
  const [settings, update] = [seen.u24(9) === 0 && seen.u8(12) === 4, seen.u24(9) === 4];
  return (settings && seen.u8(13) === 1 && seen.zeros(14, 18)) || (update && seen.u8(12) === 8);
}

/** The values that RFC 9113 allows. */
function isSetting(id: number, value: number): boolean {
  if (id === 2) return value <= 1;
  if (id === 4) return value < 2 ** 31;
  if (id === 5) return value >= 2 ** 14 && value < 2 ** 24;
  return id > 0 && id <= SETTINGS_MOST;
}

const NAME = "content-type";
const PLAIN = "application/grpc";
/** The same in the Huffman code of HPACK; it ends with a byte. */
const HUFFMAN = [0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64];
const NAME_HUFFMAN = [0x21, 0xea, 0x49, 0x6a, 0x4a, 0xc9, 0xf5, 0x59, 0x7f];

/** A literal field `content-type` (RFC 7541) whose value is that of gRPC, and not of gRPC-Web. */
function hasGrpcType(seen: Seen, from: number, to: number): boolean {
  const last = Math.min(to, seen.bytes.length);
  for (let at = from + 1; at < last; at++) {
    const length = seen.u8(at);
    const plain = length >= PLAIN.length && length < 0x80 && seen.has(at + 1, PLAIN);
    const packed = length >= 0x80 + HUFFMAN.length && hasBytes(seen, at + 1, HUFFMAN);
    if (!(plain || packed) || !isContentType(seen, at)) continue;
    if (plain) return length === PLAIN.length || /^[+;]/.test(textAt(seen, at + 1 + PLAIN.length));
    const next = at + 1 + HUFFMAN.length;
    if (length === 0x80 + HUFFMAN.length) return true;
    // `;` has 8 bits there, `+` has 11.
    return seen.u8(next) === 0xfb || (seen.u8(next) === 0xff && seen.u8(next + 1) >> 5 === 3);
  }
  return false;
}

/** Whether the name that ends before `at` is `content-type`: index 31 of the static table, or the name itself. */
function isContentType(seen: Seen, at: number): boolean {
  const before = seen.u8(at - 1);
  if (before === 0x5f) return true;
  if (before === 0x10) return seen.u8(at - 2) === 0x0f || seen.u8(at - 2) === 0x1f;
  return seen.has(at - NAME.length, NAME) || hasBytes(seen, at - NAME_HUFFMAN.length, NAME_HUFFMAN);
}

const textAt = (seen: Seen, at: number): string => String.fromCharCode(seen.u8(at) & 0xff);

function hasBytes(seen: Seen, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, n) => seen.u8(at + n) === byte);
}
