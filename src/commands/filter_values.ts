/** The values of filters: each parser gives what stands in the filter, or what is wrong with the text. */

import { parseCidr, type Cidr } from "../filter/cidr.ts";
import {
  NETNS_DIRECTORIES,
  type cgroupMounts,
  type localUsers,
  type namedNetns,
  type netnsAt,
  type servicePorts,
} from "../kernel/host_names.ts";
import { protocolNames, type ProtocolName } from "../protocols/table.ts";
import { nearest } from "./nearest.ts";
import { wholeNumber, Wrong } from "./wrong.ts";

/** The names of this host's users, namespaces and control groups. */
export interface HostNames {
  cgroupMounts: typeof cgroupMounts;
  localUsers: typeof localUsers;
  namedNetns: typeof namedNetns;
  netnsAt: typeof netnsAt;
  servicePorts: typeof servicePorts;
}

/** PID_MAX_LIMIT of a 64-bit kernel. */
const MAX_PID = 1 << 22;

export function pid(text: string): number | Wrong {
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

/** A range of ports, or the name of a service. */
export const portsOf = (text: string, host: HostNames): [first: number, last: number] | Wrong =>
  /^[a-z]/i.test(text) ? servicePort(text, host) : portRange(text);

/** One port is a range of itself. */
export function portRange(text: string): [first: number, last: number] | Wrong {
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

function servicePort(name: string, host: HostNames): [number, number] | Wrong {
  const services = host.servicePorts();
  const port = services.get(name);
  if (port !== undefined) return [port, port];
  const near = services.get(nearest(name, [...services.keys()]) ?? "");
  return new Wrong(
    `"${name}" is no port`,
    services.size === 0
      ? "it is a number: /etc/services names no service"
      : "it is a number, or the name of a service in /etc/services",
    `${near ?? 443}`,
  );
}

export function network(text: string): Cidr | Wrong {
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

/** Names that people write for protocols of the table. */
const otherNames: Readonly<Record<string, ProtocolName>> = {
  http1: "http",
  h2: "http2",
  https: "tls",
  ssl: "tls",
  postgresql: "postgres",
  mariadb: "mysql",
  mongo: "mongodb",
  memcache: "memcached",
  valkey: "redis",
  http3: "quic",
};

export function protocol(text: string): ProtocolName | Wrong {
  const found = protocolNames.find((name) => name === text);
  if (found !== undefined) return found;
  const near = otherNames[text.toLowerCase()] ?? nearest(text.toLowerCase(), protocolNames);
  return new Wrong(
    `"${text}" is no protocol that is recognised`,
    `they are ${protocolNames.join(", ")}`,
    near ?? "tls",
  );
}

/** In small letters. */
export function serverName(text: string): string | Wrong {
  const name = text.toLowerCase();
  if (/^(?:\*\.)?[^\s*/:]+$/.test(name)) return name;
  return new Wrong(
    `"${text}" is no name of a server`,
    "it is a name of the DNS, or one with *. in front for all names below it",
    /^\w+:\/\/([^\s*/:]+)/.exec(name)?.[1] ?? "example.com",
  );
}

/** All inodes of namespaces are above this one (PROC_DYNAMIC_FIRST, and the fixed ones a little below it). */
const FIRST_INODE = 0xefff_fff0;

/** Its inode, whichever way the namespace is named. */
export function netnsOf(text: string, host: HostNames): number | Wrong {
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
  const isPid = wholeNumber(text, 1, MAX_PID) !== null;
  return new Wrong(
    `no network namespace "${text}"`,
    `${found}; in ${NETNS_DIRECTORIES.join(" and ")} ${named}`,
    isPid ? `pid:${text}` : (nearest(text, known) ?? known[0] ?? "pid:1"),
  );
}

/** Also with the path of the mount in front, as people copy it. */
export function cgroup(text: string, host: HostNames): string | Wrong {
  const written = `${text}/`.replace(/\/+/g, "/");
  const mount = host.cgroupMounts().find((point) => written.startsWith(`${point}/`)) ?? "";
  const path = written.slice(mount.length).replace(/\/$/, "");
  if (text.startsWith("/") && !/\/\.\.?(\/|$)/.test(path)) return path;
  return new Wrong(
    `"${text}" is no control group`,
    "it is a path that begins with a slash, as in /proc/PID/cgroup",
    /^[\w@:-]+\.(service|scope|socket)$/.test(text) ? `/system.slice/${text}` : "/system.slice",
  );
}

/** The largest is (uid_t) -1, which is nobody's. */
const MAX_UID = 0xffff_fffe;

export function uidOf(text: string, host: HostNames): number | Wrong {
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

const SHOWN_NAMES = 8;

/** The first of them, and how many more. */
export const some = (names: readonly (string | number)[]): string =>
  names.slice(0, SHOWN_NAMES).join(", ") +
  (names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : "");
