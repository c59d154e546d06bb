/**
 * Text from outside (command names, kernel logs, arguments) made safe to print. The only place that does it.
 * A command name is chosen by any user of the host and is shown on root's terminal: it must not move the
 * cursor, start an escape sequence, break a line or reverse the order of what stands beside it.
 */

/**
 * Controls (C0, DEL, C1), format characters (bidi overrides, zero width, byte order mark), line and paragraph
 * separators, lone surrogates, private and unassigned code points, and every space but the ordinary one.
 */
const unsafe = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const unsafeOrBackslash = new RegExp(`${unsafe.source}|\\\\`, "gu");

/** For terminals and logs: what is unsafe becomes `\xNN` or `\u{N}`, and `\` becomes `\\` so that it stays unambiguous. */
export function escapeText(text: string): string {
  return text.replace(unsafeOrBackslash, (char) => (char === "\\" ? "\\\\" : escapeChar(char)));
}

/** As escapeText, but the line breaks of a text of several lines stay. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeText).join("\n");
}

/**
 * A JSON string literal. JSON itself only demands that C0 is escaped; DEL, C1 and bidi controls would reach the
 * terminal raw. A byte that was no UTF-8 becomes U+FFFD, because JSON has no way to say it.
 */
export function jsonString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(unsafe, (char) =>
    Array.from({ length: char.length }, (_, i) => `\\u${hex(char.charCodeAt(i), 4)}`).join(""),
  );
}

function escapeChar(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${hex(code, 2)}`;
  // The way readComm keeps a byte that is no UTF-8.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(code - 0xdc00, 2)}`;
  return `\\u{${hex(code, 1)}}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
