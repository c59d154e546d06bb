/** A filter: decides which events are shown. Pure. */

import type { ConnEvent, Endpoint, EventKind, Protocol } from "../conn/event.ts";
import { portTest, type PortFilter, type PortTest } from "../conn/ports.ts";
import { isUnspecified } from "../record/address.ts";
import { readComm } from "../record/comm.ts";
import type { ProtocolName } from "../protocols/table.ts";
import { within, type Cidr } from "./cidr.ts";

/** An empty list asks for nothing. The values of one list are alternatives, and every list must be met. */
export interface Filter extends Lists {
  /** An event that one of these lists has is not wanted. */
  not: Lists;
  families: readonly (4 | 6)[];
  protocols: readonly Protocol[];
  kinds: readonly EventKind[];
  notKinds: readonly EventKind[];
  /** Only connections that are translated. */
  nat: boolean;
  /** Protocols of any layer. */
  apps: readonly ProtocolName[];
  /** Not with any of these. */
  notApps: readonly ProtocolName[];
  /** Names of servers in TLS, in small letters; `*.example.com` is all names below that one. */
  serverNames: readonly string[];
  notServerNames: readonly string[];
  /** Only failed attempts and connections that ended by an error. */
  failed: boolean;
}

/** Values of which some may be unwanted. */
export interface Lists extends PortFilter {
  /** As the initial pid namespace numbers them. */
  pids: readonly number[];
  /** Command names; the kernel keeps their first 15 bytes, and only those are compared. */
  comms: readonly string[];
  localNets: readonly Cidr[];
  remoteNets: readonly Cidr[];
  /** Inodes of network namespaces. */
  netns: readonly number[];
  /** Paths below the cgroup mount, without a slash at the end; what lies below them counts too. */
  cgroups: readonly string[];
  /** Names of systemd's units; without a suffix it is a service. */
  units: readonly string[];
  /** Ids of containers, or how they begin, or names. */
  containers: readonly string[];
  uids: readonly number[];
  /** Networks and ports of translated ends. An end that is not translated is in none. */
  natLocalNets: readonly Cidr[];
  natRemoteNets: readonly Cidr[];
  natLocalPorts: readonly number[];
  natRemotePorts: readonly number[];
}

const noLists: Lists = {
  pids: [],
  comms: [],
  ports: [],
  localPorts: [],
  remotePorts: [],
  localNets: [],
  remoteNets: [],
  netns: [],
  cgroups: [],
  units: [],
  containers: [],
  uids: [],
  natLocalNets: [],
  natRemoteNets: [],
  natLocalPorts: [],
  natRemotePorts: [],
};

/** Lets everything through. */
export const noFilter: Filter = {
  ...noLists,
  not: noLists,
  families: [],
  protocols: [],
  kinds: [],
  notKinds: [],
  nat: false,
  apps: [],
  notApps: [],
  serverNames: [],
  notServerNames: [],
  failed: false,
};

/** Whether an event is wanted; `null`: that is not known. */
export const judgement = (filter: Filter): ((event: ConnEvent) => boolean | null) =>
  judge(testsOf(filter));

/** Whether an event is wanted; one of which that is not known is not. */
export function matcher(filter: Filter): (event: ConnEvent) => boolean {
  const wants = judge(testsOf(filter));
  return (event) => wants(event) === true;
}

export interface Sieve {
  /** Whether the filter asks for anything. */
  readonly asks: boolean;
  /** Whether the event is wanted. */
  shows(event: ConnEvent): boolean;
  /** How many were not shown only because something the filter asks for was not known of them. */
  readonly unsure: number;
}

/** As `matcher`, and it counts those that might have been wanted. */
export function sieve(filter: Filter): Sieve {
  const tests = testsOf(filter);
  const wants = judge(tests);
  let unsure = 0;
  return {
    asks: tests.length > 0,
    shows(event) {
      const wanted = wants(event);
      if (wanted === null) unsure++;
      return wanted === true;
    },
    get unsure() {
      return unsure;
    },
  };
}

// --- internal ---

/** `null`: it cannot be told, because what is asked for is not known of this event. */
type Test = (event: ConnEvent) => boolean | null;

/** One test per list, or `null` where it is empty. To add a list, add a row, and one in commands/filter_flags.ts. */
const ofLists: readonly ((lists: Lists) => Test | null)[] = [
  ({ pids }) => oneOf(pids, ({ pid }) => pid),
  ({ comms }) => ofNames(comms.map(asKept)),
  ({ localNets }) => inNetwork(localNets, "local"),
  ({ remoteNets }) => inNetwork(remoteNets, "remote"),
  ({ netns }) => oneOf(netns, (event) => event.netns),
  ({ cgroups }) => inCgroup(cgroups),
  ({ units }) => inUnit(units),
  ({ containers }) => inContainer(containers),
  ({ uids }) => oneOf(uids, ({ uid }) => uid),
  ({ natLocalNets }) => inTranslated("local", natLocalNets, isWithin),
  ({ natRemoteNets }) => inTranslated("remote", natRemoteNets, isWithin),
  ({ natLocalPorts }) => inTranslated("local", natLocalPorts, hasPort),
  ({ natRemotePorts }) => inTranslated("remote", natRemotePorts, hasPort),
];

/** The same for what is no list of values that can be unwanted. */
const others: readonly ((filter: Filter) => Test | null)[] = [
  (filter) => ofPorts(portTest(filter)),
  ({ families }) => oneOf(families, ({ family }) => family),
  ({ protocols }) => oneOf(protocols, ({ protocol }) => protocol),
  ({ kinds }) => oneOf(kinds, ({ kind }) => kind),
  ({ notKinds }) => not(oneOf(notKinds, ({ kind }) => kind)),
  ({ nat }) => (nat ? isTranslated : null),
  ({ apps }) => speaksOneOf(apps),
  ({ notApps }) => not(speaksOneOf(notApps)),
  ({ serverNames }) => asksForOneOf(serverNames),
  ({ notServerNames }) => not(asksForOneOf(notServerNames)),
  ({ failed }) => (failed ? hasFailed : null),
];

/** Each list of ports for itself: an event with a port of any of them is not wanted. */
const unwantedPorts = ({ ports, localPorts, remotePorts }: PortFilter): (Test | null)[] =>
  [
    { ...noLists, ports },
    { ...noLists, localPorts },
    { ...noLists, remotePorts },
  ].map((one) => not(ofPorts(portTest(one))));

const testsOf = (filter: Filter): Test[] =>
  [
    ...ofLists.map((row) => row(filter)),
    ...others.map((row) => row(filter)),
    ...ofLists.map((row) => not(row(filter.not))),
    ...unwantedPorts(filter.not),
  ].filter((test) => test !== null);

function judge(tests: readonly Test[]): Test {
  return (event) => {
    let known = true;
    for (const test of tests) {
      const met = test(event);
      if (met === false) return false;
      if (met === null) known = false;
    }
    return known ? true : null;
  };
}

/** The name of the process, or that of the thread that called. */
function ofNames(names: readonly string[]): Test | null {
  if (names.length === 0) return null;
  const set = new Set(names);
  return ({ comm, thread }) => {
    if (comm !== null && set.has(comm)) return true;
    if (thread !== undefined && set.has(thread)) return true;
    return comm === null ? null : false;
  };
}

function oneOf<T>(wanted: readonly T[], of: (event: ConnEvent) => T | null | undefined) {
  if (wanted.length === 0) return null;
  const set = new Set(wanted);
  return (event: ConnEvent): boolean | null => {
    const value = of(event);
    return value === null || value === undefined ? null : set.has(value);
  };
}

const ofPorts = (test: PortTest | null): Test | null =>
  test && (({ local, remote }) => test(local.port, remote.port));

function inNetwork(networks: readonly Cidr[], end: "local" | "remote"): Test | null {
  if (networks.length === 0) return null;
  const families = new Set(networks.map(({ family }) => family));
  return (event) => {
    const { address, port } = event[end];
    if (!isUnspecified(address)) return within(networks, address);
    // As long as no local port is chosen, there is no local address either.
    if (end === "local" && port === 0) return false;
    return families.has(event.family) ? null : false;
  };
}

function inCgroup(groups: readonly string[]): Test | null {
  if (groups.length === 0) return null;
  const inside = groups.map((group) => `${group}/`);
  return ({ cgroup }) => {
    if (cgroup === null || cgroup === undefined) return null;
    const path = `${cgroup}/`;
    return inside.some((group) => path.startsWith(group));
  };
}

/** The unit that a group belongs to stands in its path; a unit within a unit belongs to both. */
function inUnit(units: readonly string[]): Test | null {
  if (units.length === 0) return null;
  const names = units.map((unit) => `/${unitName(unit)}/`);
  return ({ cgroup }) => {
    if (cgroup === null || cgroup === undefined) return null;
    return names.some((name) => `${cgroup}/`.includes(name));
  };
}

/** The whole name of a unit, which is also that of its control group. */
export const unitName = (unit: string): string => (isUnit.test(unit) ? unit : `${unit}.service`);

const isUnit = /\.(?:service|scope|socket|slice|mount|swap)$/;

function inContainer(containers: readonly string[]): Test | null {
  if (containers.length === 0) return null;
  return ({ container, containerName, cgroup }) => {
    if (cgroup === null || cgroup === undefined) return null;
    if (container === null || container === undefined) return false;
    return containers.some((one) => isContainer(one, container, containerName));
  };
}

/** Whether a container is meant by its id, the first digits of its id, which engines show, or its name. */
export const isContainer = (one: string, id: string, name: string | undefined): boolean =>
  id === one || name === one || (isIdStart.test(one) && id.startsWith(one));

const isIdStart = /^[0-9a-f]{4,}$/;

const isTranslated: Test = ({ nat }) => (nat === null || nat === undefined ? null : nat !== false);

function inTranslated<T>(
  end: "local" | "remote",
  wanted: readonly T[],
  has: (wanted: readonly T[], end: Endpoint) => boolean,
): Test | null {
  if (wanted.length === 0) return null;
  return ({ nat }) => {
    if (nat === null || nat === undefined) return null;
    const translated = nat === false ? null : nat[end];
    return translated !== null && has(wanted, translated);
  };
}

const isWithin = (networks: readonly Cidr[], { address }: Endpoint) => within(networks, address);
const hasPort = (ports: readonly number[], { port }: Endpoint) => ports.includes(port);

function speaksOneOf(names: readonly ProtocolName[]): Test | null {
  if (names.length === 0) return null;
  const wanted = new Set<string | null>(names);
  return ({ application }) => {
    if (application === null || application === undefined) return null;
    const { api, application: own, encryption } = application;
    return wanted.has(api) || wanted.has(own) || wanted.has(encryption);
  };
}

function asksForOneOf(names: readonly string[]): Test | null {
  if (names.length === 0) return null;
  return ({ tls }) => {
    const name = tls?.serverName?.toLowerCase();
    if (name === undefined) return null;
    return names.some((one) => (one.startsWith("*.") ? name.endsWith(one.slice(1)) : name === one));
  };
}

/** The opposite; unknown stays unknown. */
const not = (test: Test | null): Test | null =>
  test &&
  ((event) => {
    const met = test(event);
    return met === null ? null : !met;
  });

const hasFailed: Test = ({ kind, failure }) => kind === "fail" || failure !== undefined;

/** TASK_COMM_LEN without its NUL. */
const COMM_BYTES = 15;

const asKept = (name: string): string => readComm(Buffer.from(name).subarray(0, COMM_BYTES));
