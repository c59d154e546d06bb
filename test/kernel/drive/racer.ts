/**
 * A thread that ends connections at the same moment as another one ends their other ends. The two spin until both are
 * there, so that they start within a fraction of a microsecond; then each waits a little, by chance, before it acts.
 */
import { SHUT_WR, SOL_SOCKET, SO_LINGER } from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";

/** Ways to end a connection, for one end. To add one, add a row. */
export const ends = {
  closes: (fd) => libc.close(fd),
  "resets it": (fd) => {
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array(Uint32Array.of(1, 0).buffer));
    libc.close(fd);
  },
  "shuts down and closes": (fd) => {
    libc.shutdown(fd, SHUT_WR);
    libc.close(fd);
  },
} satisfies Record<string, (fd: number) => void>;
export type End = keyof typeof ends;

export interface Race {
  fds: number[];
  end: End;
  /** One counter per connection: how many of the two are there. */
  barrier: Int32Array;
}

declare const self: Worker;

if (!Bun.isMainThread) {
  self.onmessage = ({ data }: MessageEvent<Race>) => {
    for (const [i, fd] of data.fds.entries()) {
      Atomics.add(data.barrier, i, 1);
      while (Atomics.load(data.barrier, i) < 2);
      spin(Math.floor(Math.random() * SPREAD));
      ends[data.end](fd);
    }
    postMessage("done");
  };
  postMessage(libc.gettid());
}

// --- internal ---

/** Turns of a loop, together a few times as long as a close(2). */
const SPREAD = 20_000;

let sink = 0;
function spin(turns: number): void {
  for (let i = 0; i < turns; i++) sink += i;
}
