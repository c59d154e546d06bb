/**
 * A thread that is not the first of its process connects once for each pair of names, which the first thread and it have at
 * that moment. Says the truth about each connection; then the whole process is gone at once.
 */
import { writeFileSync } from "node:fs";
import { ofOwnThread } from "../../../src/kernel/own_thread.ts";
import { say } from "./actor_io.ts";
import { dial } from "./peer.ts";

declare const self: Worker;

export interface Names {
  first: string;
  own: string;
}

/** In the first thread. */
export function startBriefThread(port: string, names: string): void {
  const thread = new Worker(import.meta.url);
  thread.onmessage = () => thread.postMessage([port, names]);
}

if (!Bun.isMainThread) {
  self.onmessage = ({ data: [port, names] }: MessageEvent<[string, string]>) => {
    for (const { first, own } of JSON.parse(names) as Names[]) {
      writeFileSync("/proc/self/comm", first);
      writeFileSync(ofOwnThread("comm"), own);
      const { truth } = dial("127.0.0.1", Number(port));
      say({ ...truth, comm: first });
    }
    process.kill(process.pid, "SIGKILL");
  };
  postMessage("ready");
}
