/** A trace is a list of parts and two verbs: open it (guess, load, attach, check), then run it (running.ts). */
import { cpus } from "node:os";
import { isLockedDown, openHost, type Host } from "../kernel/host.ts";
import { memoryLimit } from "../kernel/memory_limit.ts";
import { randomBytes } from "../kernel/random.ts";
import { isNotThere, type GuessReport } from "../guess/report.ts";
import { log, showsDebug } from "../log.ts";
import { keyIds } from "../record/id.ts";
import { fillFilter, NO_FILTER, withFilter } from "./kernel_filter.ts";
import { traceConstants } from "./opening/offsets.ts";
import { offsetsFor } from "./opening/offsets_source.ts";
import { openChecked } from "./opening/open_checked.ts";
import { prepareParts } from "./opening/prepare.ts";
import { roomIn } from "./opening/room.ts";
import type { TraceOptions } from "./options.ts";
import type { Part, PartOf } from "./part.ts";
import { PARTS } from "./parts.ts";
import { running } from "./running.ts";
import type { Trace } from "./trace.ts";

/** Throws a Failure that says why this host cannot be traced. Other parts and another host are for tests. */
export async function openTrace(
  options: TraceOptions,
  partsOf: readonly PartOf[] = PARTS,
  host: Host = openHost(options.attach),
): Promise<Trace> {
  if (showsDebug()) for (const way of host.features.ways()) log.debug(`feature ${way}`);
  keyIds(randomBytes);
  const notes: string[] = [];
  const { report, how } = await offsetsFor(host, options, notes);
  const room = roomIn(memoryLimit(), cpus().length, options.maxConnections ?? null);
  if (room.note !== null) notes.push(room.note);
  const all = partsOf.map((part) => part({ ...options, maxConnections: room.connections }));
  const asked = all.filter((part) => part.asked !== false);
  tellMissingFields(report, asked, notes);
  const { filter = NO_FILTER } = options;
  const basis = {
    constants: traceConstants(report, host.features),
    entries: Object.assign({}, ...all.map(({ mapSizes }) => mapSizes)),
  };
  const { parts, made } = prepareParts({ host, report, notes }, asked, basis);
  const checked = openChecked({
    host,
    report,
    parts,
    made: withFilter(made, filter),
    ringBytes: room.ringBytes,
    notes,
  });
  fillFilter(host.shim, checked.object, filter);
  const protocols = checked.working.flatMap(({ protocol }) => protocol ?? []);
  const by = [
    `${checked.mode}s`,
    ...(checked.fentry ? ["fentry"] : []),
    // Said where nothing else would do.
    ...(checked.loads && isLockedDown() ? ["plain loads"] : []),
  ].join(" and ");
  const description = `tracing ${protocols.join(" and ")} with ${by} on Linux ${host.kernel.release}, ${how}`;
  return running({ ...checked, all, description }, options);
}

// --- internal ---

function tellMissingFields(report: GuessReport, parts: readonly Part[], notes: string[]): void {
  const needed = new Set(parts.flatMap(({ fields = [] }) => fields));
  for (const field of report.fields)
    if (needed.has(field.field) && field.status !== "found" && !isNotThere(field))
      notes.push(
        `${field.field} is not known (${field.how}): numbers that depend on it are shown as unknown`,
      );
}
