/** TLS: its records, and the handshake messages in them (RFC 8446, RFC 5246). Pure. */
import type { Seen } from "./seen.ts";

const [ALERT, HANDSHAKE, DATA] = [0x15, 0x16, 0x17];
const [CLIENT_HELLO, SERVER_HELLO] = [1, 2];
/** A record of TLS 1.2 may be so much longer than 2^14. */
const RECORD_MOST = 2 ** 14 + 2048;
/** The shortest ones: a byte of data and the tag behind it. */
const DATA_LEAST = 17;

export const isTls = (seen: Seen): boolean =>
  isHello(seen) || isAlert(seen) || (!seen.start && isData(seen));

/** A ClientHello or a ServerHello begins here. */
export function isHello(seen: Seen): boolean {
  const type = seen.u8(5);
  if (!isRecord(seen, 0, HANDSHAKE) || (type !== CLIENT_HELLO && type !== SERVER_HELLO))
    return false;
  // A ClientHello can be longer than a record, if post-quantum keys or tickets are in it. Without its length, the rest is too little.
  const message = seen.u24(6);
  if (message < 34 || message > 2 ** 17) return false;
  return seen.u8(9) === -1 || (seen.u8(9) === 3 && seen.u8(10) <= 4);
}

// --- internal ---

const isRecord = (seen: Seen, at: number, type: number): boolean =>
  seen.u8(at) === type &&
  seen.u8(at + 1) === 3 &&
  seen.u8(at + 2) <= 4 &&
  seen.u16(at + 3) > 0 &&
  seen.u16(at + 3) <= RECORD_MOST;

/** The answer to a hello that is refused, which is not encrypted yet: a level, warning or fatal, and its reason. */
const isAlert = (seen: Seen): boolean =>
  seen.length === 7 &&
  isRecord(seen, 0, ALERT) &&
  seen.u16(3) === 2 &&
  (seen.u8(5) === 1 || seen.u8(5) === 2) &&
  seen.u8(6) <= 120;

/** In the middle of a connection: a segment that begins a record. A record behind it, if seen, must look like one too. */
function isData(seen: Seen): boolean {
  const record = seen.u16(3);
  if (!isRecord(seen, 0, DATA) || seen.u8(2) === 0 || record < DATA_LEAST) return false;
  const next = 5 + record;
  if (next + 5 > seen.bytes.length) return next <= seen.length || seen.length >= 512;
  return [ALERT, HANDSHAKE, DATA].some((type) => isRecord(seen, next, type));
}
