import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import {
  ConnDirection,
  ConnFact,
  EventKind,
  eventSize,
  readEvent,
  readSample,
  sampleSize,
  SampleState,
  writeSample,
  type Event,
} from "../../src/record/layout.gen.ts";
import { Samples, type SampleSource } from "../../src/trace/tcp/samples.ts";

interface Conn {
  sk: bigint;
  cookie: number;
  /** Bytes that the application has written and read so far, and the time of the last sample. */
  sent: bigint;
  received: bigint;
  direction?: number;
  /** Its counters keep changing. */
  unstable?: boolean;
}

/** A kernel with these connections in it. */
class Kernel implements SampleSource {
  readonly batch = 4;
  readonly conns = new Map<bigint, Conn>();
  now = 1000n;
  asked = 0;

  ask(bytes: Uint8Array, count: number): void {
    expect(count).toBeLessThanOrEqual(this.batch);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let n = 0; n < count; n++) {
      const at = n * sampleSize;
      const wanted = readSample(view, at);
      const conn = this.conns.get(wanted.sk);
      this.asked++;
      const taken = conn?.cookie === wanted.cookie;
      const same =
        taken &&
        wanted.state !== SampleState.SAMPLE_GONE &&
        wanted.sent_bytes === conn.sent &&
        wanted.recv_bytes === conn.received;
      const read = same ? SampleState.SAMPLE_SAME : SampleState.SAMPLE_TAKEN;
      const known = conn?.unstable === true ? SampleState.SAMPLE_UNSTABLE : read;
      writeSample(view, at, {
        ...wanted,
        state: taken ? known : SampleState.SAMPLE_GONE,
        sent_bytes: conn?.sent ?? 99n,
        recv_bytes: conn?.received ?? 99n,
        timestamp: ++this.now,
        sent_packets: 0,
        recv_packets: 0,
        rtt: 0,
        rtt_var: 0,
        retransmits: 0,
        direction: conn?.direction ?? ConnDirection.DIRECTION_OUTGOING,
        write_seq: 0,
        copied_seq: 0,
      });
    }
  }
}

function eventOf(kind: keyof typeof EventKind, conn: Conn, at: bigint): Event {
  const empty = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  const flags = kind === "EVENT_OPEN" ? ConnFact.FACT_UNSEEN_OPEN : 0;
  const kindNumber = EventKind[kind];
  return {
    ...empty,
    sk: conn.sk,
    flags,
    kind: kindNumber,
    cookie: conn.cookie,
    timestamp: at,
    started_at: at,
    direction: ConnDirection.DIRECTION_OUTGOING,
    sent_bytes: conn.sent,
    recv_bytes: conn.received,
  };
}

const conn = (n: number, cookie = n): Conn => ({
  sk: BigInt(n) << 12n,
  cookie,
  sent: 0n,
  received: 0n,
});
const bytesOf = ({ sent_bytes, recv_bytes }: Event) => [sent_bytes, recv_bytes];

/** Two connections that were seen to begin. */
function twoOpen() {
  const kernel = new Kernel();
  const samples = new Samples(kernel);
  const [busy, idle] = [conn(1), conn(2)];
  for (const each of [busy, idle]) {
    kernel.conns.set(each.sk, each);
    samples.shown(eventOf("EVENT_CONNECT", each, 10n));
  }
  return { samples, busy, idle };
}

describe("a sample", () => {
  test("is told of a connection that has moved something, and once", () => {
    const { samples, busy } = twoOpen();
    busy.sent = 7n;
    const [event, another] = samples.take();
    expect(another).toBeUndefined();
    expect(event!.sk).toBe(busy.sk);
    expect(bytesOf(event!)).toEqual([7n, 0n]);
    expect([event!.started_at, event!.ended_at]).toEqual([10n, event!.timestamp]);
    expect(samples.take()).toEqual([]);
  });

  test("is told of every connection where all are asked for, with its counts", () => {
    const { samples, busy, idle } = twoOpen();
    busy.sent = 7n;
    expect(samples.take()).toHaveLength(1);
    expect(samples.take(true).map((event) => [event.sk, ...bytesOf(event)])).toEqual([
      [busy.sk, 7n, 0n],
      [idle.sk, 0n, 0n],
    ]);
    samples.shown(eventOf("EVENT_CLOSE", idle, 20n));
    expect(samples.take(true).map(({ sk }) => sk)).toEqual([busy.sk]);
  });

  test("that could not be read is counted where all are asked for, for then it is not told", () => {
    const { samples, busy, idle } = twoOpen();
    busy.unstable = true;
    expect(samples.take()).toEqual([]);
    expect(samples.unstable).toBe(0n);
    expect(samples.take(true).map(({ sk }) => sk)).toEqual([idle.sk]);
    expect(samples.unstable).toBe(1n);
  });

  test("that finds nothing twice gives the connection up for lost, once", () => {
    const samples = new Samples(new Kernel());
    const opened = eventOf("EVENT_CONNECT", conn(1), 10n);
    samples.shown(opened);
    expect([samples.take(), samples.takeLost()]).toEqual([[], []]);
    expect([samples.take(), samples.takeLost()]).toEqual([[], [opened]]);
    expect([samples.take(), samples.takeLost()]).toEqual([[], []]);
    expect(samples.size).toBe(0);
  });

  test("of a connection older than the trace goes on from what was listed", () => {
    const kernel = new Kernel();
    const samples = new Samples(kernel);
    const older = { ...conn(1), sent: 100n, direction: ConnDirection.DIRECTION_UNKNOWN };
    samples.shown(eventOf("EVENT_OPEN", older, 10n));
    // The kernel side still counts the SYN, because only /proc told the direction.
    kernel.conns.set(older.sk, { ...older, sent: 101n });
    expect(samples.take()).toEqual([]);
    kernel.conns.set(older.sk, { ...older, sent: 104n });
    expect(bytesOf(samples.take()[0]!)).toEqual([103n, 0n]);
  });

  test("never goes back, also where a FIN is taken off before it was counted", () => {
    const kernel = new Kernel();
    const samples = new Samples(kernel);
    const one = conn(1);
    kernel.conns.set(one.sk, one);
    samples.shown(eventOf("EVENT_CONNECT", one, 10n));
    one.sent = 7n;
    expect(bytesOf(samples.take()[0]!)).toEqual([7n, 0n]);
    one.sent = 6n;
    one.received = 1n;
    expect(bytesOf(samples.take()[0]!)).toEqual([7n, 1n]);
  });

  test("of another connection on the same sock is not taken, and the lost one is forgotten", () => {
    const kernel = new Kernel();
    const samples = new Samples(kernel);
    samples.shown(eventOf("EVENT_CONNECT", conn(1), 10n));
    kernel.conns.set(conn(1).sk, { ...conn(1, 77), sent: 5n });
    expect(samples.take()).toEqual([]);
    expect(samples.size).toBe(1);
    expect(samples.take()).toEqual([]);
    expect(samples.size).toBe(0);
  });

  test("that was taken just before a close is not shown after it", () => {
    const kernel = new Kernel();
    const samples = new Samples(kernel);
    const one = { ...conn(1), sent: 3n };
    kernel.conns.set(one.sk, one);
    samples.shown(eventOf("EVENT_CONNECT", one, 10n));
    const [late] = samples.take();
    expect(samples.shown(late!)).toBe(true);
    expect(samples.shown(eventOf("EVENT_CLOSE", one, 20n))).toBe(true);
    expect(samples.shown(late!)).toBe(false);
  });

  test("of a connection that the kernel side began anew is still its own", () => {
    const kernel = new Kernel();
    const samples = new Samples(kernel);
    samples.shown(eventOf("EVENT_OPEN", conn(1), 10n));
    samples.renewed(eventOf("EVENT_ACCEPT", conn(1, 5), 11n));
    kernel.conns.set(conn(1).sk, { ...conn(1, 5), sent: 3n });
    const [event] = samples.take();
    // Under the cookie by which it has been told.
    expect(event).toMatchObject({ cookie: 1, sent_bytes: 3n });
    expect(samples.shown(event!)).toBe(true);
  });
});

/** Any interleaving of opening, moving, sampling and closing, on few socks that are used again and again. */
test("in any order of things: never after the close, never backwards, never mixed, nothing left over", () => {
  const step = fc.record({
    what: fc.constantFrom("open", "move", "sample", "close"),
    sk: fc.integer({ min: 1, max: 6 }),
    bytes: fc.bigInt({ min: 0n, max: 1000n }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const kernel = new Kernel();
      const samples = new Samples(kernel);
      const last = new Map<number, bigint>();
      let cookies = 0;
      for (const { what, sk, bytes } of steps) {
        const key = BigInt(sk) << 12n;
        const open = kernel.conns.get(key);
        if (what === "open" && !open) {
          const fresh = conn(sk, ++cookies);
          kernel.conns.set(key, fresh);
          samples.shown(eventOf("EVENT_CONNECT", fresh, ++kernel.now));
        } else if (what === "move" && open) open.sent += bytes;
        else if (what === "close" && open) {
          kernel.conns.delete(key);
          samples.shown(eventOf("EVENT_CLOSE", open, ++kernel.now));
        } else if (what === "sample") {
          for (const event of samples.take()) {
            const { cookie, sent_bytes } = event;
            expect(samples.shown(event)).toBe(true);
            expect(kernel.conns.get(event.sk)).toMatchObject({ cookie, sent: sent_bytes });
            expect(sent_bytes).toBeGreaterThan(last.get(cookie) ?? 0n);
            last.set(cookie, sent_bytes);
          }
          for (const each of kernel.conns.values()) {
            expect(last.get(each.cookie) ?? 0n).toBe(each.sent);
          }
        }
        expect(samples.size).toBe(kernel.conns.size);
      }
    }),
  );
});
