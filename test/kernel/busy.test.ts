/**
 * Processes that compete for one processor. Linux 7.0 and later preempt a tracepoint's program, and until that task goes on
 * they keep all others out of it there: what they do meanwhile must be seen all the same, or told to be lost.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Actor } from "./drive/actors.ts";
import { type FlowTruth, tracesUdp } from "./drive/datagrams.ts";
import { startGuessed } from "./drive/guessed.ts";
import { linuxAtLeast, modes, type Mode, sparing } from "./drive/modes.ts";
import { flushed } from "./drive/traced.ts";
import { type Event, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(360_000);

/** FULL=1 adds what is too slow for an emulated guest. */
const full = process.env["FULL"] === "1";
/**
 * Of each process. An emulated guest changes from one process to the other many times during each connection, a host once
 * during many: fewer of them meet more preemptions there.
 */
const CONNECTIONS = full ? 1_009 : sparing ? 53 : 211;
const DATAGRAMS = full ? 10_007 : sparing ? 251 : 1_009;

/** The share that these kernels may lose. */
const mayLose = (mode: Mode, share: number): number =>
  mode === "tracepoint" && linuxAtLeast(7, 0) ? share : 0;

test.each(modes)(
  "trace --attach %s: of each of their TCP connections both ends are shown, or told to be lost",
  async (mode) => {
    const tracer = await startGuessed(mode);
    const each = CONNECTIONS;
    const actors = await competing(7, "redialer", each);
    const ports = await start<{ port: number }>(actors);
    for (const actor of actors) await actor.hear();
    // The actors have their ports until now: another listener with one of these would be counted.
    await flushed(tracer);
    for (const actor of actors) await actor.end();
    const lost = await toldLost(tracer, "TCP event");
    const missing = ports.map(({ port }) => {
      const of = (
        kind: Event["event"],
        end: "local" | "remote",
        sent?: number,
        received?: number,
      ) =>
        tracer.events.filter(
          (event) =>
            event.event === kind &&
            event[end].port === port &&
            event.bytes_sent === sent &&
            event.bytes_received === received,
        ).length;
      return [
        each - of("connect", "remote"),
        each - of("accept", "local"),
        each - of("close", "remote", 7, 11),
        each - of("close", "local", 11, 7),
      ];
    });
    const tooMany = missing.flat().some((n) => n < 0);
    // Shown when it fails: an end with two lines of one kind, under an id each.
    expect(tooMany ? repeated(tracer.events) : []).toEqual([]);
    expect(tooMany).toBe(false);
    expect(missing.flat().reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(lost);
    expect(lost / (each * actors.length * 4)).toBeLessThanOrEqual(mayLose(mode, 0.02));
  },
);

test.each(modes.filter(tracesUdp))(
  "trace --attach %s: each of their datagrams counts, or is told to be lost",
  async (mode) => {
    const tracer = await startGuessed(mode);
    const each = DATAGRAMS;
    const actors = await competing(7, "chatter", mode, each);
    await start(actors);
    let missing = 0;
    for (const actor of actors) {
      for (const truth of await actor.hear<FlowTruth[]>()) {
        await tracer.take("begin", truth);
        const { bytes_sent, bytes_received } = await tracer.take("close", truth);
        missing += (truth.sent - bytes_sent!) / (truth.sent / each);
        missing += (truth.received - bytes_received!) / (truth.received / each);
      }
      await actor.end();
    }
    const lost = await toldLost(tracer, "UDP datagram");
    expect(missing).toBeLessThanOrEqual(lost);
    expect(lost / (each * actors.length * 4)).toBeLessThanOrEqual(mayLose(mode, 0.02));
  },
);

// --- internal ---

/** Events of which another has the same kind and the same ends. */
function repeated(events: readonly Event[]): Event[] {
  const of = ({ event, local, remote }: Event) => JSON.stringify([event, local.port, remote.port]);
  return [...Map.groupBy(events, of).values()].filter((same) => same.length > 1).flat();
}

/** All on the first processor. */
async function competing(
  count: number,
  name: string,
  ...args: (string | number)[]
): Promise<Actor[]> {
  const actors = Array.from({ length: count }, () => new Actor(name, ...args));
  for (const { pid } of actors)
    expect(Bun.spawnSync(["taskset", "-a", "-p", "1", String(pid)]).exitCode).toBe(0);
  return actors;
}

/** All at once; what each of them said before. */
async function start<T>(actors: Actor[]): Promise<T[]> {
  const said: T[] = [];
  for (const actor of actors) said.push(await actor.hear<T>());
  for (const actor of actors) actor.go();
  return said;
}

/** Ends the trace. */
async function toldLost(tracer: Tracer, what: string): Promise<number> {
  expect(await tracer.stop()).toBe(0);
  const last = tracer.stderr.split("events in")[1]!;
  return Number(new RegExp(`lost (\\d+) events?: ${what}`).exec(last)?.[1] ?? 0);
}
