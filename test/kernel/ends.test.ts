/** How a trace ends, and what it leaves behind. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as libc from "../../src/kernel/libc.ts";
import { expectConnection } from "./drive/expect.ts";
import { type Mode, has, modes } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { PATIENCE_MS, Tracer, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-ends-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** How a trace ends does not depend on the mode; only what it leaves in the kernel does. */
const [mode = "kprobe"] = modes;

beforeAll(async () => {
  for (const mode of modes) {
    const { stderr } = await run(["offsets", "guess", "--attach", mode, "--save", offsetsOf(mode)]);
    if (!existsSync(offsetsOf(mode))) throw new Error(stderr);
  }
});

test("without --attach, kprobes are used where there are any; --duration ends the trace by itself", async () => {
  const begun = performance.now();
  const { exitCode, stderr } = await run(["trace", "--duration", "2s"]);
  expect(stderr).toMatch(has.kprobe ? /tracing.*kprobe/ : /tracing.*tracepoint/);
  expect(exitCode).toBe(0);
  expect(performance.now() - begun).toBeGreaterThan(2000);
  expect(performance.now() - begun).toBeLessThan(2000 + 2 * PATIENCE_MS);
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s ends it with exit code 0, after what has happened before was printed",
  async (signal) => {
    const tracer = await start(mode);
    const programs = programsOf(tracer.pid);
    const { client, server } = pair();
    client.write(997);
    server.read(997);
    client.close();
    server.close();
    // At once: what the kernel side has collected by now must still come out.
    expect(await tracer.stop(signal)).toBe(0);
    for (const { truth } of [client, server]) {
      const kinds = tracer
        .unclaimed(
          (event) =>
            event.local.port === truth.local.port && event.remote.port === truth.remote.port,
        )
        .map((event) => event.event);
      expect(kinds).toHaveLength(2);
      expect(new Set<string>(kinds)).toEqual(new Set([truth.opened, "close"]));
    }
    await expectGone(programs);
  },
);

test("--count prints exactly so many lines and ends with exit code 0", async () => {
  const tracer = await start(mode, "--count", "5");
  for (let i = 0; i < 7; i++) {
    const { client, server } = pair();
    client.close();
    server.close();
  }
  expect(await tracer.ended()).toBe(0);
  expect(tracer.events).toHaveLength(5);
});

test.each(modes)(
  "killed, a %s trace leaves no program in the kernel, and the next start sweeps its probes",
  async (mode) => {
    const before = kprobeEvents();
    const killed = await start(mode);
    const programs = programsOf(killed.pid);
    expect(programs).not.toBeEmpty();
    for (const id of programs) expect(programExists(id)).toBe(true);
    expect(await killed.stop("SIGKILL")).not.toBe(0);
    await expectGone(programs);

    const next = await start(mode);
    const { client, server } = pair();
    client.close();
    server.close();
    await expectConnection(next, client);
    await expectConnection(next, server);
    expect(await next.stop()).toBe(0);
    expect(kprobeEvents()).toEqual(before);
  },
);

// --- internal ---

function offsetsOf(mode: Mode): string {
  return join(directory, mode);
}

/** Guessing again at each start would take most of an emulated guest's time. */
function start(mode: Mode, ...args: string[]): Promise<Tracer> {
  return Tracer.start(mode, ["--offsets", offsetsOf(mode), ...args]);
}

/** The kernel frees a program some time after its last user is gone. */
async function expectGone(programs: number[]): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (programs.some(programExists) && performance.now() < deadline) await Bun.sleep(10);
  expect(programs.filter(programExists)).toEqual([]);
}

/** Ids of the BPF programs a process holds, directly or through a link. */
function programsOf(pid: number): number[] {
  const fdinfo = `/proc/${pid}/fdinfo`;
  const ids = readdirSync(fdinfo).flatMap((fd) => {
    const id = /^prog_id:\s*(\d+)$/m.exec(readFileSync(`${fdinfo}/${fd}`, "latin1"));
    return id ? [Number(id[1])] : [];
  });
  return [...new Set(ids)];
}

function programExists(id: number): boolean {
  const BPF_PROG_GET_FD_BY_ID = 13;
  const attr = new Uint8Array(16);
  new DataView(attr.buffer).setUint32(0, id, true);
  const fd = libc.bpf(BPF_PROG_GET_FD_BY_ID, attr);
  if (fd >= 0) libc.close(fd);
  return fd >= 0;
}

/** The lines of tracefs's kprobe_events; none where there is no tracefs, since then nothing can be left in it. */
function kprobeEvents(): string[] {
  for (const tracefs of ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]) {
    try {
      return readFileSync(`${tracefs}/kprobe_events`, "latin1").split("\n");
    } catch {
      // Not mounted here.
    }
  }
  return [];
}
