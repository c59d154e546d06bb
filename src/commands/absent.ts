/** Values of filters that nothing on this host has now: a misspelt name, or a process that has been started anew. */

import { containerOf } from "../conn/container.ts";
import { isContainer, unitName, type Filter } from "../filter/filter.ts";
import { containerFacts } from "../kernel/container_files.ts";
import { conntrackIsThere } from "../kernel/ctnetlink.ts";
import { cgroupPaths, hasCgroup, hasProcess } from "../kernel/host_names.ts";
import { hasNamespace } from "../kernel/namespaces.ts";
import { asksForNat } from "./filter_flags.ts";
import { some } from "./filter_values.ts";
import { nearest } from "./nearest.ts";

/** Questions to this host. Where the host cannot tell, nothing is absent. */
interface Present {
  hasProcess: (pid: number) => boolean;
  hasCgroup: (path: string) => boolean;
  /** `null`: it cannot tell. */
  cgroupPaths: () => string[] | null;
  /** The name that a container's engine gave it. */
  containerName: (id: string) => string | undefined;
  hasNamespace: (netns: number) => boolean;
  tracksConnections: () => boolean;
}

const thisHost: Present = {
  hasProcess,
  hasCgroup,
  cgroupPaths,
  containerName: (id) => containerFacts(id)?.name,
  hasNamespace,
  tracksConnections: conntrackIsThere,
};

/** A message for each flag of which a value is not there now. It may come later: the trace goes on. */
export function absent(filter: Filter, host: Present = thisHost): string[] {
  const { pids, cgroups, units, containers, netns } = filter;
  const paths = units.length + containers.length === 0 ? null : host.cgroupPaths();
  return [
    ...told(
      "pid",
      "no such process exists now",
      pids.filter((pid) => !host.hasProcess(pid)),
    ),
    ...told(
      "cgroup",
      "no such control group exists now",
      cgroups.filter((path) => !host.hasCgroup(path)),
    ),
    ...(paths === null ? [] : absentUnits(units, paths)),
    ...(paths === null ? [] : absentContainers(containers, paths, host)),
    ...told(
      "netns",
      "no process is in such a network namespace now, and it has no name",
      netns.filter((inode) => !host.hasNamespace(inode)),
    ),
    ...(asksForNat(filter) && !host.tracksConnections() ? [NO_NAT] : []),
  ];
}

// --- internal ---

const NO_NAT =
  "--nat or a filter of translated ends: the kernel tracks no connections now, so it translates none";

const told = (flag: string, why: string, missing: readonly (string | number)[]): string[] =>
  missing.length === 0 ? [] : [`--${flag} ${some(missing)}: ${why}`];

function absentUnits(units: readonly string[], paths: readonly string[]): string[] {
  const there = new Set(paths.map((path) => path.slice(path.lastIndexOf("/") + 1)));
  const missing = units.filter((unit) => !there.has(unitName(unit)));
  const services = [...there].filter((name) => name.endsWith(".service"));
  const known = services.map((name) => name.replace(/\.service$/, ""));
  return told("unit", `no such unit runs now${meant(missing, known)}`, missing);
}

function absentContainers(
  containers: readonly string[],
  paths: readonly string[],
  host: Present,
): string[] {
  if (containers.length === 0) return [];
  const ids = new Set(paths.map((path) => containerOf(path)).filter((id) => id !== null));
  const there = [...ids].map((id) => ({ id, name: host.containerName(id) }));
  const missing = containers.filter(
    (one) => !there.some(({ id, name }) => isContainer(one, id, name)),
  );
  const known = there.map(({ id, name }) => name ?? id.replace(LONG_ID, "$1"));
  return told("container", `no such container runs now${meant(missing, known)}`, missing);
}

/** Engines show the first twelve digits. */
const LONG_ID = /^([0-9a-f]{12})[0-9a-f]{52}$/;

/** Of one value that is missing, the name that was probably meant; else those there are. */
function meant(missing: readonly string[], known: readonly string[]): string {
  if (known.length === 0) return ", nor any other";
  const near = missing.length === 1 ? nearest(missing[0]!, known) : null;
  return near === null ? `; there are ${some(known.toSorted())}` : `; did you mean ${near}?`;
}
