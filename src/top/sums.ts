/** Sums over the connections of one group. Pure. */
import type { Fact } from "./facts.ts";

/** A sum over connections. Of some of them the value may not be known. */
export interface Amount {
  /** Of the known ones. */
  sum: number;
  /** How many are known, and how many are not. */
  known: number;
  unknown: number;
}

/** Since the view began. */
export interface TotalSums {
  failed: number;
  txTotal: Amount;
  rxTotal: Amount;
  retransmits: Amount;
}

export interface Sums extends TotalSums {
  open: number;
  /** In the interval. */
  opened: number;
  tx: Amount;
  rx: Amount;
  /** Of the connections of the interval: the mean is sum / known. */
  rttUs: Amount;
  connectUs: Amount;
}

const none = (): Amount => ({ sum: 0, known: 0, unknown: 0 });

export const noTotals = (): TotalSums => ({
  failed: 0,
  txTotal: none(),
  rxTotal: none(),
  retransmits: none(),
});

export const noSums = (): Sums => ({
  ...noTotals(),
  open: 0,
  opened: 0,
  tx: none(),
  rx: none(),
  rttUs: none(),
  connectUs: none(),
});

/** A connection of the interval. */
export function addFact(sums: Sums, fact: Fact): void {
  if (fact.open) sums.open += 1;
  if (fact.opened) sums.opened += 1;
  addTo(sums.tx, fact.tx);
  addTo(sums.rx, fact.rx);
  addTo(sums.rttUs, fact.rttUs);
  addTo(sums.connectUs, fact.connectUs);
  addTotals(sums, fact);
}

/** A connection that ended in an earlier interval: only its totals still count. */
export function addTotals(totals: TotalSums, fact: Fact): void {
  if (fact.failed) totals.failed += 1;
  addTo(totals.txTotal, fact.txTotal);
  addTo(totals.rxTotal, fact.rxTotal);
  // UDP has none.
  if (fact.event.protocol === "tcp") addTo(totals.retransmits, fact.retransmitsTotal);
}

/** Adds the sums of connections that are over. */
export function addEnded(sums: TotalSums, ended: TotalSums): void {
  sums.failed += ended.failed;
  for (const name of ["txTotal", "rxTotal", "retransmits"] as const) {
    sums[name].sum += ended[name].sum;
    sums[name].known += ended[name].known;
    sums[name].unknown += ended[name].unknown;
  }
}

/** `null`: nothing is known, though there is something. */
export const knownOf = ({ sum, known, unknown }: Amount): number | null =>
  known === 0 && unknown > 0 ? null : sum;

/** `null`: none is known. */
export const meanOf = ({ sum, known }: Amount): number | null => (known === 0 ? null : sum / known);

// --- internal ---

function addTo(amount: Amount, value: number | null): void {
  if (value === null) amount.unknown += 1;
  else {
    amount.sum += value;
    amount.known += 1;
  }
}
