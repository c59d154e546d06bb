/** CSV (RFC 4180, lines end in LF): one column per value of members/table.ts, also of those that only some events have. Pure. */

import type { ConnEvent } from "../conn/event.ts";
import { escapeText } from "./escape.ts";
import { members, type Value } from "../members/table.ts";
import { lineTemplate, type Piece, type Template } from "./straight/template.ts";

/** `local.port` is the column `local_port`. */
export function csvHeader(): string {
  return columns.map(({ name }) => name.replaceAll(".", "_")).join(",");
}

/**
 * Empty: not known, or not a member of this event. Control characters are escaped, so a line break ends a record. A text
 * that a spreadsheet would take for a formula has a `'` in front.
 */
export function csvLine(event: ConnEvent, wallNs: bigint): string {
  return columns.map(({ of, brief }) => csvCell((brief?.of ?? of)(event, wallNs))).join(",");
}

/** The same with holes, for the straight way: see straight/. */
export function csvTemplate(event: ConnEvent): Template {
  const pieces = columns.flatMap(({ of, brief, hole }, n): Piece[] => {
    const value = (brief?.of ?? of)(event, 0n);
    const comma = n === 0 ? "" : ",";
    if (hole === undefined || value === null || value === undefined)
      return [comma + csvCell(value)];
    return [comma, hole, hole.form === "isoMicros" ? "Z" : ""];
  });
  return lineTemplate(pieces);
}

/** A value as a cell. */
export function csvCell(value: Value): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return value.toString();
  const text = plainText(escapeText(value));
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// --- internal ---

/** An object within an object has none: its members are empty where it is missing. */
const columns = members.filter(({ name, type }) => type !== "object" || !name.includes("."));

/** A spreadsheet takes a text that begins so for a formula, in some languages also by the wide form of the sign. */
const FORMULA = " *[=+\\-@\uff1d\uff0b\uff0d\uff20]";
const formula = new RegExp(`^(${FORMULA}|')`);
/** Where a spreadsheet separates cells by semicolons, a formula begins behind one as well. */
const inNextCell = new RegExp(`;(?=${FORMULA})`, "g");

/**
 * Any user of the host chooses the name and the arguments of a command. Opened in a spreadsheet they must not run. A text
 * that begins with `'` gets one more, so that the first `'` can always be taken away.
 */
function plainText(text: string): string {
  return text.replace(formula, "'$&").replace(inNextCell, "\\x3b");
}
