/** A UDP socket of the tool's own on loopback: sends and receives datagrams, most of them of no meaning. */
import {
  AF_INET,
  AF_INET6,
  ETIMEDOUT,
  POLLIN,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from "../kernel/constants.ts";
import * as libc from "../kernel/libc.ts";
import { sockaddr } from "../kernel/sockaddr.ts";
import { check, LoopbackError, portOf } from "./loopback.ts";

const TIMEOUT_MS = 1000;

/** Everything throws a LoopbackError where the host refuses it. */
export class DatagramSocket implements Disposable {
  readonly fd: number;
  readonly address: string;
  readonly port: number;

  constructor(address: string) {
    const family = address.includes(":") ? AF_INET6 : AF_INET;
    this.fd = check(libc.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "UDP");
    this.address = address;
    try {
      check(libc.bind(this.fd, sockaddr(address, 0)), `bind ${address}`);
      this.port = portOf(this.fd);
    } catch (error) {
      libc.close(this.fd);
      throw error;
    }
  }

  connect(to: DatagramSocket): void {
    check(libc.connect(this.fd, sockaddr(to.address, to.port)), `connect to ${to.address}`);
  }

  send(bytes: number, flags = 0): void {
    this.sendBytes(new Uint8Array(bytes), flags);
  }

  sendBytes(bytes: Uint8Array, flags = 0): void {
    check(libc.send(this.fd, bytes, flags), `send of ${bytes.length} bytes`);
  }

  sendTo(to: DatagramSocket, bytes: number): void {
    const address = sockaddr(to.address, to.port);
    check(libc.sendto(this.fd, new Uint8Array(bytes), 0, address), `send of ${bytes} bytes`);
  }

  /** Of a datagram of more bytes than `room` the rest is lost. */
  receive(flags = 0, room = 2048): void {
    this.#await();
    check(libc.recv(this.fd, new Uint8Array(room), flags), "receive");
  }

  /** Asks the kernel for the sender, too. */
  receiveFrom(): void {
    this.#await();
    check(libc.recvfrom(this.fd, new Uint8Array(2048), 0, new Uint8Array(128)), "receive");
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }

  #await(): void {
    if (libc.pollOne(this.fd, POLLIN, TIMEOUT_MS) <= 0)
      throw new LoopbackError("receive", ETIMEDOUT);
  }
}
