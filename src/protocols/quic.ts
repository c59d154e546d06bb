/** QUIC (RFC 9000, RFC 9369): the long header of its first packets. Pure. */
import type { Seen } from "./seen.ts";

export interface QuicDetails {
  /** `1`, `2`, `draft-29`: the server's, once it has answered. */
  version: string;
}

/** Of an Initial packet. */
export function readQuic(seen: Seen): QuicDetails {
  const version = seen.u32(1);
  if (version === V2) return TWO;
  return version === V1 ? ONE : { version: `draft-${version & 0xff}` };
}

/** An Initial packet, whose length is that of the datagram or less. */
export function isQuic(seen: Seen): boolean {
  const first = seen.u8(0);
  const version = seen.u32(1);
  // The fixed bit, and the bit of a long header.
  if (first < 0xc0 || !isVersion(version) || !isInitial(first, version)) return false;
  const to = seen.u8(5);
  const from = seen.u8(6 + to);
  if (to < 0 || to > ID_MOST || from < 0 || from > ID_MOST) return false;
  if (seen.from === "client" && (to < CLIENT_ID_LEAST || seen.length < DATAGRAM_LEAST))
    return false;
  const token = numberAt(seen, 7 + to + from);
  if (token === null) return true;
  const length = numberAt(seen, token.end + token.value);
  if (length === null) return token.end + token.value < seen.length;
  return length.value >= PACKET_LEAST && length.end + length.value <= seen.length;
}

// --- internal ---

/** Of connection ids in the versions that are known. */
const ID_MOST = 20;
/** The first packets of a client are for an id that it made up. */
const CLIENT_ID_LEAST = 8;
/** A datagram with a client's Initial packet is at least so long. */
const DATAGRAM_LEAST = 1200;
/** The number of the packet, and the bytes that protect its header. */
const PACKET_LEAST = 20;

const [V1, V2] = [1, 0x6b33_43cf];
const ONE: QuicDetails = { version: "1" };
const TWO: QuicDetails = { version: "2" };

const isVersion = (version: number): boolean =>
  version === V1 || version === V2 || (version >= 0xff00_001d && version <= 0xff00_0022);

const isInitial = (first: number, version: number): boolean =>
  ((first >> 4) & 3) === (version === V2 ? 1 : 0);

/** A number of variable length of up to 4 bytes, and the place behind it; `null`: not seen. */
function numberAt(seen: Seen, at: number): { value: number; end: number } | null {
  const first = seen.u8(at);
  const bytes = 1 << (first >> 6);
  if (first < 0 || at + bytes > seen.bytes.length) return null;
  if (bytes === 8) return { value: Infinity, end: at + 8 };
  const value =
    bytes === 1 ? first : bytes === 2 ? seen.u16(at) & 0x3fff : seen.u32(at) & 0x3fff_ffff;
  return { value, end: at + bytes };
}
