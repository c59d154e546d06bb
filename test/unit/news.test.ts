/** The protocol of a connection is told once it is known, and once only. */
import { expect, test } from "bun:test";
import { stackOf, type Application } from "../../src/protocols/stack.ts";
import { EventKind, eventSize, readEvent, type Event } from "../../src/record/layout.gen.ts";
import { News } from "../../src/trace/protocols/news.ts";
import type { Stream } from "../../src/trace/protocols/streams.ts";

const { EVENT_CONNECT, EVENT_CLOSE } = EventKind;
const postgres = stackOf(null, "postgres", null);
const withTls = stackOf(null, "postgres", "tls");

interface Speaking {
  application: Application | null;
}

const event = (kind: number, cookie = 7): Event => ({
  ...readEvent(new DataView(new ArrayBuffer(eventSize)), 0),
  ...{ kind, cookie, timestamp: 1n },
});

const stream = (application: Application | null): Stream<Speaking> => ({
  ...{ cookie: 7, stream: 1, dport: 2, endpoint: 3, lookedAt: 5n, done: false },
  recogniser: { application },
});

function told(news: News<Speaking>): [bigint, string][] {
  const all: [bigint, string][] = [];
  news.tell(({ timestamp }, kind) => void all.push([timestamp, kind]));
  return all;
}

test("it is told at the time of the look, again where more is known, and not twice", () => {
  const news = new News<Speaking>();
  news.shown(event(EVENT_CONNECT));
  const spoken = stream(postgres);
  news.looked(spoken);
  expect(told(news)).toEqual([[5n, "protocol"]]);
  news.looked(spoken);
  expect(told(news)).toEqual([]);
  spoken.recogniser.application = withTls;
  news.looked(spoken);
  expect(told(news)).toEqual([[5n, "protocol"]]);
  expect(news.brings(spoken)).toBeNull();
});

test("what came before the accept waits for it", () => {
  const news = new News<Speaking>();
  news.looked(stream(postgres));
  expect(told(news)).toEqual([]);
  news.shown(event(EVENT_CONNECT));
  expect(told(news)).toEqual([[5n, "protocol"]]);
});

test("a close brings along what was not told yet, before itself", () => {
  const news = new News<Speaking>();
  news.shown(event(EVENT_CONNECT));
  const spoken = stream(postgres);
  news.looked(spoken);
  expect(news.brings(spoken)?.[1]).toBe("protocol");
  news.shown(event(EVENT_CLOSE));
  expect(told(news)).toEqual([]);
});

test("nothing is told of what is not recognised", () => {
  const news = new News<Speaking>();
  news.shown(event(EVENT_CONNECT));
  news.looked(stream(null));
  expect(told(news)).toEqual([]);
  expect(news.brings(stream(null))).toBeNull();
});

test("of connections whose close does not come so many are kept", () => {
  const news = new News<Speaking>(1);
  for (const cookie of [7, 8]) news.shown(event(EVENT_CONNECT, cookie));
  expect(news.brings(stream(postgres))).toBeNull();
});
