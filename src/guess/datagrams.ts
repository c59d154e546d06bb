/** Known UDP sends, for the fields that only a kprobe sees: flowi4, flowi6, sk_buff, and a sock that is not TCP. */
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_UDP,
  UDP_SEGMENT,
} from "../kernel/constants.ts";
import * as libc from "../kernel/libc.ts";
import { sockaddr } from "../kernel/sockaddr.ts";
import { bytesOf, check, LoopbackError, openPair, portOf, randomLoopback } from "./loopback.ts";
import { peekUpTo, type ArgumentSampler } from "./sampler.ts";
import { SOCK_ENDS } from "./search.ts";
import {
  USUAL_PAYLOAD,
  type SendSample,
  type SharedSample,
  type SkbSample,
  type Snapshot,
} from "./snapshot.ts";
import { skbPlaces } from "./solve_skb.ts";

/** With two sends a value that stands there by chance is gone as good as surely; the third is for the ports. */
const SENDS = 3;

/** Sends that leave as several datagrams, each but the last of `size` bytes. No two have anything in common. */
const SEGMENTED = [
  { size: 100, segments: 3, payload: 250 },
  { size: 61, segments: 5, payload: 291 },
] as const;

export type Sends = Required<
  Pick<
    Snapshot,
    "contrast" | "sends4" | "sends6" | "skbs" | "shared" | "no_ipv6_address" | "no_udp_segment"
  >
>;

export function sendDatagrams(sampler: ArgumentSampler, ipv6: boolean): Sends {
  using tcp = openPair("v4");
  const found: Sends = {
    contrast: [],
    sends4: [],
    sends6: [],
    skbs: [],
    shared: [],
    no_ipv6_address: null,
    no_udp_segment: null,
  };
  for (let i = 0; i < SENDS; i++) {
    const payload = USUAL_PAYLOAD + 30 * i;
    using v4 = openFlow(randomLoopback(), randomLoopback(), payload);
    const send = sampler.arguments(v4.send);
    if (send === null) break;
    found.sends4.push({ ...send, truth: v4.truth });
    const skb = sampler.skb(v4.send);
    if (skb !== null) found.skbs.push({ ...skb, sk: send.sk, truth: v4.truth, payload });
    found.contrast.push({
      bytes: peekUpTo(sampler, tcp.client, send.sk, SOCK_ENDS.at(-1)!),
      protocol: 17,
      type: SOCK_DGRAM,
    });
  }
  if (ipv6) found.no_ipv6_address = sendOverIPv6(sampler, found.sends6);
  found.no_udp_segment = sendSegmented(sampler, found.skbs, found.shared);
  return found;
}

// --- internal ---

/** Returns why a send cannot leave as several datagrams, or null. The places found in `skbs` tell where to look. */
function sendSegmented(
  sampler: ArgumentSampler,
  skbs: readonly SkbSample[],
  shared: SharedSample[],
): string | null {
  const at = skbPlaces(skbs);
  for (const { size, segments, payload } of SEGMENTED) {
    using flow = openFlow(randomLoopback(), randomLoopback(), payload);
    const refused = libc.setsockoptInt(flow.fd, SOL_UDP, UDP_SEGMENT, size);
    if (refused < 0) return `no UDP_SEGMENT in this kernel (${libc.errnoName(refused)})`;
    const bytes = at && sampler.shared(flow.send, at);
    if (bytes) shared.push({ bytes, gso_size: size, gso_segs: segments });
  }
  return null;
}

interface Flow extends Disposable {
  truth: SendSample["truth"];
  send: () => void;
  fd: number;
}

/** Returns why ::1 cannot be used, or null: it may be missing (disable_ipv6) where IPv6 sockets exist. */
function sendOverIPv6(sampler: ArgumentSampler, sends: SendSample[]): string | null {
  for (let i = 0; i < SENDS; i++) {
    try {
      using flow = openFlow("::1", "::1");
      const send = sampler.arguments(flow.send);
      if (send) sends.push({ ...send, truth: flow.truth });
    } catch (error) {
      if (error instanceof LoopbackError) return `no ::1 on this host (${error.message})`;
      throw error;
    }
  }
  return null;
}

/** Two UDP sockets, the first connected to the second. */
function openFlow(from: string, to: string, payload: number = USUAL_PAYLOAD): Flow {
  const family = from.includes(":") ? AF_INET6 : AF_INET;
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fds: number[] = [];
  const close = () => fds.forEach((fd) => libc.close(fd));
  const bound = (address: string) => {
    const fd = check(libc.socket(family, type, 0), "socket UDP");
    fds.push(fd);
    check(libc.bind(fd, sockaddr(address, 0)), `bind ${address}`);
    return fd;
  };
  try {
    const [client, server] = [bound(from), bound(to)];
    const [sport, dport] = [portOf(client), portOf(server)];
    check(libc.connect(client, sockaddr(to, dport)), `connect to ${to}`);
    return {
      truth: { family, saddr: bytesOf(from), daddr: bytesOf(to), sport, dport },
      fd: client,
      send: () => void libc.send(client, new Uint8Array(payload), 0),
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
