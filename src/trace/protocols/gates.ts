/** The gates of bpf/protocols/gate.h, as the tool empties them. */
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import {
  allowanceSize,
  gateSize,
  GateSize,
  readAllowance,
  readGate,
  writeAllowance,
  type Payload,
} from "../../record/layout.gen.ts";

/** So many gates there are. */
export const GATES = 2 ** GateSize.GATE_BITS;

/** A connection by its sock and the beginning of the stream that it receives: the sock's next one begins elsewhere. */
export type Looked = Pick<Payload, "sk" | "stream">;

/** Nothing more of these connections is looked at. A gate that is another one's by now stays as it is. */
export function closeGates(shim: Shim, object: KernelObject, looked: Iterable<Looked>): void {
  const map = object.mapFd("gates");
  const gate = new Uint8Array(gateSize);
  const nothing = new Uint8Array(gateSize);
  for (const { sk, stream } of looked) {
    const tag = tagOf(sk);
    const slot = Uint32Array.of(slotOf(tag));
    shim.mapLookup(map, slot, gate);
    const now = readGate(new DataView(gate.buffer), 0);
    if (now.tag === tag && now.stream === stream) shim.mapUpdate(map, slot, nothing);
  }
}

/** How many looks will do at the endpoint with this hash: see may_begin() in bpf/protocols/gate.h. */
export function tellVerdict(shim: Shim, object: KernelObject, hash: number, verdict: number): void {
  const map = object.mapFd("allowances");
  const slot = Uint32Array.of(hash >>> (32 - GateSize.ENDPOINT_BITS));
  const value = new Uint8Array(allowanceSize);
  const view = new DataView(value.buffer);
  shim.mapLookup(map, slot, value);
  const allowance = readAllowance(view, 0);
  // Another endpoint has taken its place.
  if (allowance.endpoint !== hash) return;
  writeAllowance(view, 0, { ...allowance, verdict });
  shim.mapUpdate(map, slot, value);
}

/** Room in the rings for records of payload, from now on: see send_look() in bpf/protocols/look.h. */
export const renewRoom = (shim: Shim, object: KernelObject): void =>
  shim.mapUpdate(object.mapFd("look_room"), new Uint32Array(1), Uint32Array.of(WAITING));

/** A count of the kernel side. */
export function counted(shim: Shim, object: KernelObject, counter: number): bigint {
  const count = new BigUint64Array(1);
  shim.mapLookup(object.mapFd("losses"), Uint32Array.of(counter), count);
  return count[0]!;
}

// --- internal ---

/** Records of two busy polls: a TLS handshake takes up to 20 of both ends, and a loaded machine polls late. */
const WAITING = 2 * GateSize.LOOKS_WAITING;

const tagOf = (sk: bigint): number => Number(BigInt.asUintN(32, sk >> 6n));

const slotOf = (tag: number): number =>
  Math.imul(tag, GateSize.GATE_HASH) >>> (32 - GateSize.GATE_BITS);
