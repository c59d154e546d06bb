/** A connection that began while this host tracked none is translated nowhere. The module is one that is switched here. */
import { expect, test } from "bun:test";
import { asView } from "../../src/trace/event.ts";
import { Absence } from "../../src/trace/nat/absence.ts";
import {
  ConnFact,
  ConnMetadata,
  eventSize,
  readEvent,
  type Event,
} from "../../src/record/layout.gen.ts";

/** A host whose clock and whose module are set here, and what it was asked. */
function host(isThere: boolean) {
  const of = { now: 100, isThere, looks: 0 };
  const absence = new Absence(
    () => of.now,
    () => (of.looks++, of.isThere),
  );
  return { of, absence };
}

const TCP = ConnMetadata.METADATA_TCP;

function event(members: Partial<Event>, metadata: number = TCP): Event {
  const none = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  return { ...none, timestamp: 0n, ...members, ends: { ...none.ends, metadata } };
}

test("what began before the module came is plain, also when it is told later; what began afterwards is not known", () => {
  const { of, absence } = host(false);
  of.now = 200;
  expect(absence.at(150)).toBe(true);
  of.isThere = true;
  of.now = 300;
  expect(absence.look()).toBe(false);
  expect(absence.at(150)).toBe(true);
  // The module came at some time after the last look that did not find it.
  expect(absence.at(250)).toBe(false);
  expect(absence.at(290)).toBe(false);
});

test("the module may have come since the last look: what is younger than that is looked for, once", () => {
  const { of, absence } = host(false);
  of.now = 200;
  of.isThere = true;
  expect(absence.at(150)).toBe(false);
  expect(absence.at(99)).toBe(true);
  const { looks } = of;
  expect(absence.at(150)).toBe(false);
  expect(of.looks).toBe(looks);
});

test("one look tells of all that is older", () => {
  const { of, absence } = host(false);
  of.now = 1000;
  const { looks } = of;
  for (let ns = 101; ns < 999; ns++) expect(absence.at(ns)).toBe(true);
  expect(of.looks).toBe(looks + 1);
});

test("the module goes: plain from the first look on that does not find it", () => {
  const { of, absence } = host(true);
  of.now = 200;
  expect(absence.at(150)).toBe(false);
  of.isThere = false;
  of.now = 300;
  expect(absence.look()).toBe(true);
  of.now = 400;
  expect(absence.at(250)).toBe(false);
  expect(absence.at(350)).toBe(true);
});

test("a connection that is older than the trace, and a flow that goes on in a way of its own", () => {
  const { of, absence } = host(false);
  const flags = ConnFact.FACT_UNSEEN_OPEN;
  of.now = 300;
  expect(absence.look()).toBe(true);
  of.isThere = true;
  of.now = 400;
  absence.look();
  expect(absence.of(event({ flags, timestamp: 390n }))).toBe(true);
  expect(absence.of(event({ flags, timestamp: 390n }, 0))).toBe(false);
  expect(absence.of(event({ flags, timestamp: 290n }, 0))).toBe(true);
  // Its own start counts, not the moment of the event; without one the event is the start.
  expect(absence.of(event({ started_at: 290n, timestamp: 390n }))).toBe(true);
  expect(absence.of(event({ timestamp: 390n }))).toBe(false);
});

test("a record says from then on that it is plain, unless it says that it is translated", () => {
  const { of, absence } = host(false);
  of.now = 200;
  const marked = (flags: number) => {
    const { view, p } = asView(event({ flags, started_at: 150n }));
    absence.mark(view, p);
    return readEvent(view, p).flags;
  };
  expect(marked(ConnFact.FACT_ESTABLISHED)).toBe(ConnFact.FACT_ESTABLISHED | ConnFact.FACT_PLAIN);
  expect(marked(ConnFact.FACT_TRANSLATED)).toBe(ConnFact.FACT_TRANSLATED);
});
