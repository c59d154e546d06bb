/** The program that sees segments is attached while it may be needed, and while it costs little. */
import { expect, test } from "bun:test";
import { LeaseRule, LINGER_MS, LOUD, PAUSE_MS } from "../../src/trace/protocols/lease.ts";

/** A host, at which time passes in steps as of a tool that polls. */
class Host {
  #nowMs = 1e6;
  // Soon after it, the count begins at 0 again.
  #segments = 0xffff_ff00;
  #opened = 0;
  readonly #rule = new LeaseRule(this.#nowMs, { opened: 0, segments: this.#segments });

  open(): void {
    this.#opened++;
  }

  /** So many segments a second; the program counts them only while it is attached. Returns whether it is at the end of it. */
  pass(ms: number, rate: number, { looked = false, step = 100 } = {}): boolean {
    let attached = this.#attached;
    for (let passed = 0; passed < ms; passed += step) {
      this.#nowMs += step;
      if (attached) this.#segments = (this.#segments + (rate * step) / 1000) >>> 0;
      const counts = { opened: this.#opened, segments: this.#segments };
      attached = this.#rule.attached(this.#nowMs, counts, looked);
      if (attached !== this.#attached) this.turns++;
      this.#attached = attached;
    }
    return attached;
  }

  turns = 0;
  #attached = true;
}

const QUIET = LOUD / 2;
const BUSY = 50 * LOUD;

test("on a quiet host the program stays attached", () => {
  const host = new Host();
  expect(host.pass(60_000, QUIET)).toBe(true);
  expect(host.pass(60_000, QUIET, { step: 5000 })).toBe(true);
  expect(host.turns).toBe(0);
});

test("a short burst is not much traffic", () => {
  const host = new Host();
  for (let n = 0; n < 20; n++) {
    host.pass(100, 5 * LOUD);
    expect(host.pass(900, 0)).toBe(true);
  }
  expect(host.turns).toBe(0);
});

test("where many segments come, it is detached, and attached now and then to count them", () => {
  const host = new Host();
  expect(host.pass(LINGER_MS, BUSY)).toBe(false);
  expect(host.pass(PAUSE_MS - 100, BUSY)).toBe(false);
  expect(host.pass(100, BUSY)).toBe(true);
  expect(host.pass(100, BUSY)).toBe(false);
  const before = host.turns;
  host.pass(10 * (PAUSE_MS + 100), BUSY);
  expect(host.turns - before).toBe(20);
});

test("after a rest of seconds, too, it takes a second of traffic at most", () => {
  const host = new Host();
  host.pass(20_000, 0, { step: 5000 });
  host.pass(4900, 0, { step: 4900 });
  host.pass(300, BUSY);
  expect(host.pass(100, BUSY)).toBe(false);
});

test("once the traffic is less it stays attached", () => {
  const host = new Host();
  expect(host.pass(LINGER_MS, BUSY)).toBe(false);
  expect(host.pass(PAUSE_MS, QUIET)).toBe(true);
  expect(host.pass(60_000, QUIET)).toBe(true);
});

test("a connection that begins has it attached, and has a second to speak", () => {
  const host = new Host();
  host.pass(LINGER_MS, BUSY);
  host.open();
  expect(host.pass(100, BUSY)).toBe(true);
  expect(host.pass(LINGER_MS - 100, BUSY)).toBe(true);
  expect(host.pass(100, BUSY)).toBe(false);
});

test("while first bytes come, and while connections begin, it stays attached", () => {
  const host = new Host();
  expect(host.pass(20_000, BUSY, { looked: true })).toBe(true);
  for (let n = 0; n < 20; n++) {
    host.open();
    expect(host.pass(LINGER_MS - 100, BUSY)).toBe(true);
  }
  expect(host.turns).toBe(0);
});
