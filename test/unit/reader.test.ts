import { expect, test } from "bun:test";
import { createReader } from "../../src/library/reader.ts";

function reader(most = 10) {
  let ended = 0;
  const events = createReader<number>(most, () => ended++);
  return { events, ended: () => ended };
}

const done = { done: true, value: undefined } as const;

test("a reader gets what came before it asked and what comes while it waits, in order", async () => {
  const { events } = reader();
  events.push([1, 2]);
  expect((await events.next()).value).toBe(1);
  const asked = [events.next(), events.next(), events.next()];
  events.push([3]);
  events.push([4]);
  expect((await Promise.all(asked)).map(({ value }) => value as number)).toEqual([2, 3, 4]);
});

test("an end lets what waits be taken first, and answers everybody who asks then", async () => {
  const { events, ended } = reader();
  events.push([1]);
  const asked = [events.next(), events.next()];
  events.end();
  events.end();
  events.push([2]);
  expect(await Promise.all(asked)).toEqual([{ done: false, value: 1 }, done]);
  expect(await events.next()).toEqual(done);
  expect(ended()).toBe(1);
});

test("an end by an error throws it, after what waits", async () => {
  const { events } = reader();
  events.push([1]);
  events.end(new Error("the rings are gone"));
  expect((await events.next()).value).toBe(1);
  expect(await events.next().catch(String)).toBe("Error: the rings are gone");
});

test("leaving the loop ends it and gives up what waits", async () => {
  const { events, ended } = reader();
  events.push([1, 2, 3]);
  for await (const event of events) if (event === 2) break;
  expect(ended()).toBe(1);
  expect(await events.next()).toEqual(done);
});

test("beyond its room items are dropped and counted; what was taken makes room", async () => {
  const { events } = reader(2);
  events.push([1, 2, 3]);
  expect(events.dropped).toBe(1n);
  await events.next();
  events.push([4, 5]);
  expect(events.dropped).toBe(2n);
  expect([(await events.next()).value, (await events.next()).value]).toEqual([2, 4]);
});
