/** How many sockets a network namespace has: in its /proc/net/sockstat and sockstat6. */
import type { PathOf } from "./net_files.ts";
import { textOf } from "./text_file.ts";

/** The tables under /proc/net that list sockets one by one. */
export const TABLES = ["tcp", "tcp6", "udp", "udp6"] as const;
export type Table = (typeof TABLES)[number];

/** Of sockets that have a port, connections in TIME_WAIT left out. */
export type SocketCounts = Readonly<Record<Table, number>>;

/** `null`: the kernel does not tell. */
export function socketCounts(pathOf: PathOf): SocketCounts | null {
  const read = (file: string): string | null => {
    const path = pathOf(file);
    return path === null ? null : textOf(path);
  };
  const ipv4 = read("sockstat");
  // A kernel without IPv6 has no sockstat6.
  return ipv4 === null ? null : parseSocketCounts(ipv4, read("sockstat6") ?? "");
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
