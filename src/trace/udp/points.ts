/** What UDP needs of a host, and what the user is told where it is not there. */
import { withLoopback } from "../../guess/netns.ts";
import type { GuessReport } from "../../guess/report.ts";
import { features } from "../../kernel/feature_table.ts";
import type { AttachMode, Host } from "../../kernel/host.ts";
import { findSymbols } from "../../kernel/kallsyms.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Event } from "../../record/layout.gen.ts";
import { flowSource } from "./flow_source.ts";
import { missingForUdp, type KnownFlowTotals } from "../opening/offsets.ts";
import {
  probedSymbols,
  udpKprobes,
  udpTracepoints,
  type TracePoints,
} from "../opening/programs.ts";
import { udpCheck } from "./check.ts";

export interface UdpPoints {
  points: TracePoints;
  /** Why UDP is not traced; null: it is, or nobody asked for it. */
  missing: string | null;
}

/** For a trace without UDP. */
export const NO_UDP: UdpPoints = {
  points: { kprobes: [], tracepoints: [] },
  missing: null,
};

const NONE: TracePoints = NO_UDP.points;

export function udpPoints(host: Host, report: GuessReport, mode: AttachMode): UdpPoints {
  const field = missingForUdp(report, mode);
  if (field !== null) return { points: NONE, missing: `the field ${field} is not known` };
  if (mode === "tracepoint") {
    const tracepoints = udpTracepoints(host.features.has("preemptible_tracepoints"));
    if (!host.features.has("udp_lengths"))
      return {
        points: NONE,
        missing: `its tracepoints came with Linux ${features.udp_lengths.since}`,
      };
    return { points: { ...NONE, tracepoints }, missing: null };
  }
  const ipv6 = report.fields.some((f) => f.field === "skc_v6_daddr" && f.status === "found");
  const known = findSymbols(probedSymbols);
  const found = udpKprobes(
    (symbol) => known.has(symbol),
    ipv6,
    host.features.has("datagram_lengths"),
  );
  return "missing" in found
    ? { points: NONE, missing: `this kernel has no function ${found.missing}` }
    : { points: { ...NONE, kprobes: found.points }, missing: null };
}

/** Counts datagrams of the tool's own; what is not right is unknown from then on, and said. */
export function checkUdp(
  host: Host,
  mode: AttachMode,
  object: KernelObject,
  drain: () => Event[],
  missing: string | null,
): { known: KnownFlowTotals | null; notes: string[] } {
  if (missing !== null) return { known: null, notes: [`UDP is not traced: ${missing}`] };
  const source = flowSource(host.shim, object, mode);
  const check = withLoopback((place) => udpCheck(place, mode, drain, source));
  if (check === null)
    return { known: null, notes: ["UDP is not traced: the tool's own datagrams were not seen"] };
  const wrong = check.wrong.map(
    (what) => `UDP: the tool's own datagrams came back as ${what}; that number is shown as unknown`,
  );
  return { known: check.known, notes: mode === "tracepoint" ? [...wrong, ...LIMITS] : wrong };
}

// --- internal ---

const LIMITS = [
  "UDP with tracepoints: the remote end of a socket that is not connected is not known, nor are packets",
];
