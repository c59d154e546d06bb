/** struct sockaddr_in, sockaddr_in6 and sockaddr_un as bytes. Pure; record/address.ts reads and writes the text of addresses. */
import { addressText, ipv4Text, isMapped, parseAddress } from "../record/address.ts";
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from "./constants.ts";

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

function sockaddrIn(address: string | Uint8Array, port: number): Uint8Array {
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

/** The size of sun_path. */
const UNIX_PATH = 108;

/**
 * struct sockaddr_un for sendto. A name that begins with "@" is abstract: bytes that are no path. `null`: the name is
 * neither abstract nor an absolute path, or too long.
 */
export function sockaddrUnix(name: string): Uint8Array | null {
  const isAbstract = name.startsWith("@");
  const path = Buffer.from(isAbstract ? `\0${name.slice(1)}` : name);
  if (!isAbstract && !name.startsWith("/")) return null;
  // The length of an abstract name counts. A path ends with a 0.
  const bytes = new Uint8Array(2 + path.length + (isAbstract ? 0 : 1));
  if (path.length < 2 || bytes.length > 2 + UNIX_PATH) return null;
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(path, 2);
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

/** Throws a RangeError for anything else: addresses here are the program's own constants. */
export function parseIPv4(text: string): Uint8Array {
  return bytesOf(text, 4).subarray(0, 4);
}

/** 16 bytes. Accepts `::` and a trailing dotted quad, not a zone; throws a RangeError for anything else. */
export function parseIPv6(text: string): Uint8Array {
  return bytesOf(text, 6);
}

/** As getsockname has it: a v4-mapped address is written with its dotted quad, `::ffff:127.0.0.1`. */
export function ipv6Text(bytes: Uint8Array): string {
  const { address } = addressText(bytes, 6);
  return isMapped(bytes) ? `::ffff:${address}` : address;
}

export function v4Mapped(ipv4: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.fill(255, 10, 12);
  bytes.set(ipv4, 12);
  return bytes;
}

// --- internal ---

function bytesOf(text: string, family: 4 | 6): Uint8Array {
  const parsed = parseAddress(text);
  if (parsed?.family !== family) throw new RangeError(`${text} is not an IPv${family} address`);
  return parsed.bytes;
}
