/**
 * Pods behind a router that translates addresses: network namespaces p1 to p3 with a network of their own each, b1 and b2
 * on one bridge, and ext, which stands for the world outside. The router is the host's own namespace, so this is for
 * guests of the lab alone. The tests of NAT say what each rule is for: see nat_scenarios.ts.
 */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { CLONE_NEWNET } from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { ofOwnThread } from "../../../src/kernel/own_thread.ts";
import { check } from "./peer.ts";

/** `root` is the router. */
export type Place = "root" | "p1" | "p2" | "p3" | "b1" | "b2" | "ext";

/** Addresses of IPv4 and IPv6; the router's end of each network has the last number 1. */
export const addresses = {
  p1: { 4: "10.1.1.2", 6: "fd00:1:1::2" },
  p2: { 4: "10.1.2.2", 6: "fd00:1:2::2" },
  p3: { 4: "10.1.3.2", 6: "fd00:1:3::2" },
  b1: { 4: "10.2.0.2", 6: "fd00:2::2" },
  b2: { 4: "10.2.0.3", 6: "fd00:2::3" },
  ext: { 4: "192.0.2.2", 6: "2001:db8:1::2" },
} as const;

/** The router's addresses towards ext. */
export const outside = { 4: "192.0.2.1", 6: "2001:db8:1::1" } as const;

/** The second address of p3, which its own rules give to some connections. */
export const secondOfP3 = "10.1.3.9";

/** To add a scenario, take the next number, which stands in the backend's port too. */
export const service = (number: number, family: 4 | 6 = 4): string =>
  family === 4 ? `10.96.0.${number}` : `fd00:96::${number}`;

const pods = Object.keys(addresses) as Exclude<Place, "root">[];

/** Names and links, and the router's sysctls. No rule yet. */
export function buildNetwork(): void {
  const bridged = new Set<Place>(["b1", "b2"]);
  const links = pods.map((pod) => `link add v-${pod} type veth peer name eth0 netns ${pod}`);
  const up = pods.map((pod) => `link set v-${pod} up`);
  const ends = pods
    .filter((pod) => !bridged.has(pod))
    .flatMap((pod) => [
      `addr add ${gateway(addresses[pod][4])}/24 dev v-${pod}`,
      `addr add ${gateway(addresses[pod][6])}/64 dev v-${pod} nodad`,
    ]);
  ip([], pods.map((pod) => `netns add ${pod}`).join("\n"));
  ip(
    [],
    [
      ...links,
      "link add br0 type bridge",
      "addr add 10.2.0.1/24 dev br0",
      "addr add fd00:2::1/64 dev br0 nodad",
      "link set br0 up",
      ...[...bridged].map((pod) => `link set v-${pod} master br0`),
      ...ends,
      ...up,
    ].join("\n"),
  );
  for (const pod of pods) {
    const { 4: v4, 6: v6 } = addresses[pod];
    ip(
      ["-n", pod],
      [
        "link set lo up",
        `addr add ${v4}/24 dev eth0`,
        `addr add ${v6}/64 dev eth0 nodad`,
        ...(pod === "p3" ? [`addr add ${secondOfP3}/24 dev eth0`] : []),
        "link set eth0 up",
        `route add default via ${gateway(v4)}`,
        `route add default via ${gateway(v6)}`,
      ].join("\n"),
    );
  }
  ip([], ["route add default via 192.0.2.2", "route add default via 2001:db8:1::2"].join("\n"));
  // TPROXY's packets are taken in although no address of the router is theirs. IPVS serves an address of its own.
  ip(
    [],
    [
      "rule add fwmark 1 lookup 100",
      "route add local 0.0.0.0/0 dev lo table 100",
      `addr add ${service(22)}/32 dev lo`,
    ].join("\n"),
  );
  sysctl("net/ipv4/ip_forward", "1");
  sysctl("net/ipv6/conf/all/forwarding", "1");
  // A port of 127.0.0.1 leads to another machine.
  sysctl("net/ipv4/conf/all/route_localnet", "1");
}

export function sysctl(name: string, value: string): void {
  writeFileSync(`/proc/sys/${name}`, value);
}

/** Runs `act` with the calling thread in that namespace: a socket belongs to the one that it was made in. */
export function inPlace<T>(place: Place, act: () => T): T {
  if (place === "root") return act();
  const home = openSync(ofOwnThread("ns/net"), "r");
  try {
    check(libc.setns(descriptorOf(place), CLONE_NEWNET), `setns ${place}`);
    return act();
  } finally {
    check(libc.setns(home, CLONE_NEWNET), "setns back");
    closeSync(home);
  }
}

/** Runs a command there; its output. `input` is for its stdin. */
export function runIn(place: Place, command: string[], input?: string): string {
  const { exitCode, stdout, stderr } = inPlace(place, () =>
    Bun.spawnSync(command, {
      stdin: input === undefined ? "ignore" : Buffer.from(input),
      stdout: "pipe",
      stderr: "pipe",
    }),
  );
  if (exitCode !== 0) throw new Error(`${place}: ${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

/** Adds rules. */
export const nft = (place: Place, rules: string): string => runIn(place, ["nft", "-f", "-"], rules);

// --- internal ---

const descriptors = new Map<Place, number>();

function descriptorOf(place: Place): number {
  const known = descriptors.get(place) ?? openSync(`/run/netns/${place}`, "r");
  descriptors.set(place, known);
  return known;
}

const gateway = (address: string): string => address.replace(/\d+$/, "1");

const ip = (options: string[], commands: string): string =>
  runIn("root", ["ip", ...options, "-batch", "-"], `${commands}\n`);
