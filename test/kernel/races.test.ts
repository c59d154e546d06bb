/**
 * Both ends of a connection are ended at the same moment, each by a thread on a processor of its own: the reset or the FIN
 * of one meets the close(2) of the other. In either order each end has one close, and nothing is left over.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpus } from "node:os";
import { randomLoopback } from "../../src/guess/loopback.ts";
import { startGuessed } from "./drive/guessed.ts";
import { mapsOf } from "./drive/maps.ts";
import { many, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { ends, type End, type Race } from "./drive/racer.ts";

setDefaultTimeout(360_000);

const guest = process.env["VM_KERNEL"] !== undefined;
const AT_ONCE = 53;
/** Of each kind. One costs a guest seventy milliseconds. */
const COUNT = many(503, AT_ONCE);
/** Other programs of this host connect as well. */
const OTHERS = guest ? 4 : 100;

const kinds = Object.keys(ends) as End[];
const races = kinds.flatMap((one) => kinds.map((other): [End, End] => [one, other]));

let racers: Worker[] = [];
beforeAll(async () => {
  // With one processor nothing happens at once, and this would show nothing.
  expect(cpus().length).toBeGreaterThanOrEqual(2);
  racers = await Promise.all([0, 1].map(pinned));
});
afterAll(() => {
  for (const racer of racers) racer.terminate();
});

test.each(modes)(
  "--attach %s: each end has one close, with exact bytes, whoever was first",
  async (mode) => {
    /** How the end that closes is told where the other one resets: by a failure, if the reset came first. */
    const orders = new Set<string | null>();
    const tracer = await startGuessed(mode, ["--debug"]);
    // An address that no other test of this host has.
    const listener = new peer.Listener(randomLoopback());
    const run = async (one: End, other: End, count: number): Promise<void> => {
      const pairs = Array.from({ length: count }, () => busyPair(listener));
      await race(pairs, one, other);
      for (const { truth } of pairs.flatMap(({ client, server }) => [client, server])) {
        await tracer.take(truth.opened, truth);
        const { bytes_sent, bytes_received, failure } = await tracer.take("close", truth);
        if (one === "resets it" && other === "closes" && truth.opened === "accept")
          orders.add(failure ?? null);
        const moved = `${bytes_sent} and ${bytes_received} bytes`;
        expect(`${one}, ${other}: ${moved}`).toBe(
          `${one}, ${other}: ${truth.sent} and ${truth.received} bytes`,
        );
      }
    };
    for (const [one, other] of races)
      for (let done = 0; done < COUNT; done += AT_ONCE)
        await run(one, other, Math.min(AT_ONCE, COUNT - done));
    // Until both have been first: on a busy machine one of the threads may be late each time.
    while (orders.size < 2) await run("resets it", "closes", AT_ONCE);
    expect(orders).toEqual(new Set([null, "ECONNRESET"]));
    listener.close();
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
    expect(tracer.unclaimed(({ pid }) => pid === process.pid)).toEqual([]);
    const [before, after] = mapsOf(tracer.stderr);
    for (const [name, entries] of after)
      expect([name, entries - before.get(name)! < OTHERS, entries]).toEqual([name, true, entries]);
  },
);

// --- internal ---

/** A thread that runs on this processor alone. */
async function pinned(cpu: number): Promise<Worker> {
  const racer = new Worker(new URL("drive/racer.ts", import.meta.url).href);
  const tid = await answer<number>(racer);
  const mask = (1 << cpu).toString(16);
  expect(Bun.spawnSync(["taskset", "-p", mask, String(tid)]).exitCode).toBe(0);
  return racer;
}

/** Everything was read and acknowledged, so that what each end has moved is known. */
function busyPair(listener: peer.Listener): peer.Pair {
  const client = peer.dial(listener.address, listener.port);
  const server = listener.accept();
  peer.transfer(client, server, 101);
  peer.transfer(server, client, 103);
  return { client, server };
}

/** The client's end is ended by one thread, the server's by the other; both have done it when this returns. */
async function race(pairs: peer.Pair[], one: End, other: End): Promise<void> {
  const barrier = new Int32Array(new SharedArrayBuffer(4 * pairs.length));
  const races: Race[] = [
    { fds: pairs.map(({ client }) => client.fd), end: one, barrier },
    { fds: pairs.map(({ server }) => server.fd), end: other, barrier },
  ];
  await Promise.all(
    races.map((task, i) => {
      const done = answer(racers[i]!);
      racers[i]!.postMessage(task);
      return done;
    }),
  );
}

const answer = <T>(racer: Worker): Promise<T> =>
  new Promise((resolve, reject) => {
    racer.onmessage = ({ data }: MessageEvent<T>) => resolve(data);
    racer.onerror = ({ message }) => reject(new Error(message));
  });
