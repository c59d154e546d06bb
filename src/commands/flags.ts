/** Flags that several commands share, and values that are more than a string. */

import { UsageError } from "../errors.ts";
import { ATTACH_MODES } from "../kernel/modes.ts";
import { wholeNumber } from "./wrong.ts";

export const debugFlag = {
  type: "boolean",
  description: "log each step; whole verifier logs and stacks with errors",
} as const;

export const attachFlag = {
  type: "enum",
  options: [...ATTACH_MODES] as string[],
  default: "auto",
  description: "how to hook into the kernel",
} as const;

export const saveFlag = { type: "string", valueHint: "FILE" } as const;

/** The name of a file to be written: of other tools "-" is stdout, and here it would become a file of that name. */
export function namedFile(
  file: string,
  { flag, command, instead }: { flag: string; command: string; instead: string },
): string {
  if (file !== "-") return file;
  throw new UsageError(`flag --${flag}: "-" is no file`, { command, suggestion: instead });
}

/** citty gives a string; strict.ts has already compared it with the options above. */
export function attachMode(value: string): (typeof ATTACH_MODES)[number] {
  return ATTACH_MODES.find((mode) => mode === value) ?? "auto";
}

/** To add a unit, add a row: its length in ms. */
const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  "": 1_000,
};

/** Longer than any uptime; a number above it is a mistake. */
const MAX_DURATION_MS = 100_000 * 3_600_000;

/** A value of the command line, as errors name it, and the words before an example. */
interface Named {
  name: string;
  before: string;
}

const flagNamed = (flag: string): Named => ({ name: `flag --${flag}`, before: `--${flag}` });

/** `10s`, `500ms`, `1.5m`, `1h`, or a plain number of seconds → ms. */
export function parseDuration(
  text: string,
  command: string,
  flag: string | Named = "duration",
): number {
  const { name, before } = typeof flag === "string" ? flagNamed(flag) : flag;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text) ?? [];
  const ms = Number(number) * (units[unit ?? ""] ?? NaN);
  if (Number.isFinite(ms) && ms >= 1 && ms <= MAX_DURATION_MS) return ms;
  throw new UsageError(`${name}: "${text}" is no duration`, {
    command,
    why:
      number === undefined
        ? "it is a number with the unit ms, s, m or h"
        : "it must lie between 1ms and 100000h",
    suggestion: `${before} 10s`,
  });
}

/** Shorter, and looking would take a good part of the time. */
const MIN_INTERVAL_MS = 50;

/** How often to look at open connections → ms. */
export function parseInterval(
  text: string,
  command: string,
  named: Named = flagNamed("interval"),
): number {
  const ms = parseDuration(text, command, named);
  if (ms >= MIN_INTERVAL_MS) return ms;
  throw new UsageError(`${named.name}: "${text}" is too short`, {
    command,
    why: `it is ${MIN_INTERVAL_MS}ms or more`,
    suggestion: `${named.before} 1s`,
  });
}

/** A whole number from 1 on. */
export function parseCount(text: string, command: string): number {
  const count = wholeNumber(text, 1, Number.MAX_SAFE_INTEGER);
  if (count !== null) return count;
  throw new UsageError(`flag --count: "${text}" is no number of events`, {
    command,
    why: "it is a whole number from 1 on",
    suggestion: "--count 10",
  });
}

/** A hash map of so many entries takes 5 GB. */
const MAX_CONNECTIONS = 1 << 24;

export function parseConnections(text: string, command: string): number {
  const count = wholeNumber(text, 1, MAX_CONNECTIONS);
  if (count !== null) return count;
  throw new UsageError(`flag --max-connections: "${text}" is no number of connections`, {
    command,
    why: `it is a whole number from 1 to ${MAX_CONNECTIONS}`,
    suggestion: "--max-connections 200000",
  });
}
