/**
 * The map of conntrack's entries that the programs fill, read and written by the tool: see bpf/nat/conntrack.h. A probe does
 * not run on a processor that is inside of bpf(2), so the tool reads it only for the few that the programs cannot.
 */
import { EEXIST, IPPROTO_TCP, IPPROTO_UDP } from "../../kernel/constants.ts";
import { turned, type Tuple } from "../../kernel/ctnetlink_codec.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { KernelError, type Shim } from "../../kernel/shim.ts";
import { addressOfWords, parseAddress } from "../../record/address.ts";
import {
  ConnMetadata,
  ConntrackFact,
  RankFactor,
  conntrackTelemetrySize,
  conntrackTupleSize,
  conntrackValueSize,
  readConntrackValue,
  writeConntrackTelemetry,
  writeConntrackTuple,
  writeConntrackValue,
  type ConntrackTuple,
} from "../../record/layout.gen.ts";
import type { Asked } from "./ask.ts";

const { CONNTRACK_SWAPPED, CONNTRACK_TRANSLATED } = ConntrackFact;
const BPF_NOEXIST = 1;

export class EntryMap {
  readonly #shim: Shim;
  readonly #map: number;
  readonly #telemetry: number;

  constructor(shim: Shim, object: KernelObject) {
    this.#shim = shim;
    this.#map = object.mapFd("conntrack");
    this.#telemetry = object.mapFd("conntrack_telemetry");
  }

  /** The tuple that comes out of the translation of each; `null`: not there. */
  ask(netns: number, asked: readonly Asked[]): (Tuple | null)[] {
    return asked.map(({ tuple }) => {
      const { key, swapped } = keyOf(netns, tuple);
      const bytes = new Uint8Array(conntrackValueSize);
      if (!this.#shim.mapLookup(this.#map, bytesOf(key), bytes)) return null;
      const { facts, beyond } = readConntrackValue(new DataView(bytes.buffer), 0);
      if ((facts & CONNTRACK_TRANSLATED) === 0) return tuple;
      return (facts & CONNTRACK_SWAPPED) === swapped ? tupleOfWords(beyond) : null;
    });
  }

  /** An entry that was there before the probe. `out`: the tuple that comes out; one that is there is newer, and stays. */
  add(netns: number, tuple: Tuple, out: Tuple): void {
    const isPlain = keyText(netns, tuple) === keyText(netns, out);
    this.#put(netns, tuple, out, isPlain);
    if (!isPlain) this.#put(netns, turned(out), turned(tuple), isPlain);
    const some = new Uint8Array(conntrackTelemetrySize);
    const zero = new Uint32Array(1);
    // The programs look nothing up before the first entry; from then on they count themselves.
    if (this.#shim.mapLookup(this.#telemetry, zero, some) && some.some((byte) => byte !== 0))
      return;
    writeConntrackTelemetry(new DataView(some.buffer), 0, { registers: 1n });
    this.#shim.mapUpdate(this.#telemetry, zero, some);
  }

  /** Always the first of those that are left. */
  empty(): void {
    const key = new Uint8Array(conntrackTupleSize);
    while (this.#shim.mapNextKey(this.#map, null, key))
      if (!this.#shim.mapDelete(this.#map, key)) return;
  }

  #put(netns: number, tuple: Tuple, out: Tuple, isPlain: boolean): void {
    const { key, swapped } = keyOf(netns, tuple);
    const bytes = new Uint8Array(conntrackValueSize);
    const beyond = wordsOf(netns, out);
    const facts = isPlain ? 0 : CONNTRACK_TRANSLATED | swapped;
    writeConntrackValue(new DataView(bytes.buffer), 0, {
      beyond,
      facts,
      accepted: 0,
      made_at: 0n,
    });
    try {
      this.#shim.mapUpdate(this.#map, bytesOf(key), bytes, BPF_NOEXIST);
    } catch (error) {
      if (!(error instanceof KernelError && error.errno === EEXIST)) throw error;
    }
  }
}

/** The key under which an entry with this tuple stands: its ends in the order of order_ends() in bpf/nat/conntrack.h. Pure. */
export function keyOf(netns: number, tuple: Tuple): { key: ConntrackTuple; swapped: number } {
  const words = wordsOf(netns, tuple);
  const { saddr_h, saddr_l, sport, daddr_h, daddr_l, dport } = words;
  if (rank(daddr_h, daddr_l, dport) >= rank(saddr_h, saddr_l, sport))
    return { key: words, swapped: 0 };
  return { key: wordsOf(netns, turned(tuple)), swapped: CONNTRACK_SWAPPED };
}

// --- internal ---

const OF_HIGH = BigInt(RankFactor.RANK_HIGH);
const OF_PORT = BigInt(RankFactor.RANK_PORT) << BigInt(RankFactor.RANK_PORT_SHIFT);

/** As rank() there. */
const rank = (high: bigint, low: bigint, port: number): bigint =>
  BigInt.asUintN(64, low + high * OF_HIGH + BigInt(port) * OF_PORT);

function wordsOf(netns: number, { protocol, source, destination }: Tuple): ConntrackTuple {
  const [from, to] = [source, destination].map(({ address }) => {
    const view = new DataView(parseAddress(address)!.bytes.buffer);
    const isV6 = source.family === 6;
    return {
      high: isV6 ? view.getBigUint64(0, true) : 0n,
      low: isV6 ? view.getBigUint64(8, true) : BigInt(view.getUint32(0, true)),
    };
  });
  const metadata =
    (protocol === IPPROTO_TCP ? ConnMetadata.METADATA_TCP : 0) |
    (source.family === 6 ? ConnMetadata.METADATA_IPV6 : 0);
  return {
    saddr_h: from!.high,
    saddr_l: from!.low,
    daddr_h: to!.high,
    daddr_l: to!.low,
    sport: source.port,
    dport: destination.port,
    netns,
    metadata,
  };
}

function tupleOfWords(of: ConntrackTuple): Tuple {
  const family = (of.metadata & ConnMetadata.METADATA_IPV6) !== 0 ? 6 : 4;
  const isTcp = (of.metadata & ConnMetadata.METADATA_TCP) !== 0;
  return {
    protocol: isTcp ? IPPROTO_TCP : IPPROTO_UDP,
    source: { ...addressOfWords(of.saddr_h, of.saddr_l, family), port: of.sport },
    destination: { ...addressOfWords(of.daddr_h, of.daddr_l, family), port: of.dport },
  };
}

function bytesOf(key: ConntrackTuple): Uint8Array {
  const bytes = new Uint8Array(conntrackTupleSize);
  writeConntrackTuple(new DataView(bytes.buffer), 0, key);
  return bytes;
}

const keyText = (netns: number, tuple: Tuple): string => bytesOf(keyOf(netns, tuple).key).toHex();
