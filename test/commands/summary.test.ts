/** `tracer-bpf summary` of a real recording, as a command. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const fixtures = join(import.meta.dir, "../fixtures/recording");
const recording = join(fixtures, "two_sessions.recording");
const main = join(import.meta.dir, "../../src/main.ts");
const env = { ...process.env, TZ: "UTC", NO_COLOR: "1" };

function run(...args: string[]) {
  const child = Bun.spawnSync([process.execPath, main, "summary", ...args], { env });
  return { code: child.exitCode, out: child.stdout.toString(), told: child.stderr.toString() };
}

/** To add one, add a row, and the file: `TZ=UTC tracer-bpf summary two_sessions.recording FLAGS > FILE`. */
test.each<[string, string[]]>([
  ["two_sessions.summary", []],
  ["two_sessions.summary.csv", ["--by", "service", "-o", "csv"]],
])("the summary of a real recording is exactly %s", (golden, flags) => {
  const { code, out, told } = run(recording, ...flags);
  expect(out).toBe(readFileSync(join(fixtures, golden), "utf8"));
  expect(told).toEndWith("the recording: none lost\n");
  expect(code).toBe(0);
});

test("JSON is one object, with what was lost and exact numbers", () => {
  const { out } = run(recording, "-o", "json", "--by", "remote");
  const summary = JSON.parse(out) as Record<string, unknown>;
  expect(summary).toMatchObject({ events: 22, lost: [], connections: 12, failed: 2, by: "remote" });
  expect(summary["from"]).toBe("2026-11-25T10:13:19.450672Z");
});

test("what a recording says was lost counts once for each cause, and stays on its line", () => {
  const when = '"startNs":"0","wallMinusMonoNs":"0"}';
  const lines = [
    `{"session":{"format":"tracer-bpf recording","version":1,"tool":"1","kernel":"","description":"","notes":[]},${when}`,
    ...[3, 4].map((n) => `{"lost":{"atNs":"0","cause":"e\\nerror: f","count":"${n}"},${when}`),
  ];
  const folder = mkdtempSync(join(tmpdir(), "summary-"));
  const path = join(folder, "hostile");
  const crc = (json: string) => Bun.hash.crc32(json).toString(16).padStart(8, "0");
  writeFileSync(path, lines.map((json) => `${crc(json)} ${json}\n`).join(""));
  const { code, out, told } = run(path, "-o", "json", "--strict");
  rmSync(folder, { recursive: true });
  expect(told).toEndWith("the recording: lost 7 events: e error: f\n");
  expect(JSON.parse(out)).toMatchObject({ lost: [{ cause: "e error: f", count: 7 }] });
  expect(code).toBe(4);
});

test("--since and --until cut the recording, and filters choose from it", () => {
  const events = (...flags: string[]) =>
    (JSON.parse(run(recording, "-o", "json", ...flags).out) as { events: number }).events;
  const all = events();
  const before = events("--until", "2026-11-25T10:13:20Z");
  const after = events("--since", "2026-11-25 10:13:20");
  expect([before > 0, after > 0, before + after]).toEqual([true, true, all]);
  expect(events("--since", "2026-11-25T12:13:20+02:00")).toBe(after);
  expect(events("--failed")).toBe(2);
});

test.each([
  [["--since", "yesterday"], 'flag --since: "yesterday" is no time'],
  [["--since", "2026-11-26", "--until", "2026-11-25"], "flag --until: the time is not after"],
  [["--top", "0"], 'flag --top: "0" is no number of rows'],
])("%p is refused with what is wrong", (flags, message) => {
  const { code, told } = run(recording, ...flags);
  expect(told).toContain(message);
  expect(code).toBe(2);
});
