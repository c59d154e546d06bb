/** The programs of parts, loaded and attached, without anything that reads what they send. */
import type { GuessReport } from "../../../src/guess/report.ts";
import type { Host } from "../../../src/kernel/host.ts";
import type { KernelObject } from "../../../src/kernel/object.ts";
import { attachParts, type AttachedParts } from "../../../src/trace/opening/attach.ts";
import { withFilter, NO_FILTER } from "../../../src/trace/kernel_filter.ts";
import { traceConstants } from "../../../src/trace/opening/offsets.ts";
import { missingParts } from "../../../src/trace/opening/open_checked.ts";
import { prepareParts } from "../../../src/trace/opening/prepare.ts";
import type { TraceOptions } from "../../../src/trace/options.ts";
import type { PartOf } from "../../../src/trace/part.ts";
import { PARTS } from "../../../src/trace/parts.ts";
import type { Mode } from "./modes.ts";

export interface ToAttach {
  host: Host;
  report: GuessReport;
  mode: Mode;
  options?: Partial<TraceOptions>;
  parts?: readonly PartOf[];
  /** Instead of those of the report. */
  constants?: Map<number, bigint>;
  ready?: (object: KernelObject) => void;
}

/** The parts that the options ask for and this kernel can have, with the first of their alternatives. */
export function attachAsked(of: ToAttach): AttachedParts {
  const { host, report, mode, parts: all = PARTS, ready = () => {} } = of;
  const options = { attach: mode, debug: false, ...of.options };
  const asked = all.map((part) => part(options)).filter((part) => part.asked !== false);
  const constants = of.constants ?? traceConstants(report, host.features);
  const { parts, made } = prepareParts({ host, report, notes: [] }, asked, { constants });
  const ground = { host, report, mode };
  const newer = host.features.has("test_run");
  const missing = missingParts(parts, { ...ground, newer, fentry: false });
  const there = parts.filter((part) => !missing.has(part));
  const filtered = withFilter(made, options.filter ?? NO_FILTER);
  return attachParts({ ...ground, parts: there, made: filtered, way: 0 }, ready);
}
