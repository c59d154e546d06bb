/** The text of an offsets file ↔ a report. Pure. Strict: a wrong offset would be read from kernel memory as data. */

import { Failure } from "../errors.ts";
import type { FieldReport, FieldStatus, GuessReport } from "./report.ts";

const FORMAT = "tracer-bpf offsets";
/** Raised when the meaning of a member changes; a file of another version is refused, never converted. 1 had no checksum. */
const VERSION = 2;

/** Structs of the kernel are far smaller; a larger number is damage. */
const MAX_OFFSET = 65_535;
const MAX_FIELDS = 1_000;
const MAX_TEXT = 1_000;

export function encodeReport(report: GuessReport): string {
  const file = { format: FORMAT, version: VERSION, checksum: checksumOf(report), ...report };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Throws a Failure that names `path` and the member that is wrong. */
export function decodeReport(path: string, text: string): GuessReport {
  try {
    return reportOf(parse(text));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Failure(`${path}: no usable offsets file`, {
      why: error.message,
      hint: "make a new one with: tracer-bpf offsets guess --save FILE",
    });
  }
}

/** The fault of the text, for the `because:` line. */
class Refusal extends Error {}

type Json = Readonly<Record<string, unknown>>;

function parse(text: string): unknown {
  if (text.trim() === "") throw new Refusal("it is empty");
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    throw new Refusal(`it is truncated or no JSON (${why})`);
  }
}

function reportOf(value: unknown): GuessReport {
  const file = objectOf(value, "the file");
  if (file["format"] !== FORMAT) throw new Refusal(`its "format" is not "${FORMAT}"`);
  if (file["version"] !== VERSION) {
    const found = JSON.stringify(file["version"]) ?? "none";
    throw new Refusal(`its "version" is ${found}, this tracer-bpf reads ${VERSION}`);
  }
  only(file, "the file", ["format", "version", "checksum", "kernel", "attach", "ms", "fields"]);
  const kernel = objectOf(file["kernel"], "kernel");
  only(kernel, "kernel", ["release", "version", "machine"]);
  const report: GuessReport = {
    kernel: {
      release: textOf(kernel["release"], "kernel.release"),
      version: textOf(kernel["version"], "kernel.version"),
      machine: textOf(kernel["machine"], "kernel.machine"),
    },
    attach: oneOf(file["attach"], "attach", ["kprobe", "tracepoint"]),
    ms: numberOf(file["ms"], "ms"),
    fields: fieldsOf(file["fields"]),
  };
  // Last, so that what can be named is named.
  if (textOf(file["checksum"], "checksum") !== checksumOf(report))
    throw new Refusal("it was changed or damaged: its checksum is not that of what it holds");
  return report;
}

/** Of what is meant, not of how it is laid out: CRC-32 (IEEE 802.3) over all values in a fixed order, 8 hex digits. */
function checksumOf({ kernel, attach, ms, fields }: GuessReport): string {
  const { release, version, machine } = kernel;
  const rows = fields.map((row) => [
    row.field,
    row.struct,
    row.status,
    row.offset,
    row.candidates,
    row.how,
  ]);
  const text = JSON.stringify([release, version, machine, attach, ms, rows]);
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb8_8320 & -(crc & 1));
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

function fieldsOf(value: unknown): FieldReport[] {
  const fields = listOf(value, "fields", MAX_FIELDS).map((field, i) =>
    fieldOf(field, `fields[${i}]`),
  );
  const seen = new Set<string>();
  for (const { field } of fields) {
    if (seen.has(field)) throw new Refusal(`field "${field}" is there twice`);
    seen.add(field);
  }
  return fields;
}

const statuses: readonly FieldStatus[] = [
  "found",
  "not-applicable",
  "ambiguous",
  "failed",
  "kprobe-only",
];

function fieldOf(value: unknown, at: string): FieldReport {
  const row = objectOf(value, at);
  only(row, at, ["field", "struct", "status", "offset", "candidates", "how"]);
  const status = oneOf(row["status"], `${at}.status`, statuses);
  const offset = row["offset"] === null ? null : offsetOf(row["offset"], `${at}.offset`);
  if (status === "found" && offset === null) throw new Refusal(`${at}.offset is missing`);
  return {
    field: textOf(row["field"], `${at}.field`),
    struct: textOf(row["struct"], `${at}.struct`),
    status,
    offset,
    candidates: listOf(row["candidates"], `${at}.candidates`, MAX_OFFSET).map((candidate, i) =>
      offsetOf(candidate, `${at}.candidates[${i}]`),
    ),
    how: textOf(row["how"], `${at}.how`),
  };
}

function objectOf(value: unknown, at: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(`${at} is no object`);
  }
  return value as Json;
}

function only(value: Json, at: string, names: readonly string[]): void {
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Refusal(`${at} has an unknown member "${unknown}"`);
}

function listOf(value: unknown, at: string, limit: number): unknown[] {
  if (!Array.isArray(value)) throw new Refusal(`${at} is no list`);
  if (value.length > limit)
    throw new Refusal(`${at} has ${value.length} entries, more than ${limit}`);
  return value;
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== "string") throw new Refusal(`${at} is no text`);
  if (value.length > MAX_TEXT) throw new Refusal(`${at} is longer than ${MAX_TEXT} characters`);
  return value;
}

function numberOf(value: unknown, at: string): number {
  if (typeof value !== "number" || !(value >= 0)) throw new Refusal(`${at} is no number from 0 on`);
  return value;
}

function offsetOf(value: unknown, at: string): number {
  const number = numberOf(value, at);
  if (Number.isInteger(number) && number <= MAX_OFFSET) return number;
  throw new Refusal(`${at} is ${number}, no whole number of bytes up to ${MAX_OFFSET}`);
}

function oneOf<const T extends string>(value: unknown, at: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new Refusal(`${at} is none of ${allowed.join(", ")}`);
  return found;
}
