/** Filters that no event can ever pass. Each is refused: an empty output would be taken for a quiet host. Pure. */

import type { EventKind, Protocol } from "../conn/event.ts";
import { UsageError } from "../errors.ts";
import { covers } from "../filter/cidr.ts";
import type { Filter, Lists } from "../filter/filter.ts";
import { eventKinds } from "../members/table.ts";
import { protocolTable } from "../protocols/table.ts";
import { itemsOf } from "./command.ts";
import type { FilterArgs } from "./filter_flags.ts";

/** Throws a UsageError. `args` are the flags that the filter was made of. */
export function refuseContradictions(filter: Filter, args: FilterArgs, command: string): void {
  for (const find of contradictions) {
    const found = find(filter, args);
    if (found === null) continue;
    const { what, why, suggestion } = found;
    throw new UsageError(what, { command, why, suggestion });
  }
}

// --- internal ---

interface Contradiction {
  what: string;
  why: string;
  suggestion: string;
}

/** The flag of each list of which some values may be unwanted. */
const flagOf: Readonly<Record<keyof Lists, keyof FilterArgs>> = {
  pids: "pid",
  comms: "comm",
  ports: "port",
  localPorts: "localport",
  remotePorts: "remoteport",
  localNets: "laddr",
  remoteNets: "raddr",
  netns: "netns",
  cgroups: "cgroup",
  units: "unit",
  containers: "container",
  uids: "uid",
  natLocalPorts: "nat-localport",
  natRemotePorts: "nat-remoteport",
  natLocalNets: "nat-laddr",
  natRemoteNets: "nat-raddr",
};

/** In the order in which they are told. To add one, add a row. */
const contradictions: readonly ((filter: Filter, args: FilterArgs) => Contradiction | null)[] = [
  noEventLeft,
  noFailureLeft,
  ...(Object.keys(flagOf) as (keyof Lists)[]).map(
    (list) => (filter: Filter, args: FilterArgs) => nothingLeft(list, filter, args),
  ),
  otherKinds,
  otherApps,
  (filter) => otherFamily(filter, "localNets"),
  (filter) => otherFamily(filter, "remoteNets"),
];

const typed = (args: FilterArgs, flag: keyof FilterArgs): string =>
  `--${flag} ${itemsOf(args[flag] as string | undefined).join()}`;

const kindsLeft = ({ kinds, notKinds }: Filter): EventKind[] =>
  (kinds.length > 0 ? kinds : eventKinds).filter((kind) => !notKinds.includes(kind));

function noEventLeft(filter: Filter, args: FilterArgs): Contradiction | null {
  if (kindsLeft(filter).length > 0) return null;
  return {
    what: `flag --events: ${itemsOf(args.events).join()} leaves no event`,
    why: "each event that is wanted is also one that is not",
    suggestion: `--events ${filter.kinds[0] ?? "close"}`,
  };
}

function noFailureLeft(filter: Filter, args: FilterArgs): Contradiction | null {
  if (!filter.failed || kindsLeft(filter).some((kind) => kind === "fail" || kind === "close"))
    return null;
  return {
    what: `--failed and ${typed(args, "events")} exclude each other`,
    why: "only fail and close events tell of a failure",
    suggestion: "--failed",
  };
}

function nothingLeft(list: keyof Lists, filter: Filter, args: FilterArgs): Contradiction | null {
  const flag = flagOf[list];
  const wanted: Lists[keyof Lists] = filter[list];
  const not: Lists[keyof Lists] = filter.not[list];
  const isNot = (value: (typeof wanted)[number]): boolean =>
    not.some((one) =>
      typeof one === "object" && typeof value === "object" ? covers(one, value) : one === value,
    );
  if (wanted.length === 0 || !wanted.every(isNot)) return null;
  const items = itemsOf(args[flag] as string | undefined);
  const isLoopback = list === "remoteNets" && !items.some((item) => item.startsWith("!"));
  return {
    what: isLoopback
      ? `--no-loopback and ${typed(args, flag)} exclude each other`
      : `flag --${flag}: ${items.join()} leaves nothing`,
    why: "each value that is wanted is also one that is not",
    suggestion: isLoopback
      ? "leave out --no-loopback"
      : `--${flag} ${items.filter((item) => !item.startsWith("!")).join()}`,
  };
}

const other: Readonly<Record<Protocol, Protocol>> = { tcp: "udp", udp: "tcp" };

/** The kinds that only one protocol has. */
const kindsOf: Readonly<Record<Protocol, readonly EventKind[]>> = {
  tcp: ["connect", "accept", "open"],
  udp: ["begin"],
};

const onlyProtocol = ({ protocols }: Filter): Protocol | null =>
  protocols.length === 1 ? protocols[0]! : null;

function otherKinds(filter: Filter, args: FilterArgs): Contradiction | null {
  const protocol = onlyProtocol(filter);
  if (protocol === null) return null;
  const left = kindsLeft(filter);
  if (!left.every((kind) => kindsOf[other[protocol]].includes(kind))) return null;
  return {
    what: `--${protocol} and ${typed(args, "events")} exclude each other`,
    why: `${left.join(", ")}: only ${other[protocol].toUpperCase()} has such events`,
    suggestion: `--${other[protocol]} ${typed(args, "events")}`,
  };
}

function otherApps(filter: Filter, args: FilterArgs): Contradiction | null {
  const protocol = onlyProtocol(filter);
  if (protocol === null || filter.apps.length === 0) return null;
  const isOther = (app: (typeof filter.apps)[number]): boolean =>
    protocolTable[app][protocol] === undefined && protocolTable[app][other[protocol]] !== undefined;
  if (!filter.apps.every(isOther)) return null;
  return {
    what: `--${protocol} and ${typed(args, "app")} exclude each other`,
    why: `${filter.apps.join(", ")}: looked for in ${other[protocol].toUpperCase()} alone`,
    suggestion: `--${other[protocol]} ${typed(args, "app")}`,
  };
}

/** Both ends of a connection are of one family. */
function otherFamily(filter: Filter, list: "localNets" | "remoteNets"): Contradiction | null {
  const nets = filter[list];
  const { families } = filter;
  if (nets.length === 0 || families.length === 0) return null;
  if (nets.some(({ family }) => families.includes(family))) return null;
  const family = families[0]!;
  const flag = flagOf[list];
  return {
    what: `--ipv${family} and --${flag} exclude each other`,
    why: `the networks of --${flag} are of IPv${nets[0]!.family}`,
    suggestion: `leave out --ipv${family}`,
  };
}
