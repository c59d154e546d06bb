/** A recording as a command reads it: what is wrong with it, told to the user. */
import { UsageError } from "../errors.ts";
import { isTerminal } from "../log.ts";
import type { Loss } from "../output/losses.ts";
import type { Damage } from "../recording/parse.ts";

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
