/** A sock is read in one piece where it begins as on all kernels we know, and field by field elsewhere: both are right. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { withLoopback } from "../../src/guess/netns.ts";
import type { GuessReport } from "../../src/guess/report.ts";
import { guessOn } from "../../src/guess/run.ts";
import { findMember, findType, parseBtf } from "../../src/kernel/btf.ts";
import type { FeatureName } from "../../src/kernel/feature_table.ts";
import { openHost, type Host } from "../../src/kernel/host.ts";
import type { KernelObject } from "../../src/kernel/object.ts";
import type { PerfRings } from "../../src/kernel/shim.ts";
import { Constant, Offset } from "../../src/record/layout.gen.ts";
import { drainer } from "../../src/trace/stream/drain.ts";
import { traceConstants } from "../../src/trace/opening/offsets.ts";
import { openRings } from "../../src/trace/opening/rings.ts";
import { selfCheck } from "../../src/trace/tcp/check.ts";
import { knownTotals } from "../../src/trace/tcp/totals.ts";
import { attachAsked } from "./drive/attached.ts";
import { modes, sparing, type Mode } from "./drive/modes.ts";

/** The findings of the self-check with these constants. */
function checked(mode: Mode, host: Host, report: GuessReport, constants: Map<number, bigint>) {
  let rings: PerfRings | null = null;
  const ready = (loaded: KernelObject) => {
    rings = openRings(host.shim, loaded, 1 << 20).rings;
  };
  const { object } = attachAsked({ host, report, mode, constants, ready });
  try {
    const drain = drainer(host.shim, object, rings!);
    return withLoopback((place) => selfCheck(place, drain, knownTotals(report)));
  } finally {
    object[Symbol.dispose]();
    host.shim.ringsClose(rings!);
  }
}

test.each(modes)("with %ss, a sock is read right in either way", (mode) => {
  const host = openHost(mode);
  const report = guessOn(host);
  const usually = traceConstants(report, host.features);
  // Else one of the two ways is not tried.
  expect(usually.get(Constant.CONSTANT_USUAL_SOCK)).toBe(1n);
  for (const usual of [1n, 0n]) {
    const constants = new Map(usually).set(Constant.CONSTANT_USUAL_SOCK, usual);
    // Throws where an end of its connections is not what it is, of IPv6 sockets too.
    expect(checked(mode, host, report, constants).wrong).toEqual([]);
  }
});

const loads = openHost("auto").shim.plainLoads();

// Kernels of the lab show either way, by all that is tested there.
test.skipIf(sparing || loads === null).each(modes)(
  "with %ss, a kernel whose memory programs may load is read right without that too",
  (mode) => {
    const host = openHost(mode);
    const report = guessOn(host);
    const has = (name: FeatureName) => name !== "plain_loads" && host.features.has(name);
    const older = { ...host, features: { ...host.features, has } };
    const constants = traceConstants(report, host.features);
    for (const either of [host, older])
      expect(checked(mode, either, report, constants).wrong).toEqual([]);
  },
);

test.skipIf(sparing || loads === null)(
  "the ids by which programs load are of those types, and the first subflow lies there",
  () => {
    const types = parseBtf(readFileSync("/sys/kernel/btf/vmlinux"));
    expect(loads).toEqual({
      cast: findType(types, "func", "bpf_rdonly_cast")!,
      words: findType(types, "struct", "pt_regs")!,
      firstSubflow: (findMember(types, "mptcp_sock", "first")?.bitOffset ?? 0) / 8,
    });
  },
);

// The first mode is enough: the comparison is the same, and each load takes long in a guest.
test.each(modes.slice(0, 1))(
  "with %ss, every counter that is read at a wrong offset is found",
  (mode) => {
    const host = openHost(mode);
    const report = guessOn(host);
    const right = traceConstants(report, host.features);
    /** Each as if it were at the place of another that is read in the same way. */
    const places = [
      [Offset.OFFSET_SEGS_OUT, Offset.OFFSET_SEGS_IN],
      [Offset.OFFSET_SRTT_US, Offset.OFFSET_MDEV_US],
      [Offset.OFFSET_MDEV_US, Offset.OFFSET_SRTT_US],
      [Offset.OFFSET_TOTAL_RETRANS, Offset.OFFSET_SEGS_OUT],
    ] as const;
    const constants = new Map(right);
    for (const [field, other] of places) constants.set(field, right.get(other)!);
    const { wrong } = checked(mode, host, report, constants);
    expect(new Set(wrong.map(({ total }) => total))).toEqual(
      new Set(["segs", "rtt", "rttVar", "retransmits"]),
    );
  },
);
