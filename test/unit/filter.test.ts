/** A filter lets the right events through: each row alone, then all together against a plain reading of the rules. */
import { describe, expect, test } from "bun:test";
import type { ConnEvent } from "../../src/conn/event.ts";
import { parseCidr, within, type Cidr } from "../../src/filter/cidr.ts";
import { matcher, noFilter, sieve, type Filter } from "../../src/filter/filter.ts";
import { NO_DETAILS } from "../../src/protocols/hello.ts";
import { stackOf, type Application } from "../../src/protocols/stack.ts";
import { addressText, parseAddress } from "../../src/record/address.ts";
import { fc, runs } from "./drive/random.ts";

const close: ConnEvent = {
  kind: "close",
  protocol: "tcp",
  atNs: 0n,
  pid: 637,
  comm: "curl",
  family: 4,
  direction: "outgoing",
  netns: 4026531833,
  uid: 1000,
  cgroup: "/system.slice/web.service/worker",
  local: { address: "10.1.2.3", port: 42724 },
  remote: { address: "192.0.2.7", port: 443 },
};

const networks = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text)!);

type Case = [ask: Partial<Filter>, event: Partial<ConnEvent>];
const told = (...[ask, event]: Case) => matcher({ ...noFilter, ...ask })({ ...close, ...event });

const at = (address: string, port = 1) => ({ address, port });

const translated = { local: null, remote: at("10.1.2.2", 8080) };

describe("shown", () => {
  test.each<Case>([
    [{}, {}],
    [{ pids: [1, 637] }, {}],
    [{ comms: ["sh", "curl"] }, {}],
    [{ comms: ["a-very-long-command"] }, { comm: "a-very-long-com" }],
    [{ containers: ["web"] }, { cgroup: "/x", container: "c0ffee", containerName: "web" }],
    [{ comms: ["java"] }, { comm: "java", thread: "http-nio-8080-e" }],
    [{ comms: ["http-nio-8080-exec"] }, { comm: "java", thread: "http-nio-8080-e" }],
    [{ comms: ["worker"] }, { comm: null, thread: "worker" }],
    [{ comms: ["fünfzehn-bytes-ü"] }, { comm: "fünfzehn-bytes" }],
    [{ comms: ["cut-in-the-midü"] }, { comm: "cut-in-the-mid\udcc3" }],
    [{ ports: [443] }, {}],
    [{ ports: [42724] }, {}],
    [{ ports: [443] }, { local: at("10.1.2.3", 0) }],
    [{ localPorts: [42724] }, {}],
    [{ remotePorts: [80, 443] }, {}],
    [{ localNets: networks("10.0.0.0/8") }, {}],
    [{ remoteNets: networks("192.0.2.7") }, {}],
    [{ remoteNets: networks("::ffff:192.0.2.0/120") }, {}],
    [{ remoteNets: networks("2001:db8::/32") }, { family: 6, remote: at("2001:db8::1") }],
    [{ families: [4] }, {}],
    [{ families: [4, 6] }, { family: 6 }],
    [{ protocols: ["udp"] }, { protocol: "udp" }],
    [{ netns: [4026531833] }, {}],
    [{ cgroups: ["/system.slice/web.service"] }, {}],
    [{ cgroups: ["/system.slice/web.service/worker"] }, {}],
    [{ cgroups: [""] }, {}],
    [{ cgroups: [""] }, { cgroup: "/" }],
    [{ uids: [0, 1000] }, {}],
    [{ uids: [0] }, { uid: 0 }],
    [{ kinds: ["close"] }, {}],
    [{ notKinds: ["open"] }, {}],
    [{ failed: true }, { kind: "fail", failure: 111 }],
    [{ failed: true }, { kind: "fail", failure: null }],
    [{ failed: true }, { failure: 104 }],
    [{ failed: true }, { failure: null }],
    [{ pids: [637], remotePorts: [443], failed: true }, { failure: 104 }],
    [{ nat: true }, { nat: translated }],
    [{ nat: true }, { nat: { local: at("10.9.9.9"), remote: null } }],
    [{ natRemoteNets: networks("10.1.2.0/24") }, { nat: translated }],
    [{ natRemotePorts: [80, 8080] }, { nat: translated }],
    [{ natLocalNets: networks("fd00::/8") }, { nat: { local: at("fd00::1"), remote: null } }],
    [{ natLocalPorts: [30080] }, { nat: { local: at("10.9.9.9", 30080), remote: null } }],
  ])("%j of %j", (ask, event) => {
    expect(told(ask, event)).toBe(true);
  });
});

describe("not shown", () => {
  test.each<Case>([
    [{ pids: [63, 6370] }, {}],
    [{ pids: [637] }, { pid: null }],
    [{ comms: ["cur", "curl2", "CURL"] }, {}],
    [{ comms: ["curl"] }, { comm: null }],
    [{ comms: ["curl"] }, { comm: null, thread: "worker" }],
    [{ comms: ["curl"] }, { comm: "java", thread: "worker" }],
    [{ comms: ["a-very-long-command"] }, { comm: "a-very-long-co" }],
    [{ ports: [80] }, {}],
    [{ ports: [443] }, { remote: at("192.0.2.7", 0) }],
    [{ localPorts: [443] }, {}],
    [{ localPorts: [443] }, { local: at("0.0.0.0", 0) }],
    [{ remotePorts: [42724] }, {}],
    [{ localNets: networks("192.0.2.7", "11.0.0.0/8", "::/0") }, {}],
    [{ localNets: networks("0.0.0.0/0") }, { local: at("0.0.0.0", 0) }],
    [{ remoteNets: networks("0.0.0.0/0") }, { family: 6, remote: at("::1") }],
    [{ remoteNets: networks("10.0.0.0/8") }, {}],
    [{ families: [6] }, {}],
    [{ protocols: ["udp"] }, {}],
    [{ netns: [4026531840] }, {}],
    [{ netns: [4026531833] }, { netns: null }],
    [{ cgroups: ["/system.slice/web"] }, {}],
    [{ cgroups: ["/system.slice/web.service/worker/deeper"] }, {}],
    [{ cgroups: [""] }, { cgroup: null }],
    [{ uids: [0] }, {}],
    [{ uids: [0] }, { uid: null }],
    [{ kinds: ["open", "connect"] }, {}],
    [{ notKinds: ["close"] }, {}],
    [{ kinds: ["close"], notKinds: ["close"] }, {}],
    [{ failed: true }, {}],
    [{ failed: true }, { kind: "connect" }],
    [{ pids: [637], remotePorts: [80] }, {}],
    [{ nat: true }, { nat: false }],
    [{ nat: true }, { nat: null }],
    [{ nat: true }, {}],
    [{ natRemoteNets: networks("0.0.0.0/0") }, { nat: false }],
    [{ natRemoteNets: networks("192.0.2.7") }, { nat: translated }],
    [{ natRemotePorts: [443] }, { nat: translated }],
    [{ natLocalNets: networks("0.0.0.0/0") }, { nat: translated }],
    [{ natLocalPorts: [8080] }, { nat: translated }],
    [{ natRemotePorts: [443] }, {}],
  ])("%j of %j", (ask, event) => {
    expect(told(ask, event)).toBe(false);
  });

  test("what an event does not even have", () => {
    const { uid: _, cgroup: __, ...bare } = close;
    expect(matcher({ ...noFilter, uids: [1000] })(bare)).toBe(false);
    expect(matcher({ ...noFilter, cgroups: [""] })(bare)).toBe(false);
  });
});

test("events that were hidden only for what is not known of them are counted, and no others", () => {
  const wanted = sieve({ ...noFilter, pids: [637], remotePorts: [443], kinds: ["close"] });
  expect(wanted.shows(close)).toBe(true);
  expect(wanted.unsure).toBe(0);
  expect(wanted.shows({ ...close, pid: null })).toBe(false);
  expect(wanted.shows({ ...close, pid: null, remote: at("192.0.2.7", 0) })).toBe(false);
  expect(wanted.unsure).toBe(2);
  // Another kind, another port: whatever the process was, they are not wanted.
  expect(wanted.shows({ ...close, pid: null, kind: "connect" })).toBe(false);
  expect(wanted.shows({ ...close, pid: null, remote: at("192.0.2.7", 80) })).toBe(false);
  expect(wanted.shows({ ...close, pid: 638 })).toBe(false);
  expect(wanted.unsure).toBe(2);
});

test("a translation that is not known may have been the one, a plain connection not", () => {
  const wanted = sieve({ ...noFilter, nat: true, natRemotePorts: [8080] });
  for (const nat of [null, false, { local: at("10.0.0.1"), remote: null }] as const)
    expect(wanted.shows({ ...close, nat })).toBe(false);
  expect(wanted.unsure).toBe(1);
  expect(wanted.shows({ ...close, nat: translated })).toBe(true);
});

test("where one end is not known, its port may have been the one", () => {
  const wanted = sieve({ ...noFilter, ports: [80] });
  expect(wanted.shows(close)).toBe(false);
  expect(wanted.unsure).toBe(0);
  expect(wanted.shows({ ...close, remote: at("0.0.0.0", 0) })).toBe(false);
  expect(wanted.unsure).toBe(1);
});

const v4 = (address: string): Partial<ConnEvent> => ({ family: 4, remote: at(address) });
const v6 = (address: string): Partial<ConnEvent> => ({ family: 6, remote: at(address) });

test.each<[string, Partial<Filter>, Partial<ConnEvent>]>([
  ["an attempt without a local port, by port", { ports: [80] }, { local: at("0.0.0.0", 0) }],
  ["the same by local port", { localPorts: [80] }, { local: at("0.0.0.0", 0) }],
  ["the same by local network", { localNets: networks("10.0.0.0/8") }, { local: at("::", 0) }],
  ["an unknown IPv6 address, by IPv4 networks", { remoteNets: networks("10.0.0.0/8") }, v6("::")],
  ["an unknown IPv4 address, by IPv6 networks", { remoteNets: networks("::/0") }, v4("0.0.0.0")],
])("what could not have matched is not counted: %s", (_, ask, event) => {
  const wanted = sieve({ ...noFilter, ...ask });
  expect(wanted.shows({ ...close, ...event })).toBe(false);
  expect(wanted.unsure).toBe(0);
});

test("an unknown address of a family that is asked for could have matched", () => {
  const wanted = sieve({ ...noFilter, remoteNets: networks("10.0.0.0/8", "2001:db8::/32") });
  expect(wanted.shows({ ...close, ...v4("0.0.0.0") })).toBe(false);
  expect(wanted.shows({ ...close, ...v6("::") })).toBe(false);
  expect(wanted.unsure).toBe(2);
});

describe("a network", () => {
  test.each<[string, string, boolean]>([
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.9.9.9/8", "10.1.1.1", true],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::1", false],
    ["192.0.2.1/31", "192.0.2.0", true],
    ["192.0.2.1/32", "192.0.2.0", false],
    ["192.0.2.1", "192.0.2.1", true],
    ["::1", "::1", true],
    ["::1", "::2", false],
    ["::/0", "2001:db8::1", true],
    ["::/0", "127.0.0.1", false],
    ["fe80::/10", "febf::1", true],
    ["fe80::/10", "fec0::1", false],
    ["2001:DB8::/33", "2001:db8:8000::", false],
    ["::ffff:127.0.0.1", "127.0.0.1", true],
    ["::ffff:7f00:0/104", "127.9.9.9", true],
    ["::ffff:0:0/96", "8.8.8.8", true],
    ["127.0.0.0/8", "::ffff:127.0.0.1", true],
    ["::ffff:127.0.0.1/80", "127.0.0.1", false],
    ["::ffff:127.0.0.1/80", "::fffe:1:1", true],
    ["127.0.0.1", "nonsense", false],
  ])("%s and %s: %j", (network, address, inside) => {
    expect(within(networks("203.0.113.9", network), address)).toBe(inside);
  });

  test.each([
    "",
    "/",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08x",
    "10.0.0.0/8/8",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "::/129",
    "fe80::1%eth0",
    "[::1]",
    "localhost",
    " 10.0.0.1",
  ])("%j is none", (text) => {
    expect(parseCidr(text)).toBeNull();
  });

  const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
  const bitsOf = (address: Uint8Array, count: number): string =>
    [...address]
      .map((byte) => byte.toString(2).padStart(8, "0"))
      .join("")
      .slice(0, count);

  /** Half of the addresses share their beginning with the network, or nothing would ever match. */
  test.each([
    [4, 4, 32],
    [6, 16, 128],
  ] as const)(
    "of IPv%d has the addresses whose first bits are its own",
    (family, length, width) => {
      const inputs = fc.tuple(bytes(length), bytes(length), fc.nat(width), fc.nat(length));
      fc.assert(
        fc.property(inputs, ([base, other, bits, same]) => {
          other.set(base.subarray(0, same));
          const asText = (part: Uint8Array) => {
            const whole = new Uint8Array(16);
            whole.set(part);
            return addressText(whole, family);
          };
          const [network, address] = [asText(base), asText(other)];
          fc.pre(network.family === family && address.family === family);
          const expected = bitsOf(base, bits) === bitsOf(other, bits);
          expect(within(networks(`${network.address}/${bits}`), address.address)).toBe(expected);
        }),
        runs(2000),
      );
    },
  );

  test("is read whole: whatever is accepted has its address and its prefix", () => {
    const texts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.string());
    fc.assert(
      fc.property(texts, fc.option(fc.nat(140), { nil: undefined }), (address, bits) => {
        const cidr = parseCidr(bits === undefined ? address : `${address}/${bits}`);
        const parsed = parseAddress(address);
        const width = parsed?.family === 4 ? 32 : 128;
        expect(cidr !== null).toBe(parsed !== null && (bits ?? 0) <= width);
      }),
    );
  });
});

describe("by protocol", () => {
  const of = (application: Application | null, serverName: string | null = null) => ({
    ...close,
    application,
    tls: serverName === null ? null : { ...NO_DETAILS, serverName },
  });
  const grpc = of(stackOf("grpc", "http2", null));
  const secure = of(stackOf(null, "postgres", "tls"), "db.Example.com");
  const unknown = of(null);
  const shown = (filter: Partial<Filter>) => {
    const wanted = sieve({ ...noFilter, ...filter });
    const which = [grpc, secure, unknown].map((event) => wanted.shows(event));
    return [...which, wanted.unsure];
  };

  test("each layer counts, and a protocol that is not known is neither", () => {
    expect(shown({ apps: ["http2"] })).toEqual([true, false, false, 1]);
    expect(shown({ apps: ["grpc", "tls"] })).toEqual([true, true, false, 1]);
    expect(shown({ notApps: ["tls"] })).toEqual([true, false, false, 1]);
    expect(shown({ notApps: ["tls", "grpc"] })).toEqual([false, false, false, 1]);
  });
  test("the name of a server, or all below a name, in letters of any size", () => {
    expect(shown({ serverNames: ["db.example.com"] })).toEqual([false, true, false, 2]);
    expect(shown({ serverNames: ["*.example.com"] })).toEqual([false, true, false, 2]);
    expect(shown({ serverNames: ["example.com", "*.db.example.com"] }).slice(0, 3)).toEqual([
      false,
      false,
      false,
    ]);
    expect(shown({ notServerNames: ["*.example.com"] })).toEqual([false, false, false, 2]);
  });
});

/** Values so few that events and filters often meet. */
const pick = <T>(...values: T[]) => fc.constantFrom(...values);
const list = <T>(...values: T[]) => fc.subarray(values);
const end = fc.record({ address: pick("10.0.0.1", "10.0.0.2", "0.0.0.0"), port: pick(0, 80, 443) });
const someEvent = fc
  .record({
    kind: pick<ConnEvent["kind"]>("connect", "accept", "close", "fail", "open", "begin", "sample"),
    protocol: pick("tcp" as const, "udp" as const),
    atNs: fc.constant(0n),
    pid: pick(1, 2, null),
    comm: pick("a", "b", null),
    family: pick(4 as const, 6 as const),
    direction: pick("outgoing" as const),
    netns: pick(7, 8, null),
    uid: pick(0, 1, null),
    cgroup: pick("/a", "/a/b", "/ab", null),
    local: end,
    remote: end,
    nat: fc.oneof(
      pick(null, false as const),
      fc.record({ local: fc.constant(null), remote: end }),
      fc.record({ local: end, remote: fc.option(end, { nil: null }) }),
    ),
    application: pick(stackOf(null, "http", null), stackOf("grpc", "http2", "tls"), null),
    tls: fc.option(
      pick("a.example.com", "b.test", null).map((serverName) => ({ ...NO_DETAILS, serverName })),
      { nil: null },
    ),
    failed: fc.boolean(),
  })
  .map(({ failed, ...event }): ConnEvent => (failed ? { ...event, failure: 111 } : event));
const someFilter: fc.Arbitrary<Filter> = fc.record({
  pids: list(1, 2),
  comms: list("a", "b"),
  ports: list(80, 443),
  localPorts: list(80, 443),
  remotePorts: list(80, 443),
  localNets: fc.constant([]),
  remoteNets: fc.subarray(networks("10.0.0.1", "10.0.0.2/31")),
  families: list(4 as const, 6 as const),
  protocols: list("tcp" as const, "udp" as const),
  netns: list(7, 8),
  cgroups: list("/a", "/a/b"),
  uids: list(0, 1),
  units: list("a", "b.slice"),
  containers: list("web", "beef"),
  not: fc.constant(noFilter.not),
  kinds: list<ConnEvent["kind"]>("connect", "accept", "close", "fail", "open", "begin", "sample"),
  notKinds: fc.constant([]),
  natLocalNets: fc.subarray(networks("10.0.0.1", "10.0.0.2/31")),
  natRemoteNets: fc.subarray(networks("10.0.0.1", "10.0.0.2/31")),
  natLocalPorts: list(80, 443),
  natRemotePorts: list(80, 443),
  nat: fc.boolean(),
  apps: list("http" as const, "tls" as const, "grpc" as const),
  // Of several values none may be met: here they are no alternatives.
  notApps: list("tls" as const),
  serverNames: list("a.example.com", "*.test"),
  notServerNames: list("*.example.com"),
  failed: fc.boolean(),
});
const parts = (Object.keys(noFilter) as (keyof Filter)[]).filter((part) => part !== "not");
const lists = Object.keys(noFilter.not) as (keyof Filter["not"])[];
/** The same filter, asking for one thing only. */
const only = (filter: Filter, part: keyof Filter): Filter => ({
  ...noFilter,
  [part]: filter[part],
});

test("flags are met all together, the values of one flag each by itself", () => {
  const outcomes = new Set<boolean>();
  // A filter that asks for half of everything lets nothing through: a few parts of it are more telling.
  fc.assert(
    fc.property(
      someFilter,
      someEvent,
      fc.subarray(parts, { maxLength: 3 }),
      (full, event, asked) => {
        const filter = asked.reduce<Filter>(
          (all, part) => ({ ...all, [part]: full[part] }),
          noFilter,
        );
        const all = asked.every((part) => matcher(only(filter, part))(event));
        const shown = matcher(filter)(event);
        expect(shown).toBe(all);
        outcomes.add(shown);
        for (const part of asked) {
          const values = filter[part] as boolean | readonly unknown[];
          if (typeof values === "boolean" || values.length === 0) continue;
          const any = values.some((value) => matcher({ ...noFilter, [part]: [value] })(event));
          expect(matcher(only(filter, part))(event)).toBe(any);
        }
      },
    ),
    runs(2000),
  );
  expect(outcomes.size).toBe(2);
});

test("unsure is what no flag refuses and some flag cannot tell", () => {
  let seen = 0;
  const verdict = (filter: Filter, event: ConnEvent): "yes" | "no" | "unsure" => {
    const wanted = sieve(filter);
    if (wanted.shows(event)) return "yes";
    return wanted.unsure === 0 ? "no" : "unsure";
  };
  fc.assert(
    fc.property(
      someFilter,
      someEvent,
      fc.subarray(parts, { maxLength: 3 }),
      (full, event, asked) => {
        const filter = asked.reduce<Filter>(
          (all, part) => ({ ...all, [part]: full[part] }),
          noFilter,
        );
        const each = new Set(asked.map((part) => verdict(only(filter, part), event)));
        const expected = each.has("no") ? "no" : each.has("unsure") ? "unsure" : "yes";
        expect(verdict(filter, event)).toBe(expected);
        if (expected === "unsure") seen++;
      },
    ),
    runs(2000),
  );
  expect(seen).toBeGreaterThan(5);
});

test("a list of what is not wanted shows what the same list does not, unless that is not known", () => {
  const outcomes = new Set<string>();
  fc.assert(
    fc.property(someFilter, someEvent, fc.constantFrom(...lists), (full, event, list) => {
      if (full[list].length === 0) return;
      const wanted = sieve({ ...noFilter, [list]: full[list] });
      const unwanted = sieve({ ...noFilter, not: { ...noFilter.not, [list]: full[list] } });
      const [has, shown] = [wanted.shows(event), unwanted.shows(event)];
      expect(unwanted.unsure).toBe(wanted.unsure);
      expect(shown).toBe(wanted.unsure === 0 && !has);
      outcomes.add(shown ? "shown" : "hidden");
    }),
    runs(3000),
  );
  expect(outcomes).toEqual(new Set(["shown", "hidden"]));
});

test("of several lists of what is not wanted each takes its share", () => {
  const filter = { ...noFilter, not: { ...noFilter.not, ports: [443], pids: [1] } };
  const shows = (event: Partial<ConnEvent>) => matcher(filter)({ ...close, ...event });
  expect(shows({})).toBe(false);
  expect(shows({ remote: at("192.0.2.7", 80) })).toBe(true);
  expect(shows({ remote: at("192.0.2.7", 80), pid: 1 })).toBe(false);
});

test.each<[string, string, boolean]>([
  ["nginx", "/system.slice/nginx.service", true],
  ["nginx", "/system.slice/nginx.service/worker", true],
  ["nginx.service", "/system.slice/nginx.service", true],
  ["nginx", "/system.slice/nginx-debug.service", false],
  ["nginx", "/nginx", false],
  ["system.slice", "/system.slice/nginx.service", true],
])("unit %s has the group %s: %p", (unit, cgroup, has) => {
  expect(told({ units: [unit] }, { cgroup })).toBe(has);
});

const ID = "0123beef".repeat(8);
test.each<[string, string | null, boolean]>([
  ["0123", ID, true],
  [ID, ID, true],
  ["012", ID, false],
  ["beef", ID, false],
  ["web", "web", true],
  ["we", "web", false],
  ["web", null, false],
])("container %s is %s: %p", (asked, container, is) => {
  expect(told({ containers: [asked] }, { container })).toBe(is);
  expect(told({ not: { ...noFilter.not, containers: [asked] } }, { container })).toBe(!is);
});
