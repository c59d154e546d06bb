/** Several connections between the same two ends as one. Pure. */
import { add } from "./counters.ts";
import type { ConnectionDelta } from "./state.ts";

/** The sum of several connections. `cookie`, `state` and other members that cannot be added are the newest connection's. */
export interface Aggregate extends ConnectionDelta {
  /** How many there were. */
  connections: number;
}

/**
 * One row per process, protocol, direction, ends and translated ends, so that two backends of one address are two rows:
 * counters are summed (unknown if one of them is), round-trip times
 * averaged over those that are known. Retransmits are counted per connection, so that a sum counts none twice.
 */
export function aggregate(connections: Iterable<ConnectionDelta>): Aggregate[] {
  const rows = new Map<string, ConnectionDelta[]>();
  for (const connection of connections) {
    const key = keyOf(connection);
    const row = rows.get(key);
    if (row) row.push(connection);
    else rows.set(key, [connection]);
  }
  return [...rows.values()].map(together);
}

// --- internal ---

function keyOf(connection: ConnectionDelta): string {
  const { protocol, direction, netns, pid, local, remote, nat } = connection;
  // A translation that is not known is none of those that are.
  const beyond = nat === null ? [] : nat === false ? [null] : [nat.local, nat.remote];
  const ends = [local, remote, ...beyond].map((end) => end && `${end.address} ${end.port}`);
  return `${protocol} ${direction} ${netns} ${pid} ${ends.join()}`;
}

function together(row: ConnectionDelta[]): Aggregate {
  const newest = row.reduce((a, b) => (b.atNs > a.atNs ? b : a));
  return {
    ...newest,
    connections: row.length,
    total: row.map(({ total }) => total).reduce(add),
    delta: row.map(({ delta }) => delta).reduce(add),
    rttUs: average(row.map(({ rttUs }) => rttUs)),
    rttVarUs: average(row.map(({ rttVarUs }) => rttVarUs)),
  };
}

function average(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  return Math.round(known.reduce((sum, value) => sum + value, 0) / known.length);
}
