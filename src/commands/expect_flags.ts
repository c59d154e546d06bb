/** The flags that make a command wait for certain events, and what it says when they did not come. */

import { UsageError } from "../errors.ts";
import type { Expectation, Expected, Unmet } from "../filter/expect.ts";
import { escapeText } from "../output/escape.ts";
import { itemsOf } from "./command.ts";
import { parseExpectation } from "./expectation.ts";
import { parseDuration } from "./flags.ts";

export const expectFlags = {
  expect: {
    type: "string",
    valueHint: "CONDITIONS",
    repeat: "values",
    description:
      "end with 0 once an event has met these, else with 1: 'event==close,remote.port==443,bytes_sent>0'",
  },
  within: {
    type: "string",
    valueHint: "TIME",
    description: "how long to wait for the expected events (--duration, or 10s, if not given)",
  },
} as const;

/** Values of the flags above and of --duration; `undefined`: not given. */
export interface ExpectArgs {
  expect?: string | undefined;
  within?: string | undefined;
  duration?: string | undefined;
}

const DEFAULT_MS = 10_000;

/** `null`: nothing is expected. */
export function expectationsOf(
  { expect, within, duration }: ExpectArgs,
  command: string,
): { expectations: Expectation[]; withinMs: number } | null {
  const expectations = itemsOf(expect).map((text) => parseExpectation(text, command));
  const [withinMs, durationMs] = [
    within === undefined ? null : parseDuration(within, command, "within"),
    duration === undefined ? null : parseDuration(duration, command),
  ];
  if (expectations.length === 0) {
    if (withinMs === null) return null;
    throw new UsageError("flag --within means nothing without --expect", {
      command,
      suggestion: `--duration ${within}`,
    });
  }
  if (withinMs !== null && durationMs !== null && withinMs !== durationMs)
    throw new UsageError(`--within ${within} and --duration ${duration} contradict each other`, {
      command,
      why: "the trace ends when the time for what is expected is over",
      suggestion: `--within ${within}`,
    });
  return { expectations, withinMs: withinMs ?? durationMs ?? DEFAULT_MS };
}

/** One message for each expectation that was not met, ending in a newline. `lost`: the losses meanwhile, if any. */
export function unmetTexts({ seen, unmet }: Expected, ms: number, lost: string | null): string[] {
  const when = `${seen} event${seen === 1 ? "" : "s"} in ${(ms / 1000).toFixed(1)} s`;
  return unmet.map((one) => {
    const lines = [
      `error: none of ${when} met: ${one.expectation.text}`,
      ...closest(one),
      ...(lost === null ? [] : [`it may be among what was lost: ${lost}`]),
    ];
    return `${lines.map(escapeText).join("\n  ")}\n`;
  });
}

// --- internal ---

/** Of a value in a message; command lines can be long. */
const MAX_SHOWN = 80;

function closest({ expectation, met, events, instead }: Unmet): string[] {
  const all = expectation.conditions.length;
  const found = instead.map((text) => text.slice(0, MAX_SHOWN)).join(", ");
  // Where nothing was met at all, no event was closer than another.
  if (met === 0) return all === 1 && events > 0 ? [`seen instead: ${found}`] : [];
  return [`closest: ${events} with ${met} of ${all} conditions, but ${found}`];
}
