/** The published schema against lines as they are really written, of every kind. */
import Ajv2020 from "ajv/dist/2020.js";
import { describe, expect, test } from "bun:test";
import type { ConnEvent, Totals } from "../../src/conn/event.ts";
import { formats } from "../../src/output/index.ts";
import { eventKinds, lostMembers, members, protocols } from "../../src/members/table.ts";
import { eventSchema } from "../../src/output/schema.ts";
import { allAttributes } from "./drive/attributes.ts";
import { anyApplication, anyTls, anyTranslation } from "./drive/leaves.ts";
import { anyText, fc, runs } from "./drive/random.ts";

const ajv = new Ajv2020({ allErrors: true, strictTypes: false });
const published = ajv.compile(eventSchema());
/** As published, but nothing may be there that is not named. */
const closed = ajv.compile(closeObjects(eventSchema()));

const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
const u32 = orNull(fc.nat(2 ** 32 - 1));
const u64 = orNull(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const endpoint = fc.record({
  address: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("0.0.0.0", "::")),
  port: fc.oneof(fc.nat(65535), fc.constant(0)),
});
const totals: fc.Arbitrary<Totals> = fc.record({
  bytesSent: u64,
  bytesReceived: u64,
  segsOut: u32,
  segsIn: u32,
  rttUs: u32,
  rttVarUs: u32,
  retransmits: u32,
  durationNs: u64,
});
const everyEvent: fc.Arbitrary<ConnEvent> = fc
  .record({
    kind: fc.constantFrom(...eventKinds),
    protocol: fc.constantFrom(...protocols),
    connectNs: orNull(fc.bigInt({ min: 0n, max: 2n ** 63n })),
    acceptNs: orNull(fc.bigInt({ min: 0n, max: 2n ** 63n })),
    atNs: fc.bigInt({ min: 0n, max: 2n ** 63n }),
    pid: u32,
    comm: orNull(anyText({ maxLength: 15 })),
    ...allAttributes(u32),
    cgroup: orNull(anyText({ maxLength: 15 })),
    container: orNull(anyText({ maxLength: 15 })),
    family: fc.constantFrom(4, 6),
    direction: fc.constantFrom("outgoing", "incoming", "unknown"),
    netns: u32,
    local: endpoint,
    remote: endpoint,
    nat: fc.oneof(fc.constantFrom(null, false as const), anyTranslation),
    application: orNull(anyApplication),
    tls: orNull(anyTls),
  })
  .chain((event) =>
    fc.record({
      event: fc.constant(event),
      user: fc.option(orNull(anyText()), { nil: undefined }),
      name: fc.option(orNull(anyText()), { nil: undefined }),
      args: fc.option(anyText(), { nil: undefined }),
      failure: orNull(fc.constantFrom(111, 110, 113, 4095)),
      totals,
      more: fc.boolean(),
    }),
  )
  .map(({ event, user, name, args, failure, totals, more }): ConnEvent => {
    const { kind } = event;
    return {
      ...event,
      ...(user === undefined ? {} : { user }),
      ...(name === undefined ? {} : { remote: { ...event.remote, name } }),
      ...(args === undefined ? {} : { args }),
      ...(kind === "fail" || (kind === "close" && more) ? { failure } : {}),
      ...(kind === "close" || kind === "sample" || (kind === "open" && more) ? { totals } : {}),
    };
  });

describe("the schema", () => {
  test("accepts every line that can be written, and names every member in it", () => {
    fc.assert(
      fc.property(everyEvent, (event) => {
        const line = JSON.parse(formats.json.line(event, 1_795_372_801_123_456_789n));
        for (const validate of [published, closed])
          expect({ line, errors: validate(line) ? [] : validate.errors }).toEqual({
            line,
            errors: [],
          });
      }),
      runs(300),
    );
  });

  const lost = JSON.parse(formats.json.lost({ cause: "ring full", count: 2n ** 64n - 1n }, 0n));

  test("knows the object for lost events, whose count is exact", () => {
    for (const validate of [published, closed]) expect(validate(lost)).toBe(true);
    expect(Object.keys(lost)).toEqual(lostMembers.map(({ name }) => name));
    expect(formats.json.lost({ cause: 'a "b', count: 2n ** 64n - 1n }, 1_000n)).toBe(
      '{"v":1,"time":"1970-01-01T00:00:00.000001Z","event":"lost","cause":"a \\"b","count":18446744073709551615}',
    );
    for (const change of [{ count: null }, { count: -1 }, { cause: 1 }, { v: 2 }, { event: "x" }])
      expect(published({ ...lost, ...change })).toBe(false);
  });

  const connect = JSON.parse(
    formats.json.line(
      {
        kind: "connect",
        protocol: "tcp",
        atNs: 0n,
        pid: 1,
        comm: "c",
        family: 4,
        direction: "outgoing",
        netns: 1,
        local: { address: "127.0.0.1", port: 1 },
        remote: { address: "127.0.0.1", port: 2 },
      },
      0n,
    ),
  ) as Record<string, unknown>;

  const close = {
    event: "close",
    connect_us: undefined,
    accept_us: undefined,
    bytes_sent: 1,
    bytes_received: null,
    segs_out: 1,
    segs_in: 1,
    rtt_us: 1,
    rtt_var_us: 1,
    retransmits: 0,
    duration_us: null,
  };

  const noLayer = { api: null, application: null, encryption: null };
  const noDetail = { version: null, server_name: null, alpn: null, alpn_offered: null };

  test("knows a connection by TLS", () => {
    const application = { ...noLayer, application: "postgres", encryption: "tls" };
    const tls = { ...noDetail, version: "1.3", server_name: "db.example.com" };
    expect(published({ ...connect, application, tls })).toBe(true);
  });

  test("knows a close", () => {
    expect(published({ ...connect, ...close })).toBe(true);
  });

  test.each<[string, Record<string, unknown>]>([
    ["another version", { v: 2 }],
    ["an unknown event", { event: "connected" }],
    ["a close without its totals", { event: "close" }],
    ["a sample without its totals", { event: "sample" }],
    ["a begin with totals", { ...close, protocol: "udp", event: "begin" }],
    ["a connect with totals", { bytes_sent: 1 }],
    ["a TCP close with packets", { ...close, packets_sent: 1 }],
    ["a UDP close with segments", { ...close, protocol: "udp" }],
    ["a failure without its reason", { event: "fail" }],
    ["a connect with a failure", { failure: "ECONNREFUSED" }],
    ["a missing member", { pid: undefined }],
    ["null where it is never unknown", { family: null }],
    ["a number as text", { netns: "1" }],
    ["a fraction", { pid: 1.5 }],
    ["a negative number", { pid: -1 }],
    ["an endpoint without a port", { local: { address: "127.0.0.1" } }],
    ["a translation that is a number", { nat: 1 }],
    ["an application that is a name", { application: "tls" }],
    ["an application of an unknown name", { application: { ...noLayer, api: "soap" } }],
    ["a name in another layer", { application: { ...noLayer, application: "tls" } }],
    ["an application without a layer", { application: { api: null } }],
    ["a server name that is a number", { tls: { ...noDetail, server_name: 7 } }],
    ["a translation that is true", { nat: true }],
    ["a translation without an end", { nat: { local: null } }],
    ["a translated end without a port", { nat: { local: null, remote: { address: "::1" } } }],
  ])("refuses %s", (_, change) => {
    expect(published(connect)).toBe(true);
    expect(published(JSON.parse(JSON.stringify({ ...connect, ...change })))).toBe(false);
  });

  test("lets newer versions add members", () => {
    expect(published({ ...connect, colour: "blue" })).toBe(true);
    expect(closed({ ...connect, colour: "blue" })).toBe(false);
  });

  test("describes each member, and says all values where they are few", () => {
    for (const { name, description, values } of [...members, ...lostMembers]) {
      expect([name, description.length > 5]).toEqual([name, true]);
      if (values) expect(new Set(values).size).toBe(values.length);
    }
  });
});

function closeObjects(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_, value: unknown) =>
    typeof value === "object" && value !== null && "type" in value && value.type === "object"
      ? { ...value, additionalProperties: false }
      : value,
  ) as object;
}
