/** The losses of a trace, told on stderr while they happen and in the summary. */

import { Told, type Loss } from "../output/losses.ts";
import type { Sink } from "../sinks/sink.ts";
import type { PartCount } from "../trace/part.ts";

/** A line for what is new, its causes in one. */
export function lossWarner(warn: (line: string) => void): Sink {
  const told = new Told();
  return {
    lost({ all }) {
      const news = told.news(all);
      if (news.length === 0) return;
      for (const one of news) told.tell(one);
      warn(`lost ${lossText(news)}`);
    },
  };
}

/** `12 events: ring full 10, output read too slowly 2`; one cause stands alone. */
export function lossText(losses: readonly Loss[]): string {
  const total = losses.reduce((sum, { count }) => sum + count, 0n);
  const alone = losses.length === 1;
  const causes = losses.map(({ cause, count }) => (alone ? cause : `${cause} ${count}`)).join(", ");
  return `${total} event${total === 1n ? "" : "s"}: ${causes}`;
}

/** The part of a summary about events that are not among the lines. `unsure`: number of events with an unknown value. */
export function missingText(losses: readonly Loss[], unsure: number): string {
  const lost = losses.length === 0 ? "none lost" : `lost ${lossText(losses)}`;
  if (unsure === 0) return lost;
  return `${lost}; ${unsure} not shown, because their value for the filter is not known`;
}

/** A number that a part tells at the end: `4 connections were ...`. One thing is told in the singular. */
export function countText({ what, count }: PartCount): string {
  if (count !== 1n) return `${count} ${what}`;
  const one = what.replace(/^(\w+)s\b/, "$1");
  return `${count} ${one.replace(/ were\b/, " was").replace(/ have\b/, " has")}`;
}
