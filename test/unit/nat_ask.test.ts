/** The chain of namespaces through which a connection's tuple goes, by tables that are written here. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { join } from "node:path";
import { turned, type Tuple } from "../../src/kernel/ctnetlink_codec.ts";
import { beyond, natOf, tupleOf, type Asked } from "../../src/trace/nat/ask.ts";
import { identityOf, KnownNat } from "../../src/trace/nat/ask_known.ts";
import { Inquiry } from "../../src/trace/nat/ask_live.ts";
import { beyondIn } from "../../src/trace/nat/ask_lookup.ts";
import { asView } from "../../src/trace/event.ts";
import {
  ConnDirection,
  ConnMetadata,
  EventKind,
  eventSize,
  readEvent,
  type Event,
} from "../../src/record/layout.gen.ts";

const [ROOT, POD] = [1, 2];

/** 256 bytes of a struct nf_conn; its kernel addresses are not the real ones. */
const entryBytes = (await Bun.file(
  join(import.meta.dir, "../fixtures/ctnetlink/entries-6.18.json"),
).json()) as Record<"tcp" | "udp6", string>;

const end = (text: string): Tuple["source"] => {
  const at = text.lastIndexOf(":");
  const address = text.slice(0, at);
  return { family: address.includes(":") ? 6 : 4, address, port: Number(text.slice(at + 1)) };
};
const tcp = (source: string, destination: string): Tuple => ({
  protocol: 6,
  source: end(source),
  destination: end(destination),
});

type Tables = Readonly<Record<number, readonly (readonly [orig: Tuple, reply: Tuple])[]>>;

/** Answers as the kernel does: by either tuple. A namespace without a table cannot be asked. */
const from = (tables: Tables) => (netns: number, asked: readonly Asked[]) =>
  asked.map((of) => {
    for (const [orig, reply] of tables[netns] ?? []) {
      const out = beyond({ orig, reply, zone: 0, status: null }, of);
      if (out !== null) return out;
    }
    return null;
  });
const one = (netns: number, tuple: Tuple, tables: Tables, root: number | null = ROOT) =>
  natOf([{ netns, tuple }], root, from(tables))[0];

const CLIENT = tcp("10.1.1.2:38958", "10.96.0.1:80");
const SERVER = tcp("10.1.2.2:8080", "10.1.1.2:38958");
const DNAT = [CLIENT, SERVER] as const;
const remote = (text: string) => ({ address: end(text).address, port: end(text).port });

describe("of a connection", () => {
  test("behind a service address the client sees the server, the server the address that was asked", () => {
    expect(one(POD, CLIENT, { [ROOT]: [DNAT] })).toEqual({
      local: null,
      remote: remote("10.1.2.2:8080"),
    });
    expect(one(POD, SERVER, { [ROOT]: [DNAT] })).toEqual({
      local: remote("10.96.0.1:80"),
      remote: null,
    });
  });

  test("of the host's own namespace one table is asked", () => {
    const asked: number[] = [];
    const ask = (netns: number, of: readonly Asked[]) => {
      asked.push(netns);
      return from({ [ROOT]: [DNAT] })(netns, of);
    };
    expect(natOf([{ netns: ROOT, tuple: CLIENT }], ROOT, ask)).toEqual([
      { local: null, remote: remote("10.1.2.2:8080") },
    ]);
    expect(asked).toEqual([ROOT]);
  });

  test("a masqueraded hairpin changes both ends", () => {
    const reply = tcp("10.1.1.2:8080", "10.1.1.1:5000");
    expect(one(POD, CLIENT, { [ROOT]: [[CLIENT, reply]] })).toEqual({
      local: remote("10.1.1.1:5000"),
      remote: remote("10.1.1.2:8080"),
    });
  });

  test("translated in both namespaces: the second is asked with what came out of the first", () => {
    const first = [CLIENT, tcp("10.96.0.1:80", "10.1.1.9:4000")] as const;
    const second = [
      tcp("10.1.1.9:4000", "10.96.0.1:80"),
      tcp("10.1.2.2:8080", "10.1.1.9:4000"),
    ] as const;
    expect(one(POD, CLIENT, { [POD]: [first], [ROOT]: [second] })).toEqual({
      local: remote("10.1.1.9:4000"),
      remote: remote("10.1.2.2:8080"),
    });
  });

  test("redirected to the loopback of its own namespace: the host's, which has its own loopback, is not asked", () => {
    const redirect = [CLIENT, tcp("127.0.0.1:8080", "10.1.1.2:38958")] as const;
    const other = [
      tcp("10.1.1.2:38958", "127.0.0.1:8080"),
      tcp("10.7.7.7:7", "10.1.1.2:38958"),
    ] as const;
    expect(one(POD, CLIENT, { [POD]: [redirect], [ROOT]: [other] })).toEqual({
      local: null,
      remote: remote("127.0.0.1:8080"),
    });
  });

  test.each<[string, number, Tuple, Tables, number | null, false | null]>([
    [
      "plain in the host's namespace",
      POD,
      CLIENT,
      { [ROOT]: [[CLIENT, turned(CLIENT)]] },
      ROOT,
      false,
    ],
    ["in no table", POD, CLIENT, {}, ROOT, null],
    [
      "plain in its own table, absent in the host's",
      POD,
      CLIENT,
      { [POD]: [[CLIENT, turned(CLIENT)]] },
      ROOT,
      null,
    ],
    [
      "plain, and the host's namespace cannot be told",
      POD,
      CLIENT,
      { [POD]: [[CLIENT, turned(CLIENT)]] },
      null,
      null,
    ],
    [
      "plain on the loopback of its own namespace",
      POD,
      tcp("127.0.0.1:1", "127.0.0.1:2"),
      { [POD]: [[tcp("127.0.0.1:1", "127.0.0.1:2"), tcp("127.0.0.1:2", "127.0.0.1:1")]] },
      ROOT,
      false,
    ],
    [
      "translated, but on another namespace's loopback",
      POD,
      tcp("127.0.0.1:1", "127.0.0.1:2"),
      { [ROOT]: [[tcp("127.0.0.1:1", "127.0.0.1:2"), tcp("10.1.1.1:2", "127.0.0.1:1")]] },
      ROOT,
      null,
    ],
  ])("%s", (_, netns, tuple, tables, root, nat) => {
    expect(one(netns, tuple, tables, root)).toBe(nat);
  });

  test("an entry that is not about the tuple is no answer", () => {
    const entry = { orig: CLIENT, reply: SERVER, zone: 0, status: null };
    expect(beyond(entry, { netns: ROOT, tuple: turned(CLIENT) })).toBeNull();
    expect(beyond(entry, { netns: ROOT, tuple: { ...CLIENT, protocol: 17 } })).toBeNull();
  });

  test("an entry of an attempt is no answer for an established connection, nor the other way round", () => {
    const asked = { netns: ROOT, tuple: CLIENT };
    for (const [status, answered] of [
      [8, false],
      [10, true],
    ] as const) {
      const entry = { orig: CLIENT, reply: SERVER, zone: 0, status };
      expect(beyond(entry, { ...asked, answered })).toEqual(turned(SERVER));
      expect(beyond(entry, { ...asked, answered: !answered })).toBeNull();
      expect(beyond(entry, asked)).toEqual(turned(SERVER));
    }
  });
});

test("of many each gets its own answer, whatever their namespaces", () => {
  const port = fc.integer({ min: 1, max: 40 });
  const asked = fc.array(fc.record({ netns: fc.constantFrom(ROOT, POD, 3), port }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(asked, (of) => {
      const tables: Tables = {
        [ROOT]: Array.from({ length: 40 }, (_, n) => [
          tcp(`10.0.0.1:${n}`, "10.96.0.1:80"),
          tcp(`10.0.0.2:${n + 1000}`, `10.0.0.1:${n}`),
        ]),
      };
      const nat = natOf(
        of.map(({ netns, port: n }) => ({ netns, tuple: tcp(`10.0.0.1:${n}`, "10.96.0.1:80") })),
        ROOT,
        from(tables),
      );
      expect(nat).toEqual(
        of.map(({ port: n }) =>
          n < 40 ? { local: null, remote: remote(`10.0.0.2:${n + 1000}`) } : null,
        ),
      );
    }),
  );
});

describe("a record", () => {
  test("gives the tuple of its connection, an IPv4-mapped one as what goes over the wire", () => {
    const event = record(1n, 1);
    expect(tupleOf(event)).toEqual(tcp("127.0.0.1:1000", "10.0.0.1:80"));
    event.ends.metadata = ConnMetadata.METADATA_IPV6;
    event.ends.saddr_l = 0x0100_007f_ffff_0000n;
    event.ends.daddr_l = 0x0100_000a_ffff_0000n;
    expect(tupleOf(event)).toEqual({ ...tcp("127.0.0.1:1000", "10.0.0.1:80"), protocol: 17 });
    event.ends.dport = 0;
    expect(tupleOf(event)).toBeNull();
  });

  test("finds what is known of its connection until that is closed, and nothing of the next on its sock", () => {
    const known = new KnownNat();
    const [one, next] = [record(1n, 1), record(1n, 2)];
    known.set(identityOf(one), false);
    expect([known.of(one), known.of(next)]).toEqual([false, null]);
    expect([concerns(known, one), concerns(known, next)]).toEqual([true, false]);
    // The next one is asked for with the poll in which the close of the last one is shown.
    known.set(identityOf(next), { local: null, remote: remote("10.1.2.2:8080") });
    known.ends(one);
    expect(known.of(one)).toBe(false);
    known.forgetEnded();
    expect([known.of(one), known.of(next)]).toEqual([
      null,
      { local: null, remote: remote("10.1.2.2:8080") },
    ]);
    known.ends(next);
    known.forgetEnded();
    expect(concerns(known, next)).toBe(false);
  });

  test("of a UDP flow is told apart from the socket's other flows", () => {
    const known = new KnownNat();
    const flows = [80, 81].map((dport) => udp(1n, 1, dport));
    known.set(identityOf(flows[0]!), false);
    expect(flows.map((flow) => known.of(flow))).toEqual([false, null]);
  });

  test("of a UDP flow is forgotten with its end, whatever other flows the socket has", () => {
    const known = new KnownNat();
    const flows = [80, 81].map((dport) => udp(1n, 1, dport));
    for (const flow of flows) known.set(identityOf(flow), false);
    known.ends(flows[0]!);
    expect(flows.map((flow) => known.of(flow))).toEqual([false, false]);
    known.forgetEnded();
    expect(flows.map((flow) => known.of(flow))).toEqual([null, false]);
    expect(known.size).toBe(1);
  });

  test("is asked for once, with the others of its poll", () => {
    const known = new KnownNat();
    const polls: number[] = [];
    const inquiry = new Inquiry(known, ROOT, (_, asked) => {
      polls.push(asked.length);
      return asked.map(({ tuple }) => tuple);
    });
    const first = begun(1n, 1, 1000);
    see(inquiry, first, begun(2n, 2, 1001));
    inquiry.ask();
    // Too young for the first poll: it is seen again.
    see(inquiry, first);
    inquiry.ask();
    expect(polls).toEqual([2]);
    expect(known.of(first)).toBe(false);
  });

  test("whose tuple began once more within the poll is not given the later one's entry", () => {
    const known = new KnownNat();
    const inquiry = new Inquiry(known, ROOT, (_, asked) => asked.map(({ tuple }) => tuple));
    const [earlier, later] = [begun(1n, 1, 1000), { ...begun(2n, 2, 1000), timestamp: 5n }];
    see(inquiry, later, earlier);
    inquiry.ask();
    inquiry.ask();
    expect([known.of(earlier), known.of(later)]).toEqual([null, false]);
  });

  test("that is over is not given the entry of the next one on its tuple, if its client chose its port", () => {
    const known = new KnownNat();
    const inquiry = new Inquiry(known, ROOT, (_, asked) => asked.map(({ tuple }) => tuple));
    const [over, open, chosen] = [begun(1n, 1, 1000), begun(2n, 2, 1001), begun(3n, 3, 40_000)];
    const closes = [over, chosen].map((of) => ({ ...of, kind: EventKind.EVENT_CLOSE }));
    see(inquiry, over, open, chosen, ...closes);
    inquiry.ask();
    inquiry.ask();
    expect([over, open, chosen].map((of) => known.of(of))).toEqual([null, false, false]);
  });

  test("of a client that chose its port is believed if it is still open at the next poll", () => {
    const known = new KnownNat();
    const inquiry = new Inquiry(known, ROOT, (_, asked) => asked.map(({ tuple }) => tuple));
    const [ends, stays] = [begun(1n, 1, 1000), begun(2n, 2, 1001)];
    see(inquiry, ends, stays);
    inquiry.ask();
    expect([ends, stays].map((of) => known.of(of))).toEqual([null, null]);
    see(inquiry, { ...ends, kind: EventKind.EVENT_CLOSE });
    inquiry.ask();
    expect([ends, stays].map((of) => known.of(of))).toEqual([null, false]);
  });

  test("of no beginning is not asked for", () => {
    let asked = 0;
    const inquiry = new Inquiry(new KnownNat(), ROOT, (_, of) => ((asked += of.length), []));
    for (const kind of [EventKind.EVENT_CLOSE, EventKind.EVENT_SAMPLE, EventKind.EVENT_SOCKMAP])
      see(inquiry, { ...begun(1n, 1, 1000), kind });
    inquiry.ask();
    expect(asked).toBe(0);
  });

  test("of a namespace whose table has no entry is not asked for, and that is looked at once in each poll", () => {
    const known = new KnownNat();
    const looks: number[] = [];
    let isEmpty = true;
    let asked = 0;
    const inquiry = new Inquiry(
      known,
      ROOT,
      (_, of) => of.map(({ tuple }) => (asked++, tuple)),
      (netns) => (looks.push(netns), !isEmpty),
    );
    const [first, second, third] = [1n, 2n, 3n].map((cookie) =>
      begun(cookie, Number(cookie), 1000),
    );
    see(inquiry, first!, second!);
    inquiry.ask();
    expect([asked, looks]).toEqual([0, [ROOT]]);
    // A record that is seen again is asked for no more, an entry may be another connection's by now.
    isEmpty = false;
    see(inquiry, second!, { ...third!, ends: { ...third!.ends, sport: 40_000 } });
    inquiry.ask();
    expect([asked, looks]).toEqual([1, [ROOT, ROOT]]);
    expect([first!, second!].map((one) => known.of(one))).toEqual([null, null]);
  });

  const begun = (sk: bigint, cookie: number, sport: number): Event => {
    const event = record(sk, cookie);
    const ends = { ...event.ends, sport };
    const direction = ConnDirection.DIRECTION_OUTGOING;
    return { ...event, kind: EventKind.EVENT_CONNECT, netns: ROOT, timestamp: 1n, ends, direction };
  };
  const udp = (sk: bigint, cookie: number, dport: number): Event => {
    const event = record(sk, cookie);
    return { ...event, ends: { ...event.ends, metadata: 0, dport } };
  };
  function see(inquiry: Inquiry, ...events: Event[]): void {
    for (const { view, p } of events.map(asView)) inquiry.drained(view, p);
  }

  function record(sk: bigint, cookie: number): Event {
    const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
    const ends = { ...event.ends, metadata: ConnMetadata.METADATA_TCP, sport: 1000, dport: 80 };
    return {
      ...event,
      sk,
      cookie,
      ends: { ...ends, saddr_l: 0x0100_007fn, daddr_l: 0x0100_000an },
    };
  }

  function concerns(known: KnownNat, event: Event): boolean {
    const { view, p } = asView(event);
    return known.concern(view, p);
  }
});

describe("the bytes of an entry, as Linux 6.18 has it, by which the program was told", () => {
  const ANSWERED = true;
  const cases = [
    {
      bytes: entryBytes.tcp,
      orig: tcp("10.1.2.3:5555", "10.4.5.6:80"),
      reply: tcp("10.9.9.9:99", "10.1.2.3:5555"),
      answered: ANSWERED,
    },
    {
      bytes: entryBytes.udp6,
      orig: { ...tcp("2001:db8::1:1234", "2001:db8::2:53"), protocol: 17 },
      reply: { ...tcp("2001:db8::3:5353", "2001:db8::4:4321"), protocol: 17 },
      answered: !ANSWERED,
    },
  ];

  test.each(cases)("give what comes out of either tuple: $orig.protocol", (of) => {
    const { orig, reply, answered } = of;
    const bytes = Uint8Array.from(Buffer.from(of.bytes, "hex"));
    expect(beyondIn(bytes, { netns: ROOT, tuple: orig })).toEqual(turned(reply));
    expect(beyondIn(bytes, { netns: ROOT, tuple: reply })).toEqual(turned(orig));
    expect(beyondIn(bytes, { netns: ROOT, tuple: orig, answered })).toEqual(turned(reply));
    expect(beyondIn(bytes, { netns: ROOT, tuple: orig, answered: !answered })).toBeNull();
  });

  test.each(cases)("of another connection, or cut off, give nothing: $orig.protocol", (of) => {
    const bytes = Uint8Array.from(Buffer.from(of.bytes, "hex"));
    const { source } = of.orig;
    for (const other of [
      { ...source, port: source.port + 1 },
      { ...source, address: source.family === 4 ? "10.1.2.4" : "2001:db8::9" },
    ])
      expect(beyondIn(bytes, { netns: ROOT, tuple: { ...of.orig, source: other } })).toBeNull();
    expect(beyondIn(bytes, { netns: ROOT, tuple: turned(of.orig) })).toBeNull();
    for (let length = 0; length < 128; length++)
      expect(beyondIn(bytes.subarray(0, length), { netns: ROOT, tuple: of.orig })).toBeNull();
  });
});
