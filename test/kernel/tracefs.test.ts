/**
 * Below Linux 4.17 there is no kprobe PMU and kprobes go through tracefs. A guest of the lab gets such a kernel by
 * hiding the PMU; on a host nothing is hidden, so these tests are the guests' alone.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { expectConnection } from "./drive/expect.ts";
import { startGuessed } from "./drive/guessed.ts";
import { has } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { Tracer, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const PMUS = "/sys/bus/event_source/devices";
const TRACEFS = "/sys/kernel/tracing";
/** No kernel without the PMU has functions that call programs themselves. */
const KPROBES_ALONE = ["env", "TRACER_BPF_WITHOUT=fentry"];
const inGuest = process.env["VM_KERNEL"] !== undefined;

test.skipIf(!inGuest)("the lab's kernels have kprobes, else nothing here was tested", () => {
  expect(has.kprobe).toBe(true);
});

describe.skipIf(!inGuest || !has.kprobe)("without the kprobe PMU", () => {
  beforeAll(() => {
    command("mount", "-t", "tmpfs", "none", PMUS);
    expect(existsSync(`${PMUS}/kprobe`)).toBe(false);
  });
  afterAll(() => command("umount", PMUS));

  test("a trace goes through tracefs, counts exactly, and takes its lines along at its end", async () => {
    const tracer = await Tracer.start("kprobe", [], KPROBES_ALONE);
    expect(ourLines()).toMatch(new RegExp(`tracer_bpf/p_${tracer.pid}_(__)?tcp_close`));
    const { client, server } = pair();
    client.write(1009);
    server.read(1009);
    client.close();
    server.close();
    await expectConnection(tracer, client);
    await expectConnection(tracer, server);
    expect(await tracer.stop()).toBe(0);
    expect(ourLines()).toBe("");
  });

  test("a killed trace leaves lines, which the next start sweeps, but not those of a living one", async () => {
    const killed = await startGuessed("kprobe", [], KPROBES_ALONE);
    await killed.stop("SIGKILL");
    expect(ourLines()).toContain(`_${killed.pid}_`);
    const living = await startGuessed("kprobe", [], KPROBES_ALONE);
    expect(ourLines()).not.toContain(`_${killed.pid}_`);
    const other = await run(["trace", "--duration", "1s", "--attach", "kprobe"], KPROBES_ALONE);
    expect(other.exitCode).toBe(0);
    expect(ourLines()).toContain(`_${living.pid}_`);
    expect(await living.stop()).toBe(0);
    expect(ourLines()).toBe("");
  });

  test("with tracefs not mounted either, --attach kprobe says so and how to mount it, with exit code 3", async () => {
    const mounted = [TRACEFS, "/sys/kernel/debug/tracing"].filter((dir) =>
      existsSync(`${dir}/events`),
    );
    const hidden = mounted.filter((dir) => existsSync(`${dir}/kprobe_events`));
    for (const dir of hidden) command("mount", "-t", "tmpfs", "none", dir);
    try {
      const { exitCode, stderr } = await run(["trace", "--duration", "1s", "--attach", "kprobe"]);
      expect(stderr).toMatch(/mount -t tracefs/);
      expect(exitCode).toBe(3);
    } finally {
      for (const dir of hidden.toReversed()) command("umount", dir);
    }
  });
});

/** The lines of kprobe_events that our processes have written. */
function ourLines(): string {
  const lines = readFileSync(`${TRACEFS}/kprobe_events`, "latin1").split("\n");
  return lines.filter((line) => line.includes("tracer_bpf/")).join("\n");
}

function command(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words);
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: ${stderr.toString()}`);
}
