/** Known UDP sends, for the fields that only a kprobe sees: flowi4, flowi6, sk_buff, and a sock that is not TCP. */
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "../kernel/constants.ts";
import * as libc from "../kernel/libc.ts";
import { sockaddr } from "../kernel/sockaddr.ts";
import { bytesOf, check, LoopbackError, openPair, portOf, randomLoopback } from "./loopback.ts";
import { peekUpTo, type ArgumentSampler } from "./sampler.ts";
import { SOCK_ENDS } from "./search.ts";
import type { SendSample, Snapshot } from "./snapshot.ts";

/** With two sends a value that stands there by chance is gone as good as surely; the third is for the ports. */
const SENDS = 3;

export type Sends = Pick<Snapshot, "contrast" | "sends4" | "sends6" | "skbs" | "no_ipv6_address">;

export function sendDatagrams(sampler: ArgumentSampler, ipv6: boolean): Sends {
  using tcp = openPair("v4");
  const found: Sends = { contrast: [], sends4: [], sends6: [], skbs: [], no_ipv6_address: null };
  for (let i = 0; i < SENDS; i++) {
    using v4 = openFlow(randomLoopback(), randomLoopback());
    const send = sampler.arguments(v4.send);
    if (send === null) break;
    found.sends4.push({ ...send, truth: v4.truth });
    const skb = sampler.skb(v4.send);
    if (skb !== null) found.skbs.push({ ...skb, sk: send.sk, truth: v4.truth });
    found.contrast.push({
      bytes: peekUpTo(sampler, tcp.client, send.sk, SOCK_ENDS.at(-1)!),
      protocol: 17,
      type: SOCK_DGRAM,
    });
  }
  if (ipv6) found.no_ipv6_address = sendOverIPv6(sampler, found.sends6);
  return found;
}

// --- internal ---

interface Flow extends Disposable {
  truth: SendSample["truth"];
  send: () => void;
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
function openFlow(from: string, to: string): Flow {
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
      send: () => void libc.send(client, new Uint8Array(23), 0),
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
