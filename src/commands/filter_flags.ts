/** The flags that say which events are wanted, for every command that shows events. */

import type { EventKind, Protocol } from "../conn/event.ts";
import { UsageError } from "../errors.ts";
import { parseCidr, type Cidr } from "../filter/cidr.ts";
import type { Filter } from "../filter/filter.ts";
import { localUsers, namedNetns, NETNS_DIRECTORIES, netnsAt } from "../kernel/host_names.ts";
import { eventKinds } from "../output/members.ts";
import { itemsOf } from "./command.ts";
import { nearest } from "./nearest.ts";

export const filterFlags = {
  pid: {
    type: "string",
    alias: "p",
    valueHint: "PID",
    repeat: "list",
    description: "only of these processes",
  },
  comm: {
    type: "string",
    valueHint: "NAME",
    repeat: "list",
    description: "only of processes with this command name, of which 15 bytes count",
  },
  port: {
    type: "string",
    alias: "P",
    valueHint: "PORT",
    repeat: "list",
    description: "only with this port at either end: 443, or 8000-8100",
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
    description: "only with a remote address of this network",
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
    description: "only in this network namespace: a name of `ip netns`, a path, an inode, pid:N",
  },
  cgroup: {
    type: "string",
    valueHint: "PATH",
    repeat: "list",
    description: "only in this control group and those below it: /system.slice/nginx.service",
  },
  uid: {
    type: "string",
    alias: "u",
    valueHint: "USER",
    repeat: "list",
    description: "only of this user: a number, or a name in /etc/passwd",
  },
  events: {
    type: "string",
    options: eventKinds as string[],
    repeat: "list",
    description: "only these events",
  },
  failed: {
    type: "boolean",
    description:
      "only failed attempts to connect, and closes of connections that ended by an error",
  },
} as const;

/** Values of the flags above; `undefined`: not given. */
export type FilterArgs = {
  [Flag in keyof typeof filterFlags]?:
    | ((typeof filterFlags)[Flag]["type"] extends "boolean" ? boolean : string)
    | undefined;
};

/** What this host calls its users and namespaces. */
export interface HostNames {
  localUsers: typeof localUsers;
  namedNetns: typeof namedNetns;
  netnsAt: typeof netnsAt;
}

/** `command` is the command as typed, for the errors. */
export function filterOf(
  args: FilterArgs,
  command: string,
  host: HostNames = { localUsers, namedNetns, netnsAt },
): Filter {
  const each = <T>(flag: keyof FilterArgs, parse: (text: string) => T | Wrong): T[] =>
    itemsOf(args[flag] as string | undefined).map((text) => {
      const value = parse(text);
      if (!(value instanceof Wrong)) return value;
      const { what, why, instead } = value;
      throw new UsageError(`flag --${flag}: ${what}`, {
        command,
        ...(why === null ? {} : { why }),
        suggestion: instead === null ? null : `--${flag} ${instead}`,
      });
    });
  const ports = (flag: "port" | "localport" | "remoteport"): number[] =>
    inOrder(each(flag, portRange).flatMap(([first, last]) => counted(first, last)));
  const filter: Filter = {
    pids: inOrder(each("pid", pid)),
    comms: each("comm", (name) => name),
    ports: ports("port"),
    localPorts: ports("localport"),
    remotePorts: ports("remoteport"),
    localNets: each("laddr", network),
    remoteNets: each("raddr", network),
    families: chosen<4 | 6>([4, args.ipv4], [6, args.ipv6]),
    protocols: chosen<Protocol>(["tcp", args.tcp], ["udp", args.udp]),
    netns: inOrder(each("netns", (text) => netnsOf(text, host))),
    cgroups: each("cgroup", cgroup),
    uids: inOrder(each("uid", (text) => uidOf(text, host))),
    // strict.ts has compared them with the options.
    kinds: each("events", (kind) => kind as EventKind),
    failed: args.failed === true,
  };
  if (filter.failed && filter.kinds.length > 0 && !filter.kinds.some((kind) => canFail(kind)))
    throw new UsageError(`--failed and --events ${filter.kinds.join()} exclude each other`, {
      command,
      why: "only fail and close events tell of a failure",
      suggestion: "--failed",
    });
  return filter;
}

// --- internal ---

/** Why a value is none. */
class Wrong {
  readonly what: string;
  readonly why: string | null;
  /** A value that may have been meant. */
  readonly instead: string | null;

  constructor(what: string, why: string | null, instead: string | null) {
    this.what = what;
    this.why = why;
    this.instead = instead;
  }
}

const canFail = (kind: EventKind): boolean => kind === "fail" || kind === "close";

const inOrder = (numbers: readonly number[]): number[] =>
  [...new Set(numbers)].sort((a, b) => a - b);

const counted = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

const chosen = <T>(...pairs: [T, boolean | undefined][]): T[] =>
  pairs.filter(([, given]) => given === true).map(([value]) => value);

/** PID_MAX_LIMIT of a 64-bit kernel. */
const MAX_PID = 1 << 22;

function pid(text: string): number | Wrong {
  const number = wholeNumber(text, 1, MAX_PID);
  if (number !== null) return number;
  const isName = /^[a-z]/i.test(text);
  return new Wrong(
    `"${text}" is no process id`,
    isName
      ? "it is a number; names of commands are for --comm"
      : `it is a whole number from 1 to ${MAX_PID}`,
    "1234",
  );
}

const MAX_PORT = 65_535;

function portRange(text: string): [first: number, last: number] | Wrong {
  const [first = "", last = first, ...more] = text.split("-");
  const [from, to] = [wholeNumber(first, 1, MAX_PORT), wholeNumber(last, 1, MAX_PORT)];
  if (from !== null && to !== null && from <= to && more.length === 0) return [from, to];
  const [, low, high] = /^(\d+)[-:.]+(\d+)$/.exec(text) ?? [];
  const meant = [wholeNumber(low ?? "", 1, MAX_PORT), wholeNumber(high ?? "", 1, MAX_PORT)]
    .filter((port) => port !== null)
    .sort((a, b) => a - b);
  return new Wrong(
    `"${text}" is no port`,
    `it is a number from 1 to ${MAX_PORT}, or two with a dash between, the smaller one first`,
    meant.length === 2 ? meant.join("-") : "443",
  );
}

function network(text: string): Cidr | Wrong {
  const cidr = parseCidr(text);
  if (cidr !== null) return cidr;
  const [address = "", bits] = text.split("/");
  const alone = parseCidr(address);
  if (alone === null || bits === undefined)
    return new Wrong(
      `"${text}" is no network`,
      "it is an IPv4 or IPv6 address, alone or with the length of a prefix behind it",
      "10.0.0.0/8",
    );
  const width = address.includes(":") ? 128 : 32;
  return new Wrong(
    `"${text}" is no network`,
    `the prefix "${bits}" is no number from 0 to ${width}`,
    `${address}/${width}`,
  );
}

/** All inodes of namespaces are above this one (PROC_DYNAMIC_FIRST, and the fixed ones a little below it). */
const FIRST_INODE = 0xefff_fff0;

function netnsOf(text: string, host: HostNames): number | Wrong {
  const inode = wholeNumber(text, FIRST_INODE, 0xffff_ffff);
  if (inode !== null) return inode;
  const [, process] = /^pid:(\d+)$/.exec(text) ?? [];
  const names = host.namedNetns();
  const path =
    process !== undefined ? `/proc/${process}/ns/net` : text.includes("/") ? text : names.get(text);
  const found =
    path === undefined ? `${NETNS_DIRECTORIES[0]}/${text} does not exist` : host.netnsAt(path);
  if (typeof found === "number") return found;
  const known = [...names.keys()];
  const named = known.length === 0 ? "no namespace has a name" : `named are ${some(known)}`;
  const isNumber = /^\d+$/.test(text);
  return new Wrong(
    `no network namespace "${text}"`,
    `${found}; in ${NETNS_DIRECTORIES.join(" and ")} ${named}`,
    isNumber ? `pid:${text}` : (nearest(text, known) ?? known[0] ?? "pid:1"),
  );
}

const CGROUP_MOUNT = "/sys/fs/cgroup";

/** Also as a path of the file system, as people copy it. */
function cgroup(text: string): string | Wrong {
  const path = (text.startsWith(`${CGROUP_MOUNT}/`) ? text.slice(CGROUP_MOUNT.length) : text)
    .replace(/\/+/g, "/")
    .replace(/\/$/, "");
  if (path === CGROUP_MOUNT) return "";
  if (text.startsWith("/") && !/\/\.\.?(\/|$)/.test(path)) return path;
  return new Wrong(
    `"${text}" is no control group`,
    `it is a path below ${CGROUP_MOUNT} that begins with a slash, as in /proc/PID/cgroup`,
    /^[\w@:-]+\.(service|scope|socket)$/.test(text) ? `/system.slice/${text}` : "/system.slice",
  );
}

/** The largest is (uid_t) -1, which is nobody's. */
const MAX_UID = 0xffff_fffe;

function uidOf(text: string, host: HostNames): number | Wrong {
  const number = wholeNumber(text, 0, MAX_UID);
  if (number !== null) return number;
  const users = host.localUsers();
  const uid = users.get(text);
  if (uid !== undefined) return uid;
  const names = [...users.keys()];
  return new Wrong(
    `no user "${text}"`,
    names.length === 0
      ? "/etc/passwd names nobody"
      : `/etc/passwd has ${some(names)}; for a user of a directory service give the number, as \`id -u\` prints it`,
    nearest(text, names) ?? "1000",
  );
}

function wholeNumber(text: string, min: number, max: number): number | null {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  return number >= min && number <= max ? number : null;
}

const SHOWN_NAMES = 8;

const some = (names: readonly string[]): string =>
  names.slice(0, SHOWN_NAMES).join(", ") +
  (names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : "");
