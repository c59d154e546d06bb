/** A kernel that refuses some programs is traced without them, unless no trace is possible without them. */
import { describe, expect, test } from "bun:test";
import { KernelError } from "../../src/kernel/shim.ts";
import { groupsTaken } from "../../src/trace/opening/load.ts";

const all = ["listing", "udp", "sampling"];

/** A kernel that refuses some, and the loads that were tried. */
function kernel(...refused: string[]) {
  const tried: string[] = [];
  const load = (groups: readonly string[]) => {
    tried.push(groups.join(" "));
    if (groups.some((group) => refused.includes(group))) throw new KernelError("load", 22);
  };
  return { tried, load };
}

describe("groups of programs", () => {
  test("load together when the kernel takes all", () => {
    const { tried, load } = kernel();
    expect(groupsTaken(all, load)).toEqual(all);
    expect(tried).toEqual(["listing udp sampling"]);
  });

  test.each(all)("are left out when they are refused: %s", (group) => {
    const { load } = kernel(group);
    expect(groupsTaken(all, load)).toEqual(all.filter((other) => other !== group));
  });

  test("are left out two at a time", () => {
    expect(groupsTaken(all, kernel("udp", "sampling").load)).toEqual(["listing"]);
  });

  test("are none when all are refused", () => {
    expect(groupsTaken(all, kernel(...all).load)).toEqual([]);
  });

  test("are not what hides another fault", () => {
    const broken = () => groupsTaken(all, () => JSON.parse("{"));
    expect(broken).toThrow(SyntaxError);
  });
});
