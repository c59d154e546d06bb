import { UnsupportedError } from "../../errors.ts";
import type { Part } from "../part.ts";

/** A refusal, as the user is told of it. */
export function tellRefusal(part: Part, why: string, notes: string[]): void {
  if (part.alone === true)
    throw new UnsupportedError(part.name, { why: `${part.without}: ${why}` });
  notes.push(`${part.without}: ${why}`);
}
