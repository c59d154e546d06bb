/** The kernel side's share of the user's filters: see bpf/lib/filter.h. Pure but for `fillFilter`. */
import { portTest, type PortFilter } from "../conn/ports.ts";
import type { ObjectSpec, KernelObject } from "../kernel/object.ts";
import type { Shim } from "../kernel/shim.ts";
import { ConnMetadata, Filter, Constant, type Event, type TraceMap } from "../record/layout.gen.ts";

/**
 * All of it must match. An empty array does not restrict anything. A member of an event that is not known (the
 * process of an accept in tracepoint mode, a local port that was never chosen) matches here; the sink that shows the
 * event decides about it.
 */
export interface KernelFilter extends PortFilter {
  /** Of the process that connected or accepted, as the host numbers it. */
  pids: readonly number[];
  families: readonly (4 | 6)[];
  protocols: readonly ("tcp" | "udp")[];
  /** Only of the process that `Trace.launch` starts and of those that this leads to. */
  descendants?: boolean;
}

export const NO_FILTER: KernelFilter = {
  pids: [],
  ports: [],
  localPorts: [],
  remotePorts: [],
  families: [],
  protocols: [],
};

/** Whether connections of this protocol can match at all. */
export const wantsProtocol = ({ protocols }: KernelFilter, protocol: "tcp" | "udp"): boolean =>
  protocols.length === 0 || protocols.includes(protocol);

/** Sets the constant that says what is filtered, and makes room for it in the maps. */
export function withFilter(
  made: Pick<ObjectSpec, "constants" | "entries">,
  filter: KernelFilter,
): Pick<ObjectSpec, "constants" | "entries"> {
  const { filter_pids, filter_ports } = filterMaps(filter);
  const room: Partial<Record<TraceMap, number>> = {
    filter_pids: Math.max(1, filter_pids.size),
    filter_ports: Math.max(1, filter_ports.size),
  };
  return {
    constants: new Map(made.constants).set(Constant.CONSTANT_FILTERS, BigInt(kindsOf(filter))),
    entries: { ...made.entries, ...room },
  };
}

/** From now on it acts. Not before the self-check: the tool's own connections match no filter. */
export function fillFilter(shim: Shim, object: KernelObject, filter: KernelFilter): void {
  if (kindsOf(filter) === 0) return;
  const put = (map: TraceMap, key: number, value: number) =>
    shim.mapUpdate(object.mapFd(map), Uint32Array.of(key), Uint32Array.of(value));
  for (const [map, entries] of Object.entries(filterMaps(filter)))
    for (const [key, value] of entries) put(map as TraceMap, key, value);
  put("filter", 0, 1);
}

/** Bits of enum filter; 0: everything is asked for. */
export function kindsOf(filter: KernelFilter): number {
  const [family] = new Set(filter.families).size === 1 ? filter.families : [];
  const kinds: [boolean, number][] = [
    [filter.pids.length > 0, Filter.FILTER_PIDS],
    [filter.ports.length > 0, Filter.FILTER_PORTS],
    [filter.localPorts.length > 0, Filter.FILTER_LOCAL_PORTS],
    [filter.remotePorts.length > 0, Filter.FILTER_REMOTE_PORTS],
    [family === 4, Filter.FILTER_IPV4],
    [family === 6, Filter.FILTER_IPV6],
    [!wantsProtocol(filter, "tcp"), Filter.FILTER_NO_TCP],
    [filter.descendants === true, Filter.FILTER_FOLLOWED],
  ];
  return kinds.reduce((bits, [asked, bit]) => (asked ? bits | bit : bits), 0);
}

/** The entries that are written into the maps. */
export function filterMaps(filter: KernelFilter) {
  const filter_ports = new Map<number, number>();
  const lists = [
    [filter.ports, Filter.FILTER_PORTS],
    [filter.localPorts, Filter.FILTER_LOCAL_PORTS],
    [filter.remotePorts, Filter.FILTER_REMOTE_PORTS],
  ] as const;
  for (const [ports, side] of lists)
    for (const port of ports) filter_ports.set(port, (filter_ports.get(port) ?? 0) | side);
  return { filter_pids: new Map(filter.pids.map((pid) => [pid, 1])), filter_ports };
}

/**
 * The same decision on this side, for what the kernel side told before the filter acted, or could not know: an owner that
 * /proc told, a port that was chosen later. False: it certainly does not match.
 */
export function mayMatch(filter: KernelFilter): (event: Event) => boolean {
  if (kindsOf(filter) === 0 && wantsProtocol(filter, "udp")) return () => true;
  const pids = new Set(filter.pids);
  const ports = portTest(filter);
  return ({ ends, owner }) => {
    const family = (ends.metadata & ConnMetadata.METADATA_IPV6) === 0 ? 4 : 6;
    const protocol = (ends.metadata & ConnMetadata.METADATA_TCP) === 0 ? "udp" : "tcp";
    return (
      (pids.size === 0 || owner.pid === 0 || pids.has(owner.pid)) &&
      (filter.families.length === 0 || filter.families.includes(family)) &&
      wantsProtocol(filter, protocol) &&
      ports?.(ends.sport, ends.dport) !== false
    );
  };
}
