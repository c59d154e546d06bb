/**
 * Ways in which a connection can move bytes and end. Each drives both ends and leaves them closed; the peers' own
 * counts say what a tracer must then report. To add one: a sentence and a function here; trace.test.ts runs every
 * scenario in every address family and attach mode, peer.test.ts runs them without a tracer.
 */
import { unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { type Pair, type Peer, check, payload, transfer, until } from "./peer.ts";

// Primes: a count that is wrong by a FIN, a segment or a buffer cannot come out equal by chance.
export const scenarios: Readonly<Record<string, (pair: Pair) => void>> = {
  "nothing is sent": ({ client, server }) => {
    client.close();
    server.close();
  },

  "write and read in both directions": ({ client, server }) => {
    client.write(1009);
    server.read(1009);
    server.write(32_749);
    client.read(32_749);
    client.close();
    server.close();
  },

  "the server closes first": ({ client, server }) => {
    client.write(97);
    server.read(97);
    server.write(7919);
    server.close();
    client.readToEnd();
    client.close();
  },

  "one direction is far longer than any buffer": ({ client, server }) => {
    transfer(client, server, 1_299_709);
    transfer(server, client, 104_729);
    client.close();
    server.close();
  },

  "short writes: a small buffer takes less than was given": ({ client, server }) => {
    client.set(k.SOL_SOCKET, k.SO_SNDBUF, 4096);
    const taken = client.fill();
    if (taken % 65_521 === 0) throw new Error("no write was short");
    server.read(taken);
    client.close();
    server.close();
  },

  "send with MSG_MORE": ({ client, server }) => {
    for (const bytes of [13, 17, 19]) client.write(bytes, k.MSG_MORE);
    client.write(23);
    server.read(72);
    client.close();
    server.close();
  },

  "a corked socket, uncorked by its close": ({ client, server }) => {
    client.set(k.SOL_TCP, k.TCP_CORK, 1);
    for (const bytes of [101, 103, 107]) client.write(bytes);
    client.close();
    server.readToEnd();
    server.close();
  },

  "sendfile of a file": ({ client, server }) => {
    withFile(7919, (file) => {
      client.truth.sent += check(libc.sendfile(client.fd, file, null, 5003), "sendfile");
      client.truth.sent += check(libc.sendfile(client.fd, file, null, 5003), "sendfile to its end");
    });
    server.read(7919);
    client.close();
    server.close();
  },

  "sendfile that fails half way": ({ client, server }) => {
    withFile(1009, (file) => {
      client.truth.sent += check(libc.sendfile(client.fd, file, null, 1 << 20), "sendfile");
      const afterEnd = BigUint64Array.of(1n << 40n);
      check(libc.sendfile(client.fd, file, afterEnd, 97), "sendfile beyond the end");
    });
    if (libc.sendfile(client.fd, 9999, null, 97) !== -k.EBADF) throw new Error("it did not fail");
    server.read(1009);
    client.close();
    server.close();
  },

  "splice from a pipe into the socket and out of the other into a pipe": ({ client, server }) => {
    throughPipe((from, to) => {
      check(libc.write(to, payload(4099)), "write");
      client.truth.sent += check(libc.splice(from, client.fd, 4099, 0), "splice in");
    });
    throughPipe((from, to) => {
      for (let left = 4099; left > 0;) {
        const r = check(libc.splice(server.fd, to, left, 0), "splice out");
        server.truth.received += r;
        left -= r;
      }
      check(libc.read(from, new Uint8Array(8192)), "read");
    });
    client.close();
    server.close();
  },

  "half closed by the client, which then reads the answer; the client closes first": (pair) => {
    halfClosed(pair);
    pair.client.close();
    pair.server.close();
  },

  "half closed by the client, which then reads the answer; the server closes first": (pair) => {
    halfClosed(pair);
    pair.server.close();
    pair.client.close();
  },

  "both ends shut down, read the end of the stream and close": ({ client, server }) => {
    client.write(211);
    client.shutdown();
    server.write(223);
    server.shutdown();
    server.readToEnd();
    client.readToEnd();
    client.close();
    server.close();
  },

  "shut down in both directions at once": ({ client, server }) => {
    client.write(31);
    server.read(31);
    client.shutdown(k.SHUT_RDWR);
    server.readToEnd();
    server.shutdown(k.SHUT_RDWR);
    client.close();
    server.close();
  },

  "the peer's FIN has come, its end of stream is never read": ({ client, server }) => {
    client.write(499);
    client.shutdown();
    server.read(499);
    awaitFin(server);
    server.close();
    client.close();
  },

  "data and FIN have come, part of the data is never read": ({ client, server }) => {
    client.write(499);
    client.shutdown();
    server.read(307);
    awaitFin(server);
    server.close();
    client.awaitReset();
    client.close();
  },

  "closed with unread data, so that the peer is reset": ({ client, server }) => {
    client.write(5003);
    server.read(1009);
    awaitUnread(server, 5003 - 1009);
    server.close();
    client.awaitReset();
    client.close();
  },

  "the sender's buffer is full; the sender closes first": ({ client, server }) => {
    client.fill();
    server.read(12_345);
    client.close();
    server.close();
  },

  "the sender's buffer is full; the reader closes first": ({ client, server }) => {
    client.fill();
    server.read(12_345);
    server.close();
    client.awaitReset();
    client.close();
  },

  "aborted by SO_LINGER 0": ({ client, server }) => {
    client.write(613);
    server.read(613);
    server.write(617);
    client.read(617);
    client.abort();
    server.awaitReset();
    server.close();
  },

  "aborted with unsent data": ({ client, server }) => {
    client.fill();
    client.abort();
    server.awaitReset();
    server.close();
  },

  "reset by the peer, written to, and only then closed": ({ client, server }) => {
    client.write(127);
    server.read(127);
    server.abort();
    client.awaitReset();
    if (libc.send(client.fd, payload(11), k.MSG_NOSIGNAL) >= 0) throw new Error("send succeeded");
    client.close();
  },

  "reset by a peer whose FIN had come": ({ client, server }) => {
    client.write(571);
    client.shutdown();
    server.readToEnd();
    client.abort();
    server.awaitReset();
    server.close();
  },

  "reset after its own FIN": ({ client, server }) => {
    client.write(577);
    client.shutdown();
    server.readToEnd();
    server.abort();
    client.awaitReset();
    client.close();
  },

  "data that came before a reset is never read": ({ client, server }) => {
    server.write(541);
    awaitUnread(client, 541);
    server.abort();
    client.awaitReset();
    client.close();
  },

  "peeked at, then read": ({ client, server }) => {
    client.write(1013);
    awaitUnread(server, 1013);
    for (let i = 0; i < 3; i++)
      check(libc.recv(server.fd, new Uint8Array(2048), k.MSG_PEEK), "MSG_PEEK");
    server.read(1013);
    client.close();
    server.close();
  },

  "peeked at, never read": ({ client, server }) => {
    client.write(1013);
    awaitUnread(server, 1013);
    check(libc.recv(server.fd, new Uint8Array(2048), k.MSG_PEEK), "MSG_PEEK");
    server.close();
    client.awaitReset();
    client.close();
  },

  "thrown away by MSG_TRUNC": ({ client, server }) => {
    client.write(2011);
    awaitUnread(server, 2011);
    server.truth.received += check(libc.recv(server.fd, null, k.MSG_TRUNC, 2011), "MSG_TRUNC");
    client.close();
    server.close();
  },

  "read by one MSG_WAITALL that waits for many pieces": ({ client, server }) => {
    client.set(k.SOL_TCP, k.TCP_NODELAY, 1);
    for (const bytes of [1, 2, 3]) client.write(bytes);
    server.truth.received += check(libc.recv(server.fd, new Uint8Array(6), k.MSG_WAITALL), "recv");
    client.close();
    server.close();
  },

  "an urgent byte out of band": ({ client, server }) => {
    client.write(59);
    client.write(1, k.MSG_OOB);
    client.write(61);
    const urgent = until("the urgent byte", () => {
      const r = libc.recv(server.fd, new Uint8Array(1), k.MSG_OOB);
      return r > 0 && r;
    });
    server.truth.received += urgent;
    server.read(59 + 61);
    client.close();
    server.close();
  },

  "an urgent byte in line": ({ client, server }) => {
    server.set(k.SOL_SOCKET, k.SO_OOBINLINE, 1);
    client.write(59);
    client.write(1, k.MSG_OOB);
    client.write(61);
    server.read(121);
    client.close();
    server.close();
  },
};

/** Until the peer's FIN stands in the receive queue, unread. */
export function awaitFin(peer: Peer): void {
  peer.awaitInfo("the peer's FIN", (info) => info.state === k.TCP_CLOSE_WAIT);
}

// --- internal ---

function halfClosed({ client, server }: Pair): void {
  client.write(2003);
  client.shutdown();
  server.readToEnd();
  server.write(8191);
  client.read(8191);
}

function awaitUnread(peer: Peer, bytes: number): void {
  until(`${bytes} unread bytes`, () => libc.ioctlInt(peer.fd, k.SIOCINQ) >= bytes);
}

function withFile(bytes: number, use: (fd: number) => void): void {
  const path = join(tmpdir(), `tracer-bpf-test-${process.pid}`);
  writeFileSync(path, payload(bytes));
  const fd = check(libc.open(path, k.O_RDONLY | k.O_CLOEXEC), "open");
  unlinkSync(path);
  try {
    use(fd);
  } finally {
    libc.close(fd);
  }
}

function throughPipe(use: (from: number, to: number) => void): void {
  const ends = libc.pipe2(k.O_CLOEXEC);
  if (typeof ends === "number") throw new Error(`pipe2 failed: ${libc.errnoName(ends)}`);
  try {
    use(...ends);
  } finally {
    for (const fd of ends) libc.close(fd);
  }
}
