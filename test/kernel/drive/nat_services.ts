/**
 * Addresses that clients connect to, and the ends where their connections arrive: one row per way in which Linux translates
 * addresses. To add one: its rules in nat_rules.ts, a row here.
 */
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import type { Mode } from "./modes.ts";
import { addresses, outside, type Place, service } from "./nat_network.ts";
import { filterBridge, trackIpvs } from "./nat_rules.ts";
import { type OpenLink, talk } from "./nat_sockets.ts";
import type { Answer } from "./nat_truth.ts";
import { check, type Endpoint } from "./peer.ts";

const { p2, b2, ext } = addresses;

/** A service that clients reach at `to`, and the ends where its connections may arrive. */
export interface Service {
  name: string;
  from: Place;
  to: Endpoint | ((n: number) => Endpoint);
  servers: readonly { place: Place; listen: Endpoint }[];
  /** Both modes: without it all is told exactly. */
  answers?: Partial<Record<Mode, Answer>>;
  by?: "close" | "reset";
  before?: () => void;
  /** Between the connecting and the closing. */
  meanwhile?: (links: readonly OpenLink[]) => void;
  kept?: false;
  prepare?: (fd: number) => void;
  most?: number;
}

export const at = (address: string, port: number): Endpoint => ({ address, port });
export const on = (place: Exclude<Place, "root">, port: number, family: 4 | 6 = 4) => ({
  place,
  listen: at(addresses[place][family], port),
});

export const vip = (number: number, port = 80, family: 4 | 6 = 4): Endpoint =>
  at(service(number, family), port);

/**
 * Only who sees the entries being made knows for certain: a question finds no other zone, none of another namespace without
 * entering that, and nothing that is gone by then. A way that finds one is welcome.
 */
export const hardToAsk = { tracepoint: "exact or unknown" } as const;
const unknown = { kprobe: "unknown", tracepoint: "unknown" } as const;

export const services: readonly Service[] = [
  { name: "no rule", from: "p1", to: at(p2[4], 8001), servers: [on("p2", 8001)] },
  { name: "no rule, IPv6", from: "p1", to: at(p2[6], 8001), servers: [on("p2", 8001, 6)] },
  { name: "a service address", from: "p1", to: vip(2), servers: [on("p2", 8002)] },
  { name: "a service address, IPv6", from: "p1", to: vip(2, 80, 6), servers: [on("p2", 8002, 6)] },
  {
    name: "one of two backends",
    from: "p1",
    to: vip(3, 8003),
    servers: [on("p2", 8003), on("p3", 8003)],
  },
  {
    name: "closed by a reset at once",
    from: "p1",
    to: vip(4),
    servers: [on("p2", 8004)],
    by: "reset",
  },
  {
    name: "a range of ports becomes another",
    from: "p1",
    to: (n) => vip(5, 7000 + (n % 10)),
    servers: Array.from({ length: 10 }, (_, n) => on("p2", 7100 + n)),
  },
  { name: "a pod behind its own service", from: "p1", to: vip(6), servers: [on("p1", 8006)] },
  { name: "masquerade", from: "p1", to: at(ext[4], 8007), servers: [on("ext", 8007)] },
  { name: "masquerade, IPv6", from: "p1", to: at(ext[6], 8007), servers: [on("ext", 8007, 6)] },
  {
    name: "SNAT to a range of ports",
    from: "p1",
    to: at(ext[4], 8071),
    servers: [on("ext", 8071)],
  },
  { name: "SNAT fully random", from: "p1", to: at(ext[4], 8072), servers: [on("ext", 8072)] },
  {
    name: "a port of the node, masqueraded",
    from: "ext",
    to: at(outside[4], 30080),
    servers: [on("p2", 8088)],
  },
  {
    name: "a port of the node, as it came",
    from: "ext",
    to: at(outside[4], 30081),
    servers: [on("p2", 8008)],
  },
  {
    name: "a port of the node, IPv6",
    from: "ext",
    to: at(outside[6], 30081),
    servers: [on("p2", 8008, 6)],
  },
  { name: "a process of the host", from: "root", to: vip(9), servers: [on("p2", 8009)] },
  {
    name: "a port of 127.0.0.1",
    from: "root",
    to: at("127.0.0.1", 5000),
    servers: [on("p2", 8010)],
  },
  {
    name: "REDIRECT in the pod itself",
    from: "p3",
    to: vip(10, 9999),
    servers: [{ place: "p3", listen: at("127.0.0.1", 8110) }],
    answers: hardToAsk,
  },
  {
    name: "REDIRECT in the pod itself, IPv6",
    from: "p3",
    to: vip(10, 9999, 6),
    servers: [{ place: "p3", listen: at("::1", 8110) }],
    answers: hardToAsk,
  },
  {
    name: "REDIRECT on the host",
    from: "p1",
    to: vip(12),
    servers: [{ place: "root", listen: at("10.1.1.1", 8012) }],
  },
  {
    name: "TPROXY",
    from: "p1",
    to: vip(120),
    servers: [{ place: "root", listen: at("127.0.0.1", 8120) }],
    prepare: (fd) =>
      void check(libc.setsockoptInt(fd, k.IPPROTO_IP, IP_TRANSPARENT, 1), "transparent"),
  },
  {
    name: "NOTRACK",
    from: "p1",
    to: at(p2[4], 8013),
    servers: [on("p2", 8013)],
    answers: unknown,
    kept: false,
  },
  {
    name: "two pods on a bridge that netfilter does not see",
    from: "b1",
    to: at(b2[4], 8113),
    servers: [on("b2", 8113)],
    before: () => filterBridge(false),
    answers: unknown,
    kept: false,
  },
  {
    name: "two pods on a bridge that netfilter sees",
    from: "b1",
    to: at(b2[4], 8113),
    servers: [on("b2", 8113)],
    before: () => filterBridge(true),
  },
  {
    name: "a service address behind the bridge",
    from: "b1",
    to: vip(14),
    servers: [on("b2", 8014)],
    before: () => filterBridge(true),
  },
  {
    name: "a zone of conntrack",
    from: "p1",
    to: vip(15),
    servers: [on("p2", 8015)],
    answers: hardToAsk,
  },
  {
    name: "IPVS that tracks",
    from: "p1",
    to: vip(22),
    servers: [on("p2", 8022)],
    before: () => trackIpvs(true),
  },
  {
    // Ports of its own: what was tracked with the same four names is not forgotten so soon.
    name: "IPVS that does not track",
    from: "p1",
    to: vip(22, 81),
    servers: [on("p2", 8122)],
    before: () => trackIpvs(false),
    answers: unknown,
    kept: false,
  },
  {
    name: "a flow table",
    from: "p1",
    to: vip(23),
    servers: [on("p2", 8023)],
    meanwhile: talk,
  },
  {
    name: "a proxy in user space",
    from: "p1",
    to: at("10.1.1.1", 8024),
    servers: [{ place: "root", listen: at("10.1.1.1", 8024) }],
  },
  {
    name: "that proxy's own connection",
    from: "root",
    to: at(p2[4], 8024),
    servers: [on("p2", 8024)],
  },
  {
    name: "translated without any state",
    from: "p1",
    to: vip(25, 8025),
    servers: [on("p2", 8025)],
    answers: unknown,
    kept: false,
  },
];

const IP_TRANSPARENT = 19;

/** UDP: `to` is asked once by each socket. */
export const flows: readonly Omit<Service, "by" | "before" | "meanwhile" | "prepare">[] = [
  { name: "no rule", from: "p1", to: at(p2[4], 8001), servers: [on("p2", 8001)] },
  { name: "no rule, IPv6", from: "p1", to: at(p2[6], 8001), servers: [on("p2", 8001, 6)] },
  { name: "a service address", from: "p1", to: vip(2, 53), servers: [on("p2", 8002)] },
  { name: "a service address, IPv6", from: "p1", to: vip(2, 53, 6), servers: [on("p2", 8002, 6)] },
  {
    name: "one of two backends",
    from: "p1",
    to: vip(3, 8003),
    servers: [on("p2", 8003), on("p3", 8003)],
  },
  { name: "masquerade", from: "p1", to: at(ext[4], 8007), servers: [on("ext", 8007)] },
  { name: "masquerade, IPv6", from: "p1", to: at(ext[6], 8007), servers: [on("ext", 8007, 6)] },
];
