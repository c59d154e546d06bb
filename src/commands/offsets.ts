import { machine, release, version } from "node:os";
import { exitCodes, UnsupportedError } from "../errors.ts";
import { writePrivate } from "../file.ts";
import { readOffsets, matchesKernel, saveOffsets } from "../guess/file.ts";
import { encodeReport } from "../guess/file_format.ts";
import type { FieldReport, GuessReport, VerifyReport } from "../guess/report.ts";
import { log } from "../log.ts";
import { reportText, verifyJson, verifyText } from "../output/report.ts";
import { print } from "../output/writer.ts";
import { command, group } from "./command.ts";
import { attachFlag, attachMode, debugFlag, namedFile, saveFlag } from "./flags.ts";

const path = "tracer-bpf offsets";

const guess = command({
  description: "find the offsets of the running kernel's struct fields",
  examples: [`${path} guess`, `${path} guess --save saved.json`],
  flags: {
    json: { type: "boolean", description: "print JSON, as --save writes it" },
    save: { ...saveFlag, description: "also write them to FILE, for trace --offsets" },
    attach: attachFlag,
    debug: debugFlag,
  },
  async run(args) {
    const file = fileToSave(args.save, `${path} guess`, "--json");
    const { guessOffsets } = await import("../guess/run.ts");
    const report = await guessOffsets({
      attach: attachMode(args.attach),
    });
    await print(args.json === true ? encodeReport(report) : reportText(report));
    if (file !== undefined) {
      await saveOffsets(file, report);
      log.info(`saved to ${file}`);
    }
    return warnOfFailures(report) ? exitCodes.failure : exitCodes.done;
  },
});

const verify = command({
  description: "guess, then compare each offset with the kernel's own type information",
  flags: {
    json: { type: "boolean", description: "print JSON" },
    attach: attachFlag,
    debug: debugFlag,
  },
  async run(args) {
    const [{ guessOffsets }, { verifyOffsets }] = await Promise.all([
      import("../guess/run.ts"),
      import("../guess/verify.ts"),
    ]);
    const report = await guessOffsets({
      attach: attachMode(args.attach),
    });
    const verdict = verifyOffsets(report);
    if (verdict === null) {
      throw new UnsupportedError("the kernel's type information (BTF)", {
        why: "there is no readable /sys/kernel/btf/vmlinux",
        hint: "tracer-bpf offsets guess; tracing itself needs no BTF",
      });
    }
    await print(args.json === true ? verifyJson(report, verdict) : verifyText(report, verdict));
    return differs(report, verdict) ? exitCodes.failure : exitCodes.done;
  },
});

const show = command({
  description: "print a saved file",
  examples: [`${path} show saved.json`],
  flags: {
    file: {
      type: "positional",
      valueHint: "FILE",
      description: "what offsets guess --save wrote",
      required: true,
    },
    debug: debugFlag,
  },
  async run(args) {
    const report = await readOffsets(args.file);
    await print(reportText(report));
    const running = { release: release(), version: version(), machine: machine() };
    const mismatch = matchesKernel(report, running);
    if (mismatch !== null) log.info(`not for the running kernel: ${mismatch}`);
  },
});

const snapshot = command({
  description: "write the raw snapshots a guess works on, for a bug report",
  examples: [`${path} snapshot --save snapshot.bin`],
  flags: {
    save: { ...saveFlag, description: "where to write them", required: true },
    attach: attachFlag,
    debug: debugFlag,
  },
  async run(args) {
    const file = fileToSave(args.save, `${path} snapshot`, "--save snapshot.bin");
    const { takeSnapshot } = await import("../guess/run.ts");
    const bytes = await takeSnapshot({
      attach: attachMode(args.attach),
    });
    await writePrivate(file, bytes);
    log.info(`saved ${bytes.length} bytes to ${file}`);
  },
});

export const offsetsCommand = group(
  "find, check and keep the offsets of kernel struct fields",
  { guess, verify, show, snapshot },
  [`${path} guess`, `${path} verify`],
);

/** Checked before the guess, which takes a while. */
const fileToSave = <T extends string | undefined>(file: T, command: string, instead: string): T => {
  if (file !== undefined) namedFile(file, { flag: "save", command, instead });
  return file;
};

/** Not knowing one of these is no fault: the kernel has no such field, or the attach mode cannot reach it. */
const excused: readonly FieldReport["status"][] = ["not-applicable", "kprobe-only"];

function warnOfFailures({ fields }: GuessReport): boolean {
  const failed = fields.filter(({ status }) => status === "ambiguous" || status === "failed");
  for (const { field, struct, status, how, candidates } of failed) {
    const left =
      candidates.length === 0 ? "no candidate left" : `candidates ${candidates.join(", ")}`;
    log.warn(`${field} of struct ${struct}: ${status}, ${left} (${how})`);
  }
  return failed.length > 0;
}

function differs(report: GuessReport, verdict: VerifyReport): boolean {
  const excusable = new Set(
    report.fields.filter(({ status }) => excused.includes(status)).map(({ field }) => field),
  );
  return verdict.rows.some(({ field, equal }) => !equal && !excusable.has(field));
}
