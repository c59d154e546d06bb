/** Followed processes whose end the kernel side did not see. */
import { expect, test } from "bun:test";
import { Leftover } from "../../src/trace/process/leftover.ts";

const SECOND = 1_000_000_000n;

function host(followed: Map<number, bigint>, living: Set<number>) {
  let looks = 0;
  const source = {
    dump: () => {
      looks++;
      return [...followed];
    },
    isOver: (tgid: number) => !living.has(tgid),
    forget: (tgid: number) => void followed.delete(tgid),
  };
  return { leftover: new Leftover(source), looks: () => looks };
}

test("those that are over at two looks are forgotten, no others", () => {
  const followed = new Map([
    [7, 70n],
    [8, 80n],
  ]);
  const living = new Set([7, 8]);
  const { leftover } = host(followed, living);
  leftover.renew(0n);
  living.delete(8);
  leftover.renew(10n * SECOND);
  expect([...followed.keys()]).toEqual([7, 8]);
  leftover.renew(20n * SECOND);
  expect([...followed.keys()]).toEqual([7]);
});

test("a process whose pid is another's by the second look is kept", () => {
  const followed = new Map([[8, 80n]]);
  const { leftover } = host(followed, new Set());
  leftover.renew(0n);
  followed.set(8, 88n);
  leftover.renew(10n * SECOND);
  expect(followed.get(8)).toBe(88n);
});

test("it looks every five seconds, however often it is called", () => {
  const { leftover, looks } = host(new Map(), new Set());
  for (let now = 0n; now < 20n * SECOND; now += SECOND / 10n) leftover.renew(now);
  expect(looks()).toBe(4);
});
