/** struct sockaddr_in and sockaddr_in6 as bytes, and addresses as text. Pure. */
import { AF_INET, AF_INET6, AF_UNSPEC } from "./constants.ts";

export interface Address {
  family: 4 | 6;
  /** Dotted quad, or IPv6 as RFC 5952 writes it. */
  address: string;
  /** Host order. */
  port: number;
}

/** Bytes for bind and connect. The family follows from the text: a colon makes it IPv6. */
export function sockaddr(address: string, port: number): Uint8Array {
  return address.includes(":") ? sockaddrIn6(parseIPv6(address), port) : sockaddrIn(address, port);
}

/** connect(2) to it dissolves a connection and leaves the socket reusable. */
export function sockaddrUnspec(): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint16(0, AF_UNSPEC, true);
  return bytes;
}

export function sockaddrIn(address: string | Uint8Array, port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(typeof address === "string" ? parseIPv4(address) : address, 4);
  return bytes;
}

/** `address` is 16 bytes; flow label and scope are 0. */
export function sockaddrIn6(address: Uint8Array, port: number): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, 8);
  return bytes;
}

/** Reads the bytes of getsockname; `null` for another family or too few bytes. A v4-mapped address stays family 6. */
export function readSockaddr(bytes: Uint8Array): Address | null {
  if (bytes.length < 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const port = view.getUint16(2);
  const family = view.getUint16(0, true);
  if (family === AF_INET) return { family: 4, address: ipv4Text(bytes.subarray(4, 8)), port };
  if (family === AF_INET6 && bytes.length >= 24)
    return { family: 6, address: ipv6Text(bytes.subarray(8, 24)), port };
  return null;
}

/** Throws a RangeError for anything but four decimal numbers: addresses here are the program's own constants. */
export function parseIPv4(text: string): Uint8Array {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    throw new RangeError(`${text} is not an IPv4 address`);
  return Uint8Array.from(parts, Number);
}

/** Accepts `::` and a trailing dotted quad, not a zone. */
export function parseIPv6(text: string): Uint8Array {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const hex = dotted ? dotted[1]! + hexPairs(parseIPv4(dotted[2]!)) : text;
  const halves = hex.split("::");
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  const right = halves.length === 1 ? missing === 0 : halves.length === 2 && missing >= 1;
  const groups = [...head, ...Array<string>(Math.max(missing, 0)).fill("0"), ...tail];
  if (!right || !groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)))
    throw new RangeError(`${text} is not an IPv6 address`);
  return Uint8Array.from(
    groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]),
  );
}

export function ipv4Text(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** RFC 5952: lower case, the first longest run of two or more zero groups as `::`, v4-mapped with a dotted quad. */
export function ipv6Text(bytes: Uint8Array): string {
  if (isV4Mapped(bytes)) return `::ffff:${ipv4Text(bytes.subarray(12, 16))}`;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  const [start, length] = longestZeroRun(groups);
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** ::ffff:a.b.c.d, an IPv4 connection made with an AF_INET6 socket. */
export function isV4Mapped(bytes: Uint8Array): boolean {
  return (
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
  );
}

export function v4Mapped(ipv4: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.fill(255, 10, 12);
  bytes.set(ipv4, 12);
  return bytes;
}

// --- internal ---

function longestZeroRun(groups: number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let i = 0, from = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - from > best[1]) best = [from, i - from];
    from = i + 1;
  }
  return best;
}

function hexPairs(ipv4: Uint8Array): string {
  const [a, b, c, d] = ipv4 as unknown as [number, number, number, number];
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
