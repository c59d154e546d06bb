/** The tool's own connections, disturbed by others of the host. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { exitCodeOf, formatError } from "../../src/errors.ts";
import { abort, DisturbedError, LoopbackError, openPair } from "../../src/guess/loopback.ts";
import { loopbackFailure } from "../../src/guess/loopback_failure.ts";
import { undisturbed, withLoopback } from "../../src/guess/netns.ts";
import {
  AF_INET,
  ETIMEDOUT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { ownNetns } from "../../src/kernel/namespaces.ts";
import { parseIPv4, sockaddr } from "../../src/kernel/sockaddr.ts";

const { EACCES, EMFILE, ENOBUFS } = constants.errno;

/** Listeners on random addresses of 127.0.0.0/8, as any user sees them in /proc/net/tcp. */
function listeners(): { address: string; port: number }[] {
  const rows = readFileSync("/proc/net/tcp", "latin1").matchAll(
    /: ([0-9A-F]{6}7F):([0-9A-F]{4}) 00000000:0000 0A/g,
  );
  return Array.from(rows, ([, address, port]) => ({
    address: [6, 4, 2, 0].map((at) => parseInt(address!.slice(at, at + 2), 16)).join("."),
    port: parseInt(port!, 16),
  })).filter(({ address }) => address !== "127.0.0.1" && parseIPv4(address).length === 4);
}

/** Connects to each, as any user can. */
function disturb(): number[] {
  return listeners().map(({ address, port }) => {
    const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    libc.connect(fd, sockaddr(address, port));
    return fd;
  });
}

test("connections of others that come first are not taken for the tool's own", () => {
  const others: number[] = [];
  using pair = openPair("v4", (_, connect) => {
    for (let i = 0; i < 20; i++) others.push(...disturb());
    expect(others.length).toBeGreaterThanOrEqual(20);
    connect();
  });
  const sent = Uint8Array.of(1, 2, 3);
  expect(libc.send(pair.client, sent, 0)).toBe(3);
  const got = new Uint8Array(8);
  expect(libc.recv(pair.server, got, 0)).toBe(3);
  expect(got.subarray(0, 3)).toEqual(sent);
  abort(...others);
});

test("where only others come it is told at once, not after a timeout", () => {
  // A busy machine may stop this process for any time. It does not each time; and to find the listeners takes long on some.
  const tries = Array.from({ length: 5 }, () => {
    const others: number[] = [];
    let begun = 0;
    const beOthers = () => {
      others.push(...disturb());
      begun = performance.now();
    };
    expect(() => openPair("v4", beOthers)).toThrow(DisturbedError);
    const ms = performance.now() - begun;
    abort(...others);
    return ms;
  });
  expect(Math.min(...tries)).toBeLessThan(900);
});

const root = process.geteuid?.() === 0;

test.skipIf(!root)(
  "work that loopback fails is done anew, in a network namespace of its own",
  () => {
    const home = ownNetns();
    const places: number[] = [];
    const answer = withLoopback(({ netns }) => {
      places.push(netns);
      if (netns === home) throw new DisturbedError("accept", ETIMEDOUT);
      return "done";
    });
    expect(answer).toBe("done");
    expect(places).toHaveLength(2);
    expect(places[0]).toBe(home);
    expect(ownNetns()).toBe(home);
  },
);

test.skipIf(!root)(
  "a result that is wrong is asked for once more, in a network namespace of its own",
  () => {
    const home = ownNetns();
    const places: number[] = [];
    const answer = (right: (netns: number) => boolean) => {
      places.length = 0;
      return undisturbed(
        ({ netns }) => (places.push(netns), right(netns)),
        (result) => result,
      );
    };
    expect(answer((netns) => netns !== home)).toBe(true);
    expect(places).toHaveLength(2);
    expect(answer(() => true)).toBe(true);
    expect(places).toEqual([home]);
    // Wrong in both: it is no fault of others.
    expect(answer(() => false)).toBe(false);
    expect(places).toHaveLength(2);
    expect(ownNetns()).toBe(home);
  },
);

describe("the advice fits", () => {
  test.each([
    [new LoopbackError("accept", ETIMEDOUT), 1, /firewall rule/],
    [new DisturbedError("accept: 3 connections of others came first", ETIMEDOUT), 1, /ss -tnp/],
    [new LoopbackError("socket v4", EACCES), 1, /RestrictAddressFamilies/],
    [new LoopbackError("accept", EMFILE), 3, /^error: enough file descriptors[^]*ulimit -n/],
    [new LoopbackError("accept", ENOBUFS), 1, /no memory[^]*cgroup/],
  ])("%s", (error, code, text) => {
    const failure = loopbackFailure(error);
    expect(formatError(failure, false)).toMatch(text);
    expect(exitCodeOf(failure)).toBe(code);
  });
});
