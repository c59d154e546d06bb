/** Messages about values of a filter that this host does not have. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { absent } from "../../src/commands/absent.ts";
import { noFilter } from "../../src/filter/filter.ts";
import { cgroupPaths, hasCgroup } from "../../src/kernel/host_names.ts";

const WEB = `b0b1${"0".repeat(60)}`;
const DB = `c0c1${"1".repeat(60)}`;

/** A host with a service and three containers, two of which have a name. */
const host = {
  hasProcess: (pid: number) => pid < 10,
  hasCgroup: (path: string) => path === "/",
  cgroupPaths: () => [
    "/user.slice",
    "/system.slice/nginx.service",
    `/system.slice/docker-${WEB}.scope`,
    `/system.slice/docker-${WEB}.scope/init`,
    `/system.slice/docker-${DB}.scope`,
    "/lxc.payload.mail",
  ],
  containerName: (id: string) => ({ [WEB]: "web" })[id],
  hasNamespace: (netns: number) => netns === 4026531833,
  tracksConnections: () => false,
};
const told = (filter: Partial<typeof noFilter>, of: Parameters<typeof absent>[1] = host) =>
  absent({ ...noFilter, ...filter }, of);

describe("a value that is not there is told, one that is there is not", () => {
  test("a process", () => {
    expect(told({ pids: [1, 99] })).toEqual(["--pid 99: no such process exists now"]);
    expect(told({ pids: Array.from({ length: 20 }, (_, n) => n + 10) })).toEqual([
      "--pid 10, 11, 12, 13, 14, 15, 16, 17 and 12 more: no such process exists now",
    ]);
  });

  test("a control group", () => {
    expect(told({ cgroups: ["/", "/none/such"] })).toEqual([
      "--cgroup /none/such: no such control group exists now",
    ]);
  });

  test("a network namespace", () => {
    expect(told({ netns: [4026531833, 4026539999] })).toEqual([
      "--netns 4026539999: no process is in such a network namespace now, and it has no name",
    ]);
  });

  test("a unit, with the one that was meant", () => {
    expect(told({ units: ["nginx", "nginx.service", "user.slice"] })).toEqual([]);
    expect(told({ units: ["nginx", "ngnix"] })).toEqual([
      "--unit ngnix: no such unit runs now; did you mean nginx?",
    ]);
    expect(told({ units: ["postgresql"] })).toEqual([
      "--unit postgresql: no such unit runs now; there are nginx",
    ]);
  });

  test("a container, by its id, the beginning of its id, or its name", () => {
    expect(told({ containers: ["web", WEB, "b0b1", "c0c1111", "mail"] })).toEqual([]);
    expect(told({ containers: ["wbe"] })).toEqual([
      "--container wbe: no such container runs now; did you mean web?",
    ]);
    // Three digits are a name.
    expect(told({ containers: ["b0b", "c0c2"] })).toEqual([
      "--container b0b, c0c2: no such container runs now; there are c0c111111111, mail, web",
    ]);
  });

  test("where no container runs at all", () => {
    const bare = { ...host, cgroupPaths: () => ["/init.scope"] };
    expect(told({ containers: ["web"], units: ["nginx"] }, bare)).toEqual([
      "--unit nginx: no such unit runs now, nor any other",
      "--container web: no such container runs now, nor any other",
    ]);
  });

  test("the kernel's tracking of connections, where translated ones are asked for", () => {
    const message = expect.stringMatching(/^--nat or .*: the kernel tracks no connections now/);
    expect(told({ nat: true })).toEqual([message]);
    expect(told({ natRemotePorts: [80] })).toEqual([message]);
    expect(told({ nat: true }, { ...host, tracksConnections: () => true })).toEqual([]);
  });

  test("nothing where no control group is mounted, since nobody can tell", () => {
    const blind = { ...host, cgroupPaths: () => null };
    expect(told({ containers: ["web"], units: ["nginx"] }, blind)).toEqual([]);
  });
});

describe("on this host", () => {
  test("this process, its control group and its network namespace are there", () => {
    const netns = statSync("/proc/self/ns/net").ino;
    const there = { ...noFilter, pids: [1, process.pid], cgroups: ["/"], netns: [netns] };
    expect(absent(there)).toEqual([]);
    expect(absent({ ...noFilter, pids: [4_194_304], cgroups: ["/none/such"] })).toEqual([
      "--pid 4194304: no such process exists now",
      "--cgroup /none/such: no such control group exists now",
    ]);
  });

  test("control groups are found in each hierarchy, once each", () => {
    const dir = mkdtempSync(join(tmpdir(), "absent-test-"));
    try {
      mkdirSync(join(dir, "one/a.slice/b.service"), { recursive: true });
      mkdirSync(join(dir, "two/a.slice"), { recursive: true });
      const mounts = ["/none", join(dir, "one"), join(dir, "two")];
      expect(cgroupPaths(mounts)!.toSorted()).toEqual(["/a.slice", "/a.slice/b.service"]);
      expect(["/a.slice", "/b.slice"].map((path) => hasCgroup(path, mounts))).toEqual([
        true,
        false,
      ]);
      expect([cgroupPaths([]), hasCgroup("/b.slice", [])]).toEqual([null, true]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
