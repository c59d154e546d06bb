/** `trace -- CMD`: the command, and a trace that ends with it. */
import type { TracedEvent } from "../conn/identity.ts";
import { Failure } from "../errors.ts";
import type { Sink } from "../sinks/sink.ts";
import type { Trace } from "../trace/trace.ts";

/** A command that cannot be started ends as in a shell: 127 if it is not there, 126 if it is no program one may run. */
export class LaunchError extends Failure {
  override readonly exitCode: number;

  constructor(command: string, error: { code?: string; message: string }) {
    const missing = error.code === "ENOENT";
    super(`command "${command}": ${missing ? "not found" : "cannot be run"}`, {
      why: reasons[error.code ?? ""] ?? error.message,
      hint:
        missing && !command.includes("/") ? "give its path; sudo may have another PATH" : undefined,
    });
    this.exitCode = missing ? 127 : 126;
  }
}

export interface Launched {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Its exit status as shells have it: 128 and the signal's number if a signal has ended it. */
  readonly ended: Promise<number>;
}

/**
 * Starts the command with our environment and directory. The command's output goes to our stderr: stdout carries the
 * trace's lines alone, so that a pipe gets nothing else. Throws a LaunchError.
 */
export function launch(trace: Pick<Trace, "launch">, words: readonly string[]): Launched {
  const child = trace.launch(() => spawn(words));
  return {
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    // Bun's number for a signal is that of shells.
    ended: child.exited,
  };
}

function spawn(words: readonly string[]) {
  try {
    // Named, because else it would be the environment as the tracer got it: see start.ts.
    return Bun.spawn([...words], { env: process.env, stdin: "inherit", stdout: 2, stderr: 2 });
  } catch (error) {
    throw new LaunchError(words[0]!, error as Error);
  }
}

/** A sink that knows how many of the connections it was told of are still open. */
export interface Watched {
  sink: Sink;
  /**
   * Resolves when nothing more is to come of processes that are over: all that was told of is closed, or `LINGER_MS` are
   * over. Says how many are still open: they are those of processes that live on.
   */
  drained(): Promise<number>;
}

/** With tracepoints a close comes when the peer has acknowledged it, and the end of a UDP socket is asked for each second. */
const LINGER_MS = 2000;
/** A poll so often, so that the end of the command is followed by some soon. */
const POLL_MS = 50;

export function watched(): Watched {
  const open = new Set<string>();
  let polls = 0;
  return {
    sink: {
      event(event) {
        if (event.kind === "close") open.delete(keyOf(event));
        else if (event.kind !== "fail") open.add(keyOf(event));
      },
      tick: () => void polls++,
      dueMs: POLL_MS,
    },
    async drained() {
      const deadline = performance.now() + LINGER_MS;
      // An event within a millisecond before a poll waits for the next poll.
      const seen = polls + SETTLED_POLLS;
      while ((polls < seen || open.size > 0) && performance.now() < deadline)
        await Bun.sleep(POLL_MS);
      return open.size;
    },
  };
}

// --- internal ---

const SETTLED_POLLS = 2;

const keyOf = ({ protocol, netns, local, remote, cookie }: TracedEvent): string =>
  `${protocol} ${netns} ${cookie} ${local.address} ${local.port} ${remote.address} ${remote.port}`;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file in PATH or at this path, or its interpreter is missing",
  EACCES: "permission denied: it is a directory, or not executable",
  ENOEXEC: "it is neither a program of this machine nor a script that begins with #!",
};
