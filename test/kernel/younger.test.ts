/**
 * A close whose connection no program has seen begin is counted as a missed beginning, if its socket is younger than the
 * trace. A beginning is missed here by taking the connection out of the kernel side's table once it was told.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { guessOn } from "../../src/guess/run.ts";
import { openHost } from "../../src/kernel/host.ts";
import { gettid } from "../../src/kernel/libc.ts";
import type { KernelObject } from "../../src/kernel/object.ts";
import { readEvent } from "../../src/record/layout.gen.ts";
import { lossTexts } from "../../src/trace/health/losses.ts";
import type { Part } from "../../src/trace/part.ts";
import { PARTS } from "../../src/trace/parts.ts";
import type { Trace } from "../../src/trace/trace.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { asBefore510, linuxAtLeast, lists, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";

setDefaultTimeout(120_000);

/** The processors that this process, and with it the trace, may run on: taskset(1) or a container may leave out some. */
const allowed = /^Cpus_allowed_list:\s*(\S+)/m
  .exec(readFileSync("/proc/self/status", "latin1"))![1]!
  .split(",")
  .flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });

const told = linuxAtLeast(5, 10) && !asBefore510;

describe.each(modes)("with %ss", (mode) => {
  const host = openHost(mode);
  const listener = new peer.Listener("127.0.0.1");
  const events: TracedEvent[] = [];
  let older: peer.Pair[];
  let dead: peer.Pair;
  let trace: Trace;
  let object: KernelObject;

  const pairs = (count: number): peer.Pair[] =>
    Array.from({ length: count }, () => {
      const client = peer.dial(listener.address, listener.port);
      return { client, server: listener.accept() };
    });
  const endsOf = (some: readonly peer.Pair[]) =>
    some.flatMap(({ client, server }) => [client, server]);

  /** Until so many of these ends have a line of this kind. */
  const awaitLines = (kinds: string, ends: readonly peer.Peer[]) =>
    peer.until(`${kinds} of ${ends.length} ends`, () => {
      events.push(...trace.poll());
      return ends.every(({ truth }) =>
        events.some(
          ({ kind, local, remote }) =>
            kinds.includes(kind) &&
            local.port === truth.local.port &&
            remote.port === truth.remote.port,
        ),
      );
    });

  /** As if nobody had seen them begin; returns how many were known. */
  const forget = (ends: readonly peer.Peer[]): number => {
    const fd = object.mapFd("conns");
    const wanted = new Set(
      ends.map(({ truth: { local, remote } }) => `${local.port} ${remote.port}`),
    );
    const live = new Uint8Array(1024);
    const found: Uint8Array[] = [];
    const key = new Uint8Array(8);
    for (let more = host.shim.mapNextKey(fd, null, key); more;) {
      if (!host.shim.mapLookup(fd, key, live)) break;
      const { sport, dport } = readEvent(new DataView(live.buffer), 0).ends;
      if (wanted.has(`${sport} ${dport}`)) found.push(key.slice());
      more = host.shim.mapNextKey(fd, key.slice(), key);
    }
    for (const one of found) host.shim.mapDelete(fd, one);
    return found.length;
  };

  const missed = (): bigint =>
    trace.losses().find(({ cause }) => cause === lossTexts.LOSS_BEGIN_MISSED)!.count;

  beforeAll(async () => {
    older = pairs(11);
    [dead] = pairs(1) as [peer.Pair];
    dead.client.abort();
    peer.awaitReadable(dead.server.fd);
    const spy: Part = {
      name: "a part that looks on",
      without: null,
      points: () => [],
      start(on) {
        object = on.object;
        return {};
      },
    };
    const options = { attach: mode, offsets: guessOn(host), self: true, debug: false } as const;
    trace = await openTrace(options, [...PARTS, () => spy], host);
  });

  afterAll(async () => {
    await trace[Symbol.asyncDispose]();
    listener.close();
  });

  test("connections that were seen to begin are not counted, whoever closes first", () => {
    const seen = pairs(101);
    awaitLines("connect accept", endsOf(seen));
    seen.forEach(({ client, server }, n) => {
      const [first, last] = n % 2 === 0 ? [client, server] : [server, client];
      if (n % 3 === 0) first.abort();
      else first.close();
      last.close();
    });
    awaitLines("close", endsOf(seen));
    expect(missed()).toBe(0n);
  });

  test("connections older than the trace are not counted, nor those that were dead when it began", () => {
    expect(forget(endsOf(older)) > 0).toBe(lists(mode));
    // Of this one there may be no line: the kernel has taken back its port.
    dead.server.close();
    for (const end of endsOf(older)) end.close();
    awaitLines("close", endsOf(older));
    expect(missed()).toBe(0n);
  });

  test.skipIf(!told)("each younger one is counted once, whichever CPU made its sockets", () => {
    let before = missed();
    for (const cpu of allowed) {
      runOn(String(cpu));
      const lost = pairs(53);
      awaitLines("connect accept", endsOf(lost));
      expect(forget(endsOf(lost))).toBe(106);
      for (const { client, server } of lost) {
        client.close();
        server.readToEnd();
        server.close();
      }
      awaitLines("close", endsOf(lost));
      expect(missed() - before).toBe(106n);
      before = missed();
    }
    runOn(allowed.join());
  });

  test("a connect that failed is not counted when its socket is closed", () => {
    const before = missed();
    const gone = new peer.Listener("127.0.0.1");
    gone.close();
    for (let n = 0; n < 11; n++) expect(() => peer.dial(gone.address, gone.port)).toThrow();
    const last = pairs(1);
    for (const end of endsOf(last)) end.close();
    awaitLines("close", endsOf(last));
    expect(missed()).toBe(before);
  });
});

// --- internal ---

/** This thread, from now on. */
function runOn(list: string): void {
  const moved = Bun.spawnSync(["taskset", "-pc", list, String(gettid())]);
  expect(moved.exitCode).toBe(0);
}
