/** ICMP messages as a router would send them, about a SYN that is under way on loopback. */
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { sockaddr } from "../../../src/kernel/sockaddr.ts";
import { awaitReadable, check } from "./peer.ts";

const IPPROTO_ICMP = 1;
const DESTINATION_UNREACHABLE = 3;
/** Codes of "destination unreachable", by the errno they become. */
export const unreachable = { ENETUNREACH: 0, EHOSTUNREACH: 1, ECONNREFUSED: 3 } as const;

/** Runs `connect`; the beginning of the SYN it sends to this port. */
export function catchSyn(port: number, connect: () => void): Uint8Array {
  const sniffer = check(libc.socket(k.AF_INET, k.SOCK_RAW, k.IPPROTO_TCP), "raw socket");
  try {
    connect();
    return findSyn(sniffer, port);
  } finally {
    libc.close(sniffer);
  }
}

export function answerSyn(syn: Uint8Array, code: number): void {
  const sender = check(libc.socket(k.AF_INET, k.SOCK_RAW, IPPROTO_ICMP), "raw socket");
  const message = destinationUnreachable(code, syn);
  try {
    check(libc.sendto(sender, message, 0, sockaddr("127.0.0.1", 0)), "send ICMP");
  } finally {
    libc.close(sender);
  }
}

// --- internal ---

/** The first 28 bytes of the packet: IPv4 header, ports, sequence number. */
function findSyn(sniffer: number, port: number): Uint8Array {
  const packet = new Uint8Array(2048);
  const view = new DataView(packet.buffer);
  for (;;) {
    awaitReadable(sniffer);
    check(libc.recv(sniffer, packet, 0), "recv");
    const tcp = (packet[0]! & 15) * 4;
    if (view.getUint16(tcp + 2) === port) return packet.slice(0, tcp + 8);
  }
}

function destinationUnreachable(code: number, about: Uint8Array): Uint8Array {
  const message = new Uint8Array(8 + about.length);
  message.set([DESTINATION_UNREACHABLE, code]);
  message.set(about, 8);
  const view = new DataView(message.buffer);
  let sum = 0;
  for (let i = 0; i < message.length; i += 2) sum += view.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  view.setUint16(2, ~sum & 0xffff);
  return message;
}
