/** Known connections over loopback: random addresses in 127/8, so that no two look alike and nobody else's do. */
import {
  AF_INET,
  AF_INET6,
  ETIMEDOUT,
  IPV6_V6ONLY,
  POLLIN,
  POLLOUT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
  SO_LINGER,
  TCP_NODELAY,
} from "../kernel/constants.ts";
import * as libc from "../kernel/libc.ts";
import { randomBytes } from "../kernel/random.ts";
import { parseIPv4, parseIPv6, readSockaddr, sockaddr } from "../kernel/sockaddr.ts";

/** How the client's socket names its addresses. */
export type Kind = "v4" | "v4-mapped" | "v6";

export interface Pair extends Disposable {
  kind: Kind;
  /** The connecting socket. */
  client: number;
  /** The accepted one; -1 when nothing was listening. */
  server: number;
  /** The client's ends, as text (IPv4 also where mapped) and host-order ports. */
  local: { address: string; port: number };
  remote: { address: string; port: number };
}

/** Loopback does not do what it always does: nothing can be learned here. */
export class LoopbackError extends Error {
  readonly errno: number;
  constructor(what: string, errno: number) {
    super(`${what}: ${libc.errnoName(errno)}`);
    this.name = "LoopbackError";
    this.errno = Math.abs(errno);
  }
}

/** Somebody else of this host connects to the tool's own listeners. */
export class DisturbedError extends LoopbackError {}

const TIMEOUT_MS = 1000;
/** Once others have been seen to connect: what is late now is late because of them. */
const DISTURBED_MS = 100;
/** More than 4,096 of others in a moment are needed to keep the tool's own connection out. */
const BACKLOG = 4096;

export interface PairOptions {
  /** Nothing listens at the remote port. */
  refused?: boolean;
  /** The client's port is given to bind(2), not chosen by it. */
  ownPort?: boolean;
}

/** One connection. `around` runs connect(2) and may watch it. */
export function openPair(
  kind: Kind,
  around: (client: number, connect: () => void) => void = (_, connect) => connect(),
  { refused = false, ownPort = false }: PairOptions = {},
): Pair {
  const [from, to] = kind === "v6" ? ["::1", "::1"] : [randomLoopback(), randomLoopback()];
  using listener = new Socket(kind);
  const client = new Socket(kind);
  try {
    check(libc.bind(listener.fd, sockaddr(inFamily(kind, to), 0)), `bind ${to}`);
    const remote = { address: to, port: portOf(listener.fd) };
    const port = ownPort ? freePort(kind, from) : 0;
    check(libc.bind(client.fd, sockaddr(inFamily(kind, from), port)), `bind ${from} ${port}`);
    const local = { address: from, port: portOf(client.fd) };
    // Last, because from here on any user of the host can connect to it.
    if (refused) listener[Symbol.dispose]();
    else check(libc.listen(listener.fd, BACKLOG), "listen");
    around(client.fd, () => {
      const result = libc.connect(client.fd, sockaddr(inFamily(kind, to), remote.port));
      if (result < 0 && libc.errnoName(result) !== "EINPROGRESS") check(result, `connect to ${to}`);
    });
    const server = refused ? -1 : accept(listener.fd, client.fd, local);
    libc.setsockoptInt(client.fd, SOL_TCP, TCP_NODELAY, 1);
    const ends = { kind, client: client.fd, server, local, remote };
    return { ...ends, [Symbol.dispose]: () => abort(client.fd, server) };
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

/** A socket that begins to listen. `around` runs listen(2) and may watch it. */
export function openListener(around: (listener: number, listen: () => void) => void): Disposable {
  const listener = new Socket("v4");
  try {
    check(libc.bind(listener.fd, sockaddr(inFamily("v4", randomLoopback()), 0)), "bind");
    around(listener.fd, () => check(libc.listen(listener.fd, 1), "listen"));
    return listener;
  } catch (error) {
    listener[Symbol.dispose]();
    throw error;
  }
}

/** Sends all of `count` bytes of no meaning: few enough for a host with the smallest buffers. */
export function sendBytes(fd: number, count: number, flags = 0): void {
  for (let sent = 0; sent < count;) {
    if (libc.pollOne(fd, POLLOUT, TIMEOUT_MS) <= 0) throw new LoopbackError("send", ETIMEDOUT);
    const n = libc.send(fd, new Uint8Array(count - sent), flags);
    if (n < 0) throw new LoopbackError(`send of ${count} bytes`, n);
    sent += n;
  }
}

/** Reads exactly `count` bytes. */
export function receiveBytes(fd: number, count: number): void {
  const buffer = new Uint8Array(count);
  for (let got = 0; got < count;) {
    if (libc.pollOne(fd, POLLIN, TIMEOUT_MS) <= 0) throw new LoopbackError("receive", ETIMEDOUT);
    const n = libc.recv(fd, buffer.subarray(got), 0);
    if (n <= 0) throw new LoopbackError("receive", n);
    got += n;
  }
}

/** Reads the peer's FIN. */
export function receiveEnd(fd: number): void {
  if (libc.pollOne(fd, POLLIN, TIMEOUT_MS) <= 0) throw new LoopbackError("receive", ETIMEDOUT);
  check(libc.recv(fd, new Uint8Array(1), 0), "receive");
}

/** Closes with a reset: no TIME_WAIT stays behind. */
export function abort(...fds: number[]): void {
  for (const fd of fds) {
    if (fd < 0) continue;
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array(Uint32Array.of(1, 0).buffer));
    libc.close(fd);
  }
}

export function portOf(fd: number): number {
  const address = new Uint8Array(128);
  const length = check(libc.getsockname(fd, address), "getsockname");
  return readSockaddr(address.subarray(0, length))?.port ?? 0;
}

export function check(result: number, what: string): number {
  if (result < 0) throw new LoopbackError(what, result);
  return result;
}

export function randomLoopback(): string {
  const random = randomBytes(3);
  return `127.${Array.from(random, (byte) => 1 + (byte % 254)).join(".")}`;
}

const inFamily = (kind: Kind, address: string): string =>
  kind === "v4-mapped" ? `::ffff:${address}` : address;

/** 4 or 16 bytes in network order. */
export const bytesOf = (address: string): Uint8Array =>
  address.includes(":") ? parseIPv6(address) : parseIPv4(address);

// --- internal ---

class Socket implements Disposable {
  readonly fd: number;
  #open = true;

  constructor(kind: Kind) {
    const family = kind === "v4" ? AF_INET : AF_INET6;
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.fd = check(libc.socket(family, type, 0), `socket ${kind}`);
    if (kind === "v4-mapped") libc.setsockoptInt(this.fd, SOL_IPV6, IPV6_V6ONLY, 0);
  }

  [Symbol.dispose](): void {
    if (this.#open) libc.close(this.fd);
    this.#open = false;
  }
}

/** Nobody else uses a random address, so that it stays free. */
function freePort(kind: Kind, address: string): number {
  using socket = new Socket(kind);
  check(libc.bind(socket.fd, sockaddr(inFamily(kind, address), 0)), `bind ${address}`);
  return portOf(socket.fd);
}

/** Takes connections until one is of the client at `local`: any user of the host can connect to a listener. */
function accept(listener: number, client: number, local: Pair["local"]): number {
  const deadline = performance.now() + TIMEOUT_MS;
  for (let others = 0; ; others++) {
    const room = Math.max(0, deadline - performance.now());
    const patience = others === 0 ? room : Math.min(room, DISTURBED_MS);
    if (libc.pollOne(listener, POLLIN, patience) <= 0) throw notAccepted(others);
    const server = check(libc.accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC), "accept");
    if (!isPeer(server, local)) {
      abort(server);
      continue;
    }
    if (libc.pollOne(client, POLLOUT, TIMEOUT_MS) <= 0)
      throw new LoopbackError("connect", ETIMEDOUT);
    libc.setsockoptInt(server, SOL_TCP, TCP_NODELAY, 1);
    return server;
  }
}

const notAccepted = (others: number): LoopbackError =>
  others === 0
    ? new LoopbackError("accept", ETIMEDOUT)
    : new DisturbedError(`accept: ${others} connections of others came first`, ETIMEDOUT);

function isPeer(server: number, { address, port }: Pair["local"]): boolean {
  const bytes = new Uint8Array(128);
  const length = libc.getpeername(server, bytes);
  // It may be over already.
  if (length < 0) return false;
  const peer = readSockaddr(bytes.subarray(0, length));
  return peer?.port === port && peer.address.replace(/^::ffff:/, "") === address;
}
