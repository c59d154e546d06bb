import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../src/errors.ts";
import { writePrivate } from "../../src/file.ts";
import { loadOffsets, matchesKernel, readOffsets, saveOffsets } from "../../src/guess/file.ts";
import { decodeReport, encodeReport } from "../../src/guess/file_format.ts";
import type { FieldReport, GuessReport } from "../../src/guess/report.ts";
import { STRIDE } from "./drive/random.ts";

const folder = mkdtempSync(join(tmpdir(), "offsets-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
let serial = 0;
const fresh = () => join(folder, `file-${serial++}`);

const dport: FieldReport = {
  field: "skc_dport",
  struct: "sock_common",
  status: "found",
  offset: 12,
  candidates: [12],
  how: "in 8 connections",
};
const report: GuessReport = {
  kernel: { release: "6.1.0", version: "#1 SMP", machine: "x86_64" },
  attach: "kprobe",
  ms: 92.5,
  fields: [
    dport,
    { ...dport, field: "sk_err", status: "ambiguous", offset: null, candidates: [3, 4] },
  ],
};

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return `${error.message}: ${error.why}`;
  throw error ?? new Error("it was accepted");
}

function fifo(): string {
  const path = fresh();
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

describe("a saved file", () => {
  test("is read back as it was, and readable by its owner only", async () => {
    const path = fresh();
    await saveOffsets(path, report);
    expect(await loadOffsets(path)).toEqual(report);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("replaces a plain file as a whole and leaves nothing beside it", async () => {
    const path = fresh();
    writeFileSync(path, "x".repeat(100_000), { mode: 0o644 });
    await saveOffsets(path, report);
    expect(await loadOffsets(path)).toEqual(report);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test.skipIf(process.geteuid?.() !== 0).each<[string, (path: string) => void, RegExp]>([
    ["belongs to another user", (path) => chownSync(path, 65534, 0), /it belongs to user 65534/],
    ["its group may write to", (path) => chmodSync(path, 0o620), /other users may write to it/],
    ["everybody may write to", (path) => chmodSync(path, 0o602), /other users may write to it/],
  ])("that %s is shown, and no trace is made by it", async (_, change, why) => {
    const path = fresh();
    await saveOffsets(path, report);
    change(path);
    expect(await reasonOf(loadOffsets(path))).toMatch(why);
    expect(await readOffsets(path)).toEqual(report);
  });

  test("is never written through a link", async () => {
    const [target, link] = [fresh(), fresh()];
    writeFileSync(target, "precious");
    symlinkSync(target, link);
    expect(await reasonOf(saveOffsets(link, report))).toContain("a symbolic link");
    symlinkSync(fresh(), `${link}-dangling`);
    expect(await reasonOf(saveOffsets(`${link}-dangling`, report))).toContain("a symbolic link");
    expect(readFileSync(target, "utf8")).toBe("precious");
  });

  test.each([
    ["a directory", () => folder, /a directory/],
    ["a device", () => "/dev/null", /a device/],
    ["a FIFO, without waiting for a reader", fifo, /a FIFO/],
    ["a folder that is not there", () => join(folder, "no", "file"), /no such file/],
    [
      "a file as a folder",
      () => {
        const path = fresh();
        writeFileSync(path, "");
        return join(path, "x");
      },
      /no directory/,
    ],
  ])("is not written over %s", async (_, path, reason) => {
    expect(await reasonOf(writePrivate(path(), new Uint8Array(1)))).toMatch(reason);
  });
});

describe("loading refuses", () => {
  /** Sparse: none of it is on the disk. */
  function zeros(): string {
    const path = fresh();
    writeFileSync(path, "");
    truncateSync(path, 1 << 30);
    return path;
  }
  const holding = (text: string) => () => {
    const path = fresh();
    writeFileSync(path, text);
    return path;
  };
  const text = encodeReport(report);

  test.each<[string, () => string, RegExp]>([
    ["a file that is not there", fresh, /no such file/],
    [
      "a directory",
      () => {
        const path = fresh();
        mkdirSync(path);
        return path;
      },
      /a directory/,
    ],
    ["a FIFO, without waiting for a writer", fifo, /a FIFO/],
    [
      "a link to a FIFO",
      () => {
        const path = fresh();
        symlinkSync(fifo(), path);
        return path;
      },
      /a FIFO/,
    ],
    ["a device that never ends", () => "/dev/zero", /a device/],
    [
      "a link to itself",
      () => {
        const path = fresh();
        symlinkSync(path, path);
        return path;
      },
      /circle/,
    ],
    ["more than 1 MB", holding(" ".repeat((1 << 20) + 1)), /larger than 1048576 bytes/],
    ["an empty file", holding(""), /empty/],
    ["a truncated file", holding(text.slice(0, -20)), /truncated/],
    ["another format", holding('{"format":"x"}'), /"format" is not/],
    [
      "another version",
      holding(text.replace('"version": 2', '"version": 1')),
      /"version" is 1, this tracer-bpf reads 2/,
    ],
    ["a list", holding("[]"), /it is no object/],
    ["a gigabyte of zeros", zeros, /larger than 1048576 bytes/],
    ["a megabyte of zeros", holding("\0".repeat(1 << 20)), /truncated or no JSON/],
  ])("%s", async (_, path, reason) => {
    expect(await reasonOf(loadOffsets(path()))).toMatch(reason);
  });

  test("a file it may not read", async () => {
    // Root may read everything, so the reason is seen by asking as nobody.
    const path = fresh();
    writeFileSync(path, text, { mode: 0o000 });
    if (process.geteuid?.() !== 0) {
      expect(await reasonOf(loadOffsets(path))).toContain("permission denied");
      return;
    }
    const module = join(import.meta.dir, "../../src/guess/file.ts");
    const script = `import { loadOffsets } from ${JSON.stringify(module)};
      process.seteuid(65534);
      await loadOffsets(${JSON.stringify(path)}).catch((error) => console.log(error.why));`;
    const child = Bun.spawnSync([process.execPath, "-e", script]);
    // File calls run on threads of a pool, which seteuid covers too: it acts on the whole process.
    expect(child.stdout.toString()).toBe("permission denied\n");
  });
});

describe("the format", () => {
  const changed = (change: (file: Record<string, any>) => void): string => {
    const file = JSON.parse(encodeReport(report));
    change(file);
    return JSON.stringify(file);
  };

  /** To add a check, add a row: what is changed in a good file, and what must be said about it. */
  test.each<[string, (file: Record<string, any>) => void]>([
    ['it has an unknown member "extra"', (file) => (file["extra"] = 1)],
    ["kernel is no object", (file) => delete file["kernel"]],
    ["kernel.release is no text", (file) => (file["kernel"].release = 6)],
    ["attach is none of kprobe, tracepoint", (file) => (file["attach"] = "auto")],
    ["ms is no number from 0 on", (file) => (file["ms"] = -1)],
    ["fields is no list", (file) => (file["fields"] = {})],
    ["fields has 1001 entries, more than 1000", (file) => (file["fields"] = Array(1001).fill({}))],
    ['field "skc_dport" is there twice', (file) => (file["fields"][1].field = "skc_dport")],
    ["fields[0].offset is missing", (file) => (file["fields"][0].offset = null)],
    [
      "fields[0].offset is 12.5, no whole number of bytes up to 65535",
      (file) => (file["fields"][0].offset = 12.5),
    ],
    [
      "fields[0].offset is 65536, no whole number of bytes up to 65535",
      (file) => (file["fields"][0].offset = 65536),
    ],
    ["fields[0].offset is no number from 0 on", (file) => (file["fields"][0].offset = "12")],
    [
      "fields[1].candidates[0] is no number from 0 on",
      (file) => (file["fields"][1].candidates[0] = -4),
    ],
    ["fields[0].how is no text", (file) => delete file["fields"][0].how],
    [
      "fields[0].how is longer than 1000 characters",
      (file) => (file["fields"][0].how = "x".repeat(1001)),
    ],
    [
      "fields[0].status is none of found, not-applicable, ambiguous, failed, kprobe-only",
      (file) => (file["fields"][0].status = "ok"),
    ],
  ])("%s", async (reason, change) => {
    const decoded = Promise.try(() => decodeReport("F", changed(change)));
    expect(await reasonOf(decoded)).toBe(`F: no usable offsets file: ${reason}`);
  });
});

describe("a damaged file", () => {
  const bytes = Buffer.from(encodeReport(report));

  /** The report that a file holds, or the reason why the file is refused. */
  function read(damaged: Uint8Array): GuessReport | string {
    try {
      return decodeReport("F", new TextDecoder().decode(damaged));
    } catch (error) {
      if (error instanceof Failure) return error.why ?? "";
      throw error;
    }
  }

  test("with any one bit flipped is refused, or says the same as before", () => {
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit += STRIDE) {
      const damaged = Uint8Array.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const found = read(damaged);
      if (typeof found === "string") refused++;
      // White space between members, for instance.
      else expect(found).toEqual(report);
    }
    expect(refused).toBeGreaterThan((bytes.length * 4) / STRIDE);
  });

  test("cut off anywhere is refused", () => {
    // The last byte is the line's end.
    for (let length = 0; length < bytes.length - 1; length++)
      expect(read(bytes.subarray(0, length))).toBeString();
  });

  test("whose offsets are plausible, but others, is refused for its checksum", () => {
    const edited = bytes.toString().replace('"offset": 12', '"offset": 16');
    expect(read(Buffer.from(edited))).toContain("its checksum is not that of what it holds");
    expect(read(Buffer.from(JSON.stringify(JSON.parse(bytes.toString()))))).toEqual(report);
  });
});

describe("the running kernel", () => {
  test("matches only when release, build and machine are the same", () => {
    expect(matchesKernel(report, { ...report.kernel })).toBeNull();
    for (const name of ["release", "version", "machine"] as const) {
      expect(matchesKernel(report, { ...report.kernel, [name]: "other" })).toContain(
        `kernel ${name} "${report.kernel[name]}", running is "other"`,
      );
    }
  });
});
