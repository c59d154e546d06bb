/** From a recording to lines. Unlike a trace it waits for a slow reader, so it loses nothing. */

import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Format } from "../output/index.ts";
import { Lines } from "../output/lines.ts";
import type { Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import type { Line } from "../recording/format.ts";
import type { Recording } from "../recording/read.ts";
import { settle } from "../sinks/pause.ts";
import type { Summary } from "./follow.ts";
import { lossByDamage, oneLine, RecordedLosses } from "./recorded.ts";

export interface ReplayOptions {
  recording: Pick<Recording, "lines" | "damage">;
  /** The format of a session that began at this reading of the monotonic clock. */
  formatSince(startNs: bigint): Format;
  shows(event: ConnEvent): boolean;
  writer: LineWriter;
  /** `null` = no limit. */
  count: number | null;
  stop: AbortSignal;
  note(line: string): void;
}

export async function replay(options: ReplayOptions): Promise<Summary> {
  const { recording, writer, stop } = options;
  const out = output(options);
  for await (const lines of recording.lines()) {
    for (const line of lines) out.show(line);
    out.flush();
    // A reader that stands still is waited for, but not once somebody wants an end.
    await settle(writer, stop);
    if (out.full() || stop.aborted || writer.closed || writer.failure !== null) break;
  }
  out.lost(lossByDamage(recording.damage));
  await settle(writer, stop);
  if (writer.failure !== null) throw writer.failure;
  return {
    shown: out.shown() - writer.pending,
    losses: out.losses(),
    readerLeft: writer.closed,
  };
}

// --- internal ---

/** Values that the lines of a session have in common, made once per session. */
interface Session {
  startNs: bigint;
  format: Format;
  clocks: ClockPair;
}

function output({ formatSince, shows, writer, count, note }: ReplayOptions) {
  const lines = new Lines();
  const losses = new RecordedLosses();
  const limit = count ?? Infinity;
  let session: Session | null = null;
  let lastNs = 0n;
  let shown = 0;

  const sessionOf = ({ startNs, wallMinusMonoNs }: Line): Session => {
    if (session?.startNs !== startNs) {
      const format = formatSince(startNs);
      if (session === null && format.header !== null) writer.pushAside(format.header);
      session = { startNs, format, clocks: { monoNs: 0n, wallNs: wallMinusMonoNs } };
    }
    if (session.clocks.wallNs !== wallMinusMonoNs)
      session = { ...session, clocks: { monoNs: 0n, wallNs: wallMinusMonoNs } };
    return session;
  };
  const showEvent = (event: ConnEvent, { format, clocks }: Session): void => {
    const wallNs = wallTime(event.atNs, clocks);
    lastNs = wallNs;
    if (shown >= limit || !shows(event)) return;
    shown += 1;
    if (format.append === undefined) lines.line(format.line(event, wallNs));
    else format.append(lines, event, clocks);
  };
  const flush = (): void => void writer.pushLines(lines);
  const lost = (told: Loss): void => {
    const loss = losses.add(told);
    if (loss === null || session?.format.lost === undefined) return;
    flush();
    writer.pushAside(session.format.lost(loss, lastNs));
  };
  return {
    show(line: Line): void {
      const of = sessionOf(line);
      if (line.what === "session") {
        const { description, tool } = line.session;
        note(oneLine(`recorded by tracer-bpf ${tool}: ${description}`));
        for (const text of line.session.notes) note(oneLine(text));
      }
      if (line.what === "event") showEvent(line.event, of);
      if (line.what === "lost" && shown < limit) {
        lastNs = wallTime(line.lost.atNs, of.clocks);
        lost(line.lost);
      }
    },
    flush,
    lost,
    shown: () => shown,
    full: () => shown >= limit,
    losses: (): Loss[] => losses.all,
  };
}
