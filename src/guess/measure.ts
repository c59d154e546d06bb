/** The truth about a socket, measured before and after the copy. It counts only if both measurements are equal. */
import { readlinkSync } from "node:fs";
import {
  AF_INET,
  AF_INET6,
  SIOCINQ,
  SIOCOUTQ,
  SOL_TCP,
  TCP_ESTABLISHED,
  TCP_INFO,
  TCP_QUEUE_SEQ,
  TCP_RECV_QUEUE,
  TCP_REPAIR,
  TCP_REPAIR_QUEUE,
  TCP_SEND_QUEUE,
} from "../kernel/constants.ts";
import * as libc from "../kernel/libc.ts";
import { v4Mapped } from "../kernel/sockaddr.ts";
import { readTcpInfo, TCP_INFO_MAX, type TcpInfo } from "../kernel/tcp_info.ts";
import { bytesOf, check, LoopbackError, type Pair } from "./loopback.ts";
import type { Sampler } from "./sampler.ts";
import type { SockTruth } from "./snapshot.ts";

/**
 * Values of TCP_REPAIR. Leaving it sends a window probe, but for the last one (4.20 and later): segs_out moves, and
 * rcv_wup catches up with rcv_nxt, so that the two look alike.
 */
const REPAIR_ON = 1;
const REPAIR_OFF = 0;
const REPAIR_OFF_NO_WP = -1;

const TRIES = 50;

/**
 * Makes a state that a timer of the kernel ends, and returns a function that tells whether the state is still there. A
 * copy that was taken after its end is taken again.
 */
export type Fleeting = (pair: Pair) => () => boolean;

export function tcpInfo(fd: number): TcpInfo {
  const bytes = new Uint8Array(TCP_INFO_MAX);
  const length = check(libc.getsockopt(fd, SOL_TCP, TCP_INFO, bytes), "TCP_INFO");
  return readTcpInfo(bytes.subarray(0, length));
}

/** For as long as half a second; what comes after it tells whether it was reached. */
export function waitForState(fd: number, state: number): void {
  for (let i = 0; i < 2000 && tcpInfo(fd).state !== state; i++) libc.usleep(200);
}

export function measure(
  sampler: Sampler,
  pair: Pair,
  sk: bigint,
  netns: number,
  fleeting: Fleeting = () => () => true,
): { bytes: Uint8Array; truth: SockTruth } {
  const { client } = pair;
  for (let i = 0; i < TRIES; i++) {
    // Where every copy is too late, one without the state is better than none.
    const lasts = i < TRIES / 2 ? fleeting(pair) : () => true;
    // In the order of how much it disturbs: what only looks, the copy, and last TCP_REPAIR.
    const before = readMoving(client);
    const bytes = sampler.copySock(client, sk);
    const valid = same(before, readMoving(client)) && lasts();
    const sequences = valid ? readSequences(client) : "moved";
    if (sequences === "moved" || (sequences !== null && !same(before, sequences.moving))) {
      libc.usleep(200);
      continue;
    }
    return {
      bytes,
      truth: { ...fixed(pair, netns), ...moving(before), ...placed(before, sequences) },
    };
  }
  throw new LoopbackError(`a connection of our own does not come to rest in ${TRIES} tries`, 110);
}

// --- internal ---

interface Moving {
  info: TcpInfo;
  outq: number;
  inq: number;
}

interface Sequences {
  write_seq: number;
  rcv_nxt: number;
  /** Read in the same repair, before it is left. */
  moving: Moving;
}

const COMPARED = [
  "state",
  "rtt",
  "rttvar",
  "total_retrans",
  "unacked",
  "bytes_acked",
  "bytes_received",
  "segs_in",
  "segs_out",
] as const satisfies (keyof TcpInfo)[];

function readMoving(fd: number): Moving {
  return { info: tcpInfo(fd), outq: libc.ioctlInt(fd, SIOCOUTQ), inq: libc.ioctlInt(fd, SIOCINQ) };
}

function same(a: Moving, b: Moving): boolean {
  return COMPARED.every((n) => a.info[n] === b.info[n]) && a.outq === b.outq && a.inq === b.inq;
}

function fixed({ kind, client, local, remote }: Pair, netns: number): Omit<SockTruth, "state"> {
  const [saddr, daddr] = [bytesOf(local.address), bytesOf(remote.address)];
  const ino = Number(/\d+/.exec(readlinkSync(`/proc/self/fd/${client}`))?.[0]);
  const ends = { sport: local.port, dport: remote.port, netns, ino };
  if (kind === "v6") return { family: AF_INET6, v6_saddr: saddr, v6_daddr: daddr, ...ends };
  if (kind === "v4") return { family: AF_INET, saddr, daddr, ...ends };
  const mapped = { v6_saddr: v4Mapped(saddr), v6_daddr: v4Mapped(daddr) };
  return { family: AF_INET6, saddr, daddr, ...mapped, ...ends };
}

/** Members that this kernel's TCP_INFO does not have stay unknown. */
function moving({ info }: Moving): Pick<SockTruth, "state"> & Partial<SockTruth> {
  const known = COMPARED.filter((name) => name !== "unacked" && info[name] !== null);
  return { state: info.state ?? 0, ...Object.fromEntries(known.map((n) => [n, info[n]])) };
}

function placed({ outq, inq }: Moving, sequences: Sequences | null): Partial<SockTruth> {
  if (!sequences || outq < 0 || inq < 0) return {};
  const { write_seq, rcv_nxt } = sequences;
  return {
    write_seq,
    rcv_nxt,
    snd_una: (write_seq - outq) >>> 0,
    copied_seq: (rcv_nxt - inq) >>> 0,
  };
}

/** null: not ESTABLISHED, or without CAP_NET_ADMIN over this network namespace. */
function readSequences(fd: number): Sequences | null {
  if (tcpInfo(fd).state !== TCP_ESTABLISHED) return null;
  if (libc.setsockoptInt(fd, SOL_TCP, TCP_REPAIR, REPAIR_ON) < 0) return null;
  const write_seq = readQueue(fd, TCP_SEND_QUEUE);
  const rcv_nxt = readQueue(fd, TCP_RECV_QUEUE);
  const moving = readMoving(fd);
  if (libc.setsockoptInt(fd, SOL_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP) < 0) {
    check(libc.setsockoptInt(fd, SOL_TCP, TCP_REPAIR, REPAIR_OFF), "TCP_REPAIR off");
  }
  return write_seq === null || rcv_nxt === null ? null : { write_seq, rcv_nxt, moving };
}

function readQueue(fd: number, queue: number): number | null {
  const value = new Uint32Array(1);
  if (libc.setsockoptInt(fd, SOL_TCP, TCP_REPAIR_QUEUE, queue) < 0) return null;
  const bytes = new Uint8Array(value.buffer);
  return libc.getsockopt(fd, SOL_TCP, TCP_QUEUE_SEQ, bytes) < 0 ? null : value[0]!;
}
