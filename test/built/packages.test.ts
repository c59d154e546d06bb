/**
 * The .deb and the .rpm: made with a small file in place of the executable, looked at with Debian's tools, installed into a
 * root of their own, removed. Needs root.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { executableOf, HOST, type Arch } from "../../src/build/arch.ts";
import { debName, writeDeb } from "../../src/build/deb.ts";
import { noticeFile } from "../../src/build/licenses.ts";
import type { PackageSources } from "../../src/build/package_files.ts";
import { installReleaseTools } from "../../src/build/packages.ts";
import { rpmName, writeRpm } from "../../src/build/rpm.ts";
import { run } from "../../src/build/step.ts";
import { unpackedPackages } from "../../src/build/sysroot.ts";

setDefaultTimeout(600_000);

const EPOCH = 1_700_000_000;
const UNIT = "usr/lib/systemd/system/tracer-bpf.service";
const SHARED = [
  UNIT,
  "usr/bin/tracer-bpf",
  "usr/share/bash-completion/completions/tracer-bpf",
  "usr/share/fish/vendor_completions.d/tracer-bpf.fish",
  "usr/share/man/man8/tracer-bpf.8.gz",
];
const DEB = [
  ...SHARED,
  "usr/share/doc/tracer-bpf/copyright",
  "usr/share/zsh/vendor-completions/_tracer-bpf",
].toSorted();
const RPM = [
  ...SHARED,
  "usr/share/licenses/tracer-bpf/NOTICE",
  "usr/share/zsh/site-functions/_tracer-bpf",
].toSorted();

const work = mkdtempSync(join(tmpdir(), "tracer-bpf-packages-"));
afterAll(() => rmSync(work, { recursive: true }));

const executable = join(work, "executable");
const sources: PackageSources = {
  executable,
  notice: noticeFile(HOST),
  unit: "packaging/tracer-bpf.service",
  printed: (...args) => run([executableOf(HOST), ...args]),
  epoch: EPOCH,
};
const debOf = (arch: Arch, place = "one"): string => join(work, place, debName(arch));
const rpmOf = (arch: Arch, place = "one"): string => join(work, place, rpmName(arch));
/** In another directory, later, and by somebody with another umask. */
const ANOTHER = "another/and longer";

beforeAll(() => {
  installReleaseTools();
  writeFileSync(executable, Buffer.from(Array.from({ length: 90_000 }, (_, i) => (i * i) >> 5)));
  writeDeb("x64", sources, debOf("x64"));
  writeDeb("arm64", sources, debOf("arm64"));
  writeRpm("x64", sources, rpmOf("x64"));
  writeRpm("arm64", sources, rpmOf("arm64"));
  const umask = process.umask(0o077);
  writeDeb("x64", sources, debOf("x64", ANOTHER));
  writeRpm("x64", sources, rpmOf("x64", ANOTHER));
  process.umask(umask);
});

describe("both packages", () => {
  test.each([debOf, rpmOf])("are the same bytes, made in another directory", (packageOf) => {
    const [one, other] = [packageOf("x64"), packageOf("x64", ANOTHER)].map((f) => readFileSync(f));
    expect(one!.length).toBeGreaterThan(10_000);
    expect(one!.equals(other!)).toBe(true);
  });

  test("leave nothing but themselves", () => {
    const made = [debName("x64"), debName("arm64"), rpmName("x64"), rpmName("arm64")];
    expect(readdirSync(join(work, "one")).toSorted()).toEqual(made.toSorted());
  });
});

describe("the .deb", () => {
  const field = (arch: Arch, name: string): string =>
    run(["dpkg-deb", "-f", debOf(arch), name]).trim();

  test("is of its machine, and asks for the glibc that the executable needs", () => {
    expect(field("x64", "Architecture")).toBe("amd64");
    expect(field("arm64", "Architecture")).toBe("arm64");
    expect(field("x64", "Version")).toBe(version);
    expect(field("x64", "Depends")).toBe("libc6 (>= 2.17)");
  });

  test("has the files, of root, with the time of the release", () => {
    const rows = run(["dpkg-deb", "-c", debOf("x64")])
      .trimEnd()
      .split("\n");
    const files = rows.filter((row) => row.startsWith("-"));
    expect(files.map((row) => row.split(" ./")[1]!).toSorted()).toEqual(DEB);
    for (const row of rows)
      expect(row).toMatch(/^(drwxr-xr-x|-rw[x-]r-[x-]r-[x-]) root\/root .* 2023-11-14 \d\d:13 /);
  });
});

describe("the .rpm", () => {
  test("has the files, of root, with the time of the release", () => {
    const format =
      "[%{FILENAMES} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMODES:octal} %{FILEMTIMES}\\n]";
    const rows = run(["rpm", "-qp", "--queryformat", format, rpmOf("x64")])
      .trimEnd()
      .split("\n");
    const mode = (path: string): string => (path === "usr/bin/tracer-bpf" ? "100755" : "100644");
    expect(rows.toSorted()).toEqual(
      RPM.map((path) => `/${path} root root ${mode(path)} ${EPOCH}`).toSorted(),
    );
  });

  test("is of its machine, asks for the glibc that the executable needs, and can be read on RHEL 7", () => {
    const query = (arch: Arch, what: string) =>
      run(["rpm", "-qp", "--queryformat", what, rpmOf(arch)]);
    expect(query("arm64", "%{ARCH} %{OS} %{VERSION}")).toBe(`aarch64 linux ${version}`);
    expect(query("x64", "%{ARCH} %{PAYLOADCOMPRESSOR} %{BUILDTIME}")).toBe(`x86_64 xz ${EPOCH}`);
    const needed = run(["rpm", "-qp", "--requires", rpmOf("x64")]);
    expect(needed).toContain("libc.so.6(GLIBC_2.17)(64bit)\n");
    // rpm 4.11 knows no other payload.
    expect(needed.match(/^rpmlib\(Payload\w+\)/gm)).toEqual([
      "rpmlib(PayloadFilesHavePrefix)",
      "rpmlib(PayloadIsXz)",
    ]);
  });
});

/** A host with a shell, a systemctl that notes its arguments, and a package manager's database. */
class Root {
  readonly path: string;

  constructor(name: string) {
    this.path = join(work, name);
    for (const directory of [
      "bin",
      "dev",
      "run/systemd/system",
      "var/lib/dpkg/info",
      "var/lib/dpkg/updates",
    ])
      mkdirSync(join(this.path, directory), { recursive: true });
    const busybox = join(unpackedPackages(HOST, ["busybox-static"]), "bin/busybox");
    copyFileSync(busybox, join(this.path, "bin/busybox"));
    symlinkSync("busybox", join(this.path, "bin/sh"));
    writeFileSync(join(this.path, "var/lib/dpkg/status"), "");
    writeFileSync(join(this.path, "bin/systemctl"), '#!/bin/sh\necho "$*" >> /systemctl.log\n');
    chmodSync(join(this.path, "bin/systemctl"), 0o755);
  }

  /** The commands that systemctl was given since the last time. */
  asked(): string[] {
    const log = join(this.path, "systemctl.log");
    const text = existsSync(log) ? readFileSync(log, "utf8") : "";
    rmSync(log, { force: true });
    return text.split("\n").filter((line) => line !== "");
  }

  text(path: string): string {
    return readFileSync(join(this.path, path), "utf8");
  }
}

const DISABLE = "--no-reload disable --now tracer-bpf.service";

/** To add a package manager, add a row: its commands. */
const MANAGERS = [
  {
    manager: "dpkg",
    files: DEB,
    notice: "usr/share/doc/tracer-bpf/copyright",
    install: (root: string) => [...dpkg(root), "-i", debOf(HOST)],
    again: (root: string) => [...dpkg(root), "-i", debOf(HOST)],
    remove: (root: string) => [...dpkg(root), "-r", "tracer-bpf"],
  },
  {
    manager: "rpm",
    files: RPM,
    notice: "usr/share/licenses/tracer-bpf/NOTICE",
    install: (root: string) => [...rpm(root), "-i", rpmOf(HOST)],
    again: (root: string) => [...rpm(root), "-U", "--replacepkgs", rpmOf(HOST)],
    remove: (root: string) => [...rpm(root), "-e", "tracer-bpf"],
  },
];

// The root has no libc: what it holds runs without.
const dpkg = (root: string): string[] =>
  `env PATH=${process.env["PATH"]}:/sbin:/usr/sbin dpkg --root=${root} --force-depends`.split(" ");
const rpm = (root: string): string[] => ["rpm", "--root", root, "--nodeps"];

describe.each(MANAGERS)("$manager", ({ manager, files, notice, install, again, remove }) => {
  let root: Root;
  beforeAll(() => {
    root = new Root(manager);
  });

  test("installs every file, and neither enables nor starts the unit", () => {
    run(install(root.path));
    for (const file of files) expect(existsSync(join(root.path, file))).toBe(true);
    const installed = join(root.path, "usr/bin/tracer-bpf");
    expect(readFileSync(installed).equals(readFileSync(executable))).toBe(true);
    expect(statSync(installed).mode & 0o7777).toBe(0o755);
    expect(root.asked()).toEqual(["daemon-reload"]);
  });

  test("has installed the texts that the executable prints, and the unit for its place", () => {
    const page = join(root.path, "usr/share/man/man8/tracer-bpf.8.gz");
    expect(run(["gzip", "-dc", page])).toBe(sources.printed("man"));
    const zsh = files.find((file) => file.endsWith("/_tracer-bpf"))!;
    expect(root.text(zsh)).toBe(sources.printed("completions", "zsh"));
    expect(root.text(SHARED[2]!)).toBe(sources.printed("completions", "bash"));
    expect(root.text(SHARED[3]!)).toBe(sources.printed("completions", "fish"));
    expect(root.text(notice)).toBe(sources.printed("licenses"));
    expect(root.text(UNIT)).toContain("ExecStart=/usr/bin/tracer-bpf trace");
    expect(root.text(UNIT)).not.toContain("/usr/local");
  });

  test("restarts a running service for another version", () => {
    run(again(root.path));
    expect(root.asked()).toContain("try-restart tracer-bpf.service");
  });

  test("stops and disables the unit when it removes the package, and leaves no file", () => {
    run(remove(root.path));
    expect(root.asked()).toEqual([DISABLE, "daemon-reload"]);
    for (const file of files) expect(existsSync(join(root.path, file))).toBe(false);
  });
});
