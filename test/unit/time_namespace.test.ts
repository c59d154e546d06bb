/** In a time namespace the tool's clock is the kernel's all the same. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseMonotonic } from "../../src/kernel/time_namespace.ts";

describe("the offset of the monotonic clock", () => {
  test.each<[string | null, bigint | null]>([
    ["monotonic           0         0\nboottime            0         0\n", 0n],
    ["monotonic     1000000         0\nboottime      2000000         0\n", 1_000_000_000_000_000n],
    ["monotonic          -2 500000000\nboottime            0         0\n", -1_500_000_000n],
    ["1 3 7\n7 0 0\n", 3_000_000_007n],
    ["boottime            0         0\n", null],
    [null, null],
  ])("of %j is %s", (text, offset) => {
    expect(parseMonotonic(text)).toBe(offset);
  });
});

const root = process.geteuid?.() === 0;
const clock = JSON.stringify(join(import.meta.dir, "../../src/kernel/clock.ts"));
const life = JSON.stringify(join(import.meta.dir, "../../src/kernel/process.ts"));
const script = `
  import { monotonicNs } from ${clock};
  import { lifeOf } from ${life};
  console.log(String(monotonicNs()), String(lifeOf(${process.pid}).startedNs));`;

/** The kernel's clock and the start of this process, as a process in a time namespace reads them. */
function readIn(...unshare: string[]): [bigint, bigint] {
  const command = [...unshare, process.execPath, "-e", script];
  const { stdout, stderr } = Bun.spawnSync(command);
  const numbers = stdout.toString().trim().split(" ");
  if (numbers.length !== 2) throw new Error(stderr.toString());
  return numbers.map(BigInt) as [bigint, bigint];
}

/** Linux 5.6 and later. */
const has = root && existsSync("/proc/self/ns/time");

describe.if(has)("in a time namespace", () => {
  test.each<string[]>([
    ["unshare", "-T", "--monotonic", "1000000", "--boottime", "1000000"],
    ["unshare", "-T", "--monotonic", "1000000", "--boottime", "3000000"],
    ["unshare", "-T", "--fork", "--monotonic", "1000000", "--boottime", "1000000"],
    // A namespace within another: offsets are those to the host.
    [
      ..."unshare -T --monotonic 70 --boottime 70 unshare -T --monotonic 9000 --boottime 90".split(
        " ",
      ),
    ],
  ])("%s %s %s %s %s %s the clock is the kernel's", (...unshare) => {
    const [before, started] = readIn();
    const [inside, startedInside] = readIn(...unshare);
    const [after] = readIn();
    expect(inside).toBeGreaterThan(before);
    expect(inside).toBeLessThan(after);
    // /proc counts in hundredths of a second, and the two clocks are read one after the other.
    expect(Math.abs(Number(startedInside - started))).toBeLessThan(20_000_000);
  });
});
