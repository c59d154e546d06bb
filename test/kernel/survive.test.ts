/** Starts and stops without end, standing still, clocks that jump: nothing is left behind, nothing is told twice. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Actor } from "./drive/actors.ts";
import { expectConnection, expectClosed, expectOpened } from "./drive/expect.ts";
import { startGuessed } from "./drive/guessed.ts";
import { type Holding, holdingsOf, kprobeEvents, leftOf } from "./drive/leftovers.ts";
import { modes } from "./drive/modes.ts";
import { pair, type Truth } from "./drive/peer.ts";
import { flushed } from "./drive/traced.ts";
import { PATIENCE_MS } from "./drive/tracer.ts";

setDefaultTimeout(600_000);

const main = new URL("../../src/main.ts", import.meta.url).pathname;

/** The clock that wakes a sleeping machine. */
const ALARM = "/sys/class/rtc/rtc0/wakealarm";
const textOf = (file: string) => (existsSync(file) ? readFileSync(file, "latin1") : "");
const inGuest = process.env["VM_KERNEL"] !== undefined;
/** Each start with its end takes half a second, in a guest ten times as long. */
const STARTS = process.env["FULL"] === "1" ? 100 : inGuest ? 3 : 41;

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-survive-"));
const temporary = join(directory, "tmp");
mkdirSync(temporary);
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(modes)("trace --attach %s", (mode) => {
  const start = () => startGuessed(mode, [], ["env", `TMPDIR=${temporary}`]);

  // In a guest there is no runtime but the one inside of the executable.
  test.skipIf(inGuest)(
    "a signal each millisecond does not keep the programs from being loaded",
    async () => {
      const profiles = join(directory, `profiles-${mode}`);
      const profiler = ["--cpu-prof", `--cpu-prof-dir=${profiles}`];
      const child = Bun.spawn(
        [process.execPath, ...profiler, main, "trace", "--attach", mode, "-d", "50ms"],
        { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
      );
      expect(await new Response(child.stderr).text()).toMatch(/^tracing /m);
      expect(await child.exited).toBe(0);
      expect(readdirSync(profiles)).toHaveLength(1);
    },
  );

  test(`after ${STARTS} starts and ends nothing is left, and one that ran all the time told each thing once`, async () => {
    const before = kprobeEvents();
    const witness = await start();
    const holdings: Holding[] = [];
    for (let i = 0; i < STARTS; i++) {
      const tracer = await start();
      holdings.push(...holdingsOf(tracer.pid));
      const { client, server } = pair();
      client.close();
      server.close();
      // Every fifth has no chance to clean up.
      const signal = i % 5 === 4 ? "SIGKILL" : "SIGINT";
      expect((await tracer.stop(signal)) === 0).toBe(signal === "SIGINT");
      for (const end of [client, server]) await expectConnection(witness, end);
    }
    expect(await witness.stop()).toBe(0);
    expect(witness.unclaimed(({ pid }) => pid === process.pid)).toEqual([]);
    expect(holdings.length).toBeGreaterThan(10 * STARTS);
    expect(await leftOf(holdings)).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
    expect(kprobeEvents()).toEqual(before);
  });

  test("what happens while it is stopped by SIGSTOP is told after SIGCONT, once", async () => {
    const tracer = await start();
    const open = pair();
    await expectOpened(tracer, open.client.truth);
    const actor = new Actor("storm-on-go", 211);
    await actor.hear();
    tracer.process.kill("SIGSTOP");
    await stopped(tracer.pid);
    open.client.write(1009);
    open.server.read(1009);
    open.client.close();
    open.server.close();
    actor.go();
    const truths = await actor.hear<Truth[]>();
    expect(stateOf(tracer.pid)).toBe("T");
    tracer.process.kill("SIGCONT");
    await expectClosed(tracer, open.client.truth);
    await expectConnection(tracer, open.server);
    for (const truth of truths) await expectConnection(tracer, truth);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toContain("none lost");
    const pids = [process.pid, actor.pid];
    expect(tracer.unclaimed(({ pid }) => pid !== null && pids.includes(pid))).toEqual([]);
    await actor.end();
  });

  // A host's clock is not ours to set.
  test.skipIf(!inGuest)(
    "when the clock is set forward and back, each connection is told once, its duration true, its time the new one",
    async () => {
      const tracer = await start();
      const began = Date.now();
      try {
        for (const hours of [1000, -3, 0]) {
          const begins = performance.now();
          const { client, server } = pair();
          for (const end of [client, server]) await expectOpened(tracer, end.truth);
          setClock(began + hours * 3_600_000);
          // Polls that read both clocks come before the next event.
          await flushed(tracer);
          client.close();
          server.close();
          const took = performance.now() - begins;
          for (const end of [client, server]) {
            const { time, duration_us } = await expectClosed(tracer, end.truth);
            expect(Math.abs(new Date(time).getTime() - Date.now())).toBeLessThan(PATIENCE_MS);
            expect(duration_us!).toBeGreaterThan(0);
            expect(duration_us!).toBeLessThanOrEqual(took * 1000);
          }
        }
      } finally {
        setClock(began);
      }
      expect(await tracer.stop()).toBe(0);
      expect(tracer.stderr).toContain("none lost");
      expect(tracer.unclaimed(({ pid }) => pid === process.pid)).toEqual([]);
    },
  );
});

// Asleep to memory (ACPI S3), as a laptop and a paused server are: wall time goes on, the monotonic clock does not.
const canSleep = inGuest && textOf("/sys/power/mem_sleep").includes("deep") && existsSync(ALARM);

test.skipIf(!inGuest || process.arch === "arm64")("a guest can sleep", () => {
  expect(canSleep).toBe(true);
});

describe.skipIf(!canSleep).each(modes)("trace --attach %s, while the machine sleeps", (mode) => {
  test("connections over it and after it are told once, with the time that was awake and the clock's new time", async () => {
    const tracer = await startGuessed(mode);
    const begun = performance.now();
    const { client, server } = pair();
    for (const end of [client, server]) await expectOpened(tracer, end.truth);
    client.write(1009);
    server.read(1009);
    expect(sleepFor(SLEEP_SECONDS)).toBeGreaterThan(1000);
    server.write(503);
    client.read(503);
    for (const end of [client, server]) end.close();
    const took = performance.now() - begun;
    for (const end of [client, server]) {
      const { time, duration_us, bytes_sent } = await expectClosed(tracer, end.truth);
      expect(bytes_sent).toBe(end === client ? 1009 : 503);
      expect(Math.abs(new Date(time).getTime() - Date.now())).toBeLessThan(PATIENCE_MS);
      expect(duration_us!).toBeGreaterThan(0);
      expect(duration_us!).toBeLessThanOrEqual(took * 1000);
    }
    const after = new Actor("storm", 101);
    for (const truth of await after.hear<Truth[]>()) await expectConnection(tracer, truth);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toContain("none lost");
    const pids = [process.pid, after.pid];
    expect(tracer.unclaimed(({ pid }) => pid !== null && pids.includes(pid))).toEqual([]);
  });
});

// --- internal ---

const SLEEP_SECONDS = 4;

/** Returns how much longer that was by the wall clock than by the monotonic one, in ms. */
function sleepFor(seconds: number): number {
  const [wall, awake] = [Date.now(), performance.now()];
  writeFileSync(ALARM, "0");
  writeFileSync(ALARM, `+${seconds}`);
  // Returns when the alarm has woken the machine.
  writeFileSync("/sys/power/state", "mem");
  return Date.now() - wall - (performance.now() - awake);
}

/** T: stopped by a signal. */
function stateOf(pid: number): string {
  return /^State:\s*(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]!;
}

async function stopped(pid: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (stateOf(pid) !== "T" && performance.now() < deadline) await Bun.sleep(5);
}

function setClock(ms: number): void {
  const { exitCode } = Bun.spawnSync(["date", "-s", `@${Math.round(ms / 1000)}`]);
  expect(exitCode).toBe(0);
  expect(Math.abs(Date.now() - ms)).toBeLessThan(PATIENCE_MS);
}
