/** The live view in a real terminal (tmux), and its numbers against the counters of the program that it watches. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { executableOf, HOST } from "../../src/build/arch.ts";
import { installMissing } from "../../src/build/apt.ts";

const executable = resolve(executableOf(HOST));
const main = resolve("src/main.ts");
const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-top-"));
afterAll(() => rmSync(directory, { recursive: true }));
const PATIENCE_MS = 60_000;

async function until<T>(what: string, look: () => T | undefined | false | null): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false && seen !== null) return seen;
    if (performance.now() > deadline) throw new Error(`no ${what} within ${PATIENCE_MS} ms`);
    await Bun.sleep(20);
  }
}

/** Bytes of one write, and the time between two. Before that so many follow each other: more than two intervals have. */
const WRITE = 50_000;
const EACH_MS = 20;
const AT_FIRST = 300;

/**
 * A process with both ends of a connection. Each write is told: the time in ms since 1970, and the bytes since it began. A
 * first line has all that it wrote before. At the end of its stdin it closes and ends.
 */
const peerProgram = `
  const { promise: over, resolve: close } = Promise.withResolvers();
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {}, close } });
  const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {}, drain() {} } });
  let sent = 0;
  const write = () => {
    sent += Math.max(0, client.write(new Uint8Array(${WRITE})));
    console.log(Date.now(), sent);
  };
  for (let i = 0; i < ${AT_FIRST}; i++) { write(); await Bun.sleep(1); }
  const timer = setInterval(write, ${EACH_MS});
  for await (const _ of Bun.stdin.stream()) break;
  clearInterval(timer);
  client.end();
  await over;
  process.exit(0);
`;

class Peer implements AsyncDisposable {
  readonly process = Bun.spawn([process.execPath, "-e", peerProgram], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  readonly writes: { ms: number; sent: number }[] = [];
  readonly #read = this.#readAll();

  static async start(): Promise<Peer> {
    const peer = new Peer();
    await until("write of the peer", () => peer.writes.length > AT_FIRST);
    return peer;
  }

  /** Bytes that were certainly written by this time. */
  sentBy(ms: number): number {
    return this.writes.findLast((write) => write.ms <= ms)?.sent ?? 0;
  }

  /** Bytes that may have been written by this time: a write is told when it is over. */
  maySentBy(ms: number): number {
    return this.writes.find((write) => write.ms > ms)?.sent ?? Infinity;
  }

  async end(): Promise<void> {
    void this.process.stdin.end();
    await this.process.exited;
    await this.#read;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
  }

  async #readAll(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.process.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const [ms, sent] = line.split(" ").map(Number);
        this.writes.push({ ms: ms!, sent: sent! });
      }
    }
  }
}

interface TickLine {
  time: string;
  rows: { pid: number | null; bytes_sent: number; bytes_received: number; bytes_unknown: number }[];
}

test("each interval has the bytes that a program wrote in it, and all together what it wrote in all", async () => {
  await using older = await Peer.start();
  const started = Date.now();
  const child = Bun.spawn([executable, "top", "--json", "500ms", "--by", "process"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const ticks: TickLine[] = [];
  const read = (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const lines = (rest + Buffer.from(chunk).toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) ticks.push(JSON.parse(line));
    }
  })();
  await until("first interval", () => ticks.length > 0);
  await using younger = await Peer.start();
  await until("more intervals", () => ticks.length > 8);
  await younger.end();
  const ended = ticks.length;
  await until("intervals after the end", () => ticks.length > ended + 2);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  await read;
  expect(await new Response(child.stderr).text()).toMatch(/none lost/);

  const of = (pid: number) => ticks.flatMap(({ rows }) => rows.filter((some) => some.pid === pid));
  const all = of(younger.process.pid);
  const sum = (name: "bytes_sent" | "bytes_received") =>
    all.reduce((bytes, row) => bytes + row[name], 0);
  const truth = younger.writes.at(-1)!.sent;
  expect({ sent: sum("bytes_sent"), received: sum("bytes_received") }).toEqual({
    sent: truth,
    received: truth,
  });
  expect(all.some((row) => row.bytes_unknown > 0)).toBe(false);
  // The counters are looked at between the end of the interval before and the interval's own: a busy machine delays either.
  const ends = endsOf(ticks, older.process.pid);
  expect(ends.length).toBeGreaterThan(5);
  // It had written much before: an interval has none of that.
  expect(ends[0]!.sent).toBeLessThanOrEqual(
    older.maySentBy(ends[0]!.toMs + CLOCK_MS) - older.sentBy(started - CLOCK_MS),
  );
  for (let from = 1; from < ends.length; from++)
    for (let to = from + 1; to < ends.length; to++) {
      const moved = ends[to]!.sent - ends[from]!.sent;
      const [first, last] = [ends[from - 1]!.toMs - CLOCK_MS, ends[to]!.toMs + CLOCK_MS];
      const [begun, over] = [ends[from]!.toMs + CLOCK_MS, ends[to - 1]!.toMs - CLOCK_MS];
      expect(moved).toBeGreaterThanOrEqual(older.sentBy(over) - older.maySentBy(begun));
      expect(moved).toBeLessThanOrEqual(older.maySentBy(last) - older.sentBy(first));
    }
}, 120_000);

/** Two clocks that are told in milliseconds, and read one after the other. */
const CLOCK_MS = 5;

/** The end of each interval, and what a process has sent by all intervals up to it, from the first that has the process. */
function endsOf(ticks: TickLine[], pid: number): { toMs: number; sent: number }[] {
  const rowOf = ({ rows }: TickLine) => rows.find((row) => row.pid === pid);
  let sent = 0;
  return ticks
    .slice(ticks.findIndex(rowOf))
    .map((tick) => ({ toMs: Date.parse(tick.time), sent: (sent += rowOf(tick)?.bytes_sent ?? 0) }));
}

/** A shell in a terminal. */
class Terminal implements Disposable {
  static #count = 0;
  readonly #name = `tracer-bpf-${process.pid}-${Terminal.#count++}`;

  constructor(columns: number, rows: number) {
    const size = ["-x", `${columns}`, "-y", `${rows}`];
    this.#tmux("new-session", "-d", ...size, "env LANG=C.UTF-8 PS1='$ ' bash --norc --noprofile");
  }

  get text(): string {
    return this.#tmux("capture-pane", "-p");
  }

  /** Whether the alternate screen is shown, and the cursor. */
  get mode(): string {
    return this.#tmux(
      "display-message",
      "-p",
      "screen #{alternate_on} cursor #{cursor_flag}",
    ).trim();
  }

  /** Names of keys as tmux has them. */
  press(...names: string[]): void {
    this.#tmux("send-keys", ...names);
  }

  type(text: string): void {
    this.#tmux("send-keys", "-l", "--", text);
  }

  run(command: string): void {
    this.type(command);
    this.press("Enter");
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`);
  }

  async shows(pattern: RegExp): Promise<string> {
    return await until(`${pattern} on the screen`, () => {
      const { text } = this;
      return pattern.test(text) ? text : null;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\nbut\n${this.text}`);
    });
  }

  /** The terminal is as it was before the view: main screen, cursor, echo and lines. */
  async isGivenBack(): Promise<void> {
    await until("main screen", () => this.mode === "screen 0 cursor 1");
    const number = ++this.#looks;
    this.run(`clear; echo "modes-${number} $(stty -g)"`);
    const text = await this.shows(new RegExp(`^modes-${number} \\S+$`, "m"));
    const modes = /^modes-\d+ (\S+)$/m.exec(text)![1]!;
    expect(modes).toBe((this.#usual ??= modes));
  }

  #looks = 0;
  /** Of a shell that ran nothing yet. */
  #usual: string | null = null;

  #tmux(...args: string[]): string {
    const child = Bun.spawnSync(["tmux", "-L", this.#name, "-f", "/dev/null", ...args], {
      env: { ...process.env, LANG: "C.UTF-8", TERM: "xterm-256color", TMUX: "" },
      stderr: "pipe",
    });
    if (!child.success) throw new Error(`tmux ${args.join(" ")}: ${child.stderr.toString()}`);
    return child.stdout.toString();
  }

  [Symbol.dispose](): void {
    this.#tmux("kill-server");
  }
}

describe("in a terminal", () => {
  let peer: Peer;
  let terminal: Terminal;
  beforeAll(async () => {
    installMissing("the test of the live view", [{ name: "tmux", proof: "/usr/bin/tmux" }]);
    peer = await Peer.start();
    terminal = new Terminal(80, 24);
    await terminal.shows(/^\$/m);
    await terminal.isGivenBack();
  }, PATIENCE_MS);
  afterAll(async () => {
    await peer[Symbol.asyncDispose]();
    terminal[Symbol.dispose]();
  });

  const pidOf = async (command = executable): Promise<number> => {
    const found = Bun.spawnSync(["pgrep", "-n", "-f", `^${command} top`]).stdout.toString();
    return Number(found) || (await Promise.reject(new Error("the view does not run")));
  };

  test("keys sort, group, filter, pause, and show details and help; the view follows the size", async () => {
    terminal.run(`${executable} top 500ms`);
    const { pid } = peer.process;
    // 50,000 bytes each 20 ms are 2.4 MiB/s; a loaded machine writes less.
    await terminal.shows(new RegExp(`^ *${pid} bun\\S* +2 .* [\\d.]+[KM] +[\\d.]+[KM] `, "m"));
    expect(terminal.mode).toBe("screen 1 cursor 0");
    expect(terminal.text.split("\n")[0]).toMatch(
      /^\d\d:\d\d:\d\d, by process, \d+ rows?, sort TX\+RX/,
    );
    terminal.press("s");
    await terminal.shows(/sort OPEN/);
    terminal.press("S");
    await terminal.shows(/sort OPEN reversed/);
    terminal.press("S");
    terminal.press("g");
    await terminal.shows(/by comm,/);
    terminal.press("G");
    await terminal.shows(/by process,/);
    terminal.press("/");
    await terminal.shows(/^filter: _/m);
    terminal.type(`${pid}`);
    terminal.press("Enter");
    await terminal.shows(new RegExp(`name has ${pid}, by process, 1 row,`));
    terminal.press("Space");
    await terminal.shows(/^ +127\.0\.0\.1 +2 /m);
    terminal.press("Enter");
    await terminal.shows(/connections of \d+ bun\S*, 2 rows[^]*control group[^]*127\.0\.0\.1:\d+/);
    terminal.press("Escape");
    await terminal.shows(/by process/);
    terminal.press("Escape");
    terminal.press("/");
    terminal.type("--port 1");
    terminal.press("Enter");
    await terminal.shows(/only --port 1, by process, 0 rows/);
    terminal.press("/");
    terminal.press("C-u");
    terminal.type("--prot 1");
    terminal.press("Enter");
    await terminal.shows(/the filter is not used: .*--prot/);
    await terminal.shows(new RegExp(`^ *${pid} bun`, "m"));
    terminal.press("p");
    const paused = await terminal.shows(/PAUSED[^]*own/);
    expect(paused).toContain("bun");
    terminal.resize(150, 30);
    await terminal.shows(/BUSIEST REMOTE/);
    expect(terminal.text.split("\n")[29]).toContain("q quit");
    expect(terminal.text.slice(0, 8)).toBe(paused.slice(0, 8));
    terminal.press("p");
    await terminal.shows(/^\d\d:\d\d:\d\d, by process/);
    terminal.press("h");
    await terminal.shows(/freeze the order of the rows/);
    terminal.resize(80, 24);
    terminal.press("q");
    await terminal.shows(/none lost\n\$/);
    await terminal.isGivenBack();
  }, 120_000);

  test("Ctrl-Z gives the terminal back, and fg brings the view again", async () => {
    terminal.run(`${executable} top 500ms`);
    await terminal.shows(/by process/);
    terminal.press("C-z");
    await terminal.shows(/Stopped/);
    await terminal.isGivenBack();
    terminal.run("fg");
    await terminal.shows(/by process/);
    expect(terminal.mode).toBe("screen 1 cursor 0");
    terminal.press("q");
    await terminal.shows(/none lost\n\$/);
    await terminal.isGivenBack();
  }, 120_000);

  test.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)(
    "%s ends the view and gives the terminal back",
    async (signal) => {
      terminal.run(`${executable} top; echo "ended with $?"`);
      await terminal.shows(/by process/);
      process.kill(await pidOf(), signal);
      await terminal.shows(/^ended with 0\n\$/m);
      await terminal.isGivenBack();
    },
    120_000,
  );

  test.each(["throw error;", "void Promise.reject(error);"])(
    "an error of its own gives the terminal back and is told: %s",
    async (breaks) => {
      // The executable takes no code from outside, so the sources run.
      const broken = join(directory, "broken.ts");
      writeFileSync(
        broken,
        `process.on("SIGUSR2", () => { const error = new Error("broken by the test"); ${breaks} });`,
      );
      const fromSource = `${process.execPath} --preload ${broken} ${main}`;
      terminal.run(`clear; ${fromSource} top; echo "ended with $?"`);
      await terminal.shows(/by process/);
      process.kill(await pidOf(fromSource), "SIGUSR2");
      await terminal.shows(/^error: .*broken by the test[^]*^ended with 1$/m);
      await terminal.isGivenBack();
    },
    120_000,
  );

  test("where TERM is dumb a table is printed for each interval, and no escape code", async () => {
    // Both tables fit the screen, whoever else has connections.
    const only = `--pid ${peer.process.pid}`;
    terminal.run(`TERM=dumb ${executable} top 200ms 2 ${only} > /dev/tty; echo "ended with $?"`);
    const text = await terminal.shows(/^ended with 0$/m);
    expect(text.match(/by process, /g)).toHaveLength(2);
    expect(terminal.mode).toBe("screen 0 cursor 1");
  }, 120_000);
});
