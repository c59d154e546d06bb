/** Recognisers with bytes that strangers chose: no error, no wrong name, no long time. */
import { describe, expect, test } from "bun:test";
import { Recognition } from "../../src/protocols/recognition.ts";
import { Seen } from "../../src/protocols/seen.ts";
import {
  protocolNames,
  protocolTable,
  recognise,
  type ProtocolName,
  type Transport,
} from "../../src/protocols/table.ts";
import { tcpSamples, udpSamples, type Sample } from "./drive/payloads.ts";
import { fc, runs } from "./drive/random.ts";

const samples = [
  ...tcpSamples.map((sample) => ({ ...sample, by: "tcp" as const })),
  ...udpSamples.map((sample) => ({ ...sample, by: "udp" as const })),
];
const side = fc.constantFrom("client" as const, "server" as const, null);
const bytes = fc.uint8Array({ maxLength: 160, size: "max" });

/** The sample with some bytes changed, cut off, or with others behind. */
const damaged = (sample: Sample) =>
  fc
    .record({
      flips: fc.array(fc.tuple(fc.nat(47), fc.nat(255)), { maxLength: 6 }),
      most: fc.nat(160),
      length: fc.oneof(fc.constant(sample.length), fc.nat(70_000)),
      behind: fc.uint8Array({ maxLength: 32, size: "max" }),
    })
    .map(({ flips, most, length, behind }) => {
      const changed = Uint8Array.from([...sample.bytes.subarray(0, most), ...behind]);
      for (const [at, value] of flips) if (at < changed.length) changed[at] = value;
      return { bytes: changed, length: Math.max(length, changed.length) };
    });

const takers = (seen: Seen, by: Transport): ProtocolName[] =>
  protocolNames.filter((name) => {
    const { [by]: takes, over } = protocolTable[name];
    return over === undefined && takes?.(seen) === true;
  });

/** Each byte as likely as any other. Small numbers, which fast-check prefers, can be a whole record of TLS: 23, 3, 1, 0, 17. */
test("random bytes are no protocol", () => {
  const uniform = fc.noBias(bytes);
  fc.assert(
    fc.property(uniform, fc.nat(70_000), side, fc.boolean(), (of, more, from, start) => {
      const seen = new Seen({ bytes: of, length: of.length + more, from, start });
      const found = [...takers(seen, "tcp"), ...takers(seen, "udp")];
      if (found.length > 0) expect(found).toEqual([]);
    }),
    runs(10_000),
  );
});

test.each(samples)("$title by $by with damage is $name, or unknown", (sample) => {
  fc.assert(
    fc.property(damaged(sample), side, fc.boolean(), (of, from, start) => {
      const found = takers(new Seen({ ...of, from, start }, sample.greeting), sample.by);
      const wrong = found.filter((name) => name !== sample.name);
      if (wrong.length > 0) expect(wrong).toEqual([]);
    }),
    runs(500),
  );
});

test("a connection of damaged segments ends after 32 of them at most", () => {
  const look = fc.record({
    of: fc.oneof(...samples.map(damaged)),
    fromClient: fc.constantFrom(true, false, null),
    offset: fc.oneof(fc.constant(0), fc.nat(2 ** 32 - 1)),
  });
  fc.assert(
    fc.property(fc.array(look, { minLength: 32, maxLength: 32 }), (looks) => {
      const recognition = new Recognition();
      for (const { of, ...rest } of looks) recognition.see({ ...of, ...rest });
      expect([recognition.done, typeof recognition.outcome]).toEqual([true, "string"]);
    }),
    runs(100),
  );
});

describe("the first byte decides which rows are asked, and nothing of what they find", () => {
  const expectSame = (seen: Seen): void => {
    for (const by of ["tcp", "udp"] as const)
      for (const layer of ["encryption", "application"] as const) {
        const ofLayer = takers(seen, by).filter((name) => protocolTable[name].layer === layer);
        const found = recognise(layer, by, seen);
        if (found !== (ofLayer[0] ?? null)) expect([by, found]).toEqual([by, ofLayer[0] ?? null]);
      }
  };

  test.each(samples)("$title by $by, also damaged", (sample) => {
    expectSame(new Seen(sample, sample.greeting));
    fc.assert(
      fc.property(damaged(sample), side, fc.boolean(), (of, from, start) =>
        expectSame(new Seen({ ...of, from, start }, sample.greeting)),
      ),
      runs(500),
    );
  });

  test("the samples with each first byte", () => {
    for (const { bytes, greeting, ...rest } of samples)
      for (let first = 0; first < 256; first++) {
        const changed = Uint8Array.from(bytes);
        changed[0] = first;
        expectSame(new Seen({ ...rest, bytes: changed }, greeting));
      }
  });

  test("random bytes, and none", () => {
    expectSame(new Seen({ bytes: new Uint8Array(), length: 0, from: null, start: true }));
    const least = fc.uint8Array({ minLength: 1, maxLength: 160, size: "max" });
    fc.assert(
      fc.property(least, fc.nat(70_000), side, fc.boolean(), (of, more, from, start) =>
        expectSame(new Seen({ bytes: of, length: of.length + more, from, start })),
      ),
      runs(10_000),
    );
  });
});

describe("text takes no longer than its length", () => {
  test.each(["GET /", "set ", "220 ", "CONNECT ", "EHLO ", "INFO {", "*1", "SELECT ", " ", "A "])(
    "%j again and again",
    (written) => {
      const of = Uint8Array.from(Buffer.from(written.repeat(160).slice(0, 160), "latin1"));
      const began = performance.now();
      takers(new Seen({ bytes: of, length: 1400, from: null, start: true }, written), "tcp");
      // Where a pattern goes back and forth, the time doubles with each word: it would be no end to it.
      expect(performance.now() - began).toBeLessThan(20_000);
    },
  );
});
