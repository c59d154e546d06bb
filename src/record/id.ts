/**
 * The id of an event's connection or flow: 20 hexadecimal digits, the same on all its lines and on those of no other. A record
 * holds all of it: the moment at which the connection began, and the cookie, which differs for socks that begin at one moment.
 */
import {
  ConnMetadata,
  EVENT_COOKIE,
  EVENT_ENDS_DADDR_H,
  EVENT_ENDS_DADDR_L,
  EVENT_ENDS_DPORT,
  EVENT_ENDS_METADATA,
  EVENT_STARTED_AT,
  IdNumber,
} from "./layout.gen.ts";

/**
 * To be called before the first id is made. `random` gives so many bytes. It is asked once: traces of one process have one
 * key, so that their ids stay.
 */
export function keyIds(random: (bytes: number) => Uint8Array): void {
  if (key !== NO_KEY) return;
  const { buffer, byteOffset } = random(KEY_BYTES);
  const word = (n: number) => new DataView(buffer, byteOffset).getInt32(4 * n, true);
  // An odd factor can be undone.
  key = { added: word(0), first: word(1) | 1, second: word(2) | 1 };
}

/** For those who make ids elsewhere: see hidden(). */
export const idKey = (): Readonly<typeof NO_KEY> => key;

/** Of the struct event at `p`. */
export function idAt(view: DataView, p: number): string {
  putIdAt(scratch, 0, view, p);
  return text.toString("latin1");
}

/** Writes it at `at` and returns where the next byte goes. */
export function putIdAt(out: DataView, at: number, view: DataView, p: number): number {
  out.setInt32(at, fourDigits(view.getUint16(p + EVENT_STARTED_AT + 4, true)));
  putWord(out, at + 4, view.getInt32(p + EVENT_STARTED_AT, true));
  const isTcp = (view.getUint32(p + EVENT_ENDS_METADATA, true) & ConnMetadata.METADATA_TCP) !== 0;
  const cookie = view.getInt32(p + EVENT_COOKIE, true);
  putWord(out, at + 12, hidden(isTcp ? cookie : cookie ^ remoteWord(view, p)));
  return at + ID_DIGITS;
}

/** The same of an id as a text; -1: it is none. */
export function putId(out: DataView, at: number, id: string): number {
  if (!isId(id)) return -1;
  for (let n = 0; n < ID_DIGITS; n++) out.setUint8(at + n, id.charCodeAt(n));
  return at + ID_DIGITS;
}

export const isId = (value: string): boolean => /^[0-9a-f]{20}$/.test(value);

// --- internal ---

const ID_DIGITS = 20;

const KEY_BYTES = 12;
const NO_KEY = { added: 0, first: 1, second: 1 };
/** See hidden(). */
let key = NO_KEY;

const text = Buffer.alloc(ID_DIGITS);
const scratch = new DataView(text.buffer, text.byteOffset, ID_DIGITS);

function putWord(out: DataView, at: number, word: number): void {
  out.setInt32(at, fourDigits(word >>> 16));
  out.setInt32(at + 4, fourDigits(word & 0xffff));
}

/** Of 16 bits, the first digit on top. All four at once: a table of them would take more time, or much memory. */
function fourDigits(value: number): number {
  const pairs = (value | (value << 8)) & 0x00ff_00ff;
  const nibbles = (pairs | (pairs << 4)) & 0x0f0f_0f0f;
  const letters = ((nibbles + 0x0606_0606) >> 4) & 0x0101_0101;
  return nibbles + 0x3030_3030 + Math.imul(letters, LETTER_AFTER_DIGIT);
}

/** From the character behind 9 to the letter a. */
const LETTER_AFTER_DIGIT = 0x27;

/**
 * A cookie is made of the sock's address, and a line must not tell an address of the kernel's memory: so the cookie is mixed with a
 * key of this run. Each step can be undone with the key, so different cookies stay different.
 */
function hidden(cookie: number): number {
  let word = cookie ^ key.added;
  word = Math.imul(word ^ (word >>> 16), key.first);
  word = Math.imul(word ^ (word >>> 15), key.second);
  return word ^ (word >>> 16);
}

/** Threads of a server may begin two flows of one socket at one moment: the remote end tells them apart. */
function remoteWord(view: DataView, p: number): number {
  let word = view.getUint16(p + EVENT_ENDS_DPORT, true) + 1;
  for (const at of [EVENT_ENDS_DADDR_H, EVENT_ENDS_DADDR_L])
    for (let half = 0; half < 8; half += 4)
      word = Math.imul(
        word ^ (word >>> 15) ^ view.getInt32(p + at + half, true),
        IdNumber.REMOTE_FACTOR,
      );
  return word;
}
