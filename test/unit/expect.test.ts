/** `--expect`: what it takes and refuses, which events meet it, and what is said when none did. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { expectationsOf, unmetTexts } from "../../src/commands/expect_flags.ts";
import { parseExpectation } from "../../src/commands/expectation.ts";
import { ITEM_SEPARATOR } from "../../src/commands/command.ts";
import type { ConnEvent, Totals } from "../../src/conn/event.ts";
import { UsageError } from "../../src/errors.ts";
import { Expected, meets } from "../../src/filter/expect.ts";
import { boundedPattern } from "../../src/filter/pattern.ts";
import { members } from "../../src/members/table.ts";
import { NO_DETAILS } from "../../src/protocols/hello.ts";
import { stackOf } from "../../src/protocols/stack.ts";

const totals: Totals = {
  bytesSent: 79n,
  bytesReceived: 2n ** 53n + 1n,
  segsOut: 6,
  segsIn: 5,
  rttUs: 28,
  rttVarUs: 8,
  retransmits: null,
  durationNs: 2_545_999n,
};
const close: ConnEvent = {
  kind: "close",
  protocol: "tcp",
  atNs: 0n,
  pid: 637,
  comm: "curl",
  family: 4,
  direction: "outgoing",
  netns: null,
  local: { address: "127.0.0.1", port: 42724 },
  remote: { address: "2001:db8::1", port: 443 },
  totals,
};
const { totals: _, ...withoutTotals } = close;
const connect: ConnEvent = { ...withoutTotals, kind: "connect" };
/** 2023-11-14T22:13:20Z */
const WALL_NS = 1_700_000_000_000_000_000n;

function met(text: string, event: ConnEvent = close): boolean {
  return parseExpectation(text, "t").conditions.every((condition) =>
    meets(condition, event, WALL_NS),
  );
}

describe("a close meets", () => {
  test.each([
    "event==close",
    "event!=connect",
    "event == close , remote.port == 443",
    "event==close,remote.port==443,bytes_sent>0",
    "comm==curl",
    "comm!=wget",
    "comm~^cu",
    "comm~u{1,2}r",
    "comm~x\\x2cy=z|curl",
    "pid==637",
    "pid>=637,pid<=637",
    "pid>636,pid<638",
    "local.address==127.0.0.1",
    "local.address==::ffff:127.0.0.1",
    "remote.address==2001:DB8:0:0::1",
    "remote.address~^2001:",
    "family==4",
    "netns==null",
    "retransmits==null",
    "failure==null",
    "bytes_sent!=null",
    "bytes_received==9007199254740993",
    "bytes_received!=9007199254740992",
    "bytes_received>9007199254740992",
    "duration_us==2545",
    "time~^2023-11-14T22:13:20",
    "packets_sent==null",
    "v==1",
    "nat==null",
    "nat.remote==null",
    "nat.remote.port==null",
    "local.address==127.0.0.0/8",
    "local.address==::ffff:127.0.0.0/104",
    "remote.address==10.0.0.0/8,2001:db8::/32,pid==637",
    "remote.address!=10.0.0.0/8",
    "remote.port==80,443",
    "remote.port==400-500,family==4",
    "remote.port!=80,8000-8100",
  ])("%s", (text) => {
    expect(met(text)).toBe(true);
  });
});

test("the time that a connect took, and the time that an accept let it wait, are compared as numbers", () => {
  const slow: ConnEvent = { ...connect, connectNs: 50_000_999n };
  expect([50_000, 50_001].map((most) => met(`connect_us<${most}`, slow))).toEqual([false, true]);
  expect(met("connect_us<50000", { ...connect, connectNs: null })).toBe(false);
  const accept: ConnEvent = { ...connect, kind: "accept", direction: "incoming", acceptNs: 7_000n };
  expect(["accept_us==7", "accept_us>7"].map((text) => met(text, accept))).toEqual([true, false]);
});

describe("a close does not meet", () => {
  test.each([
    "event==connect",
    "event==close,remote.port==80",
    "comm==cur",
    "comm==CURL",
    "comm~^url",
    "pid!=637",
    "pid>637",
    "pid<637",
    "netns!=4026531833",
    "netns==4026531833",
    "netns>=0",
    "netns!=null",
    "retransmits==0",
    "retransmits<1",
    "bytes_received==9007199254740992",
    "bytes_sent==null",
    "failure!=ECONNRESET",
    "failure~.*",
    "event==close,failure==ECONNRESET",
    "event==open,bytes_sent>0",
    "packets_sent>=0",
    "nat==false",
    "nat==true",
    "nat!=false",
    "nat.remote.port>=0",
    "nat.remote.address!=10.0.0.0/8",
    "local.address!=127.0.0.0/8",
    "remote.address==10.0.0.0/8,fd00::/8",
    "remote.port==80,444-500",
    "remote.port!=1-65535",
  ])("%s", (text) => {
    expect(met(text)).toBe(false);
  });
});

test("what an event does not have meets nothing but null", () => {
  expect(met("bytes_sent==null", connect)).toBe(true);
  for (const text of ["bytes_sent!=null", "bytes_sent>=0", "bytes_sent!=1"])
    expect(met(text, connect)).toBe(false);
});

describe("a translated close", () => {
  const remote = { address: "10.1.2.2", port: 8080 };
  const translated = { ...close, nat: { local: null, remote } };

  test.each([
    "nat==true",
    "nat!=false",
    "nat!=null",
    "nat.local==null",
    "nat.local.port==null",
    "nat.remote==true",
    "nat.remote.port==8080",
    "nat.remote.port==8000-8100",
    "nat.remote.address==10.1.2.2",
    "nat.remote.address==10.1.0.0/16,nat.remote.port!=80",
  ])("meets %s", (text) => {
    expect(met(text, translated)).toBe(true);
  });

  test.each([
    "nat==false",
    "nat==null",
    "nat.local!=null",
    "nat.local.address!=10.0.0.1",
    "nat.remote.port==80",
    "nat.remote.address==10.2.0.0/16",
  ])("does not meet %s", (text) => {
    expect(met(text, translated)).toBe(false);
  });

  test("is no plain one, and a plain one has no translated ends", () => {
    const plain = { ...close, nat: false as const };
    expect(met("nat==false", plain)).toBe(true);
    for (const text of ["nat==null", "nat==true", "nat!=false", "nat.remote!=null"])
      expect(met(text, plain)).toBe(false);
    expect(met("nat.remote==null", plain)).toBe(true);
  });
});

test("a byte that is no UTF-8 is compared as the JSON line shows it", () => {
  expect(met("comm==a\ufffd", { ...close, comm: "a\udc80" })).toBe(true);
});

test("every member can be expected, and numbers are compared as exactly as mathematics does", () => {
  const compare = {
    "==": (a: bigint, b: bigint) => a === b,
    "!=": (a: bigint, b: bigint) => a !== b,
    "<": (a: bigint, b: bigint) => a < b,
    "<=": (a: bigint, b: bigint) => a <= b,
    ">": (a: bigint, b: bigint) => a > b,
    ">=": (a: bigint, b: bigint) => a >= b,
  };
  const near = fc.bigInt({ min: -2n, max: 2n });
  const base = fc.oneof(fc.bigInt({ min: 2n, max: 2n ** 64n - 3n }), fc.constant(2n ** 53n));
  fc.assert(
    fc.property(base, near, fc.constantFrom(...Object.keys(compare)), (a, apart, operator) => {
      const event = { ...close, totals: { ...totals, bytesSent: a } };
      const b = a + apart;
      expect(met(`bytes_sent${operator}${b}`, event)).toBe(
        compare[operator as keyof typeof compare](a, b),
      );
    }),
  );
  for (const { name, of } of members) {
    const value = of(close, WALL_NS) ?? null;
    expect([
      name,
      met(
        `${name}!=null`.replace(/^(v|time|event|protocol|family|direction)!=null/, `$1==${value}`),
      ),
    ]).toEqual([name, value !== null]);
  }
});

describe("refused:", () => {
  test.each<[string, message: RegExp, why: RegExp, suggestion: string | null]>([
    ["close", /"close" is no condition/, /operator/, "event==close,remote.port==443"],
    ["", /"" is no condition/, /operator/, "event==close,remote.port==443"],
    ["==1", /is no condition/, /operator/, "event==close,remote.port==443"],
    ["remote_port==443", /no member "remote_port"/, /they are v, time/, "remote.port==443"],
    [
      "port==443",
      /no member "port"/,
      /local.port, remote.address, remote.port/,
      "remote.port==443",
    ],
    ["bytes>0", /no member "bytes"/, /bytes_sent/, "bytes_sent>0"],
    ["Event==close", /no member "Event"/, /event/, "event==close"],
    ["constructor==1", /no member "constructor"/, /event/, null],
    ["pid=1", /"=" is no operator/, /== != <= >=/, "pid==1"],
    ["comm=~x", /"=~" is no operator/, /~/, "comm~x"],
    ["pid===1", /"===" is no operator/, /==/, "pid==1"],
    ["pid==", /compares pid with nothing/, /value/, null],
    ["pid==curl", /compares pid with "curl"/, /whole number/, "pid==0"],
    ["bytes_sent>1.5", /compares bytes_sent with "1.5"/, /whole number/, "bytes_sent>1"],
    ["bytes_sent>-1", /with "-1"/, /whole number/, "bytes_sent>0"],
    ["bytes_sent>1K", /with "1K"/, /whole number/, "bytes_sent>1"],
    ["bytes_sent>null", /with "null"/, /whole number/, "bytes_sent>0"],
    ["pid~6", /compares pid by ~/, /number: == !=/, "pid==6"],
    ["comm<x", /compares comm by </, /text: == != ~/, "comm==x"],
    ["event==null", /compares event with null/, /known of every event/, null],
    ["event==closed", /compares event with "closed"/, /connect, accept, close/, "event==close"],
    ["family==5", /with "5"/, /one of 4, 6/, "family==4"],
    ["direction!=in", /with "in"/, /incoming/, "direction!=incoming"],
    ["remote.address==localhost", /with "localhost"/, /IPv4 or IPv6/, null],
    ["remote.address==10.0.0.0/33", /with "10.0.0.0\/33"/, /no number from 0 to 32/, null],
    ["remote.address==10.0.0.1,x", /"x" is no network/, /IPv4 or IPv6/, null],
    ["remote.port==80-", /"80-" is no port/, /two with a dash/, null],
    ["remote.port==0,80", /"0" is no port/, /from 1 to 65535/, null],
    ["remote.port>80,90", /with "80,90"/, /whole number/, "remote.port>80"],
    ["nat==plain", /compares nat with "plain"/, /one of false, true/, null],
    ["nat~x", /compares nat by ~/, /an object or none: == !=/, "nat==true"],
    ["nat.remote==false", /with "false"/, /one of true/, null],
    ["event==close&&pid==1", /is no condition/, /comma/, "event==close,pid==1"],
    ["comm==curl and pid==1", /is no condition/, /comma/, "comm==curl,pid==1"],
    [
      "event==connect,bytes_sent>0",
      /can never be met/,
      /connect have no bytes_sent/,
      "event==close,bytes_sent>0",
    ],
    [
      "failure==EPERM,event==accept",
      /can never be met/,
      /accept have no failure/,
      "failure==EPERM,event==fail",
    ],
    ["comm~(", /with a pattern that is refused/, /missing \)|nterminated|invalid/i, null],
    ["comm~(a+)+$", /with a pattern that is refused/, /repeats a group/, null],
  ])("%s", (text, message, why, suggestion) => {
    let refused: unknown;
    try {
      parseExpectation(text, "t go");
    } catch (error) {
      refused = error;
    }
    if (!(refused instanceof UsageError)) throw new Error(`accepted: ${text}`);
    expect(refused.message).toMatch(message);
    expect(refused.why).toMatch(why);
    expect(refused.suggestion).toBe(suggestion === null ? null : `--expect '${suggestion}'`);
    expect(refused.hint).toContain("t go --help");
    // A suggestion must be accepted when it is typed.
    if (suggestion !== null) parseExpectation(suggestion, "t");
  });
});

describe("a pattern", () => {
  test.each([
    "^curl$",
    "a*b+c?.{2,3}",
    "(a|b)?c",
    "\\(a\\)+",
    "[)]+[*+]",
    "\\d+\\.\\d+",
    "\\u{1F600}",
  ])("%s is taken", (text) => {
    expect(boundedPattern(text)).toBeInstanceOf(RegExp);
  });

  test.each([
    ["a".repeat(101), /longer than 100/],
    ["(a|b)*", /repeats a group/],
    ["(a{2}){9}", /repeats a group/],
    ["(?:a)+", /repeats a group/],
    ["a*a*a*a*", /more than 3/],
    ["a{1,9}b{1,9}c{1,9}d{1,9}", /more than 3/],
    ["(a)\\1", /refers back/],
    ["(?<n>a)\\k<n>", /refers back/],
    ["[", /./],
    ["*", /./],
    ["\\", /./],
  ])("%s is refused", (text, why) => {
    expect(boundedPattern(text)).toMatch(why);
  });

  test("of any text is taken or refused with a reason", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const pattern = boundedPattern(text);
        expect(pattern instanceof RegExp || pattern.length > 0).toBe(true);
      }),
    );
  });
});

describe("the flags together", () => {
  const both = (...texts: string[]) => texts.join(ITEM_SEPARATOR);
  const refusal = (args: Parameters<typeof expectationsOf>[0]): UsageError => {
    try {
      expectationsOf(args, "t");
    } catch (error) {
      if (error instanceof UsageError) return error;
    }
    throw new Error("accepted");
  };

  test("nothing is expected unless asked", () => {
    expect(expectationsOf({}, "t")).toBeNull();
    expect(expectationsOf({ duration: "3s" }, "t")).toBeNull();
  });

  test("the time is --within, else --duration, else 10 s", () => {
    const within = (args: object) => expectationsOf({ expect: "pid==1", ...args }, "t")?.withinMs;
    expect(within({})).toBe(10_000);
    expect(within({ duration: "3s" })).toBe(3_000);
    expect(within({ within: "4s" })).toBe(4_000);
    expect(within({ within: "4s", duration: "4000ms" })).toBe(4_000);
  });

  test("each has its conditions", () => {
    const wish = expectationsOf({ expect: both("pid==1,comm==a", "event==fail") }, "t");
    expect(wish?.expectations.map(({ text, conditions }) => [text, conditions.length])).toEqual([
      ["pid==1,comm==a", 2],
      ["event==fail", 1],
    ]);
  });

  test("times that contradict, mean nothing or are none are refused", () => {
    expect(refusal({ expect: "pid==1", within: "4s", duration: "3s" }).message).toBe(
      "--within 4s and --duration 3s contradict each other",
    );
    const alone = refusal({ within: "4s" });
    expect(alone.message).toBe("flag --within means nothing without --expect");
    expect(alone.suggestion).toBe("--duration 4s");
    expect(refusal({ expect: "pid==1", within: "x" }).message).toMatch(/--within: "x"/);
    expect(refusal({ expect: both("pid==1", "pit==2") }).message).toMatch(/no member "pit"/);
  });
});

describe("watching", () => {
  const watch = (...texts: string[]) =>
    new Expected(texts.map((text) => parseExpectation(text, "t")));
  const to = (port: number, kind: ConnEvent["kind"] = "close"): ConnEvent => ({
    ...close,
    kind,
    remote: { ...close.remote, port },
  });

  test("is over when each expectation was met, by whichever event", () => {
    const expected = watch("event==connect,remote.port==80", "event==close", "comm==curl");
    expect(expected.met).toBe(false);
    expected.see(to(80), WALL_NS);
    expect(expected.unmet.map(({ expectation }) => expectation.text)).toEqual([
      "event==connect,remote.port==80",
    ]);
    expected.see(to(443, "connect"), WALL_NS);
    expect(expected.met).toBe(false);
    expected.see(to(80, "connect"), WALL_NS);
    expect(expected.met).toBe(true);
    expect(unmetTexts(expected, 1, null)).toEqual([]);
  });

  test("says how many events there were, what came closest, and what was lost", () => {
    const expected = watch(
      "event==close,remote.port==443,bytes_sent>0",
      "comm==wget",
      "pid==1,netns==2",
    );
    for (const port of [80, 22, 80]) expected.see(to(port), WALL_NS);
    for (const port of [443, 444])
      expected.see({ ...connect, remote: { ...close.remote, port } }, WALL_NS);
    expect(unmetTexts(expected, 5_040, "3 events: ring full")).toEqual([
      "error: none of 5 events in 5.0 s met: event==close,remote.port==443,bytes_sent>0\n" +
        "  closest: 3 with 2 of 3 conditions, but remote.port 80, remote.port 22\n" +
        "  it may be among what was lost: 3 events: ring full\n",
      "error: none of 5 events in 5.0 s met: comm==wget\n" +
        "  seen instead: comm curl\n" +
        "  it may be among what was lost: 3 events: ring full\n",
      "error: none of 5 events in 5.0 s met: pid==1,netns==2\n" +
        "  it may be among what was lost: 3 events: ring full\n",
    ]);
    expect(unmetTexts(watch("pid==1"), 100, null)).toEqual([
      "error: none of 0 events in 0.1 s met: pid==1\n",
    ]);
  });

  test("an event that comes closer takes the place of those before it", () => {
    const expected = watch("event==close,remote.port==443,pid==1");
    expected.see(to(80), WALL_NS);
    expected.see(to(443), WALL_NS);
    expected.see(to(81), WALL_NS);
    expect(unmetTexts(expected, 0, null)[0]).toContain(
      "closest: 1 with 2 of 3 conditions, but pid 637\n",
    );
  });

  test("names from other processes are escaped, and few of many are said", () => {
    const expected = watch("comm==x");
    for (let n = 0; n < 100; n++)
      expected.see({ ...close, comm: n === 0 ? "\u001b[31m\n" : `n${n}` }, WALL_NS);
    expected.see({ ...close, comm: null }, WALL_NS);
    expect(unmetTexts(expected, 0, null)[0]).toContain(
      "seen instead: comm \\x1b[31m\\x0a, comm n1, comm n2, comm n3, comm n4\n",
    );
  });
});

describe("a close of PostgreSQL within TLS", () => {
  const secure = {
    ...close,
    application: stackOf(null, "postgres", "tls"),
    tls: { ...NO_DETAILS, serverName: "db.example.com" },
  };

  test.each([
    ["application==postgres", true],
    ["application!=redis", true],
    ["application!=null", true],
    ["application.encryption==tls", true],
    ["application.api==null", true],
    ["tls.server_name~example", true],
    ["tls==true", true],
    ["tls.version==null", true],
    ["application==tls", false],
    ["application==null", false],
    ["application.application==mysql", false],
    ["tls.server_name==example.com", false],
  ])("%s: %p", (text, expected) => {
    expect(met(text, secure)).toBe(expected);
  });

  test("is not met where nothing is known", () => {
    for (const text of ["application==postgres", "application!=postgres", "tls==true"])
      expect(met(text)).toBe(false);
    expect(met("application==null")).toBe(true);
  });

  test("names are those of the table", () => {
    expect(() => parseExpectation("application==postgresql", "t")).toThrow(
      /compares application with "postgresql"/,
    );
  });
});
