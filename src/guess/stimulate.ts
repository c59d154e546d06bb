/**
 * Makes the connections whose values are known, and takes a copy of each. Every row of `scenes` shows something that
 * no other field of the same struct shows at the same time.
 */
import {
  IPPROTO_TCP,
  MSG_MORE,
  MSG_OOB,
  SHUT_WR,
  SIOCOUTQNSD,
  SOCK_BINDPORT_LOCK,
  SOCK_DONE,
  SOCK_STREAM,
  SOL_SOCKET,
  SOL_TCP,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SO_RCVBUF,
  SO_SNDBUF,
  TCP_CLOSE_WAIT,
  TCP_FIN_WAIT2,
  TCP_QUICKACK,
} from "../kernel/constants.ts";
import { monotonicNs } from "../kernel/clock.ts";
import { dropArriving, stopDropping } from "../kernel/filter.ts";
import * as libc from "../kernel/libc.ts";
import {
  abort,
  openListener,
  openPair,
  receiveBytes,
  receiveEnd,
  sendBytes,
  type Kind,
  type Pair,
} from "./loopback.ts";
import { loseAndRepeat } from "./loss.ts";
import { measure, tcpInfo, waitForState, type Fleeting } from "./measure.ts";
import { peekUpTo, type Sampler } from "./sampler.ts";
import type { ContrastSample, SockSample, SockTruth } from "./snapshot.ts";
import { SOCK_COMMON } from "./fields.ts";
import { SOCK_ENDS } from "./search.ts";
import { leadsBack, NET_BYTES } from "./solve_behind.ts";
import { KERNEL_CEILING, kernelFloor } from "./window.ts";

interface Scene {
  name: string;
  kind: Kind;
  refused?: true;
  /** The client is bound to a port of its choice. */
  ownPort?: true;
  /** Brings the connection into its state; what it returns is known besides what can be measured. */
  act: (pair: Pair) => Partial<SockTruth>;
  /** Runs before each copy and makes what a timer of the kernel ends; see `Fleeting`. */
  fleeting?: Fleeting;
  /** Copy what lies behind the sock's pointers too. */
  peek?: true;
}

const URGINLINE = 1 << 2;
const KEEPOPEN = 1 << 3;
const LINGER = 1 << 4;
const DONE = 1 << SOCK_DONE;

// Bits of sk_userlocks.
const SNDBUF = 1;
const RCVBUF = 2;
const BINDADDR = 4;

// To add a stimulus: a row here.
const scenes: Scene[] = [
  { name: "idle", kind: "v4", peek: true, act: (p) => (exchange(p, 37, 53), { ...keepalive(p) }) },
  { name: "larger", kind: "v4", act: (p) => (exchange(p, 1303, 2027), inlineLinger(p)) },
  { name: "own buffers", kind: "v4", act: (p) => (exchange(p, 41, 47), ownBuffers(p)) },
  { name: "unread", kind: "v4", peek: true, act: (p) => unread(p), fleeting: delayedAck },
  { name: "unacknowledged", kind: "v4", act: (p) => unacknowledged(p), fleeting: heldBack },
  { name: "sacked", kind: "v4", act: (p) => (exchange(p, 101, 103), sacked(p)) },
  { name: "own port", kind: "v4", ownPort: true, act: (p) => (exchange(p, 83, 109), ownPort(p)) },
  { name: "urgent", kind: "v4", act: (p) => (exchange(p, 59, 73), urgent(p)) },
  { name: "retransmitted", kind: "v4", act: (p) => retransmit(p, 1) },
  { name: "retransmitted often", kind: "v4", act: (p) => retransmit(p, 3) },
  { name: "slow 2 ms", kind: "v4", act: (p) => answerAfter(p, 2000) },
  { name: "slow 5 ms", kind: "v4", act: (p) => answerAfter(p, 5000) },
  { name: "refused", kind: "v4", refused: true, act: () => ({ sk_err: 111 }) },
  { name: "reset", kind: "v4", act: (p) => (exchange(p, 17, 19), resetByPeer(p)) },
  { name: "peer's FIN", kind: "v4", act: (p) => (exchange(p, 131, 137), finByPeer(p)) },
  { name: "own FIN", kind: "v4", act: (p) => (exchange(p, 139, 149), finByUs(p)) },
  { name: "mapped", kind: "v4-mapped", peek: true, act: (p) => (exchange(p, 23, 29), {}) },
  { name: "mapped again", kind: "v4-mapped", act: (p) => (exchange(p, 43, 47), {}) },
  { name: "IPv6", kind: "v6", act: (p) => (exchange(p, 31, 41), {}) },
];

/** Copies of all scenes. A scene that this host refuses (no IPv6, no TCP_REPAIR) is left out, its reason returned. */
export function stimulate(sampler: Sampler, netns: number, ipv6: boolean): SockSample[] {
  const samples: SockSample[] = [];
  for (const scene of scenes) {
    if (scene.kind !== "v4" && !ipv6) continue;
    const sample = play(sampler, scene, netns);
    if (sample) samples.push(sample);
  }
  return samples;
}

/**
 * A copy of a sock that never sent anything. The timers of the other socks hold jiffies, of which two words read as
 * IPPROTO_TCP and SOCK_STREAM for minutes: with HZ=250 from 31 minutes after the boot on, with HZ=1000 from 11 on.
 */
export function copyListener(sampler: Sampler): ContrastSample {
  let sk = 0n;
  let bytes: Uint8Array = new Uint8Array();
  using _ = openListener((fd, listen) => {
    sk = sampler.sockOf(fd, listen);
    bytes = sampler.copySock(fd, sk);
  });
  return { bytes, protocol: IPPROTO_TCP, type: SOCK_STREAM };
}

// --- internal ---

/** Unless a scene shows something else. */
const usual = { sk_err: 0, sk_userlocks: BINDADDR } satisfies Partial<SockTruth>;

const microseconds = (): bigint => monotonicNs() / 1000n;

function play(sampler: Sampler, scene: Scene, netns: number): SockSample | null {
  let sk = 0n;
  let pair: Pair;
  const established_after_us = microseconds();
  try {
    pair = openPair(scene.kind, (client, connect) => (sk = sampler.sockOf(client, connect)), scene);
  } catch (error) {
    // ::1 may be missing (disable_ipv6) where IPv6 sockets exist: the mapped ones say enough.
    if (scene.kind === "v6") return null;
    throw error;
  }
  using _ = pair;
  const times = { established_after_us, established_before_us: microseconds() };
  const known = { ...(scene.refused ? {} : times), ...scene.act(pair) };
  const { bytes, truth } = measure(sampler, pair, sk, netns, scene.fleeting);
  const behind = scene.peek ? peekBehind(sampler, pair.client, sk, bytes, netns) : [];
  return { name: scene.name, sk, bytes, truth: { ...usual, ...truth, ...known }, behind };
}

/**
 * Copies the memory behind each word that looks like a kernel address, in the part that holds such pointers. Where
 * structs are laid out at random, ns.inum can stand anywhere in a struct net, so more of it is copied.
 */
function peekBehind(sampler: Sampler, fd: number, sk: bigint, bytes: Uint8Array, netns: number) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const floor = kernelFloor(sk);
  const behind: SockSample["behind"] = [];
  let offset = 0;
  for (const end of SOCK_ENDS) {
    for (; offset + 8 <= Math.min(end, bytes.length); offset += 8) {
      const address = view.getBigUint64(offset, true);
      if (address < floor || address >= KERNEL_CEILING || address % 8n !== 0n) continue;
      const peeked = sampler.peek(fd, address);
      if (peeked.length > 0) behind.push({ offset, bytes: peeked });
    }
    // With lockdep sk_socket stands further out than on other kernels.
    if (behind.some((found) => leadsBack(found.bytes, sk))) break;
  }
  const nets = behind.filter(({ offset }) => offset < SOCK_COMMON);
  if (netns === 0 || nets.some((found) => holdsWord(found.bytes, netns))) return behind;
  for (const net of nets)
    net.bytes = peekUpTo(sampler, fd, view.getBigUint64(net.offset, true), NET_BYTES);
  return behind;
}

function holdsWord(bytes: Uint8Array, word: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.length; at += 4)
    if (view.getUint32(at, true) === word) return true;
  return false;
}

function exchange(pair: Pair, there: number, back: number): void {
  sendBytes(pair.client, there);
  receiveBytes(pair.server, there);
  sendBytes(pair.server, back);
  receiveBytes(pair.client, back);
}

function keepalive({ client }: Pair): Partial<SockTruth> {
  libc.setsockoptInt(client, SOL_SOCKET, SO_KEEPALIVE, 1);
  return { sk_flags: KEEPOPEN };
}

function inlineLinger({ client }: Pair): Partial<SockTruth> {
  libc.setsockoptInt(client, SOL_SOCKET, SO_OOBINLINE, 1);
  libc.setsockopt(client, SOL_SOCKET, SO_LINGER, new Uint8Array(Uint32Array.of(1, 7).buffer));
  return { sk_flags: URGINLINE | LINGER };
}

function ownBuffers({ client }: Pair): Partial<SockTruth> {
  libc.setsockoptInt(client, SOL_SOCKET, SO_SNDBUF, 1 << 16);
  libc.setsockoptInt(client, SOL_SOCKET, SO_RCVBUF, 1 << 16);
  return { sk_userlocks: SNDBUF | RCVBUF | BINDADDR };
}

function ownPort({ client }: Pair): Partial<SockTruth> {
  libc.setsockoptInt(client, SOL_SOCKET, SO_SNDBUF, 1 << 16);
  return { sk_userlocks: SNDBUF | BINDADDR | SOCK_BINDPORT_LOCK };
}

/** copied_seq falls behind rcv_nxt, and with `delayedAck` rcv_wup does too. */
function unread(pair: Pair): Partial<SockTruth> {
  const { client, server } = pair;
  exchange(pair, 211, 97);
  libc.setsockoptInt(client, SOL_TCP, TCP_QUICKACK, 0);
  sendBytes(server, 307);
  receiveBytes(client, 101);
  return { sk_flags: 0 };
}

/**
 * The client has received bytes that it has not acknowledged, so rcv_wup is behind rcv_nxt. The kernel sends the
 * acknowledgement after 40 ms, which a slow machine needs for one copy: segs_out tells. Where the MTU makes several
 * segments of the first bytes, these are acknowledged at once, and the last ones are not.
 */
function delayedAck({ client, server }: Pair): () => boolean {
  libc.setsockoptInt(client, SOL_TCP, TCP_QUICKACK, 0);
  const sent = tcpInfo(client).segs_out;
  sendBytes(server, 31);
  return () => tcpInfo(client).segs_out === sent;
}

/**
 * Four send sequences apart: the answer acknowledges what came before the loss (snd_una) while more is on its way
 * (snd_nxt; rtt_seq keeps it), and the bytes of `heldBack` move only write_seq.
 */
function unacknowledged(pair: Pair): Partial<SockTruth> {
  const { client, server } = pair;
  exchange(pair, 61, 89);
  libc.setsockoptInt(server, SOL_TCP, TCP_QUICKACK, 0);
  sendBytes(client, 43);
  receiveBytes(server, 43);
  dropArriving(server);
  sendBytes(client, 103);
  sendBytes(server, 107);
  receiveBytes(client, 107);
  return {};
}

/** MSG_MORE holds bytes back, so write_seq is ahead of snd_nxt. The kernel sends them all the same after 200 ms. */
function heldBack({ client }: Pair): () => boolean {
  sendBytes(client, 71, MSG_MORE);
  return () => libc.ioctlInt(client, SIOCOUTQNSD) > 0;
}

/**
 * rack.end_seq is the end of the segment that was delivered last. Here it lies beyond snd_una: the segment before it is
 * lost, and is lost again when it is repeated. Otherwise only a segment that is repeated alone shows the difference, and
 * a timer repeats several segments as one.
 */
function sacked({ client, server }: Pair): Partial<SockTruth> {
  dropArriving(server);
  sendBytes(client, 113);
  stopDropping(server);
  sendBytes(client, 127);
  dropArriving(server);
  return {};
}

/** snd_up follows snd_una until an urgent byte is on its way. In that mode nothing is held back, so a scene of its own. */
function urgent({ client, server }: Pair): Partial<SockTruth> {
  dropArriving(server);
  sendBytes(client, 101);
  sendBytes(client, 1, MSG_OOB);
  return {};
}

function retransmit(pair: Pair, rounds: number): Partial<SockTruth> {
  exchange(pair, 67, 71);
  // Late once: what was repeated and what was lost are two counters, and must differ in one of the copies.
  for (let round = 0; round < rounds; round++) loseAndRepeat(pair, rounds === 1);
  return {};
}

/** The server's answer carries the acknowledgement, so the round trip takes as long as the server waits. */
function answerAfter({ client, server }: Pair, us: number): Partial<SockTruth> {
  libc.setsockoptInt(server, SOL_TCP, TCP_QUICKACK, 0);
  sendBytes(client, 79);
  receiveBytes(server, 79);
  libc.usleep(us);
  sendBytes(server, 83);
  receiveBytes(client, 83);
  return {};
}

function resetByPeer(pair: Pair): Partial<SockTruth> {
  abort(pair.server);
  pair.server = -1;
  waitForState(pair.client, 7);
  return { sk_err: 104 };
}

function finByPeer({ client, server }: Pair): Partial<SockTruth> {
  libc.shutdown(server, SHUT_WR);
  waitForState(client, TCP_CLOSE_WAIT);
  return { sk_flags: DONE };
}

function finByUs({ client, server }: Pair): Partial<SockTruth> {
  libc.shutdown(client, SHUT_WR);
  // Otherwise the acknowledgement is delayed by 40 ms; it is sent at once only when nothing is left to be read, be it a FIN.
  receiveEnd(server);
  libc.setsockoptInt(server, SOL_TCP, TCP_QUICKACK, 1);
  waitForState(client, TCP_FIN_WAIT2);
  return {};
}
