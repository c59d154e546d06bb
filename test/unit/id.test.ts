/** The id of a connection: see src/record/id.ts. */
import { beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "../../src/kernel/random.ts";
import { idAt, isId, keyIds, putId, putIdAt } from "../../src/record/id.ts";
import {
  ConnMetadata,
  eventSize,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { fc, runs } from "./drive/random.ts";

const empty = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
const { METADATA_TCP } = ConnMetadata;

interface Of extends Partial<Event> {
  dport?: number;
  daddr?: bigint;
  metadata?: number;
}

function idOf({ dport = 443, daddr = 0x0100_007fn, metadata = METADATA_TCP, ...of }: Of): string {
  const view = new DataView(new ArrayBuffer(eventSize + 8));
  const ends = { ...empty.ends, dport, daddr_l: daddr, metadata };
  writeEvent(view, 8, { ...empty, cookie: 7, started_at: 1_000n, ends, ...of });
  return idAt(view, 8);
}

beforeAll(() => keyIds(randomBytes));

test("a second trace keeps the key of the first", () => {
  const before = idOf({});
  keyIds((bytes) => new Uint8Array(bytes).fill(0x5a));
  expect(idOf({})).toBe(before);
});

test("all records of a connection have its id, whatever else they hold", () => {
  const first = idOf({ kind: 1 });
  expect(isId(first)).toBe(true);
  expect(idOf({ kind: 3, timestamp: 9n, ended_at: 9n, sent_bytes: 5n, flags: 4 })).toBe(first);
  // An attempt may get its local port, and a connection its remote end, later.
  expect(idOf({ dport: 80, daddr: 1n })).toBe(first);
});

test("two connections have two ids, by their sock or by their beginning", () => {
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const startedAt = fc.bigInt({ min: 0n, max: (1n << 48n) - 1n });
  const one = fc.record({ cookie: u32, started_at: startedAt });
  fc.assert(
    fc.property(
      one,
      one,
      fc.integer({ min: 0, max: 31 }),
      fc.integer({ min: 0, max: 47 }),
      (a, b, bit, at) => {
        const isSame = a.cookie === b.cookie && a.started_at === b.started_at;
        expect(idOf(a) === idOf(b)).toBe(isSame);
        const near = { ...a, cookie: (a.cookie ^ (1 << bit)) >>> 0 };
        expect(idOf(near)).not.toBe(idOf(a));
        expect(idOf({ ...a, started_at: a.started_at ^ (1n << BigInt(at)) })).not.toBe(idOf(a));
      },
    ),
    runs(1000),
  );
});

test("flows of one socket that begin at one moment differ by their remote end", () => {
  const ids = new Set<string>();
  for (let n = 0; n < 50; n++) {
    ids.add(idOf({ metadata: 0, dport: 1000 + n }));
    ids.add(idOf({ metadata: 0, daddr: BigInt(2 + n) << 24n }));
  }
  expect(ids.size).toBe(100);
});

test("an id does not tell the address of the sock", () => {
  const at = 0x1234_5678n;
  const cookie = (sk: bigint) => Number(BigInt.asUintN(32, sk >> 6n) ^ at);
  const sk = 0xffff_8880_1234_5600n;
  const id = idOf({ started_at: at, cookie: cookie(sk) });
  expect(parseInt(id.slice(12), 16)).not.toBe(cookie(sk));
  // Another run has another key.
  const script = `
    const src = ${JSON.stringify(`${import.meta.dir}/../../src`)};
    const { idAt, keyIds } = await import(src + "/record/id.ts");
    keyIds((await import(src + "/kernel/random.ts")).randomBytes);
    console.log(idAt(new DataView(new ArrayBuffer(${eventSize})), 0));`;
  const run = () => Bun.spawnSync([process.execPath, "-e", script]).stdout.toString().trim();
  const [one, other] = [run(), run()];
  expect(isId(one)).toBe(true);
  expect(one).not.toBe(other);
});

describe("as bytes", () => {
  const out = new DataView(new ArrayBuffer(40));
  const text = (to: number) => Buffer.from(out.buffer, 3, to - 3).toString("latin1");

  test("it is the same", () => {
    const view = new DataView(new ArrayBuffer(eventSize));
    writeEvent(view, 0, { ...empty, started_at: 0xab_cdef_0123_4567n, cookie: 9 });
    expect(text(putIdAt(out, 3, view, 0))).toBe(idAt(view, 0));
    expect(idAt(view, 0)).toStartWith("cdef01234567");
    expect(text(putId(out, 3, idAt(view, 0)))).toBe(idAt(view, 0));
  });

  test.each(["", "0123456789ABCDEF0123", "0123456789abcdef01234", '"'.repeat(20)])(
    "%p is none",
    (id) => expect(putId(out, 3, id)).toBe(-1),
  );
});
