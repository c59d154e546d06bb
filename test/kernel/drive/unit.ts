/** The rights that packaging/tracer-bpf.service leaves to the tracer. */
import { readFileSync } from "node:fs";
import * as constants from "../../../src/kernel/constants.ts";

const unit = new URL("../../../packaging/tracer-bpf.service", import.meta.url);

export function unitCapabilities(): Set<number> {
  const names = /^CapabilityBoundingSet=(.*)$/m.exec(readFileSync(unit, "utf8"))![1]!.split(" ");
  return new Set(
    names.map((name) => {
      const number = (constants as Record<string, unknown>)[name];
      if (typeof number !== "number") throw new Error(`src/kernel/constants.ts lacks ${name}`);
      return number;
    }),
  );
}
