/** Keys by the address of a struct sock: the low 48 bits tell all of them apart, and are a number without a bigint. Pure. */
import {
  EVENT_ENDS_METADATA,
  EVENT_SK,
  GateSize,
  SockMarks as Marks,
  type Event,
} from "../record/layout.gen.ts";

/** Of the struct event that lies at `p`: sk comes first. */
export const sockAt = (view: DataView, p: number): number =>
  view.getUint32(p, true) + view.getUint16(p + 4, true) * 2 ** 32;

export const sockOf = ({ sk }: Pick<Event, "sk">): number => Number(BigInt.asUintN(48, sk));

/** Of its high bits tables of socks make their slots. As sock_hash() of src/kernel/shim/pairs.c. */
export const hashOf = (sock: number): number =>
  Math.imul(Math.floor(sock / 2 ** Marks.SOCK_SHIFT), GateSize.GATE_HASH);

/** A UDP flow by its sock and its ends, which lie behind that, of the struct event at `p`. One sock can have many flows. */
export function flowAt(view: DataView, p: number): string {
  flowBytes.set(new Uint8Array(view.buffer, view.byteOffset + p + EVENT_SK, FLOW_BYTES));
  return flowBytes.toString("latin1");
}

// --- internal ---

/** Addresses and ports; metadata comes next. */
const FLOW_BYTES = EVENT_ENDS_METADATA - EVENT_SK;
const flowBytes = Buffer.alloc(FLOW_BYTES);
