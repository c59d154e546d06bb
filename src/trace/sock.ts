/** A struct sock's address as a key: the low 48 bits tell all of them apart, and are a number without a bigint. Pure. */
import type { Event } from "../record/layout.gen.ts";

/** Of the struct event that lies at `p`: sk comes first. */
export const sockAt = (view: DataView, p: number): number =>
  view.getUint32(p, true) + view.getUint16(p + 4, true) * 2 ** 32;

export const sockOf = ({ sk }: Pick<Event, "sk">): number => Number(BigInt.asUintN(48, sk));
