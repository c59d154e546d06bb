/** The pipeline: guess, load, attach, check, list what is open; what follows is in running.ts. */
import { guessTgid } from "../guess/task.ts";
import { openHost } from "../kernel/host.ts";
import { log, showsDebug } from "../log.ts";
import { Offset, type TraceMap } from "../record/layout.gen.ts";
import { askForArgs } from "./process/args.ts";
import { openChecked } from "./opening/open_checked.ts";
import { fillFilter, NO_FILTER, wantsProtocol, withFilter } from "./opening/kernel_filter.ts";
import { listOpen } from "./tcp/listing.ts";
import { missingFields, traceConstants } from "./opening/offsets.ts";
import { offsetsFor } from "./opening/offsets_source.ts";
import type { TraceOptions } from "./options.ts";
import { running } from "./running.ts";
import type { Trace } from "./trace.ts";

/** Throws a Failure that says why this host cannot be traced. */
export async function openTrace(options: TraceOptions): Promise<Trace> {
  const host = openHost(options.attach);
  if (showsDebug()) log.debug(`the kernel has not: ${host.features.missing().join(", ")}`);
  const notes: string[] = [];
  const { report, how } = await offsetsFor(host, options, notes);
  for (const { field, how: why } of missingFields(report)) {
    notes.push(`${field} is not known (${why}): numbers that depend on it are shown as unknown`);
  }
  const { filter = NO_FILTER, sampling = false } = options;
  const all = {
    constants: traceConstants(report, host.features),
    entries: mapSizes(options.maxConnections),
  };
  if (options.args) askForArgs(host, report.attach, all, notes);
  if (filter.descendants === true)
    all.constants.set(Offset.OFFSET_TASK_TGID, BigInt(guessTgid(host)));
  const made = withFilter(all, filter);
  const sampled = sampling !== false;
  const checked = openChecked({ host, report, made, filter, sampling: sampled, notes });
  fillFilter(host.shim, checked.object, filter);
  const listing = listOpen({ host, ...checked });
  notes.push(...listing.notes);
  const protocols = [wantsProtocol(filter, "tcp") && "TCP", checked.udp !== null && "UDP"];
  const what = protocols.filter(Boolean).join(" and ");
  const description = `tracing ${what} with ${checked.mode}s on Linux ${host.kernel.release}, ${how}`;
  const early = [...checked.early, ...listing.events];
  const found = { host, report, ...checked, early, directions: listing.udp };
  return running({ ...found, description, notes }, options);
}

// --- internal ---

/** The maps that grow with what is open. */
function mapSizes(maxConnections: number | undefined): Record<string, number> {
  if (maxConnections === undefined) return {};
  const maps: TraceMap[] = ["conns", "udp_flows", "udp_socks"];
  return Object.fromEntries(maps.map((map) => [map, maxConnections]));
}
