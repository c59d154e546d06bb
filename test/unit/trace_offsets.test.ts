/** From a guess to the constants of the programs. */
import { expect, test } from "bun:test";
import type { FieldReport, GuessReport } from "../../src/guess/report.ts";
import { Constant } from "../../src/record/layout.gen.ts";
import { traceConstants } from "../../src/trace/opening/offsets.ts";

const usual: Record<string, number> = {
  skc_daddr: 0,
  skc_rcv_saddr: 4,
  skc_dport: 12,
  skc_num: 14,
  skc_family: 16,
  skc_net: 48,
  skc_v6_daddr: 56,
  skc_v6_rcv_saddr: 72,
};

/** Whether the programs take the ends of a sock in one read, where these fields lie so. */
function inOneRead(offsets: Record<string, number | null>): boolean {
  const fields = Object.entries(offsets).map(
    ([field, offset]) => ({ field, offset }) as FieldReport,
  );
  const report = { kernel: { release: "6.12.0" }, fields } as GuessReport;
  return traceConstants(report, { has: () => true }).get(Constant.CONSTANT_USUAL_SOCK) === 1n;
}

test("a sock is taken in one read where it begins as usual", () => {
  expect(inOneRead(usual)).toBe(true);
});

test.each(Object.keys(usual))("it is read field by field where %s lies elsewhere", (field) => {
  expect(inOneRead({ ...usual, [field]: usual[field]! + 8 })).toBe(false);
});

test("without IPv6 its addresses do not matter", () => {
  expect(inOneRead({ ...usual, skc_v6_daddr: null, skc_v6_rcv_saddr: null })).toBe(true);
});
