/** The arithmetic of what is lost. */
import { describe, expect, test } from "bun:test";
import { countText } from "../../src/commands/losses.ts";
import { Loss } from "../../src/record/layout.gen.ts";
import {
  countedOnce,
  countLosses,
  lossTexts,
  missedByAny,
  notRescued,
  ringLoss,
  telemetryLosses,
  settling,
} from "../../src/trace/health/losses.ts";

describe("records that found no room in a ring", () => {
  test("are those that the programs told of, where they were told", () => {
    expect(ringLoss(7, 7n, 0n)).toBe(7n);
  });

  test("are those that the rings know of where no program was told", () => {
    expect(ringLoss(7, 0n, 0n)).toBe(7n);
    expect(ringLoss(7, 2n, 0n)).toBe(7n);
  });

  test("do not count what came through the map instead", () => {
    expect(ringLoss(7, 0n, 5n)).toBe(2n);
    expect(ringLoss(7, 3n, 4n)).toBe(3n);
  });

  test("are no fewer than a program told of, also while the rings have not said so yet", () => {
    expect(ringLoss(0, 3n, 0n)).toBe(3n);
    expect(ringLoss(2, 3n, 4n)).toBe(3n);
  });
});

test("one thing that a part counted is told in the singular", () => {
  const what = "connections that were not looked at, and have the protocol of others";
  expect(countText({ what, count: 2n })).toBe(`2 ${what}`);
  expect(countText({ what, count: 0n })).toBe(`0 ${what}`);
  expect(countText({ what, count: 1n })).toBe(
    "1 connection that was not looked at, and has the protocol of others",
  );
  expect(countText({ what: "times nobody looked", count: 1n })).toBe("1 time nobody looked");
});

test("what programs missed adds up", () => {
  expect(missedByAny([5, 2, 9])).toBe(16n);
  expect(missedByAny([])).toBe(0n);
});

test("what was missed counts when nobody had seen it for a second, or when all is over", () => {
  const settled = settling();
  expect(settled(0n, 0, false)).toBe(0n);
  // Rescued half a second later.
  expect(settled(5n, 1100, false)).toBe(0n);
  expect(settled(2n, 1600, false)).toBe(0n);
  expect(settled(2n, 2200, false)).toBe(2n);
  expect(settled(9n, 2300, false)).toBe(2n);
  expect(settled(7n, 3300, false)).toBe(2n);
  expect(settled(7n, 4400, false)).toBe(7n);
  expect(settled(8n, 4500, true)).toBe(8n);
});

test("what a backup program saw was not missed; it may be counted a moment before the miss is", () => {
  expect(notRescued(7n, 5n)).toBe(2n);
  expect(notRescued(7n, 8n)).toBe(0n);
});

test("each cause is counted by its own counter, those with nothing too, and what is added stands behind", () => {
  const more = { cause: "something else", count: 99n };
  const losses = countLosses((cause) => BigInt(cause) * 10n, [more]);
  expect(losses.at(-1)).toEqual(more);
  const ring = losses.find(({ cause }) => cause === lossTexts.LOSS_EVENT_RING_FULL);
  const flows = losses.find(({ cause }) => cause === lossTexts.LOSS_FLOW_MAP_FULL);
  expect(ring?.count).toBe(BigInt(Loss.LOSS_EVENT_RING_FULL) * 10n);
  expect(flows?.count).toBe(BigInt(Loss.LOSS_FLOW_MAP_FULL) * 10n);
  expect(losses).toHaveLength(Object.keys(lossTexts).length + 1);
});

test("a beginning that another cause has counted is not counted again with its close", () => {
  const counts = (full: bigint, closes: bigint) => [
    { cause: lossTexts.LOSS_CONNECTION_MAP_FULL, count: full },
    { cause: lossTexts.LOSS_BEGIN_MISSED, count: closes },
    { cause: "something else", count: 99n },
  ];
  expect(countedOnce(counts(0n, 5n), 0n)).toEqual(counts(0n, 5n));
  expect(countedOnce(counts(2n, 5n), 1n)).toEqual(counts(2n, 2n));
  expect(countedOnce(counts(2n, 5n), 9n)).toEqual(counts(2n, 0n));
});

test("in the telemetry datagrams are those of every loss that is counted in datagrams", () => {
  const missed = { cause: "a probe was busy", count: 100n, unit: "datagram" } as const;
  const losses = countLosses(
    (cause) => 1n << BigInt(cause),
    [missed, { ...missed, cause: "both" }],
  );
  expect(telemetryLosses(losses)).toEqual({
    unfollowedConnects: 1n << BigInt(Loss.LOSS_ATTEMPT_MAP_FULL),
    unreadableTuples: 1n << BigInt(Loss.LOSS_TUPLE_UNREADABLE),
    datagramsMissed: 200n + (1n << BigInt(Loss.LOSS_FLOW_MAP_FULL)),
  });
});
