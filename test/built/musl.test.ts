/**
 * The executables for musl: what they need, and that this machine's one works where there is no glibc. Debian has
 * musl but no C++ runtime for it, so that is linked here from the one for glibc.
 */
import { dlopen } from "bun:ffi";
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { ARCHES, executableOf, HOST, TARGETS, targets, type Target } from "../../src/build/arch.ts";
import { embedded } from "../../src/build/executable.ts";
import { shimFile } from "../../src/build/native.ts";
import { run } from "../../src/build/step.ts";
import { unpackedPackages } from "../../src/build/sysroot.ts";
import { version } from "../../package.json";

const ours = `${HOST}-musl` as Target;
const musl = targets.filter((target) => TARGETS[target].libc === "musl");
/** As musl and gcc call the machine. */
const machine = ARCHES[HOST].triplet.split("-")[0]!;

// Beside the executable: a hard link into the root costs nothing.
let root: string;
const { symbols: libc } = dlopen("libc.so.6", {
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
});
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const MNT_DETACH = 2;
/** The tracer reads both; everything else of a root it does without. */
const MOUNTS = [
  { type: "proc", at: "proc" },
  { type: "sysfs", at: "sys" },
];

beforeAll(() => {
  // The same steps as the build's own: nothing to do if they are built.
  run([process.execPath, "build.ts", "--all"]);
  root = mkdtempSync(resolve("dist/musl-root-"));
  mkdirSync(join(root, "lib"));
  const packages = unpackedPackages(HOST, ["musl"]);
  copyFileSync(join(packages, `lib/${machine}-linux-musl/libc.so`), loaderOf(root));
  chmodSync(loaderOf(root), 0o755);
  linkStandIn(join(root, "lib/libstdc++.so.6"));
  linkSync(executableOf(ours), join(root, "tracer-bpf"));
  for (const { type, at } of MOUNTS) {
    mkdirSync(join(root, at));
    if (libc.mount(text(type), text(join(root, at)), text(type), 0, null) !== 0)
      throw new Error(`cannot mount ${type} in ${root}: this test needs root`);
  }
}, 600_000);

afterAll(() => {
  for (const { at } of MOUNTS) libc.umount2(text(join(root, at)), MNT_DETACH);
  rmSync(root, { recursive: true });
});

const loaderOf = (at: string): string => join(at, `lib/ld-musl-${machine}.so.1`);

const symbols = (file: string, which: "--defined-only" | "--undefined-only"): string[] =>
  run(["nm", "-D", "--format=just-symbols", which, file])
    .split("\n")
    .map((name) => name.replace(/@.*/, ""))
    .filter((name) => name !== "");

/** The symbols that neither the executable nor musl has are taken from libstdc++. */
function linkStandIn(out: string): void {
  const has = new Set(symbols(loaderOf(root), "--defined-only"));
  const copied = run(["readelf", "--relocs", "--wide", executableOf(ours)])
    .split("\n")
    .flatMap((line) => (/_COPY /.test(line) ? [line.trim().split(/\s+/)[4]!] : []));
  const lacks = [...symbols(executableOf(ours), "--undefined-only"), ...copied].filter(
    (name) => /^(_Z|__cxa|__dynamic|__once)/.test(name) && !has.has(name),
  );
  expect(lacks.length).toBeGreaterThan(10);
  run([
    "gcc",
    ..."-shared -nostdlib -fPIC -O2 -Wl,--gc-sections -o".split(" "),
    out,
    ...lacks.map((name) => `-Wl,-u,${name}`),
    `${import.meta.dir}/musl/libstdcxx.c`,
    run(["gcc", "-print-file-name=libstdc++.a"]).trim(),
    ..."-Wl,--start-group -lgcc_eh -lgcc -Wl,--end-group".split(" "),
  ]);
}

function inRoot(...command: string[]): { code: number; stdout: string; stderr: string } {
  const child = Bun.spawnSync(["chroot", root, ...command], {
    env: { PATH: process.env["PATH"] },
    stdin: "ignore",
    stderr: "pipe",
    timeout: 300_000,
  });
  return {
    code: child.exitCode ?? -1,
    stdout: child.stdout.toString(),
    stderr: child.stderr.toString(),
  };
}

test.each(musl)(
  "%s needs musl and libstdc++, and looks for them in no place of its own",
  (target) => {
    const file = executableOf(target);
    const name = ARCHES[TARGETS[target].arch].triplet.split("-")[0];
    const dynamic = run(["readelf", "--dynamic", file]);
    const needed = Array.from(dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g), ([, library]) => library!);
    expect(needed.toSorted()).toEqual([`libc.musl-${name}.so.1`, "libstdc++.so.6"]);
    expect(dynamic).not.toMatch(/R(UN)?PATH/);
    const headers = run(["readelf", "--program-headers", "--wide", file]);
    expect(/interpreter: (.*)\]/.exec(headers)?.[1]).toBe(`/lib/ld-musl-${name}.so.1`);
    const image = readFileSync(file);
    for (const part of embedded(TARGETS[target].arch))
      expect({ part, embedded: image.includes(readFileSync(part)) }).toEqual({
        part,
        embedded: true,
      });
  },
);

test("this machine's shim asks musl for nothing that it has not", () => {
  const has = new Set(symbols(loaderOf(root), "--defined-only"));
  const wants = symbols(shimFile(HOST), "--undefined-only");
  expect(wants).toContain("malloc");
  expect(wants.filter((name) => !has.has(name))).toEqual([]);
});

test("the root has no glibc: the other executable does not even start there", () => {
  linkSync(executableOf(HOST), join(root, "for-glibc"));
  try {
    expect(inRoot("/for-glibc", "version").code).toBe(127);
  } finally {
    rmSync(join(root, "for-glibc"));
  }
});

test("it starts, and says its version", () => {
  expect(inRoot("/tracer-bpf", "version")).toEqual({
    code: 0,
    stdout: expect.stringContaining(version),
    stderr: "",
  });
});

test("it loads libbpf and guesses the running kernel's offsets", () => {
  const { code, stdout, stderr } = inRoot("/tracer-bpf", "offsets", "guess", "--json");
  expect(stderr).not.toContain("error");
  expect(code).toBe(0);
  const { fields } = JSON.parse(stdout) as { fields: { status: string }[] };
  expect(fields.filter((field) => field.status === "found").length).toBeGreaterThan(10);
});

test("it traces: its self-check is a whole connection", () => {
  const { code, stderr } = inRoot("/tracer-bpf", "trace", "--duration", "100ms");
  expect(stderr).toMatch(/tracing/);
  expect(stderr).toMatch(/none lost/);
  expect(code).toBe(0);
});

test("it runs a command and traces that: the connections of a guess are told, others are not", () => {
  const command = ["/tracer-bpf", "offsets", "guess"];
  const { code, stdout, stderr } = inRoot("/tracer-bpf", "trace", "--json", "--", ...command);
  expect(stderr).toMatch(/none lost/);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string; comm: string; pid: number });
  expect(new Set(events.map(({ event }) => event))).toContain("connect");
  expect(new Set(events.map(({ comm }) => comm))).toEqual(new Set(["tracer-bpf"]));
  expect(new Set(events.map(({ pid }) => pid)).size).toBe(1);
  expect(code).toBe(0);
});

test("the status of a command, and that there is none, is what it ends with", () => {
  expect(inRoot("/tracer-bpf", "trace", "--", "/tracer-bpf", "nonsense").code).toBe(2);
  const { code, stderr } = inRoot("/tracer-bpf", "trace", "--", "nonsense");
  expect(stderr).toContain('command "nonsense": not found');
  expect(code).toBe(127);
});
