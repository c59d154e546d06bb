/**
 * Netlink: messages and attributes as bytes, and a socket for requests that the kernel answers at once. Numbers are
 * little-endian, as both machines are; a protocol says itself where it has big-endian ones. Source: <linux/netlink.h>.
 *
 * Opening a socket or sending a request can load modules of the kernel: the caller first looks whether they are there.
 */
import { RecordError } from "../record/error.ts";
import {
  AF_NETLINK,
  EAGAIN,
  EINTR,
  ENOBUFS,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from "./constants.ts";
import * as libc from "./libc.ts";

/** A struct nlmsghdr and what is behind it. */
export interface Message {
  type: number;
  /** NLM_F_*. */
  flags: number;
  /** As the request had it. */
  seq: number;
  /** Without the padding; a view of the bytes that were read. */
  payload: Uint8Array;
}

export function message({ type, flags, seq, payload }: Message): Uint8Array {
  const bytes = new Uint8Array(padded(HEADER + payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HEADER + payload.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, seq, true);
  bytes.set(payload, HEADER);
  return bytes;
}

/** Every message of one datagram. Throws a RecordError for bytes that are no messages. */
export function readMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes);
  const messages: Message[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + HEADER > bytes.length) throw wrong(`a header is cut off at byte ${at}`);
    const length = view.getUint32(at, true);
    if (length < HEADER || length > bytes.length - at)
      throw wrong(`a message of ${length} bytes at byte ${at} of ${bytes.length}`);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      seq: view.getUint32(at + 8, true),
      payload: bytes.subarray(at + HEADER, at + length),
    });
    at += padded(length);
  }
  return messages;
}

/** The errno (positive) of an NLMSG_ERROR, 0 for an acknowledgement, `null` for a message of another type. */
export function errnoOf({ type, payload }: Message): number | null {
  if (type !== NLMSG_ERROR) return null;
  if (payload.length < 4) throw wrong("an error without a number");
  const error = viewOf(payload).getInt32(0, true);
  // Not -(0), which is no 0 to those who compare.
  return error === 0 ? 0 : -error;
}

/** A struct nlattr with its value, which may be attributes again. */
export function attribute(type: number, ...value: readonly Uint8Array[]): Uint8Array {
  const length = value.reduce((sum, part) => sum + part.length, ATTRIBUTE);
  const bytes = new Uint8Array(padded(length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, type, true);
  let at = ATTRIBUTE;
  for (const part of value) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An attribute that consists of attributes. */
export const nested = (type: number, ...value: readonly Uint8Array[]): Uint8Array =>
  attribute(type | NLA_F_NESTED, ...value);

/** Values by type, views of the bytes; of two of one type the later one, as in the kernel. Throws a RecordError. */
export function readAttributes(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length;) {
    if (at + ATTRIBUTE > bytes.length) throw wrong(`an attribute is cut off at byte ${at}`);
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE || length > bytes.length - at)
      throw wrong(`an attribute of ${length} bytes at byte ${at} of ${bytes.length}`);
    const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + ATTRIBUTE, at + length));
    at += padded(length);
  }
  return attributes;
}

/**
 * Asks the kernel, in the network namespace of the thread that opened the socket. The socket keeps that namespace alive,
 * so it is to be closed soon.
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: libc.Fd;

  private constructor(fd: libc.Fd) {
    this.#fd = fd;
  }

  /** -errno where the kernel has no such protocol, or does not let us. */
  static open(protocol: number): NetlinkSocket | number {
    const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    return fd < 0 ? fd : new NetlinkSocket(fd);
  }

  /**
   * Sends requests, at most REQUESTS_AT_ONCE, in one send(2), and returns the messages of the kernel's answers. The kernel answers
   * within the call, so what is not there afterwards does not come. Returns -errno where it takes none of them. Throws a
   * RecordError for an answer that is no message, or longer than any.
   */
  ask(requests: readonly Uint8Array[]): Message[] | number {
    if (requests.length > REQUESTS_AT_ONCE)
      throw new RangeError(`${requests.length} requests at once`);
    const sent = libc.send(this.#fd, Buffer.concat(requests), 0);
    if (sent < 0) return sent;
    const messages: Message[] = [];
    for (;;) {
      const lengths = libc.recvmmsg(this.#fd, ROOM, MSG_DONTWAIT | MSG_TRUNC);
      // The buffer was full: some answers are missing, others may still be there.
      if (lengths === -EINTR || lengths === -ENOBUFS) continue;
      if (typeof lengths === "number") return lengths === -EAGAIN ? messages : lengths;
      for (const [n, length] of lengths.entries()) {
        if (length > ROOM_BYTES) throw wrong(`an answer of ${length} bytes`);
        // The room is used again.
        messages.push(...readMessages(ROOM[n]!.slice(0, length)));
      }
      if (lengths.length < REQUESTS_AT_ONCE) return messages;
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** Requests of one send(2): their answers fit into a socket's usual buffer. */
export const REQUESTS_AT_ONCE = 64;

export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

// --- internal ---

const HEADER = 16;
const ATTRIBUTE = 4;
const NLMSG_ERROR = 2;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** Longer than any answer to one request: the kernel makes them within a page. */
const ROOM_BYTES = 8192;
const ROOM = Array.from({ length: REQUESTS_AT_ONCE }, () => new Uint8Array(ROOM_BYTES));

const padded = (length: number): number => (length + 3) & ~3;
const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length);
const wrong = (why: string): RecordError => new RecordError("a netlink message", why);
