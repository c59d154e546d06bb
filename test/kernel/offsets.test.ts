/** Guessing the running kernel's offsets, on quiet and on difficult hosts. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadOffsets, saveOffsets } from "../../src/guess/file.ts";
import { ctnetlinkIsThere } from "../../src/kernel/ctnetlink.ts";
import { conntrackFields } from "../../src/guess/solve_conntrack.ts";
import type { GuessReport, VerifyReport } from "../../src/guess/report.ts";
import { Actor, actorCommand } from "./drive/actors.ts";
import { expectConnection } from "./drive/expect.ts";
import { type Mode, modes, sparing } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { Tracer, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

/** FULL=1 repeats on every attach mode what does not depend on it. */
const full = process.env["FULL"] === "1";
const hasBtf = existsSync("/sys/kernel/btf/vmlinux");
const hasIPv6 = existsSync("/proc/net/if_inet6");
const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-offsets-"));
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(modes)("offsets, --attach %s", (mode) => {
  /** On the host as it is, saved by --save; the other guesses must equal it. */
  const file = join(directory, mode);
  let quiet: GuessReport;

  beforeAll(async () => {
    quiet = await guess(mode, [], ["--save", file]);
  });

  test("every field is found, and what was saved is what was printed", () => {
    expectAllFound(quiet, mode);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(quiet);
  });

  test.skipIf(!hasBtf)("guesses in a row are what the kernel's BTF says", async () => {
    for (let i = 0; i < (sparing ? 2 : 3); i++) {
      const args = ["offsets", "verify", "--json", "--attach", mode];
      const { exitCode, stdout, stderr } = await run(args);
      expect(stderr).not.toMatch(/error/i);
      const { fields } = JSON.parse(stdout) as { fields: VerifyReport["rows"] };
      const compared = fields.filter(({ guessed, btf }) => guessed !== null && btf !== null);
      expect(compared.filter(({ guessed, btf }) => guessed !== btf)).toEqual([]);
      expect(compared.length).toBeGreaterThan(20);
      expect(Object.fromEntries(fields.map(({ field, guessed }) => [field, guessed]))).toEqual(
        offsetsOf(quiet),
      );
      expect(exitCode).toBe(0);
    }
  });

  test.skipIf(!existsSync(TRUTH))("every field is where the kernel's own sources have it", () => {
    const truth = truthOf(readFileSync(TRUTH, "utf8"));
    const compared = quiet.fields.flatMap(({ field, struct, offset }) => {
      const member = (members[field] ?? [`${struct} ${field}`, `${struct} ${field.slice(4)}`])
        .map((name) => truth.get(name))
        .find((at) => at !== undefined);
      return offset === null || member === undefined ? [] : [{ field, offset, member }];
    });
    expect(compared.filter(({ offset, member }) => offset !== member)).toEqual([]);
    expect(compared.length).toBeGreaterThan(mode === "kprobe" ? 30 : 20);
  });

  test.skipIf(hasBtf)("without BTF three guesses are equal, and verify exits with 3", async () => {
    for (let i = 0; i < 2; i++) expect(offsetsOf(await guess(mode))).toEqual(offsetsOf(quiet));
    const { exitCode, stderr } = await run(["offsets", "verify", "--attach", mode]);
    expect(stderr).toMatch(/BTF/);
    expect(exitCode).toBe(3);
  });

  test("a saved file is what a trace uses, without guessing again", async () => {
    const tracer = await Tracer.start(mode, ["--offsets", file]);
    expect(tracer.stderr).not.toMatch(/guessed/);
    const { client, server } = pair();
    client.write(1009);
    server.read(1009);
    client.close();
    server.close();
    await expectConnection(tracer, client);
    await expectConnection(tracer, server);
    expect(await tracer.stop()).toBe(0);
  });
});

describe.each(full ? modes : modes.slice(0, 1))("offsets, --attach %s", (mode) => {
  const file = join(directory, mode);
  const quiet = () => offsetsOf(JSON.parse(readFileSync(file, "utf8")) as GuessReport);

  test("a fresh network namespace with lo up gives the same offsets", async () => {
    expect(offsetsOf(await guess(mode, inNetns("lo", "v6")))).toEqual(quiet());
  });

  test("a fresh network namespace with lo down gives the same offsets, and lo stays down", async () => {
    const args = ["offsets", "guess", "--json", "--attach", mode];
    const { exitCode, stdout, stderr } = await run(args, inNetns("nolo", "v6"));
    expect(stderr).toContain("afterwards lo is down");
    expect(exitCode).toBe(0);
    expect(offsetsOf(JSON.parse(stdout) as GuessReport)).toEqual(quiet());
  });

  test.skipIf(!hasIPv6)(
    "with IPv6 disabled each of its fields is found or not applicable, all others are found",
    async () => {
      const report = await guess(mode, inNetns("lo", "nov6"));
      const missing = report.fields
        .filter(({ status }) => status === "not-applicable")
        .map(({ field }) => field);
      for (const field of missing) if (!later.includes(field)) expect(field).toMatch(/v6|fl6/);
      const nothing = Object.fromEntries(missing.map((field) => [field, null]));
      expect(offsetsOf(report)).toEqual({ ...quiet(), ...nothing });
    },
  );

  test("1,000 connections per second of somebody else change nothing", async () => {
    const traffic = new Actor("traffic", 1000);
    await traffic.hear();
    const busy = await guess(mode);
    await traffic.end();
    const { made } = await traffic.hear<{ made: number }>();
    // An emulated guest manages fewer per second; it must have been busy all the same.
    expect(made).toBeGreaterThan(50);
    expect(offsetsOf(busy)).toEqual(quiet());
  });

  test("two instances at the same time find the same", async () => {
    const both = await Promise.all([guess(mode), guess(mode)]);
    for (const report of both) expect(offsetsOf(report)).toEqual(quiet());
  });

  // How a file is read, refused, shown and written is the same on every kernel.
  describe.skipIf(sparing)("files", () => {
    test("a file of another kernel is refused with the reason, and the trace guesses", async () => {
      const report = await loadOffsets(file);
      const foreign = join(directory, "foreign");
      await saveOffsets(foreign, {
        ...report,
        kernel: { ...report.kernel, release: "4.4.0-1-other" },
      });
      const tracer = await Tracer.start(mode, ["--offsets", foreign]);
      expect(tracer.stderr).toContain("4.4.0-1-other");
      expect(tracer.stderr).toMatch(/guessed/);
      const { client, server } = pair();
      client.close();
      server.close();
      await expectConnection(tracer, client);
      expect(await tracer.stop()).toBe(0);
    });

    test("a file in which one digit is another is refused, not used and not passed over", async () => {
      const damaged = join(directory, "damaged");
      writeFileSync(damaged, readFileSync(file, "utf8").replace(/"offset": \d+/, '"offset": 7'));
      for (const args of [
        ["trace", "-d", "1s", "--attach", mode, "--offsets", damaged],
        ["offsets", "show", damaged],
      ]) {
        const { exitCode, stdout, stderr } = await run(args);
        expect(stderr).toContain(`${damaged}: no usable offsets file\n  because: it was changed`);
        expect([exitCode, stdout]).toEqual([1, ""]);
      }
    });

    test("a saved file can be shown, and a snapshot saved", async () => {
      const { exitCode, stdout } = await run(["offsets", "show", file]);
      expect(exitCode).toBe(0);
      for (const field of ["skc_daddr", "write_seq"]) expect(stdout).toContain(field);
      const snapshot = join(directory, "snapshot");
      const args = ["offsets", "snapshot", "--save", snapshot, "--attach", mode];
      expect((await run(args)).exitCode).toBe(0);
      expect(Bun.file(snapshot).size).toBeGreaterThan(1000);
    });
  });
});

// --- internal ---

function inNetns(lo: "lo" | "nolo", v6: "v6" | "nov6"): string[] {
  return ["env", "BUN_BE_BUN=1", ...actorCommand("in-netns", lo, v6)];
}

async function guess(mode: Mode, prefix: string[] = [], more: string[] = []): Promise<GuessReport> {
  const args = ["offsets", "guess", "--json", "--attach", mode, ...more];
  const { exitCode, stdout, stderr } = await run(args, prefix);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}\n${stderr}`);
  const report = JSON.parse(stdout) as GuessReport;
  console.log(`${mode}: guessed in ${report.ms.toFixed(0)} ms`);
  return report;
}

/** Where a kernel's own compiler has put its fields: the lab brings it along for kernels without BTF. */
const TRUTH = "/offsets.txt";

/** Fields that the text calls otherwise. */
const members: Record<string, readonly string[]> = {
  net_ns_inum: ["net ns.inum"],
  socket_sk: ["socket sk"],
  fl4_sport: ["flowi4 fl4_sport"],
  fl4_dport: ["flowi4 fl4_dport"],
  fl6_sport: ["flowi6 fl6_sport"],
  fl6_dport: ["flowi6 fl6_dport"],
};

/** Lines of "struct field offset" by the first two. */
function truthOf(text: string): Map<string, number> {
  const lines = text.matchAll(/^(\w+ \S+) (\d+)$/gm);
  return new Map(Array.from(lines, ([, name, offset]) => [name!, Number(offset)]));
}

/** ct_zone is there only with CONFIG_NF_CONNTRACK_ZONES. */
const ofConntrack = ctnetlinkIsThere() ? ["ct_zone"] : conntrackFields;

/**
 * Fields that some kernels do not have: bytes_sent came with 4.19, gso_segs counts what UDP_SEGMENT makes since 4.18,
 * rcvq_space_time has the clock of the programs since 4.20, and programs know their task since 4.8.
 */
const later: readonly string[] = [
  "bytes_sent",
  "gso_segs",
  "rcvq_space_time",
  "task_group_leader",
  "task_comm",
  ...ofConntrack,
];

function offsetsOf({ fields }: Pick<GuessReport, "fields">): Record<string, number | null> {
  return Object.fromEntries(fields.map(({ field, offset }) => [field, offset]));
}

/** Each field is there; tracepoints cannot reach the arguments of functions, and say so. */
function expectAllFound(report: GuessReport, mode: Mode): void {
  const allowed = mode === "tracepoint" ? ["found", "kprobe-only"] : ["found"];
  if (!hasIPv6) allowed.push("not-applicable");
  const missing = report.fields.filter(({ status }) => !allowed.includes(status));
  const excused = ({ field, status }: (typeof missing)[number]) =>
    later.includes(field) && status === "not-applicable";
  expect(missing.filter((field) => !excused(field))).toEqual([]);
  for (const field of report.fields)
    if (field.status === "found") expect(field.offset, field.field).toBeGreaterThanOrEqual(0);
  expect(report.fields.filter(({ status }) => status === "found").length).toBeGreaterThan(20);
}
