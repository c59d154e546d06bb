import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { ConnEvent } from "../../src/conn/event.ts";
import { escapeText, jsonString } from "../../src/output/escape.ts";
import { formatOf, formats as plain } from "../../src/output/index.ts";
import type { TextOptions } from "../../src/output/text.ts";
import { Lines } from "../../src/output/lines.ts";
import { createWriter, type WriteSome } from "../../src/output/writer.ts";
import { readComm, readText } from "../../src/record/comm.ts";
import { anyText, fc, runs } from "./drive/random.ts";
import { NO_DETAILS } from "../../src/protocols/hello.ts";
import { stackOf } from "../../src/protocols/stack.ts";

const table = (options: Partial<TextOptions>) => formatOf("table", options);
const formats = { ...plain, text: table({ wide: true }), narrow: plain.table };

const wallNs = 1_795_372_801_123_456_789n;

const id = "0123456789abcdef".repeat(4);

const opened: ConnEvent = {
  kind: "connect",
  id: "0123456789abcdef0123",
  protocol: "tcp",
  atNs: 0n,
  pid: 123,
  comm: "curl",
  uid: 1000,
  cgroup: `/system.slice/docker-${id}.scope`,
  container: id,
  family: 4,
  direction: "outgoing",
  netns: 4026531840,
  local: { address: "127.0.0.1", port: 40000 },
  remote: { address: "127.0.0.1", port: 80 },
};

const closed: ConnEvent = {
  ...opened,
  kind: "close",
  totals: {
    bytesSent: 5n * 2n ** 30n,
    bytesReceived: 2n ** 64n - 1n,
    segsOut: 1,
    segsIn: 2,
    rttUs: 45,
    rttVarUs: 3,
    retransmits: 0,
    durationNs: 1_234_567_891n,
  },
};

const failed: ConnEvent = {
  ...opened,
  kind: "fail",
  failure: 111,
};

const zoned: ConnEvent = {
  ...opened,
  family: 6,
  interface: "eth0",
  local: { address: "fe80::a", port: 1 },
  remote: { address: "fe80::b", port: 2 },
};

const allUnknown: ConnEvent = {
  ...opened,
  kind: "close",
  id: null,
  pid: null,
  comm: null,
  uid: null,
  cgroup: null,
  container: null,
  netns: null,
  direction: "unknown",
  totals: {
    bytesSent: null,
    bytesReceived: null,
    segsOut: null,
    segsIn: null,
    rttUs: null,
    rttVarUs: null,
    retransmits: null,
    durationNs: null,
  },
};

const withComm = (comm: string | null): ConnEvent => ({ ...opened, comm });

/** Characters that could move a cursor, break a line or turn the reading direction. */
const dangerous = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe("JSON", () => {
  test("a connect is exactly the promised object", () => {
    expect(formats.json.line(opened, wallNs)).toBe(
      '{"v":1,"time":"2026-11-22T18:40:01.123456Z","id":"0123456789abcdef0123","event":"connect","protocol":"tcp","application":null,"protocol_source":null,"tls":null,"pid":123,"comm":"curl",' +
        `"uid":1000,"cgroup":"/system.slice/docker-${id}.scope","container":"${id}","family":4,` +
        '"direction":"outgoing","netns":4026531840,"local":{"address":"127.0.0.1","port":40000},' +
        '"remote":{"address":"127.0.0.1","port":80},"nat":null,"connect_us":null}',
    );
  });

  test("a translation has the ends that differ; false is known to be none", () => {
    const local = { address: "192.0.2.1", port: 30080 };
    const remote = { address: "2001:db8::1", port: 8080 };
    const line = (nat: NonNullable<ConnEvent["nat"]>) =>
      formats.json.line({ ...opened, nat }, wallNs);
    expect(line(false)).toEndWith('"port":80},"nat":false,"connect_us":null}');
    expect(line({ local: null, remote })).toEndWith(
      '"port":80},"nat":{"local":null,"remote":{"address":"2001:db8::1","port":8080}},"connect_us":null}',
    );
    expect(line({ local, remote: null })).toEndWith(
      '"port":80},"nat":{"local":{"address":"192.0.2.1","port":30080},"remote":null},"connect_us":null}',
    );
    const both = { ...closed, nat: { local, remote } };
    expect(JSON.parse(formats.json.line(both, wallNs))).toMatchObject({ nat: { local, remote } });
    expect(formats.json.line(both, wallNs)).toContain('"port":8080}},"bytes_sent":');
  });

  test("a close carries its totals, 64 bits wide to the last digit", () => {
    expect(formats.json.line(closed, wallNs)).toEndWith(
      ',"bytes_sent":5368709120,"bytes_received":18446744073709551615,"segs_out":1,"segs_in":2,' +
        '"rtt_us":45,"rtt_var_us":3,"retransmits":0,"duration_us":1234567}',
    );
  });

  test("a fail names its errno, a close only when it has one; a number without a name stays one", () => {
    expect(formats.json.line(failed, wallNs)).toEndWith(
      ',"nat":null,"connect_us":null,"failure":"ECONNREFUSED"}',
    );
    expect(formats.json.line({ ...failed, failure: null }, wallNs)).toEndWith(',"failure":null}');
    expect(formats.json.line({ ...failed, failure: 512 }, wallNs)).toEndWith(',"failure":"512"}');
    expect(formats.json.line({ ...closed, failure: 104 }, wallNs)).toContain(
      ',"nat":null,"failure":"ECONNRESET","bytes_sent":',
    );
    expect(formats.json.line(closed, wallNs)).not.toContain("failure");
  });

  test("a connect and a fail have the time that they took, in whole microseconds", () => {
    for (const one of [opened, failed])
      expect(
        JSON.parse(formats.json.line({ ...one, connectNs: 1_234_999n }, wallNs)),
      ).toHaveProperty("connect_us", 1234);
    for (const format of [formats.text, table({ wide: true })]) {
      expect(format.line({ ...opened, connectNs: 1_234_999n }, wallNs)).toEndWith("   1.234ms");
      expect(format.line({ ...failed, connectNs: null }, wallNs)).toEndWith(
        "         - ECONNREFUSED",
      );
    }
    expect(formats.json.line({ ...opened, kind: "accept" }, wallNs)).not.toContain("connect_us");
    expect(formats.json.line({ ...opened, protocol: "udp" }, wallNs)).not.toContain("connect_us");
  });

  test("an accept has the time that it waited, in microseconds", () => {
    const accepted: ConnEvent = { ...opened, kind: "accept", acceptNs: 1_234_999n };
    expect(JSON.parse(formats.json.line(accepted, wallNs))).toHaveProperty("accept_us", 1234);
    expect(formats.text.line(accepted, wallNs)).toEndWith("   1.234ms");
    const unknown = { ...accepted, acceptNs: null };
    expect(JSON.parse(formats.json.line(unknown, wallNs))).toHaveProperty("accept_us", null);
    expect(formats.text.line(unknown, wallNs)).toEndWith("         -");
    expect(formats.json.line(opened, wallNs)).not.toContain("accept_us");
  });

  test("an end that was never chosen is null", () => {
    const line = (local: ConnEvent["local"]) =>
      JSON.parse(formats.json.line({ ...failed, local }, wallNs)).local;
    expect(line({ address: "0.0.0.0", port: 0 })).toEqual({ address: null, port: null });
    expect(line({ address: "::", port: 1234 })).toEqual({ address: null, port: 1234 });
  });

  test("a UDP close has datagrams where a TCP one has segments", () => {
    expect(formats.json.line({ ...closed, protocol: "udp" }, wallNs)).toEndWith(
      ',"bytes_received":18446744073709551615,"packets_sent":1,"packets_received":2,"duration_us":1234567}',
    );
  });

  test("what is unknown is null", () => {
    const {
      time: _,
      local: _l,
      remote: _r,
      ...rest
    } = JSON.parse(formats.json.line(allUnknown, wallNs));
    expect(rest).toEqual({
      v: 1,
      event: "close",
      id: null,
      protocol: "tcp",
      pid: null,
      comm: null,
      uid: null,
      cgroup: null,
      container: null,
      family: 4,
      direction: "unknown",
      netns: null,
      nat: null,
      application: null,
      protocol_source: null,
      tls: null,
      bytes_sent: null,
      bytes_received: null,
      segs_out: null,
      segs_in: null,
      rtt_us: null,
      rtt_var_us: null,
      retransmits: null,
      duration_us: null,
    });
  });

  test("any well-formed command name is read back as it was, through safe bytes only", () => {
    fc.assert(
      fc.property(anyText(), (comm) => {
        const line = formats.json.line(withComm(comm), wallNs);
        expect(line).not.toMatch(dangerous);
        expect(JSON.parse(line).comm).toBe(comm);
      }),
    );
  });

  test("a byte that is no UTF-8 becomes U+FFFD", () => {
    expect(jsonString(readComm(Uint8Array.of(97, 0xff, 0)))).toBe('"a\ufffd"');
  });
});

test("JSON has names beside the numbers, only where they were asked for", () => {
  const remote = { ...opened.remote, name: 'a"\n.example' };
  const named = formats.json.line({ ...opened, remote, user: null }, wallNs);
  expect(named).not.toMatch(dangerous);
  expect(JSON.parse(named)).toMatchObject({ uid: 1000, user: null, remote });
  expect(JSON.parse(formats.json.line(opened, wallNs))).not.toHaveProperty("user");
});

describe("CSV", () => {
  const cells = (line: string): string[] =>
    [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(([, quoted, plain]) =>
      quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'),
    );
  const names = formats.csv.header.split(",");
  const row = (event: ConnEvent) =>
    Object.fromEntries(cells(formats.csv.line(event, wallNs)).map((cell, i) => [names[i], cell]));

  test("every line has the header's columns: those of JSON, empty where unknown or absent", () => {
    expect(row(opened)).toMatchObject({ event: "connect", local_port: "40000", bytes_sent: "" });
    expect(row(closed)).toMatchObject({ bytes_received: "18446744073709551615", failure: "" });
    expect(row(allUnknown)).toMatchObject({ pid: "", comm: "", direction: "unknown" });
    for (const event of [opened, closed, allUnknown])
      expect(Object.keys(row(event))).toEqual(names);
    expect(row({ ...opened, kind: "fail", failure: 111 })["failure"]).toBe("ECONNREFUSED");
  });

  test("tells a translation that is not known from one that is not there", () => {
    const remote = { address: "10.1.2.2", port: 8080 };
    const none = { nat_local_address: "", nat_remote_address: "", nat_remote_port: "" };
    expect(row(opened)).toMatchObject({ ...none, nat: "" });
    expect(row({ ...opened, nat: false })).toMatchObject({ ...none, nat: "false" });
    expect(row({ ...opened, nat: { local: null, remote } })).toMatchObject({
      ...none,
      ...{ nat: "true", nat_remote_address: "10.1.2.2", nat_remote_port: "8080" },
    });
    expect(names.filter((name) => name.startsWith("nat"))).toEqual(
      ["", "_local_address", "_local_port", "_remote_address", "_remote_port"].map(
        (end) => `nat${end}`,
      ),
    );
  });

  test.each([
    ["plain", "plain"],
    ['say "a,b"', 'say "a,b"'],
    ["a\nb\r", "a\\x0ab\\x0d"],
    ["\x1b[2J", "\\x1b[2J"],
    ["=1+1", "'=1+1"],
    ["+1", "'+1"],
    ["-bash", "'-bash"],
    ["@SUM(1)", "'@SUM(1)"],
    [" =1", "' =1"],
    ["\uff1d1", "'\uff1d1"],
    ["'=1", "''=1"],
    ["'", "''"],
    ["\t=1", "\\x09=1"],
    ["a;=1", "a\\x3b=1"],
    ["a; =1;b", "a\\x3b =1;b"],
    ["a-b=c", "a-b=c"],
  ])("the command name %j is read back as %j", (comm, read) => {
    expect(row(withComm(comm))["comm"]).toBe(read);
  });

  test("no command name breaks a record", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 16 }), (bytes) => {
        const comm = readComm(bytes);
        expect(formats.csv.line(withComm(comm), wallNs)).not.toMatch(dangerous);
        const { comm: cell, remote_port } = row(withComm(comm));
        expect(remote_port).toBe("80");
        expect(cell).not.toMatch(/(^|;) *[=+\-@\uff1d\uff0b\uff0d\uff20]/);
        // The added characters can be taken away.
        expect(cell!.replace(/^'/, "").replaceAll("\\x3b", ";")).toBe(escapeText(comm));
      }),
    );
  });
});

describe("the table of 80 columns", () => {
  const small = { ...closed.totals!, bytesSent: 1n, bytesReceived: 1_299_900n };
  const lines = (...events: ConnEvent[]) =>
    events.map((event) => formats.narrow.line(event, wallNs));

  test("says what happened, between which ports, how much and how long, or why not", () => {
    const close = { ...closed, totals: small };
    expect([
      formats.narrow.header,
      ...lines(
        opened,
        { ...close, direction: "incoming" },
        { ...close, failure: 104 },
        failed,
        { ...failed, failure: null, local: { address: "0.0.0.0", port: 0 } },
        { ...closed, protocol: "udp" },
        { ...failed, protocol: "udp" },
        zoned,
        allUnknown,
      ),
    ]).toEqual([
      "KIND    PRO     PID COMM        LPORT -> REMOTE                SENT RECV DUR|ERR",
      "connect tcp     123 curl        40000 -> 127.0.0.1:80",
      "close   tcp     123 curl        40000 <- 127.0.0.1:80             1 1.2M   1.23s",
      "close   tcp     123 curl        40000 -> 127.0.0.1:80             1 1.2M   reset",
      "fail    tcp     123 curl        40000 -> 127.0.0.1:80                    refused",
      "fail    tcp     123 curl            - -> 127.0.0.1:80                          -",
      "close   udp     123 curl        40000 -> 127.0.0.1:80          5.0G  16E   1.23s",
      "fail    udp     123 curl        40000 -> 127.0.0.1:80                    refused",
      "connect tcp     123 curl            1 -> [fe80::b%eth0]:2",
      "close   tcp       - -           40000 -- 127.0.0.1:80             -    -       -",
    ]);
  });

  test("a process of a service of systemd has its name where it is in no container", () => {
    const cgroup = "/system.slice/nginx.service/workers";
    const line = (event: Partial<ConnEvent>) => formats.text.line({ ...opened, ...event }, wallNs);
    expect(line({ container: null, cgroup })).toContain("curl            nginx ");
    expect(line({ container: null, cgroup: "/user.slice/a.scope" })).toContain(
      "curl            - ",
    );
    expect(line({ cgroup })).toContain("curl            0123456789ab ");
    expect(JSON.parse(formats.json.line({ ...opened, cgroup }, wallNs)).unit).toBe("nginx.service");
    expect(JSON.parse(formats.json.line(opened, wallNs))).not.toHaveProperty("unit");
  });

  test("a line of a link-local address has its interface, in whatever way it is written", () => {
    const written = new Lines();
    plain.table.append!(written, zoned, { monoNs: 0n, wallNs });
    expect(Buffer.from(written.take().bytes).toString()).toContain("[fe80::b%eth0]:2");
    expect(lines({ ...zoned, interface: "a\u001bb" })[0]).toContain("%a\\x1bb]");
    expect(lines({ ...zoned, remote: { address: "fd00::1", port: 2 } })[0]).toContain(
      "[fd00::1]:2",
    );
  });

  test("no IPv4 event is wider than 80 columns, whatever its numbers", () => {
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const year = 365n * 86_400n * 1_000_000_000n;
    fc.assert(
      fc.property(
        fc.nat(4_194_304),
        fc.uint8Array({ maxLength: 15 }),
        fc.ipV4(),
        fc.nat(65535),
        u64,
        fc.bigInt({ min: 0n, max: year }),
        fc.constantFrom(undefined, null, 104, 110, 111, 113, 101, 125),
        (pid, comm, address, port, bytes, durationNs, failure) => {
          const end = { address, port };
          const totals = { ...small, bytesSent: bytes, bytesReceived: bytes, durationNs };
          const [line = ""] = lines({
            ...closed,
            pid,
            comm: readComm(comm),
            local: end,
            remote: end,
            totals,
            ...(failure === undefined ? {} : { failure }),
          });
          expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
          expect(line).not.toMatch(dangerous);
        },
      ),
    );
  });

  test("a long IPv6 address is never cut", () => {
    const remote = { address: "2001:db8:1111:2222:3333:4444:5555:6666", port: 65535 };
    expect(lines({ ...opened, remote })[0]).toEndWith(
      " -> [2001:db8:1111:2222:3333:4444:5555:6666]:65535",
    );
  });

  test("the real remote end stands in brackets where there is room, else is told of", () => {
    const remote = { address: "10.96.0.1", port: 80 };
    const nat = { local: null, remote: { address: "10.1.2.2", port: 8080 } };
    const both = { ...nat, local: { address: "192.0.2.1", port: 30080 } };
    const long = { ...nat, remote: { address: "2001:db8:1111:2222::1", port: 8080 } };
    const event = { ...opened, remote, nat };
    const close = { ...closed, remote, nat, totals: small };
    const start = "tcp     123 curl        40000 -> 10.96.0.1:80";
    expect(
      lines(
        event,
        { ...event, nat: both },
        { ...event, nat: { ...both, remote: null } },
        { ...event, nat: long },
        { ...event, nat: false },
        { ...event, nat: null },
        close,
        { ...close, remote: { address: "1.1.1.1", port: 1 } },
      ),
    ).toEqual([
      `connect ${start} (10.1.2.2:8080)`,
      `connect ${start} (10.1.2.2:8080)`,
      `connect ${start} (+)`,
      `connect ${start} (+)`,
      `connect ${start}`,
      `connect ${start}`,
      `close   ${start} (+)         1 1.2M   1.23s`,
      "close   tcp     123 curl        40000 -> 1.1.1.1:1 (10.1.2.2:8080) 1 1.2M  1.23s",
    ]);
    const args = table({ args: true }).line({ ...event, args: "curl -s" }, wallNs);
    expect(args).toBe(`connect ${start} (10.1.2.2:8080)            curl -s`);
  });

  test("no line with a translated IPv4 end is wider than 80 columns, nor without a sign of it", () => {
    const v4 = fc.record({ address: fc.ipV4(), port: fc.integer({ min: 1, max: 65535 }) });
    fc.assert(
      fc.property(v4, v4, fc.boolean(), (remote, real, over) => {
        const nat = { local: null, remote: real };
        const [line = ""] = lines({ ...(over ? closed : opened), remote, nat });
        expect(line).toMatch(/ \((\+|[\d.]+:\d+)\)/);
        const plain = lines({ ...(over ? closed : opened), remote })[0]!;
        if (!line.includes("(+)")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
        else expect(Bun.stringWidth(line)).toBeLessThanOrEqual(Bun.stringWidth(plain) + 4);
      }),
    );
  });

  test("on a narrower terminal the least important columns are left out, and lines are cut to it", () => {
    const at = (terminalColumns: number) => {
      const cut = table({ terminalColumns });
      return [
        cut.header!,
        cut.line({ ...closed, totals: small }, wallNs),
        cut.line(failed, wallNs),
      ];
    };
    expect(at(79)).toEqual([
      "KIND        PID COMM        LPORT -> REMOTE                SENT RECV DUR|ERR",
      "close       123 curl        40000 -> 127.0.0.1:80             1 1.2M   1.23s",
      "fail        123 curl        40000 -> 127.0.0.1:80                    refused",
    ]);
    expect(at(60)).toEqual([
      "KIND        PID COMM        -> REMOTE                DUR|ERR",
      "close       123 curl        -> 127.0.0.1:80            1.23s",
      "fail        123 curl        -> 127.0.0.1:80          refused",
    ]);
    expect(at(40)).toEqual([
      "KIND    REMOTE                DUR|ERR",
      "close   127.0.0.1:80            1.23s",
      "fail    127.0.0.1:80          refused",
    ]);
    expect(at(20)).toEqual(["KIND    REMOTE", "close   127.0.0.1:80", "fail    127.0.0.1:80"]);
  });

  test("no line is wider than a narrow terminal, in whatever way it is written", () => {
    const end = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.nat(65535) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 79 }),
        end,
        fc.uint8Array({ maxLength: 15 }),
        fc.boolean(),
        (terminalColumns, remote, comm, args) => {
          const cut = table({ terminalColumns, args, time: true, uid: true });
          const event = {
            ...closed,
            totals: small,
            remote,
            comm: readComm(comm),
            args: "a \u6f22",
          };
          expect(Bun.stringWidth(cut.header!)).toBeLessThanOrEqual(terminalColumns);
          expect(Bun.stringWidth(cut.line(event, wallNs))).toBeLessThanOrEqual(terminalColumns);
          const written = new Lines();
          const clocks = { monoNs: 0n, wallNs };
          for (let n = 0; n < 3; n++) cut.append!(written, event, clocks);
          const line = cut.line(event, wallNs);
          expect(Buffer.from(written.take().bytes).toString()).toBe(`${line}\n`.repeat(3));
        },
      ),
      runs(300),
    );
  });

  test("names stand in place of numbers, escaped, and none where there is none", () => {
    const remote = { address: "192.0.2.7", port: 443, name: "a\x1b.example" };
    const owned = table({ uid: true });
    const named = owned.line({ ...opened, remote, user: "www-data" }, wallNs);
    expect(named).toStartWith("connect tcp     123 www-data curl ");
    expect(named).toEndWith("-> a\\x1b.example:443");
    const bare = owned.line({ ...opened, remote: { ...remote, name: null }, user: null }, wallNs);
    expect(bare).toEndWith("-> 192.0.2.7:443");
    expect(bare).toStartWith("connect tcp     123   1000 curl ");
  });

  test("-t and -T put their columns in front, in header and lines alike", () => {
    const both = table({ sinceNs: 1_000_000n, time: true });
    const late = { ...opened, atNs: 12_345_679_000n };
    expect(both.header).toStartWith("    TIME(s) TIME         KIND ");
    expect(both.line(late, wallNs)).toMatch(/^ {2}12\.344679 \d\d:40:01\.123 connect /);
    expect(both.line(opened, wallNs)).toStartWith("  -0.001000 ");
    expect(table({ wide: true, time: true }).header).toBe(formats.text.header!);
  });

  test("-U puts the user id behind the process id; the wide table has it anyway", () => {
    const owned = table({ uid: true });
    expect(owned.header).toStartWith("KIND    PRO     PID    UID COMM ");
    expect(owned.line(opened, wallNs)).toStartWith("connect tcp     123   1000 curl ");
    expect(owned.line({ ...opened, uid: 0 }, wallNs)).toStartWith("connect tcp     123      0 ");
    expect(owned.line(allUnknown, wallNs)).toStartWith("close   tcp       -      - - ");
    expect(table({ wide: true, uid: true }).header).toBe(formats.text.header!);
  });

  test("--args adds a last column, escaped", () => {
    const args = table({ args: true });
    expect(args.header).toEndWith("DUR|ERR ARGS");
    const at = args.header!.indexOf("ARGS");
    expect(args.line({ ...opened, args: "curl -H \x1b[2J a" }, wallNs).slice(at)).toBe(
      "curl -H \\x1b[2J a",
    );
    expect(args.line({ ...closed, args: null }, wallNs).slice(at)).toBe("-");
  });

  test("colors: the header bold, a failure red, nothing else, and the text is the same", () => {
    const colored = table({ color: true });
    for (const [painted, plain] of [
      [colored.header!, formats.narrow.header!],
      [colored.line(failed, wallNs), lines(failed)[0]!],
    ] as const) {
      expect(painted).not.toBe(plain);
      expect(Bun.stripANSI(painted)).toBe(plain);
    }
    expect(colored.line(opened, wallNs)).toBe(lines(opened)[0]!);
  });
});

describe("text", () => {
  const small: ConnEvent = {
    ...closed,
    totals: { ...closed.totals!, bytesSent: 1n, bytesReceived: 2n },
  };

  test("header, open, close and fail stand in the same columns", () => {
    const lines = [
      formats.text.header!,
      formats.text.line(opened, wallNs),
      formats.text.line(closed, wallNs),
      formats.text.line(failed, wallNs),
      formats.text.line({ ...small, failure: 104 }, wallNs),
      formats.text.line({ ...failed, failure: null }, wallNs),
    ];
    expect(lines.map((line) => line.slice(13))).toEqual([
      "KIND    PROTO     PID    UID COMM            CONTAINER    LOCAL                 REMOTE                APP       NAT                   DIR      NETNS      WAIT       SENT       RECV       RTT RETRANS  DURATION FAILURE",
      "connect tcp       123   1000 curl            0123456789ab 127.0.0.1:40000       127.0.0.1:80          -         -                     out 4026531840         -",
      "close   tcp       123   1000 curl            0123456789ab 127.0.0.1:40000       127.0.0.1:80          -         -                     out 4026531840           5368709120 18446744073709551615 0.045ms 0  1.234s",
      "fail    tcp       123   1000 curl            0123456789ab 127.0.0.1:40000       127.0.0.1:80          -         -                     out 4026531840         - ECONNREFUSED",
      "close   tcp       123   1000 curl            0123456789ab 127.0.0.1:40000       127.0.0.1:80          -         -                     out 4026531840                    1          2   0.045ms       0    1.234s ECONNRESET",
      "fail    tcp       123   1000 curl            0123456789ab 127.0.0.1:40000       127.0.0.1:80          -         -                     out 4026531840         -          -",
    ]);
  });

  test.each([
    ["0.0.0.0", 0, "-"],
    ["0.0.0.0", 1234, "-:1234"],
    ["::1", 0, "[::1]:-"],
  ])("of the end %s %d what was never chosen is a dash", (address, port, shown) => {
    expect(formats.text.line({ ...failed, local: { address, port } }, wallNs)).toContain(
      ` ${shown} `,
    );
  });

  test("an open with the longest IPv4 endpoints is between 80 and 171 columns wide", () => {
    const end = { address: "255.255.255.255", port: 65535 };
    const { length } = formats.text.line(
      { ...withComm("x".repeat(15)), local: end, remote: end },
      wallNs,
    );
    expect(length).toBeGreaterThanOrEqual(80);
    expect(length).toBeLessThanOrEqual(171);
  });

  test("the ends that are translated have a column, in which none is not unknown", () => {
    const at = formats.text.header!.indexOf("NAT");
    const cell = (nat: NonNullable<ConnEvent["nat"]> | null) =>
      formats.text
        .line({ ...opened, nat }, wallNs)
        .slice(at)
        .replace(/ out +4026531840.*/, "")
        .trim();
    const local = { address: "192.0.2.1", port: 30080 };
    const remote = { address: "2001:db8::1", port: 8080 };
    expect(cell(null)).toBe("-");
    expect(cell(false)).toBe("no");
    expect(cell({ local: null, remote })).toBe("remote [2001:db8::1]:8080");
    expect(cell({ local, remote: null })).toBe("local 192.0.2.1:30080");
    expect(cell({ local, remote })).toBe("local 192.0.2.1:30080 remote [2001:db8::1]:8080");
  });

  test("the highest protocol has a column, with the name of the server", () => {
    const at = formats.text.header!.indexOf("APP");
    const cell = (of: Partial<ConnEvent>) => {
      const line = formats.text.line({ ...opened, ...of }, wallNs);
      return line.slice(at, line.indexOf(" out ")).trim().replace(/ +-$/, "");
    };
    const [tls, grpc] = [stackOf(null, null, "tls"), stackOf("grpc", "http2", null)];
    expect(cell({ application: grpc })).toBe("grpc");
    expect(cell({ application: tls, tls: null })).toBe("tls");
    const named = { ...NO_DETAILS, serverName: "a.example.com\x1b[2J" };
    expect(cell({ application: tls, tls: named })).toBe("tls a.example.com\\x1b[2J");
    expect(cell({ application: null })).toBe("-");
  });

  test("what is unknown is a dash in its column", () => {
    expect(formats.text.line(allUnknown, wallNs).trim().split(/ +/).slice(3)).toEqual([
      ...["-", "-", "-", "-"],
      "127.0.0.1:40000",
      "127.0.0.1:80",
      "-",
      "-",
      "-",
      ...["-", "-", "-", "-", "-", "-"],
    ]);
  });

  test("after a long IPv6 endpoint the next columns find their place again", () => {
    const line = formats.text.line(
      { ...opened, local: { address: "2001:db8::1:2", port: 40000 } },
      wallNs,
    );
    expect(line).toContain("[2001:db8::1:2]:40000 127.0.0.1:80");
    const longer = formats.text.line(
      { ...opened, local: { address: "2001:db8::1:2:3", port: 40000 } },
      wallNs,
    );
    expect(longer.indexOf(" out ")).toBe(formats.text.line(opened, wallNs).indexOf(" out "));
  });

  test.each([
    ["\x1b[2Jroot", "\\x1b[2Jroot"],
    ["a\nb", "a\\x0ab"],
    ["a\r\tb\0\x7f", "a\\x0d\\x09b\\x00+"],
    ["\x9b31m", "\\x9b31m"],
    ["\u202egpj.exe", "\\u{202e}gpj.exe"],
    ["a\u2028b\ufeff", "a\\u{2028}b+"],
    ["back\\slash", "back\\\\slash"],
    ["日本語", "日本語"],
  ])("the command name %j is shown as %s", (comm, shown) => {
    expect(formats.text.line(withComm(comm), wallNs)).toContain(` ${shown} `);
  });

  test("no command name breaks the line or leaves its column", () => {
    const at = formats.text.line(opened, wallNs).indexOf("127.0.0.1");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 16 }), (bytes) => {
        const line = formats.text.line(withComm(readComm(bytes)), wallNs);
        expect(line).not.toMatch(dangerous);
        expect(Bun.stringWidth(line.slice(0, line.indexOf(" 127.0.0.1")))).toBeLessThan(at);
      }),
    );
  });

  test.each([
    ["web", "web"],
    ["web\x1b[2J", "web\\x1b[2J"],
    ["a-very-long-name", "a-very-long+"],
    [null, "-"],
  ])("the container %j is shown as %s", (container, shown) => {
    const at = formats.text.header!.indexOf("CONTAINER");
    expect(formats.text.line({ ...opened, container }, wallNs).slice(at)).toStartWith(`${shown} `);
  });

  test("no control group breaks a line, in any format", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const name = readText(bytes);
        const event = { ...opened, cgroup: `/${name}`, container: name };
        for (const format of Object.values(formats))
          expect(format.line(event, wallNs)).not.toMatch(dangerous);
      }),
    );
  });

  test("an empty command name is unknown", () => {
    expect(formats.text.line(withComm(""), wallNs)).toContain(" 1000 -  ");
  });
});

describe("command names", () => {
  test("end at NUL and keep bytes that are no UTF-8 apart", () => {
    expect(readComm(Buffer.from("curl\0rest\0"))).toBe("curl");
    expect(escapeText(readComm(Uint8Array.of(0xff, 0x61, 0xc3, 0xa9, 0xe6, 0x97)))).toBe(
      "\\xffaé\\xe6\\x97",
    );
  });

  test("two names that differ in any byte are shown differently", () => {
    const name = fc.uint8Array({ min: 1, maxLength: 15 });
    fc.assert(
      fc.property(name, name, (a, b) => {
        const same = Buffer.compare(a, b) === 0;
        expect(escapeText(readComm(a)) === escapeText(readComm(b))).toBe(same);
      }),
    );
  });
});

describe("the writer", () => {
  /** Collects what is written; a gate holds the writes back, as a reader that stands still does. */
  function sink(most = Infinity) {
    const gate = Promise.withResolvers<void>();
    const written: string[] = [];
    const writeSome: WriteSome = async (bytes) => {
      await gate.promise;
      const some = bytes.subarray(0, most);
      written.push(Buffer.from(some).toString());
      return some.length;
    };
    return { writeSome, written, open: gate.resolve };
  }

  test("the lines of one drain are one write", async () => {
    const { writeSome, written, open } = sink();
    const writer = createWriter(writeSome);
    open();
    expect(writer.push(["a", "b", "c"])).toBe(3);
    await writer.settled();
    expect(written).toEqual(["a\nb\nc\n"]);
    expect(writer.pending).toBe(0);
  });

  test("a write that takes only a part is continued", async () => {
    const { writeSome, written, open } = sink(2);
    const writer = createWriter(writeSome);
    open();
    writer.push(["abc", "d"]);
    await writer.settled();
    expect(written).toEqual(["ab", "c\n", "d\n"]);
  });

  test("behind a reader that stands still it stops taking lines, counts them, and goes on when it may", async () => {
    const { writeSome, written, open } = sink();
    const writer = createWriter(writeSome, 10);
    expect(writer.push(["1234", "5678", "9"])).toBe(2);
    expect(writer.push(["x"])).toBe(0);
    expect(writer.full).toBe(true);
    writer.drop();
    expect(writer.dropped).toBe(3n);
    expect(writer.pending).toBe(2);
    open();
    await writer.settled();
    expect(writer.full).toBe(false);
    expect(writer.push(["y"])).toBe(1);
    await writer.settled();
    expect(written.join("")).toBe("1234\n5678\ny\n");
  });

  test("a line that is no event is written in its turn, and counted as nothing", async () => {
    const { writeSome, written, open } = sink(3);
    const writer = createWriter(writeSome, 12);
    expect(writer.pushAside("head")).toBe(true);
    expect(writer.push(["1"])).toBe(1);
    expect(writer.pushAside("said")).toBe(true);
    expect(writer.pushAside("more")).toBe(false);
    expect(writer.pending).toBe(1);
    expect(writer.dropped).toBe(0n);
    open();
    await writer.settled();
    expect(writer.pending).toBe(0);
    expect(written.join("")).toBe("head\n1\nsaid\n");
  });

  test("lines queued behind a slow write are not lost and keep their order", async () => {
    const { writeSome, written, open } = sink();
    const writer = createWriter(writeSome);
    for (let i = 0; i < 97; i++) writer.push([`${i}`]);
    open();
    await writer.settled();
    expect(written.join("").trimEnd().split("\n")).toEqual(
      Array.from({ length: 97 }, (_, i) => `${i}`),
    );
  });

  const failing =
    (code: string): WriteSome =>
    () =>
      Promise.reject(Object.assign(new Error(code), { code }));

  test.each([
    ["/dev/null", 0],
    ["/dev/zero", 1],
  ])("takes all at once for %s only if that never stands still", (file, dropped) => {
    const module = JSON.stringify(join(import.meta.dir, "../../src/output/writer.ts"));
    // A line of a megabyte, 40 times before the event loop has its turn.
    const script = `const { createWriter } = await import(${module});
      const writer = createWriter();
      for (let n = 0; n < 40; n++) writer.push(["x".repeat(1 << 20)]);
      process.stderr.write(writer.dropped > 0n ? "1" : "0");
      process.exit();`;
    const stdout = openSync(file, "w");
    try {
      const child = Bun.spawnSync([process.execPath, "-e", script], { stdout, stderr: "pipe" });
      expect(child.stderr.toString()).toBe(`${dropped}`);
    } finally {
      closeSync(stdout);
    }
  });

  test("a reader that is gone closes it without an error", async () => {
    const writer = createWriter(failing("EPIPE"));
    writer.push(["a"]);
    await writer.settled();
    expect(writer.closed).toBe(true);
    expect(writer.failure).toBeNull();
    expect(writer.push(["b"])).toBe(0);
  });

  test("a full disk is a failure that says so", async () => {
    const writer = createWriter(failing("ENOSPC"));
    writer.push(["a"]);
    await writer.settled();
    expect(writer.closed).toBe(false);
    expect(writer.failure?.message).toBe("stdout: cannot write the output");
    expect(writer.failure?.hint).toContain("space");
  });

  test("a non-blocking stdout that is full is tried again", async () => {
    let attempts = 0;
    const writer = createWriter((bytes) => {
      attempts += 1;
      return attempts < 3 ? failing("EAGAIN")(bytes) : Promise.resolve(bytes.length);
    });
    writer.push(["a"]);
    await writer.settled();
    expect(attempts).toBe(3);
    expect(writer.failure).toBeNull();
  });
});
