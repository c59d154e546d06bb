// One kernel, one job: fetches, packs, boots and says how it went. run.ts, matrix.ts and subset.ts
// are three ways to ask for it.
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { cacheDirectory } from "./archive.ts";
import { boot, type BootResult, type Machine } from "./boot.ts";
import { cpio, file, type Entry } from "./cpio.ts";
import { type CachedKernel, fetchKernel } from "./fetch.ts";
import { findImage, type Image } from "./images.ts";
import {
  architectures,
  packCommon,
  packJob,
  quote,
  repository,
  writeInitramfs,
} from "./initramfs.ts";
import { type Arch, parseKernelName } from "./kernels.ts";
import { netfilterPath, packNetfilter, wantsNetfilter } from "./netfilter.ts";
import { type GuestReport, readReport } from "./report.ts";
import { packSystemd, systemdEnv, wantsSystemd } from "./systemd.ts";

export type Request = {
  /** As in `6.12-rt`, or the path of a kernel image or of its folder. */
  kernel: string;
  /** Test files from the repository's top; without any, all of test/kernel. */
  files?: readonly string[];
  /** Only tests whose names match. */
  pattern?: string | undefined;
  /** One shell command line instead of tests. */
  shell?: string | undefined;
  env?: Record<string, string>;
  /** The executable to test, instead of the one in dist. */
  binary?: string | undefined;
  keepLog?: string | undefined;
  /** Modules and programs that translate addresses; without it, where one of the files needs them: see netfilter.ts. */
  netfilter?: boolean | undefined;
  /** Files for this guest alone, beside what every guest has. */
  extra?: readonly Entry[] | undefined;
  machine?: Machine | undefined;
  /** The attach modes that tests try; without it, those of the kernel. */
  modes?: readonly ("kprobe" | "tracepoint")[] | undefined;
  /** Of the log; without one, the kernel's. */
  logName?: string | undefined;
  /** For the whole guest; without it, only a guest that hangs is ended. */
  timeoutSeconds?: number | undefined;
  onLine?: (line: string) => void;
};

export type Outcome = {
  kernel: string;
  /** Absent: neither in Debian's archive nor in the cache. */
  state: "ran" | "absent";
  release: string;
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  bootSeconds: number | undefined;
  /** How long each test file took, in the guest's own time. */
  files: GuestReport["files"];
  /** The tests that failed, as `file: test`. */
  failures: string[];
  /** Everything worth telling besides the counts. */
  remarks: string[];
  logFile: string;
  log: string;
};

/**
 * How often a guest may die or hang before its init: QEMU's emulation sometimes loses the race with a kernel that
 * patches its own code (an int3 nobody owns, in sched_clock_cpu). Nothing of ours runs by then; it is told all the same.
 */
const BOOT_DEATHS = 3;

/** A guest whose lab is gone ends itself. No run of all tests takes so long. */
const ORPHANED_SECONDS = 3 * 3600;

const diedBooting = (result: BootResult): boolean => readReport(result.log).release === undefined;

/** Boots one kernel for one job. Only a wrong request throws; a guest that fails is an outcome. */
export async function runInGuest(request: Request): Promise<Outcome> {
  const { arch, kernel, name } = await findKernel(request.kernel);
  if (!kernel) return absent(request.kernel);
  const binary = findBinary(arch, request.binary);
  const netfilter = request.netfilter ?? wantsNetfilter(filesOf(request));
  const systemd = wantsSystemd(request.files);
  const job = { script: jobScript(request), env: guestEnv(request, name, arch) };
  if (netfilter) job.env["PATH"] = netfilterPath;
  if (systemd) Object.assign(job.env, systemdEnv);
  const logFile = logPath(request.logName ?? name);
  const initramfs = await writeInitramfs([
    ...(await common(arch, binary)),
    ...cpio([
      ...(request.extra ?? []),
      ...moduleOf(kernel),
      ...truthBeside(kernel.vmlinuz),
      ...(netfilter ? await packNetfilter(arch, architectures[arch].libraries, kernel) : []),
      ...(systemd ? await packSystemd(arch, architectures[arch].libraries) : []),
    ]),
    ...packJob(job),
  ]);
  try {
    const bootOnce = () =>
      boot({
        arch,
        vmlinuz: kernel.vmlinuz,
        initramfs: initramfs.path,
        logFile,
        timeoutSeconds: request.timeoutSeconds,
        machine: request.machine,
        ...(request.onLine && { onLine: request.onLine }),
      });
    let result = await bootOnce();
    let deaths = 0;
    while (diedBooting(result) && deaths < BOOT_DEATHS) {
      deaths++;
      result = await bootOnce();
    }
    if (request.keepLog) copyFileSync(logFile, request.keepLog);
    const outcome = judge(request, result, readReport(result.log), logFile);
    if (deaths > 0)
      outcome.remarks.unshift(`booted again: died or hung ${deaths} times before init`);
    if (kernel.note) outcome.remarks.unshift(kernel.note);
    return { ...outcome, release: outcome.release || kernel.release };
  } finally {
    initramfs.remove();
  }
}

/** A kernel that is not to be had is undefined; a text that names none throws. Images are taken to be amd64. */
async function findKernel(
  text: string,
): Promise<{ name: string; arch: Arch; kernel: CachedKernel | Image | undefined }> {
  const image = findImage(text);
  if (image) return { name: image.name, arch: "amd64", kernel: image };
  const name = parseKernelName(text);
  if (name) return { name: text, arch: name.arch, kernel: await fetchKernel(name) };
  throw new Error(
    `${text} is no kernel of the lab: try 6.12, 6.12-rt, newest, 6.1-arm64, or the path of an image`,
  );
}

/** Test files the guests run when none is named. */
export function kernelTests(): string[] {
  const glob = new Bun.Glob("test/kernel/*.test.ts");
  return [...glob.scanSync({ cwd: repository })].toSorted();
}

function judge(
  request: Request,
  result: BootResult,
  report: GuestReport,
  logFile: string,
): Outcome {
  const remarks = [...report.problems, ...report.complaints];
  let failed = report.failed;
  if (!report.done) {
    failed += 1;
    remarks.push(whyNotDone(result, report));
  } else if (report.complaints.length > 0) {
    failed += 1;
    remarks.push("the kernel complained, see above");
  }
  return {
    kernel: request.kernel,
    state: "ran",
    release: report.release ?? "",
    passed: report.passed,
    failed,
    skipped: report.skipped,
    seconds: result.seconds,
    bootSeconds: report.bootSeconds,
    files: report.files,
    failures: report.failures,
    remarks,
    logFile,
    log: result.log,
  };
}

function whyNotDone(result: BootResult, report: GuestReport): string {
  const stage = report.release === undefined ? "before init was ready" : "before the job was done";
  const how = result.stopped ?? `the guest ended (QEMU's status ${result.qemuStatus})`;
  return `${how}, ${stage}, after ${Math.round(result.seconds)} s; the log ends:\n${result.log.split("\n").slice(-15).join("\n")}`;
}

function absent(kernel: string): Outcome {
  return {
    kernel,
    state: "absent",
    release: "",
    passed: 0,
    failed: 0,
    skipped: 0,
    seconds: 0,
    bootSeconds: undefined,
    files: [],
    failures: [],
    remarks: ["no longer in Debian's archive"],
    logFile: "",
    log: "",
  };
}

/** None where a command runs instead. */
function filesOf(request: Request): readonly string[] {
  if (request.shell !== undefined) return [];
  return request.files?.length ? request.files : kernelTests();
}

function jobScript(request: Request): string {
  // In a shell of its own: a command that exits must not end init.
  if (request.shell !== undefined) {
    return `sh -c ${quote(request.shell)} </dev/null\necho "@@ shell $?"\n`;
  }
  const files = filesOf(request);
  const options = request.pattern === undefined ? "" : ` -t ${quote(request.pattern)}`;
  // Emulation makes everything some ten times slower than the five seconds bun allows by itself.
  return files.map((file) => `run_test ${quote(file)} --timeout 120000${options}\n`).join("");
}

/** The offsets of a kernel's structs, where they stand beside its image: for test/kernel/offsets.test.ts. */
function truthBeside(vmlinuz: string): Entry[] {
  const path = join(dirname(vmlinuz), "offsets.txt");
  return existsSync(path) ? [file("offsets.txt", readFileSync(path))] : [];
}

/** Where test/kernel/modules.test.ts looks for it. */
const moduleOf = ({ module }: Pick<CachedKernel, "module">): Entry[] =>
  module == null ? [] : [file(`modules/${basename(module)}`, readFileSync(module))];

/**
 * An emulated processor translates again what JavaScriptCore's optimizing compiler writes. A start of the tracer takes
 * half the time without that compiler.
 */
const hurried = { LAB_HURRY: "1", BUN_JSC_useDFGJIT: "0" };

function guestEnv(request: Request, name: string, arch: Arch): Record<string, string> {
  return {
    TRACER_BPF: "/tracer-bpf",
    VM_KERNEL: name,
    VM_ARCH: arch,
    PATIENCE_MS: "60000",
    // Longer than the longest time limit of a test, shorter than the lab's own patience with a guest.
    LAB_SILENT_SECONDS: "700",
    LAB_ORPHANED_SECONDS: String((request.timeoutSeconds ?? ORPHANED_SECONDS) + 30),
    // Off is the default before 5.x, so both are worth a try.
    LAB_JIT: process.env["VM_JIT"] ?? "",
    // Where time is measured nothing is hurried.
    ...(!request.machine?.countInstructions && hurried),
    LAB_MODES: request.modes?.join() ?? "",
    ...request.env,
  };
}

/** dist/tracer-bpf, or what was given; the one for arm64 stands beside it with a suffix. */
function findBinary(arch: Arch, given: string | undefined): string {
  const main = given ?? process.env["VM_BINARY"] ?? join(repository, "dist/tracer-bpf");
  const suffixed = `${main}-arm64`;
  const binary =
    arch === "arm64" && (given === undefined || existsSync(suffixed)) ? suffixed : main;
  if (!existsSync(binary))
    throw new Error(`${binary} is missing: ${architectures[arch].howToBuild}`);
  const found = elfMachine(binary);
  if (found !== architectures[arch].elfMachine) {
    throw new Error(`${binary} is not built for ${arch} (its ELF machine is ${found})`);
  }
  return binary;
}

function elfMachine(path: string): number {
  const header = Buffer.alloc(20);
  const file = openSync(path, "r");
  readSync(file, header);
  closeSync(file);
  return header.readUInt16LE(18);
}

function logPath(name: string): string {
  const directory = process.env["VM_LOGS"] || join(cacheDirectory, "logs");
  mkdirSync(directory, { recursive: true });
  return join(directory, `${name}.log`);
}

// Packed once for all guests of a run.
const packed = new Map<string, Promise<Uint8Array[]>>();

function common(arch: Arch, binary: string): Promise<Uint8Array[]> {
  const key = `${architectures[arch].dist} ${binary}`;
  const parts = packed.get(key) ?? packCommon(arch, binary);
  packed.set(key, parts);
  return parts;
}
