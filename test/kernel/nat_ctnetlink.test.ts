/** Entries of the kernel's connection tracking, made and found in network namespaces of the tests' own. */
import { describe, expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { CLONE_NEWNET, ENOENT } from "../../src/kernel/constants.ts";
import { Ctnetlink, ctnetlinkIsThere } from "../../src/kernel/ctnetlink.ts";
import { deleteEntry, getEntry, newEntry, turned } from "../../src/kernel/ctnetlink_codec.ts";
import * as libc from "../../src/kernel/libc.ts";
import { ownNetnsPath } from "../../src/kernel/namespaces.ts";

// Nothing of a host's kernel is loaded.
if (process.env["VM_KERNEL"] !== undefined)
  Bun.spawnSync(["modprobe", "nf_conntrack_netlink"], { stderr: "inherit" });

const modules = () =>
  existsSync("/proc/modules")
    ? readFileSync("/proc/modules", "latin1")
        .split("\n")
        .map((line) => line.split(" ")[0]!)
    : [];
const before = modules();
const isThere = ctnetlinkIsThere();

test("to look for ctnetlink loads no module, and finds it where the kernel or a module has its functions", () => {
  expect(modules()).toEqual(before);
  const symbols = readFileSync("/proc/kallsyms", "latin1");
  const has = (symbol: string) => new RegExp(` t ${symbol}(\\s|$)`, "m").test(symbols);
  expect(isThere).toBe(has("ctnetlink_get_conntrack") && has("nfnetlink_rcv"));
});

describe.skipIf(!isThere)("ctnetlink", () => {
  const end = (n: number, port: number) => ({
    family: 4 as const,
    address: `10.${n >> 8}.${n & 255}.1`,
    port,
  });
  const entries = Array.from({ length: 200 }, (_, n) => ({
    orig: { protocol: 6, source: end(n, 1000 + n), destination: end(n + 1000, 80) },
    reply: { protocol: 6, source: end(n + 2000, 8080), destination: end(n, 1000 + n) },
  }));

  test("makes 200 entries at once, finds each by either tuple, deletes each", () => {
    inFreshNamespace(() => {
      using conntrack = opened();
      const made = conntrack.ask(entries.map((of) => newEntry({ ...of, timeoutSeconds: 60 })));
      expect(new Set(made)).toEqual(new Set([0]));
      for (const tuple of ["orig", "reply"] as const)
        expect(conntrack.ask(entries.map((of) => getEntry(of[tuple])))).toEqual(
          entries.map((of) => expect.objectContaining({ ...of, zone: 0 })),
        );
      // Of a plain connection that would be the reply tuple.
      expect(new Set(conntrack.ask(entries.map(({ orig }) => getEntry(turned(orig)))))).toEqual(
        new Set([ENOENT]),
      );
      const deleted = conntrack.ask(entries.map(({ orig }) => deleteEntry(orig)));
      expect(new Set(deleted)).toEqual(new Set([0]));
      expect(conntrack.ask([getEntry(entries[0]!.orig)])).toEqual([ENOENT]);
    });
  });

  test("finds an entry of another zone only by that zone", () => {
    inFreshNamespace(() => {
      using conntrack = opened();
      const [of] = entries;
      const answers = conntrack.ask([
        newEntry({ ...of!, zone: 5, timeoutSeconds: 60 }),
        getEntry(of!.orig),
        getEntry(of!.orig, 5),
      ]);
      expect(answers).toEqual([0, ENOENT, expect.objectContaining({ ...of, zone: 5 })]);
    });
  });
});

// --- internal ---

function opened(): Ctnetlink {
  const conntrack = Ctnetlink.open();
  if (typeof conntrack === "number") throw new Error(libc.errnoName(conntrack));
  return conntrack;
}

function inFreshNamespace(work: () => void): void {
  const home = openSync(ownNetnsPath(), "r");
  try {
    expect(libc.unshare(CLONE_NEWNET)).toBe(0);
    work();
  } finally {
    expect(libc.setns(home, CLONE_NEWNET)).toBe(0);
    closeSync(home);
  }
}
