/** When connections began, when attempts failed, and how many connections were open: an SVG picture. Pure. */
import { isoMicros } from "../conn/clock.ts";
import type { Bin } from "./bins.ts";
import { BEGAN, ENDED, FAILED } from "./gather.ts";
import { element, type Markup } from "./markup.ts";

const WIDTH = 1000;
/** Between the two pictures, and above and below them. */
const GAP = 18;
const HEIGHT = 110;

/** `openBefore`: connections that were open at the first time. */
export function timelineSvg(bins: readonly Bin[], openBefore: number): Markup {
  const all = bins.map(({ counts }) => counts);
  let open = openBefore;
  const opened = all.map((counts) => (open += counts[BEGAN]! - counts[ENDED]!));
  // A connection of one bin was open in it, though not at the bin's end.
  const atOnce = opened.map((after, n) => Math.max(after, opened[n - 1] ?? openBefore));
  const mostBegan = Math.max(1, ...all.map((counts) => counts[BEGAN]! + counts[FAILED]!));
  const mostOpen = Math.max(1, ...atOnce);
  const width = WIDTH / Math.max(1, bins.length);
  const below = GAP + HEIGHT;
  const bars = bins.flatMap((bin, n) => {
    const { counts } = bin;
    const [began, failed] = [counts[BEGAN]!, counts[FAILED]!].map(
      (count) => (count / mostBegan) * HEIGHT,
    );
    const at = { x: round(n * width), width: round(Math.max(0.5, width - 0.5)) };
    const foot = below - began!;
    return [
      ...(began! > 0
        ? [element("rect", { class: "began", ...at, y: round(foot), height: round(began!) })]
        : []),
      ...(failed! > 0
        ? [
            element("rect", {
              class: "failed",
              ...at,
              y: round(foot - failed!),
              height: round(failed!),
            }),
          ]
        : []),
      element(
        "rect",
        {
          class: "touch",
          x: round(n * width),
          width: round(width),
          y: GAP,
          height: 2 * HEIGHT + GAP,
        },
        element("title", {}, binText(bin, atOnce[n]!)),
      ),
    ];
  });
  const base = below + GAP + HEIGHT;
  const points = atOnce.flatMap((count, n) => {
    const y = round(base - (count / mostOpen) * HEIGHT);
    return [`${round(n * width)},${y}`, `${round((n + 1) * width)},${y}`];
  });
  const area = [`0,${base}`, ...points, `${WIDTH},${base}`].join(" ");
  const [first, last] = [bins[0]!, bins.at(-1)!];
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${base + GAP}`, role: "img", "aria-label": "connections over time" },
    element("polygon", { class: "open", points: area }),
    element("line", { class: "axis", x1: 0, x2: WIDTH, y1: below, y2: below }),
    element("line", { class: "axis", x1: 0, x2: WIDTH, y1: base, y2: base }),
    label(0, GAP - 5, "start", `began (and failed) per ${spanText(first)}, at most ${mostBegan}`),
    label(0, below + GAP - 5, "start", `open at once, at most ${mostOpen}`),
    label(0, base + GAP - 4, "start", timeText(first.fromNs)),
    label(WIDTH, base + GAP - 4, "end", timeText(last.toNs)),
    bars,
  );
}

// --- internal ---

const label = (x: number, y: number, anchor: string, text: string): Markup =>
  element("text", { x, y, "text-anchor": anchor }, text);

const binText = ({ fromNs, counts }: Bin, open: number): string =>
  `${timeText(fromNs)}: ${counts[BEGAN]} began, ${counts[FAILED]} failed, ${counts[ENDED]} ended, ${open} open`;

/** `2026-11-29 17:59:14.444 UTC` */
const timeText = (ns: bigint): string => `${isoMicros(ns).slice(0, 23).replace("T", " ")} UTC`;

function spanText({ fromNs, toNs }: Bin): string {
  const ms = Number(toNs - fromNs) / 1e6;
  return ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;
}

const round = (value: number): number => Math.round(value * 100) / 100;
