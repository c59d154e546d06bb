/** The last lines of the live view: the sums over all rows, losses, and the cost of the view itself. Pure. */
import { escapeText } from "../output/escape.ts";
import type { Loss } from "../output/losses.ts";
import { amountText, brief, bytesText, perSecond, rateText } from "./columns.ts";
import { totalOf } from "./rows.ts";
import type { Frame, Line } from "./screen.ts";

export interface Around {
  /** Time of day. */
  time: string;
  losses: readonly Loss[];
  /** Of one processor, in the interval; `null`: not known. */
  cpuShare: number | null;
  memoryBytes: number;
  /** Something to tell: a wrong filter. */
  message: string | null;
}

export function footerOf({ view, tick, around }: Frame): Line[] {
  return [
    { text: totalText(tick, view.bits), style: "header" },
    view.typing === null ? lastLine(around, tick.ended.forgotten(view.by)) : typing(view.typing),
  ];
}

// --- internal ---

const typing = (text: string): Line => ({
  text: `filter: ${escapeText(text)}_   (Enter: use, Esc: leave, empty: all)`,
  style: "title",
});

function totalText(tick: Frame["tick"], bits: boolean): string {
  const seconds = Number(tick.elapsedNs) / 1e9;
  const sums = totalOf(tick);
  const unit = bits ? "bit/s" : "B/s";
  return [
    `all: ${brief(sums.open)} open`,
    `${perSecond(sums.opened, seconds)} new/s`,
    `${brief(sums.failed)} failed`,
    `TX ${rateText(sums.tx, { seconds, bits })} RX ${rateText(sums.rx, { seconds, bits })} ${unit}`,
    `total ${amountText(sums.txTotal, bytesText)} / ${amountText(sums.rxTotal, bytesText)}`,
    `retr ${sums.retransmits.known === 0 ? "-" : brief(sums.retransmits.sum)}`,
  ].join(", ");
}

function lastLine(around: Around, forgotten: number): Line {
  const { message, losses, cpuShare, memoryBytes } = around;
  if (message !== null) return { text: message, style: "alarm" };
  const cpu = cpuShare === null ? "-" : (100 * cpuShare).toFixed(1);
  const own = `own ${cpu} % CPU, ${Math.round(memoryBytes / 1e6)} MB`;
  const keys = "h help, q quit";
  if (losses.length > 0) {
    const total = losses.reduce((sum, { count }) => sum + count, 0n);
    const causes = losses.map(({ cause, count }) => `${cause} ${count}`).join(", ");
    return { text: `LOST ${total}: ${escapeText(causes)}; ${own}; ${keys}`, style: "alarm" };
  }
  const gone = forgotten === 0 ? "" : `; totals lack ${forgotten} rows that ended long ago`;
  return { text: `none lost; ${own}${gone}; ${keys}`, style: "dim" };
}
