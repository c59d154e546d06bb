/** The flags that say which events are wanted, for every command that shows events. */

import type { EventKind, Protocol } from "../conn/event.ts";
import { UsageError } from "../errors.ts";
import { parseCidr } from "../filter/cidr.ts";
import type { Filter, Lists } from "../filter/filter.ts";
import {
  cgroupMounts,
  localUsers,
  namedNetns,
  netnsAt,
  servicePorts,
} from "../kernel/host_names.ts";
import { eventKinds } from "../members/table.ts";
import { bare, itemsOf } from "./command.ts";
import { refuseContradictions } from "./contradictions.ts";
import {
  cgroup,
  netnsOf,
  network,
  pid,
  portsOf,
  protocol,
  serverName,
  uidOf,
  type HostNames,
} from "./filter_values.ts";
import { Wrong } from "./wrong.ts";

export const filterFlags = {
  pid: {
    type: "string",
    alias: "p",
    valueHint: "PID",
    repeat: "list",
    description: "only events of these processes",
  },
  comm: {
    type: "string",
    valueHint: "NAME",
    repeat: "list",
    description:
      "only events of processes, or of threads, with this command name; its first 15 bytes count",
  },
  port: {
    type: "string",
    alias: "P",
    valueHint: "PORT",
    repeat: "list",
    description:
      "only with this port at either end: 443, 8000-8100, or a name in /etc/services; a value of this or any other list with ! in front is not wanted: 443,!8443",
  },
  localport: {
    type: "string",
    alias: "L",
    valueHint: "PORT",
    repeat: "list",
    description: "only with this local port",
  },
  remoteport: {
    type: "string",
    alias: "D",
    valueHint: "PORT",
    repeat: "list",
    description: "only with this remote port",
  },
  laddr: {
    type: "string",
    valueHint: "CIDR",
    repeat: "list",
    description: "only with a local address of this network: 10.0.0.0/8, fd00::/8, 127.0.0.1",
  },
  raddr: {
    type: "string",
    valueHint: "CIDR",
    repeat: "list",
    description: "only with a remote address of this network; !10.0.0.0/8: not of this one",
  },
  "no-loopback": {
    type: "boolean",
    alias: "l",
    description: "only connections whose remote address is none of 127.0.0.0/8 and ::1",
  },
  nat: {
    type: "boolean",
    description: "only connections and flows whose ends this host translates (NAT)",
  },
  "nat-localport": {
    type: "string",
    valueHint: "PORT",
    repeat: "list",
    description: "only with this port as the translated local one",
  },
  "nat-remoteport": {
    type: "string",
    valueHint: "PORT",
    repeat: "list",
    description: "only with this port as the translated remote one",
  },
  "nat-laddr": {
    type: "string",
    valueHint: "CIDR",
    repeat: "list",
    description: "only with a translated local address of this network",
  },
  "nat-raddr": {
    type: "string",
    valueHint: "CIDR",
    repeat: "list",
    description:
      "only with a translated remote address of this network: a backend, the real client",
  },
  app: {
    type: "string",
    valueHint: "PROTOCOL",
    repeat: "list",
    description:
      "only connections that speak one of these in any layer: tls,http,postgres; with ! in front none of these; it is known of each close, of a connect not yet",
  },
  sni: {
    type: "string",
    valueHint: "NAME",
    repeat: "list",
    description:
      "only connections whose client asks for this server by TLS: example.com, *.example.com; with ! in front not for this one",
  },
  ipv4: { type: "boolean", alias: "4", description: "only IPv4, also over IPv6 sockets" },
  ipv6: { type: "boolean", alias: "6", description: "only IPv6" },
  tcp: { type: "boolean", description: "only TCP" },
  udp: { type: "boolean", description: "only UDP" },
  netns: {
    type: "string",
    alias: "N",
    valueHint: "NETNS",
    repeat: "list",
    description:
      "only events in this network namespace: a name of `ip netns`, a path, an inode, pid:N",
  },
  cgroup: {
    type: "string",
    valueHint: "PATH",
    repeat: "list",
    description:
      "only events of this control group and the groups below it: /system.slice/nginx.service",
  },
  unit: {
    type: "string",
    valueHint: "UNIT",
    repeat: "list",
    description: "only events of this unit of systemd: nginx, or user@1000.service",
  },
  container: {
    type: "string",
    valueHint: "ID",
    repeat: "list",
    description:
      "only events of this container: its id, four or more of its first digits, or its name",
  },
  uid: {
    type: "string",
    alias: "u",
    valueHint: "USER",
    repeat: "list",
    description: "only events of this user: a number, or a name in /etc/passwd",
  },
  events: {
    type: "string",
    options: eventKinds as string[],
    repeat: "list",
    unwanted: true,
    description:
      "only these events; with ! in front not these; protocol is told where it is named here alone",
  },
  failed: {
    type: "boolean",
    description:
      "only failed attempts to connect, datagrams that drew an error, and closes of connections that ended by an error",
  },
} as const;

/** Values of the flags above; `undefined`: not given. */
export type FilterArgs = {
  [Flag in keyof typeof filterFlags]?:
    | ((typeof filterFlags)[Flag]["type"] extends "boolean" ? boolean : string)
    | undefined;
};

/** `command` is the command as typed, for the errors. */
export function filterOf(
  args: FilterArgs,
  command: string,
  host: HostNames = { cgroupMounts, localUsers, namedNetns, netnsAt, servicePorts },
): Filter {
  const each = <T>(flag: keyof FilterArgs, parse: (text: string) => T | Wrong): T[] =>
    itemsOf(args[flag] as string | undefined).map((text) => {
      const value = parse(text);
      if (!(value instanceof Wrong)) return value;
      const { what, why, instead } = value;
      throw new UsageError(`flag --${flag}: ${what}`, {
        command,
        why,
        suggestion: instead === null ? null : `--${flag} ${instead}`,
      });
    });
  /** Values with `!` in front are not wanted. */
  const signed = <T>(flag: keyof FilterArgs, parse: (text: string) => T | Wrong) => {
    const all = each(flag, (text) => {
      const value = parse(bare(text));
      return value instanceof Wrong ? value : { value, isNot: text.startsWith("!") };
    });
    const of = (isNot: boolean) => all.filter((one) => one.isNot === isNot);
    return { wanted: of(false).map(({ value }) => value), not: of(true).map(({ value }) => value) };
  };
  const ports = (flag: PortFlag) => {
    const { wanted, not } = signed(flag, (text) => portsOf(text, host));
    const all = (ranges: readonly [number, number][]) =>
      inOrder(ranges.flatMap(([first, last]) => counted(first, last)));
    return { wanted: all(wanted), not: all(not) };
  };
  const numbers = ({ wanted, not }: Signed<number>) => ({
    wanted: inOrder(wanted),
    not: inOrder(not),
  });
  const lists: { [L in keyof Lists]: Signed<Lists[L][number]> } = {
    pids: numbers(signed("pid", pid)),
    comms: signed("comm", (name) => name),
    ports: ports("port"),
    localPorts: ports("localport"),
    remotePorts: ports("remoteport"),
    localNets: signed("laddr", network),
    remoteNets: signed("raddr", network),
    natLocalPorts: ports("nat-localport"),
    natRemotePorts: ports("nat-remoteport"),
    natLocalNets: signed("nat-laddr", network),
    natRemoteNets: signed("nat-raddr", network),
    netns: numbers(signed("netns", (text) => netnsOf(text, host))),
    cgroups: signed("cgroup", (text) => cgroup(text, host)),
    units: signed("unit", (name) => name),
    containers: signed("container", (name) => name),
    uids: numbers(signed("uid", (text) => uidOf(text, host))),
  };
  const not = pick(lists, "not");
  const [apps, names] = [signed("app", protocol), signed("sni", serverName)];
  // strict.ts has compared them with the options.
  const kinds = signed("events", (kind) => kind as EventKind);
  const filter: Filter = {
    ...pick(lists, "wanted"),
    not:
      args["no-loopback"] === true ? { ...not, remoteNets: [...not.remoteNets, ...LOOPBACK] } : not,
    nat: args.nat === true,
    apps: apps.wanted,
    notApps: apps.not,
    serverNames: names.wanted,
    notServerNames: names.not,
    families: chosen<4 | 6>([4, args.ipv4], [6, args.ipv6]),
    protocols: chosen<Protocol>(["tcp", args.tcp], ["udp", args.udp]),
    kinds: kinds.wanted,
    notKinds: kinds.not,
    failed: args.failed === true,
  };
  refuseContradictions(filter, args, command);
  return filter;
}

/** Whether nothing can pass where no translation is known. */
export const asksForNat = (filter: Filter): boolean =>
  filter.nat ||
  [filter, filter.not].some((lists) =>
    [lists.natLocalPorts, lists.natRemotePorts, lists.natLocalNets, lists.natRemoteNets].some(
      (list) => list.length > 0,
    ),
  );

/**
 * The filter for the events of a trace that was opened with this one: where TCP is all that is traced, nothing else comes. A
 * record of which an event need not be asked anything takes a straight way to its line.
 */
export const leftToAsk = (filter: Filter): Filter =>
  filter.protocols.every((protocol) => protocol === "tcp") ? { ...filter, protocols: [] } : filter;

/** Whether the lines tell of a protocol once it is known. */
export const tellsProtocol = ({ kinds, notKinds }: Filter): boolean =>
  kinds.includes("protocol") && !notKinds.includes("protocol");

/** Whether nothing can pass where no protocol is known. */
export const asksForProtocols = ({ apps, notApps, serverNames, notServerNames }: Filter): boolean =>
  [apps, notApps, serverNames, notServerNames].some((wanted) => wanted.length > 0);

// --- internal ---

interface Signed<T> {
  wanted: readonly T[];
  not: readonly T[];
}

const pick = (lists: { [L in keyof Lists]: Signed<Lists[L][number]> }, side: keyof Signed<never>) =>
  Object.fromEntries(
    Object.entries(lists).map(([name, values]) => [name, values[side]]),
  ) as unknown as Lists;

const LOOPBACK = ["127.0.0.0/8", "::1"].map((text) => parseCidr(text)!);

type PortFlag = "port" | "localport" | "remoteport" | "nat-localport" | "nat-remoteport";

const inOrder = (numbers: readonly number[]): number[] =>
  [...new Set(numbers)].sort((a, b) => a - b);

const counted = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

const chosen = <T>(...pairs: [T, boolean | undefined][]): T[] =>
  pairs.filter(([, given]) => given === true).map(([value]) => value);
