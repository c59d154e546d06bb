/** The ways between client and server, each with an address of its own, by which the table knows a connection's way. */
export interface Place {
  title: string;
  /** The client connects to it. */
  host: string;
  /** The server sees it as its own address; left out: the same. */
  inner?: string;
  /** Commands before the clients of this place begin, in the namespace that all of them share. */
  before?: readonly string[];
  /** Loss and small segments take time. */
  patience?: number;
  /** The connections are open, and have been used, before the trace begins. */
  older?: true;
}

const LOSS = 5;
const withoutOffloads = "ethtool -K lo tso off gso off gro off sg off tx off";

const rows = {
  older: { title: "older than the trace", host: "127.0.0.5", older: true },
  plain: { title: "loopback", host: "127.0.0.1" },
  ipv6: { title: "IPv6", host: "fd00::9" },
  dnat: { title: "DNAT", host: "10.9.9.9", inner: "10.9.9.1" },
  snat: { title: "SNAT", host: "10.9.9.3" },
  // Not all pairs meet on these two ways: see crowds.ts.
  crowd: { title: "hundreds of connections at once", host: "127.0.0.7" },
  reused: { title: "a port that was another protocol's", host: "127.0.0.8" },
  mtu: {
    title: "MTU 1500, no offloads",
    host: "127.0.0.6",
    before: [withoutOffloads, "ip link set lo mtu 1500"],
  },
  loss: { title: `${LOSS} % of packets lost`, host: "127.0.0.4", patience: 3 },
  small: {
    title: "segments of 76 bytes",
    host: "127.0.0.3",
    before: ["ip link set lo mtu 128"],
    patience: 2,
  },
} as const satisfies Readonly<Record<string, Place>>;

export type PlaceName = keyof typeof rows;
export const places: Readonly<Record<PlaceName, Place>> = rows;
export const placeNames = Object.keys(rows) as PlaceName[];

/** Addresses, translations and loss, before anything else: they meet their own addresses alone. */
export const network = (iptables: string): string[] => {
  const lost = `-m statistic --mode random --probability 0.0${LOSS} -j DROP`;
  const { ipv6, dnat, snat, loss } = rows;
  // Some servers take connections to their host's own addresses alone.
  const ofLoopback = placeNames
    .map((name) => rows[name].host)
    .filter((host) => host.startsWith("127.") && host !== rows.plain.host);
  return [
    "ip link set lo up",
    ...["10.9.9.1/24", dnat.host, snat.host, ...ofLoopback].map(
      (address) => `ip addr add ${address} dev lo`,
    ),
    // Some clients ask for IPv6 only where a host has an address of it.
    `ip addr add ${ipv6.host}/64 dev lo nodad`,
    `${iptables} -t nat -A OUTPUT -d ${dnat.host} -j DNAT --to-destination ${dnat.inner}`,
    `${iptables} -t nat -A POSTROUTING -d ${snat.host} -j SNAT --to-source 10.9.9.7`,
    `${iptables} -A INPUT -d ${loss.host} ${lost}`,
    `${iptables} -A INPUT -s ${loss.host} ${lost}`,
  ];
};

/** By the address of the end that serves; `null`: it is none of theirs. */
export function placeAt(address: string, isServer: boolean): PlaceName | null {
  const at = placeNames.find((name) => {
    const { host, inner = host } = places[name];
    return address === (isServer ? inner : host);
  });
  return at ?? null;
}
