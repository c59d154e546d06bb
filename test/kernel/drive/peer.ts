/**
 * Both ends of TCP connections, made with plain system calls that count for themselves what they moved. These counts,
 * not the tracer's, are what the scenario tests hold true; test/kernel/peer.test.ts checks them against TCP_INFO.
 */
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { ofOwnThread } from "../../../src/kernel/own_thread.ts";
import { type Address, parseIPv6, readSockaddr, sockaddr } from "../../../src/kernel/sockaddr.ts";
import { isMapped } from "../../../src/record/address.ts";
import { TCP_INFO_MAX, type TcpInfo, readTcpInfo } from "../../../src/kernel/tcp_info.ts";

export interface Endpoint {
  address: string;
  port: number;
}

/** The truth about one end of a connection. Plain data: it also travels out of other processes as JSON. */
export interface Truth {
  opened: "connect" | "accept";
  pid: number;
  comm: string;
  netns: number | null;
  family: 4 | 6;
  local: Endpoint;
  remote: Endpoint;
  sent: number;
  received: number;
  /** Microseconds that a blocking connect(2) took. */
  connectTookUs?: number;
  /** Name of the errno that ended it; absent where there was none. */
  failure?: string;
}

/** Nothing here should take longer, even in an emulated guest. */
const PATIENCE_MS = 15_000;

export class Peer {
  readonly fd: number;
  readonly truth: Truth;

  constructor(fd: number, opened: "connect" | "accept") {
    const local = nameOf(libc.getsockname, fd);
    const remote = nameOf(libc.getpeername, fd);
    this.fd = fd;
    this.truth = {
      opened,
      ...self(),
      family: local.family,
      local: { address: local.address, port: local.port },
      remote: { address: remote.address, port: remote.port },
      sent: 0,
      received: 0,
    };
  }

  /** Blocks until the kernel has taken all `bytes`: they must fit the socket's buffers. */
  write(bytes: number, flags = 0): void {
    const data = payload(bytes);
    for (let done = 0; done < bytes;) {
      const r = check(libc.send(this.fd, data.subarray(done), flags | k.MSG_NOSIGNAL), "send");
      done += r;
      this.truth.sent += r;
    }
  }

  /** Writes until the socket takes no more; returns how much it took. */
  fill(): number {
    const before = this.truth.sent;
    const data = payload(65_521);
    for (;;) {
      const r = libc.send(this.fd, data, k.MSG_DONTWAIT | k.MSG_NOSIGNAL);
      if (r === -k.EAGAIN) return this.truth.sent - before;
      this.truth.sent += check(r, "send until full");
    }
  }

  /** Reads exactly `bytes`, in as many pieces as they come. */
  read(bytes: number): void {
    for (let left = bytes; left > 0;) {
      const r = this.readSome(Math.min(left, 1 << 20));
      if (r === 0) throw new Error(`end of stream with ${left} of ${bytes} bytes still to read`);
      left -= r;
    }
  }

  /** Reads up to the end of the stream, and the end itself. */
  readToEnd(): void {
    while (this.readSome(1 << 20) > 0);
  }

  /** 0 = end of stream. */
  readSome(atMost: number): number {
    awaitReadable(this.fd);
    const r = check(libc.recv(this.fd, scratch.subarray(0, atMost), 0), "recv");
    this.truth.received += r;
    return r;
  }

  shutdown(how: number = k.SHUT_WR): void {
    check(libc.shutdown(this.fd, how), "shutdown");
  }

  close(): void {
    check(libc.close(this.fd), "close");
  }

  /** Close that sends RST instead of FIN, whatever is queued. */
  abort(): void {
    const linger = new Uint8Array(Int32Array.of(1, 0).buffer);
    check(libc.setsockopt(this.fd, k.SOL_SOCKET, k.SO_LINGER, linger), "SO_LINGER");
    this.close();
  }

  set(level: number, option: number, value: number): void {
    check(libc.setsockoptInt(this.fd, level, option, value), `option ${level}/${option}`);
  }

  info(): TcpInfo {
    const raw = new Uint8Array(TCP_INFO_MAX);
    const length = check(libc.getsockopt(this.fd, k.SOL_TCP, k.TCP_INFO, raw), "TCP_INFO");
    return readTcpInfo(raw.subarray(0, length));
  }

  /** Until the peer's RST has ended the connection. */
  awaitReset(): void {
    this.awaitInfo("the peer's reset", (info) => info.state === k.TCP_CLOSE);
    this.truth.failure = "ECONNRESET";
  }

  /** Until TCP_INFO meets the condition: acknowledgements and FINs take their time. */
  awaitInfo(what: string, condition: (info: TcpInfo) => boolean): TcpInfo {
    return until(what, () => {
      const info = this.info();
      return condition(info) ? info : undefined;
    });
  }
}

export class Listener {
  readonly fd: number;
  readonly address: string;
  readonly port: number;

  constructor(address: string, port = 0, backlog = 64, protocol = 0) {
    const type = k.SOCK_STREAM | k.SOCK_CLOEXEC;
    this.fd = check(libc.socket(familyOf(address), type, protocol), "socket");
    libc.setsockoptInt(this.fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1);
    check(libc.bind(this.fd, sockaddr(address, port)), `bind ${address} ${port}`);
    check(libc.listen(this.fd, backlog), "listen");
    this.address = address;
    this.port = nameOf(libc.getsockname, this.fd).port;
  }

  accept(): Peer {
    this.awaitConnection();
    return new Peer(check(libc.accept4(this.fd, k.SOCK_CLOEXEC), "accept4"), "accept");
  }

  awaitConnection(): void {
    awaitReadable(this.fd);
  }

  /** accept(2) itself waits, for ever: for tests of a process that hangs in it. */
  acceptBlocking(): Peer {
    return new Peer(check(libc.accept4(this.fd, k.SOCK_CLOEXEC), "accept4"), "accept");
  }

  close(): void {
    libc.close(this.fd);
  }
}

export interface DialOptions {
  /** The local port, for connections that must be told apart by something else. */
  port?: number;
  /** IPPROTO_MPTCP, say. */
  protocol?: number;
  prepare?: (fd: number) => void;
}

export function dial(address: string, port: number, options: DialOptions = {}): Peer {
  const type = k.SOCK_STREAM | k.SOCK_CLOEXEC;
  const fd = check(libc.socket(familyOf(address), type, options.protocol ?? 0), "socket");
  options.prepare?.(fd);
  if (options.port !== undefined) {
    libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1);
    check(libc.bind(fd, sockaddr(address, options.port)), `bind ${address} ${options.port}`);
  }
  const begins = performance.now();
  check(libc.connect(fd, sockaddr(address, port)), `connect to ${address} ${port}`);
  const took = (performance.now() - begins) * 1000;
  const made = new Peer(fd, "connect");
  made.truth.connectTookUs = took;
  return made;
}

/** The three ways a connection's addresses can look; to add one, its address here. */
export const families = {
  IPv4: "127.0.0.1",
  IPv6: "::1",
  "IPv4 through an IPv6 socket": "::ffff:127.0.0.1",
} as const;
export type Family = keyof typeof families;

export interface Pair {
  client: Peer;
  server: Peer;
}

/** `prepare` is applied to the listener and to the client's socket, before anything is sent. */
export function pair(family: Family = "IPv4", prepare?: (fd: number) => void): Pair {
  const listener = new Listener(families[family]);
  prepare?.(listener.fd);
  const client = dial(listener.address, listener.port, prepare ? { prepare } : {});
  const server = listener.accept();
  listener.close();
  return { client, server };
}

/** A connection that is over; returns the port of its client. */
export function pairOver(): number {
  const { client, server } = pair();
  for (const end of [client, server]) end.close();
  return client.truth.local.port;
}

/** Sends `bytes` through the pair while the other end reads them, so that no buffer can get full. */
export function transfer(from: Peer, to: Peer, bytes: number): void {
  const data = payload(Math.min(bytes, 65_521));
  for (let sent = 0, received = 0; received < bytes;) {
    const chunk = data.subarray(0, Math.min(bytes - sent, data.length));
    const r = libc.send(from.fd, chunk, k.MSG_DONTWAIT | k.MSG_NOSIGNAL);
    if (r !== -k.EAGAIN) sent += check(r, "send");
    const got = to.readSome(1 << 20);
    received += got;
    if (r > 0) from.truth.sent += r;
    if (got === 0) throw new Error(`end of stream after ${received} of ${bytes} bytes`);
  }
}

/** The identity of this process, as a tracer must show it. */
export function self(): { pid: number; comm: string; netns: number | null } {
  return {
    pid: libc.getpid(),
    comm: readFileSync("/proc/self/comm", "latin1").replace(/\n$/, ""),
    netns: netnsIn(ofOwnThread("ns/net")),
  };
}

/** null: a kernel without network namespaces. */
export const netnsOf = (pid: number): number | null => netnsIn(`/proc/${pid}/ns/net`);

/** Throws what a system call of a driver must not return. */
export function check(result: number, what: string): number {
  if (result < 0) throw new Error(`${what} failed: ${libc.errnoName(result)}`);
  return result;
}

/** For what the kernel does by itself and soon. Blocks the event loop. */
export function until<T>(what: string, look: () => T | undefined | false): T {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline)
      throw new Error(`${what} did not happen in ${PATIENCE_MS} ms`);
    libc.usleep(1000);
  }
}

export function awaitReadable(fd: number): void {
  const r = check(libc.pollOne(fd, k.POLLIN, PATIENCE_MS), "poll");
  if (r === 0) throw new Error(`nothing to read from descriptor ${fd} in ${PATIENCE_MS} ms`);
}

/** Bytes that differ from their neighbours. Read only. */
export function payload(bytes: number): Uint8Array {
  if (bytes > pattern.length) throw new Error(`no payload of ${bytes} bytes is prepared`);
  return pattern.subarray(0, bytes);
}

// --- internal ---

function netnsIn(path: string): number | null {
  return existsSync(path) ? Number(/\d+/.exec(readlinkSync(path))![0]) : null;
}

// Made once: filling megabytes takes long in an emulated guest.
const pattern = Uint8Array.from({ length: 1 << 17 }, (_, i) => i % 251);
const scratch = new Uint8Array(1 << 20);

export function familyOf(address: string): number {
  return address.includes(":") ? k.AF_INET6 : k.AF_INET;
}

/** As the tracer shows it: a v4-mapped address is IPv4. */
export function nameOf(call: typeof libc.getsockname, fd: number): Address {
  const raw = new Uint8Array(128);
  const name = readSockaddr(raw.subarray(0, check(call(fd, raw), "socket name")))!;
  if (name.family === 4 || !isMapped(parseIPv6(name.address))) return name;
  return { family: 4, address: name.address.slice("::ffff:".length), port: name.port };
}
