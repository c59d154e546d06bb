/** Starts the processes of actor.ts and talks with them. */
import { fileURLToPath } from "node:url";
import type { Subprocess } from "bun";
import { PATIENCE_MS, eachLine } from "./tracer.ts";

export const actorPath = fileURLToPath(new URL("actor.ts", import.meta.url));

/** The test runner is bun, or the binary under test turned into bun; either can run a TypeScript file. */
export function actorCommand(name: string, ...args: (string | number)[]): string[] {
  return [process.execPath, actorPath, name, ...args.map(String)];
}

export class Actor {
  readonly process: Subprocess<"pipe", "pipe", "pipe">;
  private readonly lines: string[] = [];
  private stderr = "";
  private over = false;
  private wake: () => void = () => {};

  constructor(name: string, ...args: (string | number)[]) {
    this.process = Bun.spawn(actorCommand(name, ...args), {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, BUN_BE_BUN: "1" },
    });
    const out = eachLine(this.process.stdout, (line) => {
      this.lines.push(line);
      this.wake();
    });
    const err = eachLine(this.process.stderr, (line) => (this.stderr += `${line}\n`));
    void Promise.all([out, err]).then(() => {
      this.over = true;
      this.wake();
    });
  }

  get pid(): number {
    return this.process.pid;
  }

  /** The next thing it says. */
  async hear<T>(): Promise<T> {
    const deadline = performance.now() + 3 * PATIENCE_MS;
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return JSON.parse(line) as T;
      const left = deadline - performance.now();
      if (this.over || left <= 0) throw new Error(`the actor said nothing: ${this.stderr}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Lets it go on from where it keeps still. */
  go(): void {
    void this.process.stdin.write("go\n");
    void this.process.stdin.flush();
  }

  async end(): Promise<number> {
    this.process.kill("SIGTERM");
    return this.process.exited;
  }
}
