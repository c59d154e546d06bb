/** The labels by which connections are told apart. Pure. */
import { processName } from "../conn/process_name.ts";
import { DEFAULT_EPHEMERAL, isEphemeral, type PortRange } from "../conn/direction.ts";
import type { ConnEvent } from "../conn/event.ts";
import { unitOf } from "../conn/unit.ts";
import { highestOf } from "../protocols/stack.ts";
import { isUnspecified } from "../record/address.ts";

interface Label {
  meaning: string;
  /** Whether metrics have it unless the user chooses. */
  usual: boolean;
  /** Raw text; "": not known, or there is none. */
  of(event: ConnEvent, ephemeral: PortRange): string;
}

/**
 * To add one, add a row, and its name in the rows of table.ts. A label takes few values: a process id or the port of a
 * client would make a series of each connection.
 */
export const labels = {
  process: { meaning: "name of the process", usual: true, of: (event) => processName(event) ?? "" },
  unit: {
    meaning: "systemd service that the process belongs to",
    usual: true,
    of: ({ cgroup }) => (cgroup ? (unitOf(cgroup) ?? "") : ""),
  },
  container: {
    meaning: "id of the container that the process belongs to",
    usual: true,
    of: ({ container }) => container ?? "",
  },
  direction: {
    meaning: "outgoing, incoming or unknown",
    usual: true,
    of: ({ direction }) => direction,
  },
  port: {
    meaning:
      'port of the service: the remote one of an outgoing connection, the local one of an incoming one; "other": one that systems choose by themselves',
    usual: true,
    of: portOf,
  },
  remote: {
    meaning: "address of the other end, as the program named it: as many series as there are peers",
    usual: false,
    of: ({ remote }) => (isUnspecified(remote.address) ? "" : remote.address),
  },
  application: {
    meaning: "highest protocol that was recognised, where the metric has it",
    usual: true,
    of: ({ application }) => (application ? (highestOf(application) ?? "") : ""),
  },
} as const satisfies Readonly<Record<string, Label>>;

export type LabelName = keyof typeof labels;

export const labelNames = Object.keys(labels) as LabelName[];
export const usualLabels: readonly LabelName[] = labelNames.filter((name) => labels[name].usual);

/** The value of what has no room of its own. */
export const OTHER = "other";

/** By name, in the order of the table; those that are not chosen are left out. */
export type LabelValues = Partial<Record<LabelName, string>>;

export function labelsOf(
  event: ConnEvent,
  chosen: ReadonlySet<LabelName>,
  ephemeral: PortRange = DEFAULT_EPHEMERAL,
): LabelValues {
  const values: LabelValues = {};
  for (const name of labelNames)
    if (chosen.has(name)) values[name] = (labels[name] as Label).of(event, ephemeral);
  return values;
}

// --- internal ---

function portOf({ direction, local, remote }: ConnEvent, ephemeral: PortRange): string {
  if (direction === "unknown") return "";
  const { port } = direction === "incoming" ? local : remote;
  if (port === 0) return "";
  return isEphemeral(port, ephemeral) ? OTHER : port.toString();
}
