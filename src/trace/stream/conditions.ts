/**
 * Records that become lines without a look by any part, many in one call of the shim (src/kernel/shim/lines.c). Before each
 * call every part writes the conditions on which it has nothing to add or to change; a record that does not meet them
 * goes the usual way. Pure, but for the addresses.
 */
import {
  LINE_CONDITIONS_END_MARKS,
  LINE_CONDITIONS_MARKS,
  LINE_CONDITIONS_PID_REFUSED,
  lineConditionsSize,
} from "../../record/layout.gen.ts";
import type { Working } from "../part.ts";
import type { SockMarks } from "../sock_marks.ts";

/** Address of the conditions, for a call now; 0: there may be none now. */
export type Conditions = () => number;

/** `tgid`: the tool's own, of which nothing is shown. `null`: a part has none, so each record is its own matter. */
export function conditionsOf(
  parts: readonly Working[],
  { bytes, ends }: SockMarks,
  tgid: number,
  addressOf: (bytes: ArrayBufferView) => number,
): Conditions | null {
  const concerned = parts.filter(looksAtRecords);
  if (concerned.some(({ conditions }) => conditions === undefined)) return null;
  const view = new DataView(new ArrayBuffer(lineConditionsSize));
  view.setBigUint64(LINE_CONDITIONS_MARKS, BigInt(addressOf(bytes)), true);
  view.setBigUint64(LINE_CONDITIONS_END_MARKS, BigInt(addressOf(ends)), true);
  view.setUint32(LINE_CONDITIONS_PID_REFUSED, tgid, true);
  const at = addressOf(view);
  return () => {
    for (const part of concerned) if (!part.conditions!(view)) return 0;
    return at;
  };
}

// --- internal ---

const looksAtRecords = ({ revises, enrich, complete, holds, passed, conditions }: Working) =>
  [revises, enrich, complete, holds, passed, conditions].some((member) => member !== undefined);
