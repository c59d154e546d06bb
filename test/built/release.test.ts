import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executableOf, HOST, targets } from "../../src/build/arch.ts";
import { installReleaseTools } from "../../src/build/packages.ts";
import {
  packedNames,
  packStep,
  releaseName,
  SIGNED_FOR,
  signSums,
  SIZES_PAGE,
  withSizes,
  writeSums,
} from "../../src/build/release.ts";

let directory: string;
let release: string;
const name = "tracer-bpf-linux-x64";
// Compresses, but not to nothing.
const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) >> 5));

beforeAll(async () => {
  installReleaseTools();
  directory = mkdtempSync(join(tmpdir(), "release-test-"));
  release = join(directory, "release");
  writeFileSync(join(directory, "built"), content, { mode: 0o755 });
  await packStep(join(directory, "built"), name, release).run();
  writeSums(packedNames(name), release);
});
afterAll(() => rmSync(directory, { recursive: true }));

const output = (...command: string[]) => Bun.spawnSync(command, { cwd: release });

test("each packed copy unpacks to the executable, mode and all", () => {
  for (const [tool, file] of [
    ["gzip", `${name}.gz`],
    ["xz", `${name}.xz`],
    ["zstd", `${name}.zst`],
  ] as const) {
    expect(output(tool, "-dc", file).stdout.equals(content)).toBe(true);
    expect(output("stat", "-c", "%a", file).stdout.toString()).toBe("755\n");
  }
  expect(readFileSync(join(release, name)).equals(content)).toBe(true);
});

test("sha256sum accepts the sums, and notices a changed byte", () => {
  expect(output("sha256sum", "-c", "--strict", "SHA256SUMS").exitCode).toBe(0);
  expect(output("wc", "-l", "SHA256SUMS").stdout.toString()).toBe("4 SHA256SUMS\n");
  writeFileSync(join(release, `${name}.gz`), "x");
  expect(output("sha256sum", "-c", "--status", "SHA256SUMS").exitCode).toBe(1);
});

describe("the signature", () => {
  const key = (file: string): string => join(directory, file);
  const verify = (who: string, sums = readFileSync(join(release, "SHA256SUMS"))) =>
    Bun.spawnSync(
      `ssh-keygen -Y verify -f ${key("allowed")} -I ${who} -n ${SIGNED_FOR} -s SHA256SUMS.sig`.split(
        " ",
      ),
      { cwd: release, stdin: sums, stderr: "pipe" },
    ).exitCode;

  beforeAll(() => {
    for (const file of ["key", "stranger"])
      expect(output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key(file)).exitCode).toBe(
        0,
      );
    writeFileSync(key("allowed"), `releaser ${readFileSync(key("key.pub"), "utf8")}`);
    writeSums(packedNames(name), release);
  });

  test("of the releaser is accepted, as packaging/README.md verifies it", () => {
    signSums(key("key"), release);
    expect(verify("releaser")).toBe(0);
    const page = readFileSync(join(import.meta.dir, "../..", SIZES_PAGE), "utf8");
    expect(page).toContain(`-I releaser -n ${SIGNED_FOR} -s SHA256SUMS.sig < SHA256SUMS`);
  });

  test("is refused for other sums, another name, and a key of somebody else", () => {
    expect(verify("releaser", Buffer.from("changed"))).not.toBe(0);
    expect(verify("somebody")).not.toBe(0);
    rmSync(join(release, "SHA256SUMS.sig"));
    signSums(key("stranger"), release);
    expect(verify("releaser")).not.toBe(0);
  });

  test("does not outlive the sums that it was of", () => {
    writeSums(packedNames(name), release);
    expect(existsSync(join(release, "SHA256SUMS.sig"))).toBe(false);
  });

  test("cannot be made by a key that is not there", () => {
    expect(() => signSums(key("missing"), release)).toThrow("ssh-keygen failed");
  });
});

test("a file that is not of this release is not passed over", () => {
  expect(() => writeSums([name], release)).toThrow(`${name}.gz`);
});

test("the table of sizes replaces the one before, and what stands around it stays", () => {
  const page = "above\n<!-- sizes, by `npm run release` -->\nold\n<!-- end of sizes -->\nbelow\n";
  const once = withSizes(page, [name], release);
  expect(once).toStartWith("above\n");
  expect(once).toEndWith("\nbelow\n");
  expect(once).not.toContain("old");
  expect(once).toContain(`| \`${name}\` | 0.3 MB |`);
  expect(withSizes(once, [name], release)).toBe(once);
  expect(() => withSizes("no marks", [name], release)).toThrow(SIZES_PAGE);
});

test("the page of sizes has a row for every executable", () => {
  const page = readFileSync(join(import.meta.dir, "../..", SIZES_PAGE), "utf8");
  for (const target of targets)
    expect(page).toMatch(new RegExp(`\\| \`${releaseName(target)}\` (\\| \\d+\\.\\d MB ){4}\\|`));
});

test("documents tell the size of the executable to 2 MB", () => {
  const size = statSync(executableOf(HOST)).size / 1e6;
  const read = (page: string) => readFileSync(join(import.meta.dir, "../..", page), "utf8");
  const told = [
    new RegExp(`\\| \`${releaseName(HOST)}\` \\| (\\d+\\.\\d) MB`).exec(read(SIZES_PAGE)),
    /the executable \(\d+ of (\d+) MB\)/.exec(read("docs/guide.md")),
  ];
  for (const found of told) expect(Math.abs(Number(found?.[1]) - size)).toBeLessThan(2);
});
