/** `tracer-bpf replay` as people run it, on a recording of two traces of a real host (test/fixtures/recording). */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const fixtures = join(import.meta.dir, "../fixtures/recording");
const recording = join(fixtures, "two_sessions.recording");
const main = join(import.meta.dir, "../../src/main.ts");
const folder = mkdtempSync(join(tmpdir(), "replay-"));
afterAll(() => rmSync(folder, { recursive: true }));

const env = { ...process.env, TZ: "UTC", NO_COLOR: "1" };

function run(...args: string[]) {
  const child = Bun.spawnSync([process.execPath, main, "replay", ...args], { env });
  return { code: child.exitCode, out: child.stdout.toString(), told: child.stderr.toString() };
}

function changed(name: string, change: (text: string) => string): string {
  const path = join(folder, name);
  writeFileSync(path, change(readFileSync(recording, "latin1")), "latin1");
  return path;
}

const crc = (json: string) => Bun.hash.crc32(json).toString(16).padStart(8, "0");

/** To add one, add a row, and the file: `TZ=UTC tracer-bpf replay two_sessions.recording FLAGS > FILE`. */
test.each<[string, string[]]>([
  ["two_sessions.table", []],
  ["two_sessions.since", ["-t"]],
  ["two_sessions.wide", ["--wide"]],
  ["two_sessions.jsonl", ["--json"]],
  ["two_sessions.csv", ["-o", "csv"]],
])("a replay gives exactly %s", (golden, flags) => {
  const { code, out, told } = run(recording, ...flags);
  expect(out).toBe(readFileSync(join(fixtures, golden), "utf8"));
  expect(told).toEndWith("\n22 events replayed, none lost\n");
  expect(told).toContain("recorded by tracer-bpf 0.1.0: tracing TCP and UDP");
  expect(code).toBe(0);
});

test("a replay ends after --count events", () => {
  const { out, told } = run(recording, "-c", "3", "-H");
  expect(out.trimEnd().split("\n")).toHaveLength(3);
  expect(told).toEndWith("\n3 events replayed, none lost\n");
});

test("a replay shows what the filters of trace ask for", () => {
  const { out, told } = run(recording, "--json", "--failed", "-p", "17415");
  const [only, ...more] = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(only).toMatchObject({ event: "fail", pid: 17415, failure: "ECONNREFUSED" });
  expect(more).toEqual([]);
  expect(told).toEndWith("\n1 event replayed, none lost\n");
});

describe("a recording that is not whole", () => {
  test("is replayed as far as it goes, and what is wrong is told once", () => {
    const path = changed("damaged", (text) => {
      const lines = text.split("\n");
      lines[3] = lines[3]!.replace("tcp", "tcq");
      lines[5] = lines[5]!.slice(0, 40);
      return lines.join("\n");
    });
    const { code, out, told } = run(path, "--json", "--strict");
    expect(told).toContain(
      `warning: ${path}: 2 lines are cut off or damaged, and are skipped; the first is line 4\n`,
    );
    expect(told).toEndWith(
      "20 events replayed, lost 2 events: recording damaged, each line counted as one event\n",
    );
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toMatchObject({ event: "lost", count: 2 });
    expect(code).toBe(4);
    expect(run(path).code).toBe(0);
  });

  test("because a line stands in it twice and another is missing tells both", () => {
    // The recording is of a version that did not number its lines.
    const path = changed("repeated", (text) => {
      const [session, ...rest] = text.split("\n");
      const numbered = [session!, ...rest.slice(0, 4)].map((line, n) => {
        const json = line.slice(9).replace(',"startNs"', `,"line":${n + 1},"startNs"`);
        return `${crc(json)} ${json}\n`;
      });
      numbered[2] = numbered[1]!;
      return numbered.join("");
    });
    const { code, out, told } = run(path, "--json", "--strict");
    expect(told).toContain(`warning: ${path}: 1 line is missing\n`);
    expect(told).toContain(
      `warning: ${path}: 1 line stands in the file a second time, and is skipped there\n`,
    );
    expect(told).toEndWith(
      "3 events replayed, lost 1 event: recording damaged, each line counted as one event\n",
    );
    expect(out.trimEnd().split("\n")).toHaveLength(4);
    expect(code).toBe(4);
  });

  test("because it was cut off between two lines is told too", () => {
    const path = changed("cut", (text) => text.split("\n").slice(0, 8).join("\n") + "\n");
    const { code, told } = run(path, "--strict");
    expect(told).toContain(`warning: ${path}: a session has no end: the file was cut off`);
    expect(told).toEndWith("7 events replayed, none lost\n");
    expect(code).toBe(4);
    expect(run(path).code).toBe(0);
  });

  test("because events were lost while it was made says where, and how many", () => {
    const path = changed("losses", (text) => {
      const [session, first, ...rest] = text.split("\n");
      const when = /"startNs":"\d+","wallMinusMonoNs":"\d+"}$/.exec(first!)![0];
      const atNs = /"atNs":"(\d+)"/.exec(first!)![1];
      const lost = [5, 7].map((count) => {
        const json = `{"lost":{"atNs":"${atNs}","cause":"ring full","count":"${count}"},${when}`;
        return `${crc(json)} ${json}`;
      });
      return [session, first, ...lost, ...rest].join("\n");
    });
    const { code, out, told } = run(path, "--json", "--strict");
    const [event, ...lost] = out
      .split("\n")
      .slice(0, 3)
      .map((line) => JSON.parse(line));
    expect(lost).toEqual(
      [5, 7].map((count) => ({
        ...{ v: 1, time: event.time, event: "lost", cause: "ring full", count },
      })),
    );
    expect(told).toEndWith("22 events replayed, lost 12 events: ring full\n");
    expect(code).toBe(4);
    // The lines about losses are no events.
    expect(run(path, "--json", "-c", "2").out.trimEnd().split("\n")).toHaveLength(4);
  });
});

test("what a recording says of itself stays on its line, and moves no cursor", () => {
  const json =
    '{"session":{"format":"tracer-bpf recording","version":1,"tool":"1\\u001b[2J","kernel":"","description":"a\\nerror: b",' +
    '"notes":["c\\nd\\r"]},"startNs":"0","wallMinusMonoNs":"0"}';
  const lost =
    '{"lost":{"atNs":"0","cause":"e\\nf","count":"1"},"startNs":"0","wallMinusMonoNs":"0"}';
  const path = changed("hostile", () => [json, lost].map((one) => `${crc(one)} ${one}\n`).join(""));
  const { out, told } = run(path, "--json");
  expect(told).toBe(
    "recorded by tracer-bpf 1\\x1b[2J: a error: b\nc d\\x0d\n" +
      `warning: ${path}: a session has no end: the file was cut off, or the tracer was killed or still runs\n` +
      "0 events replayed, lost 1 event: e f\n",
  );
  expect(JSON.parse(out)).toMatchObject({ event: "lost", cause: "e f", count: 1 });
});

test.each<[string, string[], number, RegExp]>([
  ["no file", [], 2, /argument FILE is missing/],
  ["a file that is none", [main], 1, /main.ts: no recording\n {2}because: no line of it/],
  ["--wide with --json", [recording, "--json", "--wide"], 2, /--wide means nothing in json/],
])("%s is refused", (_, args, code, reason) => {
  const refused = run(...args);
  expect(refused).toMatchObject({ code, out: "" });
  expect(refused.told).toMatch(reason);
});

test.each([
  [60, /^KIND +PID COMM +-> REMOTE +DUR\|ERR\r\n/],
  [80, /^KIND +PRO +PID COMM +LPORT -> REMOTE +SENT RECV DUR\|ERR\r\n/],
])("on a terminal of %d columns no line is wider", async (cols, header) => {
  let text = "";
  const all = Promise.withResolvers<void>();
  const child = Bun.spawn([process.execPath, main, "replay", recording, "-4"], {
    env: { ...env, TERM: "dumb" },
    terminal: {
      cols,
      rows: 24,
      data(_, bytes) {
        text += Buffer.from(bytes).toString();
        if (text.includes("none lost")) all.resolve();
      },
    },
  });
  await all.promise;
  expect(await child.exited).toBe(0);
  expect(text.slice(text.indexOf("KIND"))).toMatch(header);
  // Messages stand on the terminal as well.
  const lines = text.split("\r\n").filter((line) => /^(KIND|connect|close) /.test(line));
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(cols);
});

describe("from stdin", () => {
  const piped = (command: string) => {
    const replaying = `"${process.execPath}" "${main}" replay -`;
    const child = Bun.spawnSync(["sh", "-c", command.replaceAll("REPLAY", replaying)], { env });
    return { out: child.stdout.toString(), told: child.stderr.toString(), code: child.exitCode };
  };

  test.each([
    ["a pipe", `cat "${recording}" | REPLAY --json`],
    [
      "a slow pipe",
      `{ head -c 1000 "${recording}"; sleep 0.3; tail -c +1001 "${recording}"; } | REPLAY --json`,
    ],
    ["a file", `REPLAY --json < "${recording}"`],
  ])("of %s a replay is that of the file", (_, command) => {
    expect(piped(command)).toEqual(run(recording, "--json"));
  });

  test.each([
    ["nothing", "REPLAY < /dev/null", /error: stdin: no recording\n {2}because: it is empty/],
    ["what is no recording", `REPLAY < "${main}"`, /stdin: no recording\n {2}because: no line/],
    ["a folder", "REPLAY < /", /error: stdin: cannot be used/],
    ["no stdin", "REPLAY <&-", /error: stdin: /],
  ])("%s is refused", (_, command, reason) => {
    const refused = piped(command);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.told).toMatch(reason);
  });

  test("damage is told of stdin", () => {
    expect(piped(`head -c -20 "${recording}" | REPLAY`).told).toMatch(
      /^warning: stdin: line \d+ is cut off/m,
    );
  });

  test("a writer that does not end is not waited for once somebody wants an end", async () => {
    const child = Bun.spawn([process.execPath, main, "replay", "-", "--json"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      env,
    });
    void child.stdin.write(readFileSync(recording));
    await child.stdin.flush();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    await child.stdin.end();
  });
});

test("a reader that has seen enough ends it quietly", () => {
  const path = changed("long", (text) => text.repeat(2000));
  const command = `"${process.execPath}" "${main}" replay "${path}" | head -1`;
  const child = Bun.spawnSync(["sh", "-c", command]);
  expect(child.stdout.toString()).toStartWith("KIND");
  expect(child.stderr.toString()).not.toContain("replayed");
});
