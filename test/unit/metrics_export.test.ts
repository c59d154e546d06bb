/** The ways out of the host that metrics have: the listening socket, the file, and the flags for them. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMetrics } from "../../src/commands/metrics.ts";
import { metricsWish, parsePlace } from "../../src/commands/metrics_flags.ts";
import type { Failure } from "../../src/errors.ts";
import { answerTo, serveMetrics } from "../../src/export/http.ts";
import { textFile } from "../../src/export/textfile.ts";

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-metrics-"));
afterAll(() => rmSync(directory, { recursive: true }));

const page = (text: string) => () => ({ type: "text/plain", body: Buffer.from(text) });
const here = { address: "127.0.0.1", port: 0 };

function answer(request: string, onlyLocal = true): { status: number; body: string } | null {
  const parts = answerTo(request, onlyLocal, page("the metrics"));
  if (parts === null) return null;
  const [head, body] = parts.map((bytes) => Buffer.from(bytes).toString());
  expect(head).toContain(`\r\nContent-Length: ${body!.length}\r\n`);
  expect(head).toMatch(/\r\nConnection: close\r\n/);
  return { status: Number(head!.split(" ")[1]), body: body! };
}
const get = (target: string, host = "localhost:9464") =>
  answer(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

describe("what is answered", () => {
  test("GET /metrics, with a query too", () => {
    expect(get("/metrics")).toEqual({ status: 200, body: "the metrics" });
    expect(get("/metrics?x=1")).toEqual({ status: 200, body: "the metrics" });
    expect(answer("GET /metrics HTTP/1.0\r\n\r\n")).toEqual({ status: 200, body: "the metrics" });
  });

  test.each([
    "/",
    "/metrics/",
    "/metrics/../metrics",
    "/debug",
    "*",
    "http://a/metrics",
    "/%6detrics",
  ])("nothing else: %s", (target) => {
    expect(get(target)).toEqual({ status: 404, body: "not found\n" });
  });

  test("other methods, and what is no HTTP, are refused", () => {
    expect(answer("POST /metrics HTTP/1.1\r\n\r\n")!.status).toBe(405);
    expect(answer("POST /x HTTP/1.1\r\n\r\n")!.status).toBe(404);
    for (const bad of ["hello", "GET /metrics", "GET /metrics HTTP/2.0", "get /metrics HTTP/1.1"])
      expect(answer(`${bad}\r\n\r\n`)!.status).toBe(400);
  });

  test("a request that goes on is waited for, one that never ends is not", () => {
    expect(answer("GET /metrics HTTP/1.1\r\nHost: a")).toBeNull();
    expect(answer(`GET /metrics HTTP/1.1\r\nX: ${"x".repeat(8192)}`)!.status).toBe(431);
  });

  test("on loopback a foreign name of this address is refused: a browser's page has it", () => {
    for (const host of ["127.0.0.1:9464", "[::1]:9464", "localhost", "LOCALHOST:1", " 127.0.0.1"])
      expect(get("/metrics", host)!.status).toBe(200);
    for (const host of [
      "evil.example",
      "evil.example:9464",
      "localhost.evil.example",
      "127.0.0.1.nip.io",
    ])
      expect(get("/metrics", host)!.status).toBe(403);
    const twice = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    expect(answer(twice)!.status).toBe(403);
    expect(answer(twice, false)!.status).toBe(200);
  });
});

describe("the socket", () => {
  const text = async (port: number, path = "/metrics") =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).text();

  test("a real client gets the page, whole, however large", async () => {
    const large = "x".repeat(8 << 20);
    using server = serveMetrics(here, page(large));
    expect(await text(server.port)).toBe(large);
    expect(await text(server.port, "/")).toBe("not found\n");
  });

  test("clients that say nothing, or take nothing, give way to those that do", async () => {
    using server = serveMetrics(here, page("y".repeat(16 << 20)));
    const idle = await Promise.all(Array.from({ length: 20 }, () => client(server.port)));
    for (const { socket } of idle.slice(10)) {
      socket.pause();
      socket.write("GET /metrics HTTP/1.1\r\n\r\n");
    }
    expect(await text(server.port)).toHaveLength(16 << 20);
    await Promise.all(idle.slice(0, 12).map(({ closed }) => closed));
    for (const { socket } of idle) socket.destroy();
  });

  test("a client that ends its sending first gets its answer all the same", async () => {
    using server = serveMetrics(here, page("the metrics"));
    const { socket, closed } = await client(server.port);
    let got = "";
    socket.on("data", (bytes) => (got += bytes.toString()));
    socket.end("GET /metrics HTTP/1.0\r\n\r\n");
    await closed;
    expect(got).toEndWith("\r\n\r\nthe metrics");
  });

  test("a place that is taken, or not of this host, is refused with the way out", () => {
    using server = serveMetrics(here, page(""));
    const refused = (place: typeof here) => {
      try {
        serveMetrics(place, page(""))[Symbol.dispose]();
        return null;
      } catch (error) {
        return error;
      }
    };
    expect(refused({ ...here, port: server.port })).toMatchObject({
      message: `--metrics: cannot listen at 127.0.0.1:${server.port}`,
      why: "another program listens there",
      hint: expect.stringContaining(`ss -ltnp 'sport = :${server.port}'`),
    });
    expect(refused({ address: "192.0.2.1", port: 9464 })).toMatchObject({
      message: "--metrics: cannot listen at 192.0.2.1:9464",
      why: expect.stringContaining("does not have the address"),
    });
  });

  function client(port: number): Promise<{ socket: Socket; closed: Promise<void> }> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      const closed = new Promise<void>((over) => void socket.on("close", () => over()));
      socket.on("connect", () => resolve({ socket, closed }));
      socket.on("error", reject);
    });
  }
});

describe("the file", () => {
  const fresh = (name: string) => {
    const folder = join(directory, name);
    mkdirSync(folder);
    return folder;
  };

  test("is replaced as a whole, readable by all, and leaves nothing beside it", async () => {
    const folder = fresh("plain");
    const path = join(folder, "a.prom");
    const file = textFile(path, () => {});
    const umask = process.umask(0o077);
    await file.write("1\n");
    process.umask(umask);
    const first = statSync(path);
    expect(first.mode & 0o777).toBe(0o644);
    await file.write("2\n");
    expect(readFileSync(path, "utf8")).toBe("2\n");
    expect(statSync(path).ino).not.toBe(first.ino);
    expect(readdirSync(folder)).toEqual(["a.prom"]);
  });

  test("a link in its place is not followed; the failure is told once, and once that it is over", async () => {
    const folder = fresh("link");
    const [path, victim] = [join(folder, "a.prom"), join(folder, "victim")];
    writeFileSync(victim, "whole");
    symlinkSync("victim", path);
    const news: (string | null)[] = [];
    const file = textFile(path, (failure) => news.push(failure?.why ?? null));
    for (const text of ["1", "2"]) await file.write(text);
    expect(readFileSync(victim, "utf8")).toBe("whole");
    expect(readlinkSync(path)).toBe("victim");
    rmSync(path);
    await file.write("3");
    expect(readFileSync(path, "utf8")).toBe("3");
    expect(news).toEqual(["it is a symbolic link, not a regular file", null]);
    expect(file.failure).toBeNull();
  });

  test("a folder that is gone is a failure", async () => {
    const folder = fresh("gone");
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
    const file = textFile(join(folder, "a.prom"), () => {});
    await file.write("1");
    expect(file.failure).toMatchObject({ why: "there is no such file or directory" });
  });
});

describe("a trace whose file cannot be written at its beginning", () => {
  const others = join(directory, "others");
  const asked = async (file: string) => {
    const warned: string[] = [];
    const wish = { listen: null, file, otlp: null, labels: new Set(["process"] as const) };
    const metrics = await openMetrics(wish, false, (line) => warned.push(line));
    const begun = metrics.begin({ poll() {}, losses: () => [] } as unknown as Parameters<
      typeof metrics.begin
    >[0]);
    const { why, hint } = (await begun.then(
      () => null,
      (error: Failure) => error,
    ))!;
    return { why, hint, warned };
  };

  test("ends by one error, with its own reason", async () => {
    expect(await asked(join(others, "none", "a.prom"))).toEqual({
      why: "there is no such file or directory",
      hint: "look at the spelling of the path",
      warned: [],
    });
    mkdirSync(join(others, "a.prom"), { recursive: true });
    const { why } = await asked(join(others, "a.prom"));
    expect(why).toBe("it is a directory, not a regular file");
  });
});

describe("the flags", () => {
  test.each([
    ["9464", "127.0.0.1", 9464],
    [":9100", "127.0.0.1", 9100],
    ["127.0.0.1:9464", "127.0.0.1", 9464],
    ["0.0.0.0:1", "0.0.0.0", 1],
    ["localhost:80", "127.0.0.1", 80],
    ["localhost", "127.0.0.1", 9464],
    ["10.1.2.3", "10.1.2.3", 9464],
    ["[::]:9464", "::", 9464],
    ["[::1]", "::1", 9464],
  ])("--metrics %s", (text, address, port) => {
    expect(parsePlace(text, "x")).toEqual({ address, port });
  });

  test.each([
    "",
    ":",
    "web1:9464",
    "127.0.0.1:",
    "127.0.0.1:70000",
    "1.2.3.4.5:1",
    "::1",
    "[1.2.3.4]:5",
    "-1",
    "9464x",
  ])("--metrics %p is refused, with a value that works", (text) => {
    let suggestion: string | null = null;
    expect(() => {
      try {
        parsePlace(text, "x");
      } catch (error) {
        suggestion = (error as { suggestion: string }).suggestion;
        throw error;
      }
    }).toThrow("is no address and port");
    const value = suggestion!.replace(/^--metrics '?([^']*)'?$/, "$1");
    expect(parsePlace(value, "x").port).toBe(9464);
  });

  test("labels and a file are checked; without metrics labels mean nothing", () => {
    expect(metricsWish({}, "x")).toBeNull();
    const wish = metricsWish(
      { "metrics-file": "/a/b.prom", "metrics-labels": "process, remote" },
      "x",
    );
    expect(wish).toEqual({
      listen: null,
      file: "/a/b.prom",
      otlp: null,
      labels: new Set(["process", "remote"]),
    });
    expect(() => metricsWish({ "metrics-file": "a.txt" }, "x")).toThrow("does not end in .prom");
    expect(() => metricsWish({ "metrics-file": "-" }, "x")).toThrow('"-" is no file');
    expect(() => metricsWish({ "metrics-labels": "port" }, "x")).toThrow("there are no metrics");
    expect(() => metricsWish({ metrics: "1", "metrics-labels": "pid" }, "x")).toThrow(
      'no label "pid"',
    );
  });
});
