/** The names that the trace gives an end, against the protocols of its programs. Pure. */
import { pairAt, pairs, type Layers, type PairName } from "./pairs.ts";
import { placeAt, type PlaceName } from "./places.ts";

/** Of a line of `trace --json`. */
export interface TracedLine {
  event: string;
  protocol: string;
  application: Record<keyof Layers, string | null> | null;
  protocol_source: string | null;
  local: { address: string; port: number };
  remote: { address: string; port: number };
}

export type Verdict = "right" | "unknown" | "wrong";

/** How one end of one connection was told. */
export interface Outcome {
  pair: PairName;
  place: PlaceName;
  end: "client" | "server";
  verdict: Verdict;
  /** The names, the inner one first. */
  shown: string;
}

/** Of the closes of all pairs. */
export function outcomesOf(lines: readonly TracedLine[]): Outcome[] {
  const closes = lines.filter(({ event }) => event === "close");
  /** By the port of the client: a server of UDP has one socket for all addresses. */
  const ways = new Map<string, PlaceName | null>();
  for (const { protocol, local, remote } of closes) {
    const place = placeAt(remote.address, false);
    if (place !== null && pairAt(remote.port, protocol, place) !== null)
      ways.set(`${protocol} ${local.port}`, place);
  }
  return closes.flatMap(
    (line) => outcomeAt(line, "client", ways) ?? outcomeAt(line, "server", ways) ?? [],
  );
}

// --- internal ---

function outcomeAt(
  { protocol, application, local, remote }: TracedLine,
  end: Outcome["end"],
  ways: ReadonlyMap<string, PlaceName | null>,
): Outcome | null {
  const [served, client] = end === "server" ? [local, remote] : [remote, local];
  const place = placeAt(served.address, end === "server") ?? ways.get(`${protocol} ${client.port}`);
  const pair = place ? pairAt(served.port, protocol, place) : null;
  if (!place || pair === null) return null;
  const shown = layers.flatMap((layer) => application?.[layer] ?? []).join(" in ");
  return { pair, place, end, verdict: judge(pair, application), shown };
}

const layers = ["api", "application", "encryption"] as const;

function judge(name: PairName, shown: TracedLine["application"]): Verdict {
  const { speaks, may = {} } = pairs[name];
  let verdict: Verdict = "right";
  for (const layer of layers) {
    const told = shown?.[layer] ?? null;
    const wanted = speaks[layer] ?? null;
    if (told === wanted || (told !== null && told === may[layer])) continue;
    if (told !== null) return "wrong";
    verdict = "unknown";
  }
  return verdict;
}
