/** `trace --args`: the command line of a process that is gone, or runs something else, when the trace asks. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { openHost } from "../../src/kernel/host.ts";
import { guessProgram } from "../../src/guess/program.ts";
import { actorCommand } from "./drive/actors.ts";
import { tracesUdp, Udp } from "./drive/datagrams.ts";
import { refusing } from "./drive/attempt.ts";
import { startGuessed } from "./drive/guessed.ts";
import { modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const env = { ...process.env, BUN_BE_BUN: "1" };

/** Runs an actor to its end; what it said, its pid and its command line. */
async function ended(command: string[], environment: Record<string, string | undefined> = env) {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit", env: environment });
  const said = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return { said: JSON.parse(said) as peer.Truth, pid: child.pid, line: command.join(" ") };
}

describe.each(modes)("trace --attach %s --args", (mode) => {
  const toRefused = (tracer: Tracer, truth: peer.Truth) => tracer.take("fail", truth);

  test("of processes that are gone before the trace looks, once or many times", async () => {
    using port = refusing("127.0.0.1");
    const tracer = await startGuessed(mode, ["--args"]);
    expect(tracer.stderr).not.toContain("command lines");
    const command = (...more: string[]) => [
      ...actorCommand("refused-and-exit", port.port, ...more),
    ];
    tracer.process.kill("SIGSTOP");
    const runs = [];
    try {
      for (const word of ["one", "two", "\x1b[31mred\n", "", "z"])
        runs.push(await ended(command(word)));
    } finally {
      tracer.process.kill("SIGCONT");
    }
    for (const { said, line } of runs)
      expect((await toRefused(tracer, said)).args).toBe(line.replace(/ +$/, ""));
    expect(await tracer.stop()).toBe(0);
  });

  test("without an environment behind it, and cut off where it is long", async () => {
    using port = refusing("127.0.0.1");
    const tracer = await startGuessed(mode, ["--args"]);
    const short = actorCommand("refused-and-exit", port.port);
    const long = [...short, "x".repeat(500)];
    tracer.process.kill("SIGSTOP");
    let runs;
    try {
      runs = [await ended(short, { BUN_BE_BUN: "1" }), await ended(long)];
    } finally {
      tracer.process.kill("SIGCONT");
    }
    const [bare, cut] = runs;
    expect((await toRefused(tracer, bare!.said)).args).toBe(bare!.line);
    expect((await toRefused(tracer, cut!.said)).args).toBe(`${cut!.line.slice(0, 256)} ...`);
    expect(await tracer.stop()).toBe(0);
  });

  test("both ends of a connection, at its beginning and its end, also what is longer than was copied", async () => {
    const tracer = await startGuessed(mode, ["--args"]);
    const listener = new peer.Listener("127.0.0.1");
    const child = Bun.spawn(actorCommand("connect-and-exit", listener.port, 11, "y".repeat(300)), {
      stdout: "pipe",
      env,
    });
    const client = JSON.parse(await new Response(child.stdout).text()) as peer.Truth;
    await child.exited;
    const server = listener.accept();
    server.readToEnd();
    server.close();
    listener.close();
    const line = [...actorCommand("connect-and-exit", listener.port, 11), "y".repeat(300)].join(
      " ",
    );
    for (const kind of ["connect", "close"] as const) {
      const { args } = await tracer.take(kind, client);
      expect([line, `${line.slice(0, 256)} ...`]).toContain(args!);
    }
    const closed = await tracer.take("close", server.truth);
    const own = (await Bun.file("/proc/self/cmdline").text()).replaceAll("\0", " ").trimEnd();
    expect(closed.args).toBe(own);
    expect(closed).toMatchObject({
      exe: readlinkSync("/proc/self/exe"),
      parent_pid: process.ppid,
      parent_comm: readFileSync(`/proc/${process.ppid}/comm`, "utf8").trimEnd(),
    });
    expect(await tracer.stop()).toBe(0);
  });

  test.skipIf(!tracesUdp(mode))("of who sent a datagram and is gone", async () => {
    const tracer = await startGuessed(mode, ["--args"]);
    const server = new Udp("127.0.0.1");
    const command = actorCommand("datagram-and-exit", server.local.port, 31);
    tracer.process.kill("SIGSTOP");
    let pid: number;
    try {
      pid = (await ended(command)).pid;
    } finally {
      tracer.process.kill("SIGCONT");
    }
    const event = await tracer.takeIf("begin", "of the child", (e) => e.pid === pid);
    expect(event.args).toBe(command.join(" "));
    server.close();
    expect(await tracer.stop()).toBe(0);
  });

  test("without --args there is no such member", async () => {
    using port = refusing("127.0.0.1");
    const tracer = await startGuessed(mode);
    const { said } = await ended(actorCommand("refused-and-exit", port.port));
    expect(await toRefused(tracer, said)).not.toHaveProperty("args");
    expect(await tracer.stop()).toBe(0);
  });

  test("the offsets are found", () => {
    const found = guessProgram(openHost(mode), mode);
    expect(found).toMatchObject({ mm: expect.any(Number), argStart: expect.any(Number) });
  });
});
