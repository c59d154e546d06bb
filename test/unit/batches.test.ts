import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { BATCH_ROOM, type Batch } from "../../src/public/conn.ts";
import { recordSizes, toBatch } from "../../src/public/records.ts";
import { Batches } from "../../src/public/batches.ts";

/** A batch whose connections are numbered in `cookie`. */
function batch(cpu: number, id: number, numbers: number[]): Batch {
  const bytes = new Uint8Array(recordSizes.Batch);
  const view = new DataView(bytes.buffer);
  for (const [slot, n] of numbers.entries()) view.setUint32(slot * recordSizes.Conn + 104, n, true);
  view.setBigUint64(480, BigInt(id), true);
  view.setUint32(488, cpu, true);
  view.setUint16(492, numbers.length, true);
  return toBatch(bytes);
}

const take = (batches: Batches, from: Batch, now = 0) =>
  batches.take(from, now).map((conn) => conn.conn_stats.cookie);

describe("of a batch", () => {
  test("that comes full everything is taken", () => {
    expect(take(new Batches(), batch(0, 0, [1, 2, 3, 4]))).toEqual([1, 2, 3, 4]);
  });

  test("that was seen with three, only the fourth is taken when it is full", () => {
    const batches = new Batches();
    expect(take(batches, batch(0, 0, [1, 2, 3]))).toEqual([1, 2, 3]);
    expect(take(batches, batch(0, 0, [1, 2, 3, 4]))).toEqual([4]);
  });

  test("nothing is taken twice, and nothing of an empty one", () => {
    const batches = new Batches();
    expect(take(batches, batch(0, 0, []))).toEqual([]);
    expect(take(batches, batch(0, 0, [1, 2]))).toEqual([1, 2]);
    expect(take(batches, batch(0, 0, [1, 2]))).toEqual([]);
    expect(take(batches, batch(0, 0, [1]))).toEqual([]);
    expect(take(batches, batch(0, 0, [1, 2, 3]))).toEqual([3]);
  });

  test("the rest is taken also when the CPU's next one was seen before", () => {
    const batches = new Batches();
    expect(take(batches, batch(0, 0, [1]))).toEqual([1]);
    expect(take(batches, batch(0, 1, [5, 6]))).toEqual([5, 6]);
    expect(take(batches, batch(0, 0, [1, 2, 3, 4]))).toEqual([2, 3, 4]);
    expect(take(batches, batch(0, 1, [5, 6, 7, 8]))).toEqual([7, 8]);
  });

  test("another CPU's one with the same number is another one", () => {
    const batches = new Batches();
    expect(take(batches, batch(0, 3, [1, 2]))).toEqual([1, 2]);
    expect(take(batches, batch(1, 3, [3, 4]))).toEqual([3, 4]);
  });

  test("nothing is remembered after a minute without news", () => {
    const batches = new Batches();
    take(batches, batch(0, 0, [1]), 0);
    take(batches, batch(1, 0, [1]), 30_000);
    expect(batches.expire(60_000)).toBe(2);
    expect(batches.expire(60_001)).toBe(1);
    expect(batches.expire(90_001)).toBe(0);
  });
});

test("any interleaving of part full looks and full batches gives each connection once", () => {
  const CPUS = 3;
  const step = fc.tuple(fc.constantFrom("close", "look", "drain"), fc.nat(CPUS - 1));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const batches = new Batches();
      const cpus = Array.from({ length: CPUS }, () => ({ id: 0, filling: [] as number[] }));
      const ring: Batch[] = [];
      const taken: number[] = [];
      let closed = 0;
      const look = (n: number) =>
        taken.push(...take(batches, batch(n, cpus[n]!.id, cpus[n]!.filling)));
      const drain = () => {
        for (const full of ring.splice(0)) taken.push(...take(batches, full));
      };
      for (const [what, n] of steps) {
        const cpu = cpus[n]!;
        if (what === "close") cpu.filling.push(closed++);
        if (what === "look") look(n);
        if (what === "drain") drain();
        if (cpu.filling.length < BATCH_ROOM) continue;
        ring.push(batch(n, cpu.id++, cpu.filling));
        cpu.filling = [];
      }
      drain();
      for (const n of cpus.keys()) look(n);
      expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: closed }, (_, n) => n));
      // Full ones that are done are not kept for ever.
      expect(batches.expire(0)).toBeLessThanOrEqual(2 * CPUS);
    }),
  );
});
