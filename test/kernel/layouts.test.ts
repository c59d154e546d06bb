/** A sock is read in one piece where it begins as on all kernels we know, and field by field elsewhere: both are right. */
import { expect, test } from "bun:test";
import { withLoopback } from "../../src/guess/netns.ts";
import { guessOn } from "../../src/guess/run.ts";
import { openHost } from "../../src/kernel/host.ts";
import type { KernelObject } from "../../src/kernel/object.ts";
import type { PerfRings } from "../../src/kernel/shim.ts";
import { Constant } from "../../src/record/layout.gen.ts";
import { drainer } from "../../src/trace/stream/drain.ts";
import { traceConstants } from "../../src/trace/opening/offsets.ts";
import { openRings } from "../../src/trace/stream/rings.ts";
import { selfCheck } from "../../src/trace/tcp/check.ts";
import { attachAsked } from "./drive/attached.ts";
import { modes } from "./drive/modes.ts";

test.each(modes)("with %ss, a sock is read right in either way", (mode) => {
  const host = openHost(mode);
  const report = guessOn(host);
  const usually = traceConstants(report, host.features);
  // Else one of the two ways is not tried.
  expect(usually.get(Constant.CONSTANT_USUAL_SOCK)).toBe(1n);
  for (const usual of [1n, 0n]) {
    const constants = new Map(usually).set(Constant.CONSTANT_USUAL_SOCK, usual);
    let rings: PerfRings | null = null;
    const ready = (loaded: KernelObject) => {
      rings = openRings(host.shim, loaded, 1 << 20).rings;
    };
    const { object } = attachAsked({ host, report, mode, constants, ready });
    try {
      const drain = drainer(host.shim, object, rings!);
      // Throws where an end of its connections is not what it is, of IPv6 sockets too.
      withLoopback((place) => selfCheck(place, drain, true));
    } finally {
      object[Symbol.dispose]();
      host.shim.ringsClose(rings!);
    }
  }
});
