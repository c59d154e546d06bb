/** Before UDP is shown: datagrams of the tool's own must have been counted exactly. */
import { DatagramSocket } from "../../guess/datagram_socket.ts";
import { LoopbackError, randomLoopback } from "../../guess/loopback.ts";
import type { Place } from "../../guess/netns.ts";
import { MSG_PEEK, SOL_UDP, UDP_SEGMENT } from "../../kernel/constants.ts";
import type { AttachMode } from "../../kernel/host.ts";
import * as libc from "../../kernel/libc.ts";
import { ConnMetadata, EventKind, type Event } from "../../record/layout.gen.ts";
import { isFirst, sockOf } from "./flow_events.ts";
import type { FlowSource } from "./flows.ts";
import type { KnownFlowTotals } from "./totals.ts";

export interface UdpCheck {
  known: KnownFlowTotals;
  /** Numbers that were not as they should have been. */
  wrong: string[];
}

/** null: nothing of it was seen, so UDP is not traced. */
export function udpCheck(
  place: Place,
  mode: AttachMode,
  drain: () => Event[],
  source: FlowSource,
): UdpCheck | null {
  const wrong: string[] = [];
  const known = { bytes: true, packets: mode === "kprobe" };
  const ipv4 = randomLoopback();
  for (const address of place.no_ipv6 === null ? [ipv4, "::1"] : [ipv4]) {
    const ends = exchange(address);
    if (ends === null) continue;
    const closes = closesOf(ends, drain, source).map((close) => close && whole(close, source));
    for (const [i, end] of ends.entries()) {
      const close = closes[i];
      if (!close) return null;
      const bytes = [Number(close.sent_bytes), Number(close.recv_bytes)];
      const packets = [close.sent_packets, close.recv_packets];
      if (String(bytes) !== String(end.bytes)) {
        known.bytes = false;
        wrong.push(`${address}: ${bytes.join(" and ")} bytes, not ${end.bytes.join(" and ")}`);
      }
      if (known.packets && String(packets) !== String(end.packets)) {
        known.packets = false;
        wrong.push(
          `${address}: ${packets.join(" and ")} packets, not ${end.packets.join(" and ")}`,
        );
      }
    }
  }
  return { known, wrong };
}

// --- internal ---

interface End {
  port: number;
  /** Sent and received. */
  bytes: [number, number];
  packets: [number, number];
}

const TO_SERVER = [211, 307, 401] as const;
/** The first is received with so little room: only what the program gets counts. */
const CUT = 101;
const TO_CLIENT = 503;
/** One send that leaves as four datagrams. */
const SEGMENTED = 350;
const SEGMENT = 100;

/** The totals of all flows of a socket that has ended: with tracepoints no remote end of a send is known yet. */
function whole(close: Event, source: FlowSource): Event {
  const id = sockOf(close);
  const others = [...source.dump()].filter(({ event }) => sockOf(event) === id && !isFirst(event));
  const sum = { ...close };
  for (const { event } of others) {
    const flow = source.take(event)?.event ?? event;
    sum.sent_bytes += flow.sent_bytes;
    sum.recv_bytes += flow.recv_bytes;
    sum.sent_packets += flow.sent_packets;
    sum.recv_packets += flow.recv_packets;
  }
  return sum;
}

/** Sends datagrams between two sockets, closes both, and returns what each has moved. null: no such address here. */
function exchange(address: string): [End, End] | null {
  try {
    using server = new DatagramSocket(address);
    using client = new DatagramSocket(address);
    client.connect(server);
    for (const bytes of TO_SERVER) client.send(bytes);
    server.receive(MSG_PEEK);
    for (const [i, bytes] of TO_SERVER.entries()) server.receive(0, i === 0 ? CUT : bytes);
    server.sendTo(client, TO_CLIENT);
    client.receive();
    const segments = sendSegmented(client, server);
    const sent = TO_SERVER.reduce((sum: number, n) => sum + n, segments > 0 ? SEGMENTED : 0);
    const received = sent - TO_SERVER[0] + CUT;
    const packets = TO_SERVER.length + segments;
    return [
      { port: client.port, bytes: [sent, TO_CLIENT], packets: [packets, 1] },
      { port: server.port, bytes: [TO_CLIENT, received], packets: [1, packets] },
    ];
  } catch (error) {
    if (error instanceof LoopbackError) return null;
    throw error;
  }
}

/** Returns how many datagrams it made: 0 where the kernel has no UDP_SEGMENT. */
function sendSegmented(client: DatagramSocket, server: DatagramSocket): number {
  if (libc.setsockoptInt(client.fd, SOL_UDP, UDP_SEGMENT, SEGMENT) < 0) return 0;
  client.send(SEGMENTED);
  const segments = Math.ceil(SEGMENTED / SEGMENT);
  for (let i = 0; i < segments; i++) server.receive();
  return segments;
}

/** Events are there at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 2000;

/** The ends of both sockets, as they come back; undefined: not seen. */
function closesOf(
  ends: readonly End[],
  drain: () => Event[],
  source: FlowSource,
): (Event | undefined)[] {
  const seen: Event[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  const find = (kind: number, { port }: End) =>
    seen.find(
      ({ kind: k, ends }) =>
        k === kind && ends.sport === port && (ends.metadata & ConnMetadata.METADATA_TCP) === 0,
    );
  for (;;) {
    seen.push(...drain());
    const closes = ends.map((end) => find(EventKind.EVENT_UDP_CLOSE, end));
    if (closes.every(Boolean) || performance.now() > deadline) return closes;
    source.lookAfter(ends.flatMap((end) => find(EventKind.EVENT_UDP_OPEN, end) ?? []));
    libc.usleep(1000);
  }
}
