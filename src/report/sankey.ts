/** An SVG picture of who spoke with which service, and how much: bands from processes to services. Pure. */
import { briefBytes } from "../output/numbers.ts";
import { knownSum } from "../summary/sections.ts";
import { addSums, noSums, type Sums } from "../summary/groups.ts";
import type { Link } from "./gather.ts";
import { element, type Child, type Markup } from "./markup.ts";

/** So many on each side; further ones are one. */
const MOST_NODES = 18;
const WIDTH = 1000;
const NODE_WIDTH = 12;
/** Room for the names on either side. */
const MARGIN = 210;
/** Of all bands of one side together, without the gaps. */
const BANDS_HEIGHT = 360;
/** So that names do not touch each other. */
const LEAST_NODE = 16;
const GAP = 4;
const COLOURS = 8;

/** Processes on the left, services on the right. `null`: there is nothing to show. */
export function sankeySvg(links: readonly Link[]): Markup | null {
  const named = joined(
    links.map((link) => ({ from: processText(link), to: serviceText(link), sums: link })),
  );
  if (named.length === 0) return null;
  const from = kept(named, "from");
  const to = kept(named, "to");
  const bands = joined(
    named.map((band) => ({
      from: from.has(band.from) ? band.from : OTHERS,
      to: to.has(band.to) ? band.to : OTHERS,
      sums: band.sums,
    })),
  );
  const total = bands.reduce((sum, { sums }) => sum + sizeOf(sums), 0);
  const scale = BANDS_HEIGHT / total;
  const [left, right] = [nodesOf(bands, "from", scale), nodesOf(bands, "to", scale)];
  const height = Math.max(heightOf(left), heightOf(right));
  const [leftX, rightX] = [MARGIN, WIDTH - MARGIN - NODE_WIDTH];
  // In the order in which they leave their nodes, so that bands of one node cross as little as can be.
  const ordered = bands.toSorted(
    (a, b) => left.get(a.from)!.y - left.get(b.from)!.y || right.get(a.to)!.y - right.get(b.to)!.y,
  );
  const paths = ordered.map((band) => {
    const [source, target] = [left.get(band.from)!, right.get(band.to)!];
    const thick = Math.max(0.75, sizeOf(band.sums) * scale);
    const [y1, y2] = [source.leave(thick), target.leave(thick)];
    const [x1, x2] = [leftX + NODE_WIDTH, rightX];
    const middle = (x1 + x2) / 2;
    return element(
      "path",
      {
        class: `band colour${source.colour}`,
        d: `M${x1},${round(y1)}C${middle},${round(y1)} ${middle},${round(y2)} ${x2},${round(y2)}`,
        "stroke-width": round(thick),
      },
      element("title", {}, `${band.from} → ${band.to}: ${sumsText(band.sums)}`),
    );
  });
  return element(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${round(height)}`,
      role: "img",
      "aria-label": "processes and their services",
    },
    paths,
    [...left.values()].map((node) => nodeSvg(node, leftX, "end")),
    [...right.values()].map((node) => nodeSvg(node, rightX, "start")),
  );
}

// --- internal ---

type Side = "from" | "to";

interface Band extends Record<Side, string> {
  sums: Sums;
}

const OTHERS = "(others)";

const isOthers = (name: string): number => (name === OTHERS ? 1 : 0);

const processText = ({ process }: Link): string => process ?? "(not known)";

const where: Readonly<Record<Link["direction"], string>> = {
  incoming: " here",
  outgoing: "",
  unknown: "",
};

const serviceText = ({ service, direction }: Link): string =>
  service === null ? "(not known)" : `${service}${where[direction]}`;

/** A connection whose bytes are not known, or which moved none, still has a band. */
const sizeOf = ({ bytesSent, bytesReceived, connections }: Sums): number =>
  Number(bytesSent + bytesReceived) + connections;

function joined(bands: readonly Band[]): Band[] {
  const all = new Map<string, Band>();
  for (const { from, to, sums } of bands) {
    const key = JSON.stringify([from, to]);
    const band = all.get(key) ?? { from, to, sums: noSums() };
    addSums(band.sums, sums);
    all.set(key, band);
  }
  return [...all.values()].sort((a, b) => sizeOf(b.sums) - sizeOf(a.sums));
}

function sizes(bands: readonly Band[], side: Side): [name: string, size: number][] {
  const all = new Map<string, number>();
  for (const band of bands) all.set(band[side], (all.get(band[side]) ?? 0) + sizeOf(band.sums));
  return [...all].sort(([a, sizeA], [b, sizeB]) => isOthers(a) - isOthers(b) || sizeB - sizeA);
}

const kept = (bands: readonly Band[], side: Side): ReadonlySet<string> =>
  new Set(
    sizes(bands, side)
      .slice(0, MOST_NODES)
      .map(([name]) => name),
  );

interface Node {
  name: string;
  y: number;
  height: number;
  colour: number;
  sums: Sums;
  /** The middle of the next band of this thickness. */
  leave(thick: number): number;
}

function nodesOf(bands: readonly Band[], side: Side, scale: number): Map<string, Node> {
  const nodes = new Map<string, Node>();
  let y = 0;
  for (const [n, [name, size]] of sizes(bands, side).entries()) {
    const own = bands.filter((band) => band[side] === name);
    const thickness = own.reduce((sum, { sums }) => sum + Math.max(0.75, sizeOf(sums) * scale), 0);
    const height = Math.max(LEAST_NODE, size * scale, thickness);
    // In the middle of a node that is higher than its bands.
    let next = y + (height - thickness) / 2;
    const sums = noSums();
    for (const band of own) addSums(sums, band.sums);
    nodes.set(name, {
      name,
      y,
      height,
      colour: n % COLOURS,
      sums,
      leave(thick) {
        next += thick;
        return next - thick / 2;
      },
    });
    y += height + GAP;
  }
  return nodes;
}

const heightOf = (nodes: ReadonlyMap<string, Node>): number =>
  [...nodes.values()].reduce((sum, { height }) => sum + height + GAP, 0);

function nodeSvg({ name, y, height, sums }: Node, x: number, anchor: "start" | "end"): Markup {
  const textX = anchor === "end" ? x - 6 : x + NODE_WIDTH + 6;
  const search = name === OTHERS || name === "(not known)" ? undefined : name.replace(/ here$/, "");
  const children: Child[] = [
    element("title", {}, `${name}: ${sumsText(sums)}`),
    element("rect", { x, y: round(y), width: NODE_WIDTH, height: round(height) }),
    element(
      "text",
      { x: textX, y: round(y + height / 2), "text-anchor": anchor, "dominant-baseline": "central" },
      name,
    ),
  ];
  return element(
    "g",
    { class: search === undefined ? "node" : "node link", "data-search": search },
    children,
  );
}

function sumsText(sums: Sums): string {
  const { connections, bytesUnknown } = sums;
  const [sent, received] = [sums.bytesSent, sums.bytesReceived].map((sum) => {
    const known = knownSum(sums, sum);
    return known === null ? "unknown" : briefBytes(known);
  });
  const unknown = bytesUnknown === 0 ? "" : ` (not known of ${bytesUnknown})`;
  return `${connections} connection${connections === 1 ? "" : "s"}, ${sent} sent, ${received} received${unknown}`;
}

const round = (value: number): number => Math.round(value * 100) / 100;
