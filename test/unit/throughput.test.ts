/** The records of the bench that measures decoding and printing. */
import { expect, test } from "bun:test";
import { EventView } from "../../src/record/layout.gen.ts";
import { kindOf, toConnEvent } from "../../src/trace/event.ts";
import { EventQueue } from "../../src/trace/stream/queue.ts";
import { syntheticDrain } from "../bench/throughput.ts";

test("the bench's records are a connect, an accept and the closes of each connection", () => {
  const drained = syntheticDrain(8);
  const queue = new EventQueue();
  queue.room(drained.length).set(drained);
  queue.filled(drained.length);
  const kinds: string[] = [];
  queue.take(Infinity, (view, p) => {
    const event = new EventView(view, p);
    const { kind, comm } = toConnEvent(event, kindOf(event)!, []);
    kinds.push(`${kind} ${comm}`);
  });
  const one = ["accept load", "close load", "close load", "connect load"];
  expect(kinds.toSorted()).toEqual([...one, ...one].toSorted());
});
