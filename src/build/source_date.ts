/** The time that the files of a release have. */
import { BuildError } from "./step.ts";

/** Seconds since 1970: SOURCE_DATE_EPOCH, else the time of the commit, else 0 where there is no repository. */
export function sourceDate(given = process.env["SOURCE_DATE_EPOCH"]): number {
  if (given !== undefined && given !== "") return secondsOf(given);
  const asked = Bun.spawnSync(["git", "log", "-1", "--format=%ct"], { stderr: "ignore" });
  return asked.success ? secondsOf(asked.stdout.toString().trim()) : 0;
}

// --- internal ---

function secondsOf(text: string): number {
  if (!/^\d{1,10}$/.test(text))
    throw new BuildError(`SOURCE_DATE_EPOCH "${text}" is no number of seconds since 1970`);
  return Number(text);
}
