/**
 * Every reader of bytes and text that come from elsewhere, with input that is cut off, flipped or random: a typed error
 * or a result, never a crash, a hang, or a byte from outside of what was given.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { HOST } from "../../src/build/arch.ts";
import { elfSection } from "../../src/build/elf_section.ts";
import { objectFile } from "../../src/build/native.ts";
import { BuildError } from "../../src/build/step.ts";
import type { Command } from "../../src/commands/command.ts";
import {
  parseConnections,
  parseCount,
  parseDuration,
  parseInterval,
} from "../../src/commands/flags.ts";
import { root } from "../../src/commands/index.ts";
import { resolve } from "../../src/commands/strict.ts";
import { isEphemeral, parsePortRange } from "../../src/conn/direction.ts";
import { Failure, formatError, UsageError } from "../../src/errors.ts";
import { decodeReport, encodeReport } from "../../src/guess/file_format.ts";
import { decodeSnapshot } from "../../src/guess/snapshot.ts";
import { solve } from "../../src/guess/solve.ts";
import * as btf from "../../src/kernel/btf.ts";
import { patchConstants } from "../../src/kernel/elf.ts";
import { readAnswers } from "../../src/kernel/ctnetlink_codec.ts";
import { SymbolSearch } from "../../src/kernel/kallsyms.ts";
import { staleEvents } from "../../src/kernel/kprobes.ts";
import { parseRow } from "../../src/kernel/proc_net.ts";
import { readSockaddr, sockaddr } from "../../src/kernel/sockaddr.ts";
import { readTcpInfo } from "../../src/kernel/tcp_info.ts";
import { versionNote } from "../../src/kernel/version_code.ts";
import { addressText, parseAddress } from "../../src/record/address.ts";
import { readComm } from "../../src/record/comm.ts";
import { RecordError } from "../../src/record/error.ts";
import * as layout from "../../src/record/layout.gen.ts";
import * as records from "../../src/public/records.ts";
import { beyondIn } from "../../src/trace/nat/ask_lookup.ts";
import { readRecords } from "./drained.ts";
import { anyText, fc, runs } from "./drive/random.ts";

const BOUNDED = { ...runs(300), includeErrorInReport: true } as const;

const object = (name: "trace" | "guess"): Buffer => {
  const file = objectFile(HOST, name);
  if (!existsSync(file)) throw new Error(`${file} is not built: run "bun run build"`);
  return readFileSync(file);
};

/** Bytes like the sample: with some of them changed, with a word that is extreme, cut off, or with none of it left. */
function damaged(sample: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(Math.max(0, sample.length - 1));
  const flips = fc.array(fc.tuple(at, fc.nat(255)), { maxLength: 8 });
  const extreme = fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff);
  const words = fc.array(fc.tuple(at, extreme), { maxLength: 3 });
  const like = fc.record({ flips, words, length: fc.nat(2 * sample.length) }).map((how) => {
    const bytes = Uint8Array.from(sample);
    for (const [n, byte] of how.flips) bytes[n] = byte;
    const view = new DataView(bytes.buffer);
    for (const [n, word] of how.words)
      if ((n & ~3) + 4 <= bytes.length) view.setUint32(n & ~3, word, true);
    return bytes.slice(0, how.length);
  });
  return fc.oneof({ weight: 4, arbitrary: like }, fc.uint8Array({ maxLength: 600, size: "max" }));
}

type ErrorClass = abstract new (...parameters: never[]) => Error;

/** The result of `read` for the bytes; an error must be of one of the classes. */
function outcome(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array, errors: ErrorClass[]) {
  try {
    return read(bytes);
  } catch (error) {
    if (!errors.some((one) => error instanceof one)) throw error;
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

/** The same whatever lies around the bytes, so nothing of that was read; and they are as they were. */
function holds(
  read: (bytes: Uint8Array) => unknown,
  arbitrary: fc.Arbitrary<Uint8Array>,
  ...errors: ErrorClass[]
): void {
  fc.assert(
    fc.property(arbitrary, (bytes) => {
      const [first, second] = [0x00, 0xff].map((poison) => {
        const around = new Uint8Array(bytes.length + 512).fill(poison);
        around.set(bytes, 256);
        const given = around.subarray(256, 256 + bytes.length);
        const result = outcome(read, given, errors);
        expect(Buffer.compare(given, bytes)).toBe(0);
        return result;
      });
      expect(second).toEqual(first);
    }),
    BOUNDED,
  );
}

describe("records", () => {
  test("of the event ring", () => {
    const sample = new Uint8Array(3 * (layout.eventSize + 16));
    const view = new DataView(sample.buffer);
    for (let n = 0; n < 3; n++)
      view.setUint32(n * (layout.eventSize + 16), layout.eventSize + 4, true);
    expect(readRecords(sample)).toHaveLength(3);
    holds(readRecords, damaged(sample), RecordError);
  });

  test("of every public kind", () => {
    for (const [name, size] of Object.entries(records.recordSizes)) {
      const decode = (records as Record<string, unknown>)[`to${name}`] as (
        b: Uint8Array,
      ) => unknown;
      holds(decode, damaged(new Uint8Array(size).fill(3)), RecordError);
    }
  });

  const readers = Object.entries(layout).flatMap(([name, read]) => {
    if (!name.startsWith("read")) return [];
    const size = (layout as Record<string, unknown>)[
      `${name[4]!.toLowerCase()}${name.slice(5)}Size`
    ];
    return [[name, read as (view: DataView, p: number) => unknown, size as number] as const];
  });

  test.each(readers)("by %s of the generated layout", (_, read, size) => {
    const whole = (bytes: Uint8Array) =>
      read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
    // Nothing is refused but what is too short, and that always is.
    holds(whole, fc.uint8Array({ minLength: size, maxLength: size + 9 }));
    for (let length = 0; length < size; length++) {
      const bytes = new Uint8Array(new ArrayBuffer(2 * size), 0, length);
      // The last bytes may be padding.
      if (size - length > 7) expect(() => whole(bytes)).toThrow(RangeError);
    }
  });

  test("of the kernel's connection tracking", () => {
    const file = join(import.meta.dir, "../fixtures/ctnetlink/6.18.json");
    const recorded = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    const answers = Object.values(recorded).map((hex) => Buffer.from(hex, "hex"));
    expect(answers.length).toBeGreaterThan(5);
    for (const answer of [...answers, Buffer.concat(answers)])
      holds(readAnswers, damaged(answer), RecordError);
  });

  test("of an entry of connection tracking", () => {
    const file = join(import.meta.dir, "../fixtures/ctnetlink/entries-6.18.json");
    const { tcp } = JSON.parse(readFileSync(file, "utf8")) as { tcp: string };
    const end = (address: string, port: number) => ({ family: 4 as const, address, port });
    const [source, destination] = [end("10.1.2.3", 5555), end("10.4.5.6", 80)];
    const asked = { netns: 1, tuple: { protocol: 6, source, destination }, answered: true };
    holds((bytes) => beyondIn(bytes, asked), damaged(Buffer.from(tcp, "hex")));
  });

  test("of a command name", () => {
    holds(readComm, damaged(Buffer.from("kworker/u8:1-ev\0")));
  });
});

describe("files", () => {
  const directory = join(import.meta.dir, "../fixtures/guess");
  const packed = readFileSync(join(directory, "6.18.snapshot.gz"));
  const plain = gunzipSync(packed).toString();

  test("with offsets", () => {
    const report = encodeReport({
      kernel: { release: "6.1", version: "#1", machine: "x86_64" },
      attach: "kprobe",
      ms: 5,
      fields: ["found", "failed", "ambiguous"].map((status, n) => ({
        field: `field_${n}`,
        struct: "sock",
        status: status as "found",
        offset: n,
        candidates: [n, n + 1],
        how: "in 5 connections",
      })),
    });
    const read = (bytes: Uint8Array) => decodeReport("file", Buffer.from(bytes).toString());
    holds(read, damaged(Buffer.from(report)), Failure);
    const values = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(
        values,
        fc.constantFrom(...Object.keys(JSON.parse(report) as object)),
        (v, key) => {
          const text = JSON.stringify({ ...(JSON.parse(report) as object), [key]: v });
          outcome(() => decodeReport("file", text), new Uint8Array(), [Failure]);
        },
      ),
      BOUNDED,
    );
    const nested = "[".repeat(1_000_000);
    expect(() => decodeReport("file", nested)).toThrow(Failure);
  });

  test("with a snapshot, packed", () => {
    const read = (bytes: Uint8Array) => decodeSnapshot(bytes).socks.length;
    holds(read, damaged(packed), Failure);
  });

  test("with a snapshot of another shape, which the search either refuses or ends", () => {
    const snapshot = JSON.parse(plain) as object;
    const places = placesIn(snapshot);
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constant(undefined),
      fc.constant({ base64: "" }),
      fc.constant({ base64: "AAECAwQFBgc=" }),
      fc.constant({ u64: "18446744073709551615" }),
      fc.constant({ u64: "-1" }),
      fc.constant({ u64: "x" }),
    );
    // Tried first, and harmless: one gets as far as the search, however few are tried.
    const release = places.findIndex((path) => path.join() === "kernel,release");
    let usable = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), value), { minLength: 1, maxLength: 3 }),
        (changes) => {
          const text = JSON.stringify(
            changed(
              snapshot,
              changes.map(([n, to]) => [places[n % places.length]!, to]),
            ),
          );
          try {
            const decoded = decodeSnapshot(gzipSync(text, { level: 1 }));
            usable++;
            expect(solve(decoded).length).toBeGreaterThan(20);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
          }
        },
      ),
      { ...BOUNDED, examples: [[[[release, "another"]]]] },
    );
    expect(usable).toBeGreaterThan(0);
  });

  type Path = readonly (string | number)[];

  function placesIn(value: unknown, path: Path = []): Path[] {
    if (typeof value !== "object" || value === null) return [path];
    const inner = Object.entries(value).flatMap(([key, item]) => placesIn(item, [...path, key]));
    return path.length === 0 ? inner : [path, ...inner];
  }

  /** A copy in which other values stand at these places. */
  function changed(value: unknown, changes: (readonly [Path, unknown])[]): unknown {
    const here = changes.find(([path]) => path.length === 0);
    if (here) return here[1];
    if (changes.length === 0 || typeof value !== "object" || value === null) return value;
    const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<
      string,
      unknown
    >;
    for (const key of new Set(changes.map(([path]) => String(path[0])))) {
      const inner = changes.filter(([path]) => String(path[0]) === key);
      copy[key] = changed(
        copy[key],
        inner.map(([path, to]) => [path.slice(1), to] as const),
      );
    }
    return copy;
  }
});

describe("objects", () => {
  const image = object("guess");

  test("read by the section", () => {
    for (const name of [".BTF", ".maps", "absent"]) {
      // Both ends of the file matter: the header, and the headers of the sections.
      const read = (bytes: Uint8Array) => elfSection(bytes, name)?.slice();
      holds(read, damaged(image.subarray(0, 64)), BuildError);
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 20 }), (flips) => {
          const copy = Uint8Array.from(image);
          const headers = Number(image.readBigUInt64LE(0x28));
          for (const [n, byte] of flips) copy[headers + (n % (copy.length - headers))] = byte;
          outcome(read, copy, [BuildError]);
        }),
        BOUNDED,
      );
    }
  });

  test("patched: only placeholders change, and one without a value is refused", () => {
    const values = new Map(
      Array.from({ length: layout.Constant.CONSTANT_MAX }, (_, n) => [n, 0x1234_5678_9abc_def0n]),
    );
    const trace = object("trace");
    const patch = (bytes: Uint8Array) => {
      const patched = patchConstants(bytes, values);
      expect(patched.length).toBe(bytes.length);
      for (let at = 0; at < bytes.length; at += 8)
        for (let n = at; n < Math.min(at + 8, bytes.length); n++)
          if (patched[n] !== bytes[n]) expect(isPlaceholder(bytes, at)).toBe(true);
      return patched;
    };
    expect(Buffer.compare(patch(trace), trace)).not.toBe(0);
    // A part with placeholders in it: the whole costs milliseconds each time.
    const part = trace.subarray(0x40, 0x40 + 4096);
    expect(Buffer.compare(patch(part), part)).not.toBe(0);
    holds(patch, damaged(part), RangeError);
  });

  /** The eight bytes are one half of a placeholder. */
  function isPlaceholder(bytes: Uint8Array, at: number): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const is = (from: number) =>
      from >= 0 &&
      from + 16 <= bytes.length &&
      bytes[from] === 0x18 &&
      view.getUint32(from + 12, true) === layout.Placeholder.OFFSET_MAGIC;
    return is(at) || is(at - 8);
  }

  test("with types that contradict each other", () => {
    const types = elfSection(object("trace"), ".BTF")!;
    expect(outcome(walk, types, [])).toBeGreaterThan(50);
    holds((bytes) => outcome(walk, bytes, [btf.BtfError]), smallBtf(), btf.BtfError);
    fc.assert(
      fc.property(damaged(types), (bytes) => void outcome(walk, bytes, [btf.BtfError])),
      BOUNDED,
    );
  });

  /** Asks everything that can be asked of every type. */
  function walk(bytes: Uint8Array): number {
    const parsed = btf.parseBtf(bytes);
    const ask = (work: () => unknown) => outcome(work, bytes, [btf.BtfError]);
    for (let id = 0; id < parsed.count; id++) {
      ask(() => btf.nameOf(parsed, id));
      ask(() => btf.sizeOf(parsed, id));
      ask(() => btf.membersOf(parsed, id));
      ask(() => btf.parametersOf(parsed, id));
      if (btf.kindOf(parsed, id).startsWith("enum")) ask(() => btf.enumValuesOf(parsed, id));
    }
    ask(() => btf.variablesOf(parsed, ".maps"));
    ask(() => btf.findMember(parsed, "conn", "tup.saddr_h"));
    ask(() => btf.findMember(parsed, "a", "b.c"));
    return parsed.count;
  }

  /** A few types of any kind that refer to each other in any way, themselves included. */
  function smallBtf(): fc.Arbitrary<Uint8Array> {
    const entry = fc.tuple(fc.nat(3), fc.nat(6), fc.nat(64));
    const type = fc.record({
      name: fc.nat(4),
      kind: fc.nat(20),
      size: fc.nat(6),
      entries: fc.array(entry, { maxLength: 3 }),
    });
    return fc.array(type, { maxLength: 6 }).map((all) => {
      const words = all.flatMap(({ name, kind, size, entries }) => [
        name,
        ((kind << 24) | entries.length) >>> 0,
        size,
        ...extraWords(kind, entries),
      ]);
      const strings = Buffer.from("\0a\0b\0");
      const bytes = new Uint8Array(24 + words.length * 4 + strings.length);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, 0xeb9f, true);
      const header = [24, 0, words.length * 4, words.length * 4, strings.length];
      for (const [n, word] of [...header, ...words].entries())
        view.setUint32(4 + n * 4, word, true);
      bytes.set(strings, 24 + words.length * 4);
      return bytes;
    });
  }

  function extraWords(kind: number, entries: [number, number, number][]): number[] {
    if (kind === 3) return (entries[0] ?? [1, 1, 1]).toSpliced(2, 1, entries[0]?.[2] ?? 1);
    if ([1, 14, 17].includes(kind)) return [1];
    const words = { 4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3 }[kind] ?? 0;
    return entries.flatMap((entry) => entry.slice(0, words));
  }

  test("whose notes lie", () => {
    const sample = new Uint8Array(64 + 56 + 24);
    const view = new DataView(sample.buffer);
    view.setUint32(0, 0x7f454c46);
    view.setUint16(32, 64, true);
    view.setUint16(54, 56, true);
    view.setUint16(56, 1, true);
    view.setUint32(64, 4, true);
    view.setBigUint64(64 + 8, 120n, true);
    view.setBigUint64(64 + 32, 24n, true);
    view.setUint32(120, 6, true);
    view.setUint32(124, 4, true);
    sample.set(Buffer.from("Linux\0"), 132);
    view.setUint32(140, 0x60c01, true);
    expect(versionNote(sample)).toBe(0x60c01);
    holds(versionNote, damaged(sample));
  });
});

describe("what the kernel says in text", () => {
  /** Lines like these, with anything in between. */
  const like = (sample: string) =>
    fc.oneof(
      damaged(Buffer.from(sample)).map((bytes) => Buffer.from(bytes).toString("latin1")),
      anyText(),
      fc
        .array(fc.constantFrom(...sample, "\n", " ", "\0"), { maxLength: 200 })
        .map((c) => c.join("")),
    );

  test("of symbols", () => {
    const sample = "ffffffff81000000 T tcp_close\nffffffff81000010 t tcp_close.isra.0\t[mod]\n";
    fc.assert(
      fc.property(like(sample), (text) => {
        const search = new SymbolSearch(["tcp_close"]);
        const bytes = Buffer.from(text, "latin1");
        expect(search.take(bytes)).toBe(bytes.lastIndexOf("\n") + 1);
        const found = search.found.get("tcp_close") ?? "tcp_close";
        expect(found).toMatch(/^tcp_close(\.(isra|constprop)\.\d+)*$/);
      }),
      BOUNDED,
    );
  });

  test("of kprobes", () => {
    const sample = "p:tracer_bpf/p_123_tcp_close tcp_close\nr16:tracer_bpf/r_9_x x\np:other/y y\n";
    expect(staleEvents(sample, () => false)).toHaveLength(2);
    fc.assert(
      fc.property(like(sample), (text) => {
        for (const event of staleEvents(text, () => false))
          expect(event).toStartWith("tracer_bpf/");
      }),
      BOUNDED,
    );
  });

  test("of TCP sockets", () => {
    const sample =
      "   0: 0100007F:1F90 0100007F:C822 01 00000000:00000000 00:00000000 00000000     0        0 31337 1\n";
    expect(parseRow(sample)).toMatchObject({ localPort: 8080, state: 1, ino: 31337 });
    fc.assert(
      fc.property(like(sample), (text) => {
        const row = parseRow(text);
        if (row === null) return;
        for (const port of [row.localPort, row.remotePort])
          expect(port >= 0 && port < 65_536).toBe(true);
        expect(`${row.local}${row.remote}`).toMatch(/^[0-9A-F]+$/);
        expect(row.ino).toBeGreaterThanOrEqual(0);
      }),
      BOUNDED,
    );
  });

  test("of ports", () => {
    fc.assert(
      fc.property(like("32768\t60999\n"), (text) => {
        const range = parsePortRange(text);
        if (range !== null) expect(typeof isEphemeral(40_000, range)).toBe("boolean");
      }),
      BOUNDED,
    );
  });

  test("of addresses", () => {
    const sample = "2001:db8::ffff:192.0.2.1";
    fc.assert(
      fc.property(like(sample), (text) => {
        const parsed = parseAddress(text);
        if (parsed === null) return;
        expect(parsed.bytes).toHaveLength(16);
        const said = addressText(parsed.bytes, parsed.family);
        expect(addressText(parseAddress(said.address)!.bytes, said.family)).toEqual(said);
      }),
      BOUNDED,
    );
  });
});

describe("the command line", () => {
  const commands = everyCommand(root);
  const flags = [
    ...new Set(
      commands.flatMap(({ command: { flags } }) => Object.keys(flags).map((flag) => `--${flag}`)),
    ),
  ];
  const value = fc.oneof(
    fc.constantFrom("1", "-1", "0", "10s", "json", "auto", "", "-", "--", "é", "1,2", ",", "x=y"),
    anyText({ maxLength: 20 }),
    fc.constantFrom("9".repeat(100_000), "\u001b[2J", "\u202e", "__proto__", "constructor"),
  );
  const word = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(...flags, ..."-d -c -i -o -w -t -T -H -h -V".split(" ")),
    },
    { weight: 2, arbitrary: value },
    fc.tuple(fc.constantFrom(...flags), value).map(([flag, text]) => `${flag}=${text}`),
    anyText({ maxLength: 8 }).map((text) => `-${text}`),
  );
  const line = fc
    .tuple(fc.constantFrom(...commands.map(({ words }) => words)), fc.array(word, { maxLength: 8 }))
    .map(([words, rest]) => [...words, ...rest]);

  test("any is taken, or refused in at most three lines that no terminal obeys", () => {
    let taken = 0;
    fc.assert(
      fc.property(line, (argv) => {
        try {
          if (resolve("tracer-bpf", root, argv).kind === "run") taken++;
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect((error as UsageError).exitCode).toBe(2);
          const text = formatError(error, false);
          expect(text).toMatch(/^error: .*\n( {2}because: .*\n)?( {2}try: .*\n)?$/);
          expect(text).not.toMatch(/[\p{Cc}\u202a-\u202e](?<!\n)/u);
        }
      }),
      // Tried first: one is taken, however few are tried.
      { ...BOUNDED, examples: [[["trace", "--json"]]] },
    );
    expect(taken).toBeGreaterThan(0);
  });

  test.each([
    ["--duration", (text: string) => parseDuration(text, "t"), 1, 100_000 * 3_600_000],
    ["--interval", (text: string) => parseInterval(text, "t"), 50, 100_000 * 3_600_000],
    ["--count", (text: string) => parseCount(text, "t"), 1, Number.MAX_SAFE_INTEGER],
    ["--max-connections", (text: string) => parseConnections(text, "t"), 1, 1 << 24],
  ] as const)("a value of %s is a number in its range, or refused", (_, parse, least, most) => {
    const like = fc.oneof(
      value,
      fc.double().map(String),
      fc
        .tuple(fc.nat(), fc.constantFrom("ms", "s", "m", "h", "d", "e9"))
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(like, (text) => {
        const parsed = outcome(() => parse(text), new Uint8Array(), [UsageError]);
        if (typeof parsed === "string") return;
        expect(parsed as number).toBeGreaterThanOrEqual(least);
        expect(parsed as number).toBeLessThanOrEqual(most);
        expect(text).toMatch(/^\d/);
      }),
      BOUNDED,
    );
  });

  function everyCommand(
    command: Command,
    words: string[] = [],
  ): { words: string[]; command: Command }[] {
    const below = Object.entries(command.subCommands);
    return [
      { words, command },
      ...below.flatMap(([name, sub]) => everyCommand(sub, [...words, name])),
    ];
  }
});

test("what the kernel says in structs: socket addresses and TCP_INFO", () => {
  holds(readSockaddr, damaged(sockaddr("::1", 80)));
  holds(readSockaddr, damaged(sockaddr("127.0.0.1", 80)));
  holds(readTcpInfo, damaged(new Uint8Array(240).fill(1)));
});
