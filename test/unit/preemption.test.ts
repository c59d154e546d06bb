import { describe, expect, test } from "bun:test";
import { preempts } from "../../src/kernel/preemption.ts";

/** Where debugfs is neither mounted nor to be had. */
const hidden = { debugfs: () => null };

describe("a kernel preempts", () => {
  test.each([
    ["#1 SMP Debian 5.10.249-1 (2026-02-01)", false],
    ["#1 SMP PREEMPT Thu Mar 5 10:00:00 UTC 2026", true],
    ["#1 SMP PREEMPT_RT Debian 6.12.118-1 (2026-11-20)", true],
    ["#1 SMP PREEMPT_LAZY Debian 7.3.4-1 (2026-11-15)", true],
  ])("as the line of its build says: %s", (build, answer) => {
    expect(preempts(hidden, build)).toBe(answer);
  });
});
