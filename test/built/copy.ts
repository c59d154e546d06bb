/** A copy of the sources in which a newcomer's steps are done: it is built, tested and run. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HOST } from "../../src/build/arch.ts";

export const top = join(import.meta.dir, "../..");
export const TSC = join(top, "node_modules/.bin/tsc");

/** All that the build, the types and the unit tests of a copy read. */
const COPIED = [
  ...["bpf", "src", "test", "docs", "packaging", "dist/.stamps", "dist/embed", `dist/${HOST}`],
  ...["build.ts", "package.json", "package-lock.json", "tsconfig.json", "LICENSE", "README.md"],
  ...["CHANGELOG.md", "CONTRIBUTING.md", "KNOWN_ISSUES.md"],
];

/** The file, the text in it that is replaced, which stands there once, and the text that replaces it. `null`: a new file. */
export type Step = readonly [file: string, at: string | null, becomes: string];

export class Copies implements Disposable {
  readonly #work: string;

  constructor(name: string) {
    this.#work = mkdtempSync(join(tmpdir(), `${name}-test-`));
  }

  of(from: string, name: string): string {
    const to = join(this.#work, name);
    for (const path of COPIED)
      cpSync(join(from, path), join(to, path), { recursive: true, preserveTimestamps: true });
    symlinkSync(join(top, "node_modules"), join(to, "node_modules"));
    return to;
  }

  [Symbol.dispose](): void {
    rmSync(this.#work, { recursive: true });
  }
}

export function edit(tree: string, [file, at, becomes]: Step): void {
  const path = join(tree, file);
  if (at === null) {
    if (existsSync(path)) throw new Error(`${file} is there already: mend the step here`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, becomes);
    return;
  }
  const text = readFileSync(path, "utf8");
  if (text.split(at).length !== 2)
    throw new Error(`${file}: ${JSON.stringify(at)} does not stand there once: mend the step here`);
  writeFileSync(
    path,
    text.replace(at, () => becomes),
  );
}

/** The text of a section of CONTRIBUTING.md. */
export const contributing = (heading: string): string =>
  new RegExp(`^## ${heading}\n([^]*?)^## `, "m").exec(
    readFileSync(join(top, "CONTRIBUTING.md"), "utf8"),
  )![1]!;

export async function run(cwd: string, command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const printed = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, text: printed.join("") };
}

export const bunTest = (cwd: string, args: string[]) =>
  run(cwd, [process.execPath, "test", "--timeout", "300000", ...args], { RUNS: "0.1" });

/** A trace by the sources of a copy. */
export class Trace<Line> implements AsyncDisposable {
  /** Lines of stderr so far. */
  readonly told: string[] = [];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #lines: AsyncGenerator<string, void>;
  readonly #errors: AsyncGenerator<string, void>;

  private constructor(child: Bun.Subprocess<"ignore", "pipe", "pipe">) {
    this.#child = child;
    this.#lines = linesOf(child.stdout);
    this.#errors = linesOf(child.stderr);
  }

  static async start<Line>(tree: string, args: readonly string[]): Promise<Trace<Line>> {
    const command = [process.execPath, "src/main.ts", "trace", "--json", ...args];
    const child = Bun.spawn([...command, "--attach", "tracepoint"], {
      cwd: tree,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const trace = new Trace<Line>(child);
    while (trace.told.at(-1)?.startsWith("tracing") !== true) {
      const { value, done } = await trace.#errors.next();
      if (done) throw new Error(`the trace did not begin: ${trace.told.join("\n")}`);
      trace.told.push(value);
    }
    return trace;
  }

  async next(): Promise<Line> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the trace has ended");
    return JSON.parse(value) as Line;
  }

  /** All that it tells at its end, too. Returns the exit code. */
  async stop(): Promise<number> {
    this.#child.kill("SIGINT");
    for (;;) {
      const { value, done } = await this.#errors.next();
      if (done) return this.#child.exited;
      this.told.push(value);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

// --- internal ---

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let begun = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const lines = (begun + decoder.decode(bytes, { stream: true })).split("\n");
    begun = lines.pop()!;
    yield* lines;
  }
}
