/** From a guess to the constants of the trace object, and to what may be shown. Pure. */
import type { Features } from "../../kernel/features.ts";
import { Constant, Offset } from "../../record/layout.gen.ts";
import type { GuessReport } from "../../guess/report.ts";

/** A value for every member of enum offset and enum constant; a field that is not known stands as 0 and is not shown. */
export function traceConstants(
  report: GuessReport,
  features: Pick<Features, "has">,
): Map<number, bigint> {
  const byName = index(report);
  const constants = new Map<number, bigint>(Object.values(Constant).map((id) => [id, 0n]));
  for (const [name, id] of Object.entries(Offset)) {
    const field = byName.get(name.replace(/^OFFSET_/, "").toLowerCase());
    constants.set(id, BigInt(field?.offset ?? 0));
  }
  if (!features.has("monotonic_tcp_clock")) constants.set(Offset.OFFSET_RCVQ_SPACE_TIME, 0n);
  constants.set(Constant.CONSTANT_HAS_IPV6, byName.get("skc_v6_daddr")?.offset == null ? 0n : 1n);
  const [protocol, type] = ["sk_protocol", "sk_type"].map((name) => byName.get(name)?.offset ?? 0);
  constants.set(
    Constant.CONSTANT_PROTOCOL_MASK,
    Math.abs(type! - protocol!) === 1 ? 0xffn : 0xffffn,
  );
  // Where they are not known no bit of that byte is left: nobody seems to have chosen a port.
  const locks = byName.get("sk_userlocks_shift")?.offset ?? 8;
  constants.set(Constant.CONSTANT_SK_USERLOCKS_SHIFT, BigInt(locks));
  const usual = Object.entries(USUAL_SOCK).every(
    ([name, offset]) => (byName.get(name)?.offset ?? offset) === offset,
  );
  constants.set(Constant.CONSTANT_USUAL_SOCK, usual ? 1n : 0n);
  constants.set(Constant.CONSTANT_PREEMPTED, features.has("preemptible_tracepoints") ? 1n : 0n);
  return constants;
}

// --- internal ---

/** struct sock_start in bpf/lib/offsets.h. A host without IPv6 does not read the last two, one without namespaces no skc_net. */
const USUAL_SOCK: Readonly<Record<string, number>> = {
  skc_daddr: 0,
  skc_rcv_saddr: 4,
  skc_dport: 12,
  skc_num: 14,
  skc_family: 16,
  skc_net: 48,
  skc_v6_daddr: 56,
  skc_v6_rcv_saddr: 72,
};

const index = (report: GuessReport) => new Map(report.fields.map((field) => [field.field, field]));
