/** `trace -- CMD`: the command and what it leads to, everything of it, and nothing else. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { openTaskSampler } from "../../src/guess/sampler.ts";
import { guessTgid, sampleTasks } from "../../src/guess/task.ts";
import { findMember, parseBtf } from "../../src/kernel/btf.ts";
import { openHost } from "../../src/kernel/host.ts";
import { briefThread } from "../../src/kernel/threads.ts";
import { NO_FILTER } from "../../src/trace/kernel_filter.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { Actor, actorPath } from "./drive/actors.ts";
import { tracesUdp } from "./drive/datagrams.ts";
import { guessed } from "./drive/guessed.ts";
import { modes, type Mode, sparing } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { binary, eachLine, PATIENCE_MS, plainEnvironment, type Event } from "./drive/tracer.ts";
import { Wire } from "./drive/wire.ts";

setDefaultTimeout(180_000);

/** A command line of sh that runs an actor. */
const actor = (name: string, ...args: (string | number)[]): string =>
  ["BUN_BE_BUN=1", process.execPath, actorPath, name, ...args].join(" ");

class Following {
  readonly events: Event[] = [];
  readonly lines: string[] = [];
  stderr = "";
  readonly process;
  readonly #over: Promise<unknown>;

  static async start(mode: Mode, command: string[], flags: string[] = []): Promise<Following> {
    return new Following(mode, command, ["--offsets", await guessed(mode), ...flags]);
  }

  private constructor(mode: Mode, command: string[], flags: string[]) {
    this.process = Bun.spawn(
      [binary, "trace", "--json", "--attach", mode, ...flags, "--", ...command],
      { stdin: "pipe", stdout: "pipe", stderr: "pipe", env: plainEnvironment() },
    );
    this.#over = Promise.all([
      eachLine(this.process.stdout, (line) => {
        this.lines.push(line);
        this.events.push(JSON.parse(line) as Event);
      }),
      eachLine(this.process.stderr, (line) => (this.stderr += `${line}\n`)),
    ]);
  }

  /** Waits until the command, or the tracer, says this on stderr. */
  async heard(what: RegExp): Promise<RegExpExecArray> {
    for (const deadline = performance.now() + 3 * PATIENCE_MS; ;) {
      const match = what.exec(this.stderr);
      if (match !== null) return match;
      if (performance.now() > deadline || this.process.exitCode !== null)
        throw new Error(`not heard: ${what} in ${this.stderr}`);
      await Bun.sleep(10);
    }
  }

  go(): void {
    void this.process.stdin.write("go\n");
    void this.process.stdin.end();
  }

  async ended(): Promise<number> {
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 3 * PATIENCE_MS);
    await this.#over;
    const code = await this.process.exited;
    clearTimeout(timer);
    return code;
  }
}

const count = (events: Event[], kind: Event["event"]) =>
  events.filter(({ event }) => event === kind).length;

/** The numbers of a prime number of connections, both ends of each in the command. */
const STORM = 31;

test("the offset of tgid is that of the kernel's own type information", () => {
  const btf = "/sys/kernel/btf/vmlinux";
  const host = openHost("auto");
  for (const mode of modes) {
    const one = { ...host, modes: [mode] };
    expect(sampleTasks(one).length).toBeGreaterThan(1);
    if (existsSync(btf))
      expect(guessTgid(one)).toBe(
        findMember(parseBtf(readFileSync(btf)), "task_struct", "tgid")!.bitOffset / 8,
      );
  }
  expect(modes).not.toBeEmpty();
});

test.each(modes)("%s: a thread that the runtime starts meanwhile is not taken for ours", (mode) => {
  const { shim, kprobes } = openHost(mode);
  using sampler = openTaskSampler(shim, mode === "kprobe" ? kprobes : null);
  let calls = 0;
  sampler.newTask(() => {
    briefThread();
    if (++calls === 1) briefThread();
  });
  expect(calls).toBe(2);
});

const statuses: [string, string[], number, RegExp][] = [
  ["its own", ["sh", "-c", "exit 7"], 7, /none lost/],
  ["128 and the signal that ended it", ["sh", "-c", "kill -9 $$"], 137, /none lost/],
  [
    "127 if it is not there",
    ["there-is-no-such-command"],
    127,
    /there-is-no-such-command.*not found/,
  ],
  ["126 if it is no program", ["/etc/passwd"], 126, /\/etc\/passwd.*cannot be run/],
];

describe.each(modes)("trace --attach %s -- CMD", (mode) => {
  let listener: peer.Listener;
  beforeAll(() => {
    listener = new peer.Listener("127.0.0.1");
  });
  afterAll(() => listener.close());

  /** Takes what others open. */
  const serve = async (connections: number): Promise<void> => {
    for (let i = 0; i < connections; i++) {
      await Bun.sleep(0);
      const server = listener.accept();
      server.readToEnd();
      server.close();
    }
  };

  test("short-lived children of a shell, and one that lost its parents, are traced; nobody else is", async () => {
    const client = actor("connect-and-exit", listener.port, 11);
    const script = `for i in 1 2 3 4 5 6 7; do ${client} & done; wait; ((${client}) &); read go; exit 3`;
    const other = new Actor("storm-on-go", STORM);
    await other.hear();
    const following = await Following.start(mode, ["sh", "-c", script]);
    await following.heard(/"opened":"connect"/);
    other.go();
    const [strange] = await other.hear<peer.Truth[]>();
    await serve(8);
    await following.heard(/(?:[^]*"opened":"connect"[^]*?"pid":){8}/);
    following.go();
    expect(await following.ended()).toBe(3);
    expect(following.stderr).toMatch(/none lost/);
    expect(count(following.events, "connect")).toBe(8);
    expect(count(following.events, "close")).toBe(8);
    expect(following.events.length).toBe(16);
    const pids = new Set(
      Array.from(following.stderr.matchAll(/"pid":(\d+)/g), ([, pid]) => Number(pid)),
    );
    expect(pids.size).toBe(8);
    expect(new Set(following.events.map(({ pid }) => pid))).toEqual(pids);
    expect(following.events.filter(({ remote }) => remote.port !== listener.port)).toEqual([]);
    expect(following.events.filter(({ pid }) => pid === strange!.pid)).toEqual([]);
    await other.end();
  });

  test("every end of every connection that it has with itself is traced", async () => {
    const following = await Following.start(mode, ["sh", "-c", actor("storm", STORM)]);
    expect(await following.ended()).toBe(0);
    expect(following.stderr).toMatch(/none lost/);
    const pid = Number(/"pid":(\d+)/.exec(following.stderr)![1]);
    // With tracepoints an accept is found out later, and so is whose it was; its close says so at the latest.
    for (const [kind, expected] of [
      ["connect", STORM],
      ["accept", STORM],
      ["close", 2 * STORM],
    ] as const)
      expect([kind, count(following.events, kind)]).toEqual([kind, expected]);
    expect(following.events.filter((event) => event.pid !== pid)).toEqual([]);
  });

  test.skipIf(!tracesUdp(mode))("its datagrams are traced, those of others are not", async () => {
    const other = new Actor("datagram-storm", STORM);
    const following = await Following.start(mode, [
      "sh",
      "-c",
      `${actor("datagram-storm", STORM)}`,
    ]);
    const { port: strange } = await other.hear<{ port: number }>();
    expect(await following.ended()).toBe(0);
    const [, port, sent] = /"port":(\d+),"sent":(\d+)/.exec(following.stderr)!.map(Number);
    const closes = following.events.filter(
      ({ event, remote }) => event === "close" && remote.port === port,
    );
    expect(closes.length).toBe(STORM);
    expect(closes.reduce((sum, event) => sum + event.bytes_sent!, 0)).toBe(sent!);
    const of = (event: Event) => event.local.port === strange || event.remote.port === strange;
    expect(following.events.filter(of)).toEqual([]);
    await other.end();
  });

  // How a command is run, waited for and told of signals is the same in every mode: the rest of that runs without a guest.
  test.skipIf(sparing)("its output does not mix with ours", async () => {
    const script = `echo not json; ${actor("storm", 5)}; ${actor("storm", 3)}`;
    const following = await Following.start(mode, ["sh", "-c", script]);
    expect(await following.ended()).toBe(0);
    expect(count(following.events, "connect")).toBe(8);
    expect(following.stderr).toContain("not json\n");
    expect(following.lines.every((line) => line.startsWith("{"))).toBe(true);
  });

  test.each(sparing ? statuses.slice(0, 1) : statuses)(
    "the exit status is %s",
    async (_, command, status, said) => {
      const following = await Following.start(mode, command);
      expect(await following.ended()).toBe(status);
      expect(following.stderr).toMatch(said);
      expect(following.events).toEqual([]);
    },
  );

  test.each(sparing ? ["TERM"] : ["TERM", "HUP"])(
    "SIG%s is handed on to it, and the trace ends when it does",
    async (signal) => {
      const script = `trap 'echo caught; exit 9' ${signal}; echo ready; while :; do sleep 0.1; done`;
      const following = await Following.start(mode, ["sh", "-c", script]);
      await following.heard(/^ready$/m);
      following.process.kill(`SIG${signal}` as NodeJS.Signals);
      expect(await following.ended()).toBe(9);
      expect(following.stderr).toMatch(/^caught$/m);
    },
  );

  test.skipIf(sparing)("after SIGINT the trace goes on until the command ends", async () => {
    const script = `echo ready; read go; ${actor("storm", 3)}; exit 5`;
    const following = await Following.start(mode, ["sh", "-c", script]);
    await following.heard(/^ready$/m);
    following.process.kill("SIGINT");
    following.go();
    expect(await following.ended()).toBe(5);
    expect(count(following.events, "connect")).toBe(3);
  });

  test.skipIf(sparing)("a trace that ends before it waits for it", async () => {
    const script = "read go; echo done; exit 6";
    const following = await Following.start(mode, ["sh", "-c", script], ["--duration", "100ms"]);
    await following.heard(/none lost/);
    expect(following.process.exitCode).toBe(null);
    following.go();
    expect(await following.ended()).toBe(6);
  });

  test("the other filters apply as well", async () => {
    const other = new peer.Listener("127.0.0.1");
    const filter = { ...NO_FILTER, descendants: true, remotePorts: [listener.port] };
    await using trace = await openTrace({ attach: mode, debug: false, self: true, filter });
    const client = (port: number) => actor("connect-and-exit", port, 11);
    const script = `${client(other.port)}; ${client(listener.port)}`;
    const child = trace.launch(() =>
      Bun.spawn(["sh", "-c", script], { stdout: "ignore", env: plainEnvironment() }),
    );
    const strange = peer.dial("127.0.0.1", listener.port);
    expect(await child.exited).toBe(0);
    strange.close();
    await serve(2);
    const server = other.accept();
    server.readToEnd();
    server.close();
    const shown: TracedEvent[] = [];
    const events = peer.until("the close", () => {
      shown.push(...trace.poll());
      return shown.some(({ kind }) => kind === "close") && shown;
    });
    expect(events.map(({ kind }) => kind)).toEqual(["connect", "close"]);
    expect(events.map((event) => event.remote.port)).toEqual([listener.port, listener.port]);
    expect(events[0]!.pid).not.toBe(process.pid);
    other.close();
  });

  test("processes that are over are forgotten", async () => {
    const filter = { ...NO_FILTER, descendants: true };
    await using trace = await openTrace({ attach: mode, debug: false, filter });
    const script = `i=0; while [ $i -lt ${STORM} ]; do (exit 0); /bin/true; i=$((i+1)); done`;
    const child = trace.launch(() => Bun.spawn(["sh", "-c", script]));
    const followed = () => trace.maps().find(({ name }) => name === "followed")!.entries;
    expect(followed()).toBeGreaterThan(0);
    await child.exited;
    for (const deadline = performance.now() + PATIENCE_MS; followed() > 0; await Bun.sleep(10)) {
      trace.poll();
      expect(performance.now()).toBeLessThan(deadline);
    }
  });

  test("a command whose start was not seen is refused", async () => {
    const filter = { ...NO_FILTER, descendants: true };
    await using trace = await openTrace({ attach: mode, debug: false, filter });
    const not = { pid: process.pid, kill: () => {} };
    expect(() => trace.launch(() => not)).toThrow("its start was not seen");
  });

  test("a process that gets the pid of one that was followed is not followed", async () => {
    using on = new Wire(mode, { ...NO_FILTER, descendants: true });
    const first = Bun.spawn(["true"]);
    await first.exited;
    // As if all pids that come next had been followed once.
    for (let next = 1; next < 2000; next++) on.follow(first.pid + next);
    const other = new Actor("storm", STORM);
    const [truth] = await other.hear<peer.Truth[]>();
    expect(truth!.pid).toBe(other.pid);
    expect(other.pid > first.pid && other.pid < first.pid + 2000).toBe(true);
    expect(on.isFollowed(other.pid)).toBe(false);
    expect(on.isFollowed(first.pid + 1999)).toBe(true);
    on.follow(process.pid);
    const child = new Actor("storm", STORM);
    await child.hear();
    expect(on.isFollowed(child.pid)).toBe(true);
    const outgoing = ({ owner, direction }: (typeof on.events)[number]) =>
      direction === 2 && [other.pid, child.pid].includes(owner.pid);
    const told = on.await(2 * STORM, outgoing);
    expect(told.map(({ owner }) => owner.pid)).toEqual(told.map(() => child.pid));
    expect(told.length).toBe(2 * STORM);
    await Promise.all([other.end(), child.end()]);
  });

  test.skipIf(!tracesUdp(mode))("flows of others are not told or kept", async () => {
    using on = new Wire(mode, { ...NO_FILTER, descendants: true });
    const other = new Actor("datagram-storm", STORM);
    const { port } = await other.hear<{ port: number }>();
    const ours = ({ ends }: (typeof on.events)[number]) =>
      ends.sport === port || ends.dport === port;
    expect(on.await(0, ours)).toEqual([]);
    expect(on.entries("udp_socks")).toBe(0);
    await other.end();
  });

  test("open connections of others that they opened take no room in the kernel", () => {
    using on = new Wire(mode, { ...NO_FILTER, descendants: true });
    const other = new peer.Listener("127.0.0.1");
    const open = [peer.dial("127.0.0.1", other.port), other.accept()];
    const ours = ({ ends }: (typeof on.events)[number]) => ends.dport === other.port;
    expect(on.await(0, ours)).toEqual([]);
    if (mode === "kprobe") expect(on.entries("conns")).toBe(0);
    for (const end of [...open, other]) end.close();
  });
});
