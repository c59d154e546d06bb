/** From what people type to a filter, and what they are told when it is malformed. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, group } from "../../src/commands/command.ts";
import { filterFlags, filterOf, leftToAsk } from "../../src/commands/filter_flags.ts";
import { resolve } from "../../src/commands/strict.ts";
import { UsageError } from "../../src/errors.ts";
import { parseCidr } from "../../src/filter/cidr.ts";
import { noFilter, sieve, type Filter } from "../../src/filter/filter.ts";
import { cgroupMounts, localUsers, netnsAt, servicePorts } from "../../src/kernel/host_names.ts";

/** A host with few names. */
const host = {
  cgroupMounts: () => ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"],
  localUsers: () =>
    new Map([
      ["root", 0],
      ["nginx", 101],
    ]),
  namedNetns: () =>
    new Map([
      ["blue", "/run/netns/blue"],
      ["1", "/var/run/netns/1"],
    ]),
  netnsAt: (path: string) =>
    ({
      "/run/netns/blue": 4026532000,
      "/var/run/netns/1": 4026532001,
      "/proc/7/ns/net": 4026531833,
    })[path] ?? `${path}: no such file`,
  servicePorts: () =>
    new Map([
      ["https", 443],
      ["domain", 53],
    ]),
};

async function parsed(...argv: string[]): Promise<Filter> {
  let filter = noFilter;
  const leaf = command({
    description: "d",
    flags: filterFlags,
    run: (args) => void (filter = filterOf(args, "t go", host)),
  });
  const resolution = resolve("t", group("d", { go: leaf }), ["go", ...argv]);
  if (resolution.kind !== "run") throw new Error(`resolved to ${resolution.kind}`);
  await resolution.command.run?.(resolution.args);
  return filter;
}

async function refusal(...argv: string[]): Promise<UsageError> {
  try {
    await parsed(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
}

const cidr = (text: string) => parseCidr(text)!;

test("without a flag everything is wanted", async () => {
  expect(await parsed()).toEqual(noFilter);
});

test.each<[string[], Partial<Filter>]>([
  [["-p", "1"], { pids: [1] }],
  [["--pid", "12,4194304", "-p7", "-p", "12"], { pids: [7, 12, 4194304] }],
  [["--comm", "curl,wget"], { comms: ["curl", "wget"] }],
  [["-P", "443"], { ports: [443] }],
  [["--port", "80,443", "-P", "65535,1"], { ports: [1, 80, 443, 65535] }],
  [["-L", "8000-8003,8002,22"], { localPorts: [22, 8000, 8001, 8002, 8003] }],
  [["--localport=5-5"], { localPorts: [5] }],
  [["-D", "53"], { remotePorts: [53] }],
  [["--remoteport", "53"], { remotePorts: [53] }],
  [["--laddr", "127.0.0.1,::1"], { localNets: [cidr("127.0.0.1"), cidr("::1")] }],
  [
    ["--raddr", "10.0.0.0/8", "--raddr", "fd00::/8"],
    { remoteNets: [cidr("10.0.0.0/8"), cidr("fd00::/8")] },
  ],
  [["-4"], { families: [4] }],
  [["--ipv4"], { families: [4] }],
  [["-6"], { families: [6] }],
  [["-46"], { families: [4, 6] }],
  [["--tcp"], { protocols: ["tcp"] }],
  [["--udp"], { protocols: ["udp"] }],
  [["--udp", "--tcp"], { protocols: ["tcp", "udp"] }],
  [["-N", "4026532999"], { netns: [4026532999] }],
  [["--netns", "blue,1", "-N", "pid:7"], { netns: [4026531833, 4026532000, 4026532001] }],
  [["-N", "/run/netns/blue"], { netns: [4026532000] }],
  [["--cgroup", "/system.slice/nginx.service"], { cgroups: ["/system.slice/nginx.service"] }],
  [["--cgroup", "/sys/fs/cgroup/user.slice/"], { cgroups: ["/user.slice"] }],
  [["--cgroup", "/sys/fs/cgroup/unified/user.slice"], { cgroups: ["/user.slice"] }],
  [["--cgroup", "/sys/fs/cgroup/unified"], { cgroups: [""] }],
  [["--cgroup", "/sys/fs/cgroups"], { cgroups: ["/sys/fs/cgroups"] }],
  [["--cgroup", "//a//b//"], { cgroups: ["/a/b"] }],
  [["--cgroup", "/"], { cgroups: [""] }],
  [["--cgroup", "/sys/fs/cgroup/"], { cgroups: [""] }],
  [["--cgroup", "/sys/fs/cgroup"], { cgroups: [""] }],
  [["-u", "0"], { uids: [0] }],
  [["--uid", "nginx,4294967294", "-u", "root"], { uids: [0, 101, 4294967294] }],
  [["--events", "close,fail"], { kinds: ["close", "fail"] }],
  [["--events", "close", "--events", "open"], { kinds: ["close", "open"] }],
  [["--events", "!sample,!begin"], { notKinds: ["sample", "begin"] }],
  [["--events", "close,open,!open"], { kinds: ["close", "open"], notKinds: ["open"] }],
  [["--failed"], { failed: true }],
  [["--failed", "--events", "connect,close"], { failed: true, kinds: ["connect", "close"] }],
  [["-4p1", "--tcp"], { families: [4], pids: [1], protocols: ["tcp"] }],
  [["--app", "tls,!grpc"], { apps: ["tls"], notApps: ["grpc"] }],
  [
    ["--sni", "A.Example.com,!*.test"],
    { serverNames: ["a.example.com"], notServerNames: ["*.test"] },
  ],
])("%j asks for %j", async (argv, filter) => {
  expect(await parsed(...argv)).toEqual({ ...noFilter, ...filter });
});

describe("refused:", () => {
  test.each<[string[], message: RegExp, why: RegExp, suggestion: string]>([
    [["-p", "0"], /--pid: "0" is no process id/, /from 1 to/, "--pid 1234"],
    [["-p", "4194305"], /--pid: "4194305"/, /to 4194304/, "--pid 1234"],
    [["-p", "1.5"], /--pid: "1.5"/, /whole number/, "--pid 1234"],
    [["-p", "1,x2"], /--pid: "x2"/, /--comm/, "--pid 1234"],
    [["--app", "https"], /--app: "https" is no protocol/, /postgres/, "--app tls"],
    [["--app", "!postgresql"], /"postgresql" is no protocol/, /tls/, "--app postgres"],
    [["--sni", "https://a.example.com/"], /--sni: .* is no name/, /DNS/, "--sni a.example.com"],
    [["-P", "0"], /--port: "0" is no port/, /from 1 to 65535/, "--port 443"],
    [["-P", "65536"], /--port: "65536"/, /from 1 to 65535/, "--port 443"],
    [["-P", "http"], /--port: "http"/, /number/, "--port 443"],
    [["-P", "1e3"], /--port: "1e3"/, /number/, "--port 443"],
    [["-L", "90-80"], /--localport: "90-80"/, /smaller one first/, "--localport 80-90"],
    [["-L", "80:90"], /--localport: "80:90"/, /dash/, "--localport 80-90"],
    [["-L", "80-90-99"], /--localport: "80-90-99"/, /dash/, "--localport 443"],
    [["-D", "80-"], /--remoteport: "80-"/, /dash/, "--remoteport 443"],
    [["-D", "0-80"], /--remoteport: "0-80"/, /from 1/, "--remoteport 443"],
    [
      ["--laddr", "localhost"],
      /--laddr: "localhost" is no network/,
      /address/,
      "--laddr 10.0.0.0/8",
    ],
    [["--laddr", "10.0.0.0/33"], /--laddr: "10.0.0.0\/33"/, /0 to 32/, "--laddr 10.0.0.0/32"],
    [["--raddr", "::1/x"], /--raddr: "::1\/x"/, /0 to 128/, "--raddr ::1/128"],
    [["--raddr", "10.0.0/8"], /--raddr: "10.0.0\/8"/, /address/, "--raddr 10.0.0.0/8"],
    [
      ["-N", "blu"],
      /--netns: no network namespace "blu"/,
      /blu does not exist; .*named are blue, 1/,
      "--netns blue",
    ],
    [
      ["-N", "1234"],
      /--netns: no network namespace "1234"/,
      /named are blue, 1/,
      "--netns pid:1234",
    ],
    [["-N", "4294967296"], /"4294967296"/, /does not exist/, "--netns blue"],
    [["-N", "0"], /"0"/, /does not exist/, "--netns 1"],
    [["-N", "pid:8"], /"pid:8"/, /\/proc\/8\/ns\/net: no such file/, "--netns blue"],
    [["-N", "/nowhere"], /"\/nowhere"/, /\/nowhere: no such file/, "--netns blue"],
    [
      ["--cgroup", "nginx.service"],
      /"nginx.service" is no control group/,
      /slash/,
      "--cgroup /system.slice/nginx.service",
    ],
    [["--cgroup", "a/b"], /"a\/b"/, /slash/, "--cgroup /system.slice"],
    [["--cgroup", "/a/../b"], /"\/a\/..\/b"/, /path/, "--cgroup /system.slice"],
    [["-u", "ngnix"], /--uid: no user "ngnix"/, /\/etc\/passwd has root, nginx/, "--uid nginx"],
    [["-u", "4294967295"], /no user "4294967295"/, /passwd/, "--uid 1000"],
    [["-u", "-1"], /--uid needs a value/, /--uid=-1/, "--uid USER"],
    [["--events", "!closed"], /"!closed" is none of connect, accept/, /^$/, "--events !close"],
    [["--events", "close,!close"], /close,!close leaves no event/, /each event/, "--events close"],
    [
      ["--failed", "--events", "!fail,!close"],
      /--failed and --events !fail,!close exclude/,
      /only fail and close/,
      "--failed",
    ],
    [["--events", "closed"], /"closed" is none of connect, accept/, /^$/, "--events close"],
    [
      ["--failed", "--events", "accept,open"],
      /--failed and --events accept,open exclude/,
      /only fail and close/,
      "--failed",
    ],
    [["-p", "1,"], /empty item/, /^$/, "--pid 1"],
  ])("%j", async (argv, message, why, suggestion) => {
    const error = await refusal(...argv);
    expect(error.message).toMatch(message);
    expect(error.why ?? "").toMatch(why);
    expect(error.suggestion).toBe(suggestion);
    expect(error.exitCode).toBe(2);
    expect(error.hint).toContain("t go --help");
  });

  test("a user where /etc/passwd cannot be read, a namespace where none has a name", () => {
    const bare = { ...host, localUsers: () => new Map(), namedNetns: () => new Map() };
    const whyOf = (args: Parameters<typeof filterOf>[0]) => {
      try {
        filterOf(args, "t", bare);
      } catch (error) {
        return (error as UsageError).why;
      }
      return null;
    };
    expect(whyOf({ uid: "nginx" })).toMatch(/names nobody/);
    expect(whyOf({ netns: "blue" })).toMatch(/no namespace has a name/);
  });
});

describe("a filter that nothing can pass is refused:", () => {
  test.each<[string[], message: RegExp, why: RegExp, suggestion: string]>([
    [["-P", "443,!443"], /--port: 443,!443 leaves nothing/, /also one/, "--port 443"],
    [["-P", "80-82,!1-99"], /--port: 80-82,!1-99/, /also one/, "--port 80-82"],
    [["--comm", "curl,!curl"], /--comm: curl,!curl/, /also one/, "--comm curl"],
    [["--raddr", "10.1.0.0/16,!10.0.0.0/8"], /--raddr: /, /also one/, "--raddr 10.1.0.0/16"],
    [
      ["-l", "--raddr", "127.0.0.1,::1"],
      /--no-loopback and --raddr 127.0.0.1,::1 exclude/,
      /also one/,
      "leave out --no-loopback",
    ],
    [
      ["--tcp", "--events", "begin"],
      /--tcp and --events begin/,
      /only UDP/,
      "--udp --events begin",
    ],
    [
      ["--udp", "--events", "open,accept"],
      /--udp and --events open,accept/,
      /only TCP/,
      "--tcp --events open,accept",
    ],
    [["--udp", "--app", "http,tls"], /--udp and --app/, /TCP alone/, "--tcp --app http,tls"],
    [["--tcp", "--app", "quic"], /--tcp and --app/, /UDP alone/, "--udp --app quic"],
    [["-6", "--raddr", "10.0.0.0/8"], /--ipv6 and --raddr/, /IPv4/, "leave out --ipv6"],
    [["-4", "--laddr", "fd00::/8"], /--ipv4 and --laddr/, /IPv6/, "leave out --ipv4"],
  ])("%j", async (argv, message, why, suggestion) => {
    const error = await refusal(...argv);
    expect(error.message).toMatch(message);
    expect(error.why).toMatch(why);
    expect(error.suggestion).toBe(suggestion);
  });

  test.each<string[]>([
    ["-P", "443,80,!443"],
    ["--raddr", "10.0.0.0/8,!10.1.0.0/16"],
    ["--raddr", "10.0.0.0/8,!10.0.0.0/16"],
    ["-l", "--raddr", "127.0.0.1,10.0.0.1"],
    ["-l", "--raddr", "0.0.0.0/0"],
    ["--tcp", "--events", "begin,close"],
    ["--udp", "--app", "dns,http"],
    ["--tcp", "--app", "dns,grpc"],
    ["-6", "--raddr", "10.0.0.0/8,fd00::/8"],
    ["-46", "--laddr", "::1"],
  ])("but not %s %s %s %s", async (...argv) => {
    expect(await parsed(...argv.filter((text) => text !== undefined))).toBeDefined();
  });
});

describe("on this host", () => {
  test("root is user 0", () => {
    expect(localUsers().get("root")).toBe(0);
  });

  test("control groups are mounted where /proc/mounts says", () => {
    const mounts = readFileSync("/proc/mounts", "utf8").matchAll(/^\S+ (\S+) cgroup2? /gm);
    expect(cgroupMounts().toSorted()).toEqual([...mounts].map(([, point]) => point!).sort());
  });

  test("the file of a network namespace gives its inode, and no other file does", () => {
    const dir = mkdtempSync(join(tmpdir(), "filter-test-"));
    try {
      expect(netnsAt("/proc/self/ns/net")).toBe(statSync("/proc/self/ns/net").ino);
      expect(netnsAt("/proc/self/ns/mnt")).toMatch(/is no network namespace/);
      expect(netnsAt(join(dir, "missing"))).toMatch(/ENOENT/);
      writeFileSync(join(dir, "plain"), "");
      expect(netnsAt(join(dir, "plain"))).toMatch(/plain is no network namespace/);
      expect(Bun.spawnSync(["mkfifo", join(dir, "fifo")]).exitCode).toBe(0);
      expect(netnsAt(join(dir, "fifo"))).toMatch(/fifo is no network namespace/);
      expect(netnsAt(dir)).toMatch(/is no network namespace/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("values that are not wanted", () => {
  test("have ! in front, in every list, beside those that are", async () => {
    const filter = await parsed(
      "--comm",
      "curl,!chronyd",
      "-P",
      "!22,https,!domain",
      "-u",
      "!nginx",
    );
    expect(filter).toMatchObject({ comms: ["curl"], ports: [443], uids: [] });
    expect(filter.not).toEqual({
      ...noFilter.not,
      comms: ["chronyd"],
      ports: [22, 53],
      uids: [101],
    });
  });

  test("are refused like the others", async () => {
    expect((await refusal("--raddr", "!10.0.0.0/99")).message).toMatch(
      /"10.0.0.0\/99" is no network/,
    );
  });

  test("are loopback's with --no-loopback", async () => {
    const { not } = await parsed("--no-loopback", "--raddr", "!10.0.0.0/8");
    expect(not.remoteNets).toEqual(
      ["10.0.0.0/8", "127.0.0.0/8", "::1"].map((net) => parseCidr(net)!),
    );
  });
});

test("a port has the name of a service, an unknown one is refused with the nearest", async () => {
  expect((await parsed("-D", "https")).remotePorts).toEqual([443]);
  expect((await refusal("-P", "htps")).message).toMatch(/"htps" is no port/);
  expect(servicePorts().get("no such service")).toBeUndefined();
});

test("events of a trace of TCP alone need not be asked for their protocol, for all else they are", async () => {
  const asks = async (...argv: string[]) => sieve(leftToAsk(await parsed(...argv))).asks;
  expect(await asks()).toBe(false);
  expect(await asks("--tcp")).toBe(false);
  expect(await asks("--tcp", "--port", "80")).toBe(true);
  expect(await asks("--udp")).toBe(true);
});
