/** The counters of a connection of the tool's own, compared with what TCP_INFO says of it. Pure. */
import type { TcpInfo } from "../../kernel/tcp_info.ts";
import type { Event } from "../../record/layout.gen.ts";
import type { KnownTotals } from "./totals.ts";

/** A total that came back wrong. */
export interface WrongTotal {
  total: keyof KnownTotals;
  /** For the user: "retransmits is shown as not known: its offset gives 40, TCP_INFO says 3". */
  note: string;
}

type Counter = readonly [name: string, of: (event: Event) => number | bigint, keyof TcpInfo];

/** Bytes have no row: TCP_INFO counts SYN and FIN among them, and the tool knows how many it sent. */
const COUNTERS: Partial<Record<keyof KnownTotals, readonly Counter[]>> = {
  segs: [
    ["segs_out", ({ sent_packets }) => sent_packets, "segs_out"],
    ["segs_in", ({ recv_packets }) => recv_packets, "segs_in"],
  ],
  rtt: [["rtt", ({ rtt }) => rtt, "rtt"]],
  rttVar: [["rtt_var", ({ rtt_var }) => rtt_var, "rttvar"]],
  retransmits: [["retransmits", ({ retransmits }) => retransmits, "total_retrans"]],
};

/** Of the totals that are known. `info`: of the moment at which the totals of `close` were taken. */
export function wrongTotals(close: Event, info: TcpInfo, known: KnownTotals): WrongTotal[] {
  const wrong: WrongTotal[] = [];
  for (const [total, counters] of Object.entries(COUNTERS)) {
    if (!known[total as keyof KnownTotals]) continue;
    for (const [name, of, member] of counters) {
      const [told, truth] = [Number(of(close)), info[member]];
      // An older kernel's struct tcp_info ends before it.
      if (truth === null || told === Number(truth)) continue;
      const note = `${name} is shown as not known: its offset gives ${told}, TCP_INFO says ${truth}`;
      wrong.push({ total: total as keyof KnownTotals, note });
    }
  }
  return wrong;
}
