/**
 * UDP sockets that count for themselves what their system calls returned, by remote end. These counts, not the tracer's,
 * are what the UDP tests hold true.
 */
import { expect } from "bun:test";
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { type Address, parseIPv6, readSockaddr, sockaddr } from "../../../src/kernel/sockaddr.ts";
import { isMapped } from "../../../src/record/address.ts";
import type { Mode } from "./modes.ts";
import { linuxAtLeast } from "./modes.ts";
import { awaitReadable, check, type Endpoint, payload, self } from "./peer.ts";
import { membersOf, openKeys, type Event, type Tracer } from "./tracer.ts";

/** Tracepoints that see UDP came with 6.3. */
export const tracesUdp = (mode: Mode): boolean => mode === "kprobe" || linuxAtLeast(6, 3);

/** The truth about one end of a flow. Plain data: it also travels out of other processes as JSON. */
export interface FlowTruth {
  pid: number;
  comm: string;
  netns: number | null;
  family: 4 | 6;
  direction: "outgoing" | "incoming" | "unknown";
  local: Endpoint;
  remote: Endpoint;
  sent: number;
  received: number;
  packetsSent: number | null;
  packetsReceived: number | null;
}
/** `null`: the bytes are shown as unknown. */
export type FlowShown = Omit<FlowTruth, "received"> & { received: number | null };

/** How an end is shown that is not known. */
export const unknown = { address: null, port: null } as unknown as Endpoint;

export class Udp {
  readonly fd: number;
  readonly local: Endpoint;
  readonly flows = new Map<string, FlowTruth>();
  private peer: Endpoint | null = null;

  /** `local` is what is expected to be shown of a socket that is bound to any address. */
  constructor(address: string, { port = 0, prepare, local }: UdpOptions = {}) {
    const family = address.includes(":") ? k.AF_INET6 : k.AF_INET;
    this.fd = check(libc.socket(family, k.SOCK_DGRAM | k.SOCK_CLOEXEC, 0), "socket");
    prepare?.(this.fd);
    check(libc.bind(this.fd, sockaddr(address, port)), `bind ${address} ${port}`);
    const raw = new Uint8Array(128);
    const name = plain(
      readSockaddr(raw.subarray(0, check(libc.getsockname(this.fd, raw), "name")))!,
    );
    this.local = { address: local === undefined ? name.address : local, port: name.port };
  }

  /** As sockaddr wants it from a socket of this family. */
  private raw(to: Endpoint): Uint8Array {
    const raw = new Uint8Array(128);
    libc.getsockname(this.fd, raw);
    const six = new DataView(raw.buffer).getUint16(0, true) === k.AF_INET6;
    return sockaddr(
      six && !to.address.includes(":") ? `::ffff:${to.address}` : to.address,
      to.port,
    );
  }

  connect(to: Endpoint): this {
    check(libc.connect(this.fd, this.raw(to)), "connect");
    this.peer = to;
    return this;
  }

  /** To the peer. `packets`: how many datagrams the kernel is known to make of it. */
  send(bytes: number, flags = 0, packets = 1): void {
    this.sendUnnamed(this.peer!, bytes, flags, packets);
  }

  /** Names nobody; `to`: where it goes, as it is to be shown. */
  sendUnnamed(to: Endpoint, bytes: number, flags = 0, packets = 1): void {
    const sent = check(libc.send(this.fd, payload(bytes), flags), "send");
    this.sent(to, sent, packets);
  }

  /** `shown`: where it goes, if that is not what is named. */
  sendTo(to: Endpoint, bytes: number, flags = 0, packets = 1, shown = to): void {
    const sent = check(libc.sendto(this.fd, payload(bytes), flags, this.raw(to)), "sendto");
    this.sent(shown, sent, packets);
  }

  sent(to: Endpoint, bytes: number, packets: number): void {
    const truth = this.truth(to, "outgoing");
    truth.sent += bytes;
    truth.packetsSent! += packets;
  }

  /** Returns what recvfrom does. */
  receive(flags = 0, room = 1 << 16, packets = 1): number {
    awaitReadable(this.fd);
    return this.receiveBlocking(room, flags, packets);
  }

  /** recvfrom(2) itself waits, for ever: for tests of a process that hangs in it. */
  receiveBlocking(room: number, flags = 0, packets = 1): number {
    const raw = new Uint8Array(128);
    const r = check(libc.recvfrom(this.fd, scratch.subarray(0, room), flags, raw), "recvfrom");
    if (!(flags & k.MSG_PEEK)) this.received(plain(readSockaddr(raw)!), r, packets);
    return r;
  }

  /** Does not ask who sent; `from`: as it is to be shown. */
  receiveUnnamed(from: Endpoint): void {
    awaitReadable(this.fd);
    this.received(from, check(libc.recv(this.fd, scratch, 0), "recv"), 1);
  }

  received(from: Endpoint, bytes: number, packets: number): void {
    const truth = this.truth(from, "incoming");
    truth.received += bytes;
    truth.packetsReceived! += packets;
  }

  /** Waits for an error that the kernel tells the socket of, and takes it. */
  takeError(): number {
    awaitReadable(this.fd);
    return libc.getsockoptInt(this.fd, k.SOL_SOCKET, k.SO_ERROR);
  }

  close(): void {
    check(libc.close(this.fd), "close");
  }

  /** As this mode shows them. */
  truths(mode: Mode): FlowTruth[] {
    const flows = [...this.flows.values()];
    if (mode === "kprobe") return flows;
    return flows.map((flow) => ({ ...flow, packetsSent: null, packetsReceived: null }));
  }

  private truth(remote: Endpoint, direction: FlowTruth["direction"]): FlowTruth {
    const { address, port } = remote;
    const key = `${address} ${port}`;
    const known = this.flows.get(key);
    if (known) return known;
    const truth: FlowTruth = {
      ...self(),
      family: (address ?? this.local.address).includes(":") ? 6 : 4,
      direction,
      local: this.local,
      remote: { address, port },
      sent: 0,
      received: 0,
      packetsSent: 0,
      packetsReceived: 0,
    };
    this.flows.set(key, truth);
    return truth;
  }
}

interface UdpOptions {
  port?: number;
  prepare?: (fd: number) => void;
  local?: string;
}

/** Both lines of every flow that the socket had, or of the one given; the socket is closed. */
export async function expectFlows(tracer: Tracer, of: Udp | FlowShown): Promise<Event[]> {
  const truths = of instanceof Udp ? of.truths(tracer.mode) : [of];
  const closes: Event[] = [];
  for (const truth of truths) {
    const opened = await expectFlowOpen(tracer, truth);
    const closed = await expectFlowClosed(tracer, truth);
    expect(opened.time <= closed.time).toBe(true);
    expect(closed.id).toBe(opened.id);
    closes.push(closed);
  }
  return closes;
}

export async function expectFlowOpen(tracer: Tracer, truth: FlowShown): Promise<Event> {
  const event = await tracer.take("begin", truth);
  expectIdentity(event, truth);
  expect(membersOf(event)).toEqual(openKeys);
  return event;
}

export async function expectFlowClosed(tracer: Tracer, truth: FlowShown): Promise<Event> {
  const event = await tracer.take("close", truth);
  expectIdentity(event, truth);
  expect({
    sent: event.bytes_sent,
    received: event.bytes_received,
    packetsSent: event.packets_sent,
    packetsReceived: event.packets_received,
  }).toEqual({
    sent: truth.sent,
    received: truth.received,
    packetsSent: truth.packetsSent,
    packetsReceived: truth.packetsReceived,
  });
  expect(membersOf(event)).toEqual([...openKeys, ...totalKeys]);
  return event;
}

/** A datagram of the flow has drawn this error. */
export async function expectFlowFailed(
  tracer: Tracer,
  truth: FlowShown,
  failure: string,
): Promise<Event> {
  const event = await tracer.take("fail", truth);
  expectIdentity(event, truth);
  expect(event.failure).toBe(failure);
  expect(membersOf(event)).toEqual([...openKeys, "failure"]);
  return event;
}

/**
 * The same of flows of which some have the same ends: their lines come in whatever order. With tracepoints nothing tells of
 * the end of a socket when it happens.
 */
export async function expectFlowsInAnyOrder(tracer: Tracer, truths: FlowTruth[]): Promise<void> {
  const seen: unknown[] = [];
  const wanted: unknown[] = [];
  for (const truth of truths) {
    const begin = await tracer.take("begin", truth);
    const close = await tracer.take("close", truth);
    const { pid, comm, family, direction, sent, received, packetsSent, packetsReceived } = truth;
    const owner = [truth.local.port, pid, comm, family, direction];
    wanted.push([...owner, "begin"], [...owner, sent, received, packetsSent, packetsReceived]);
    const ofLine = (event: Event) => [
      ...[event.local.port, event.pid, event.comm, event.family, event.direction],
    ];
    const { bytes_sent, bytes_received, packets_sent, packets_received } = close;
    seen.push(
      [...ofLine(begin), "begin"],
      [...ofLine(close), bytes_sent, bytes_received, packets_sent, packets_received],
    );
  }
  const sorted = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).toSorted();
  expect(sorted(seen)).toEqual(sorted(wanted));
}

// --- internal ---

const scratch = new Uint8Array(1 << 16);
const totalKeys = "bytes_sent bytes_received packets_sent packets_received duration_us".split(" ");

function expectIdentity(event: Event, truth: FlowShown): void {
  expect(event).toMatchObject({
    protocol: "udp",
    pid: truth.pid,
    comm: truth.comm,
    family: truth.family,
    direction: truth.direction,
    netns: truth.netns,
    local: truth.local,
    remote: truth.remote,
  });
}

/** As the tracer shows it: a v4-mapped address is IPv4. */
function plain(name: Address): Endpoint {
  const mapped = name.family === 6 && isMapped(parseIPv6(name.address));
  const address = mapped ? name.address.slice("::ffff:".length) : name.address;
  return { address, port: name.port };
}
