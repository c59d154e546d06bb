/** Decides whether an event belongs to the followed command. Plain maps stand in for the kernel's. */
import { describe, expect, test } from "bun:test";
import type { KernelObject } from "../../src/kernel/object.ts";
import type { Shim } from "../../src/kernel/shim.ts";
import { ConnFact, eventSize, readEvent, type Event } from "../../src/record/layout.gen.ts";
import { Descendants } from "../../src/trace/process/descendants.ts";

const FOLLOWED = 1;
const COMMAND = 2;
const { FACT_FOLLOWED } = ConnFact;

/** `born`: the child that the kernel side sees of the tool when `start` is called. */
function descendantsOf(tgid: number, followed: Set<number>, born = 0) {
  let command = 0;
  const shim = {
    mapUpdate: (_fd: number, [key]: Uint32Array) => {
      followed.add(key!);
      command = born;
    },
    mapDelete: (_fd: number, [key]: Uint32Array) => followed.delete(key!),
    mapLookup: (fd: number, [key]: Uint32Array, value: Uint32Array) => {
      if (fd === COMMAND) value[0] = command;
      return fd === COMMAND || followed.has(key!);
    },
  } as unknown as Shim;
  const mapFd = (map: string) => (map === "followed" ? FOLLOWED : COMMAND);
  return new Descendants(shim, { mapFd } as KernelObject, tgid);
}

function eventOf({ pid = 0, flags = 0, sk = 1n, cookie = 11 }): Event {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  event.owner.pid = pid;
  event.cookie = cookie;
  return { ...event, sk, flags };
}

describe("an event", () => {
  const descendants = descendantsOf(1, new Set([7]));

  test("is theirs if the kernel side says so", () => {
    expect(descendants.own(eventOf({ pid: 9, flags: FACT_FOLLOWED }), "connect")).toBe(true);
    expect(descendants.own(eventOf({ pid: 7 }), "close")).toBe(false);
  });

  test("that is an accept is theirs if its owner is one of them", () => {
    expect(descendants.own(eventOf({ pid: 7 }), "accept")).toBe(true);
    expect(descendants.own(eventOf({ pid: 8 }), "accept")).toBe(false);
    expect(descendants.acceptOf(eventOf({ flags: FACT_FOLLOWED }))).toBeNull();
  });
});

describe("an accept without an owner", () => {
  test("comes with its close, once, if that is theirs", () => {
    const descendants = descendantsOf(1, new Set());
    expect(descendants.own(eventOf({}), "accept")).toBe(false);
    const close = eventOf({ pid: 7, flags: FACT_FOLLOWED });
    expect(descendants.acceptOf(close)).toMatchObject({
      owner: { pid: 0 },
      flags: FACT_FOLLOWED,
    });
    expect(descendants.acceptOf(close)).toBeNull();
  });

  test("never comes if its close is somebody else's, or another connection's", () => {
    const descendants = descendantsOf(1, new Set());
    for (const close of [
      eventOf({ pid: 9 }),
      eventOf({ pid: 7, flags: FACT_FOLLOWED, cookie: 12 }),
      eventOf({ pid: 7, flags: FACT_FOLLOWED, sk: 2n }),
    ]) {
      descendants.own(eventOf({}), "accept");
      expect(descendants.acceptOf(close)).toBeNull();
    }
  });
});

const killed: number[] = [];
const processOf = (pid: number) => ({ pid, kill: () => void killed.push(pid) });

describe("a command", () => {
  test("is started while the tool itself is followed, and no longer", () => {
    const followed = new Set<number>();
    const descendants = descendantsOf(process.pid, followed, 77);
    const child = descendants.launch(() => ({ ...processOf(77), during: [...followed] }));
    expect(child.during).toEqual([process.pid]);
    expect(followed.size).toBe(0);
  });

  test("that cannot be started leaves nothing followed", () => {
    const followed = new Set<number>();
    const start = () => {
      throw new Error("no such file");
    };
    expect(() => descendantsOf(process.pid, followed).launch(start)).toThrow("no such file");
    expect(followed.size).toBe(0);
  });

  test("that the kernel side did not see, or saw another of, is ended and refused", () => {
    for (const born of [0, 78])
      expect(() => descendantsOf(process.pid, new Set(), born).launch(() => processOf(77))).toThrow(
        "its start was not seen",
      );
  });

  test("is ended only then", () => {
    expect(killed).toEqual([77, 77]);
  });

  test("may have another number in the tool's pid namespace, but must have been seen", () => {
    const elsewhere = process.pid + 1;
    expect(descendantsOf(elsewhere, new Set(), 5000).launch(() => processOf(3)).pid).toBe(3);
    expect(() => descendantsOf(elsewhere, new Set()).launch(() => processOf(3))).toThrow(
      "its start was not seen",
    );
  });
});
