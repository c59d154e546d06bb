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

/** One with a payload that is given in parts. */
export function message(
  type: number,
  flags: number,
  seq: number,
  payload: readonly Uint8Array[],
): Uint8Array {
  const bytes = joined(HEADER, payload);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, seq, true);
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
  const bytes = joined(ATTRIBUTE, value);
  let length = ATTRIBUTE;
  for (const part of value) length += part.length;
  bytes[0] = length & 0xff;
  bytes[1] = length >>> 8;
  bytes[2] = type & 0xff;
  bytes[3] = type >>> 8;
  return bytes;
}

/** An attribute that consists of attributes. */
export const nested = (type: number, ...value: readonly Uint8Array[]): Uint8Array =>
  attribute(type | NLA_F_NESTED, ...value);

/**
 * Attributes, one behind the other, or the value of one. Nothing is copied. Every read throws a RecordError for what lies
 * outside, or is no attribute.
 */
export class Attributes {
  readonly #view: DataView;
  readonly #from: number;
  readonly #to: number;

  constructor(view: DataView, from: number, to: number) {
    this.#view = view;
    this.#from = from;
    this.#to = to;
  }

  /** The value of the first attribute of this type. */
  find(type: number): Attributes | null {
    for (let at = this.#from; at < this.#to;) {
      if (at + ATTRIBUTE > this.#to) throw wrong(`an attribute is cut off at byte ${at}`);
      const length = this.#view.getUint16(at, true);
      if (length < ATTRIBUTE || length > this.#to - at)
        throw wrong(`an attribute of ${length} bytes at byte ${at} of ${this.#to}`);
      if ((this.#view.getUint16(at + 2, true) & NLA_TYPE_MASK) === type)
        return new Attributes(this.#view, at + ATTRIBUTE, at + length);
      at += padded(length);
    }
    return null;
  }

  /** The first `size` bytes of the value. */
  bytes(size: number): Uint8Array {
    if (this.#to - this.#from < size)
      throw wrong(`a value of ${this.#to - this.#from} bytes, not ${size}`);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#from, size);
  }

  /** A big-endian number of so many bytes. */
  number(size: 1 | 2 | 4): number {
    const bytes = this.bytes(size);
    let value = 0;
    for (let n = 0; n < size; n++) value = value * 256 + bytes[n]!;
    return value;
  }
}

/** The attributes of a message behind a header of `skip` bytes, which the caller has found there. */
export const attributesOf = ({ payload }: Message, skip: number): Attributes =>
  new Attributes(viewOf(payload), skip, payload.length);

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

/** The parts behind `header` bytes of zero, padded. */
function joined(header: number, parts: readonly Uint8Array[]): Uint8Array {
  let length = header;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(padded(length));
  let at = header;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const padded = (length: number): number => (length + 3) & ~3;
const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length);
const wrong = (why: string): RecordError => new RecordError("a netlink message", why);
