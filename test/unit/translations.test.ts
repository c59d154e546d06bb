/** The records of NAT: what is kept of them, and which event gets it. */
import { describe, expect, test } from "bun:test";
import { ConnFact, ConnMetadata, EventKind, type Event } from "../../src/record/layout.gen.ts";
import { writeTranslation, translationSize } from "../../src/record/layout.gen.ts";
import { asView, plainEvent } from "../../src/trace/event.ts";
import { TranslationNumbers } from "../../src/trace/nat/numbers.ts";
import { Translations } from "../../src/trace/nat/translations.ts";
import { EventView, EVENT_OWNER_PID, EVENT_SK } from "../../src/record/layout.gen.ts";
import { hashOf } from "../../src/trace/nat/words.ts";

const IPV4 = { metadata: ConnMetadata.METADATA_TCP };
const IPV6 = { metadata: ConnMetadata.METADATA_TCP | ConnMetadata.METADATA_IPV6 };
const v4 = (a: number, b: number, c: number, d: number) =>
  BigInt(a | (b << 8) | (c << 16)) | (BigInt(d) << 24n);

/** 10.1.1.2:40000 > 10.96.0.1:80. */
const socket = {
  saddr_h: 0n,
  saddr_l: v4(10, 1, 1, 2),
  daddr_h: 0n,
  daddr_l: v4(10, 96, 0, 1),
  sport: 40_000,
  dport: 80,
};

interface Made {
  beyond: typeof socket;
  ends?: typeof socket & { metadata: number };
  sk?: bigint;
  cookie?: number;
  flags?: number;
}

/** As the kernel side writes it, read as the tool reads each record. */
function record({
  beyond,
  ends = { ...socket, ...IPV4 },
  sk = 1n,
  cookie = 7,
  flags = ConnFact.FACT_TRANSLATED,
}: Made): Event {
  const view = new DataView(new ArrayBuffer(translationSize));
  writeTranslation(view, 0, {
    sk,
    ends,
    beyond_saddr_h: beyond.saddr_h,
    beyond_saddr_l: beyond.saddr_l,
    beyond_daddr_h: beyond.daddr_h,
    beyond_daddr_l: beyond.daddr_l,
    beyond_sport: beyond.sport,
    beyond_dport: beyond.dport,
    beyond_metadata: ends.metadata,
    timestamp: 5n,
    netns: 0,
    cookie,
    flags,
    kind: EventKind.EVENT_TRANSLATION,
  });
  return plainEvent(new EventView(view, 0));
}

function known(records: readonly Event[], translations = new Translations()): Translations {
  for (const event of records) {
    const { view, p } = asView(event);
    translations.set(view, p);
  }
  return translations;
}

const backend = { ...socket, daddr_l: v4(10, 1, 2, 2), dport: 8080 };

describe("a translated connection", () => {
  test("has the end that differs, until its close", () => {
    const of = record({ beyond: backend });
    const translations = known([of]);
    const nat = { local: null, remote: { address: "10.1.2.2", port: 8080 } };
    expect(translations.of(of, "connect")).toEqual(nat);
    expect(translations.of(of, "open")).toEqual(nat);
    expect(translations.of(of, "close")).toEqual(nat);
    expect(translations.of(of, "open")).toBeNull();
  });

  test("has both ends where both differ", () => {
    const of = record({ beyond: { ...backend, saddr_l: v4(192, 0, 2, 1), sport: 1024 } });
    expect(known([of]).of(of, "connect")).toEqual({
      local: { address: "192.0.2.1", port: 1024 },
      remote: { address: "10.1.2.2", port: 8080 },
    });
  });

  test("of IPv6 keeps every byte of its addresses", () => {
    const ends = {
      saddr_h: 0x0807060504030201n,
      saddr_l: 0x100f0e0d0c0b0a09n,
      daddr_h: 0x1817161514131211n,
      daddr_l: 0x201f1e1d1c1b1a19n,
      sport: 1,
      dport: 2,
      ...IPV6,
    };
    const beyond = { ...ends, saddr_l: 0xfffefdfcfbfaf9f8n, daddr_h: 0x9897969594939291n };
    expect(known([record({ ends, beyond })]).of(record({ ends, beyond }), "connect")).toEqual({
      local: { address: "102:304:506:708:f8f9:fafb:fcfd:feff", port: 1 },
      remote: { address: "9192:9394:9596:9798:191a:1b1c:1d1e:1f20", port: 2 },
    });
  });

  test("is told from another connection of the same sock by its cookie, from another flow by its ends", () => {
    const translations = known([record({ beyond: backend })]);
    expect(translations.of(record({ beyond: backend, cookie: 8 }), "connect")).toBeNull();
    const ends = { ...socket, dport: 81, ...IPV4 };
    expect(translations.of(record({ beyond: backend, ends }), "open")).toBeNull();
  });

  test("tells itself what many have in common; a plain one, and one of which nothing is known, do as well", () => {
    const numbers = new TranslationNumbers();
    const translations = new Translations(100, numbers);
    const tells = (of: Partial<Made>) => {
      const { view, p } = asView(record({ beyond: backend, ...of }));
      return translations.tells(view, p) ? new EventView(view, p) : null;
    };
    for (const sk of [1n, 2n, 3n]) {
      known([record({ beyond: backend, sk })], translations);
      expect(tells({ sk })).toBeNull();
    }
    known([record({ beyond: backend, sk: 4n })], translations);
    const nat = { local: null, remote: { address: "10.1.2.2", port: 8080 } };
    expect(numbers.of(tells({ sk: 4n })!)).toEqual(nat);
    expect(translations.of(tells({ sk: 4n })!, "connect")).toEqual(nat);
    for (const flags of [ConnFact.FACT_PLAIN, 0])
      expect(numbers.of(tells({ flags, sk: 9n })!)).toBeNull();
  });

  test("that many have in common is one object for all of them, as kept lines are found by it, and no other's", () => {
    const translations = new Translations(100, new TranslationNumbers());
    const other = { ...backend, dport: 8081 };
    const natOf = (sk: bigint, beyond: typeof backend) => {
      const of = record({ beyond, sk, ends: { ...socket, sport: Number(sk), ...IPV4 } });
      return known([of], translations).of(of, "connect");
    };
    // Its own port is that of the socket, whichever that is.
    const ownPort = (sk: bigint, to: typeof backend) => natOf(sk, { ...to, sport: Number(sk) });
    for (const sk of [1n, 2n, 3n]) expect(Object.isFrozen(ownPort(sk, backend))).toBe(false);
    const shared = ownPort(4n, backend);
    expect(shared).toEqual({ local: null, remote: { address: "10.1.2.2", port: 8080 } });
    expect(ownPort(5n, backend)).toBe(shared);
    expect(ownPort(6n, other)).toEqual({
      local: null,
      remote: { address: "10.1.2.2", port: 8081 },
    });
    expect(natOf(7n, { ...backend, sport: 1024 })).toEqual({
      local: { address: "10.1.1.2", port: 1024 },
      remote: { address: "10.1.2.2", port: 8080 },
    });
    expect(ownPort(8n, backend)).toBe(shared);
  });

  test("is nobody else's, also where their keys have one hash", () => {
    const words = (sk: bigint) => {
      const { view, p } = asView(record({ beyond: backend, sk }));
      const beforeOwner = (at: number) => view.getInt32(p + EVENT_SK + 4 * at, true);
      const count = (EVENT_OWNER_PID - EVENT_SK) / 4;
      return Int32Array.from({ length: count }, (_, n) => beforeOwner(n));
    };
    // The cookie is the last word.
    const cookie = (hashOf(words(1n)) ^ 7 ^ hashOf(words(2n))) >>> 0;
    const hashes = [
      hashOf(Int32Array.of(...words(1n), 7)),
      hashOf(Int32Array.of(...words(2n), cookie)),
    ];
    expect(hashes[0]).toBe(hashes[1]!);
    const translations = known([record({ beyond: backend })]);
    expect(translations.of(record({ beyond: backend, sk: 2n, cookie }), "close")).toBeNull();
    expect(translations.of(record({ beyond: backend }), "connect")).not.toBeNull();
  });

  test("has its own, of however many that others have in common", () => {
    const translations = new Translations(10_000, new TranslationNumbers());
    for (let n = 0; n < 5; n++)
      for (let port = 1; port <= 250; port++) {
        const of = record({ beyond: { ...backend, dport: port }, sk: BigInt(port), cookie: n });
        const remote = { address: "10.1.2.2", port };
        expect(known([of], translations).of(of, "connect")).toEqual({ local: null, remote });
      }
  });

  test("is forgotten after its last record, however that is shown, and what that one brings along is told", () => {
    const translations = new Translations(100, new TranslationNumbers());
    const all = [1n, 2n, 3n, 4n].map((sk) => record({ beyond: backend, sk }));
    known(all, translations);
    const last = asView({ ...all[3]!, kind: EventKind.EVENT_CLOSE });
    expect(translations.tells(last.view, last.p)).toBe(true);
    expect(last.legs).not.toBe(0);
    // Kept for later, with the accept that it brings along.
    translations.forgetEnded();
    expect(translations.of(all[3]!, "accept")).not.toBeNull();
    translations.passed(last.view, last.p);
    expect(translations.of(all[3]!, "accept")).not.toBeNull();
    translations.forgetEnded();
    const next = asView({ ...all[3]!, kind: EventKind.EVENT_CONNECT });
    expect(translations.tells(next.view, next.p)).toBe(true);
    expect(next.legs).toBe(0);
  });
});

test("numbers of translations are spent on those that come again, and end where a record has no room", () => {
  const numbers = new TranslationNumbers();
  const to = (port: number) => ({ local: null, remote: { address: "10.0.0.1", port } });
  const tell = (legs: number) => numbers.of({ ...record({ beyond: backend }), legs });
  for (let port = 1; port <= 5000; port++) expect(numbers.numberOf(to(port))).toBe(0);
  const given = Array.from({ length: 300 }, (_, n) => {
    for (let i = 0; i < 3; i++) numbers.numberOf(to(10_000 + n));
    return numbers.numberOf(to(10_000 + n));
  });
  expect(given.filter((number) => number !== 0)).toEqual(
    Array.from({ length: 255 }, (_, n) => n + 1),
  );
  expect([tell(0), tell(1), tell(255)]).toEqual([null, to(10_000), to(10_254)]);
});

test("of more translations than there is room for the oldest goes", () => {
  const all = [1n, 2n, 3n, 4n].map((sk) => record({ beyond: backend, sk }));
  const translations = known(all, new Translations(3));
  expect(translations.of(all[0]!, "close")).toBeNull();
  for (const of of all.slice(1)) expect(translations.of(of, "close")).not.toBeNull();
});

test("a record that says plain is plain, one that says nothing is not known", () => {
  const of = (flags: number) =>
    new Translations().of(record({ beyond: backend, flags }), "connect");
  expect(of(ConnFact.FACT_PLAIN)).toBe(false);
  expect(of(0)).toBeNull();
  // Its own record was lost.
  expect(of(ConnFact.FACT_TRANSLATED)).toBeNull();
});
