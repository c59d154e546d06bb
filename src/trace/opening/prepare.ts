/** Asks each part, once, what it needs of the host and what is to be patched into the object for it. */
import type { GuessReport } from "../../guess/report.ts";
import type { Host } from "../../kernel/host.ts";
import type { Part } from "../part.ts";
import type { Made } from "./load.ts";
import { tellRefusal } from "../refusal.ts";

export interface For {
  host: Host;
  report: GuessReport;
  notes: string[];
}

/** Returns the parts for which this host has all they need; `made` is `basis` and the values of these parts. */
export function prepareParts(
  { host, report, notes }: For,
  asked: readonly Part[],
  basis: Made,
): { parts: readonly Part[]; made: Made } {
  const constants = new Map(basis.constants);
  let entries = { ...basis.entries };
  const parts: Part[] = [];
  const refused: string[] = [];
  for (const part of asked) {
    // Parts that complete others stand behind them.
    if (part.completes?.some((name) => refused.includes(name))) continue;
    const wants = part.prepare?.(host, report) ?? {};
    if (typeof wants === "string") {
      tellRefusal(part, wants, notes);
      refused.push(part.name);
      if (part.startRefused !== undefined) parts.push(withoutPoints(part));
      continue;
    }
    for (const [constant, value] of wants.constants ?? []) constants.set(constant, value);
    entries = { ...entries, ...wants.mapSizes };
    parts.push(part);
  }
  return { parts, made: { constants, entries } };
}

// --- internal ---

/** The part as it works when it is refused; a host that lacks something refuses none of its programs any more. */
function withoutPoints(part: Part): Part {
  const { startRefused, ...rest } = part;
  return { ...rest, points: () => [], beside: () => [], start: startRefused! };
}
