import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { ConnEvent, Totals } from "../../src/conn/event.ts";
import { Failure } from "../../src/errors.ts";
import { Lines } from "../../src/output/lines.ts";
import { attributeNames } from "../../src/members/attributes.ts";
import { eventKinds, protocols, protocolSources } from "../../src/members/table.ts";
import { readComm } from "../../src/record/comm.ts";
import { addressText } from "../../src/record/address.ts";
import { openToAppend } from "../../src/recording/append.ts";
import { lineWriter, readLine, type Line } from "../../src/recording/format.ts";
import { Parser } from "../../src/recording/parse.ts";
import { openRecording } from "../../src/recording/read.ts";
import { openRecorder, recordTo, type Beginning } from "../../src/recording/recorder.ts";
import { allAttributes } from "./drive/attributes.ts";
import {
  anyApplication,
  anyDns,
  anyQuic,
  anyTls,
  anyTranslation,
  anyValue,
  leaves,
  withValue,
} from "./drive/leaves.ts";
import { STRIDE, fc, runs } from "./drive/random.ts";

const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
const u32 = orNull(fc.nat(2 ** 32 - 1));
const u64 = orNull(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const datagrams = orNull(fc.nat(Number.MAX_SAFE_INTEGER));
/** As they come from the kernel: any bytes. */
const rawText = orNull(fc.uint8Array({ maxLength: 40 }).map(readComm));
const endpoint = fc.record({
  address: fc
    .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.constantFrom(4 as const, 6 as const))
    .map(([bytes, family]) => addressText(bytes, family).address),
  port: fc.nat(65535),
});
const totals: fc.Arbitrary<Totals> = fc.record({
  bytesSent: u64,
  bytesReceived: u64,
  segsOut: datagrams,
  segsIn: datagrams,
  rttUs: u32,
  rttVarUs: u32,
  retransmits: u32,
  durationNs: u64,
});
/** Every member, named so that the compiler tells of one that is forgotten. */
const everyMember: { [K in keyof Required<ConnEvent>]: fc.Arbitrary<Required<ConnEvent>[K]> } = {
  id: fc.option(fc.constantFrom("0123456789abcdef0123", "f".repeat(20)), { nil: null }),
  connectNs: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: null }),
  acceptNs: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: null }),
  kind: fc.constantFrom(...eventKinds),
  protocol: fc.constantFrom(...protocols),
  atNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  // Some of them share what is remembered.
  pid: fc.oneof(u32, fc.constantFrom(null, 0, 256, 512)),
  comm: rawText,
  thread: fc.string(),
  family: fc.constantFrom(4, 6),
  direction: fc.constantFrom("outgoing", "incoming", "unknown"),
  netns: u32,
  interface: fc.string(),
  ...allAttributes(u32),
  cgroup: rawText,
  container: rawText,
  containerName: fc.string(),
  image: fc.string(),
  pod: fc.string(),
  podNamespace: fc.string(),
  args: rawText,
  exe: rawText,
  parentPid: u32,
  parentComm: rawText,
  user: rawText,
  local: endpoint,
  remote: endpoint,
  nat: orNull(fc.oneof(fc.constant(false as const), anyTranslation)),
  application: orNull(anyApplication),
  protocolSource: orNull(fc.constantFrom(...protocolSources)),
  tls: orNull(anyTls),
  dns: anyDns,
  quic: anyQuic,
  failure: orNull(fc.integer({ min: 1, max: 4095 })),
  totals,
};
const anyEvent = fc.record(everyMember, {
  requiredKeys: [
    "kind",
    "protocol",
    "atNs",
    "pid",
    "comm",
    "family",
    "direction",
    "netns",
    "local",
    "remote",
  ],
}) as fc.Arbitrary<ConnEvent>;

const clocks = { monoNs: 5n, wallNs: 1_795_000_000_000_000_000n };
const about = { tool: "0.1.0", kernel: "6.1", description: "tracing", notes: ["a note"] };
const beginning: Beginning = { session: about, startNs: 1_000n, clocks };
const format = lineWriter(beginning.startNs);
function lineOf(event: ConnEvent, at = clocks): string {
  const lines = new Lines();
  format.appendEvent(lines, event, at, 1);
  return Buffer.from(lines.take().bytes).toString().trimEnd();
}
const some: readonly ConnEvent[] = fc.sample(anyEvent, { numRuns: 4, seed: 7 });

test.each(attributeNames)(
  "events of two processes that differ in %s alone are read back with the process's own",
  (name) => {
    const value = fc.nat(2 ** 32 - 1);
    fc.assert(
      fc.property(anyEvent, value, value, (event, one, other) => {
        for (const own of [one, one, other, one, other]) {
          const of = { ...event, [name]: own };
          expect(readLine(Buffer.from(lineOf(of)))).toMatchObject({ what: "event", event: of });
        }
      }),
      runs(200),
    );
  },
);

test("events that differ in one value only, whichever it is, are read back as they were", () => {
  for (const leaf of leaves)
    fc.assert(
      fc.property(anyEvent, anyValue(leaf), (one, value) => {
        const other = withValue(one, leaf, value);
        for (const event of [one, one, other, other, one, other])
          expect(readLine(Buffer.from(lineOf(event)))).toMatchObject({ what: "event", event });
      }),
      runs(100),
    );
}, 60_000);

/** The bytes that a recorder writes for these events. */
async function recorded(events: readonly ConnEvent[], startNs?: bigint): Promise<Buffer> {
  const written: Uint8Array[] = [];
  const recorder = recordTo(
    {
      writeSome: async (bytes) => {
        written.push(bytes.slice());
        return bytes.length;
      },
      failed: (error) => new Failure("F", { cause: error }),
      close: async () => {},
    },
    { ...beginning, ...(startNs !== undefined && { startNs }) },
  );
  recorder.take(events, clocks);
  recorder.tell([{ cause: "ring full", count: 3n }], 9n, clocks);
  await recorder.end(10n, clocks);
  return Buffer.concat(written);
}

/** All lines, and the parser with its account; a Failure: this is no recording. */
function parse(bytes: Uint8Array, chunk = bytes.length || 1) {
  const parser = new Parser("F");
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length; at += chunk)
    lines.push(...parser.push(bytes.subarray(at, at + chunk)));
  lines.push(...parser.end());
  return { lines, parser };
}

function parseOrRefuse(bytes: Uint8Array) {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}

const eventsOf = (lines: readonly Line[]): ConnEvent[] =>
  lines.flatMap((line) => (line.what === "event" ? [line.event] : []));

/** For comparison; a bigint has no JSON. */
const asText = (value: unknown): string =>
  JSON.stringify(value, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));

describe("a recording", () => {
  test("gives every event back as it was, at the time it had", () => {
    fc.assert(
      fc.property(anyEvent, fc.bigInt({ min: 0n, max: 2n ** 63n }), (event, wallNs) => {
        const line = readLine(Buffer.from(lineOf(event, { monoNs: 7n, wallNs })));
        if (wallNs - 7n + event.atNs < 0n) return expect(line).toBeNull();
        expect(line).toEqual({
          what: "event",
          event,
          line: 1,
          startNs: beginning.startNs,
          wallMinusMonoNs: wallNs - 7n,
        });
      }),
      runs(500),
    );
  });

  // Some members are remembered from the event before.
  test.each(Object.keys(everyMember) as (keyof ConnEvent)[])(
    "gives back two events that differ in nothing but %s",
    (name) => {
      const differing = fc
        .tuple(fc.record(everyMember), everyMember[name])
        .filter(([event, other]) => asText(event[name]) !== asText(other));
      for (const [event, other] of fc.sample(differing, 20)) {
        const changed = { ...event, [name]: other } as ConnEvent;
        for (const one of [event, changed, event])
          expect(readLine(Buffer.from(lineOf(one)))).toMatchObject({ event: one });
      }
    },
  );

  test("is the same in whatever pieces it is read", async () => {
    const bytes = await recorded(some);
    const whole = parse(bytes);
    expect(eventsOf(whole.lines)).toEqual([...some]);
    expect(whole.lines.map(({ what }) => what)).toEqual([
      "session",
      ...some.map(() => "event" as const),
      "lost",
      "end",
    ]);
    for (const chunk of [1, 7, 100, 1000]) expect(parse(bytes, chunk).lines).toEqual(whole.lines);
    expect(whole.parser).toMatchObject({ damaged: 0, missing: 0n, unended: 0 });
  });

  test("cut off anywhere gives the events before the cut, and says so", async () => {
    const bytes = await recorded(some);
    for (let length = 0; length < bytes.length - 1; length += STRIDE) {
      const read = parseOrRefuse(bytes.subarray(0, length));
      // Nothing whole in it is told as well: it is no recording.
      if (read === null) {
        expect(length).toBeLessThan(bytes.indexOf("\n"));
        continue;
      }
      const events = eventsOf(read.lines);
      expect(events).toEqual(some.slice(0, events.length));
      expect(read.parser.unended).toBe(1);
      const cutInside = bytes[length - 1] !== 10 && bytes[length] !== 10;
      expect([length, read.parser.damaged]).toEqual([length, cutInside ? 1 : 0]);
    }
    // Without its last line break everything is there.
    expect(parse(bytes.subarray(0, -1)).parser).toMatchObject({ damaged: 0, unended: 0 });
  });

  test("with any one bit flipped gives no line that was not written, and says so", async () => {
    const bytes = await recorded(some.slice(0, 2));
    const written = new Set(parse(bytes).lines.map(asText));
    for (let bit = 0; bit < bytes.length * 8; bit += STRIDE) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const read = parseOrRefuse(flipped);
      if (read === null) continue;
      expect(read.lines.every((line) => written.has(asText(line)))).toBe(true);
      expect([bit, read.parser.damaged > 0]).toEqual([bit, true]);
    }
  }, 60_000);

  test("with whatever changed in it gives no line that was not written, and never throws but a Failure", async () => {
    const bytes = await recorded(some);
    const written = new Set(parse(bytes).lines.map(asText));
    const change = fc.record({
      at: fc.nat(bytes.length),
      gone: fc.nat(200),
      come: fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(bytes.length - 60).map((from) => bytes.subarray(from, from + 60)),
      ),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        let changed: Uint8Array = bytes;
        for (const { at, gone, come } of changes)
          changed = Buffer.concat([changed.subarray(0, at), come, changed.subarray(at + gone)]);
        const read = parseOrRefuse(changed);
        expect((read?.lines ?? []).filter((line) => !written.has(asText(line)))).toEqual([]);
      }),
      runs(1000),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300, size: "max" }),
        (any) => parseOrRefuse(any) === null,
      ),
    );
  });

  test("of lines in between that are gone, it tells how many", async () => {
    const lines = (await recorded(some)).toString("latin1").split("\n");
    lines.splice(2, 2);
    const { parser } = parse(Buffer.from(lines.join("\n"), "latin1"));
    expect(parser).toMatchObject({ damaged: 0, missing: 2n, unended: 0 });
  });

  test("with one line twice and another missing tells both, and gives the line once", async () => {
    const lines = (await recorded(some)).toString("latin1").trimEnd().split("\n");
    lines[3] = lines[1]!;
    const { lines: read, parser } = parse(Buffer.from(lines.join("\n"), "latin1"));
    expect(eventsOf(read)).toEqual([some[0]!, some[1]!, some[3]!]);
    expect(parser).toMatchObject({ damaged: 0, missing: 1n, repeated: 1, unended: 0 });
  });

  test("that stands in its file twice is given once", async () => {
    const bytes = await recorded(some);
    const { lines, parser } = parse(Buffer.concat([bytes, bytes]));
    expect(eventsOf(lines)).toEqual([...some]);
    expect(parser).toMatchObject({ missing: 0n, repeated: some.length + 3, unended: 0 });
  });

  test("in whatever order and without whichever lines tells how many are missing and repeated", async () => {
    const lines = (await recorded(some)).toString("latin1").trimEnd().split("\n");
    // The end stays the last line: behind it nothing is known to be missing.
    const end = lines.pop()!;
    const order = fc.array(fc.nat(lines.length - 1), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(order, (numbers) => {
        const shuffled = [...numbers.map((n) => lines[n]!), end];
        const { lines: read, parser } = parse(Buffer.from(shuffled.join("\n"), "latin1"));
        const kept = new Set(numbers).size;
        expect(read).toHaveLength(kept + 1);
        expect(parser.missing).toBe(BigInt(lines.length - kept));
        expect(parser.repeated).toBe(numbers.length - kept);
      }),
      runs(300),
    );
  });

  test("whose lines have no numbers, as versions before wrote them, is read as before", async () => {
    const lines = (await recorded(some)).toString("latin1").trimEnd().split("\n");
    const older = lines.map((line) => {
      const json = line.slice(9).replace(/,"line":\d+,/, ",");
      const bytes = Buffer.from(json, "latin1");
      return `${Bun.hash.crc32(bytes).toString(16).padStart(8, "0")} ${json}`;
    });
    const whole = parse(Buffer.from(older.join("\n"), "latin1"));
    expect(eventsOf(whole.lines)).toEqual([...some]);
    expect(whole.parser).toMatchObject({ damaged: 0, missing: 0n, repeated: 0, unended: 0 });
    older.splice(2, 2);
    const holed = parse(Buffer.from(older.join("\n"), "latin1"));
    expect(holed.parser).toMatchObject({ damaged: 0, missing: 2n, repeated: 0, unended: 0 });
  });

  test("may hold members and lines of later versions", () => {
    const checked = (json: string) =>
      Buffer.from(`${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}`);
    const json = lineOf(some[0]!).slice(9);
    const more = json.replace('{"event":{', '{"colour":1,"event":{"shade":{"x":[1]},');
    expect(readLine(checked(more))).toEqual(readLine(checked(json)));
    const other = json.replace('"event"', '"weather"');
    expect(readLine(checked(other))).toMatchObject({ what: "unknown" });
  });

  /** To add one, add a row: what somebody changes in a line, checksum and all. */
  test.each<[string, string, string]>([
    ["a port beyond 65535", '"port":1', '"port":65536'],
    ["an address that is none", '"127.0.0.1"', '"127.0.0.1\\u001b[2J"'],
    ["an address in another spelling", '"127.0.0.1"', '"::ffff:127.0.0.1"'],
    ["another kind", '"connect"', '"connected"'],
    ["a number as text", '"pid":1', '"pid":"1"'],
    ["a fraction", '"pid":1', '"pid":1.5'],
    ["a negative number", '"pid":1', '"pid":-1'],
    ["a count beyond 64 bits", '"bytesSent":"1"', '"bytesSent":"18446744073709551616"'],
    ["digits that are none", '"bytesSent":"1"', '"bytesSent":"0x1"'],
    ["a missing member", '"netns":1,', ""],
    ["a list for an object", '"totals":{', '"totals":[],"x":{'],
    ["a translation that is a list", '"nat":{', '"nat":[],"x":{'],
    ["a translation that is true", '"nat":{', '"nat":true,"x":{'],
    ["a translation without one of its ends", '"nat":{"local":null,', '"nat":{'],
    ["a translation of no end", '"remote":{"address":"192.0.2.1","port":2}', '"remote":null'],
    ["a translated port that is none", '"port":2', '"port":0'],
    ["a translated port that is a text", '"port":2', '"port":"2"'],
    ["a translated address that is none", '"192.0.2.1"', '"0.0.0.0"'],
    ["a translated address that is a terminal's command", '"192.0.2.1"', '"\\u001b[2J"'],
    ["a time before 1970", '"wallMinusMonoNs":"', '"wallMinusMonoNs":"-'],
    ["nothing but brackets", '{"event"', `${"[".repeat(100_000)}`],
  ])("a line with %s is a damaged one", (_, from, to) => {
    const end = { address: "127.0.0.1", port: 1 };
    const event: ConnEvent = {
      ...{ kind: "connect", protocol: "tcp", atNs: 1n, pid: 1, comm: null, family: 4 },
      ...{ direction: "outgoing", netns: 1, local: end, remote: end },
      nat: { local: null, remote: { address: "192.0.2.1", port: 2 } },
      totals: {
        ...{ bytesSent: 1n, bytesReceived: null, segsOut: 1, segsIn: null, rttUs: 1 },
        ...{ rttVarUs: 1, retransmits: 0, durationNs: 1n },
      },
    } as ConnEvent;
    const json = lineOf(event).slice(9);
    const read = (text: string) =>
      readLine(Buffer.from(`${Bun.hash.crc32(text).toString(16).padStart(8, "0")} ${text}`));
    expect(read(json)).not.toBeNull();
    expect(json).toContain(from);
    expect(read(json.replace(from, to))).toBeNull();
  });

  test("a line without an end is skipped without being kept, and what follows is read", async () => {
    const bytes = await recorded(some);
    const parser = new Parser("F");
    const before = parser.push(bytes);
    const other = await recorded(some, 2_000n);
    const zeros = new Uint8Array(1 << 20);
    for (let n = 0; n < 64; n++) expect(parser.push(zeros)).toEqual([]);
    const after = parser.push(Buffer.concat([Buffer.from("\n"), other]));
    expect(after).toEqual(before.map((line) => ({ ...line, startNs: 2_000n })));
    expect(parser).toMatchObject({ damaged: 1, firstDamaged: before.length + 1 });
  });
});

const folder = mkdtempSync(join(tmpdir(), "recording-"));
afterAll(() => rmSync(folder, { recursive: true }));
let serial = 0;
const fresh = () => join(folder, `file-${serial++}`);

async function readAll(path: string) {
  await using recording = await openRecording(path);
  const lines: Line[] = [];
  for await (const some of recording.lines()) lines.push(...some);
  return { lines, damage: recording.damage };
}

async function record(path: string, events: readonly ConnEvent[], startNs = 1_000n) {
  await using recorder = await openRecorder(path, { ...beginning, startNs });
  recorder.take(events, clocks);
  await recorder.end(10n, clocks);
  expect(recorder.failure).toBeNull();
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return `${error.message}: ${error.why}`;
  throw error ?? new Error("it was accepted");
}

describe("recording to a file", () => {
  test("makes one that only its owner can read", async () => {
    const path = fresh();
    await record(path, some);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(eventsOf((await readAll(path)).lines)).toEqual([...some]);
  });

  test("goes on behind a recording, also one that was cut off", async () => {
    const path = fresh();
    await record(path, some);
    const first = readFileSync(path);
    truncateSync(path, first.length - 3);
    await record(path, some, 2_000n);
    const { lines, damage } = await readAll(path);
    expect(eventsOf(lines)).toEqual([...some, ...some]);
    expect(lines.filter(({ what }) => what === "session")).toHaveLength(2);
    expect(damage).toMatchObject({ damaged: 1, firstDamaged: some.length + 2, unended: 1 });
  });

  test("fills an empty file, and takes it away from others", async () => {
    const path = fresh();
    writeFileSync(path, "");
    chmodSync(path, 0o644);
    await record(path, some);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test.each<[string, () => string, RegExp]>([
    ["a directory", () => folder, /a directory/],
    ["a device", () => "/dev/null", /a device/],
    ["a symbolic link", () => linked(symlinkSync), /a symbolic link/],
    ["a second name of a file", () => linked(linkSync), /a second name/],
    ["a FIFO, without waiting", fifo, /a FIFO/],
    ["a text", () => holding("some notes\nof mine\n"), /no line of it is one of a recording/],
    ["a text without lines", () => holding("x"), /no line of it is one of a recording/],
    ["zeros", () => holding(Buffer.alloc(2 << 20)), /no line of it is one of a recording/],
    ["a recording of another version", () => holding(laterVersion()), /is of version 2/],
    ["a file in no folder", () => join(folder, "none", "f"), /no such file or directory/],
  ])("never touches %s", async (_, make, reason) => {
    const path = make();
    const file = statSync(path, { throwIfNoEntry: false });
    const before = file?.isFile() === true ? readFileSync(path) : null;
    expect(await reasonOf(openToAppend(path))).toMatch(reason);
    if (before !== null) expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each(["some notes\n", laterVersion()])(
    "advises another file where it holds %j",
    async (text) => {
      const path = holding(text);
      const error = await openToAppend(path).catch((refused: Failure) => refused);
      expect(error).toMatchObject({
        message: `${path}: will not be written to`,
        hint: expect.stringMatching(/^give --record the name of a file/),
      });
    },
  );

  test.skipIf(process.geteuid?.() !== 0)("never touches a file of another user", async () => {
    const path = fresh();
    await record(path, some);
    chownSync(path, 65534, 65534);
    expect(await reasonOf(openToAppend(path))).toMatch(/belongs to user 65534/);
  });

  test("refuses a file that another one is recording to", async () => {
    const path = fresh();
    await using recorder = await openRecorder(path, beginning);
    expect(await reasonOf(openToAppend(path))).toMatch(/another tracer-bpf is writing to it/);
    await recorder.end(1n, clocks);
    await (await openToAppend(path)).close();
  });
});

describe("a recording whose file is renamed", () => {
  const now = (monoNs: bigint) => () => ({ ...clocks, monoNs });
  const whole = { damaged: 0, missing: 0n, repeated: 0, unended: 0 };

  test("ends in the old file, and begins in a new one: both are valid, alone and together", async () => {
    const [path, old, both] = [fresh(), fresh(), fresh()];
    await using recorder = await openRecorder(path, beginning);
    recorder.take(some.slice(0, 2), clocks);
    recorder.tell([{ cause: "ring full", count: 3n }], 5n, clocks);
    renameSync(path, old);
    const reopened = recorder.reopen(now(77n));
    // Before the new file is there.
    recorder.take(some.slice(2, 3), clocks);
    expect(await reopened).toEqual({ anew: true, failure: null });
    recorder.take(some.slice(3), clocks);
    recorder.tell([{ cause: "ring full", count: 5n }], 6n, clocks);
    await recorder.end(10n, clocks);

    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(both, Buffer.concat([readFileSync(old), readFileSync(path)]));
    const [first, second, joined] = [await readAll(old), await readAll(path), await readAll(both)];
    for (const { damage } of [first, second, joined]) expect(damage).toMatchObject(whole);
    expect([...eventsOf(first.lines), ...eventsOf(second.lines)]).toEqual([...some]);
    expect(eventsOf(first.lines).length).toBeGreaterThanOrEqual(2);
    expect(eventsOf(joined.lines)).toEqual([...some]);
    // A loss is told in one of them alone.
    const lost = joined.lines.flatMap((line) => (line.what === "lost" ? [line.lost.count] : []));
    expect(lost).toEqual([3n, 2n]);
    expect(second.lines[0]).toMatchObject({ what: "session", startNs: 77n });
  });

  test("goes on in its file, if that was not renamed", async () => {
    const path = fresh();
    await using recorder = await openRecorder(path, beginning);
    recorder.take(some, clocks);
    expect(await recorder.reopen(now(77n))).toEqual({ anew: false, failure: null });
    await recorder.end(10n, clocks);
    const { lines, damage } = await readAll(path);
    expect(lines.filter(({ what }) => what === "session")).toHaveLength(1);
    expect(eventsOf(lines)).toEqual([...some]);
    expect(damage).toMatchObject(whole);
  });

  test.each<[string, (path: string) => void, RegExp]>([
    ["a link", (path) => symlinkSync("/etc/passwd", path), /a symbolic link/],
    ["a text", (path) => writeFileSync(path, "x\n".repeat(1000)), /no line of it/],
    ["a hard link", (path) => linkSync(holding("text"), path), /a second name/],
  ])("goes on in the renamed one, if %s is at the path", async (_, put, reason) => {
    const [path, old] = [fresh(), fresh()];
    await using recorder = await openRecorder(path, beginning);
    recorder.take(some.slice(0, 2), clocks);
    renameSync(path, old);
    put(path);
    const before = readFileSync(path);
    expect(await reasonOf(recorder.reopen(now(77n)))).toMatch(reason);
    recorder.take(some.slice(2), clocks);
    await recorder.end(10n, clocks);
    const { lines, damage } = await readAll(old);
    expect(eventsOf(lines)).toEqual([...some]);
    expect(damage).toMatchObject(whole);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("is renamed twice in a row", async () => {
    const [path, first, second] = [fresh(), fresh(), fresh()];
    await using recorder = await openRecorder(path, beginning);
    recorder.take(some.slice(0, 1), clocks);
    renameSync(path, first);
    await recorder.reopen(now(77n));
    recorder.take(some.slice(1, 2), clocks);
    renameSync(path, second);
    const both = [recorder.reopen(now(78n)), recorder.reopen(now(79n))];
    expect((await Promise.all(both)).map(({ anew }) => anew)).toEqual([true, false]);
    recorder.take(some.slice(2), clocks);
    await recorder.end(10n, clocks);
    const files = await Promise.all([first, second, path].map(readAll));
    expect(files.flatMap(({ lines }) => eventsOf(lines))).toEqual([...some]);
    for (const { damage } of files) expect(damage).toMatchObject(whole);
    // Nothing is opened by a signal that comes while the trace ends.
    renameSync(path, fresh());
    expect(await recorder.reopen(now(80n))).toEqual({ anew: false, failure: null });
    expect(existsSync(path)).toBe(false);
  });
});

describe("a recording that cannot be written", () => {
  /** Takes so many bytes, then fails. */
  function fullDisk(room: number, options: Parameters<typeof recordTo>[2] = {}) {
    let left = room;
    const written: Uint8Array[] = [];
    const recorder = recordTo(
      {
        writeSome: async (bytes) => {
          const taken = bytes.slice(0, left);
          left -= taken.length;
          written.push(taken);
          if (taken.length === 0) throw Object.assign(new Error("full"), { code: "ENOSPC" });
          return taken.length;
        },
        failed: (error) => new Failure("F: cannot be used", { cause: error }),
        close: async () => {},
      },
      beginning,
      options,
    );
    return { recorder, written: () => Buffer.concat(written) };
  }

  test("counts each event that is not in it, and what is in it can be read", async () => {
    const whole = await recorded(some);
    for (const room of [0, 100, 700, 1500, whole.length - 200]) {
      const { recorder, written } = fullDisk(room);
      recorder.take(some.slice(0, 2), clocks);
      recorder.handOn();
      await Promise.resolve();
      recorder.take(some.slice(2), clocks);
      await recorder.end(10n, clocks);
      recorder.take(some, clocks);
      const read = parseOrRefuse(written());
      const saved = read === null ? 0 : eventsOf(read.lines).length;
      // The last line may lack only its line break.
      const counted = Number(recorder.unsaved().count);
      expect([2 * some.length - saved, 2 * some.length - saved + 1]).toContain(counted);
      expect(recorder.failure?.message).toBe("F: cannot be used");
    }
  });

  test("because the disk stands still, says in it what is missing", async () => {
    const gate = Promise.withResolvers<void>();
    const written: Uint8Array[] = [];
    const recorder = recordTo(
      {
        writeSome: async (bytes) => {
          await gate.promise;
          written.push(bytes.slice());
          return bytes.length;
        },
        failed: (error) => new Failure("F", { cause: error }),
        close: async () => {},
      },
      beginning,
      { limitBytes: 1500 },
    );
    for (const event of [...some, ...some]) {
      recorder.take([event], clocks);
      recorder.handOn();
    }
    const missing = recorder.unsaved().count;
    expect(missing).toBeGreaterThan(0n);
    gate.resolve();
    await recorder.end(10n, clocks);
    const { lines, parser } = parse(Buffer.concat(written));
    expect(BigInt(eventsOf(lines).length) + missing).toBe(BigInt(2 * some.length));
    const told = lines.flatMap((line) => (line.what === "lost" ? [line.lost] : []));
    expect(told.map(({ count }) => count)).toEqual([missing]);
    expect(parser).toMatchObject({ damaged: 0, missing: 0n, unended: 0 });
  });

  test("has a successor that counts on, and tells of it once", async () => {
    const full = fullDisk(0);
    full.recorder.take(some, clocks);
    full.recorder.handOn();
    await Promise.resolve();
    const roomy = fullDisk(Infinity, { before: full.recorder });
    await full.recorder.finish(clocks);
    expect(full.recorder.failure).not.toBeNull();
    roomy.recorder.take(some, clocks);
    const lost = BigInt(some.length);
    expect(roomy.recorder.unsaved().count).toBe(lost);
    roomy.recorder.forgetBefore();
    expect(roomy.recorder.unsaved().count).toBe(lost);
    expect(roomy.recorder.failure).toBeNull();
    roomy.recorder.tell([], 9n, clocks);
    await roomy.recorder.end(10n, clocks);
    const { lines } = parse(roomy.written());
    const told = lines.flatMap((line) => (line.what === "lost" ? [line.lost.count] : []));
    expect(told).toEqual([lost]);
    expect(eventsOf(lines)).toEqual([...some]);
  });
});

describe("reading refuses", () => {
  test.each<[string, () => string, RegExp]>([
    ["a file that is not there", fresh, /no such file/],
    ["a directory", () => folder, /a directory/],
    ["a FIFO, without waiting for a writer", fifo, /a FIFO/],
    ["a device that never ends", () => "/dev/zero", /a device/],
    ["an empty file", () => holding(""), /it is empty/],
    ["a text", () => holding("x\n".repeat(100_000)), /no line of it is one of a recording/],
    ["an executable", () => process.execPath, /no line of it is one of a recording/],
    ["the beginning of its first line", () => holding("bd161ee1 {"), /none is whole/],
    ["a gigabyte of zeros", () => sparse(""), /no line of it is one of a recording/],
    ["another version", () => holding(laterVersion()), /line 1 is of version 2/],
  ])("%s", async (_, make, reason) => {
    expect(await reasonOf(readAll(make()))).toMatch(reason);
  });

  test.each([
    ["gzip", gzipSync("x"), "zcat"],
    ["zstd", zstdCompressSync("x"), "zstdcat"],
  ])("one that was packed by %s, and says how to read it", async (by, content, unpack) => {
    const error = await readAll(holding(content)).catch((refused: Failure) => refused);
    expect(error).toMatchObject({
      why: `it is packed by ${by}`,
      hint: `${unpack} FILE | tracer-bpf replay -`,
    });
  });

  test("nothing of a recording that a crash left followed by zeros", async () => {
    const path = fresh();
    await record(path, some);
    truncateSync(path, 64 << 20);
    const { lines, damage } = await readAll(path);
    expect(eventsOf(lines)).toEqual([...some]);
    expect(damage).toMatchObject({ damaged: 1, unended: 0 });
  });
});

function holding(content: string | Uint8Array): string {
  const path = fresh();
  writeFileSync(path, content);
  return path;
}

function sparse(content: string): string {
  const path = holding(content);
  truncateSync(path, 2 ** 30);
  return path;
}

function fifo(): string {
  const path = fresh();
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

function linked(link: (target: string, path: string) => void): string {
  const [target, path] = [fresh(), fresh()];
  writeFileSync(target, "");
  link(target, path);
  return path;
}

/** Members may have changed their meaning, so none is looked at. */
function laterVersion(): string {
  const json = `{"session":{"format":"tracer-bpf recording","version":2},"startNs":"0","wallMinusMonoNs":"0"}`;
  return `${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}
