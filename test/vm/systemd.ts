// Debian's systemd as the first process of a guest: for the test of the unit.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, file } from "./cpio.ts";
import { fetchPackages } from "./fetch.ts";
import type { Arch } from "./kernels.ts";
import { systemdPackages } from "./packages.ts";
import { filesIn, sharedLibraries } from "./shared_libraries.ts";

/** The test files whose guests are begun by systemd. To add one, write its name. */
const testsOfSystemd = /^test\/kernel\/systemd\.test\.ts$/;

export const wantsSystemd = (files: readonly string[] = []): boolean =>
  files.some((name) => testsOfSystemd.test(name));

/** For the job's environment: init.sh then becomes systemd, whose only own unit goes on with the job. */
export const systemdEnv = { LAB_SYSTEMD: "1" };

/** About 25 MB. */
export async function packSystemd(arch: Arch, libraries: string): Promise<Entry[]> {
  const userland = await fetchPackages(arch, "systemd", systemdPackages);
  const copy = (path: string, isProgram = false) =>
    file(path, readFileSync(join(userland, path)), isProgram);
  return [
    ...programs.map((path) => copy(path, true)),
    ...units.map((name) => copy(`lib/systemd/system/${name}`)),
    ...sharedLibraries(userland, libraries),
    ...filesIn(userland, `usr/${libraries}/systemd`).map((name) =>
      copy(`usr/${libraries}/systemd/${name}`),
    ),
    file("lib/systemd/system/lab.service", labService),
    // The journal's files are named after it.
    file("etc/machine-id", `${"0123456789abcdef".repeat(2)}\n`),
  ];
}

// --- internal ---

const programs = [
  "lib/systemd/systemd",
  "lib/systemd/systemd-journald",
  "bin/systemctl",
  "bin/journalctl",
];

/** The unit asks for these, and for what they ask for. Other units are not started. */
const units = [
  ...["sysinit", "basic", "sockets", "slices", "shutdown", "umount", "network"].map(
    (name) => `${name}.target`,
  ),
  ...["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"],
];

/** init.sh again, as the only thing that systemd starts by itself: it runs the job and ends the machine. */
const labService = `[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket sysinit.target basic.target
After=systemd-journald.socket sysinit.target basic.target

[Service]
Type=oneshot
ExecStart=/init job
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=infinity
`;
