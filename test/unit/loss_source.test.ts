/** Losses that the kernel counts: records that nobody misses are no lost events. */
import { expect, test } from "bun:test";
import type { KernelObject } from "../../src/kernel/object.ts";
import type { Shim } from "../../src/kernel/shim.ts";
import { Counter, Loss } from "../../src/record/layout.gen.ts";
import { lossSource } from "../../src/trace/health/loss_source.ts";

/** As where programs send each record by itself. `counters`: the map `losses`. */
function lost(byRings: number, counters: Readonly<Record<number, bigint>>) {
  const object = { mapFd: () => 3, loaded: () => false } as unknown as KernelObject;
  const shim = {
    mapLookup(_fd: number, [counter]: Uint32Array, value: BigUint64Array) {
      value[0] = counters[counter!] ?? 0n;
    },
  } as unknown as Shim;
  return lossSource(shim, object, [], "run_batch", () => byRings)
    .all(true)
    .flatMap(({ count }) => (count === 0n ? [] : count));
}

test.each([
  ["an event that came through the spill", Counter.COUNTER_EVENT_SPILLED],
  ["payload", Counter.COUNTER_LOOK_LOST],
  ["the word that many segments have come", Counter.COUNTER_SEGMENTS_LOST],
])("where the rings had no room for %s, no event is lost", (_, counter) => {
  expect(lost(2, { [counter]: 2n })).toEqual([]);
});

test("what the rings lost beside it is a lost event, told by a program or not", () => {
  expect(lost(3, { [Counter.COUNTER_SEGMENTS_LOST]: 2n })).toEqual([1n]);
  expect(lost(3, { [Counter.COUNTER_SEGMENTS_LOST]: 2n, [Loss.LOSS_EVENT_RING_FULL]: 1n })).toEqual(
    [1n],
  );
});
