/**
 * The addresses that an answer of DNS gives the name that was asked for (RFC 1035). A name server, or whoever writes in its
 * name, chooses every byte: nothing is read twice, nothing is followed, and of names only the question's is read. Pure.
 */
import { questionName } from "./dns.ts";

export interface DnsAnswer {
  id: number;
  /** As questionName() gives it. */
  name: string;
  /** 4 bytes, or 16; in the order of the answer. */
  addresses: Uint8Array[];
}

/** `bytes`: the first ones of the message, from its header on. `null`: it is no such answer, or gives no address. */
export function readAnswer(bytes: Uint8Array): DnsAnswer | null {
  if (bytes.length < HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  // An answer to a usual query, without an error, to one question.
  if ((view.getUint16(2) & 0xf80f) !== 0x8000 || view.getUint16(4) !== 1) return null;
  const name = questionName(bytes, 0);
  if (name === null || name === ".") return null;
  const addresses: Uint8Array[] = [];
  let at = behindName(bytes, HEADER) + 4;
  const records = Math.min(view.getUint16(6), RECORDS_MOST);
  for (let n = 0; n < records; n++) {
    const data = behindName(bytes, at) + FIXED;
    if (data > bytes.length) break;
    const [type, of, length] = [
      view.getUint16(data - 10),
      view.getUint16(data - 8),
      view.getUint16(data - 2),
    ];
    at = data + length;
    if (at > bytes.length) break;
    if (of === IN && SIZES.get(type) === length) addresses.push(bytes.slice(data, at));
  }
  return addresses.length === 0 ? null : { id: view.getUint16(0), name, addresses };
}

/** The id and the name of a query; `null`: it is none. */
export function readQuery(bytes: Uint8Array): Omit<DnsAnswer, "addresses"> | null {
  if (bytes.length < HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if ((view.getUint16(2) & 0xf800) !== 0 || view.getUint16(4) !== 1) return null;
  const name = questionName(bytes, 0);
  return name === null ? null : { id: view.getUint16(0), name };
}

// --- internal ---

const HEADER = 12;
/** More than as many bytes hold as are ever read. */
const RECORDS_MOST = 64;
/** Of a record, behind its name: type, class, time to live, length. */
const FIXED = 10;
const IN = 1;
/** Of the data of A and AAAA. */
const SIZES: ReadonlyMap<number, number> = new Map([
  [1, 4],
  [28, 16],
]);

/** Where what follows the name at `at` begins; beyond the end: the name is not all there. A pointer is its last part. */
function behindName(bytes: Uint8Array, at: number): number {
  for (let next = at; ;) {
    const length = bytes[next] ?? 0xff;
    if (length === 0) return next + 1;
    if (length >= 0xc0) return length === 0xff && next >= bytes.length ? BEYOND : next + 2;
    // 01 and 10 are forms that nobody uses.
    if (length > 63) return BEYOND;
    next += 1 + length;
  }
}

const BEYOND = 1 << 16;
