/** Records with payload find their connection; looks say who sends the bytes. */
import { expect, test } from "bun:test";
import {
  ConnDirection,
  endsSize,
  eventSize,
  readEnds,
  readEvent,
  writeEvent,
  payloadSize,
  readPayload,
  type Payload,
} from "../../src/record/layout.gen.ts";
import type { Look } from "../../src/protocols/recognition.ts";
import { Streams } from "../../src/trace/protocols/streams.ts";

const empty = readPayload(new DataView(new ArrayBuffer(payloadSize)), 0);

const payload = (some: Partial<Payload>): Payload => ({
  ...{ ...empty, sk: 0xffff_8880_0000_1000n, cookie: 7, stream: 100, got: 2, len: 2, dport: 4242 },
  bytes: Uint8Array.of(1, 2, 3),
  direction: ConnDirection.DIRECTION_OUTGOING,
  ...some,
});

class Recorder {
  readonly looks: Look[] = [];
  see(look: Look): boolean {
    this.looks.push(look);
    return look.length === 99;
  }
}

const SOCK = 0x8880_0000_1000;
/** An event of the connection with this cookie, whose remote port is as in `payload`. */
const event = (cookie: number, dport = 4242) => ({
  ...{ sk: 0xffff_8880_0000_1000n, cookie },
  ends: { ...readEnds(new DataView(new ArrayBuffer(endsSize)), 0), dport },
});
const streams = (most?: number) => new Streams(() => new Recorder(), most);

test("only bytes that were read are shown, with their sender", () => {
  const all = streams();
  const { DIRECTION_INCOMING, DIRECTION_UNKNOWN } = ConnDirection;
  for (const [direction, sent] of [
    [ConnDirection.DIRECTION_OUTGOING, 1],
    [ConnDirection.DIRECTION_OUTGOING, 0],
    [DIRECTION_INCOMING, 1],
    [DIRECTION_INCOMING, 0],
    [DIRECTION_UNKNOWN, 1],
  ] as const)
    all.look(payload({ direction, sent }));
  const { looks } = all.of(event(7))!.recogniser;
  expect(looks.map(({ fromClient }) => fromClient)).toEqual([true, false, false, true, null]);
  for (const { bytes } of looks) expect([...bytes]).toEqual([1, 2]);
});

test("what came before the accept belongs to the connection that is accepted", () => {
  const all = streams();
  all.look(payload({ cookie: 0 }));
  expect(all.of(event(7))!.recogniser.looks.length).toBe(1);
  all.look(payload({ offset: 2 }));
  expect(all.of(event(7))!.recogniser.looks.length).toBe(2);
  expect(all.of(event(8))).toBeNull();
});

test("a sock that is used again is another connection", () => {
  const all = streams();
  all.look(payload({ cookie: 7 }));
  all.look(payload({ cookie: 8 }));
  expect(all.of(event(7))).toBeNull();
  expect(all.of(event(8))!.recogniser.looks.length).toBe(1);
  all.look(payload({ cookie: 0, stream: 200 }));
  all.look(payload({ cookie: 0, stream: 300 }));
  expect(all.of(event(9))!.recogniser.looks.length).toBe(1);
});

test("what came before an accept that never was is not the next connection's", () => {
  const all = streams();
  all.look(payload({ cookie: 0 }));
  expect(all.of(event(9, 4243))).toBeNull();
});

test("the end of a connection leaves the next one on its sock alone", () => {
  const all = streams();
  all.look(payload({ cookie: 8 }));
  all.delete(SOCK, 7);
  expect(all.of(event(8))).not.toBeNull();
  all.delete(SOCK, 8);
  expect(all.of(event(8))).toBeNull();
});

test("a connection that nothing more is wanted of is told once, and not looked at again", () => {
  const all = streams();
  expect(all.look(payload({})).isDone).toBe(false);
  expect(all.look(payload({ len: 99 })).isDone).toBe(true);
  expect(all.look(payload({ len: 99 })).isDone).toBe(false);
  expect(all.of(event(7))!.recogniser.looks.length).toBe(2);
});

test("no more connections are kept than there is room for; the oldest go", () => {
  const all = streams(2);
  for (const sk of [1n, 2n, 3n]) all.look(payload({ sk }));
  const isThere = (sk: bigint) => all.of({ ...event(7), sk }) !== null;
  expect([1n, 2n, 3n].map(isThere)).toEqual([false, true, true]);
  all.delete(2, 7);
  expect(isThere(2n)).toBe(false);
});

test("a record finds its connection as its event does", () => {
  const all = streams();
  const found = (cookie: number, dport?: number, sk = 0xffff_8880_0000_1000n) => {
    const view = new DataView(new ArrayBuffer(8 + eventSize));
    const blank = readEvent(view, 8);
    const { ends } = event(cookie, dport);
    writeEvent(view, 8, { ...blank, sk, cookie, ends });
    return all.at(view, 8);
  };
  expect(found(7)).toBeNull();
  all.look(payload({ cookie: 0 }));
  expect([found(7, 4243), found(7, 4242, 0xffff_8880_0000_2000n)]).toEqual([null, null]);
  expect(found(7)).toBe(all.of(event(7)));
  expect([found(8), all.of(event(8))]).toEqual([null, null]);
});
