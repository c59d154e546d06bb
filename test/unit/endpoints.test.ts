/** Connections that were not looked at are named after their server's endpoint only where that is certain. */
import { expect, test } from "bun:test";
import { stackOf } from "../../src/protocols/stack.ts";
import {
  ConnDirection,
  eventSize,
  readEvent,
  Verdict,
  writeEvent,
} from "../../src/record/layout.gen.ts";
import { AGREEING, Endpoints } from "../../src/trace/protocols/endpoints.ts";

const { VERDICT_ALIKE, VERDICT_MIXED, VERDICT_NONE } = Verdict;

const { DIRECTION_INCOMING, DIRECTION_OUTGOING, DIRECTION_UNKNOWN } = ConnDirection;
const http = stackOf(null, "http", null);
const redis = stackOf(null, "redis", null);
const grpc = stackOf("grpc", "http2", "tls");
const http2 = stackOf(null, "http2", "tls");

interface Of {
  at?: number;
  netns?: number;
  address?: bigint;
  port?: number;
  client?: number;
  direction?: number;
}

/** The close of a connection to a server. */
function close({
  at = 1e9,
  netns = 7,
  address = 0x0100007fn,
  port = 80,
  client = 40_000,
  direction = DIRECTION_OUTGOING,
}: Of = {}): [DataView, number] {
  const view = new DataView(new ArrayBuffer(8 + eventSize));
  const blank = readEvent(view, 8);
  const isServer = direction === DIRECTION_INCOMING;
  writeEvent(view, 8, {
    ...{ ...blank, netns, direction, started_at: BigInt(at) },
    ends: {
      ...blank.ends,
      ...(isServer
        ? { saddr_l: address, sport: port, daddr_l: 9n, dport: client }
        : { daddr_l: address, dport: port, saddr_l: 9n, sport: client }),
    },
  });
  return [view, 8];
}

function known(speaks = http, more: Of = {}) {
  const told: [number, number][] = [];
  const endpoints = new Endpoints((...verdict) => void told.push(verdict));
  for (let n = 0; n < AGREEING; n++) endpoints.saw(...close(more), 5, speaks);
  return { endpoints, told };
}

test("only after so many that agree", () => {
  const endpoints = new Endpoints(() => {});
  for (let n = 0; n < AGREEING; n++) {
    expect(endpoints.of(...close())).toBeNull();
    endpoints.saw(...close(), 5, http);
  }
  expect(endpoints.of(...close({ client: 40_001 }))).toBe(http);
});

test.each<[string, Of]>([
  ["address", { address: 0x0200007fn }],
  ["port", { port: 81 }],
  ["network namespace", { netns: 8 }],
  ["end of the connection", { direction: DIRECTION_INCOMING }],
])("another %s is another endpoint", (_what, other) => {
  expect(known().endpoints.of(...close(other))).toBeNull();
});

test("of a server its own end counts, whatever its client", () => {
  const { endpoints } = known(http, { direction: DIRECTION_INCOMING });
  expect(endpoints.of(...close({ direction: DIRECTION_INCOMING, client: 1 }))).toBe(http);
});

test("which end serves must be known", () => {
  const { endpoints } = known(http, { direction: DIRECTION_UNKNOWN });
  expect(endpoints.size).toBe(0);
  expect(known().endpoints.of(...close({ direction: DIRECTION_UNKNOWN }))).toBeNull();
});

test.each([
  ["another protocol", redis],
  ["nothing that is known", null],
])("one that spoke %s makes it uncertain, until as many agree again", (_what, other) => {
  const { endpoints, told } = known();
  endpoints.saw(...close(), 5, other);
  expect(endpoints.of(...close())).toBeNull();
  for (let n = 0; n < AGREEING; n++) endpoints.saw(...close(), 5, http);
  expect(endpoints.of(...close())).toBe(http);
  expect(told).toEqual([
    [5, VERDICT_ALIKE],
    [5, VERDICT_MIXED],
    [5, VERDICT_ALIKE],
  ]);
});

test("where they differ in one layer the others are named", () => {
  const { endpoints } = known(grpc);
  endpoints.saw(...close(), 5, http2);
  expect(endpoints.of(...close())).toBe(http2);
});

test("where none is recognised a few looks will do, and nothing is named", () => {
  const told: [number, number][] = [];
  const endpoints = new Endpoints((...verdict) => void told.push(verdict));
  for (let n = 0; n < AGREEING; n++) endpoints.saw(...close(), 5, null);
  expect(told).toEqual([[5, VERDICT_ALIKE]]);
  expect(endpoints.of(...close())).toBeNull();
});

test("a connection is named only if others began about when it did", () => {
  const { endpoints } = known(http, { at: 10e9 });
  expect(endpoints.of(...close({ at: 9.9e9 }))).toBeNull();
  expect(endpoints.of(...close({ at: 11e9 }))).toBe(http);
  expect(endpoints.of(...close({ at: 13e9 }))).toBeNull();
  // Older than the trace.
  expect(endpoints.of(...close({ at: 0 }))).toBeNull();
});

test("a server that begins says nothing of the one before it", () => {
  const { endpoints, told } = known();
  endpoints.forget(7, 81);
  endpoints.forget(8, 80);
  expect(endpoints.of(...close())).toBe(http);
  endpoints.forget(7, 80);
  expect(endpoints.of(...close())).toBeNull();
  expect(told).toEqual([
    [5, VERDICT_ALIKE],
    [5, VERDICT_NONE],
  ]);
});

test("a server whose port is not known yet may have taken any", () => {
  const endpoints = new Endpoints(() => {});
  for (let n = 0; n < AGREEING; n++) endpoints.saw(...close(), 5, http);
  endpoints.forget(8, 0);
  expect(endpoints.of(...close())).toBe(http);
  endpoints.forget(7, 0);
  expect(endpoints.of(...close())).toBeNull();
});

test("so many are kept, and the oldest goes first", () => {
  const endpoints = new Endpoints(() => {}, 2);
  for (const port of [80, 81, 82])
    for (let n = 0; n < AGREEING; n++) endpoints.saw(...close({ port }), port, http);
  expect([80, 81, 82].map((port) => endpoints.of(...close({ port })))).toEqual([null, http, http]);
});
