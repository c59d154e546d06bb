/**
 * Modules that come and go. Only in guests of the lab, which brings one: nothing of a host's kernel is loaded or
 * unloaded.
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { attemptPoints } from "../../src/trace/tcp/attempts.ts";
import { acceptPoints, kprobes } from "../../src/trace/tcp/points.ts";
import { expectClosed, expectConnection, expectListed, expectOpened } from "./drive/expect.ts";
import { linuxAtLeast, modes } from "./drive/modes.ts";
import { check, pair, type Peer } from "./drive/peer.ts";
import { flushed } from "./drive/traced.ts";
import { Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const inGuest = process.env["VM_KERNEL"] !== undefined;
const hasModule = inGuest && existsSync("/modules");

// Debian's packages hold the kernel alone from 7.2 on.
test.skipIf(!inGuest || linuxAtLeast(7, 2))("the lab has brought a module", () => {
  expect(hasModule).toBe(true);
});

test("what is probed for TCP is no part of a module that could go", () => {
  const symbols = [...kprobes(), ...attemptPoints, ...acceptPoints].map(({ kprobe }) => kprobe);
  const inModules = readFileSync("/proc/kallsyms", "latin1")
    .split("\n")
    .filter((line) => symbols.includes(line.split(/\s/)[2] ?? ""))
    // ipv6 cannot be unloaded once it is there.
    .filter((line) => line.includes("[") && !line.endsWith("[ipv6]"));
  expect(inModules).toEqual([]);
});

describe.skipIf(!hasModule).each(modes)("trace --attach %s", (mode) => {
  let module: string;
  beforeAll(() => {
    module = plainModule();
  });

  test("a congestion control is unloaded: its connections are told once, exactly, and nothing holds it", async () => {
    load(module);
    const older = underHtcp();
    const tracer = await Tracer.start(mode);
    await expectListed(tracer, older.client);
    for (let i = 0; i < 3; i++) {
      if (i > 0) load(module);
      const { client, server } = underHtcp();
      for (const end of [client, server]) await expectOpened(tracer, end.truth);
      // In use by the connection: that the tracer is no user of it shows only then.
      expect(unload()).not.toBe(0);
      client.close();
      server.close();
      for (const end of [client, server]) await expectClosed(tracer, end.truth);
      if (i === 0) {
        older.client.close();
        older.server.close();
        await tracer.take("close", older.client.truth);
        await tracer.take("close", older.server.truth);
      }
      expect(unload()).toBe(0);
      const after = pair();
      after.client.close();
      after.server.close();
      for (const end of [after.client, after.server]) await expectConnection(tracer, end);
    }
    await flushed(tracer);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toContain("none lost");
    const left = tracer.unclaimed(
      ({ pid, event }) => pid === process.pid && event !== "open" && event !== "begin",
    );
    expect(left).toEqual([]);
  });
});

// --- internal ---

/** Unpacked, as insmod wants it. */
function plainModule(): string {
  const [name] = readdirSync("/modules");
  if (!name!.endsWith(".xz")) return `/modules/${name}`;
  const { stdout, exitCode } = Bun.spawnSync(["xz", "-dc", `/modules/${name}`]);
  expect(exitCode).toBe(0);
  writeFileSync("/tmp/tcp_htcp.ko", stdout);
  return "/tmp/tcp_htcp.ko";
}

function load(module: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["insmod", module], { stderr: "pipe" });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
}

const unload = (): number => Bun.spawnSync(["rmmod", "tcp_htcp"]).exitCode;

function underHtcp(): { client: Peer; server: Peer } {
  const ends = pair();
  for (const { fd } of [ends.client, ends.server])
    check(
      libc.setsockopt(fd, k.SOL_TCP, k.TCP_CONGESTION, Buffer.from("htcp")),
      "the congestion control",
    );
  ends.client.write(1009);
  ends.server.read(1009);
  return ends;
}
