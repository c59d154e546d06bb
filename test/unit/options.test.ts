/** Options that a program passes to the library are checked before anything is touched. */
import { describe, expect, test } from "bun:test";
import { guessOffsets, openTracer } from "../../src/index.ts";
import { checkOptions, flag, number, oneOf, whole } from "../../src/options.ts";

const rules = { on: flag, way: oneOf("a", "b"), ms: number(10, 1000), most: whole(1, 5) };

test("options that are as they must be, and those that are not given, pass", () => {
  checkOptions("f()", {}, rules);
  checkOptions("f()", { on: false, way: "b", ms: 10.5, most: 5 }, rules);
  checkOptions("f()", { on: undefined, ms: undefined }, rules);
});

test.each<[unknown, string]>([
  [{ on: 1 }, "f(): on is 1, it must be true or false"],
  [{ way: "c" }, 'f(): way is "c", it must be "a" or "b"'],
  [{ ms: 9 }, "f(): ms is 9, it must be a number from 10 to 1000"],
  [{ ms: NaN }, "f(): ms is NaN, it must be a number from 10 to 1000"],
  [{ ms: "20" }, 'f(): ms is "20", it must be a number from 10 to 1000'],
  [{ most: 1.5 }, "f(): most is 1.5, it must be a whole number from 1 to 5"],
  [{ most: null }, "f(): most is null, it must be a whole number from 1 to 5"],
  [{ most: 5n }, "f(): most is 5, it must be a whole number from 1 to 5"],
  [{ on: true, off: true }, "f(): there is no option off; there are on, way, ms, most"],
  [{ toString: 1 }, "f(): there is no option toString; there are on, way, ms, most"],
  [null, "f(): the options are null, they must be an object"],
  ["fast", 'f(): the options are "fast", they must be an object'],
])("%p is refused", (options, message) => {
  expect(() => checkOptions("f()", options, rules)).toThrow(new RangeError(message));
});

describe("the library", () => {
  const refusal = (work: Promise<unknown>) => work.then(String, String);

  test.each<[object, RegExp]>([
    [{ attach: "ebpf" }, /openTracer\(\): attach is "ebpf", it must be "auto" or /],
    [{ pollMs: 9 }, /openTracer\(\): pollMs is 9/],
    [{ pollMS: 100 }, /openTracer\(\): there is no option pollMS/],
    [{ self: "no" }, /openTracer\(\): self is "no"/],
    [{ args: 1 }, /openTracer\(\): args is 1/],
    [{ offsets: 5 }, /openTracer\(\): offsets is 5, it must be a report or a path/],
    [{ maxEnded: NaN }, /openTracer\(\): maxEnded is NaN/],
    [{ clientIdleMs: -1 }, /openTracer\(\): clientIdleMs is -1/],
  ])("refuses %j", async (options, why) => {
    expect(await refusal(openTracer(options as never))).toMatch(why);
  });

  test("refuses a way to attach that does not exist, for the guess too", async () => {
    expect(await refusal(guessOffsets({ attach: "all" } as never))).toMatch(
      /guessOffsets\(\): attach is "all"/,
    );
  });
});
