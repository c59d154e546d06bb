/** UDP flows, counted one datagram at a time. */
import { undisturbed } from "../../guess/netns.ts";
import type { GuessReport } from "../../guess/report.ts";
import { features } from "../../kernel/feature_table.ts";
import type { Host } from "../../kernel/host.ts";
import { findSymbols } from "../../kernel/kallsyms.ts";
import { Counter, EventKind, ReceivePlaces } from "../../record/layout.gen.ts";
import { NO_FILTER, wantsProtocol } from "../kernel_filter.ts";
import type { FlowTimeouts, TraceOptions } from "../options.ts";
import type { Finding, Ground, Opened, Part, Point, Show, Working } from "../part.ts";
import { udpCheck } from "./check.ts";
import { UdpDirections } from "./directions.ts";
import { missingForUdp } from "./fields.ts";
import { flowSource } from "./flow_source.ts";
import { DEFAULT_FLOW_TIMEOUTS, Flows, type ShownFlow } from "./flows.ts";
import { udpKprobes, udpSymbols, udpTracepoints } from "./points.ts";
import { collecting } from "./garbage.ts";
import { addFlowTotals, type KnownFlowTotals } from "./totals.ts";

const DATAGRAMS_MISSED = "UDP datagram possibly missed, its probe was busy";

export function udp(options: TraceOptions): Part {
  const {
    filter = NO_FILTER,
    flowTimeouts = DEFAULT_FLOW_TIMEOUTS,
    maxConnections: entries,
  } = options;
  const asked = wantsProtocol(filter, "udp");
  const directions = new UdpDirections();
  let known: KnownFlowTotals = { bytes: false, packets: false };
  return {
    name: "UDP",
    protocol: "UDP",
    asked,
    alone: !wantsProtocol(filter, "tcp"),
    without: "UDP is not traced",
    symbols: udpSymbols,
    prepare: ({ features }) =>
      features.has("datagram_lengths")
        ? {}
        : { mapSizes: { udp_receives: ReceivePlaces.RECEIVE_PLACES } },
    mapSizes: roomFor(asked ? entries : UNUSED),
    missing,
    points,
    misses: {
      cause: () => DATAGRAMS_MISSED,
      unit: "datagram",
      rescued: Counter.COUNTER_LENGTH_RESCUED,
    },
    check(on) {
      const { finding, totals } = check(on);
      if (totals !== null) known = totals;
      return finding;
    },
    takesStock: () => ({
      visit({ netns, ephemeral, rows }, keep) {
        directions.add(netns, [...rows("udp", keep), ...rows("udp6", keep)], ephemeral);
      },
    }),
    start: (on, between) => start(on, between, { flowTimeouts, directions, known, entries }),
  };
}

// --- internal ---

/** Room is made in the kernel for all entries at once: a map that no program uses would cost as much as one that is used. */
const UNUSED = 1;

const roomFor = (entries: number | undefined) =>
  entries === undefined ? {} : { udp_flows: entries, udp_socks: entries };

function missing({ host, report, mode }: Ground): string | null {
  const field = missingForUdp(report, mode);
  if (field !== null) return `the field ${field} is not known`;
  if (mode === "tracepoint") {
    if (host.features.has("udp_lengths")) return null;
    return `its tracepoints came with Linux ${features.udp_lengths.since}`;
  }
  const found = kprobesOf(host, report);
  return "missing" in found ? `this kernel has no function ${found.missing}` : null;
}

function points({ host, report, mode }: Ground): readonly Point[] {
  const program = { program: "run_udp_gone", held: true } as const;
  if (mode === "tracepoint")
    return [...udpTracepoints(host.features.has("preemptible_tracepoints")), program];
  const found = kprobesOf(host, report);
  return "missing" in found ? [] : found;
}

function kprobesOf(host: Host, report: GuessReport) {
  const ipv6 = report.fields.some((f) => f.field === "skc_v6_daddr" && f.status === "found");
  const there = findSymbols(udpSymbols);
  return udpKprobes((symbol) => there.has(symbol), ipv6, host.features.has("datagram_lengths"));
}

/** Counts datagrams of the tool's own; what is not right is unknown from then on, and said. */
function check(on: Opened): { finding: Finding; totals: KnownFlowTotals | null } {
  const { host, mode, object, drain } = on;
  const source = flowSource(host.shim, object, mode);
  const found = undisturbed(
    (place) => udpCheck(place, mode, () => drain(), source),
    // Any user can send datagrams to the check's sockets.
    (result) => result !== null && result.wrong.length === 0,
  );
  if (found === null)
    return { finding: { refused: "the tool's own datagrams were not seen" }, totals: null };
  const wrong = found.wrong.map(
    (what) => `UDP: the tool's own datagrams came back as ${what}; that number is shown as unknown`,
  );
  return { finding: { notes: wrong }, totals: found.known };
}

interface Asked {
  flowTimeouts: FlowTimeouts;
  directions: UdpDirections;
  known: KnownFlowTotals;
  /** Of each map; undefined: as many as bpf/ says. */
  entries: number | undefined;
}

const { EVENT_UDP_OPEN, EVENT_UDP_FAIL, EVENT_UDP_CLOSE, EVENT_UDP_SAMPLE } = EventKind;

function start({ host, mode, object }: Opened, between: () => void, asked: Asked): Working {
  const maps = flowSource(host.shim, object, mode, between, asked.entries);
  const flows = new Flows(maps, asked.flowTimeouts, asked.directions);
  const told = collecting();
  const all = (shown: Iterable<ShownFlow> | null, show: Show) => {
    for (const { event, kind } of shown ?? []) {
      show(event, kind);
      told(flows.size);
    }
  };
  return {
    // The end that began a flow of an older socket is told by the sockets that there were.
    needsStock: true,
    kinds: [EVENT_UDP_OPEN, EVENT_UDP_FAIL, EVENT_UDP_CLOSE, EVENT_UDP_SAMPLE],
    tell: (event, show) => all(flows.event(event), show),
    tick: (nowNs, show) => all(flows.tick(nowNs), show),
    ending: () => flows.ending(),
    dueMs: (nowNs) => flows.dueMs(nowNs),
    sample: (nowNs, all) => ({ moved: flows.sample(nowNs, all), gone: [] }),
    enrich: addFlowTotals(asked.known),
    // Records of UDP are never shown as they are.
    holds: () => true,
    conditions: () => true,
  };
}
