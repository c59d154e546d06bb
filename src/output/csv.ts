/** CSV (RFC 4180, lines end in LF): one column per member of members/table.ts, also of those that only some events have. Pure. */

import type { ConnEvent } from "../conn/event.ts";
import { escapeText } from "./escape.ts";
import { members, type Value } from "../members/table.ts";
import { lineTemplate, type Piece, type Template } from "./straight/template.ts";

/** `local.port` is the column `local_port`. */
export function csvHeader(): string {
  return members.map(({ name }) => name.replace(".", "_")).join(",");
}

/** Empty: not known, or not a member of this event. Control characters are escaped, so a line break ends a record. */
export function csvLine(event: ConnEvent, wallNs: bigint): string {
  return members.map(({ of }) => cell(of(event, wallNs))).join(",");
}

/** The same with holes, for the straight way: see straight/. */
export function csvTemplate(event: ConnEvent): Template {
  const pieces = members.flatMap(({ of, hole }, n): Piece[] => {
    const value = of(event, 0n);
    const comma = n === 0 ? "" : ",";
    if (hole === undefined || value === null || value === undefined) return [comma + cell(value)];
    return [comma, hole, hole.form === "isoMicros" ? "Z" : ""];
  });
  return lineTemplate(pieces);
}

// --- internal ---

function cell(value: Value): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return value.toString();
  const text = escapeText(value);
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
