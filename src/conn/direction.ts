/**
 * Guesses the direction of an older connection by its ports. Pure. TCP needs it only where the sock's own counters do
 * not tell (bpf/tcp/open.h). For UDP it corrects the direction of the first datagram that was seen.
 */
import type { Direction } from "./event.ts";

/** Both ends included. */
export interface PortRange {
  first: number;
  last: number;
}

/** The default of net.ipv4.ip_local_port_range. */
export const DEFAULT_EPHEMERAL: PortRange = { first: 32768, last: 60999 };

export const isEphemeral = (port: number, { first, last }: PortRange): boolean =>
  first <= port && port <= last;

/** The text of ip_local_port_range: two numbers. `null`: it is something else. */
export function parsePortRange(text: string): PortRange | null {
  const [, first, last] = /^\s*(\d+)\s+(\d+)\s*$/.exec(text) ?? [];
  return last === undefined ? null : { first: Number(first), last: Number(last) };
}

export interface TcpEnds {
  localPort: number;
  remotePort: number;
  /** Somebody in the same network namespace listens on the port. */
  localListens: boolean;
  /** The remote end is on this host too, and somebody there listens on its port. */
  remoteListens: boolean;
}

/**
 * A listener's port is the incoming end; without one, or with two, the end whose port is not ephemeral is. Where both
 * are alike nothing is said: a wrong direction makes a byte count wrong.
 */
export function tcpDirection(ends: TcpEnds, ephemeral: PortRange): Direction {
  if (ends.localListens !== ends.remoteListens) return ends.localListens ? "incoming" : "outgoing";
  const local = isEphemeral(ends.localPort, ephemeral);
  if (local === isEphemeral(ends.remotePort, ephemeral)) return "unknown";
  return local ? "outgoing" : "incoming";
}

export interface UdpEnds {
  localPort: number;
  remotePort: number;
  /** Both ends are on this host. */
  intraHost: boolean;
  /** A program chose the local port, the kernel did not. */
  bound: boolean;
}

/** Below it are the ports of well-known services. */
const WELL_KNOWN = 1024;

/** The ports that clients on other systems than Linux use (RFC 6335). */
const DYNAMIC: PortRange = { first: 49152, last: 65535 };

/**
 * The first datagram of a flow may have gone unseen. Then the answer is taken for the question: a client's socket seems
 * to be asked by its server, a server's socket seems to ask its client. The ports tell which of the two it is.
 */
export function correctUdpDirection(
  direction: Direction,
  ends: UdpEnds,
  ephemeral: PortRange,
): Direction {
  const { localPort, remotePort, intraHost, bound } = ends;
  const local = isEphemeral(localPort, ephemeral);
  const remote = isEphemeral(remotePort, ephemeral);
  if (direction === "incoming" && local && !remote && (intraHost || remotePort < WELL_KNOWN))
    return "outgoing";
  if (direction === "outgoing" && bound && isClient(ends, ephemeral)) return "incoming";
  return direction;
}

// --- internal ---

/** Whether the remote end looks like a client of the local one. Equal ports are two services, or two peers. */
function isClient({ localPort, remotePort, intraHost }: UdpEnds, ephemeral: PortRange): boolean {
  if (localPort === remotePort) return false;
  if (isEphemeral(remotePort, ephemeral)) return true;
  if (intraHost) return false;
  return isEphemeral(remotePort, DYNAMIC) || (localPort < WELL_KNOWN && remotePort >= WELL_KNOWN);
}
