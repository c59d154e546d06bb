/** `trace --record` of real connections, and its replay. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGuessed } from "./drive/guessed.ts";
import { modes, sparing } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { Tracer, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-recording-"));
afterAll(() => rmSync(directory, { recursive: true }));

const [mode = "kprobe"] = modes;
const PAIRS = 5;

/** Connects and closes so many times; every event of both ends is awaited. */
async function connections(tracer: Tracer, pairs = PAIRS): Promise<void> {
  for (let n = 0; n < pairs; n++) {
    const { client, server } = pair();
    client.write(100 + n);
    server.read(100 + n);
    client.close();
    server.close();
    for (const { truth } of [client, server]) {
      await tracer.take(truth.opened, truth);
      await tracer.take("close", truth);
    }
  }
}

const linesOf = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

test.each(modes)("a %s trace replayed gives the lines it gave itself", async (mode) => {
  const file = join(directory, mode);
  const first = await startGuessed(mode, ["--record", file]);
  await connections(first);
  expect(await first.stop()).toBe(0);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const second = await startGuessed(mode, ["--record", file]);
  await connections(second, 1);
  expect(await second.stop()).toBe(0);

  const { exitCode, stdout, stderr } = await run(["replay", file, "--json", "--strict"]);
  expect(stderr).toMatch(/\d+ events replayed, none lost\n$/);
  expect(linesOf(stdout)).toEqual([...first.events, ...second.events]);
  expect(exitCode).toBe(0);
});

test.skipIf(sparing)(
  "what a killed trace had shown is in its recording, which says that it has no end",
  async () => {
    const file = join(directory, "killed");
    const tracer = await startGuessed(mode, ["--record", file]);
    await connections(tracer);
    const shown = [...tracer.events];
    // The file is written on another thread than the lines.
    await tracer.until(
      () => readFileSync(file, "latin1").split("\n").length >= shown.length + 2,
      "recording of what was shown",
    );
    await tracer.stop("SIGKILL");
    const { exitCode, stdout, stderr } = await run(["replay", file, "--json", "--strict"]);
    expect(linesOf(stdout).slice(0, shown.length)).toEqual(shown);
    expect(stderr).toContain("has no end");
    expect(exitCode).toBe(4);
  },
);

test.skipIf(sparing)(
  "on a full disk it goes on showing, says what is not recorded, and ends with exit code 1",
  async () => {
    const mount = join(directory, "full");
    mkdirSync(mount);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=8k", "none", mount]).exitCode).toBe(
      0,
    );
    try {
      const file = join(mount, "recording");
      const tracer = await startGuessed(mode, ["--record", file]);
      await connections(tracer, 20);
      await tracer.until(
        () => /recording has stopped, tracing goes on/.test(tracer.stderr),
        "word of the full disk",
      );
      await connections(tracer, 5);
      expect(await tracer.stop()).toBe(1);
      expect(tracer.stderr.match(/recording has stopped/g)).toHaveLength(1);
      const [, unsaved] = /lost (\d+) events: not recorded/.exec(
        tracer.stderr.split("\n").find((line) => line.includes(" events in "))!,
      )!;
      expect(tracer.stderr).toMatch(/error: \S+: cannot be used\n {2}because: no space is left/);
      const { stdout, stderr } = await run(["replay", file, "--json"]);
      const saved = linesOf(stdout).filter((line) => (line as { event: string }).event !== "lost");
      expect(saved).toEqual(tracer.events.slice(0, saved.length));
      expect(saved.length + Number(unsaved)).toBe(tracer.events.length);
      expect(stderr).toContain("is cut off or damaged");
    } finally {
      Bun.spawnSync(["umount", mount]);
    }
  },
);

test.skipIf(sparing)("a file that is something else is left alone, with exit code 1", async () => {
  const other = join(directory, "other");
  writeFileSync(other, "precious\n");
  const { exitCode, stdout, stderr } = await run(["trace", "--record", other]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toMatch(/other: will not be written to\n {2}because: no line of it/);
  expect(readFileSync(other, "utf8")).toBe("precious\n");
  const missing = join(directory, "none", "file");
  expect((await run(["trace", "--record", missing])).stderr).toContain("no such file");
  expect(existsSync(missing)).toBe(false);
});
