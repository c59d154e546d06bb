/**
 * Conntrack of the tool's own namespace, or of one that this one knows by a number, asked by a program that the tool runs
 * (bpf/lookup.bpf.c). It needs the kernel's
 * types, and no capability that the tool has not anyway.
 */
import { lookupObject } from "../../embedded.ts";
import { AF_INET, AF_INET6 } from "../../kernel/constants.ts";
import type { Tuple } from "../../kernel/ctnetlink_codec.ts";
import type { Host } from "../../kernel/host.ts";
import { NF_TUPLE, NF_TUPLE_HASH } from "../../kernel/nf_tuple.ts";
import { loadObject, type KernelObject } from "../../kernel/object.ts";
import { KernelError } from "../../kernel/shim.ts";
import { addressText, parseAddress } from "../../record/address.ts";
import { recurring } from "../../record/recurring.ts";
import { LookupSize, lookupSize, readLookup, writeLookup } from "../../record/layout.gen.ts";
import { beyond, type Asked } from "./ask.ts";

export interface Table extends Disposable {
  /**
   * The tuple that comes out of the translation of each; `null`: not there, or not to be asked. `netnsId`: by which the own
   * namespace knows the one that is asked.
   */
  ask(asked: readonly Asked[], netnsId?: number): (Tuple | null)[];
}

/** `null`: the kernel does not take the program. */
export function openLookup({ shim, features }: Host): Table | null {
  if (!features.has("conntrack_lookup")) return null;
  let object: KernelObject;
  try {
    object = loadObject(shim, {
      name: "lookup",
      file: lookupObject,
      programs: [PROGRAM],
      load: [PROGRAM],
      constants: new Map(),
    });
  } catch (error) {
    if (error instanceof KernelError) return null;
    throw error;
  }
  const [program, map] = [object.progFd(PROGRAM), object.mapFd("lookups")];
  const bytes = new Uint8Array(LookupSize.LOOKUPS * lookupSize + NEXT_BYTES);
  const view = new DataView(bytes.buffer);
  const key = new Uint32Array(1);
  const askBatch = (asked: readonly Asked[], netnsId: number) => {
    for (const [n, { tuple }] of asked.entries()) writeTuple(view, n * lookupSize, tuple, netnsId);
    view.setBigUint64(LookupSize.LOOKUPS * lookupSize, 0n, true);
    shim.mapUpdate(map, key, bytes);
    shim.testRunPacket(program, asked.length);
    shim.mapLookup(map, key, bytes);
    return asked.map((of, n) => {
      const { found, entry } = readLookup(view, n * lookupSize);
      return found === 1 ? beyondIn(entry, of) : null;
    });
  };
  return {
    ask(asked, netnsId = OWN_NETNS) {
      const answers: (Tuple | null)[] = [];
      for (let from = 0; from < asked.length; from += LookupSize.LOOKUPS)
        answers.push(...askBatch(asked.slice(from, from + LookupSize.LOOKUPS), netnsId));
      return answers;
    },
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

/**
 * The tuple that comes out, by the bytes of a struct nf_conn that was found by the tuple; `null`: they do not hold it. One of
 * the entry's two tuples is the one that was asked for, so it is looked for and shows where the other is. Pure.
 */
export function beyondIn(entry: Uint8Array, asked: Asked): Tuple | null {
  const wanted = kernelTuple(asked.tuple);
  const view = new DataView(entry.buffer, entry.byteOffset, entry.length);
  for (let at = 0; at + NF_TUPLE.bytes <= entry.length; at += 8) {
    const direction = entry[at + NF_TUPLE.dir];
    const other = direction === 0 ? at + NF_TUPLE_HASH : at - NF_TUPLE_HASH;
    if (
      other < 0 ||
      other + NF_TUPLE.bytes > entry.length ||
      entry[other + NF_TUPLE.dir] !== 1 - direction!
    )
      continue;
    if (!stands(wanted, entry, at)) continue;
    const [orig, reply] = direction === 0 ? [at, other] : [other, at];
    return beyond(
      {
        orig: readTuple(view, orig),
        reply: readTuple(view, reply),
        zone: 0,
        status: reply + STATUS + 4 > entry.length ? null : view.getUint32(reply + STATUS, true),
      },
      asked,
    );
  }
  return null;
}

// --- internal ---

const PROGRAM = "look_up";
/** Behind the tuples: the one that is looked up next. */
const NEXT_BYTES = 8;
const OWN_NETNS = -1;

/** nf_conn.status, from the reply tuple on: the next member, since 2.6.20. */
const STATUS = NF_TUPLE.bytes;

function stands(wanted: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let n = 0; n < wanted.length; n++) if (bytes[at + n] !== wanted[n]) return false;
  return true;
}

/** Without its direction. */
function kernelTuple({ protocol, source, destination }: Tuple): Uint8Array {
  const bytes = new Uint8Array(NF_TUPLE.dir);
  const view = new DataView(bytes.buffer);
  bytes.set(addressBytes(source), NF_TUPLE.src);
  view.setUint16(NF_TUPLE.sport, source.port);
  view.setUint16(NF_TUPLE.l3num, source.family === 4 ? AF_INET : AF_INET6, true);
  bytes.set(addressBytes(destination), NF_TUPLE.dst);
  view.setUint16(NF_TUPLE.dport, destination.port);
  bytes[NF_TUPLE.protonum] = protocol;
  return bytes;
}

function readTuple(view: DataView, p: number): Tuple {
  const address = view.getUint16(p + NF_TUPLE.l3num, true) === AF_INET ? ipv4At : ipv6At;
  return {
    protocol: view.getUint8(p + NF_TUPLE.protonum),
    source: { ...address(view, p), port: view.getUint16(p + NF_TUPLE.sport) },
    destination: { ...address(view, p + NF_TUPLE.dst), port: view.getUint16(p + NF_TUPLE.dport) },
  };
}

/** struct bpf_sock_tuple. */
function writeTuple(
  view: DataView,
  p: number,
  { protocol, source, destination }: Tuple,
  netns_id: number,
): void {
  const length = source.family === 4 ? 4 : 16;
  const tuple = new Uint8Array(36);
  const ports = new DataView(tuple.buffer);
  tuple.set(addressBytes(source).subarray(0, length), 0);
  tuple.set(addressBytes(destination).subarray(0, length), length);
  ports.setUint16(2 * length, source.port);
  ports.setUint16(2 * length + 2, destination.port);
  const family = source.family === 4 ? AF_INET : AF_INET6;
  writeLookup(view, p, { tuple, protocol, family, netns_id, found: 0, entry: NOTHING });
}

const NOTHING = new Uint8Array(LookupSize.LOOKUP_WINDOW);

const ipv4At = recurring((bytes) => addressText(bytes, 4));
const ipv6At = recurring((bytes) => addressText(bytes, 6));

/** 16 bytes, of which IPv4 uses the first 4; of addresses that recur. */
function addressBytes({ address }: Tuple["source"]): Uint8Array {
  const known = parsed.get(address);
  if (known !== undefined) return known;
  const { bytes } = parseAddress(address)!;
  if (parsed.size >= MOST_PARSED) parsed.clear();
  parsed.set(address, bytes);
  return bytes;
}

const parsed = new Map<string, Uint8Array>();
const MOST_PARSED = 4096;
