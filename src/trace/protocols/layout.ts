/** Where payload lies: what the program that looks at segments is told. */
import type { Guessed } from "../../guess/segments.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { payloadLayoutSize, writePayloadLayout } from "../../record/layout.gen.ts";

/** From now on the program looks. */
export function writeLayout(shim: Shim, object: KernelObject, { layout }: Guessed): void {
  const value = new Uint8Array(payloadLayoutSize);
  writePayloadLayout(new DataView(value.buffer), 0, layout);
  shim.mapUpdate(object.mapFd("payload_layout"), new Uint32Array(1), value);
}
