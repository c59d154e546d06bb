/** The rules of the router and of pods, for all scenarios at once: each has a service address or a port of its own. */
import { readFileSync } from "node:fs";
import { addresses, nft, outside, runIn, secondOfP3, service, sysctl } from "./nat_network.ts";

const { p1, p2, p3, b2, ext } = addresses;

const router = `
table ip service {
  chain zones { type filter hook prerouting priority -300; policy accept;
    ip daddr ${service(15)} tcp dport 80 ct zone set 5
    ip saddr ${p2[4]} tcp sport 8015 ct zone set 5
    ip daddr ${p2[4]} tcp dport 8013 notrack
    ip saddr ${p2[4]} tcp sport 8013 notrack
    ip daddr ${service(25)} tcp dport 8025 notrack ip daddr set ${p2[4]}
    ip saddr ${p2[4]} tcp sport 8025 notrack ip saddr set ${service(25)}
    ip dscp cs1 ip daddr ${service(26)} tcp dport 8026 notrack ip daddr set ${p3[4]}
    ip saddr ${p3[4]} tcp sport 8026 notrack ip saddr set ${service(26)}
    ip dscp cs1 ip daddr ${p2[4]} tcp dport 8026 notrack
    ip dscp cs1 ip saddr ${p2[4]} tcp sport 8026 notrack
  }
  chain proxy { type filter hook prerouting priority mangle; policy accept;
    ip daddr ${service(120)} tcp dport 80 tproxy to 127.0.0.1:8120 meta mark set 1 accept
  }
  chain asked { type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${service(2)} tcp dport 80 dnat to ${p2[4]}:8002
    ip daddr ${service(2)} udp dport 53 dnat to ${p2[4]}:8002
    ip daddr ${service(3)} tcp dport 8003 dnat to numgen random mod 2 map { 0 : ${p2[4]}, 1 : ${p3[4]} }
    ip daddr ${service(3)} udp dport 8003 dnat to numgen random mod 2 map { 0 : ${p2[4]}, 1 : ${p3[4]} }
    ip daddr ${service(4)} tcp dport 80 dnat to ${p2[4]}:8004
    ip daddr ${service(6)} tcp dport 80 dnat to ${p1[4]}:8006
    ip daddr ${outside[4]} tcp dport 30080 dnat to ${p2[4]}:8088
    ip daddr ${outside[4]} tcp dport 30081 dnat to ${p2[4]}:8008
    ip daddr ${service(11)} tcp dport 80 dnat to ${p2[4]}:8011
    ip daddr ${service(12)} tcp dport 80 redirect to :8012
    ip daddr ${service(14)} tcp dport 80 dnat to ${b2[4]}:8014
    ip daddr ${service(15)} tcp dport 80 dnat to ${p2[4]}:8015
    ip daddr ${service(16)} tcp dport 80 dnat to ${p2[4]}:8016
    ip daddr ${service(17)} tcp dport 1 dnat to ${p2[4]}:1
    ip daddr ${service(18)} tcp dport 8018 dnat to numgen inc mod 2 map { 0 : ${p2[4]}, 1 : ${p3[4]} }
    ip daddr ${service(19)} tcp dport 80 dnat to ${p2[4]}:8019
    ip daddr ${service(20)} udp dport 8020 dnat to numgen inc mod 2 map { 0 : ${p2[4]}, 1 : ${p3[4]} }
    ip daddr ${service(21)} udp dport 8021 dnat to numgen inc mod 2 map { 0 : ${p2[4]}, 1 : ${p3[4]} }
    ip daddr ${service(23)} tcp dport 80 dnat to ${p2[4]}:8023
    ip daddr ${service(26)} tcp dport 8026 dnat to ${p2[4]}
  }
  chain own { type nat hook output priority -100; policy accept;
    ip daddr ${service(9)} tcp dport 80 dnat to ${p2[4]}:8009
    ip daddr 127.0.0.1 tcp dport 5000 dnat to ${p2[4]}:8010
  }
  chain sent { type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${p1[4]} ip daddr ${p1[4]} masquerade
    ip saddr 127.0.0.1 ip daddr ${p2[4]} masquerade
    ip daddr ${ext[4]} tcp dport 8007 masquerade
    ip daddr ${ext[4]} udp dport 8007 masquerade
    ip daddr ${ext[4]} tcp dport 8071 snat to ${outside[4]}:20000-29999
    ip daddr ${ext[4]} tcp dport 8072 masquerade fully-random
    ip saddr ${ext[4]} tcp dport 8088 masquerade
  }
}
table ip6 service {
  chain asked { type nat hook prerouting priority dstnat; policy accept;
    ip6 daddr ${service(2, 6)} tcp dport 80 dnat to [${p2[6]}]:8002
    ip6 daddr ${service(2, 6)} udp dport 53 dnat to [${p2[6]}]:8002
    ip6 daddr ${outside[6]} tcp dport 30081 dnat to [${p2[6]}]:8008
  }
  chain sent { type nat hook postrouting priority srcnat; policy accept;
    ip6 daddr ${ext[6]} tcp dport 8007 masquerade
    ip6 daddr ${ext[6]} udp dport 8007 masquerade
  }
}
`;

const flowTable = `
table ip fast {
  flowtable fast { hook ingress priority 0; devices = { v-p1, v-p2 }; }
  chain forwarded { type filter hook forward priority 0; policy accept;
    tcp dport 8023 flow add @fast
  }
}
`;

/**
 * Half a million rules that match nothing, between the choice of a backend and the entry in the table: so two datagrams of
 * one socket choose before either has an entry.
 */
const slow = `
table ip slow {
  chain one { ${"meta mark 77 drop; ".repeat(100)} }
  chain many { ${"jump one; ".repeat(100)} }
  chain forwarded { type filter hook forward priority 0; policy accept;
${"    udp dport 8020 jump many\n".repeat(50)}  }
}
`;

const inP3 = `
table ip mesh {
  chain own { type nat hook output priority -100; policy accept;
    ip daddr ${service(10)} tcp dport 9999 redirect to :8110
  }
  chain sent { type nat hook postrouting priority srcnat; policy accept;
    ip daddr ${service(11)} snat to ${secondOfP3}
  }
}
table ip6 mesh {
  chain own { type nat hook output priority -100; policy accept;
    ip6 daddr ${service(10, 6)} tcp dport 9999 redirect to :8110
  }
}
`;

/** Loads the modules that it needs. */
export function addRules(): void {
  nft("root", router + flowTable + slow);
  nft("p3", inP3);
  // Only iptables can say which port of the range becomes which.
  iptables(
    `-t nat -A PREROUTING -d ${service(5)} -p tcp --dport 7000:7009 -j DNAT --to-destination ${p2[4]}:7100-7109/7000`,
  );
  // No rule needs these two. The second one answers questions about entries, a tracer's too.
  for (const name of ["br_netfilter", "nf_conntrack_netlink"]) runIn("root", ["modprobe", name]);
  for (const [port, backend] of [
    [80, 8022],
    [81, 8122],
  ]) {
    const to = `${service(22)}:${port}`;
    runIn("root", ["ipvsadm", "-A", "-t", to, "-s", "rr"]);
    runIn("root", ["ipvsadm", "-a", "-t", to, "-r", `${p2[4]}:${backend}`, "-m"]);
  }
  // Entries stay until a test has looked at them.
  for (const state of [
    "tcp_timeout_close",
    "tcp_timeout_time_wait",
    "udp_timeout",
    "udp_timeout_stream",
  ])
    sysctl(`net/netfilter/nf_conntrack_${state}`, "600");
  // A table that is full drops packets; of a small guest it would be after some thousand connections.
  sysctl("net/netfilter/nf_conntrack_max", "1000000");
}

/** Takes away the rules and every module of netfilter that nothing holds. */
export function unloadAll(): void {
  for (const place of ["root", "p3"] as const) nft(place, "flush ruleset");
  runIn("root", ["ipvsadm", "-C"]);
  for (let unused = idleModules(); unused.length > 0; unused = idleModules())
    for (const name of unused) runIn("root", ["rmmod", name]);
}

/** Whether IPVS makes entries of conntrack for what it translates. */
export const trackIpvs = (isOn: boolean): void => sysctl("net/ipv4/vs/conntrack", isOn ? "1" : "0");

/** Whether netfilter sees what the bridge passes on. */
export function filterBridge(isOn: boolean): void {
  for (const family of ["iptables", "ip6tables"])
    sysctl(`net/bridge/bridge-nf-call-${family}`, isOn ? "1" : "0");
}

const connectionTracking = /^(nf|nft|xt|ip|ip6|ipt|ip6t|iptable|ip6table|x|br)_(?!vs_)|^ip_vs/;

/** Of those that have to do with connection tracking. A module that another one needs follows that one. */
function idleModules(): string[] {
  return readFileSync("/proc/modules", "latin1")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([name = "", , users]) => connectionTracking.test(name) && users === "0")
    .map(([name]) => name!);
}

const iptables = (words: string): string => runIn("root", ["iptables", ...words.split(" ")]);
