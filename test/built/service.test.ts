/** A trace as a service: it tells its manager that it is at work, and SIGHUP opens its recording anew. Needs root. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from "../../src/kernel/constants.ts";
import { bind, close, recv, socket } from "../../src/kernel/libc.ts";
import { sockaddrUnix } from "../../src/kernel/sockaddr.ts";
import { guessed, startGuessed } from "../kernel/drive/guessed.ts";
import { modes } from "../kernel/drive/modes.ts";
import { pairOver } from "../kernel/drive/peer.ts";
import { binary, eventually, plainEnvironment, run, type Tracer } from "../kernel/drive/tracer.ts";

setDefaultTimeout(180_000);

const mode = modes[0]!;
const work = mkdtempSync(join(tmpdir(), "tracer-bpf-service-"));
const manager = `@tracer-bpf-service-test-${process.pid}`;
let managerFd: number;

beforeAll(() => {
  managerFd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  expect(bind(managerFd, sockaddrUnix(manager)!)).toBe(0);
});
afterAll(() => {
  close(managerFd);
  rmSync(work, { recursive: true });
});

/** The messages that the manager got since the last time. */
function told(): string[] {
  const bytes = new Uint8Array(4096);
  const texts: string[] = [];
  for (
    let n = recv(managerFd, bytes, MSG_DONTWAIT);
    n >= 0;
    n = recv(managerFd, bytes, MSG_DONTWAIT)
  )
    texts.push(Buffer.from(bytes.subarray(0, n)).toString());
  return texts;
}

const ports = (lines: string): number[] =>
  lines.split("\n").flatMap((line) => {
    if (line === "") return [];
    const event = JSON.parse(line);
    return event.event === "close" ? [event.local.port, event.remote.port] : [];
  });

/** The ports of what a recording holds, after it was found whole. */
async function recorded(file: string): Promise<number[]> {
  const { exitCode, stdout, stderr } = await run(["replay", file, "--json", "--strict"]);
  expect({ exitCode, stderr: stderr.split("\n").at(-2) }).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(/replayed, none lost$/),
  });
  return ports(stdout);
}

/** Both ends: the later one may be told after the other has been seen. */
async function seen(tracer: Tracer, port: number): Promise<void> {
  await tracer.takeIf("close", `of port ${port}`, ({ local }) => local.port === port);
  await tracer.takeIf("close", `to port ${port}`, ({ remote }) => remote.port === port);
}

test("SIGHUP ends the renamed recording and begins another; no event is in both or in none", async () => {
  const [file, old] = [join(work, "trace.rec"), join(work, "trace.rec.1")];
  const tracer = await startGuessed(mode, ["--record", file]);
  const first = pairOver();
  await seen(tracer, first);
  renameSync(file, old);
  tracer.process.kill("SIGHUP");
  await tracer.until(() => tracer.stderr.includes(`${file}: opened anew`), "word of the new file");
  const second = pairOver();
  await seen(tracer, second);
  tracer.process.kill("SIGHUP");
  await tracer.until(() => tracer.stderr.includes(`${file}: it was not renamed`), "word of it");
  expect(await tracer.stop("SIGTERM")).toBe(0);
  const [before, after] = [await recorded(old), await recorded(file)];
  expect(before).toContain(first);
  expect(before).not.toContain(second);
  expect(after).toContain(second);
  expect(after).not.toContain(first);
});

test("SIGHUP goes on in a new file of --output-file; no line is in both or in none", async () => {
  const [file, old] = [join(work, "lines.json"), join(work, "lines.json.1")];
  const tracer = await startGuessed(mode, ["--output-file", file]);
  const isIn = (path: string, port: number) =>
    ports(wholeLines(path)).filter((one) => one === port).length === 2;
  const first = pairOver();
  await eventually("both ends are in the file", () => isIn(file, first));
  renameSync(file, old);
  tracer.process.kill("SIGHUP");
  await tracer.until(() => tracer.stderr.includes(`${file}: opened anew`), "word of the new file");
  const second = pairOver();
  await eventually("both ends are in the new file", () => isIn(file, second));
  tracer.process.kill("SIGHUP");
  await tracer.until(() => tracer.stderr.includes(`${file}: it was not renamed`), "word of it");
  expect(await tracer.stop("SIGTERM")).toBe(0);
  const [before, after] = [old, file].map((path) => ports(readFileSync(path, "utf8")));
  expect(before).toContain(first);
  expect(before).not.toContain(second);
  expect(after).not.toContain(first);
});

test("--output-file is added to, with one header, and only where it is a file of ours", async () => {
  const file = join(work, "lines.csv");
  const offsets = ["--offsets", await guessed(mode), "--attach", mode];
  const flags = ["--output", "csv", "--output-file", file, "--duration", "10ms"];
  for (let i = 0; i < 2; i++) {
    const { exitCode, stdout } = await run(["trace", ...offsets, ...flags]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
  }
  expect(readFileSync(file, "utf8").match(/^v,time,/gm)).toHaveLength(1);
  const link = join(work, "link");
  symlinkSync(file, link);
  const { exitCode, stderr } = await run(["trace", "--output-file", link]);
  expect(stderr).toMatch(/link: will not be written to\n.*it is a symbolic link/s);
  expect(exitCode).toBe(1);
});

test("SIGHUP does not end a trace whose stdout is a file", async () => {
  const file = join(work, "events.json");
  const shell = ["sh", "-c", `exec "$@" > ${file}`, "sh"];
  const tracer = await startGuessed(mode, [], shell);
  tracer.process.kill("SIGHUP");
  await tracer.until(() => /SIGHUP: there is no file to open/.test(tracer.stderr), "word of it");
  const port = pairOver();
  await eventually("the connection is in the file", () => ports(wholeLines(file)).includes(port));
  expect(await tracer.stop("SIGTERM")).toBe(0);
});

test("a service tells its manager that it traces, its command gets no word of it, and SIGHUP does not end it", async () => {
  const env = ["env", `NOTIFY_SOCKET=${manager}`];
  const script = 'echo "socket: ${NOTIFY_SOCKET-none}"; exec sleep 60';
  const tracer = await startGuessed(mode, ["--", "sh", "-c", script], env);
  await tracer.until(() => tracer.stderr.includes("socket: none"), "line of the command");
  const description = /^tracing .*$/m.exec(tracer.stderr)![0];
  const texts: string[] = [];
  await eventually("the manager is told", () => texts.push(...told()) > 0);
  expect(texts).toEqual([`READY=1\nSTATUS=${description}`]);
  tracer.process.kill("SIGHUP");
  await tracer.until(() => /SIGHUP: there is no file to open/.test(tracer.stderr), "word of it");
  // SIGTERM reaches the command, whose status it is.
  expect(await tracer.stop("SIGTERM")).toBe(128 + 15);
  expect(told()).toEqual([]);
});

test("a closed terminal ends a trace that writes to it, and its recording is whole", async () => {
  const file = join(work, "terminal.rec");
  const shown = { text: "" };
  const flags = ["--record", file, "--offsets", await guessed(mode), "--attach", mode];
  const child = Bun.spawn([binary, "trace", ...flags], {
    env: plainEnvironment(),
    terminal: {
      cols: 80,
      rows: 24,
      data: (_, data) => void (shown.text += Buffer.from(data).toString()),
    },
  });
  const shows = (text: string) => eventually(`it shows ${text}`, () => shown.text.includes(text));
  await shows("LPORT");
  const port = pairOver();
  await shows(`${port}`);
  child.terminal!.close();
  await child.exited;
  expect(await recorded(file)).toContain(port);
});

const wholeLines = (file: string): string => {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return text.slice(0, text.lastIndexOf("\n") + 1);
};
