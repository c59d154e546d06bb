/**
 * Processors that go and come. A ring's perf event does not survive its CPU. Only in guests of the lab, whose second
 * processor is nobody else's.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import type { Actor } from "./drive/actors.ts";
import { expectConnection } from "./drive/expect.ts";
import { modes } from "./drive/modes.ts";
import type { Truth } from "./drive/peer.ts";
import { traced, type Traced } from "./drive/traced.ts";

setDefaultTimeout(180_000);

const inGuest = process.env["VM_KERNEL"] !== undefined;
const CPU1 = "/sys/devices/system/cpu/cpu1/online";

describe.each(modes)("trace --attach %s while a processor goes and comes", (mode) => {
  if (!inGuest) {
    test.skip("it is the host's own", () => {});
    return;
  }
  const trace = traced(mode);

  test("off and on again before anybody looks: every connection made on it is reported once", async () => {
    await stormOnCpu1(trace, 101);
    // Twice, so that a ring that was opened anew is lost as well.
    for (let i = 0; i < 2; i++) {
      setCpu1(false);
      setCpu1(true);
      await stormOnCpu1(trace, 103);
    }
  });

  test("what it has not handed over when it goes off is reported", async () => {
    const actor = trace.actor("pair-on-go");
    await bound(actor);
    // The tracer asks for it only when the processor is gone.
    trace.tracer.process.kill("SIGSTOP");
    let opened: Truth[];
    try {
      actor.go();
      opened = await actor.hear<Truth[]>();
      setCpu1(false);
    } finally {
      trace.tracer.process.kill("SIGCONT");
    }
    try {
      for (const truth of opened) await trace.tracer.until(() => seen(trace, truth), truth.opened);
    } finally {
      setCpu1(true);
    }
    actor.go();
    for (const truth of await actor.hear<Truth[]>()) await expectConnection(trace.tracer, truth);
  });

  test("connections made while it is off, and after it is back, are reported once", async () => {
    setCpu1(false);
    try {
      await reported(trace, trace.actor("storm", 53));
    } finally {
      setCpu1(true);
    }
    await stormOnCpu1(trace, 59);
  });
});

// --- internal ---

function setCpu1(on: boolean): void {
  writeFileSync(CPU1, on ? "1" : "0");
  expect(readFileSync(CPU1, "utf8").trim()).toBe(on ? "1" : "0");
}

/** Connections whose every event comes from that CPU: the process that makes both ends is bound to it. */
async function stormOnCpu1(trace: Traced, count: number): Promise<void> {
  const actor = trace.actor("storm-on-go", count);
  await bound(actor);
  actor.go();
  await reported(trace, actor);
}

async function bound(actor: Actor): Promise<void> {
  const { pid } = await actor.hear<{ pid: number }>();
  const CPU1_MASK = "2";
  expect(Bun.spawnSync(["taskset", "-p", CPU1_MASK, String(pid)]).exitCode).toBe(0);
}

function seen({ tracer }: Traced, { opened, local, remote }: Truth): boolean {
  return tracer.events.some(
    (event) =>
      event.event === opened &&
      event.local.port === local.port &&
      event.remote.port === remote.port,
  );
}

async function reported({ tracer }: Traced, actor: ReturnType<Traced["actor"]>): Promise<void> {
  const truths = await actor.hear<Truth[]>();
  for (const truth of truths) await expectConnection(tracer, truth);
}
