/** A filter taken apart for records: what is asked of their ports, and all else. See src/output/straight/sifting.ts. Pure. */
import { LinePort } from "../record/layout.gen.ts";
import { judgement, type Filter } from "./filter.ts";

/** Never `null` where the filter asks for nothing but ports. */
export function siftingOf(filter: Filter) {
  const { not } = filter;
  return {
    wants: judgement({ ...filter, ...noPorts, not: { ...not, ...noPorts } }),
    ports: portLists([
      [LinePort.PORT_WANTED, filter.ports],
      [LinePort.PORT_WANTED_LOCAL, filter.localPorts],
      [LinePort.PORT_WANTED_REMOTE, filter.remotePorts],
      [LinePort.PORT_UNWANTED, not.ports],
      [LinePort.PORT_UNWANTED_LOCAL, not.localPorts],
      [LinePort.PORT_UNWANTED_REMOTE, not.remotePorts],
    ]),
    byRemote: filter.remoteNets.length + not.remoteNets.length > 0,
  };
}

// --- internal ---

const noPorts = { ports: [], localPorts: [], remotePorts: [] };
const WANTED = LinePort.PORT_WANTED | LinePort.PORT_WANTED_LOCAL | LinePort.PORT_WANTED_REMOTE;

function portLists(all: readonly (readonly [bit: number, ports: readonly number[]])[]) {
  const asking = all.filter(([, ports]) => ports.length > 0);
  if (asking.length === 0) return null;
  const lists = new Uint8Array(new ArrayBuffer(LinePort.PORT_COUNT));
  for (const [bit, ports] of asking) for (const port of ports) lists[port]! |= bit;
  return { lists, asked: asking.reduce((bits, [bit]) => bits | (bit & WANTED), 0) };
}
