/** The text of an offsets file ↔ a report. Pure. Strict: a wrong offset would be read from kernel memory as data. */

import { Failure } from "../errors.ts";
import type { FieldStatus, GuessReport } from "./report.ts";
import {
  list,
  nullable,
  number,
  object,
  objectOnly,
  oneOf,
  refuse,
  Refusal,
  textUpTo,
  type Check,
} from "./shape.ts";

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
  ofThisVersion(value, "");
  const { checksum, report } = membersOf(value);
  // Last, so that what can be named is named.
  if (checksum !== checksumOf(report))
    throw new Refusal("it was changed or damaged: its checksum is not that of what it holds");
  return report;
}

function ofThisVersion(value: unknown, at: string): void {
  object({})(value, at);
  const { format, version } = value as Record<string, unknown>;
  if (format !== FORMAT) throw new Refusal(`its "format" is not "${FORMAT}"`);
  if (version !== VERSION) {
    const found = JSON.stringify(version) ?? "none";
    throw new Refusal(`its "version" is ${found}, this tracer-bpf reads ${VERSION}`);
  }
}

function membersOf(value: unknown): { checksum: string; report: GuessReport } {
  file(value, "");
  const { checksum, kernel, attach, ms, fields } = value as GuessReport & { checksum: string };
  const seen = new Set<string>();
  for (const [n, { field, status, offset }] of fields.entries()) {
    if (status === "found" && offset === null) refuse(`fields[${n}].offset`, "is missing");
    if (seen.has(field)) throw new Refusal(`field "${field}" is there twice`);
    seen.add(field);
  }
  return { checksum, report: { kernel, attach, ms, fields } };
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
  return Bun.hash.crc32(new TextEncoder().encode(text)).toString(16).padStart(8, "0");
}

const statuses: readonly FieldStatus[] = [
  "found",
  "not-applicable",
  "ambiguous",
  "failed",
  "kprobe-only",
];

const name = textUpTo(MAX_TEXT);

const offset: Check = (value, at) => {
  number(value, at);
  if (!Number.isInteger(value) || (value as number) > MAX_OFFSET)
    refuse(at, `is ${String(value)}, no whole number of bytes up to ${MAX_OFFSET}`);
};

const field = objectOnly({
  field: name,
  struct: name,
  status: oneOf(...statuses),
  offset: nullable(offset),
  candidates: list(offset, MAX_OFFSET),
  how: name,
});

/** To add a member of the report, add its row. */
const file = objectOnly({
  format: name,
  version: number,
  kernel: objectOnly({ release: name, version: name, machine: name }),
  attach: oneOf("kprobe", "tracepoint"),
  ms: number,
  fields: list(field, MAX_FIELDS),
  checksum: name,
});
