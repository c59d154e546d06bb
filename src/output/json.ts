/** One JSON object per line, for programs. Its members and their order are those of members/table.ts. */

import type { ConnEvent } from "../conn/event.ts";
import { jsonString } from "./escape.ts";
import type { Loss } from "./losses.ts";
import { lostMembers, members, type Value } from "../members/table.ts";
import { lineTemplate, type Piece, type Template } from "./straight/template.ts";

export function jsonLine(event: ConnEvent, wallNs: bigint): string {
  let line = "";
  let inside = "";
  for (const { outer, key, of } of keys) {
    const value = of(event, wallNs);
    if (value === undefined || value === true) continue;
    line += `${line === "" ? "{" : between(inside, outer)}${key}${text(value)}`;
    inside = outer;
  }
  return line + endOf(inside);
}

/** The same with holes, for the straight way: see straight/. */
export function jsonTemplate(event: ConnEvent): Template {
  const pieces: Piece[] = [];
  let inside = "";
  for (const { outer, key, of, hole, quote } of keys) {
    const value = of(event, 0n);
    if (value === undefined || value === true) continue;
    pieces.push(pieces.length === 0 ? "{" : between(inside, outer));
    inside = outer;
    if (hole === undefined || value === null) pieces.push(`${key}${text(value)}`);
    else pieces.push(`${key}${quote}`, hole, hole.form === "isoMicros" ? `Z${quote}` : quote);
  }
  pieces.push(endOf(inside));
  return lineTemplate(pieces);
}

/** Events that were lost. */
export function jsonLost(loss: Loss, wallNs: bigint): string {
  const texts = lostMembers.map(({ name, of }) => `"${name}":${text(of(loss, wallNs))}`);
  return `{${texts.join(",")}}`;
}

// --- internal ---

/** Taken apart once: `local.port` is `"port":` inside `local`. */
const keys = members.map(({ name, of, hole, type }) => {
  const dot = name.lastIndexOf(".");
  const quote = type === "string" ? '"' : "";
  return {
    outer: name.slice(0, Math.max(0, dot)),
    key: `"${name.slice(dot + 1)}":`,
    of,
    hole,
    quote,
  };
});

const pathOf = (outer: string): string[] => (outer === "" ? [] : outer.split("."));

/** Of a member inside `from` and the next one, inside `to`. The first member of an event is inside no object. */
function between(from: string, to: string): string {
  if (from === to) return ",";
  const [old, next] = [pathOf(from), pathOf(to)];
  const both = old.findIndex((name, depth) => name !== next[depth]);
  const shared = both < 0 ? old.length : both;
  const opened = next.slice(shared).map((name) => `"${name}":{`);
  return `${"}".repeat(old.length - shared)},${opened.join("")}`;
}

const endOf = (inside: string): string => "}".repeat(pathOf(inside).length + 1);

/** By hand, because JSON.stringify refuses a bigint and a Number would round it above 2^53. */
function text(value: Exclude<Value, undefined | true>): string {
  if (typeof value === "string") return jsonString(value);
  return value === null ? "null" : value.toString();
}
