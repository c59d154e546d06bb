/** The details that a ClientHello and a ServerHello tell without a key (RFC 8446, 6066, 7301). Pure. */

/** Texts are raw, a byte is a character (Latin 1): a stranger chose them, and formats must escape them. `null`: not known. */
export interface TlsDetails {
  /** `1.3`, `1.2`, ...: the one that the server has chosen. */
  version: string | null;
  /** The name of the server that the client asks for (SNI). */
  serverName: string | null;
  /** The protocol that the server has chosen (ALPN), which only TLS 1.2 tells without a key. */
  alpn: string | null;
  /** The protocols that the client offers, commas between them. */
  alpnOffered: string | null;
}

export const NO_DETAILS: TlsDetails = Object.freeze({
  version: null,
  serverName: null,
  alpn: null,
  alpnOffered: null,
});

/** Adds what a ClientHello or a ServerHello tells, as far as there are bytes; `known` itself where it adds nothing. */
export function readHello(bytes: Uint8Array, known: TlsDetails): TlsDetails {
  const details = { ...known };
  const all = bytes.subarray(0, helloSize(bytes));
  if (all[5] === 1) readClient(all, details);
  else if (all[5] === 2) readServer(all, details);
  const names = Object.keys(known) as (keyof TlsDetails)[];
  return names.every((name) => details[name] === known[name]) ? known : Object.freeze(details);
}

/** NaN if there are too few bytes: no comparison holds for it. */
export const helloSize = (bytes: Uint8Array): number => 5 + u16(bytes, 3);

// --- internal ---

/** Behind the headers of the record and of the message: a version of 2 bytes and 32 random ones. */
const SESSION = 5 + 4 + 2 + 32;
const [SERVER_NAME, ALPN, SUPPORTED_VERSIONS] = [0, 16, 43];
const NAME_MOST = 255;

/** NaN where the bytes end. */
const u8 = (bytes: Uint8Array, at: number): number => bytes[at] ?? NaN;
const u16 = (bytes: Uint8Array, at: number): number => u8(bytes, at) * 256 + u8(bytes, at + 1);

function readClient(bytes: Uint8Array, details: TlsDetails): void {
  const ciphers = SESSION + 1 + u8(bytes, SESSION);
  const compressions = ciphers + 2 + u16(bytes, ciphers);
  const extensions = compressions + 1 + u8(bytes, compressions);
  eachExtension(bytes, extensions, (type, from, to) => {
    if (type === SERVER_NAME) details.serverName = serverName(bytes, from, to);
    else if (type === ALPN) details.alpnOffered = protocols(bytes, from, to).join() || null;
  });
}

function readServer(bytes: Uint8Array, details: TlsDetails): void {
  const cipher = SESSION + 1 + u8(bytes, SESSION);
  const said = u16(bytes, 9);
  const isNewer = u16(bytes, cipher) >> 8 === 0x13;
  // TLS 1.3 says that it is 1.2; its ciphers are of no other version.
  if (said < 0x0303) details.version = versions[said] ?? null;
  else if (cipher + 2 <= bytes.length) details.version = isNewer ? null : (versions[said] ?? null);
  eachExtension(bytes, cipher + 3, (type, from, to) => {
    if (type === SUPPORTED_VERSIONS && to - from === 2)
      details.version = versions[u16(bytes, from)] ?? null;
    else if (type === ALPN) details.alpn = protocols(bytes, from, to)[0] ?? null;
  });
  if (isNewer && details.version === null) details.version = "1.3";
}

const versions: Readonly<Record<number, string>> = {
  0x0300: "SSL 3.0",
  0x0301: "1.0",
  0x0302: "1.1",
  0x0303: "1.2",
  0x0304: "1.3",
};

/** Only extensions of which all bytes are there. */
function eachExtension(
  bytes: Uint8Array,
  at: number,
  tell: (type: number, from: number, to: number) => void,
): void {
  const end = Math.min(bytes.length, at + 2 + u16(bytes, at));
  // An extension has 4 bytes at least, which bounds the rounds.
  for (let next = at + 2; next + 4 <= end;) {
    const to = next + 4 + u16(bytes, next + 2);
    if (to > end) return;
    tell(u16(bytes, next), next + 4, to);
    next = to;
  }
}

/** A list of one name of type 0, that of a host. */
function serverName(bytes: Uint8Array, from: number, to: number): string | null {
  const length = u16(bytes, from + 3);
  if (u8(bytes, from + 2) !== 0 || length === 0 || length > NAME_MOST || from + 5 + length > to)
    return null;
  return latin1(bytes, from + 5, from + 5 + length);
}

function protocols(bytes: Uint8Array, from: number, to: number): string[] {
  const found: string[] = [];
  for (let at = from + 2; at < to; at += 1 + u8(bytes, at)) {
    const length = u8(bytes, at);
    if (length === 0 || at + 1 + length > to) break;
    if (!isGrease(bytes, at + 1, length)) found.push(latin1(bytes, at + 1, at + 1 + length));
  }
  return found;
}

/** Values that browsers send so that servers learn to pass over what they do not know (RFC 8701). */
const isGrease = (bytes: Uint8Array, at: number, length: number): boolean =>
  length === 2 && (u8(bytes, at) & 0x0f) === 0x0a && u8(bytes, at) === u8(bytes, at + 1);

const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to));
