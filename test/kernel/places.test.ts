/** Hosts and containers that lack something: the tracer traces there, or says why not. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CAP_SYS_PTRACE, CAP_SYS_RESOURCE } from "../../src/kernel/constants.ts";
import { expectConnection } from "./drive/expect.ts";
import { linuxAtLeast, modes, sparing } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { binary, PATIENCE_MS, place, plainEnvironment, run, Tracer } from "./drive/tracer.ts";
import { unitCapabilities } from "./drive/unit.ts";

setDefaultTimeout(180_000);

/**
 * To add one, add a row here and its function in drive/place.ts. `each`: the place may matter to how the tracer attaches
 * or finds processes, so it runs in each mode.
 */
const places = [
  { name: "no-tracefs", each: true },
  { name: "descriptors 112", each: true },
  { name: "systemd-unit", each: true },
  { name: "container", each: true },
  { name: "container-with-host-pids", each: true },
  { name: "container-with-host-network", each: true },
  { name: "hidden-processes", each: true },
  { name: "read-only-root", each: false },
  { name: "noexec-tmp", each: false },
  { name: "bare-root", each: false },
  { name: "stdin-closed", each: false },
  { name: "little-locked-memory", each: false },
  { name: "no-capset", each: false },
  { name: "no-memfd", each: false },
];

describe.each(modes)("trace --attach %s", (mode) => {
  const here = places.filter(({ each }) => each || (!sparing && mode === modes[0]));

  test.each(here)("$name: both ends of a connection, every byte", async ({ name }) => {
    const tracer = await Tracer.start(mode, [], place(name));
    await seesConnection(tracer, () => {
      // Before 5.11 the limit is raised for the maps, and holds for the rings too.
      if (name === "little-locked-memory" && linuxAtLeast(5, 11))
        expect(tracer.stderr).toMatch(/rings have only \d+ KiB per processor/);
      if (name === "hidden-processes") expect(holds(tracer.pid, CAP_SYS_PTRACE)).toBe(true);
      if (name === "no-capset")
        expect(tracer.stderr).toContain(
          "warning: capabilities were not dropped: capset(2) is refused (EPERM)",
        );
      else expect(tracer.stderr).not.toContain("capabilities");
      if (name === "systemd-unit") {
        const status = readFileSync(`/proc/${tracer.pid}/status`, "utf8");
        const bounding = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(status)?.[1]}`);
        expect([...unitCapabilities()].reduce((set, n) => set | (1n << BigInt(n)), 0n)).toBe(
          bounding,
        );
        expect(status).toMatch(/^NoNewPrivs:\s*1$/m);
      }
      // It helps itself without mounting anything.
      if (name === "no-tracefs")
        expect(readFileSync(`/proc/${tracer.pid}/mounts`, "utf8")).not.toMatch(
          / (tracefs|debugfs) /,
        );
    });
  });
});

// The places below are the same in every mode.
describe.skipIf(sparing).each(modes.slice(0, 1))("trace --attach %s", (mode) => {
  // Less than its programs alone need, and less than its lists of open sockets need. Root may raise the limit, unless a sandbox
  // took that from it.
  test.each([24, 90, 96])(
    "descriptors %d: both ends of a connection where the limit can be raised, else how to",
    async (count) => {
      if (mayRaiseLimits) {
        await seesConnection(await Tracer.start(mode, [], place(`descriptors ${count}`)));
        return;
      }
      const args = ["trace", "--attach", mode, "--duration", "1s"];
      const { exitCode, stderr } = await run(args, place(`descriptors ${count}`));
      expect(stderr).toMatch(/EMFILE[^]*try: ulimit -n/);
      expect(exitCode).toBe(3);
    },
  );

  test("no place to load the native library from: it says what would be one", async () => {
    const elsewhere = [Bun.which("env")!, "TMPDIR=/proc"];
    const args = ["trace", "--attach", mode, "--duration", "1s"];
    const { exitCode, stderr } = await run(args, [...place("no-memfd"), ...elsewhere]);
    expect(stderr).toMatch(
      /^error: a place to load the native library from: not available on this host\n {2}because: memory: memfd_create failed; a file in TMPDIR: .*\n {2}try: TMPDIR=DIRECTORY/,
    );
    expect(exitCode).toBe(3);
  });

  test.each([
    [40, "xterm-256color"],
    [200, "xterm-256color"],
    [80, "dumb"],
  ])(
    "a terminal of %d columns, %s: whole lines, nothing that moves the cursor",
    async (cols, term) => {
      const shown = { text: "" };
      const child = Bun.spawn([binary, "trace", "--attach", mode], {
        env: { ...plainEnvironment(), NO_COLOR: undefined, TERM: term },
        terminal: {
          cols,
          rows: 24,
          data: (_, data) => void (shown.text += Buffer.from(data).toString()),
        },
      });
      await until(shown, /tracing/);
      const { client, server } = pair();
      client.write(1009);
      server.read(1009);
      client.close();
      server.close();
      const { local, remote } = client.truth;
      const to = `${remote.address}:${remote.port}`;
      // A narrow table has no room for the local port and the bytes.
      const close = cols < 80 ? `close +${to}` : `close.* ${local.port} -> ${to} .*1009`;
      await until(shown, new RegExp(close));
      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
      // Colors are for terminals that have them.
      const plain = term === "dumb" ? shown.text : shown.text.replaceAll(/\p{Cc}\[[\d;]*m/gu, "");
      expect(plain).not.toMatch(/\p{Cc}(?<![\r\n])/u);
      const table = plain
        .split(/\r?\n/)
        .filter((line) => /^(KIND|connect|accept|close) /.test(line));
      expect(table).not.toBeEmpty();
      if (cols < 80) expect(table.filter((line) => line.length > cols)).toEqual([]);
    },
  );
});

function holds(pid: number, capability: number): boolean {
  const held = /^CapEff:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return ((BigInt(`0x${held}`) >> BigInt(capability)) & 1n) === 1n;
}

const mayRaiseLimits = holds(process.pid, CAP_SYS_RESOURCE);

async function seesConnection(tracer: Tracer, meanwhile: () => void = () => {}): Promise<void> {
  try {
    const { client, server } = pair();
    client.write(1009);
    server.read(1009);
    server.write(503);
    client.read(503);
    client.close();
    server.close();
    await expectConnection(tracer, client);
    await expectConnection(tracer, server);
    meanwhile();
  } finally {
    expect(await tracer.stop()).toBe(0);
  }
  expect(tracer.stderr).not.toMatch(/error/);
}

interface Shown {
  text: string;
}

async function until(shown: Shown, what: RegExp): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!what.test(shown.text)) {
    if (performance.now() > deadline) throw new Error(`no ${what} in:\n${shown.text.slice(-4000)}`);
    await Bun.sleep(20);
  }
}
