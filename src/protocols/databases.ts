/** Protocols of databases and caches: PostgreSQL, MySQL, MongoDB, Redis, memcached. Pure. */
import type { Seen } from "./seen.ts";

/** Codes in place of a version of PostgreSQL's protocol: the client asks for TLS, for GSSAPI, or for a query to be stopped. */
const [CANCEL, SSL_REQUEST, GSS_REQUEST] = [80_877_102, 80_877_103, 80_877_104];
const VERSIONS = [0x30000, 0x30002];
const MESSAGE_MOST = 2 ** 30;
const SQL =
  /^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|SHOW|BEGIN|COMMIT|ROLLBACK|SET|WITH|TRUNCATE|EXPLAIN)\b/i;

export const isPostgres = (seen: Seen): boolean =>
  (seen.start && seen.mayBeFrom("client") && isPostgresStart(seen)) ||
  (seen.mayBeFrom("server") && isPostgresAnswer(seen)) ||
  (seen.mayBeFrom("client") && isPostgresQuery(seen));

/** For TLS or GSSAPI: the server answers with one byte whether that follows. */
export const asksForEncryption = (seen: Seen): boolean =>
  seen.length === 8 && (seen.u32(4) === SSL_REQUEST || seen.u32(4) === GSS_REQUEST);

/** The greeting of the server, a login, or a query. Its client asks for TLS in place of a login. */
export function isMysql(seen: Seen): boolean {
  if (seen.u24le(0) !== seen.length - 4) return false;
  const number = seen.u8(3);
  if (seen.start && number === 0 && seen.mayBeFrom("server") && seen.u8(4) === 10)
    return /^\d{1,3}\.\d{1,3}\.\d{1,3}[\x20-\x7e]{0,100}(?:\0|$)/.test(seen.textFrom(5));
  if (!seen.mayBeFrom("client")) return false;
  if (seen.start && number === 1) return isLogin(seen);
  return number === 0 && [0x03, 0x16].includes(seen.u8(4)) && SQL.test(seen.textFrom(5));
}

export const isMysqlTlsRequest = (seen: Seen): boolean => seen.length === 36 && isLogin(seen);

const [OP_REPLY, OP_QUERY, OP_COMPRESSED, OP_MSG] = [1, 2004, 2012, 2013];
const MONGO_MOST = 48_000_000 + 16 * 1024;

/** Length, request id, the id that is answered, operation; and what each operation begins with. */
export function isMongo(seen: Seen): boolean {
  const length = seen.u32le(0);
  if (length < 26 || length > MONGO_MOST || length < seen.length) return false;
  if (length > seen.length && seen.length < 512) return false;
  switch (seen.u32le(12)) {
    case OP_MSG:
      return isMessage(seen, length);
    case OP_QUERY: {
      const end = seen.bytes.indexOf(0, 20);
      return seen.u32le(8) === 0 && end > 21 && seen.printable(20, end) && seen.u32le(16) < 256;
    }
    case OP_REPLY:
      return seen.mayBeFrom("server") && isReply(seen, length);
    case OP_COMPRESSED:
      return [OP_REPLY, OP_QUERY, OP_MSG].includes(seen.u32le(16)) && seen.u8(24) <= 3;
    default:
      return false;
  }
}

/** Arrays and maps whose first element is a text: commands, answers to HELLO and pushed messages. `+OK` is POP3's too. */
export const isRedis = (seen: Seen): boolean =>
  REDIS_FIRST.has(seen.u8(0)) && /^[*>%]\d{1,7}\r\n\$\d{1,9}\r\n/.test(seen.text);

const STORE =
  /^(?:(?:set|add|replace|append|prepend) [\x21-\x7e]{1,130} \d{1,10} -?\d{1,10} \d{1,9}|cas [\x21-\x7e]{1,130} \d{1,10} -?\d{1,10} \d{1,9} \d{1,20})(?: noreply)?\r\n/;
const VALUE = /^VALUE [\x21-\x7e]{1,130} \d{1,10} \d{1,9}(?: \d{1,20})?\r\n/;
const GET = /^gets? [\x21-\x7e]{1,130}/;

/** The text protocol, where it differs from the commands that one types for Redis, or the binary one. */
export function isMemcached(seen: Seen): boolean {
  const first = seen.u8(0);
  if (first === 0x80 || first === 0x81) return isBinaryMemcached(seen, first === 0x80);
  if (seen.mayBeFrom("client") && first > 0x60 && STORE.test(seen.text)) return true;
  if (!seen.mayBeFrom("server") || (first !== 0x56 && first !== 0x45)) return false;
  if (VALUE.test(seen.text)) return true;
  if (seen.text.startsWith("END\r\n")) return seen.length === 5 && GET.test(seen.greeting);
  return /^VERSION \d+\.\d+/.test(seen.text) && seen.greeting === "version";
}

// --- internal ---

/** `*`, `>`, `%`. */
const REDIS_FIRST: ReadonlySet<number> = new Set([0x2a, 0x3e, 0x25]);

/** Flags, a cursor, from where on, how many documents, and the first of them with its length. */
function isReply(seen: Seen, length: number): boolean {
  const [documents, first] = [seen.u32le(32), seen.u32le(36)];
  if (seen.u32le(8) === 0 || seen.u32le(16) >= 16 || documents <= 0) return false;
  return first >= 5 && first + 5 * (documents - 1) <= length - 36;
}

function isPostgresStart(seen: Seen): boolean {
  if (seen.u32(0) !== seen.length || seen.length > 10_000) return false;
  const code = seen.u32(4);
  if (code === SSL_REQUEST || code === GSS_REQUEST) return seen.length === 8;
  if (code === CANCEL) return seen.length === 16;
  if (!VERSIONS.includes(code)) return false;
  const end = seen.bytes.indexOf(0, 8);
  return end > 8 && /^[a-z_]+$/.test(seen.textFrom(8).slice(0, end - 8));
}

const AUTHENTICATIONS: Readonly<Record<number, (length: number) => boolean>> = {
  0: (length) => length === 8,
  3: (length) => length === 8,
  5: (length) => length === 12,
  7: (length) => length === 8,
  10: (length) => length > 8 && length < 128,
};

/** A request to authenticate, ready for the first query, or the answers to a prepared statement. */
function isPostgresAnswer(seen: Seen): boolean {
  const length = seen.u32(1);
  switch (seen.u8(0)) {
    case 0x52 /* R */:
      return length + 1 <= seen.length && (AUTHENTICATIONS[seen.u32(5)]?.(length) ?? false);
    case 0x31 /* 1 */:
      return length === 4 && seen.u8(5) === 0x32 && seen.u32(6) === 4;
    case 0x43 /* C */: {
      if (length < 6 || length > 64) return false;
      const behind = 1 + length;
      const isReady = seen.u8(behind) === 0x5a && seen.u32(behind + 1) === 5;
      return isReady && /^(?:[A-Z]+ ?)+[\d ]*\0/.test(seen.textFrom(5).slice(0, behind - 5));
    }
    default:
      return false;
  }
}

/** A simple query fills its segment; a prepared one begins with the name of the statement, most often an empty one. */
function isPostgresQuery(seen: Seen): boolean {
  const first = seen.u8(0);
  if (first !== 0x51 && first !== 0x50) return false;
  const length = seen.u32(1);
  if (length < 6 || length > MESSAGE_MOST) return false;
  if (first === 0x51) return length + 1 === seen.length && SQL.test(seen.textFrom(5));
  const name = seen.bytes.indexOf(0, 5);
  return length + 1 <= seen.length && name >= 5 && SQL.test(seen.textFrom(name + 1));
}

/**
 * Capabilities of protocol 4.1, a packet's largest size, a character set, 23 bytes of zeros. MariaDB has the last 4 of them for
 * more capabilities.
 */
function isLogin(seen: Seen): boolean {
  if (seen.length < 36 || seen.length > 2 ** 16 || seen.u8(3) !== 1) return false;
  const isNew = (seen.u16(4) & 0x0002) !== 0;
  return isNew && seen.zeros(13, 32);
}

function isMessage(seen: Seen, length: number): boolean {
  const flags = seen.u32le(16);
  if (flags < 0 || flags >= 2 ** 17 || (flags & 0xfffc) !== 0) return false;
  const document = seen.u32le(21);
  if (seen.u8(20) !== 0 && seen.u8(20) !== 1) return false;
  return document >= 5 && document <= length - 21;
}

const OPCODES_MOST = 0x60;

/** Opcode, lengths of the key, of the extras and of all, no data type; a request has partition 0, an answer a small status. */
function isBinaryMemcached(seen: Seen, asks: boolean): boolean {
  if (seen.bytes.length < 24 || !seen.mayBeFrom(asks ? "client" : "server")) return false;
  const [opcode, key, extras, body] = [seen.u8(1), seen.u16(2), seen.u8(4), seen.u32(8)];
  if (opcode > OPCODES_MOST || key > 250 || extras > 32 || seen.u8(5) !== 0) return false;
  if (seen.u16(6) > (asks ? 0 : 0x86)) return false;
  return body === seen.length - 24 && key + extras <= body;
}
