/** Where payload lies: what the program that looks at segments is told. */
import type { Guessed } from "../../guess/segments.ts";
import { payloadLayoutSize, writePayloadLayout } from "../../record/layout.gen.ts";
import type { Opened } from "../part.ts";
import { renewRoom } from "./gates.ts";

/** From now on the program looks. `unlimited`: while the tool checks itself. */
export function writeLayout(
  { host: { shim }, object }: Pick<Opened, "host" | "object">,
  { layout }: Guessed,
  unlimited: boolean,
): void {
  const value = new Uint8Array(payloadLayoutSize);
  writePayloadLayout(new DataView(value.buffer), 0, { ...layout, unlimited: unlimited ? 1 : 0 });
  shim.mapUpdate(object.mapFd("payload_layout"), new Uint32Array(1), value);
  renewRoom(shim, object);
}
