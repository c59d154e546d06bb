/** A copy of the executable that gives rights to whoever starts it must refuse to run. */
import { dlopen } from "bun:ffi";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { executableOf, HOST } from "../../src/build/arch.ts";

const NOBODY = 65534;
let work: string;
let copy: string;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "elevated-test-"));
  chmodSync(work, 0o755);
  copy = join(work, "tracer-bpf");
  copyFileSync(resolve(executableOf(HOST)), copy);
});
afterAll(() => rmSync(work, { recursive: true }));

/** Runs the copy as a user without rights, or as root. */
function version(uid: number) {
  // A child, because nobody comes back from setuid.
  const script = `
    process.setgroups([]);
    process.setgid(${uid});
    process.setuid(${uid});
    const { exitCode, stdout, stderr } = Bun.spawnSync([${JSON.stringify(copy)}, "version"], {
      cwd: "/", env: {}, stderr: "pipe",
    });
    console.log(JSON.stringify({ exitCode, out: stdout.toString(), err: stderr.toString() }));`;
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script], { cwd: "/" });
  if (stdout.length === 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as { exitCode: number; out: string; err: string };
}

/** Does the same as `setcap cap_bpf,cap_perfmon=ep`: struct vfs_cap_data, VFS_CAP_REVISION_2, effective. */
function giveCapabilities(file: string): void {
  const { symbols } = dlopen("libc.so.6", {
    setxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" },
  });
  const data = Uint32Array.of(0x0200_0001, 0, 0, (1 << (38 - 32)) | (1 << (39 - 32)), 0);
  const text = (value: string) => Buffer.from(`${value}\0`);
  if (symbols.setxattr(text(file), text("security.capability"), data, 20, 0) !== 0)
    throw new Error("setxattr failed: this test needs root and a file system with capabilities");
}

test("a plain copy runs, as root and as nobody", () => {
  for (const uid of [0, NOBODY])
    expect(version(uid)).toMatchObject({ exitCode: 0, out: expect.stringContaining("tracer-bpf") });
});

test.each<[string, () => void, RegExp]>([
  ["the setuid bit", () => chmodSync(copy, 0o4755), /has the setuid bit/],
  ["the setgid bit", () => chmodSync(copy, 0o2755), /has the setgid bit/],
  [
    "file capabilities",
    () => {
      chmodSync(copy, 0o755);
      giveCapabilities(copy);
    },
    /has file capabilities/,
  ],
])(
  "with %s it refuses to run for nobody, and says why and what to do; root may",
  (_, give, why) => {
    give();
    const { exitCode, out, err } = version(NOBODY);
    expect(err).toMatch(/^error: refusing to run with more rights/);
    expect(err).toMatch(why);
    expect(err).toContain("BUN_OPTIONS");
    expect(err).toContain(copy);
    expect(out).toBe("");
    expect(exitCode).toBe(3);
    expect(version(0).exitCode).toBe(0);
    expect(executableFinding()).toMatchObject({
      status: "note",
      found: expect.stringContaining(copy),
      fix: expect.stringMatching(/^(chmod u-s,g-s|setcap -r) /),
    });
  },
);

test("of a plain copy check finds nothing to do", () => {
  rmSync(copy);
  copyFileSync(resolve(executableOf(HOST)), copy);
  expect(executableFinding()).toMatchObject({ status: "ok", fix: null });
});

/** The finding of `check` about the file it runs, as root. */
function executableFinding(): unknown {
  const { stdout } = Bun.spawnSync([copy, "check", "--json"], { cwd: "/", env: {} });
  const { findings } = JSON.parse(stdout.toString()) as { findings: { name: string }[] };
  return findings.find(({ name }) => name === "executable");
}
