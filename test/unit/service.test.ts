/** The systemd unit, as far as it can be judged without systemd running. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolve as resolveCommand } from "../../src/commands/strict.ts";
import { manualPage } from "../../src/commands/manual.ts";
import { root } from "../../src/commands/index.ts";
import { exitCodes } from "../../src/errors.ts";

const unit = readFileSync(join(import.meta.dir, "../../packaging/tracer-bpf.service"), "utf8");
const value = (name: string): string | undefined =>
  new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1];

test("its command line is one that the tracer takes", () => {
  const [path, ...args] = value("ExecStart")!.split(" ");
  expect(path).toBe("/usr/local/bin/tracer-bpf");
  expect(resolveCommand("tracer-bpf", root, args).kind).toBe("run");
});

test("it waits for word of the tracer, by a socket that it lets the tracer have", () => {
  expect(value("Type")).toBe("notify");
  expect(value("RestrictAddressFamilies")!.split(" ")).toContain("AF_UNIX");
  // The tracer itself tells, no child of it.
  expect(value("NotifyAccess")).toBeUndefined();
});

test("a reload sends the signal that opens files anew, and the manual page is where it says", () => {
  expect(value("ExecReload")).toBe("/bin/kill -HUP $MAINPID");
  const page = manualPage("tracer-bpf", "0", root);
  const section = /^\.TH (\S+) (\d)/m.exec(page)!;
  expect(value("Documentation")).toBe(
    `man:${section[1]!.replaceAll("\\", "").toLowerCase()}(${section[2]})`,
  );
});

test("it is not started again for what a new start cannot mend", () => {
  expect(value("RestartPreventExitStatus")).toBe(`${exitCodes.usage} ${exitCodes.unsupported}`);
});

test("nothing in it is known to stop the tracer", () => {
  for (const name of ["MemoryDenyWriteExecute", "ProtectProc", "ProcSubset", "IPAddressDeny"])
    expect(value(name)).toBeUndefined();
  expect(value("AmbientCapabilities")).toBeUndefined();
  expect(value("SystemCallFilter")).toMatch(/\bbpf\b.*\bperf_event_open\b/);
});

test("it leaves the tracer each capability that a running trace keeps", () => {
  const source = readFileSync(
    join(import.meta.dir, "../../src/trace/opening/privileges.ts"),
    "utf8",
  );
  const kept = [...new Set(source.match(/\bCAP_[A-Z_]+\b/g))];
  expect(kept).toContain("CAP_SYS_NICE");
  expect(value("CapabilityBoundingSet")!.split(" ")).toEqual(expect.arrayContaining(kept));
  // SCHED_FIFO is what CAP_SYS_NICE is for.
  expect(value("RestrictRealtime")).toBeUndefined();
});

const ANALYZE = "/usr/bin/systemd-analyze";

// Debian has it wherever systemd is installed, running or not.
test.skipIf(!existsSync(ANALYZE))("systemd-analyze finds nothing wrong", () => {
  const file = join(work, "tracer-bpf.service");
  const analyze = (text: string) => {
    writeFileSync(file, text.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
    const child = Bun.spawnSync([ANALYZE, "verify", "--man=no", file], { stderr: "pipe" });
    return child.stderr.toString();
  };
  expect(analyze(unit)).toBe("");
  // It does look.
  expect(analyze(unit.replace("ProtectSystem=strict", "ProtectSystm=strict"))).toMatch(/Systm/);
});

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "service-test-"));
});
afterAll(() => rmSync(work, { recursive: true }));
