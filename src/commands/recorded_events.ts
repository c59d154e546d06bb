/** The events of a recording, for the commands that make something of all of them. */
import { wallTime } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { UsageError } from "../errors.ts";
import type { Loss } from "../output/losses.ts";
import type { Session } from "../recording/format.ts";
import type { Recording } from "../recording/read.ts";
import { parseMoment } from "./moments.ts";
import { lossByDamage, RecordedLosses } from "./recorded.ts";

export const timeFlags = {
  since: {
    type: "string",
    valueHint: "TIME",
    description: "only events from this time on: 2026-11-29T03:00:00Z; without a zone local time",
  },
  until: { type: "string", valueHint: "TIME", description: "only events before this time" },
} as const;

/** Whether a time, in nanoseconds since 1970, is between those of the flags. */
export function timeTest(
  { since, until }: { since?: string | undefined; until?: string | undefined },
  command: string,
): (wallNs: bigint) => boolean {
  const from = since === undefined ? null : parseMoment(since, "since", command);
  const to = until === undefined ? null : parseMoment(until, "until", command);
  if (from !== null && to !== null && from >= to)
    throw new UsageError("flag --until: the time is not after that of --since", { command });
  return (wallNs) => (from === null || wallNs >= from) && (to === null || wallNs < to);
}

export interface Reading {
  stop: AbortSignal;
  add(event: ConnEvent, wallNs: bigint): void;
  /** Lines of another trace follow. */
  traceBegins(): void;
  session?(session: Session): void;
}

/** Reads all of it; what is returned was lost. */
export async function readEvents(
  recording: Recording,
  { stop, add, traceBegins, session }: Reading,
): Promise<readonly Loss[]> {
  const losses = new RecordedLosses();
  let startNs: bigint | null = null;
  for await (const lines of recording.lines()) {
    for (const line of lines) {
      if (line.startNs !== startNs) traceBegins();
      startNs = line.startNs;
      const clocks = { monoNs: 0n, wallNs: line.wallMinusMonoNs };
      if (line.what === "session") session?.(line.session);
      if (line.what === "event") add(line.event, wallTime(line.event.atNs, clocks));
      if (line.what === "lost") losses.add(line.lost);
    }
    if (stop.aborted) break;
  }
  losses.add(lossByDamage(recording.damage));
  return losses.all;
}
