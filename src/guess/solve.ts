/** From snapshots to offsets: keeps, per field, the offsets at which every copy holds what it must. Pure. */
import { sockFields, type SockField } from "./fields.ts";
import { candidatesFor, judge, knownOf, Placed, without } from "./search.ts";
import { solveBehind } from "./solve_behind.ts";
import { solveEstablished } from "./solve_established.ts";
import { solveFlows } from "./solve_flow.ts";
import { solveProtocol } from "./solve_protocol.ts";
import { solveSkb } from "./solve_skb.ts";
import { solveUserlocks } from "./solve_userlocks.ts";
import { notThere, type FieldReport } from "./report.ts";
import type { Snapshot } from "./snapshot.ts";

/** One report per field that is guessed. Never throws: a field without an offset says why. `flows`: flowi4 and flowi6 too. */
export function solve(snapshot: Snapshot, flows = true): FieldReport[] {
  const placed = new Placed();
  const socks = snapshot.socks;
  const reports: FieldReport[] = [];
  for (const [name, field] of Object.entries<SockField>(sockFields)) {
    reports.push(solveSockField(name, field, snapshot, placed));
  }
  reports.push(...solveProtocol(socks, snapshot.contrast, placed));
  reports.push(...solveBehind(socks, placed));
  reports.push(...solveUserlocks(socks, placed));
  if (flows) reports.push(...solveFlows(snapshot));
  reports.push(...solveSkb(snapshot));
  reports.push(solveEstablished(socks, placed));
  return reports;
}

// --- internal ---

function solveSockField(
  name: string,
  field: SockField,
  snapshot: Snapshot,
  placed: Placed,
): FieldReport {
  if (field.needs === "ipv6" && snapshot.no_ipv6 !== null) {
    return without(name, field.struct, "not-applicable", snapshot.no_ipv6);
  }
  const samples = snapshot.socks;
  const known = knownOf(field, samples).length;
  if (known === 0) {
    if (field.optional !== undefined)
      return without(name, field.struct, "not-applicable", "no connection showed its value");
    const by = field.shownBy === undefined ? "" : ` (it is shown by ${field.shownBy})`;
    return without(name, field.struct, "failed", `no connection showed its value${by}`);
  }
  const candidates = candidatesFor(field, samples, placed);
  if (candidates.length === 0 && field.optional !== undefined) {
    return without(name, field.struct, "not-applicable", notThere(field.optional));
  }
  const report = judge(name, field.struct, candidates, field.lowest, `in ${known} connections`);
  if (report.offset !== null) placed.add(report.offset, field.width);
  return report;
}
