/** A sock that has been in a sockmap is marked until its end, and no other is. */
import { describe, expect, test } from "bun:test";
import { ConnFact, EventKind, eventSize, readEvent } from "../../src/record/layout.gen.ts";
import { Redirected } from "../../src/trace/tcp/redirected.ts";

const empty = () => readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
const event = (kind: number, sk: bigint, timestamp: bigint, started_at = timestamp) => ({
  ...empty(),
  ...{ kind, sk, timestamp, started_at },
});
const marked = ({ flags }: { flags: number }) => (flags & ConnFact.FACT_REDIRECTED) !== 0;
const { EVENT_SOCKMAP, EVENT_CLOSE, EVENT_CONNECT, EVENT_ACCEPT, EVENT_SAMPLE } = EventKind;

describe("a sock that entered a sockmap", () => {
  const entered = () => {
    const redirected = new Redirected();
    redirected.apply(event(EVENT_SOCKMAP, 7n, 10n));
    return redirected;
  };

  test("is marked at each sample and at its close, and the next one there is not", () => {
    const redirected = entered();
    expect(marked(redirected.apply(event(EVENT_SAMPLE, 7n, 11n, 5n)))).toBe(true);
    expect(marked(redirected.apply(event(EVENT_CLOSE, 7n, 12n, 5n)))).toBe(true);
    expect(marked(redirected.apply(event(EVENT_CLOSE, 7n, 20n, 15n)))).toBe(false);
  });

  test("says nothing of others", () => {
    expect(marked(entered().apply(event(EVENT_CLOSE, 8n, 12n, 5n)))).toBe(false);
  });

  test("before its accept is marked all the same", () => {
    const redirected = entered();
    redirected.apply(event(EVENT_ACCEPT, 7n, 11n));
    expect(marked(redirected.apply(event(EVENT_CLOSE, 7n, 12n, 11n)))).toBe(true);
  });

  test("and whose end was not told does not mark the connection that begins there", () => {
    const redirected = entered();
    redirected.apply(event(EVENT_CONNECT, 7n, 30n, 29n));
    expect(marked(redirected.apply(event(EVENT_CLOSE, 7n, 31n, 29n)))).toBe(false);
  });

  test("concerns the records of its own sock only", () => {
    const redirected = new Redirected();
    const view = new DataView(new ArrayBuffer(eventSize));
    view.setBigUint64(0, 0xffff_8880_0000_0007n, true);
    expect(redirected.concern(view, 0)).toBe(false);
    redirected.apply(event(EVENT_SOCKMAP, 0xffff_8880_0000_0008n, 1n));
    expect(redirected.concern(view, 0)).toBe(false);
    redirected.apply(event(EVENT_SOCKMAP, 0xffff_8880_0000_0007n, 1n));
    expect(redirected.concern(view, 0)).toBe(true);
  });
});
