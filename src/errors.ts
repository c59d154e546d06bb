/**
 * The errors: each kind is a class whose typed fields make its message; and the one printer. Every message says what
 * happened (its subject first), why, and what to do. Any other error that is thrown is a bug of ours.
 */

import { escapeLines, escapeText } from "./output/escape.ts";

export const exitCodes = { done: 0, failure: 1, usage: 2, unsupported: 3, lost: 4 } as const;

/** As `--help` and the man page print them. */
export const exitTexts: Readonly<Record<keyof typeof exitCodes, string>> = {
  done: "done",
  failure: "failure",
  usage: "wrong usage",
  unsupported: "this host cannot",
  lost: "events were lost (only with --strict)",
};

interface Details {
  /** Becomes `because:`. Left out, the cause's own message stands there. */
  why?: string | undefined;
  /** Becomes `try:`. */
  hint?: string | undefined;
  cause?: unknown;
}

/** Something that should have worked did not: a file, a pipe, a system call. */
export class Failure extends Error {
  readonly exitCode: number = exitCodes.failure;
  readonly why: string | null;
  readonly hint: string | null;

  constructor(what: string, details: Details = {}) {
    super(what, details.cause === undefined ? {} : { cause: details.cause });
    this.name = new.target.name;
    this.why = details.why ?? (details.cause instanceof Error ? details.cause.message : null);
    this.hint = details.hint ?? null;
  }
}

/** The command line is wrong. */
export class UsageError extends Failure {
  override readonly exitCode = exitCodes.usage;
  readonly suggestion: string | null;

  constructor(what: string, about: { command: string; suggestion?: string | null; why?: string }) {
    const help = `${about.command} --help`;
    const suggestion = about.suggestion ?? null;
    super(what, {
      why: about.why,
      hint: suggestion === null ? help : `${suggestion} (see ${help})`,
    });
    this.suggestion = suggestion;
  }
}

/** The kernel could, but this process may not. `missing` names what would be needed. */
export class PrivilegeError extends Failure {
  override readonly exitCode = exitCodes.unsupported;
  readonly missing: string;

  constructor(missing: string, details: Details) {
    super(`tracing needs ${missing}`, details);
    this.missing = missing;
  }
}

/** The executable gives rights to whoever starts it. */
export class ElevationError extends Failure {
  override readonly exitCode = exitCodes.unsupported;

  constructor(details: Details) {
    super("refusing to run with more rights than the user who started it", details);
  }
}

/** A variable of the environment is obeyed by the runtime, and must not be. */
export class EnvironmentError extends Failure {
  override readonly exitCode = exitCodes.unsupported;

  constructor(variable: string, details: Details) {
    super(`${variable} in the environment: refusing to run with it`, details);
  }
}

/** This host cannot. `since` is the kernel release the feature came with, where there is one. */
export class UnsupportedError extends Failure {
  override readonly exitCode = exitCodes.unsupported;
  readonly feature: string;
  readonly since: string | null;

  constructor(feature: string, details: Details & { since?: string }) {
    const since = details.since ?? null;
    super(
      `${feature}: not available on this host${since === null ? "" : ` (Linux ${since} and later)`}`,
      details,
    );
    this.feature = feature;
    this.since = since;
  }
}

/** The kernel's verifier refused a program. The whole log is kept; the message holds only its end. */
export class VerifierError extends Failure {
  override readonly exitCode = exitCodes.unsupported;
  readonly program: string;
  readonly log: string;

  constructor(program: string, log: string, details: { kernel?: string; cause?: unknown } = {}) {
    const where = details.kernel === undefined ? "the kernel" : `Linux ${details.kernel}`;
    super(`program ${program}: refused by the verifier of ${where}`, {
      why: summarizeVerifierLog(log),
      hint: "report this with the output of --debug: the program should load on every kernel from 4.4 on",
      cause: details.cause,
    });
    this.program = program;
    this.log = log;
  }
}

/** A field's offset could not be found, so what depends on it is refused. */
export class GuessError extends Failure {
  readonly field: string;
  readonly struct: string | null;
  readonly candidates: readonly number[];

  constructor(
    field: string,
    candidates: readonly number[],
    details: Details & { struct?: string } = {},
  ) {
    const place = details.struct === undefined ? "" : ` in struct ${details.struct}`;
    super(`cannot guess the offset of ${field}${place} (${describeCandidates(candidates)})`, {
      hint: "run it again; if it stays, report it with the file of: tracer-bpf offsets snapshot --save FILE",
      ...details,
    });
    this.field = field;
    this.struct = details.struct ?? null;
    this.candidates = candidates;
  }
}

/** The text for stderr, ending in a newline. `debug` adds the full log, the stack and the causes. */
export function formatError(error: unknown, debug: boolean): string {
  if (!(error instanceof Failure)) return formatInternal(error, debug);
  const lines = [`error: ${escapeText(error.message)}`];
  if (error.why !== null) lines.push(`  because: ${escapeText(error.why)}`);
  if (error.hint !== null) lines.push(`  try: ${escapeText(error.hint)}`);
  if (debug && error instanceof VerifierError) lines.push(escapeLines(error.log.trimEnd()));
  if (debug) lines.push(...stacks(error));
  return `${lines.join("\n")}\n`;
}

export function exitCodeOf(error: unknown): number {
  return error instanceof Failure ? error.exitCode : exitCodes.failure;
}

/**
 * The end of a verifier log that says what is wrong: its last line that is no statistics, after the instruction it
 * is about. On one line, because it stands behind `because:`.
 */
export function summarizeVerifierLog(log: string): string {
  const lines = log.split("\n").map((line) => line.trim());
  const meaningful = lines.filter((line) => line !== "" && !isStatistics.test(line));
  const reason = meaningful.at(-1);
  if (reason === undefined) return "the verifier gave no reason";
  const instruction = isInstruction.test(reason)
    ? undefined
    : meaningful.slice(0, -1).findLast((line) => isInstruction.test(line));
  const shown = instruction === undefined ? [reason] : [instruction, reason];
  const omitted = lines.filter((line) => line !== "").length - shown.length;
  const tail = omitted > 0 ? ` (${omitted} lines omitted; --debug shows all)` : "";
  return `${shown.join(" / ")}${tail}`;
}

// Lines after the reason: the verifier's counters and libbpf's frame around the log.
const isStatistics =
  /^(processed \d+ insns|verification time|stack depth|peak_states|max_states|-- (BEGIN|END) PROG LOAD LOG|libbpf: )/;
const isInstruction = /^\d+: \([0-9a-f]{2}\)/;

const SHOWN_CANDIDATES = 8;

function describeCandidates(candidates: readonly number[]): string {
  if (candidates.length === 0) return "no candidate left";
  const shown = candidates.slice(0, SHOWN_CANDIDATES).join(", ");
  const more = candidates.length > SHOWN_CANDIDATES ? ", ..." : "";
  return `${candidates.length} candidates left: ${shown}${more}`;
}

function formatInternal(error: unknown, debug: boolean): string {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : textOf(error);
  if (!debug) return `error: internal error: ${escapeText(what)} (--debug shows the stack)\n`;
  return `${[`error: internal error: ${escapeText(what)}`, ...stacks(error)].join("\n")}\n`;
}

/** The stack of an error and of each of its causes; causes can be circular, hence the bound. */
function stacks(error: unknown): string[] {
  const found: string[] = [];
  for (let at = error; at instanceof Error && found.length < 5; at = at.cause) {
    found.push(escapeLines(`${found.length === 0 ? "" : "caused by: "}${at.stack ?? at.message}`));
  }
  return found;
}

/** String() throws on an object without a prototype. */
function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "something that is no error was thrown";
  }
}
