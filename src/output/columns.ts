/** The columns of the two tables: one of 80 columns with rounded numbers, and a wide one with everything exact. Pure. */

import { processName } from "../conn/process_name.ts";
import { timeOfDay, type OffsetAt } from "../conn/clock.ts";
import type { ConnEvent, Endpoint, Totals } from "../conn/event.ts";
import { translationOf } from "../conn/nat.ts";
import { unitOf } from "../conn/unit.ts";
import { endpointText, isLinkLocal, isUnspecified } from "../record/address.ts";
import { errnoText } from "../record/errno.ts";
import { attributeNames, attributes, type AttributeName } from "../members/attributes.ts";
import { highestOf } from "../protocols/stack.ts";
import { escapeText } from "./escape.ts";
import type { Hole } from "./straight/template.ts";
import { failureWords } from "./failure_words.ts";
import { briefBytes, briefDuration, durationText, secondsText } from "./numbers.ts";

const unknown = "-";

/** To add a column, add a row. Widths hold the longest usual value; longer ones push their neighbours: see text.ts. */
export interface Column {
  title: string;
  width: number;
  right?: true;
  /** On a terminal that is too narrow, columns are left out by this number, the lowest first. Without it a column stays. */
  spare?: number;
  /** `null` where there is nothing to say about this event. */
  cell(event: ConnEvent, wallNs: bigint): string | null;
  /** Texts in place of the cell, the best one first: the first one with which the line is no wider than the table, else the last. */
  instead?(event: ConnEvent): readonly string[];
  /** How the cell is written where it differs from line to line of one process, and where it does. */
  hole?(event: ConnEvent): CellHole | null;
}

/** `text` stands before the hole. */
export interface CellHole {
  text: string;
  hole: Hole;
}

export const timeColumn = (offsetAt: OffsetAt): Column => ({
  title: "TIME",
  width: 12,
  cell: (_, wallNs) => timeOfDay(wallNs, offsetAt),
  hole: () => ({ text: "", hole: { form: "timeOfDay" } }),
});

/** Seconds since the trace began; below 0 for what began before it. */
export const sinceColumn = (startNs: bigint): Column => ({
  title: "TIME(s)",
  width: 11,
  right: true,
  cell: ({ atNs }) => secondsText((atNs - startNs) / 1000n),
  hole: () => ({ text: "", hole: { form: "since", startNs } }),
});

const pid: Column = {
  title: "PID",
  width: 7,
  right: true,
  cell: (event) => event.pid?.toString() ?? unknown,
};

export const uidColumn: Column = {
  title: "UID",
  width: 6,
  right: true,
  cell: ({ uid, user }) => (user ? nameText(user, 15) : (uid?.toString() ?? unknown)),
};

/** The last one: it is as long as it is. */
export const argsColumn: Column = {
  title: "ARGS",
  width: 4,
  cell: ({ args }) => (args ? escapeText(args) : unknown),
};

const remote: Column = {
  title: "REMOTE",
  width: 21,
  cell: (event) => endText(zoned(event, "remote")),
  hole: ({ remote: end }) =>
    end.name
      ? { text: beforePort(end), hole: { form: "integer", slot: "remotePort" } }
      : { text: "", hole: { form: "endpoint", slot: "remotePort" } },
};

/** The real remote end stands behind the socket's where there is room. Of others is told that there is more to see. */
const narrowRemote: Column = {
  ...remote,
  instead(event) {
    const nat = translationOf(event);
    if (nat === null) return [];
    const end = endText(zoned(event, "remote"));
    return [...(nat.remote === null ? [] : [`${end} (${endpointText(nat.remote)})`]), `${end} (+)`];
  },
};

const natColumn: Column = {
  title: "NAT",
  width: 21,
  cell({ nat }) {
    if (nat === null || nat === undefined) return unknown;
    if (nat === false) return "no";
    const ends = (["local", "remote"] as const).filter((end) => nat[end] !== null);
    return ends.map((end) => `${end} ${endpointText(nat[end]!)}`).join(" ");
  },
};

/** As many characters of an id as engines show themselves. */
const SHORT_ID = 12;

/** Room for the name of a server is in the column behind it, which is seldom filled. */
const appColumn: Column = {
  title: "APP",
  width: 9,
  cell({ application, tls }) {
    if (!application) return unknown;
    const name = tls?.serverName ? ` ${escapeText(tls.serverName)}` : "";
    return `${highestOf(application)}${name}`;
  },
};

/** 80 columns, unless an IPv6 address of the other end is longer than any of IPv4. This end's address is left out. */
export const narrow: readonly Column[] = [
  { title: "KIND", width: 7, cell: (event) => event.kind },
  { title: "PRO", width: 3, spare: 1, cell: (event) => event.protocol },
  { ...pid, spare: 5 },
  { title: "COMM", width: 11, spare: 7, cell: (event) => nameText(processName(event), 11) },
  {
    title: "LPORT",
    width: 5,
    right: true,
    spare: 2,
    cell: ({ local }) => portText(local.port),
    hole: () => ({ text: "", hole: { form: "integer", slot: "localPort" } }),
  },
  { title: "->", width: 2, spare: 6, cell: (event) => arrows[event.direction] },
  narrowRemote,
  {
    ...total("SENT", 4, ({ bytesSent }) => brief(bytesSent), {
      form: "briefBytes",
      slot: "bytesSent",
    }),
    spare: 4,
  },
  {
    ...total("RECV", 4, ({ bytesReceived }) => brief(bytesReceived), {
      form: "briefBytes",
      slot: "bytesReceived",
    }),
    spare: 3,
  },
  {
    title: "DUR|ERR",
    width: 7,
    right: true,
    spare: 8,
    cell: (event) => (typeof event.failure === "number" ? errorWord(event.failure) : took(event)),
    hole: ({ failure, totals }) =>
      typeof failure === "number" || totals === undefined || totals.durationNs === null
        ? null
        : { text: "", hole: { form: "briefDuration", slot: "durationUs" } },
  },
];

/** Behind the time. */
export const wide: readonly Column[] = [
  { title: "KIND", width: 7, cell: (event) => event.kind },
  { title: "PROTO", width: 5, cell: (event) => event.protocol },
  pid,
  uidColumn,
  { title: "COMM", width: 15, cell: (event) => nameText(processName(event), 15) },
  { title: "CONTAINER", width: SHORT_ID, cell: containerText },
  {
    title: "LOCAL",
    width: 21,
    cell: (event) => endText(zoned(event, "local")),
    hole: ({ local }) => ({
      text: beforePort(local),
      hole: { form: "integer", slot: "localPort" },
    }),
  },
  remote,
  appColumn,
  natColumn,
  { title: "DIR", width: 3, cell: (event) => directions[event.direction] },
  { title: "NETNS", width: 10, right: true, cell: (event) => event.netns?.toString() ?? unknown },
  ...attributeNames.flatMap((name) => attributeColumn(name) ?? []),
  {
    title: "WAIT",
    width: 9,
    right: true,
    cell: (event) => {
      const of = waitOf(event);
      if (of === null) return null;
      return typeof of.ns === "bigint" ? durationText(of.ns / 1000n) : unknown;
    },
    hole: (event) => {
      const of = waitOf(event);
      if (typeof of?.ns !== "bigint") return null;
      return { text: "", hole: { form: "duration", slot: of.slot } };
    },
  },
  reasonOr(
    total("SENT", 10, ({ bytesSent }) => bytesSent?.toString(), {
      form: "integer",
      slot: "bytesSent",
    }),
  ),
  total("RECV", 10, ({ bytesReceived }) => bytesReceived?.toString(), {
    form: "integer",
    slot: "bytesReceived",
  }),
  total("RTT", 9, ({ rttUs }) => (rttUs === null ? null : durationText(BigInt(rttUs))), {
    form: "duration",
    slot: "rttUs",
  }),
  total("RETRANS", 7, ({ retransmits }) => retransmits?.toString(), {
    form: "integer",
    slot: "retransmits",
  }),
  total(
    "DURATION",
    9,
    ({ durationNs }) => (durationNs === null ? null : durationText(durationNs / 1000n)),
    { form: "duration", slot: "durationUs" },
  ),
  { title: "FAILURE", width: 12, cell: (event) => (event.totals ? failureText(event) : null) },
];

// --- internal ---

const directions = { outgoing: "out", incoming: "in", unknown } as const;
const arrows = { outgoing: "->", incoming: "<-", unknown: "--" } as const;

/** Of what the kernel side tells of a process. `null`: it has no column, or one of its own. */
function attributeColumn(name: AttributeName): Column | null {
  const { column } = attributes[name];
  if (column === null) return null;
  const { title, width } = column;
  return { title, width, right: true, cell: (event) => event[name]?.toString() ?? unknown };
}

/** A missing number is unknown; an event without totals has nothing to show. */
function total(
  title: string,
  width: number,
  value: (totals: Totals) => string | null | undefined,
  hole: Hole,
): Column {
  const cell = ({ totals }: ConnEvent) =>
    totals === undefined ? null : (value(totals) ?? unknown);
  return {
    title,
    width,
    right: true,
    cell,
    hole: ({ totals }) =>
      totals === undefined || (value(totals) ?? null) === null ? null : { text: "", hole },
  };
}

/** A fail has its reason where the totals of a close begin. */
function reasonOr(column: Column): Column {
  const cell: Column["cell"] = (event, wallNs) =>
    event.kind === "fail" ? failureText(event) : column.cell(event, wallNs);
  const hole = (event: ConnEvent) =>
    event.kind === "fail" ? null : (column.hole?.(event) ?? null);
  return { ...column, cell, hole };
}

function failureText({ failure }: ConnEvent): string | null {
  if (failure === undefined) return null;
  return failure === null ? unknown : errnoText(failure);
}

function errorWord(errno: number): string {
  const name = errnoText(errno);
  return failureWords[name]?.word ?? name;
}

/** The time that a connect or an accept took to come; `null`: the event is neither. */
function waitOf({ kind, protocol, connectNs, acceptNs }: ConnEvent) {
  if (protocol !== "tcp") return null;
  if (kind === "accept") return { ns: acceptNs, slot: "acceptUs" as const };
  return kind === "connect" || kind === "fail"
    ? { ns: connectNs, slot: "connectUs" as const }
    : null;
}

function took({ kind, protocol, totals }: ConnEvent): string | null {
  if (totals === undefined) return kind === "fail" && protocol === "tcp" ? unknown : null;
  return totals.durationNs === null ? unknown : briefDuration(totals.durationNs / 1000n);
}

const brief = (bytes: bigint | null) => (bytes === null ? null : briefBytes(bytes));

const portText = (port: number): string => (port === 0 ? unknown : port.toString());

/** An address or port that was never chosen is unknown: a connect that fails may have had no local end yet. */
function endText({ address, port, name, nameSource }: Endpoint): string {
  if (name) {
    const mark = nameSource === "answer" ? "~" : "";
    return `${mark}${escapeText(name)}:${port === 0 ? unknown : port}`;
  }
  if (isUnspecified(address)) return port === 0 ? unknown : `${unknown}:${port}`;
  return port === 0
    ? endpointText({ address, port }).replace(/0$/, unknown)
    : endpointText({ address, port });
}

/** With the zone of a link-local address: `fe80::1%eth0`. */
function zoned(event: ConnEvent, which: "local" | "remote"): Endpoint {
  const { interface: name, [which]: end } = event;
  if (name === undefined || !isLinkLocal(end.address)) return end;
  return { ...end, address: `${end.address}%${escapeText(name)}` };
}

/** Of an end with a port, all but the port. */
const beforePort = (end: Endpoint): string => endText({ ...end, port: 1 }).slice(0, -1);

/** Escaping can make 15 bytes 60 columns wide; the column shows the start, `+` says that more follows. */
function nameText(name: string | null, width: number): string {
  if (name === null || name === "") return unknown;
  const escaped = escapeText(name);
  if (Bun.stringWidth(escaped) <= width) return escaped;
  let shown = "";
  for (const char of name) {
    const next = shown + escapeText(char);
    if (Bun.stringWidth(next) > width - 1) break;
    shown = next;
  }
  return `${shown}+`;
}

/** `nginx`, of a process of nginx.service. */
const serviceName = (cgroup: string | null | undefined): string | null =>
  cgroup ? (unitOf(cgroup)?.replace(/\.service$/, "") ?? null) : null;

/** An id of 64 digits by its first; a name as a name. Where there is no container, the service. */
function containerText({ container, containerName, cgroup }: ConnEvent): string {
  if (containerName !== undefined) return nameText(containerName, SHORT_ID);
  if (!container) return nameText(serviceName(cgroup), SHORT_ID);
  return /^[0-9a-f]{64}$/.test(container)
    ? container.slice(0, SHORT_ID)
    : nameText(container, SHORT_ID);
}
