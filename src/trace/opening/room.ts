/** How much is asked for where a control group limits the memory: maps and rings count against it. Pure. */

export interface Room {
  /** Connections, flows and UDP sockets that are followed at once, of each so many. */
  connections: number;
  /** Of the ring of each processor; a power of two. */
  ringBytes: number;
  /** For the user, where it is less than is usual. */
  note: string | null;
}

/**
 * In the maps, preallocated: 860 were measured with 65,536 and with 1,024 connections on 6.18. An entry of conntrack, of which
 * there is room for as many, takes 48 of the map, 48 of the key, 56 of the value, and its share of the buckets.
 */
const BYTES_PER_CONNECTION = 860 + 180;
/** Measured: 26 MB of the process that belong to no file, 4 MB of programs and small maps; 10 MB more at the start. */
const OWN_BYTES = 40 << 20;
/** The rest is for lines that wait, and for whatever else is in the group. */
const USABLE = 0.9;
const USUAL_CONNECTIONS = 65_536;
const LEAST_CONNECTIONS = 1024;
export const LEAST_RING_BYTES = 1 << 16;

/** `limit` in bytes, null: none. `asked`: the user said how many connections. */
export function roomIn(limit: number | null, processors: number, asked: number | null): Room {
  const usualRing = usualRingBytes(processors);
  if (limit === null)
    return { connections: asked ?? USUAL_CONNECTIONS, ringBytes: usualRing, note: null };
  const room = Math.max(0, limit * USABLE - OWN_BYTES);
  const ringBytes = within(room / 4 / processors, LEAST_RING_BYTES, usualRing);
  const most = within(room / 2 / BYTES_PER_CONNECTION, LEAST_CONNECTIONS, USUAL_CONNECTIONS);
  const connections = asked ?? most;
  const less = [
    ...(connections < USUAL_CONNECTIONS && asked === null
      ? [`at most ${connections.toLocaleString("en")} connections are followed`]
      : []),
    ...(ringBytes < usualRing ? [`rings have ${ringBytes >> 10} KiB per processor`] : []),
  ];
  const why = `the memory cgroup has only ${Math.floor(limit / (1 << 20))} MiB (raise its limit, MemoryMax= of a systemd unit, or give --max-connections)`;
  return { connections, ringBytes, note: less.length === 0 ? null : `${less.join(", ")}: ${why}` };
}

// --- internal ---

/** The largest power of two that is not above `bytes`, between two others. */
const within = (bytes: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, 2 ** Math.floor(Math.log2(Math.max(1, bytes)))));

/**
 * 4 MiB per CPU; on large hosts less, so that all rings together stay near 64 MiB. A burst meets a runtime that compiles
 * its code only then, and may not drain for a second on a slow machine.
 */
const usualRingBytes = (processors: number): number =>
  processors <= 16
    ? 1 << 22
    : processors <= 64
      ? 1 << 20
      : processors <= 256
        ? 1 << 18
        : LEAST_RING_BYTES;
