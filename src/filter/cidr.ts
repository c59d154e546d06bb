/** Networks: an address and how many of its leading bits count. An IPv4-mapped IPv6 address is IPv4 here, as in events. */

import { addressText, parseAddress } from "../record/address.ts";

export interface Cidr {
  family: 4 | 6;
  /** 16 bytes in network order, IPv4 in the first 4. The bits behind the prefix may be anything. */
  bytes: Uint8Array;
  /** From 0 to 32 or 128. */
  bits: number;
}

/** The prefix that makes an IPv6 address an IPv4-mapped one, `::ffff:0:0/96`. */
const MAPPED_BITS = 96;

/** `10.0.0.0/8`, `2001:db8::/32`; a bare address is itself alone. `null`: `text` is neither. */
export function parseCidr(text: string): Cidr | null {
  const [, address = "", prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const written = parseAddress(address);
  if (written === null) return null;
  const width = widthOf(written.family);
  const bits = prefix === undefined ? width : Number(prefix);
  if (bits > width) return null;
  const plain = plainAddress(address)!;
  if (plain.family === written.family) return { ...plain, bits };
  // Of a shorter prefix the mapped addresses are only a part, and the rest is IPv6.
  return bits < MAPPED_BITS ? { ...written, bits } : { ...plain, bits: bits - MAPPED_BITS };
}

/** Whether one of the networks has the address, given as text. */
export function within(networks: readonly Cidr[], address: string): boolean {
  const plain = plainAddress(address);
  return plain !== null && networks.some((network) => contains(network, plain));
}

/** Whether each address of the second network is one of the first. */
export const covers = (all: Cidr, some: Cidr): boolean =>
  all.bits <= some.bits && contains(all, some);

// --- internal ---

interface Address {
  family: 4 | 6;
  bytes: Uint8Array;
}

const widthOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);

function plainAddress(text: string): Address | null {
  const parsed = parseAddress(text);
  if (parsed === null || parsed.family === 4) return parsed;
  const { family, address } = addressText(parsed.bytes, 6);
  return family === 4 ? parseAddress(address) : parsed;
}

function contains({ family, bytes, bits }: Cidr, address: Address): boolean {
  if (family !== address.family) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== address.bytes[i]) return false;
  const mask = 0xff00 >> (bits & 7);
  return ((bytes[whole] ?? 0) & mask & 0xff) === ((address.bytes[whole] ?? 0) & mask & 0xff);
}
