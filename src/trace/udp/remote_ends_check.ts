/** Sockets of the tool's own show what the kernel tells of remote ends. */
import { DatagramSocket } from "../../guess/datagram_socket.ts";
import { LoopbackError, randomLoopback } from "../../guess/loopback.ts";
import type { Place } from "../../guess/netns.ts";
import { AF_INET, AF_INET6, MSG_MORE } from "../../kernel/constants.ts";
import * as libc from "../../kernel/libc.ts";
import { EventKind, SockCopySize, type Event } from "../../record/layout.gen.ts";

/**
 * Where struct udp_sock has `pending`: the family of a datagram that is begun and not sent, else 0. `null`: no place, or
 * more than one, that behaves so. `copy` copies the beginning of a sock.
 */
export function pendingOffset(
  place: Place,
  drain: () => Event[],
  copy: (sk: bigint) => Uint8Array,
): number | null {
  let left = Array.from({ length: SockCopySize.SOCK_COPY_BYTES / 4 }, (_, n) => n * 4);
  const tried = onLoopback(place, (address) => {
    using server = new DatagramSocket(address);
    using client = new DatagramSocket(address);
    client.connect(server);
    client.send(1);
    const opened = firstSeen(drain)(({ ends }) => ends.sport === client.port);
    if (opened === undefined) return false;
    const keep = (word: number) => {
      const { buffer, byteOffset, length } = copy(opened.sk);
      const words = new DataView(buffer, byteOffset, length);
      left = left.filter((at) => words.getUint32(at, true) === word);
    };
    for (let round = 0; round < ROUNDS; round++) {
      client.send(1, MSG_MORE);
      keep(address.includes(":") ? AF_INET6 : AF_INET);
      client.send(1);
      keep(0);
    }
    return true;
  });
  return tried && left.length === 1 ? left[0]! : null;
}

/** Whether a datagram to another end than the peer, and its receipt by a socket without a peer, come back with their ends. */
export const namesAreSeen = (place: Place, drain: () => Event[]): boolean =>
  onLoopback(place, (address) => {
    using peer = new DatagramSocket(address);
    using other = new DatagramSocket(address);
    using client = new DatagramSocket(address);
    const seen = firstSeen(drain);
    client.connect(peer);
    client.sendTo(other, 7);
    other.receiveFrom();
    const flow = (local: DatagramSocket, remote: DatagramSocket) =>
      seen(({ ends }) => ends.sport === local.port && ends.dport === remote.port);
    return flow(client, other) !== undefined && flow(other, client) !== undefined;
  });

// --- internal ---

const ROUNDS = 3;

/** With an address of each family; false also where the host refuses the sockets. */
function onLoopback(place: Place, work: (address: string) => boolean): boolean {
  const addresses = [randomLoopback(), ...(place.no_ipv6 === null ? ["::1"] : [])];
  try {
    return addresses.every(work);
  } catch (error) {
    if (error instanceof LoopbackError) return false;
    throw error;
  }
}

/** Events are there at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 2000;

/** Waits for the beginning of a flow, also of one that was drained while another was awaited; undefined: not seen. */
function firstSeen(drain: () => Event[]): (is: (event: Event) => boolean) => Event | undefined {
  const opened: Event[] = [];
  return (is) => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      for (const event of drain()) if (event.kind === EventKind.EVENT_UDP_OPEN) opened.push(event);
      const found = opened.find(is);
      if (found !== undefined || performance.now() > deadline) return found;
      libc.usleep(1000);
    }
  };
}
