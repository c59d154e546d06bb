// Packs everything a guest has: the binary, libc, busybox, the tests and the sources they import.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cpio, directory, type Entry, file } from "./cpio.ts";
import { fetchUserland } from "./fetch.ts";
import type { Arch } from "./kernels.ts";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The guest's task: shell lines that init.sh reads, and the variables it exports. */
export type Job = { script: string; env: Record<string, string> };

type Architecture = {
  /** Where its packages keep libc. */
  libraries: string;
  /** Where programs look for their loader. */
  loader: string;
  /** Its name in dist/. */
  dist: string;
  /** e_machine of its executables. */
  elfMachine: number;
  howToBuild: string;
};

// To add an architecture, write its five facts here and its machine in boot.ts.
export const architectures: Record<Arch, Architecture> = {
  amd64: {
    libraries: "lib/x86_64-linux-gnu",
    loader: "lib64/ld-linux-x86-64.so.2",
    dist: "x64",
    elfMachine: 62,
    howToBuild: "run `bun build.ts`",
  },
  arm64: {
    libraries: "lib/aarch64-linux-gnu",
    loader: "lib/ld-linux-aarch64.so.1",
    dist: "arm64",
    elfMachine: 183,
    howToBuild: "run `bun build.ts --arm64`",
  },
};

const libraries = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"];

// Files that the guest's tests may import. To add one, write its path from the repository's top.
const sources = [
  "package.json",
  "tsconfig.json",
  "src",
  "test",
  "bpf",
  "docs",
  "packaging",
  "node_modules/citty",
  "node_modules/consola",
];

// Not for a guest: the lab itself and tests that need no kernel of their own.
const leftOut = new Set(["test/vm", "test/unit", "test/commands"]);

/** The parts that all guests of one architecture and binary share, about 125 MB. */
export async function packCommon(arch: Arch, binary: string): Promise<Uint8Array[]> {
  const userland = await fetchUserland(arch);
  const { libraries: place, loader, dist } = architectures[arch];
  const embedded = join(repository, "dist", dist);
  return cpio([
    file("init", readFileSync(join(import.meta.dirname, "init.sh")), true),
    // The kernel opens the console before init has mounted anything.
    directory("dev"),
    file("bin/busybox", readFileSync(join(userland, "bin/busybox")), true),
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
    file("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    file(loader, readFileSync(loaderFile(userland, place, loader)), true),
    ...libraries.map((name) => file(`${place}/${name}`, readFileSync(join(userland, place, name)))),
    file("tracer-bpf", readFileSync(binary), true),
    ...sources.flatMap((path) => tree(join(repository, path), path)),
    // Sources import dist/embed, which on the host is of the host's architecture.
    ...tree(embedded, "dist/embed"),
    ...objectsOf(join(repository, "dist")),
  ]);
}

/** The small part that differs from guest to guest. */
export function packJob(job: Job): Uint8Array[] {
  const exports = Object.entries(job.env).map(
    ([name, value]) => `export ${name}=${quote(value)}\n`,
  );
  return cpio([file("job/env", exports.join("")), file("job/run", job.script)]);
}

/** Writes one file for QEMU; the kernel unpacks archives that follow each other. */
export async function writeInitramfs(
  parts: readonly Uint8Array[],
): Promise<{ path: string; remove(): void }> {
  const place = mkdtempSync(join(tmpdir(), "tracer-bpf-vm-"));
  const path = join(place, "initramfs.cpio");
  // 130 MB that an interrupted run must not leave behind.
  const removeNow = () => rmSync(place, { recursive: true, force: true });
  process.on("exit", removeNow);
  const writer = Bun.file(path).writer();
  for (const part of parts) {
    void writer.write(part);
    await writer.flush();
  }
  await writer.end();
  return {
    path,
    remove() {
      process.off("exit", removeNow);
      removeNow();
    },
  };
}

/** Text as one word of the shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

// The link in /lib64 is absolute in some releases and would leave the unpacked directory.
function loaderFile(userland: string, place: string, loader: string): string {
  return join(userland, place, loader.slice(loader.lastIndexOf("/") + 1));
}

function tree(path: string, name: string): Entry[] {
  if (leftOut.has(name) || !existsSync(path)) return [];
  const real = realpathSync(path);
  if (!statSync(real).isDirectory()) {
    return [file(name, readFileSync(real), (statSync(real).mode & 0o111) !== 0)];
  }
  return readdirSync(real)
    .toSorted()
    .flatMap((child) => tree(join(real, child), `${name}/${child}`));
}

/** The BPF objects that the build leaves beside the executable. */
function objectsOf(dist: string): Entry[] {
  if (!existsSync(dist)) return [];
  const objects = readdirSync(dist).filter((name) => name.endsWith(".o"));
  return objects.flatMap((name) => tree(join(dist, name), `dist/${name}`));
}
