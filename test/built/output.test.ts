/** What the output flags make of real events; test/unit/output.test.ts has the details of each format. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync } from "node:fs";
import { pair, type Truth } from "../kernel/drive/peer.ts";
import * as libc from "../../src/kernel/libc.ts";
import { binary, PATIENCE_MS, plainEnvironment } from "../kernel/drive/tracer.ts";

setDefaultTimeout(180_000);

/** Traces while `work` runs, then ends it as Ctrl-C would. `stdout` is where the events go. */
async function tracing<T>(args: string[], work: () => T, stdout: "pipe" | number = "pipe") {
  const child = Bun.spawn([binary, "trace", ...args], {
    stdin: "ignore",
    stdout,
    stderr: "pipe",
    env: plainEnvironment(),
  });
  const out = child.stdout instanceof ReadableStream ? child.stdout.text() : "";
  const { promise: attached, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS * 2);
  const messages = (async () => {
    let text = "";
    for await (const chunk of child.stderr) {
      text += new TextDecoder().decode(chunk);
      if (/^tracing/m.test(text)) resolve();
    }
    reject(new Error(`the trace ended: ${text}`));
    return text;
  })();
  await attached;
  const result = work();
  child.kill("SIGINT");
  const exitCode = await child.exited;
  clearTimeout(timer);
  return { result, exitCode, stdout: await out, stderr: await messages };
}

function oneConnection(): { client: Truth; server: Truth } {
  const { client, server } = pair();
  client.write(1009);
  server.read(1009);
  client.close();
  server.close();
  return { client: client.truth, server: server.truth };
}

test("csv: the client's close stands in one line of the header's columns", async () => {
  const { result, stdout, exitCode } = await tracing(["-o", "csv"], oneConnection);
  expect(exitCode).toBe(0);
  const [header = "", ...lines] = stdout.trimEnd().split("\n");
  const names = header.split(",");
  const rows = lines.map((line) =>
    Object.fromEntries(line.split(",").map((cell, i) => [names[i]!, cell])),
  );
  const { local, remote } = result.client;
  const ours = rows.filter((row) => row["local_port"] === `${local.port}`);
  expect(ours.map((row) => row["event"])).toEqual(["connect", "close"]);
  expect(ours[1]).toMatchObject({
    v: "1",
    pid: `${process.pid}`,
    local_address: local.address,
    remote_port: `${remote.port}`,
    bytes_sent: "1009",
    bytes_received: "0",
  });
});

test("the table: 80 columns, without its header if so wanted, and what it rounds is right", async () => {
  const { result, stdout } = await tracing(["-H"], oneConnection);
  const lines = stdout.trimEnd().split("\n");
  expect(lines.filter((line) => line.includes("LPORT"))).toEqual([]);
  const ours = lines.filter((line) => line.includes(` ${result.client.local.port} -> `));
  expect(ours.map((line) => line.trim().split(/ +/).slice(0, 3))).toEqual([
    ["connect", "tcp", `${process.pid}`],
    ["close", "tcp", `${process.pid}`],
  ]);
  expect(ours[1]).toMatch(/ 1009 +0 +[\d.]+[mu]?s$/);
  expect(Math.max(...ours.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("-w has more columns, -t counts from the beginning of the trace", async () => {
  const { result, stdout } = await tracing(["-wt"], oneConnection);
  const [header = "", ...lines] = stdout.trimEnd().split("\n");
  expect(header.trim().split(/ +/).slice(0, 3)).toEqual(["TIME(s)", "TIME", "KIND"]);
  const { client } = result;
  const close = lines.find(
    (line) => / close /.test(line) && line.includes(`:${client.local.port} `),
  );
  expect(close).toContain(` ${client.netns} `);
  const seconds = Number(close!.trim().split(/ +/)[0]);
  expect(seconds).toBeGreaterThanOrEqual(0);
  expect(seconds).toBeLessThan((PATIENCE_MS * 2) / 1000);
});

test.each([
  { args: [], code: 0 },
  { args: ["--strict"], code: 4 },
])(
  "when a reader stands still $args ends with $code, and what it did not take is told",
  async ({ args, code }) => {
    const pipe = libc.pipe2(0);
    if (typeof pipe === "number") throw new Error(`pipe2: ${pipe}`);
    try {
      // More than the pipe's 64 KiB of lines, each above 250 bytes.
      const work = () => {
        for (let i = 0; i < 101; i++) oneConnection();
      };
      const { exitCode, stderr } = await tracing(["--json", ...args], work, pipe[1]);
      expect(stderr).toMatch(/lost \d+ events: output read too slowly/);
      expect(exitCode).toBe(code);
    } finally {
      for (const fd of pipe) closeSync(fd);
    }
  },
);

test("--strict ends with 0 when nothing was lost", async () => {
  const { exitCode, stderr } = await tracing(["--strict"], oneConnection);
  expect(stderr).toContain("none lost");
  expect(exitCode).toBe(0);
});
