/** Outcomes as tables of Markdown: by pair of programs, and by the way between them. Pure. */
import type { Outcome, Verdict } from "./outcome.ts";
import { pairNames, pairs } from "./pairs.ts";
import { placeNames, places } from "./places.ts";

export interface Column {
  /** Its release. */
  kernel: string;
  mode: string;
  outcomes: readonly Outcome[];
}

export function tableOf(columns: readonly Column[]): string {
  const byPair = pairNames.map((name) => ({
    title: pairs[name].title,
    of: ({ pair }: Outcome) => pair === name,
  }));
  const byPlace = placeNames.map((name) => ({
    title: places[name].title,
    of: ({ place }: Outcome) => place === name,
  }));
  return [tableBy("server and client", byPair, columns), tableBy("way", byPlace, columns)].join(
    "\n",
  );
}

// --- internal ---

interface Row {
  title: string;
  of: (outcome: Outcome) => boolean;
}

function tableBy(title: string, rows: readonly Row[], columns: readonly Column[]): string {
  const all = [...rows, { title: "all", of: () => true }];
  const lines = all.map(({ title: row, of }) => [
    row,
    ...columns.map(({ outcomes }) => cellOf(outcomes.filter((one) => of(one)))),
  ]);
  const head = [title, ...columns.map(({ kernel, mode }) => `${kernel}, ${mode}`)];
  const rule = head.map(() => "---");
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

/** How many ends were named right, and how many not. */
function cellOf(outcomes: readonly Outcome[]): string {
  if (outcomes.length === 0) return "";
  const count = (wanted: Verdict) => outcomes.filter(({ verdict }) => verdict === wanted).length;
  const [right, unknown, wrong] = [count("right"), count("unknown"), count("wrong")];
  const rest = [unknown > 0 && `${unknown} unknown`, wrong > 0 && `**${wrong} wrong**`];
  return [`${right}`, ...rest.filter((text) => text !== false)].join(", ");
}
