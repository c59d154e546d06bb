/** Runs the binary under test and collects what it prints. */
import type { EventKind, Translation } from "../../../src/conn/event.ts";
import { fileURLToPath } from "node:url";
import type { Subprocess } from "bun";
import { expect } from "bun:test";
import type { Mode } from "./modes.ts";
import { Ids } from "./ids.ts";
import type { Truth } from "./peer.ts";

export const binary =
  process.env["TRACER_BPF"] ?? fileURLToPath(new URL("../../../dist/tracer-bpf", import.meta.url));

/** In an emulated guest a guess takes seconds, and everything else ten times as long as natively. */
export const PATIENCE_MS = Number(process.env["PATIENCE_MS"] ?? 20_000);
/** A start is by far the most work that anything waits for: in a guest of a busy host it took a minute. */
const START_PATIENCE_MS = 3 * PATIENCE_MS;
const END_PATIENCE_MS = 3 * PATIENCE_MS;

/** The members of each line, those of a sample and a close aside. */
export const openKeys =
  "v time id event protocol application protocol_source tls pid comm uid cgroup container family direction netns local remote nat".split(
    " ",
  );

/**
 * The members of a line, but those that some hosts add: of a thread with another name, by which some runtimes connect, and of
 * the service that the tests may run in.
 */
export const membersOf = (event: Event): string[] =>
  Object.keys(event).filter((name) => name !== "thread" && name !== "unit");

/** One line of `trace --json`. */
export interface Event {
  v: number;
  time: string;
  event: EventKind;
  id: string;
  protocol: "tcp" | "udp";
  application?: {
    api: string | null;
    application: string | null;
    encryption: string | null;
  } | null;
  tls?: unknown;
  pid: number | null;
  comm: string | null;
  thread?: string;
  uid: number | null;
  user?: string | null;
  cgroup: string | null;
  unit?: string;
  container: string | null;
  container_name?: string;
  pod?: string;
  pod_namespace?: string;
  args?: string | null;
  exe?: string | null;
  parent_pid?: number | null;
  parent_comm?: string | null;
  family: 4 | 6;
  direction: "outgoing" | "incoming" | "unknown";
  netns: number | null;
  interface?: string;
  local: { address: string; port: number };
  remote: { address: string; port: number; name?: string | null; name_source?: string | null };
  nat: Translation | false | null;
  connect_us?: number | null;
  accept_us?: number | null;
  failure?: string | null;
  bytes_sent?: number | null;
  bytes_received?: number | null;
  packets_sent?: number | null;
  packets_received?: number | null;
  segs_out?: number | null;
  segs_in?: number | null;
  rtt_us?: number | null;
  rtt_var_us?: number | null;
  retransmits?: number | null;
  duration_us?: number | null;
}

/** The line of `trace --json` about events that were lost. */
export interface Lost {
  v: number;
  time: string;
  event: "lost";
  cause: string;
  count: number;
}

type Match = Pick<Truth, "local" | "remote" | "netns">;

export class Tracer {
  readonly events: Event[] = [];
  readonly lost: Lost[] = [];
  readonly mode: Mode;
  stderr = "";
  exitCode: number | null = null;
  readonly process: Subprocess<"ignore", "pipe", "pipe">;
  private readonly ids = new Ids();
  private readonly claimed = new Set<Event>();
  /** The events that no test has taken yet, by kind and connection, the oldest first. */
  private readonly waiting = new Map<string, Event[]>();
  private readonly finished: Promise<unknown>;
  /** Tests that run at the same time wait each for what is theirs. */
  private readonly sleepers = new Set<() => void>();

  /** Resolves once every probe is attached. `prefix` runs the tracer through another command. */
  static async start(mode: Mode, args: string[] = [], prefix: string[] = []): Promise<Tracer> {
    const tracer = new Tracer(mode, args, prefix);
    const isThere = () => /tracing/.test(tracer.stderr);
    await tracer.until(isThere, "a line with `tracing` on stderr", START_PATIENCE_MS);
    return tracer;
  }

  private constructor(mode: Mode, args: string[], prefix: string[]) {
    this.mode = mode;
    this.process = Bun.spawn([...prefix, binary, "trace", "--json", "--attach", mode, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: plainEnvironment(),
    });
    this.finished = Promise.all([
      eachLine(this.process.stdout, (line) => {
        const object = JSON.parse(line) as Event | Lost;
        if (object.event === "lost") this.lost.push(object);
        else this.add(object);
        this.wake();
      }),
      eachLine(this.process.stderr, (line) => {
        this.stderr += `${line}\n`;
        this.wake();
      }),
      this.process.exited.then((code) => {
        this.exitCode = code;
        this.wake();
      }),
    ]);
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Until `look` gives something; fails when the tracer ends first or the deadline passes, saying what was seen. */
  async until<T>(
    look: () => T | undefined | false | null,
    what: string,
    patienceMs = PATIENCE_MS,
  ): Promise<T> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const seen = look();
      if (seen !== undefined && seen !== false && seen !== null) return seen;
      const left = deadline - performance.now();
      if (this.exitCode !== null) throw new Error(`no ${what}: ${this.seen()}`);
      if (left <= 0) throw new Error(`no ${what} within ${patienceMs} ms: ${this.seen()}`);
      await this.change(left);
    }
  }

  /** The event of this kind and connection that no test has taken yet. */
  take(kind: Event["event"], truth: Match): Promise<Event> {
    const what = `${kind} ${at(truth.local)} -> ${at(truth.remote)} in netns ${truth.netns}`;
    return this.until(() => {
      const event = this.waiting.get(keyOf(kind, truth))?.shift();
      if (event) this.claimed.add(event);
      return event;
    }, what);
  }

  /** The oldest event of this kind that meets the condition and that no test has taken yet. */
  takeIf(kind: Event["event"], what: string, meets: (event: Event) => boolean): Promise<Event> {
    return this.until(() => {
      const event = this.events.find((e) => e.event === kind && !this.claimed.has(e) && meets(e));
      if (event) {
        this.claimed.add(event);
        const same = this.waiting.get(keyOf(kind, event))!;
        same.splice(same.indexOf(event), 1);
      }
      return event;
    }, `${kind} ${what}`);
  }

  /** The events of the selected connections that no expectation has claimed. */
  unclaimed(select: (event: Event) => boolean): Event[] {
    return this.events.filter((event) => !this.claimed.has(event) && select(event));
  }

  /** Ends the trace and waits for its last line. The exit code must be the caller's concern. */
  async stop(signal: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGKILL" = "SIGINT"): Promise<number> {
    if (this.exitCode === null) this.process.kill(signal);
    return this.ended();
  }

  /** For a trace that ends by itself. */
  async ended(): Promise<number> {
    await this.finishedWithin();
    expect(this.ids.wrong).toEqual([]);
    return this.exitCode!;
  }

  private add(event: Event): void {
    this.ids.see(event);
    this.events.push(event);
    const key = keyOf(event.event, event);
    const same = this.waiting.get(key);
    if (same) same.push(event);
    else this.waiting.set(key, [event]);
  }

  private async finishedWithin(): Promise<void> {
    // A trace that stood still has a ring's worth of lines to write first. A kill cuts the last of them.
    const timer = setTimeout(() => this.process.kill("SIGKILL"), END_PATIENCE_MS);
    await this.finished;
    clearTimeout(timer);
  }

  private change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.sleepers.add(wake);
    });
  }

  private wake(): void {
    for (const wake of [...this.sleepers]) wake();
  }

  private seen(): string {
    const events = this.events.slice(-30).map((event) => JSON.stringify(event));
    return [
      `exit code ${this.exitCode}, ${this.events.length} events, the last of them:`,
      ...events,
      "stderr:",
      this.stderr.slice(-4000),
    ].join("\n");
  }
}

/**
 * Until `look` gives something that the tracer's lines do not tell, or that it has to make happen each time. How often that takes
 * depends on the machine; `PATIENCE_MS` ends what never comes. `more`: what there is to know then.
 */
export async function eventually<T>(
  what: string,
  look: () => T | false | null | Promise<T | false | null>,
  more = (): string => "",
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (seen !== false && seen !== null) return seen;
    if (performance.now() > deadline)
      throw new Error(`not within ${PATIENCE_MS} ms: ${what}${more()}`);
    await Bun.sleep(20);
  }
}

/** Runs the binary to its end. */
export async function run(
  args: string[],
  prefix: string[] = [],
): Promise<{ exitCode: number; stdout: string; stderr: string; ms: number }> {
  const start = performance.now();
  const child = Bun.spawn([...prefix, binary, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: plainEnvironment(),
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr, ms: performance.now() - start };
}

/** The command line that runs a command in one of place.ts's places. */
export const place = (words: string): string[] => [
  "env",
  "BUN_BE_BUN=1",
  process.execPath,
  fileURLToPath(new URL("place.ts", import.meta.url)),
  ...words.split(" "),
];

/** The test runner may itself be the binary under test, turned into bun by BUN_BE_BUN; the tracer must not be. */
export function plainEnvironment(): Record<string, string | undefined> {
  const { BUN_BE_BUN: _, ...rest } = process.env;
  return { ...rest, NO_COLOR: "1" };
}

export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  line: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    for (const part of parts) line(part);
  }
  if (rest !== "") line(rest);
}

// --- internal ---

function keyOf(kind: Event["event"], { netns, local, remote }: Pick<Event, keyof Match>): string {
  return `${kind} ${at(local)} ${at(remote)} ${netns}`;
}

/** An end that is not known matches nobody's truth. */
function at(endpoint: Truth["local"] | { address: null; port: number | null }): string {
  if (endpoint.address === null) return `-:${endpoint.port}`;
  return endpoint.address.includes(":")
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}
