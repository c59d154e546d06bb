/** Names from the kernel, in no promised encoding. Never throws. */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The kernel's `comm`: up to 16 bytes, ended by NUL and cut at 15, often in the middle of a character. */
export function readComm(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return readText(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * UTF-8 as text; each byte that is none becomes the lone surrogate U+DC00 + byte, so that nothing is lost and
 * escapeText can show it as `\xNN`.
 */
export const readText = (bytes: Uint8Array): string => decode(bytes) ?? decodePiecewise(bytes);

function decodePiecewise(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find(
      (n) => at + n <= bytes.length && decode(bytes.subarray(at, at + n)) !== null,
    );
    if (length === undefined) text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
    else text += decode(bytes.subarray(at, at + length));
    at += length ?? 1;
  }
  return text;
}

function decode(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
