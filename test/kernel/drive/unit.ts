/** What packaging/tracer-bpf.service leaves the tracer. */
import { readFileSync } from "node:fs";

const unit = new URL("../../../packaging/tracer-bpf.service", import.meta.url);

/** By their numbers in <linux/capability.h>; a name that is missing here is an error, not passed over. */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
};

export function unitCapabilities(): Set<number> {
  const names = /^CapabilityBoundingSet=(.*)$/m.exec(readFileSync(unit, "utf8"))![1]!.split(" ");
  return new Set(
    names.map((name) => {
      if (CAPABILITIES[name] === undefined) throw new Error(`${name}: add its number to unit.ts`);
      return CAPABILITIES[name];
    }),
  );
}
