/** Control groups of the tests' own, in the hierarchy of version 2, wherever this host has it. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import * as libc from "../../../src/kernel/libc.ts";

const MOUNT = / (\/\S*) cgroup2 /.exec(readFileSync("/proc/mounts", "utf8"))?.[1];

export interface OwnGroup extends Disposable {
  /** The directory. */
  directory: string;
  /** As a trace must show it. */
  path: string;
}

/** `names` are made below each other; all are removed again, which waits for the last process to leave. */
export function ownGroup(...names: string[]): OwnGroup {
  if (MOUNT === undefined) throw new Error("cgroup2 is mounted nowhere");
  const paths = names.map((_, n) => `/${names.slice(0, n + 1).join("/")}`);
  for (const path of paths) mkdirSync(MOUNT + path);
  return {
    directory: MOUNT + paths.at(-1)!,
    path: paths.at(-1)!,
    [Symbol.dispose]() {
      for (const path of paths.toReversed()) removed(MOUNT + path);
    },
  };
}

/** The file that containerd has of a container; removed again. */
export function ownEngine(id: string, annotations: Record<string, string>) {
  const directory = `/run/containerd/io.containerd.runtime.v2.task/default/${id}`;
  const first = mkdirSync(directory, { recursive: true }) ?? directory;
  writeFileSync(`${directory}/config.json`, JSON.stringify({ annotations }));
  return { directory, [Symbol.dispose]: () => rmSync(first, { recursive: true }) };
}

// --- internal ---

const PATIENCE_MS = 15_000;

/** A process that has ended leaves its group a little later. */
function removed(directory: string): void {
  for (const deadline = performance.now() + PATIENCE_MS; ; libc.usleep(1000)) {
    try {
      return rmdirSync(directory);
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
