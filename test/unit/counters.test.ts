/** The self-check finds each counter that is not what TCP_INFO says, and no other. */
import { expect, test } from "bun:test";
import { readTcpInfo } from "../../src/kernel/tcp_info.ts";
import { eventSize, readEvent } from "../../src/record/layout.gen.ts";
import { wrongTotals } from "../../src/trace/tcp/counters.ts";
import type { KnownTotals } from "../../src/trace/tcp/totals.ts";

const known: KnownTotals = {
  ...{ bytesSent: true, bytesReceived: true, segs: true },
  ...{ rtt: true, rttVar: true, retransmits: true },
};
const info = {
  ...readTcpInfo(new Uint8Array(300)),
  ...{ segs_out: 9, segs_in: 8, rtt: 70, rttvar: 30, total_retrans: 3 },
};
const event = {
  ...readEvent(new DataView(new ArrayBuffer(eventSize)), 0),
  ...{ sent_packets: 9n, recv_packets: 8n, rtt: 70, rtt_var: 30, retransmits: 3 },
};
const found = (change: Partial<typeof event>, of = known, truth = info) =>
  wrongTotals({ ...event, ...change }, truth, of).map(({ total }) => total);

test.each<[string, Partial<typeof event>, (keyof KnownTotals)[]]>([
  ["nothing wrong", {}, []],
  ["segments sent wrong", { sent_packets: 8n }, ["segs"]],
  ["segments received wrong", { recv_packets: 9n }, ["segs"]],
  ["rtt not shifted", { rtt: 560 }, ["rtt"]],
  ["rtt_var not shifted", { rtt_var: 120 }, ["rttVar"]],
  ["no retransmits", { retransmits: 0 }, ["retransmits"]],
  ["two exchanged", { rtt: 30, rtt_var: 70 }, ["rtt", "rttVar"]],
])("with %s", (_, change, wrong) => {
  expect(found(change)).toEqual(wrong);
});

test("what is not known anyway is not told again", () => {
  expect(found({ rtt: 1 }, { ...known, rtt: false })).toEqual([]);
});

test("a kernel whose TCP_INFO ends before a counter says nothing of it", () => {
  const short = { ...info, segs_out: null, segs_in: null };
  expect(found({ sent_packets: 1n, rtt: 1 }, known, short as unknown as typeof info)).toEqual([
    "rtt",
  ]);
});

test("the note names the number, and both values", () => {
  const [wrong] = wrongTotals({ ...event, retransmits: 40 }, info, known);
  expect(wrong!.note).toBe(
    "retransmits is shown as not known: its offset gives 40, TCP_INFO says 3",
  );
});
