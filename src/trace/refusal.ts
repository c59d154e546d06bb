import { UnsupportedError } from "../errors.ts";
import type { Part } from "./part.ts";

/** Every refusal is told so: by the kernel, by this host, or by a check. */
export function tellRefusal(
  part: Pick<Part, "name" | "without" | "alone">,
  why: string,
  notes: string[],
): void {
  if (part.alone === true)
    throw new UnsupportedError(part.name, { why: `${part.without}: ${why}` });
  notes.push(`${part.without}: ${why}`);
}
