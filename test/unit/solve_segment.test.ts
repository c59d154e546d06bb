/** Where payload lies, from copies of segments in a memory that is laid out as kernels lay out theirs; and from page to address. */
import { describe, expect, test } from "bun:test";
import { findPageBase, holds, pageShift } from "../../src/guess/page_base.ts";
import {
  solveFragPlaces,
  solveRtxQueue,
  solveSequences,
  solveSkbPlaces,
  type FragPlaces,
  type SegmentSample,
  type SkbPlaces,
} from "../../src/guess/solve_segment.ts";

const FLOOR = 0xffff_8000_0000_0000n;
const HEAD = 0xffff_8881_0340_0000n;
const PAGE = 0xffff_ea00_040d_0040n;
/** Of a TCP header without options, behind the headers of IP and Ethernet. */
const DATA_AT = 2 + 14 + 20 + 20;
const [SPORT, DPORT] = [40_001, 8080];

/** Pieces of memory by address. */
class Memory {
  readonly #pieces: [bigint, Uint8Array][] = [];

  put(address: bigint, bytes: Uint8Array): void {
    this.#pieces.push([address, bytes]);
  }

  readonly peek = (address: bigint): Uint8Array => {
    for (const [at, bytes] of this.#pieces) {
      const into = Number(address - at);
      if (into >= 0 && into < bytes.length) return bytes.subarray(into);
    }
    return new Uint8Array();
  };
}

const viewOf = ({ buffer, byteOffset }: Uint8Array) => new DataView(buffer, byteOffset);

interface Kernel {
  skb: SkbPlaces;
  frag: FragPlaces;
}

/** The order in a frag changed in 5.4; with some configurations four bytes of padding stand before `head`. */
const kernels: Record<string, Kernel> = {
  "offset before length": {
    skb: { len: 112, tail: 188, head: 200 },
    frag: { nr_frags: 2, frags: 48, lenFirst: false },
  },
  "length before offset": {
    skb: { len: 112, tail: 184, head: 192 },
    frag: { nr_frags: 2, frags: 48, lenFirst: true },
  },
};

interface Of extends Kernel {
  /** Bytes in the buffer, and in each page. */
  linear: number;
  pages: number[];
}

function segment({ skb: places, frag, linear, pages }: Of): SegmentSample {
  const memory = new Memory();
  const length = linear + pages.reduce((sum, bytes) => sum + bytes, 0);
  const skb = new Uint8Array(256);
  const view = viewOf(skb);
  const end = 704;
  view.setUint32(places.len, length, true);
  view.setUint32(places.len + 4, length - linear, true);
  view.setUint32(places.tail, DATA_AT + linear, true);
  view.setUint32(places.tail + 4, end, true);
  view.setBigUint64(places.head, HEAD, true);
  view.setBigUint64(places.head + 8, HEAD + BigInt(DATA_AT), true);
  const buffer = new Uint8Array(end + 320);
  const header = viewOf(buffer.subarray(DATA_AT - 20));
  header.setUint16(0, SPORT);
  header.setUint16(2, DPORT);
  header.setUint8(12, 5 << 4);
  const shared = viewOf(buffer.subarray(end));
  shared.setUint8(frag.nr_frags, pages.length);
  for (const [n, bytes] of pages.entries()) {
    const at = frag.frags + n * 16;
    shared.setBigUint64(at, PAGE + BigInt(n * 64), true);
    shared.setUint32(at + (frag.lenFirst ? 8 : 12), bytes, true);
    shared.setUint32(at + (frag.lenFirst ? 12 : 8), 136 + n, true);
  }
  memory.put(HEAD, buffer);
  return { skb, length, sport: SPORT, dport: DPORT, peek: memory.peek };
}

const samplesOf = (kernel: Kernel): SegmentSample[] => [
  segment({ ...kernel, linear: 61, pages: [] }),
  segment({ ...kernel, linear: 0, pages: [1207] }),
  segment({ ...kernel, linear: 37, pages: [4096, 300] }),
];

describe.each(Object.entries(kernels))("%s", (_name, kernel) => {
  test("sk_buff is where the header of the very segment ends at data, and the lengths are right", () => {
    expect(solveSkbPlaces(samplesOf(kernel), FLOOR)).toEqual(kernel.skb);
  });

  test("the frags are where they sum up to the payload that is not in the buffer", () => {
    expect(solveFragPlaces(samplesOf(kernel), kernel.skb, FLOOR)).toEqual(kernel.frag);
  });
});

const kernel = kernels["length before offset"]!;

test("a header of another connection tells nothing", () => {
  const other = samplesOf(kernel).map((sample) => ({ ...sample, dport: DPORT + 1 }));
  expect(solveSkbPlaces(other, FLOOR)).toBe("0 places in sk_buff lead to the TCP header");
});

test("lengths that stand nowhere are said to", () => {
  const samples = samplesOf(kernel).map((sample) => ({ ...sample, length: sample.length + 1 }));
  expect(solveSkbPlaces(samples, FLOOR)).toBe("0 places in sk_buff hold len and data_len");
});

describe("the sequence numbers of a segment", () => {
  const AT = 40;
  const stream = (gap = 0): SegmentSample[] => {
    let next = 0xffff_ffc0;
    return samplesOf(kernel).map((sample) => {
      const view = viewOf(sample.skb);
      view.setUint32(AT, next, true);
      next = (next + sample.length) >>> 0;
      view.setUint32(AT + 4, next, true);
      next += gap;
      return sample;
    });
  };

  test("are where the end of one is the beginning of the next, also where they wrap", () => {
    expect(solveSequences(stream())).toBe(AT);
  });

  test("are not known where they do not follow each other, or stand nowhere", () => {
    expect(solveSequences(stream(1))).toBeNull();
    expect(solveSequences(samplesOf(kernel))).toBeNull();
  });
});

test("memory that cannot be read is no header", () => {
  const blind = samplesOf(kernel).map((one) => ({ ...one, peek: () => new Uint8Array() }));
  expect(solveSkbPlaces(blind, FLOOR)).toMatch(/^0 places/);
});

test("without payload in pages the frags stay unknown", () => {
  const [linear] = samplesOf(kernel);
  expect(solveFragPlaces([linear!, linear!], kernel.skb, FLOOR)).toBe(
    "no segment had payload in pages",
  );
});

test("where the lengths of the frags do not sum up nothing fits", () => {
  const samples = [1, 2].map(() => segment({ ...kernel, linear: 0, pages: [500] }));
  const wrong = samples.map((sample) => ({ ...sample, length: 501 }));
  expect(solveFragPlaces(wrong, kernel.skb, FLOOR)).toMatch(/^0 layouts/);
});

describe("the queue of what is sent", () => {
  const QUEUE = 576;
  const SKB = 0xffff_8881_0777_7700n;

  function waiting(length: number, at = SKB) {
    const sample = segment({ ...kernel, linear: 0, pages: [467] });
    const memory = new Memory();
    memory.put(SKB, sample.skb);
    const [settled, sock] = [new Uint8Array(1024), new Uint8Array(1024)];
    // A pointer that was there before, and one that leads to something else.
    for (const bytes of [settled, sock]) viewOf(bytes).setBigUint64(40, SKB, true);
    viewOf(sock).setBigUint64(48, HEAD, true);
    viewOf(sock).setBigUint64(QUEUE, at, true);
    // A hint behind it that leads to the same.
    viewOf(sock).setBigUint64(QUEUE + 64, at, true);
    return { settled, waiting: sock, length, peek: memory.peek };
  }

  test("is the first word that leads to the segment, and was 0 before", () => {
    expect(solveRtxQueue(waiting(467), kernel.skb, FLOOR)).toBe(QUEUE);
  });

  test("is not found where no segment has its length, or its address is none", () => {
    expect(solveRtxQueue(waiting(466), kernel.skb, FLOOR)).toBeNull();
    expect(solveRtxQueue(waiting(467, SKB + 4n), kernel.skb, FLOOR)).toBeNull();
  });
});

describe("from a page to its memory", () => {
  const GIB = 1n << 30n;
  const bytes = Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2);

  /** A host whose map of memory and array of pages begin there. */
  function host(memoryAt: bigint, arrayAt: bigint, frame: bigint, offset = 100) {
    const memory = new Memory();
    memory.put(memoryAt + frame * 4096n + BigInt(offset), bytes);
    const known = { page: arrayAt + frame * 64n, offset, bytes };
    return { known, peek: memory.peek, head: memoryAt + 5n * GIB + 777n };
  }

  test("pages of 4 KiB have 64 bytes for one, so it is shifted by 6", () => {
    expect(pageShift(4096)).toBe(6);
    expect(pageShift(65_536)).toBe(10);
  });

  test.each([
    ["in the first GiB", 77n],
    ["far away", (13n * GIB) / 4096n + 5n],
  ])("the base leads to the known bytes: a frame %s", (_where, frame) => {
    const [memoryAt, arrayAt] = [0xffff_9a40_0000_0000n, 0xffff_d5a8_c000_0000n];
    const { known, peek, head } = host(memoryAt, arrayAt, frame);
    const base = findPageBase(known, head, 6, 16 * Number(GIB), peek);
    expect(base).toBe(BigInt.asUintN(64, memoryAt - (arrayAt << 6n)));
    expect(holds(known, 6, base!, peek)).toBe(true);
  });

  test("0 is a base like any other", () => {
    const arrayAt = 0xffff_fc00_0000_0000n;
    const memoryAt = BigInt.asUintN(64, arrayAt << 6n);
    const { known, peek } = host(memoryAt, arrayAt, 7n);
    expect(findPageBase(known, memoryAt + 3n, 6, 2 * Number(GIB), peek)).toBe(0n);
  });

  test("bytes that are nowhere give no base, and another page's tell a wrong one", () => {
    const { known, peek, head } = host(0xffff_9a40_0000_0000n, 0xffff_d5a8_c000_0000n, 77n);
    const other = { ...known, bytes: Uint8Array.of(1, 2, 3) };
    expect(findPageBase(other, head, 6, 16 * Number(GIB), peek)).toBeNull();
    expect(holds(other, 6, 0n, peek)).toBe(false);
  });
});
