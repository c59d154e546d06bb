/** Events of one connection, whose close has totals of its own. */
import type { ConnEvent, Totals } from "../../../src/conn/event.ts";

export const TOTALS: Totals = {
  bytesSent: 100n,
  bytesReceived: 1000n,
  segsOut: 3,
  segsIn: 3,
  rttUs: 50,
  rttVarUs: 5,
  retransmits: 0,
  durationNs: 5_000_000n,
};

export function event(kind: ConnEvent["kind"], more: Partial<ConnEvent> = {}): ConnEvent {
  return {
    kind,
    protocol: "tcp",
    atNs: 0n,
    pid: 7,
    comm: "curl",
    uid: 0,
    family: 4,
    direction: "outgoing",
    netns: 1,
    local: { address: "10.0.0.1", port: 40_000 },
    remote: { address: "10.0.0.2", port: 443 },
    ...(kind === "close" ? { totals: TOTALS } : {}),
    ...more,
  };
}
