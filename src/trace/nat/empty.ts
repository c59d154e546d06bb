/** Empties the map of conntrack's entries. */
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { conntrackTupleSize } from "../../record/layout.gen.ts";

export function emptyTable(shim: Shim, object: KernelObject): void {
  const map = object.mapFd("conntrack");
  const key = new Uint8Array(conntrackTupleSize);
  // Always the first of those that are left.
  while (shim.mapNextKey(map, null, key)) if (!shim.mapDelete(map, key)) return;
}
