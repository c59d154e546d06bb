/** One trace for all tests of a describe block: each start costs seconds in an emulated guest. See guessed.ts of `start`. */
import { afterAll, beforeAll, expect } from "bun:test";
import { Actor } from "./actors.ts";
import { expectConnection } from "./expect.ts";
import { startGuessed } from "./guessed.ts";
import { type Mode, sparing } from "./modes.ts";
import { pair } from "./peer.ts";
import { Tracer } from "./tracer.ts";

export interface Traced {
  /** Only inside of tests. */
  readonly tracer: Tracer;
  /** A process whose events the tests expect. */
  actor(name: string, ...args: (string | number)[]): Actor;
}

/**
 * Starts a trace before the block's tests, and after them ends it: it must end well, have lost nothing, and have
 * shown nothing of our processes that no test expected. `before` runs before the trace begins;
 * `options` are for the trace.
 */
export function traced(
  mode: Mode,
  before: () => Promise<void> = async () => {},
  options: string[] = [],
  start: typeof Tracer.start = sparing ? startGuessed : Tracer.start,
): Traced {
  const pids = new Set([process.pid]);
  const actors: Actor[] = [];
  let tracer: Tracer | undefined;

  beforeAll(async () => {
    await before();
    tracer = await start(mode, options);
  });

  afterAll(async () => {
    for (const actor of actors) await actor.end();
    if (tracer === undefined) return; // It did not start, which has failed already.
    const exitCode = await tracer.stop("SIGINT");
    expect(tracer.stderr).toMatch(/none lost/);
    expect(exitCode).toBe(0);
    // An event that is left was reported twice, or never happened.
    expect(tracer.unclaimed(({ pid }) => pid !== null && pids.has(pid))).toEqual([]);
  });

  return {
    get tracer() {
      return tracer!;
    },
    actor(name, ...args) {
      const actor = new Actor(name, ...args);
      actors.push(actor);
      pids.add(actor.pid);
      return actor;
    },
  };
}

/** Two connections, one after the other, each seen: what came before the first has been printed, on every CPU. */
export async function flushed(tracer: Tracer): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const { client, server } = pair();
    client.close();
    server.close();
    await expectConnection(tracer, client);
    await expectConnection(tracer, server);
  }
}
