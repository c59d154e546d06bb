/** The columns of the live view, beside the names of the rows. Pure. */
import { translationOf } from "../conn/nat.ts";
import { briefBytes, briefDuration } from "../output/numbers.ts";
import { highestOf } from "../protocols/stack.ts";
import { endpointText } from "../record/address.ts";
import { escapeText } from "../output/escape.ts";
import { groupings, remoteOf } from "../summary/groups.ts";
import type { Fact } from "./facts.ts";
import { endText, type TopGrouping } from "./groupings.ts";
import type { Row } from "./rows.ts";
import { knownOf, meanOf, type Amount } from "./sums.ts";

export interface Column {
  title: string;
  /** For `--sort`. */
  name: string;
  width: number;
  right?: true;
  /** On a screen that is too narrow, columns are left out by this number, the lowest first. Without it a column stays. */
  spare?: number;
  /** Not for rows that are one connection. */
  groupsOnly?: true;
  meaning: string;
  cell(row: Row, how: CellOptions): string;
  /** By what rows are sorted, the most first; `null`: last. Text is sorted from A on. */
  order(row: Row): number | string | null;
  /** The grouping that says the same. */
  saidBy?: TopGrouping;
  /** The same of a row that is this connection alone; not of text. */
  ofFact?(fact: Fact): number | null;
}

export interface CellOptions {
  seconds: number;
  /** Rates in bits, not bytes. */
  bits: boolean;
  /** Names of addresses, where they are known. */
  names: boolean;
}

const unknown = "-";

/** To add one, add a row. In this order they are shown. */
export const columns: readonly Column[] = [
  {
    title: "OPEN",
    name: "open",
    width: 5,
    right: true,
    spare: 10,
    groupsOnly: true,
    meaning: "connections and UDP flows that are open",
    cell: ({ sums }) => brief(sums.open),
    order: ({ sums }) => sums.open,
    ofFact: ({ open }) => Number(open),
  },
  {
    title: "NEW/s",
    name: "opened",
    width: 5,
    right: true,
    spare: 8,
    groupsOnly: true,
    meaning: "connections and flows that began, per second",
    cell: ({ sums }, { seconds }) => perSecond(sums.opened, seconds),
    order: ({ sums }) => sums.opened,
    ofFact: ({ opened }) => Number(opened),
  },
  {
    title: "FAIL",
    name: "failed",
    width: 4,
    right: true,
    spare: 9,
    groupsOnly: true,
    meaning: "attempts to connect that failed, since the view began",
    cell: ({ sums }) => brief(sums.failed),
    order: ({ sums }) => sums.failed,
    ofFact: ({ failed }) => Number(failed),
  },
  rate("TX/s", "tx", "sent", ({ tx }) => tx),
  rate("RX/s", "rx", "received", ({ rx }) => rx),
  total("TX", "tx-total", 6, "sent", ({ txTotal }) => txTotal),
  total("RX", "rx-total", 5, "received", ({ rxTotal }) => rxTotal),
  {
    title: "RTT",
    name: "rtt",
    width: 6,
    right: true,
    spare: 7,
    meaning: "smoothed round-trip time, the mean of the row's connections",
    cell: ({ sums }) => duration(meanOf(sums.rttUs)),
    order: ({ sums }) => meanOf(sums.rttUs),
    ofFact: ({ rttUs }) => rttUs,
  },
  {
    title: "RETR",
    name: "retransmits",
    width: 4,
    right: true,
    spare: 4,
    meaning: "TCP segments sent again, since the view began",
    cell: ({ sums: { retransmits } }) =>
      retransmits.known === 0 ? unknown : amountText(retransmits, brief),
    order: ({ sums: { retransmits } }) => (retransmits.known === 0 ? null : retransmits.sum),
    ofFact: ({ retransmitsTotal }) => retransmitsTotal,
  },
  {
    title: "CONN",
    name: "connect",
    width: 6,
    right: true,
    spare: 3,
    meaning: "time from the SYN to the established connection, the mean",
    cell: ({ sums }) => duration(meanOf(sums.connectUs)),
    order: ({ sums }) => meanOf(sums.connectUs),
    ofFact: ({ connectUs }) => connectUs,
  },
  {
    title: "APP",
    name: "app",
    width: 8,
    spare: 2,
    saidBy: "app",
    meaning: "application protocol of the row's busiest connection",
    cell: ({ event: { application } }) => (application ? highestOf(application) : null) ?? unknown,
    order: ({ event: { application } }) => (application ? highestOf(application) : null),
  },
  {
    title: "BUSIEST REMOTE",
    name: "remote",
    width: 21,
    spare: 1,
    groupsOnly: true,
    saidBy: "remote",
    meaning: "remote end of the row's busiest connection; with NAT the end that really answers",
    cell: ({ event }, { names }) => endText(remoteOf(event), names),
    order: ({ event }) => endpointText(remoteOf(event)),
  },
  {
    title: "NAT",
    name: "nat",
    width: 21,
    spare: 0,
    meaning: "remote end behind address translation, of the row's busiest connection",
    cell: ({ event }) => {
      if (event.nat === null || event.nat === undefined) return unknown;
      const end = translationOf(event)?.remote ?? null;
      return end === null ? "no" : endpointText(end);
    },
    order: ({ event }) => {
      const end = translationOf(event)?.remote ?? null;
      return end === null ? null : endpointText(end);
    },
  },
  {
    title: "UNIT",
    name: "unit",
    width: 18,
    spare: -1,
    saidBy: "unit",
    meaning: "container or systemd unit",
    cell: ({ event }) => escapeText(groupings.unit.of(event) ?? unknown),
    order: ({ event }) => groupings.unit.of(event),
  },
];

/** The sparkline's: both directions together. */
export const rateOrder: Pick<Column, "name" | "title" | "order" | "ofFact" | "meaning"> = {
  title: "TX+RX",
  name: "rate",
  meaning:
    "bytes both ways in the last intervals, one bar each; the highest bar is the row's maximum",
  order: ({ sums }) => sumOf(knownOf(sums.tx), knownOf(sums.rx)),
  ofFact: ({ tx, rx }) => sumOf(tx, rx),
};

/** Names for `--sort` and the key `s`. */
export const orders: readonly Pick<Column, "name" | "title" | "order" | "ofFact">[] = [
  rateOrder,
  ...columns,
];

/** Three digits or so: `999`, `12k`, `3.4M`. */
export function brief(count: number): string {
  if (count < 10_000) return Math.round(count).toString();
  let [value, unit] = [count / 1000, 0];
  while (value >= 999.5) [value, unit] = [value / 1000, unit + 1];
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${"kMGTPE"[unit]}`;
}

/** A `+` says that there is more, which is not known. `null`: nothing is known. */
export function amountText(amount: Amount, text: (sum: number) => string): string {
  const sum = knownOf(amount);
  if (sum === null) return unknown;
  return `${text(sum)}${amount.unknown > 0 ? "+" : ""}`;
}

export const bytesText = (bytes: number): string => briefBytes(BigInt(Math.round(bytes)));

export const rateText = (
  amount: Amount,
  { seconds, bits }: Pick<CellOptions, "seconds" | "bits">,
): string =>
  seconds <= 0
    ? unknown
    : amountText(amount, (sum) => (bits ? brief((8 * sum) / seconds) : bytesText(sum / seconds)));

/** Few are told with a digit behind the point. */
export function perSecond(count: number, seconds: number): string {
  if (seconds <= 0) return unknown;
  const value = count / seconds;
  return value === 0 || value >= 9.95 ? brief(value) : value.toFixed(1);
}

// --- internal ---

function rate(title: string, name: string, verb: string, of: (of: Both) => Amount): Column {
  return {
    title,
    name,
    width: 5,
    right: true,
    meaning: `bytes ${verb} per second, without headers; + says that more was ${verb}, which is not known`,
    cell: ({ sums }, how) => rateText(of(sums), how),
    order: ({ sums }) => knownOf(of(sums)),
    ofFact: name === "tx" ? ({ tx }) => tx : ({ rx }) => rx,
  };
}

function total(
  title: string,
  name: string,
  spare: number,
  verb: string,
  of: (of: Both) => Amount,
): Column {
  return {
    title,
    name,
    width: 5,
    right: true,
    spare,
    meaning: `bytes ${verb} since the view began`,
    cell: ({ sums }) => amountText(of(sums), bytesText),
    order: ({ sums }) => knownOf(of(sums)),
    ofFact: name === "tx-total" ? ({ txTotal }) => txTotal : ({ rxTotal }) => rxTotal,
  };
}

type Both = Row["sums"];

const duration = (us: number | null): string =>
  us === null ? unknown : briefDuration(BigInt(Math.round(us)));

/** `null`: neither is known. */
const sumOf = (a: number | null, b: number | null): number | null =>
  a === null && b === null ? null : (a ?? 0) + (b ?? 0);
