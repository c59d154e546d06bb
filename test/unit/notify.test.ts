/** A service tells its manager that it is at work: sd_notify(3), received by a socket as systemd has one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from "../../src/kernel/constants.ts";
import { bind, close, recv, socket } from "../../src/kernel/libc.ts";
import { takeNotifySocket } from "../../src/commands/service.ts";
import { notifyReady } from "../../src/kernel/notify.ts";
import { sockaddrUnix } from "../../src/kernel/sockaddr.ts";

const work = mkdtempSync(join(tmpdir(), "notify-test-"));
afterAll(() => rmSync(work, { recursive: true }));
const NAMES = [join(work, "notify"), `@notify-test-${process.pid}`];
/** The longest that a struct sockaddr_un holds. */
const LONGEST = `@${"x".repeat(107)}`;
const managers = new Map<string, number>();

beforeAll(() => {
  for (const name of [...NAMES, LONGEST]) {
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect(bind(fd, sockaddrUnix(name)!)).toBe(0);
    managers.set(name, fd);
  }
});
afterAll(() => {
  for (const fd of managers.values()) close(fd);
});

function received(name: string): string | null {
  const bytes = new Uint8Array(1000);
  const count = recv(managers.get(name)!, bytes, MSG_DONTWAIT);
  return count < 0 ? null : Buffer.from(bytes.subarray(0, count)).toString();
}

test.each([...NAMES, LONGEST])("the manager behind %s is told", (name) => {
  expect(notifyReady(name, "tracing")).toBeNull();
  expect(received(name)).toBe("READY=1\nSTATUS=tracing");
  expect(received(name)).toBeNull();
});

test("a manager that cannot be told gives the reason", () => {
  expect(notifyReady(join(work, "gone"), "")).toBe("nothing can be sent to it (ENOENT)");
  expect(notifyReady("@nobody-listens-here", "")).toBe("nothing can be sent to it (ECONNREFUSED)");
  for (const name of ["relative", "vsock:2:1234", "@", "/", `/${"x".repeat(107)}`, `${LONGEST}x`])
    expect(notifyReady(name, "")).toBe("it is no name of a socket of this host");
});

test("a command that the trace starts does not get the socket's name", () => {
  const before = process.env["NOTIFY_SOCKET"];
  try {
    process.env["NOTIFY_SOCKET"] = "/run/systemd/notify";
    expect(takeNotifySocket()).toBe("/run/systemd/notify");
    expect(process.env).not.toHaveProperty("NOTIFY_SOCKET");
    expect(takeNotifySocket()).toBeNull();
  } finally {
    if (before !== undefined) process.env["NOTIFY_SOCKET"] = before;
  }
});
