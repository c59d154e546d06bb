/** Records wait as bytes and come in the order of time. */
import { describe, expect, test } from "bun:test";
import {
  eventSize,
  EventView,
  OrderAnswer,
  readEvent,
  writeEvent,
} from "../../src/record/layout.gen.ts";
import { EventQueue } from "../../src/trace/stream/queue.ts";
import { openShim } from "../../src/kernel/shim.ts";
import { queueOf } from "./drained.ts";
import { fc, runs } from "./drive/random.ts";

const shim = openShim();

/** An event of all zeros but for its sock, which numbers it, and its time. */
function eventAt(n: number, time: number) {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  event.sk = BigInt(n);
  event.timestamp = BigInt(time);
  return event;
}

/** Records of as many events as `sizes` says, over and over; padded as the kernel does it. */
function drained(times: readonly number[], sizes: readonly number[] = [1]): Uint8Array {
  const bytes = new Uint8Array(times.length * (eventSize + 16));
  const view = new DataView(bytes.buffer);
  let used = 0;
  for (let n = 0, record = 0; n < times.length; record++) {
    const some = times.slice(n, n + sizes[record % sizes.length]!);
    view.setUint32(used, some.length * eventSize + 4, true);
    for (const [i, time] of some.entries())
      writeEvent(view, used + 8 + i * eventSize, eventAt(n + i, time));
    used += 8 + some.length * eventSize + 8;
    n += some.length;
  }
  return bytes.subarray(0, used);
}

function taken(queue: EventQueue, until = Infinity): number[] {
  const seen: number[] = [];
  queue.take(until, (view, p) => seen.push(Number(view.getBigUint64(p, true))));
  return seen;
}

test("the shim puts events in the order that TypeScript puts them in", () => {
  const anyhow = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 3000, size: "max" });
  // As the rings of a busy host have them: now and then one comes late.
  const nearly = fc
    .array(fc.integer({ min: 0, max: 4 }), { maxLength: 3000, size: "max" })
    .map((late) => late.map((by, n) => Math.max(0, 3 * n - (by === 0 ? 7 : 0))));
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 7 });
  const byShim = new EventQueue({
    addressOf: shim.addressOf,
    order(...drain) {
      const answer = shim.order(...drain);
      expect(answer).not.toBe(OrderAnswer.ORDER_UNKNOWN);
      return answer;
    },
  });
  fc.assert(
    fc.property(fc.oneof(anyhow, nearly), sizes, (times, packed) => {
      const bytes = drained(times, packed);
      byShim.room(bytes.length).set(bytes);
      byShim.filled(bytes.length);
      expect(taken(byShim)).toEqual(taken(queueOf(bytes)));
    }),
    runs(200),
  );
});

test("any events come in the order of time, however many a record has, those of one time as they came, the young ones later", () => {
  const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 3000, size: "max" });
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(
      times,
      sizes,
      times,
      fc.integer({ min: 0, max: 50 }),
      (first, packed, second, until) => {
        const queue = queueOf(drained(first, packed));
        const inOrder = (some: { n: number; time: number }[]) =>
          some.toSorted((a, b) => a.time - b.time).map(({ n }) => n);
        const numbered = first.map((time, n) => ({ n, time }));
        expect(taken(queue, until)).toEqual(inOrder(numbered.filter(({ time }) => time <= until)));
        const rest = numbered.filter(({ time }) => time > until);
        for (const [n, time] of second.entries()) queue.push(eventAt(10_000 + n, time));
        const later = second.map((time, n) => ({ n: 10_000 + n, time }));
        // Records that stayed lie before those that came later, in the order of their own times.
        expect(taken(queue)).toEqual(
          inOrder([...rest.toSorted((a, b) => a.time - b.time), ...later]),
        );
        expect(queue.empty).toBe(true);
      },
    ),
    runs(50),
  );
});

describe("while records are given out", () => {
  test("what is added waits, and does not move what is read", () => {
    const queue = queueOf(drained([1, 2, 3]));
    const seen: number[] = [];
    queue.take(Infinity, (view, p) => {
      // Larger than any buffer: it must not be the one that is read.
      queue.room(8 << 20).fill(0xff);
      queue.push(eventAt(100 + seen.length, 0));
      seen.push(Number(view.getBigUint64(p, true)));
    });
    expect(seen).toEqual([0, 1, 2]);
    expect(taken(queue)).toEqual([100, 101, 102]);
  });
});

test("a view of a record is pushed like the record itself", () => {
  const view = new DataView(new ArrayBuffer(eventSize + 16));
  writeEvent(view, 16, eventAt(7, 7));
  const queue = new EventQueue();
  queue.push(new EventView(view, 16));
  queue.take(Infinity, (at, p) => expect(readEvent(at, p)).toEqual(eventAt(7, 7)));
  expect(queue.empty).toBe(true);
});
