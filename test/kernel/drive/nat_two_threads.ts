/** A second thread that sends on a UDP socket while the first one does. */
import * as libc from "../../../src/kernel/libc.ts";
import { check } from "./peer.ts";

/** Words that both threads have. */
const [TURN, FD, SENT] = [0, 1, 2];

export class SecondThread implements Disposable {
  readonly #shared = new Int32Array(new SharedArrayBuffer(12));
  readonly #worker = new Worker(import.meta.url);

  constructor() {
    this.#worker.postMessage(this.#shared);
    this.#await("start");
  }

  /** One datagram in each thread. */
  sendTwice(fd: number): void {
    Atomics.store(this.#shared, SENT, 0);
    Atomics.store(this.#shared, FD, fd);
    Atomics.add(this.#shared, TURN, 1);
    Atomics.notify(this.#shared, TURN);
    send(fd);
    this.#await("send");
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }

  #await(what: string): void {
    if (Atomics.wait(this.#shared, SENT, 0, PATIENCE_MS) === "timed-out")
      throw new Error(`the second thread did not ${what}`);
  }
}

// --- internal ---

declare const self: Worker;

const PATIENCE_MS = 60_000;

const send = (fd: number): void => void check(libc.send(fd, new Uint8Array(7), 0), "send");

function serve(shared: Int32Array): void {
  for (let turn = 0; ; turn++) {
    Atomics.store(shared, SENT, 1);
    Atomics.notify(shared, SENT);
    Atomics.wait(shared, TURN, turn);
    send(Atomics.load(shared, FD));
  }
}

if (!Bun.isMainThread) self.onmessage = ({ data }: MessageEvent<Int32Array>) => serve(data);
