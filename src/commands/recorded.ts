/** The common part of the commands that read a recording: their argument, and what is missing or damaged in it. */
import { UsageError } from "../errors.ts";
import { isTerminal, log } from "../log.ts";
import type { Loss } from "../output/losses.ts";
import type { Damage } from "../recording/parse.ts";
import { STDIN_NAME } from "../recording/read.ts";

export const recordingArgument = {
  type: "positional",
  valueHint: "FILE",
  description: "a recording that trace --record wrote; - is stdin",
  required: true,
} as const;

export const strictFlag = {
  type: "boolean",
  description: "end with exit code 4 if events were lost, or the file is not whole",
} as const;

const STDIN = 0;

export function refuseTerminal(file: string, command: string): void {
  if (file !== "-" || !isTerminal(STDIN)) return;
  throw new UsageError(`argument FILE: "-" is stdin, and that is a terminal`, {
    command,
    why: "a recording comes from a pipe or a file",
    suggestion: `zcat FILE.gz | ${command} -`,
  });
}

/** Whether everything that happened is in it. */
export const isWhole = (losses: readonly Loss[], { unended, repeated }: Damage): boolean =>
  losses.length === 0 && unended === 0 && repeated === 0;

export function tellDamage(file: string, damage: Damage): void {
  for (const text of damageTexts(damage)) log.warn(`${nameOf(file)}: ${text}`);
}

/** As messages name it. */
export const nameOf = (file: string): string => (file === "-" ? STDIN_NAME : file);

/** The losses that a recording tells of, and those by damage, by cause. */
export class RecordedLosses {
  readonly #counts = new Map<string, bigint>();

  get all(): Loss[] {
    return [...this.#counts].map(([cause, count]) => ({ cause, count }));
  }

  /** Returns the loss as it may be shown; null: there is none. */
  add({ cause, count }: Loss): Loss | null {
    if (count === 0n) return null;
    const shown = oneLine(cause);
    this.#counts.set(shown, (this.#counts.get(shown) ?? 0n) + count);
    return { cause: shown, count };
  }
}

/** Once all of the recording has been read. */
export const lossByDamage = ({ damaged, missing }: Damage): Loss => ({
  cause: "recording damaged, each line counted as one event",
  count: BigInt(damaged) + missing,
});

/** The text of a file must not look like a message of ours. The printer escapes the rest. */
export const oneLine = (text: string): string => text.replaceAll("\n", " ");

export function damageTexts({
  damaged,
  firstDamaged,
  missing,
  repeated,
  unended,
}: Damage): string[] {
  const texts: string[] = [];
  if (damaged === 1) texts.push(`line ${firstDamaged} is cut off or damaged, and is skipped`);
  if (damaged > 1)
    texts.push(
      `${damaged} lines are cut off or damaged, and are skipped; the first is line ${firstDamaged}`,
    );
  if (missing > 0n) texts.push(`${missing} line${missing === 1n ? " is" : "s are"} missing`);
  if (repeated > 0)
    texts.push(
      `${repeated} line${repeated === 1 ? " stands" : "s stand"} in the file a second time, and ` +
        `${repeated === 1 ? "is" : "are"} skipped there`,
    );
  if (unended > 0)
    texts.push(
      `${unended === 1 ? "a session has" : `${unended} sessions have`} no end: the file was cut off, ` +
        "or the tracer was killed or still runs",
    );
  return texts;
}
