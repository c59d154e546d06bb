/** Addresses as the kernel prints them in /proc/net/tcp: each 32-bit word in hex, as the machine reads it. Pure. */
import { addressOfWords, type AddressText } from "./address.ts";
import { ConnMetadata, type Ends } from "./layout.gen.ts";

export function addressesOf(ends: Ends): [local: string, remote: string] {
  if ((ends.metadata & ConnMetadata.METADATA_IPV6) === 0) {
    return [word(ends.saddr_l), word(ends.daddr_l)];
  }
  return [words(ends.saddr_h) + words(ends.saddr_l), words(ends.daddr_h) + words(ends.daddr_l)];
}

/** The inverse, for one of them. */
export function addressOfRow(digits: string): AddressText {
  const part = (n: number) => BigInt(`0x${digits.slice(n * 8, n * 8 + 8)}`);
  if (digits.length === 8) return addressOfWords(0n, part(0), 4);
  return addressOfWords((part(1) << 32n) | part(0), (part(3) << 32n) | part(2), 6);
}

// --- internal ---

const BYTES = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).toUpperCase().padStart(2, "0"),
);

/** Of the low 32 bits. */
function word(value: bigint): string {
  const bits = Number(value & 0xffff_ffffn);
  return (
    BYTES[bits >>> 24]! +
    BYTES[(bits >>> 16) & 0xff]! +
    BYTES[(bits >>> 8) & 0xff]! +
    BYTES[bits & 0xff]!
  );
}

const words = (value: bigint): string => word(value) + word(value >> 32n);
