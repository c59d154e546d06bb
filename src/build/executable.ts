/** The executable: Bun, the program and the files it embeds. */
import { chmodSync, copyFileSync, renameSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { BunPlugin } from "bun";
import { executableOf, partsOf, TARGETS, type Arch, type Target } from "./arch.ts";
import { noticeFile } from "./licenses.ts";
import { objectFile, OBJECTS, shimFile } from "./native.ts";
import { bunRuntime } from "./runtime.ts";
import { BuildError, type Step } from "./step.ts";

const ENTRY = "src/main.ts";

export function executableStep(target: Target): Step {
  const out = executableOf(target);
  return {
    name: `${basename(out)} (${target})`,
    inputs: [
      ...sources(),
      "src/build/executable.ts",
      "package.json",
      "package-lock.json",
      ...embedded(TARGETS[target].arch),
    ],
    outputs: [out],
    recipe: Bun.version,
    run: () => compile(target, out),
  };
}

/** The files of src/embedded.ts, in the machine's own build. */
export const embedded = (arch: Arch): string[] => [
  shimFile(arch),
  ...OBJECTS.map((name) => objectFile(arch, name)),
  noticeFile(arch),
];

async function compile(target: Target, out: string): Promise<void> {
  const fresh = `${out}.new`;
  const result = await Bun.build({
    entrypoints: [ENTRY],
    minify: true,
    bytecode: true,
    format: "esm",
    // As src/embedded.ts asks for it; without this the bundler puts the text there, not its path.
    loader: { ".txt": "file" },
    plugins: [embedPartsOf(TARGETS[target].arch)],
    compile: {
      target: `bun-linux-${target}`,
      executablePath: bunRuntime(target),
      outfile: fresh,
      // It runs as root in anybody's directory: a .env or a bunfig preload there must not act.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    throw: false,
  });
  if (!result.success)
    throw new BuildError(
      result.logs
        .map(({ message, position }) => `${message} (${position?.file}:${position?.line})`)
        .join("\n"),
    );
  chmodSync(fresh, 0o755);
  renameSync(fresh, out);
}

/** src/embedded.ts names dist/embed, which holds this machine's files; another's lie elsewhere. */
function embedPartsOf(arch: Arch): BunPlugin {
  return {
    name: "embed",
    setup(builder) {
      builder.onResolve({ filter: /\/dist\/embed\// }, ({ path }) => ({
        path: resolve(partsOf(arch), basename(path)),
      }));
    },
  };
}

/** For running from source. */
export function copyStep(from: string, to: string): Step {
  return {
    name: to,
    inputs: [from],
    outputs: [to],
    recipe: "copy",
    run() {
      copyFileSync(from, `${to}.new`);
      renameSync(`${to}.new`, to);
    },
  };
}

const sources = (): string[] =>
  [...new Bun.Glob("src/**/*.ts").scanSync(".")]
    .filter((path) => !path.startsWith("src/build/"))
    .toSorted();
