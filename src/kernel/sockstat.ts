/** How many sockets the calling thread's network namespace has: in /proc/net/sockstat and sockstat6. */
import { ofOwnThread } from "./own_thread.ts";
import { textOf } from "./text_file.ts";

/** The tables under /proc/net that list sockets one by one. */
export const TABLES = ["tcp", "tcp6", "udp", "udp6"] as const;
export type Table = (typeof TABLES)[number];

/** Of sockets that have a port, connections in TIME_WAIT left out. */
export type SocketCounts = Readonly<Record<Table, number>>;

/** `null`: the kernel does not tell. */
export function socketCounts(): SocketCounts | null {
  const ipv4 = textOf(ofOwnThread("net/sockstat"));
  // A kernel without IPv6 has no such file.
  return ipv4 === null ? null : parseSocketCounts(ipv4, textOf(ofOwnThread("net/sockstat6")) ?? "");
}

export function parseSocketCounts(sockstat: string, sockstat6: string): SocketCounts | null {
  const count = (text: string, name: string): number | null => {
    const found = new RegExp(`^${name}: inuse (\\d+)`, "m").exec(text);
    return found === null ? null : Number(found[1]);
  };
  const [tcp, udp] = [count(sockstat, "TCP"), count(sockstat, "UDP")];
  if (tcp === null || udp === null) return null;
  return { tcp, udp, tcp6: count(sockstat6, "TCP6") ?? 0, udp6: count(sockstat6, "UDP6") ?? 0 };
}
