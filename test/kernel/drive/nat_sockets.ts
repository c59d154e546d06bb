/**
 * Connections and flows between places, and what both of their sockets say: getsockname and getpeername of the client and
 * of the server that it reached. These four names are the truth about the translation between them, whatever did it.
 */
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { readSockaddr, sockaddr } from "../../../src/kernel/sockaddr.ts";
import { inPlace, type Place } from "./nat_network.ts";
import { awaitReadable, check, type Endpoint, familyOf, self } from "./peer.ts";

export interface Names {
  netns: number | null;
  local: Endpoint;
  remote: Endpoint;
}

/** A client and the server that it reached. */
export interface Link<Of extends Names = Names> {
  protocol: "tcp" | "udp";
  client: Of;
  server: Of;
}

/** With its sockets open. */
export type OpenLink = Link<Names & { fd: number }>;

/** A socket that waits for clients at one address. */
export interface Waiting {
  fd: number;
  place: Place;
  listen: Endpoint;
}

export function listenAt(place: Place, listen: Endpoint, prepare?: (fd: number) => void): Waiting {
  const fd = bound(place, k.SOCK_STREAM | k.SOCK_NONBLOCK, listen, prepare);
  check(libc.listen(fd, 512), "listen");
  return { fd, place, listen };
}

export interface Dialling {
  from: Place;
  to: Endpoint;
  /** The local port; without one the kernel chooses. */
  port?: number;
  /** Of a socket with a port of its own, before it is bound. */
  prepare?: (fd: number) => void;
}

/** Connects, and takes the connection from the one of `servers` that it reached. */
export function connectTo(
  servers: readonly Waiting[],
  { from, to, port, prepare }: Dialling,
): OpenLink {
  const any = { address: familyOf(to.address) === k.AF_INET ? "0.0.0.0" : "::", port: port ?? 0 };
  const fd =
    port === undefined
      ? inPlace(from, () => socketFor(to, k.SOCK_STREAM))
      : bound(from, k.SOCK_STREAM, any, prepare);
  check(libc.connect(fd, sockaddr(to.address, to.port)), `connect to ${to.address} ${to.port}`);
  const accepted = acceptOne(servers);
  return {
    protocol: "tcp",
    client: { fd, ...namesOf(from, fd) },
    server: { fd: accepted.fd, ...namesOf(accepted.place, accepted.fd) },
  };
}

/** An attempt that is refused, from this address: what its socket said. */
export function refusedBy({ from, to }: Dialling, address: string): Names {
  const fd = bound(from, k.SOCK_STREAM, { address, port: 0 });
  const local = nameOf(libc.getsockname, fd);
  const result = libc.connect(fd, sockaddr(to.address, to.port));
  if (result !== -k.ECONNREFUSED) throw new Error(`not refused: ${libc.errnoName(result)}`);
  libc.close(fd);
  return { netns: netnsOf(from), local, remote: to };
}

export interface Flow extends Dialling {
  servers: readonly { place: Place; listen: Endpoint }[];
  /** Each server's socket is connected to who asked: without that a tracer by tracepoints cannot know its remote end. */
  isConnected: boolean;
}

/** One question and one answer by UDP; the sockets are closed afterwards. */
export function askOnce({ from, to, servers, isConnected }: Flow): Link {
  const waiting = servers.map(({ place, listen }) => ({
    fd: bound(place, k.SOCK_DGRAM, listen, reuse),
    place,
    listen,
  }));
  const fd = inPlace(from, () => socketFor(to, k.SOCK_DGRAM));
  check(libc.connect(fd, sockaddr(to.address, to.port)), "connect");
  const names = namesOf(from, fd);
  check(libc.send(fd, new Uint8Array(7), 0), "send");
  const server = answerOne(waiting, isConnected);
  awaitReadable(fd);
  check(libc.recv(fd, new Uint8Array(16), 0), "recv");
  for (const each of [fd, ...waiting.map((one) => one.fd)]) libc.close(each);
  return { protocol: "udp", client: names, server };
}

/** Answers the one datagram that is under way to one of them. */
export function answerOne(waiting: readonly Waiting[], isConnected: boolean): Names {
  const one = awaitOne(waiting);
  const raw = new Uint8Array(128);
  check(libc.recvfrom(one.fd, new Uint8Array(16), 0, raw), "recvfrom");
  const { address, port } = readSockaddr(raw)!;
  if (isConnected) check(libc.connect(one.fd, sockaddr(address, port)), "connect back");
  check(libc.sendto(one.fd, new Uint8Array(11), 0, sockaddr(address, port)), "sendto");
  return { netns: netnsOf(one.place), local: one.listen, remote: { address, port } };
}

export function bound(
  place: Place,
  type: number,
  at: Endpoint,
  prepare?: (fd: number) => void,
): number {
  const fd = inPlace(place, () => socketFor(at, type));
  reuse(fd);
  prepare?.(fd);
  check(libc.bind(fd, sockaddr(at.address, at.port)), `bind ${at.address} ${at.port}`);
  return fd;
}

/** The end of the stream, or a reset that the other end sees at once. */
export function end({ client, server }: OpenLink, by: "close" | "reset" = "close"): void {
  if (by === "reset")
    check(
      libc.setsockopt(
        client.fd,
        k.SOL_SOCKET,
        k.SO_LINGER,
        new Uint8Array(Int32Array.of(1, 0).buffer),
      ),
      "SO_LINGER",
    );
  libc.close(client.fd);
  libc.close(server.fd);
}

/** A few exchanges: the flow table takes over what is established. */
export function talk(links: readonly OpenLink[]): void {
  for (const { client, server } of links)
    for (let i = 0; i < 3; i++)
      for (const [from, to] of [
        [client.fd, server.fd],
        [server.fd, client.fd],
      ] as const) {
        check(libc.send(from, new Uint8Array(7), 0), "send");
        awaitReadable(to);
        check(libc.recv(to, new Uint8Array(16), 0), "recv");
      }
}

// --- internal ---

const reuse = (fd: number): void =>
  void check(libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1), "SO_REUSEADDR");

const socketFor = (to: Endpoint, type: number): number =>
  check(libc.socket(familyOf(to.address), type | k.SOCK_CLOEXEC, 0), "socket");

function acceptOne(servers: readonly Waiting[]): { fd: number; place: Place } {
  const one = awaitOne(servers);
  return { fd: check(libc.accept4(one.fd, k.SOCK_CLOEXEC), "accept4"), place: one.place };
}

function awaitOne(waiting: readonly Waiting[]): Waiting {
  if (waiting.length === 1) awaitReadable(waiting[0]!.fd);
  for (let tries = 0; tries < 15_000; tries++) {
    const one = waiting.find(({ fd }) => libc.pollOne(fd, k.POLLIN, 0) > 0);
    if (one) return one;
    libc.usleep(1000);
  }
  throw new Error("no server was reached");
}

const netnsNumbers = new Map<Place, number | null>();

export function netnsOf(place: Place): number | null {
  if (!netnsNumbers.has(place))
    netnsNumbers.set(
      place,
      inPlace(place, () => self().netns),
    );
  return netnsNumbers.get(place)!;
}

function namesOf(place: Place, fd: number): Names {
  return {
    netns: netnsOf(place),
    local: nameOf(libc.getsockname, fd),
    remote: nameOf(libc.getpeername, fd),
  };
}

function nameOf(call: typeof libc.getsockname, fd: number): Endpoint {
  const raw = new Uint8Array(128);
  const { address, port } = readSockaddr(raw.subarray(0, check(call(fd, raw), "socket name")))!;
  return { address, port };
}
