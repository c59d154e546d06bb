/** Sums over events: what `tracer-bpf summary` and `trace --summary` print. */
import { describe, expect, test } from "bun:test";
import type { ConnEvent } from "../../src/conn/event.ts";
import { utc } from "../../src/conn/clock.ts";
import { renderings } from "../../src/summary/render.ts";
import { OTHERS } from "../../src/summary/rows.ts";
import { Tally } from "../../src/summary/tally.ts";
import { event, TOTALS } from "./drive/conn_event.ts";

const clientPort = (port: number) => ({ local: { address: "10.0.0.1", port } });
const moved = (bytesSent: bigint): Partial<ConnEvent> => ({ totals: { ...TOTALS, bytesSent } });

function summaryOf(events: readonly ConnEvent[], by: ConstructorParameters<typeof Tally>[0]) {
  const tally = new Tally(by, 3);
  for (const [n, one] of events.entries()) tally.add(one, BigInt(n) * 1_000_000n);
  return tally.summary();
}

describe("each connection counts once", () => {
  test("by its close, whatever samples came before", () => {
    const events = [
      event("connect"),
      event("sample", moved(40n)),
      event("sample", moved(70n)),
      event("close"),
    ];
    const { sums } = summaryOf(events, "process");
    expect(sums).toMatchObject({ connections: 1, open: 0, bytesSent: 100n, bytesReceived: 1000n });
  });

  test("by the newest sample, if it has no end", () => {
    const events = [event("connect"), event("sample", moved(40n)), event("sample", moved(70n))];
    const { sums } = summaryOf(events, "process");
    expect(sums).toMatchObject({ connections: 1, open: 1, bytesSent: 70n, bytesUnknown: 0 });
  });

  test("as unknown, if nothing says what it has moved", () => {
    const { sums } = summaryOf([event("accept")], "process");
    expect(sums).toMatchObject({ connections: 1, open: 1, bytesSent: 0n, bytesUnknown: 1 });
  });

  test("also if its beginning was not seen", () => {
    expect(summaryOf([event("close")], "process").sums).toMatchObject({ connections: 1, open: 0 });
  });

  test("if its ends are used again, and the close in between is missing", () => {
    const events = [event("connect"), event("connect"), event("close")];
    expect(summaryOf(events, "process").sums).toMatchObject({ connections: 2, open: 1 });
  });

  test("at the end of its trace: the next trace of the recording may use the same ends", () => {
    const tally = new Tally("process", 3);
    tally.add(event("connect"), 0n);
    tally.endOfTrace();
    tally.add(event("close"), 1n);
    expect(tally.summary().sums).toMatchObject({ connections: 2, open: 1 });
  });
});

describe("the id joins the lines of a connection", () => {
  const of = (kind: ConnEvent["kind"], id: string, more: Partial<ConnEvent> = {}) =>
    event(kind, { id, ...more });

  test("not its ends, which two connections may share", () => {
    const events = [of("open", "a"), of("open", "b"), of("close", "a"), of("close", "b")];
    expect(summaryOf(events, "process").sums).toMatchObject({ connections: 2, open: 0 });
  });

  test("whatever lines tell that it began", () => {
    const events = [of("open", "a", moved(7n)), of("accept", "a")];
    const { sums } = summaryOf(events, "process");
    expect(sums).toMatchObject({ connections: 1, open: 1, bytesSent: 7n, bytesUnknown: 0 });
  });

  test("also where one of them tells nothing of what it has moved", () => {
    const events = [of("connect", "a"), of("sample", "a", moved(7n)), of("protocol", "a")];
    const { sums } = summaryOf(events, "process");
    expect(sums).toMatchObject({ connections: 1, open: 1, bytesSent: 7n, bytesUnknown: 0 });
  });
});

test("the slowest connects, without attempts that failed", () => {
  const took = (kind: ConnEvent["kind"], ms: number | null, port: number) =>
    event(kind, { ...clientPort(port), connectNs: ms === null ? null : BigInt(ms) * 1_000_000n });
  const { slowest, ...rest } = summaryOf(
    [
      took("connect", 3, 1),
      took("connect", null, 2),
      took("fail", 9_000, 3),
      took("connect", 1042, 4),
    ],
    "process",
  );
  expect(slowest.map(({ event: { local } }) => local.port)).toEqual([4, 1]);
  const text = renderings.table({ slowest, ...rest }, { most: 3, offsetAt: utc, losses: [] });
  expect(text).toMatch(/\nslowest connects:\nTIME .* CONNECT\n.* 10.0.0.1:4 .* 1.04s\n/);
});

test("retransmits are unknown, not 0, where no connection tells them", () => {
  const unknown = event("close", { totals: { ...TOTALS, retransmits: null } });
  const known = event("close", { ...clientPort(2), totals: { ...TOTALS, retransmits: 3 } });
  expect(summaryOf([unknown], "process").sums.retransmits).toBeNull();
  expect(summaryOf([unknown, known], "process").sums.retransmits).toBe(3);
  const { groups } = JSON.parse(
    renderings.json(summaryOf([unknown], "process"), { most: 3, offsetAt: utc, losses: [] }),
  ) as { groups: object[] };
  expect(groups).toMatchObject([{ connections: 1, retransmits: null }]);
});

test("so are bytes, in each format", () => {
  const summary = summaryOf([event("accept")], "process");
  const options = { most: 3, offsetAt: utc, losses: [] };
  const unknown = { bytes_sent: null, bytes_received: null, bytes_unknown: 1 };
  expect(JSON.parse(renderings.json(summary, options))).toMatchObject({
    ...unknown,
    groups: [{ process: "curl", ...unknown }],
  });
  expect(renderings.csv(summary, options)).toEndWith("\ncurl,1,1,0,,,1,\n");
  expect(renderings.table(summary, options)).toMatch(/\ncurl +1 +1 +0 +- +- +1 +-\n/);
});

test("an attempt that failed is no connection, and counts as failed", () => {
  const { sums, failures } = summaryOf(
    [event("fail", { failure: 111 }), event("fail", { failure: 111 }), event("fail")],
    "process",
  );
  expect(sums).toMatchObject({ connections: 0, failed: 3 });
  expect(failures).toEqual([
    { comm: "curl", remote: "10.0.0.2", service: "443/tcp", errno: 111, count: 2 },
  ]);
});

test("groups stand by their bytes, the most first", () => {
  const events = [
    event("close", { comm: "small" }),
    event("close", { comm: "large", ...clientPort(2), ...moved(5_000n) }),
    event("close", { comm: null, pid: null, ...clientPort(3), ...moved(700n) }),
  ];
  const { groups } = summaryOf(events, "process");
  expect(groups.map(({ name }) => name)).toEqual(["large", null, "small"]);
});

test("a close without a process is its connection's", () => {
  const { groups } = summaryOf(
    [event("connect"), event("close", { pid: null, comm: null })],
    "process",
  );
  expect(groups.map(({ name }) => name)).toEqual(["curl"]);
});

test("a remote end that is translated counts for the one that really answers", () => {
  const nat = { local: null, remote: { address: "10.1.2.2", port: 8080 } };
  const { groups, backends } = summaryOf(
    [event("connect", { nat }), event("close", { nat })],
    "remote",
  );
  expect(groups.map(({ name }) => name)).toEqual(["10.1.2.2"]);
  expect(backends).toEqual([
    { remote: { address: "10.0.0.2", port: 443 }, backend: nat.remote, connections: 1 },
  ]);
});

test("the service is the port of the end that waits", () => {
  const incoming = { direction: "incoming", local: { address: "10.0.0.1", port: 22 } } as const;
  const events = [
    event("close"),
    event("close", incoming),
    event("close", { direction: "unknown", ...clientPort(9) }),
  ];
  const { groups } = summaryOf(events, "service");
  expect(new Set(groups.map(({ name }) => name))).toEqual(new Set(["443/tcp", "22/tcp", null]));
});

test("connections stand together by what they speak", () => {
  const speaks = (application: string | null, encryption: string | null = null) => ({
    application: { api: null, application, encryption },
  });
  const events = [
    event("close", { ...clientPort(1), ...speaks("http", "tls") } as Partial<ConnEvent>),
    event("close", { ...clientPort(2), ...speaks(null, "tls") } as Partial<ConnEvent>),
    event("close", clientPort(3)),
  ];
  const { groups, protocols } = summaryOf(events, "app");
  expect(new Set(groups.map(({ name }) => name))).toEqual(new Set(["http", "tls", null]));
  expect(protocols.map(({ application, connections }) => [application, connections])).toEqual([
    [{ api: null, application: "http", encryption: "tls" }, 1],
    [{ api: null, application: null, encryption: "tls" }, 1],
    [null, 1],
  ]);
  expect(summaryOf([event("close")], "app").protocols).toEqual([]);
});

test("the connections that lasted longest, no more than are asked for", () => {
  const events = [3n, 9n, 1n, 7n, 5n].map((ms, n) =>
    event("close", { ...clientPort(n + 1), totals: { ...TOTALS, durationNs: ms * 1_000_000n } }),
  );
  const { longest } = summaryOf(events, "process");
  expect(longest.map(({ event: { totals } }) => totals!.durationNs! / 1_000_000n)).toEqual([
    9n,
    7n,
    5n,
  ]);
});

test("connections with segments that were sent again, and no others", () => {
  const events = [0, 4, 0, 2].map((retransmits, n) =>
    event("close", { ...clientPort(n + 1), totals: { ...TOTALS, retransmits } }),
  );
  const { retransmits } = summaryOf(events, "process");
  expect(retransmits.map(({ event: { totals } }) => totals!.retransmits)).toEqual([4, 2]);
});

test("memory has a bound: remote ends beyond it are one group", () => {
  const tally = new Tally("remote", 3);
  const ends = 70_000;
  for (let n = 0; n < ends; n++)
    tally.add(
      event("close", { remote: { address: `2001:db8::${n.toString(16)}`, port: 443 } }),
      0n,
    );
  const { groups, sums } = tally.summary();
  expect(sums.connections).toBe(ends);
  expect(groups.length).toBeLessThan(66_000);
  const others = groups.find(({ name }) => name === OTHERS);
  expect(others!.connections).toBe(ends - groups.length + 1);
});

test("the name of a process moves nothing on the terminal and ends no cell of CSV", () => {
  const summary = summaryOf([event("close", { comm: '\x1b[2J=1,"' })], "process");
  const options = { most: 3, offsetAt: utc, losses: [] };
  for (const render of Object.values(renderings))
    expect(render(summary, options)).not.toContain("\x1b");
  expect(renderings.csv(summary, options)).toContain(String.raw`"\x1b[2J=1,"""`);
  const { groups } = JSON.parse(renderings.json(summary, options)) as { groups: object[] };
  expect(groups).toMatchObject([{ process: '\x1b[2J=1,"', connections: 1 }]);
});
