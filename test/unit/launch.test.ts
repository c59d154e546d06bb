/** `trace -- CMD`: what cannot be started, and when the trace may end. */
import { describe, expect, spyOn, test } from "bun:test";
import { launch, LaunchError, watched, type Watched } from "../../src/commands/launch.ts";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { formatError } from "../../src/errors.ts";

const trace = { launch: <T>(start: () => T) => start() };

function refused(...words: string[]): LaunchError {
  try {
    launch(trace, words);
  } catch (error) {
    if (error instanceof LaunchError) return error;
    throw error;
  }
  throw new Error("it was started");
}

describe("a command", () => {
  test("that is not there is 127, named, with a hint", () => {
    const error = refused("there-is-no-such-command", "-x");
    expect(error.exitCode).toBe(127);
    expect(formatError(error, false)).toBe(
      `error: command "there-is-no-such-command": not found
  because: there is no such file in PATH or at this path, or its interpreter is missing
  try: give its path; sudo may have another PATH
`,
    );
  });

  test("given by a path that is not there is 127, without a word about PATH", () => {
    const error = refused("/nowhere/x");
    expect(error.exitCode).toBe(127);
    expect(error.hint).toBeNull();
  });

  test("that is a directory, or not executable, is 126", () => {
    for (const path of ["/etc", "/etc/passwd"]) {
      const error = refused(path);
      expect([path, error.exitCode]).toEqual([path, 126]);
      expect(error.why).toContain("permission denied");
    }
  });

  test("ends with its own status, or 128 and the signal", async () => {
    expect(await launch(trace, ["sh", "-c", "exit 11"]).ended).toBe(11);
    expect(await launch(trace, ["sh", "-c", "kill -TERM $$"]).ended).toBe(128 + 15);
    const killed = launch(trace, ["sleep", "60"]);
    killed.kill("SIGKILL");
    expect(await killed.ended).toBe(128 + 9);
  });
});

describe("what it has done is told", () => {
  const event = (kind: TracedEvent["kind"], cookie: number): TracedEvent =>
    ({
      kind,
      cookie,
      protocol: "tcp",
      netns: 1,
      local: { address: "127.0.0.1", port: 40_000 },
      remote: { address: "127.0.0.1", port: 443 },
    }) as TracedEvent;

  function poll({ sink }: Watched, events: TracedEvent[] = []): void {
    for (const one of events) sink.event!(one, { monoNs: 0n, wallNs: 0n });
    sink.tick!();
  }

  /** Gives at each poll what is next. */
  function polled(...polls: TracedEvent[][]) {
    const given = watched();
    const timer = setInterval(() => poll(given, polls.shift() ?? []), 1);
    return { given, [Symbol.dispose]: () => clearInterval(timer) };
  }

  test("when all connections are closed, or never came to be", async () => {
    using of = polled(
      [event("connect", 1), event("accept", 2), event("fail", 3), event("open", 1)],
      [event("close", 1)],
      [],
      [event("close", 2)],
    );
    // A clock that stands still: the time limit of a connection that stays open never comes.
    using _clock = spyOn(performance, "now").mockReturnValue(performance.now());
    expect(await of.given.drained()).toBe(0);
  });

  test("though one stays open, after a while, and it is counted", async () => {
    using of = polled([event("connect", 1), event("connect", 2)], [event("close", 1)]);
    expect(await of.given.drained()).toBe(1);
  });

  test("not before there were polls after its end", async () => {
    const given = watched();
    let over = false;
    const drained = given.drained().then(() => (over = true));
    poll(given);
    await Bun.sleep(120);
    expect(over).toBe(false);
    poll(given);
    await drained;
  });
});
