/** 16 address bytes and a family ↔ text. Never throws: what is no address comes back as `null`. */

export interface AddressText {
  /** An IPv4-mapped IPv6 address is shown as the IPv4 address it stands for. */
  family: 4 | 6;
  address: string;
}

/**
 * The two words of a `conn_tuple`: network order in memory, an IPv4 address in the low 32 bits of the low word.
 * Both machines we run on are little-endian, so the first byte of the address is the lowest of its word.
 */
export function addressOfWords(high: bigint, low: bigint, family: 4 | 6): AddressText {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  if (family === 4) {
    view.setUint32(0, Number(low & 0xffff_ffffn), true);
    return { family, address: ipv4Text(bytes.subarray(0, 4)) };
  }
  view.setBigUint64(0, high, true);
  view.setBigUint64(8, low, true);
  return addressText(bytes, 6);
}

/** `bytes` in network order: 16 of them, of which IPv4 uses the first 4. */
export function addressText(bytes: Uint8Array, family: 4 | 6): AddressText {
  if (family === 4) return { family, address: ipv4Text(bytes.subarray(0, 4)) };
  if (isMapped(bytes)) return { family: 4, address: ipv4Text(bytes.subarray(12, 16)) };
  return { family, address: ipv6Text(bytes) };
}

/** The inverse: 16 bytes in network order (IPv4 in the first 4), or `null` when `text` is no address. */
export function parseAddress(text: string): { family: 4 | 6; bytes: Uint8Array } | null {
  const bytes = new Uint8Array(16);
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) {
    bytes.set(ipv4);
    return { family: 4, bytes };
  }
  const groups = parseIpv6(text);
  if (groups === null) return null;
  groups.forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  });
  return { family: 6, bytes };
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function endpointText(endpoint: { address: string; port: number }): string {
  const { address, port } = endpoint;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The address that stands for none, or for any. */
export const isUnspecified = (address: string): boolean =>
  address === "0.0.0.0" || address === "::";

/** 127.0.0.0/8 and ::1. */
export const isLoopback = (address: string): boolean =>
  address === "::1" || address.startsWith("127.");

/** fe80::/10: each interface has such addresses of its own. */
export const isLinkLocal = (address: string): boolean => /^fe[89ab][0-9a-f]:/.test(address);

/** An address as events show it, whichever way it is written; `null`: it is no address. */
export function addressAsShown(text: string): string | null {
  const parsed = parseAddress(text);
  return parsed === null ? null : addressText(parsed.bytes, parsed.family).address;
}

/** `bytes` are ::ffff:a.b.c.d, an IPv4 connection made with an AF_INET6 socket. */
export function isMapped(bytes: Uint8Array): boolean {
  return mappedPrefix.every((byte, i) => bytes[i] === byte);
}

/** `bytes` are four. */
export function ipv4Text(bytes: Uint8Array): string {
  return bytes.join(".");
}

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`, the first of equals. */
function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  const run = longestZeroRun(groups);
  if (run.length < 2) return groups.join(":");
  return `${groups.slice(0, run.at).join(":")}::${groups.slice(run.at + run.length).join(":")}`;
}

function longestZeroRun(groups: string[]): { at: number; length: number } {
  let best = { at: 0, length: 0 };
  let length = 0;
  groups.forEach((group, i) => {
    length = group === "0" ? length + 1 : 0;
    if (length > best.length) best = { at: i - length + 1, length };
  });
  return best;
}

function parseIpv4(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  if (head === undefined || head === null || tail === null) return null;
  const missing = 8 - head.length - (tail?.length ?? 0);
  // `::` stands for at least one group; without it all eight must be there.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  return [...head, ...Array.from({ length: missing }, () => 0), ...(tail ?? [])];
}

/** `a:b:1.2.3.4` → groups; only the very end may be dotted, and counts as two. */
function parseGroups(text: string, atEnd: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const last = atEnd ? parseIpv4(parts.at(-1) ?? "") : null;
  if (last !== null) parts.pop();
  if (!parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return null;
  const groups = parts.map((part) => Number.parseInt(part, 16));
  const [a = 0, b = 0, c = 0, d = 0] = last ?? [];
  return last === null ? groups : [...groups, (a << 8) | b, (c << 8) | d];
}
