// Runs one QEMU to its end. No disk, no network: a kernel, an initramfs and a serial line.
import { accessSync, closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import type { Arch } from "./kernels.ts";

export type Boot = {
  arch: Arch;
  vmlinuz: string;
  initramfs: string;
  logFile: string;
  /** For the whole run, boot included; without it, only a guest that says nothing any more is ended. */
  timeoutSeconds?: number | undefined;
  /** Shown as they come. */
  onLine?: (line: string) => void;
  machine?: Machine | undefined;
};

/** Differences from the usual guest. */
export type Machine = {
  /** As QEMU calls it. */
  processor?: string;
  cpus?: number;
  memoryMb?: number;
  /**
   * The guest's clock counts instructions (4 ns each) instead of following the host's, and jumps ahead when the guest
   * is idle: times then repeat, whatever the host does. One CPU only.
   */
  countInstructions?: boolean;
  /** Without a source of random numbers, as a fresh host has none: kernels before 5.6 then block getrandom(2). */
  noEntropy?: boolean;
  /** More of the kernel's command line. */
  append?: string;
};

export type BootResult = {
  log: string;
  seconds: number;
  /** Why the lab ended the guest; undefined where it ended by itself. */
  stopped: string | undefined;
  qemuStatus: number | null;
};

/**
 * A limit is for a guest that hangs, and such a guest says nothing: a slow one is left to run. A kernel that boots says
 * something every few seconds. Tests say something when each ends; init.sh ends a file that hangs and goes on.
 */
const SILENT_SECONDS = { booting: 120, ready: 900 };

export async function boot(options: Boot): Promise<BootResult> {
  const started = performance.now();
  const logFile = openSync(options.logFile, "w");
  const qemu = Bun.spawn(qemuCommand(options), { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const stop = () => qemu.kill("SIGKILL");
  process.on("exit", stop);
  let stopped: string | undefined;
  const stopAfter = (seconds: number, why: string) =>
    setTimeout(() => {
      stopped = why;
      stop();
    }, seconds * 1000);
  const whole = options.timeoutSeconds;
  const wholeTimer =
    whole === undefined ? undefined : stopAfter(whole, `out of the ${whole} s it was given`);
  const listen = (seconds: number) =>
    stopAfter(seconds, `it hung: it said nothing for ${seconds} s`);
  let silence: NodeJS.Timeout | undefined = listen(SILENT_SECONDS.booting);
  let ready = false;
  const lines: string[] = [];
  const take = (line: string) => {
    clearTimeout(silence);
    ready ||= line.startsWith("@@ ready");
    // A job with a time of its own may be silent all that time.
    if (!ready) silence = listen(SILENT_SECONDS.booting);
    else if (whole === undefined) silence = listen(SILENT_SECONDS.ready);
    lines.push(line);
    writeSync(logFile, `${line}\n`);
    options.onLine?.(line);
  };
  await Promise.all([eachLine(qemu.stdout, take), eachLine(qemu.stderr, take)]);
  const qemuStatus = await qemu.exited;
  clearTimeout(wholeTimer);
  clearTimeout(silence);
  process.off("exit", stop);
  closeSync(logFile);
  const seconds = (performance.now() - started) / 1000;
  return { log: lines.join("\n"), seconds, stopped, qemuStatus };
}

// To add an architecture, write its emulator, its machine and the name of its serial line.
const machines: Record<Arch, { qemu: string; machine: string; cpu: string; console: string }> = {
  amd64: { qemu: "qemu-system-x86_64", machine: "pc", cpu: "max", console: "ttyS0" },
  // Not "max": with its SVE, QEMU 7.2 lets the JavaScript runtime crash under load, in tests and tracer alike.
  arm64: {
    qemu: "qemu-system-aarch64",
    machine: "virt",
    cpu: "neoverse-n1",
    console: "ttyAMA0",
  },
};

function qemuCommand({ arch, vmlinuz, initramfs, machine: wanted = {} }: Boot): string[] {
  const { qemu, machine, cpu, console } = machines[arch];
  const noEntropy = wanted.noEntropy ?? process.env["VM_ENTROPY"] === "0";
  const accelerator = hasKvm(arch) && !wanted.countInstructions ? "kvm" : "tcg";
  // A reboot ends QEMU (-no-reboot), so a panic and an oops end the guest at once.
  // The processor's own random numbers are trusted (from 4.19 on), else getrandom blocks a guest without devices.
  // tsc=reliable: a busy host makes the guest doubt its clock, and the code patching that follows trips over a race
  // of QEMU's emulation (an int3 nobody owns, in sched_clock_cpu).
  const trust = noEntropy ? "off" : "on";
  const append = `console=${console} panic=-1 oops=panic random.trust_cpu=${trust} tsc=reliable ${wanted.append ?? ""} ${process.env["VM_APPEND"] ?? ""}`;
  const options = {
    // One thread for all processors: with one each, a processor can still run an int3 that another has just taken away,
    // which no real one can, and kernels that patch their own code (kprobes, static keys) die of it now and then.
    "-accel": accelerator === "tcg" ? "tcg,thread=single" : accelerator,
    "-machine": machine,
    "-cpu": wanted.processor ?? (accelerator === "kvm" ? "host" : cpu),
    "-smp": String(wanted.cpus ?? (process.env["VM_CPUS"] || "2")),
    "-m": String(wanted.memoryMb ?? 1024),
    "-display": "none",
    "-serial": "stdio",
    "-kernel": vmlinuz,
    "-initrd": initramfs,
    "-append": append,
    // Kernels before 4.19 know no other way to trust anything, and have the driver where they are built for a lab.
    ...(!noEntropy && { "-device": "virtio-rng-pci" }),
    ...(wanted.countInstructions && { "-icount": "shift=2,sleep=off" }),
  };
  return [qemu, "-nodefaults", "-no-user-config", "-no-reboot", ...Object.entries(options).flat()];
}

/** /dev/kvm alone proves nothing: machines without nested virtualization have it too, and hang. */
function hasKvm(arch: Arch): boolean {
  if (process.env["VM_ACCEL"]) return process.env["VM_ACCEL"] === "kvm";
  if (arch !== "amd64" || process.arch !== "x64") return false;
  if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"))) return false;
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line.replaceAll("\r", ""));
  }
  if (rest !== "") take(rest.replaceAll("\r", ""));
}
