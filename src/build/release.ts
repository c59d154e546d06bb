/** The release: every executable under its full name, packed, with checksums, a signature and a table of sizes. */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { Target } from "./arch.ts";
import { BuildError, run, type Step } from "./step.ts";

export const RELEASE = "dist/release";
const SUMS = "SHA256SUMS";
const SIGNATURE = `${SUMS}.sig`;
/** The signature holds for this purpose alone: a key that signs other things too cannot be made use of. */
export const SIGNED_FOR = "tracer-bpf-release";

export const releaseName = (target: Target): string => `tracer-bpf-linux-${target}`;

/** gzip is everywhere; xz makes it a quarter smaller; zstd is unpacked in half a second. To add one, add a row: what it appends and how it is called. */
const PACKERS = [
  // -n: no name and time, so that the same executable gives the same file.
  { suffix: ".gz", command: ["gzip", "-9nkf"] },
  // With any number of threads but 1 the result is the same, also of the next.
  { suffix: ".xz", command: ["xz", "-6kf", "-T2"] },
  // -19 takes eight times as long for a tenth less.
  { suffix: ".zst", command: ["zstd", "-12", "-qkf", "-T2"] },
] as const;

/** Puts one file into the release and packs it. */
export function packStep(from: string, name: string, directory = RELEASE): Step {
  const to = join(directory, name);
  return {
    name: `release ${name}`,
    inputs: [from],
    outputs: [to, ...PACKERS.map(({ suffix }) => to + suffix)],
    recipe: JSON.stringify(PACKERS),
    run() {
      mkdirSync(directory, { recursive: true });
      copyFileSync(from, to);
      for (const { command } of PACKERS) run([...command, to]);
    },
  };
}

/** `sha256sum -c SHA256SUMS` checks them. A file of an earlier release that is in none of `names` is an error. */
export function writeSums(names: readonly string[], directory = RELEASE): void {
  const expected = names.toSorted();
  const found = readdirSync(directory).filter((name) => name !== SUMS && name !== SIGNATURE);
  const strange = found.filter((name) => !expected.includes(name));
  if (strange.length > 0)
    throw new BuildError(`${directory} holds ${strange.join(", ")}: delete what is not released`);
  const lines = expected.map((name) => `${sha256(join(directory, name))}  ${name}\n`);
  writeFileSync(join(directory, SUMS), lines.join(""));
  // It was of other sums.
  rmSync(join(directory, SIGNATURE), { force: true });
}

/** With the releaser's key of SSH, or if ssh-agent holds it, its public half. packaging/README.md says how to verify. */
export function signSums(key: string, directory = RELEASE): void {
  run(["ssh-keygen", "-q", "-Y", "sign", "-n", SIGNED_FOR, "-f", key, join(directory, SUMS)]);
}

export const sha256 = (file: string): string =>
  new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex");

export const packedNames = (name: string): string[] => [
  name,
  ...PACKERS.map(({ suffix }) => name + suffix),
];

/** The document that holds the table of sizes. */
export const SIZES_PAGE = "packaging/README.md";

const BEGIN = "<!-- sizes, by `npm run release` -->";
const END = "<!-- end of sizes -->";

/** The page of packaging/ with its table of sizes as the files are now. */
export function withSizes(page: string, names: readonly string[], directory = RELEASE): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new BuildError(`${SIZES_PAGE}: no ${BEGIN} ... ${END}`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${sizesTable(names, directory)}\n${page.slice(end)}`;
}

function sizesTable(names: readonly string[], directory: string): string {
  const rows = names.map((name) => {
    const sizes = packedNames(name).map((file) => megabytes(statSync(join(directory, file)).size));
    return `| \`${basename(name)}\` | ${sizes.join(" | ")} |\n`;
  });
  const titles = ["as it is", ...PACKERS.map(({ suffix }) => `\`${suffix}\``)];
  return `| file | ${titles.join(" | ")} |\n|---|${"---|".repeat(titles.length)}\n${rows.join("")}`;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
