/** A UDP socket that has spoken through a service address before a trace begins. */
import * as k from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { sockaddr } from "../../../src/kernel/sockaddr.ts";
import { addresses } from "./nat_network.ts";
import { at, vip } from "./nat_services.ts";
import { answerOne, bound, type Link, netnsOf, type Waiting } from "./nat_sockets.ts";
import { awaitReadable, check } from "./peer.ts";

export interface OlderFlow extends Disposable {
  /** One question and its answer. */
  ask(): Link;
}

export function olderFlow(): OlderFlow {
  const { p1, p2 } = addresses;
  const [local, remote, listen] = [at(p1[4], 21_111), vip(2, 53), at(p2[4], 8002)];
  const server: Waiting = { fd: bound("p2", k.SOCK_DGRAM, listen), place: "p2", listen };
  const fd = bound("p1", k.SOCK_DGRAM, local);
  check(libc.connect(fd, sockaddr(remote.address, remote.port)), "connect");
  return {
    ask() {
      check(libc.send(fd, new Uint8Array(7), 0), "send");
      const names = answerOne([server], false);
      awaitReadable(fd);
      check(libc.recv(fd, new Uint8Array(16), 0), "recv");
      const client = { netns: netnsOf("p1"), local, remote };
      return { protocol: "udp", client, server: names };
    },
    [Symbol.dispose]() {
      for (const each of [fd, server.fd]) libc.close(each);
    },
  };
}
