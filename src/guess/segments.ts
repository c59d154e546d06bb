/**
 * A small guess of its own: where a segment's payload lies. The tool sends itself segments whose bytes it knows, and looks at
 * them while they wait in the receive queue.
 */
import { totalmem } from "node:os";
import type { Host } from "../kernel/host.ts";
import * as libc from "../kernel/libc.ts";
import { pageSize } from "../kernel/page_size.ts";
import { randomBytes } from "../kernel/random.ts";
import { KernelError } from "../kernel/shim.ts";
import type { PayloadLayout } from "../record/layout.gen.ts";
import { dropArriving } from "../kernel/filter.ts";
import { check, LoopbackError, openPair, receiveBytes, type Pair } from "./loopback.ts";
import { withLoopback } from "./netns.ts";
import { findPageBase, holds, pageShift, type KnownPage } from "./page_base.ts";
import {
  openQueueSampler,
  openSegmentSampler,
  SamplerDeaf,
  type SegmentSampler,
} from "./sampler.ts";
import { solveQueue } from "./solve_queue.ts";
import {
  inBufferOf,
  readBuffer,
  readFrag,
  solveFragPlaces,
  solveRtxQueue,
  solveSequences,
  solveSkbPlaces,
  type FragPlaces,
  type SegmentSample,
  type SkbPlaces,
} from "./solve_segment.ts";
import { kernelFloor } from "./window.ts";

/** `pages`: why payload in pages cannot be read, or null. */
export interface Guessed {
  layout: Omit<PayloadLayout, "unlimited">;
  pages: string | null;
}

/** A text says why there is none. */
export function guessSegments(host: Host): Guessed | string {
  try {
    let guessed = withLoopback(() => guess(host));
    // A segment that nobody expected, or a sender that stood still, spoils one round.
    for (let n = 1; n < ROUNDS && typeof guessed === "string"; n++)
      guessed = withLoopback(() => guess(host));
    return guessed;
  } catch (error) {
    const known =
      error instanceof KernelError ||
      error instanceof SamplerDeaf ||
      error instanceof LoopbackError;
    if (!known) throw error;
    return error.message;
  }
}

// --- internal ---

const ROUNDS = 3;
/** Each of another length; of the last ones the kernel puts all or most into pages. */
const LENGTHS = [61, 1207, 24_019, 9001] as const;
/** Two that wait at the same time: they do not fit into one piece of 32 KiB, from which the kernel takes pages. */
const IN_PAGES = [24_011, 16_411] as const;
/** So many bytes of a page are compared. */
const COMPARED = 48;

const NO_PAGES = { page_base: 0n, page_shift: 0, nr_frags: 0, frags: 0, len_first: 0 };
/** Of the segment that is sent and never acknowledged. */
const UNANSWERED = 467;

interface Known extends SegmentSample {
  /** The payload. */
  bytes: Uint8Array;
}

function guess(host: Host): Guessed | string {
  using sampler = host.features.has("test_run")
    ? openSegmentSampler(host.shim)
    : openQueueSampler(host.shim, host.kprobes!);
  using first = openEnd(sampler);
  const floor = kernelFloor(first.sk);
  const samples: Known[] = [];
  let skb: SkbPlaces | string = "";
  let frag: FragPlaces | string = "";
  for (const length of LENGTHS) {
    // It is looked at while it waits: once it is read it is gone.
    samples.push(arrival(sampler, first, length));
    skb = solveSkbPlaces(samples, floor);
    if (typeof skb === "string") return skb;
    frag = solveFragPlaces(samples, skb, floor);
    receiveBytes(first.client, length);
  }
  const ofSkb = skb as SkbPlaces;
  const places = {
    skb_len: ofSkb.len,
    skb_tail: ofSkb.tail,
    skb_head: ofSkb.head,
    skb_seq: solveSequences(samples) ?? 0,
    receive_queue: sampler.receiveQueue,
    ...sentQueue(sampler, ofSkb, floor),
  };
  if (typeof frag === "string") return { layout: { ...places, ...NO_PAGES }, pages: frag };
  const base = new PageBase(sampler, ofSkb, frag);
  using second = openEnd(sampler);
  for (const [n, end] of [first, second].entries()) base.learn(arrival(sampler, end, IN_PAGES[n]!));
  const known = base.known();
  if (typeof known === "string") return { layout: { ...places, ...NO_PAGES }, pages: known };
  const { nr_frags, frags, lenFirst } = frag;
  return {
    layout: { ...places, ...known, nr_frags, frags, len_first: lenFirst ? 1 : 0 },
    pages: null,
  };
}

interface End extends Pair {
  /** The client's. */
  sk: bigint;
}

function openEnd(sampler: SegmentSampler): End {
  let sk = 0n;
  const pair = openPair("v4", (fd, connect) => (sk = sampler.sockOf(fd, connect)));
  return { ...pair, sk };
}

/** Where a sock has what it has sent and was not acknowledged; both 0: not found. */
function sentQueue(
  sampler: SegmentSampler,
  skb: SkbPlaces,
  floor: bigint,
): Pick<PayloadLayout, "rtx_queue" | "write_queue"> {
  using end = openEnd(sampler);
  const settled = copySock(sampler, end.sk);
  dropArriving(end.server);
  check(libc.send(end.client, new Uint8Array(UNANSWERED), 0), "send");
  const peek = (address: bigint) => sampler.peek(address);
  const waiting = copySock(sampler, end.sk);
  const list = solveQueue({ sk: end.sk, settled, waiting, peek }, floor);
  if (list !== null) return { rtx_queue: 0, write_queue: list.at };
  const tree = solveRtxQueue({ settled, waiting, length: UNANSWERED, peek }, skb, floor);
  return { rtx_queue: tree ?? 0, write_queue: 0 };
}

const copySock = (sampler: SegmentSampler, sk: bigint): Uint8Array =>
  new Uint8Array(Buffer.concat([sampler.peek(sk), sampler.peek(sk + 1024n)]));

/** A segment with random bytes that waits at the client. */
function arrival(
  sampler: SegmentSampler,
  { server, local, remote, sk }: End,
  length: number,
): Known {
  const bytes = randomBytes(length);
  const skb = sampler.segment(sk, () => {
    const sent = check(libc.send(server, bytes, 0), "send");
    if (sent !== length) throw new LoopbackError(`send of ${length} bytes`, 0);
  });
  return {
    skb: sampler.peek(skb).slice(0, SKB_BYTES),
    length,
    bytes,
    sport: remote.port,
    dport: local.port,
    peek: remembering((address) => sampler.peek(address)),
  };
}

/** Memory that is read once is known later too, when it has other uses. */
function remembering(peek: (address: bigint) => Uint8Array): (address: bigint) => Uint8Array {
  const read = new Map<bigint, Uint8Array>();
  return (address) => {
    let bytes = read.get(address);
    if (bytes === undefined) read.set(address, (bytes = peek(address)));
    return bytes;
  };
}

/** No struct sk_buff is longer up to `data`. */
const SKB_BYTES = 256;

/** Learned from one page, and checked on each later one. */
class PageBase {
  readonly #sampler: SegmentSampler;
  readonly #skb: SkbPlaces;
  readonly #frag: FragPlaces;
  readonly #shift = pageShift(pageSize());
  #base: bigint | null = null;
  #wrong: string | null = null;
  readonly #pages = new Set<bigint>();

  constructor(sampler: SegmentSampler, skb: SkbPlaces, frag: FragPlaces) {
    this.#sampler = sampler;
    this.#skb = skb;
    this.#frag = frag;
  }

  /** While the segment waits. */
  learn(sample: Known): void {
    const buffer = readBuffer(sample.skb, this.#skb);
    const inBuffer = inBufferOf(buffer);
    if (inBuffer + COMPARED > sample.length) return;
    const shared = sample.peek(buffer.head + BigInt(buffer.end));
    const { page, offset } = readFrag(shared, this.#frag, 0);
    const known: KnownPage = {
      page,
      offset,
      bytes: sample.bytes.slice(inBuffer, inBuffer + COMPARED),
    };
    const peek = (address: bigint) => this.#sampler.peek(address);
    if (this.#base === null) {
      this.#base = findPageBase(known, buffer.head, this.#shift, totalmem(), peek);
      if (this.#base === null) this.#wrong ??= "the memory of a page was not found";
    } else if (!holds(known, this.#shift, this.#base, peek))
      this.#wrong ??= "the memory of a second page lies elsewhere";
    this.#pages.add(page + BigInt(offset));
  }

  known(): Pick<PayloadLayout, "page_base" | "page_shift"> | string {
    if (this.#wrong !== null) return this.#wrong;
    if (this.#base === null || this.#pages.size < 2) return "too few segments had payload in pages";
    return { page_base: this.#base, page_shift: this.#shift };
  }
}
