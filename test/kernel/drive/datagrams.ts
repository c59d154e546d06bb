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
import { openKeys, type Event, type Tracer } from "./tracer.ts";

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
  /** As it is shown: unknown in tracepoint mode, if the socket is not connected. */
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
    const sent = check(libc.send(this.fd, payload(bytes), flags), "send");
    this.sent(this.peer!, sent, packets);
  }

  sendTo(to: Endpoint, bytes: number, flags = 0): void {
    const sent = check(libc.sendto(this.fd, payload(bytes), flags, this.raw(to)), "sendto");
    this.sent(to, sent, 1);
  }

  sent(to: Endpoint, bytes: number, packets: number): void {
    const truth = this.truth(to, "outgoing");
    truth.sent += bytes;
    truth.packetsSent! += packets;
  }

  /** Returns what recvfrom does. `local`: where the datagram was sent to, if that is not this socket's address. */
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

  received(from: Endpoint, bytes: number, packets: number): void {
    const truth = this.truth(from, "incoming");
    truth.received += bytes;
    truth.packetsReceived! += packets;
  }

  close(): void {
    check(libc.close(this.fd), "close");
  }

  /** As this mode shows them. */
  truths(mode: Mode): FlowTruth[] {
    const flows = [...this.flows.values()];
    if (mode === "kprobe" || flows.length === 0) return flows;
    const sum = (of: (flow: FlowTruth) => number) => flows.reduce((s, flow) => s + of(flow), 0);
    const remote = this.peer ? flows[0]!.remote : unknown;
    const totals = { sent: sum((f) => f.sent), received: sum((f) => f.received) };
    return [{ ...flows[0]!, remote, ...totals, packetsSent: null, packetsReceived: null }];
  }

  private truth(remote: Endpoint, direction: FlowTruth["direction"]): FlowTruth {
    const { address, port } = remote;
    const key = `${address} ${port}`;
    const known = this.flows.get(key);
    if (known) return known;
    const truth: FlowTruth = {
      ...self(),
      family: address.includes(":") ? 6 : 4,
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
    closes.push(closed);
  }
  return closes;
}

export async function expectFlowOpen(tracer: Tracer, truth: FlowShown): Promise<Event> {
  const event = await tracer.take("begin", truth);
  expectIdentity(event, truth);
  expect(Object.keys(event)).toEqual(openKeys);
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
  expect(Object.keys(event)).toEqual([...openKeys, ...totalKeys]);
  return event;
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
