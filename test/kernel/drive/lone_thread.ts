/**
 * A thread that accepts a connection whose descriptor the first thread of its process does not have: `own-table`, because
 * this thread has a table of its own; `first-gone`, because the first thread has ended. Says its port, then of each
 * connection the truth about the end it accepted, which it closes when told.
 */
import { readFileSync } from "node:fs";
import { CLONE_FILES } from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { libc as symbols } from "../../../src/kernel/libc/symbols.ts";
import { awaitGo, say } from "./actor_io.ts";
import { check, Listener, until } from "./peer.ts";

declare const self: Worker;

/** In the first thread. */
export function startLoneThread(why: string): void {
  const thread = new Worker(import.meta.url);
  thread.onmessage = () => {
    thread.postMessage(why);
    if (why === "first-gone") endThread();
  };
}

if (!Bun.isMainThread) {
  self.onmessage = ({ data: why }: MessageEvent<string>) => {
    if (why === "own-table") check(libc.unshare(CLONE_FILES), "unshare");
    else until("the end of the first thread", isFirstOver);
    const listener = new Listener("127.0.0.1");
    say({ port: listener.port });
    do {
      const server = listener.acceptBlocking();
      say(server.truth);
      awaitGo();
      server.close();
    } while (awaitGo());
  };
  postMessage("ready");
}

// --- internal ---

/** exit(2) of this thread alone, which libc has no function for. */
function endThread(): void {
  symbols.syscall(process.arch === "arm64" ? 93 : 60, 0, null, 0);
}

const isFirstOver = () => / Z /.test(readFileSync(`/proc/${libc.getpid()}/stat`, "latin1"));
