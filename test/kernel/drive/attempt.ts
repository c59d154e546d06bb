/** Attempts to connect that come to nothing, with what is true of them. */
import * as k from "../../../src/kernel/constants.ts";
import { dropArriving } from "../../../src/kernel/filter.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { sockaddr } from "../../../src/kernel/sockaddr.ts";
import { type Truth, Listener, check, familyOf, nameOf, self } from "./peer.ts";

export interface AttemptOptions {
  nonblock?: boolean;
  /** IPPROTO_MPTCP, say. */
  protocol?: number;
  /** SYNs that are sent again before the kernel gives up: one takes about three seconds. */
  retries?: number;
}

/** A socket bound before it connects, so that the whole tuple is known even of a connect that never returns. */
export class Attempt {
  readonly fd: number;
  readonly truth: Truth;
  private readonly to: Uint8Array;
  private readonly waits: boolean;

  constructor(
    address: string,
    port: number,
    { nonblock = false, protocol = 0, retries }: AttemptOptions = {},
  ) {
    const type = k.SOCK_STREAM | k.SOCK_CLOEXEC | (nonblock ? k.SOCK_NONBLOCK : 0);
    this.fd = check(libc.socket(familyOf(address), type, protocol), "socket");
    check(libc.bind(this.fd, sockaddr(address, 0)), "bind");
    if (retries !== undefined)
      check(libc.setsockoptInt(this.fd, k.SOL_TCP, k.TCP_SYNCNT, retries), "TCP_SYNCNT");
    this.to = sockaddr(address, port);
    this.waits = !nonblock;
    const local = nameOf(libc.getsockname, this.fd);
    this.truth = {
      opened: "connect",
      ...self(),
      family: local.family,
      local: { address: local.address, port: local.port },
      remote: { address: local.address, port },
      sent: 0,
      received: 0,
    };
  }

  /** Returns the result of connect(2). The first attempt has the port of bind, a later one another. */
  connect(): number {
    const begins = performance.now();
    const result = libc.connect(this.fd, this.to);
    // Without waiting, it may return the error of an earlier one.
    if (this.waits) this.truth.connectTookUs = (performance.now() - begins) * 1000;
    this.truth.local.port = nameOf(libc.getsockname, this.fd).port;
    return result;
  }

  /** Until the kernel has ended the attempt or finished it. */
  awaitEnd(): void {
    if (check(libc.pollOne(this.fd, k.POLLOUT, 15_000), "poll") === 0)
      throw new Error("the attempt did not end");
  }

  /** Takes the error from the socket, which then has none. */
  takeError(): number {
    return libc.getsockoptInt(this.fd, k.SOL_SOCKET, k.SO_ERROR);
  }

  /** The truth about the last attempt, for the tracer's line. */
  failedWith(failure: string): Truth {
    return { ...this.truth, local: { ...this.truth.local }, failure };
  }

  close(): void {
    check(libc.close(this.fd), "close");
  }
}

export interface Port extends Disposable {
  port: number;
}

/** A port that belongs to a socket which does not listen: every SYN is answered by a reset. */
export function refusing(address: string): Port {
  const fd = check(libc.socket(familyOf(address), k.SOCK_STREAM | k.SOCK_CLOEXEC, 0), "socket");
  check(libc.bind(fd, sockaddr(address, 0)), "bind");
  const { port } = nameOf(libc.getsockname, fd);
  return { port, [Symbol.dispose]: () => void libc.close(fd) };
}

/** A listener to which no packet comes through: every SYN stays unanswered. */
export function silent(address: string): Port & { listener: Listener } {
  const listener = new Listener(address);
  check(dropArriving(listener.fd), "filter");
  return { listener, port: listener.port, [Symbol.dispose]: () => listener.close() };
}
