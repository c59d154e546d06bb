/** Before any flow is named: bytes of datagrams of the tool's own must come back as they were sent. */
import { DatagramSocket } from "../../guess/datagram_socket.ts";
import { LoopbackError, randomLoopback } from "../../guess/loopback.ts";
import type { Place } from "../../guess/netns.ts";
import * as libc from "../../kernel/libc.ts";
import {
  EventKind,
  readDatagramLook,
  type DatagramLook,
  type Event,
} from "../../record/layout.gen.ts";
import { asView } from "../event.ts";

/** Records are there at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 1000;
/** More than a record has, so that its length is the datagram's. */
const BYTES = Uint8Array.from({ length: 211 }, (_, n) => 7 + n);

/** Returns what is wrong, or null. */
export function checkDatagrams(place: Place, drain: () => Event[]): string | null {
  for (const address of place.no_ipv6 === null ? [randomLoopback(), "::1"] : [randomLoopback()])
    try {
      const wrong = exchange(address, drain);
      if (wrong !== null) return wrong;
    } catch (error) {
      if (error instanceof LoopbackError) return error.message;
      throw error;
    }
  return null;
}

// --- internal ---

function exchange(address: string, drain: () => Event[]): string | null {
  using server = new DatagramSocket(address);
  using client = new DatagramSocket(address);
  client.connect(server);
  client.sendBytes(BYTES);
  server.receive();
  const deadline = performance.now() + PATIENCE_MS;
  const ways: Record<number, DatagramLook> = {};
  for (;;) {
    for (const look of drain().filter(isLook).map(lookOf))
      if (look.len === BYTES.length) ways[look.sent] = look;
    const seen = Object.values(ways);
    if (!seen.every(isRight))
      return "the first bytes of a datagram of the tool's own came back otherwise";
    if (seen.length === 2) return null;
    if (performance.now() > deadline)
      return "the first bytes of a datagram of the tool's own were not seen";
    libc.usleep(200);
  }
}

const isLook = ({ kind }: Event): boolean => kind === EventKind.EVENT_DATAGRAM;

function lookOf(event: Event): DatagramLook {
  const { view, p } = asView(event);
  return readDatagramLook(view, p);
}

const isRight = ({ offset, got, bytes }: DatagramLook): boolean =>
  offset === 0 && got > 0 && bytes.subarray(0, got).every((byte, n) => byte === BYTES[n]);
