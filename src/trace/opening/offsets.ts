/** From a guess to the constants of the trace object, and to what may be shown. Pure. */
import { GuessError } from "../../errors.ts";
import type { Features } from "../../kernel/features.ts";
import type { AttachMode } from "../../kernel/host.ts";
import { Constant, Offset } from "../../record/layout.gen.ts";
import type { FieldReport, GuessReport } from "../../guess/report.ts";

/** Which totals are known. A false one is shown as unknown, never as what stands at a wrong offset. */
export interface KnownTotals {
  bytesSent: boolean;
  bytesReceived: boolean;
  segs: boolean;
  rtt: boolean;
  rttVar: boolean;
  retransmits: boolean;
}

/** The same of UDP flows: what a check with datagrams of our own has shown to be right. */
export interface KnownFlowTotals {
  bytes: boolean;
  packets: boolean;
}

/** Without these nothing can be traced. */
const REQUIRED = [
  "skc_daddr",
  "skc_rcv_saddr",
  "skc_dport",
  "skc_num",
  "skc_family",
  "skc_state",
  "sk_protocol",
  "inet_sport",
  "rcv_nxt",
] as const;
/** The tracepoint mode has no probe in accept: it sees there whether somebody owns the socket. */
const REQUIRED_BY_TRACEPOINTS = ["sk_socket", "socket_ino"] as const;
/** Unless this kernel has no such thing: no IPv6, no network namespaces. */
const REQUIRED_WHERE_THERE = [
  "skc_net",
  "net_ns_inum",
  "skc_v6_daddr",
  "skc_v6_rcv_saddr",
] as const;

/** Without these no UDP. */
const REQUIRED_BY_UDP: Record<AttachMode, readonly string[]> = {
  kprobe: [
    "sk_type",
    "skb_sk",
    "skb_head",
    "skb_transport_header",
    "skb_network_header",
    "skb_users",
  ],
  tracepoint: ["sk_type"],
};

/** What each total is computed from. To add a total: a row. */
const TOTALS: Record<keyof KnownTotals, readonly string[]> = {
  bytesSent: ["bytes_acked", "write_seq", "snd_una"],
  bytesReceived: ["bytes_received", "rcv_nxt", "copied_seq", "sk_flags"],
  segs: ["segs_in", "segs_out"],
  rtt: ["srtt_us"],
  rttVar: ["mdev_us"],
  retransmits: ["total_retrans"],
};

/** Without it a failure is seen, but seldom why. */
const FAILURE = ["sk_err"] as const;

/** Throws a GuessError that names the first field without which tracing is refused. */
export function requireFields(report: GuessReport, mode: AttachMode): void {
  const byName = index(report);
  const there = REQUIRED_WHERE_THERE.filter(
    (name) => byName.get(name)?.status !== "not-applicable",
  );
  const more = mode === "tracepoint" ? REQUIRED_BY_TRACEPOINTS : [];
  for (const name of [...REQUIRED, ...more, ...there]) {
    const field = byName.get(name);
    if (field?.status === "found") continue;
    throw new GuessError(name, field?.candidates ?? [], {
      why: `${field?.how ?? "it is not in the report"}; without it no connection can be told from another`,
      ...(field ? { struct: field.struct } : {}),
    });
  }
}

/** The first field without which UDP is not traced, or null. */
export function missingForUdp(report: GuessReport, mode: AttachMode): string | null {
  const byName = index(report);
  const missing = REQUIRED_BY_UDP[mode].find((name) => byName.get(name)?.status !== "found");
  if (missing !== undefined || mode === "tracepoint") return missing ?? null;
  // The programs read both at once.
  const [network, transport] = ["network", "transport"].map(
    (header) => byName.get(`skb_${header}_header`)!.offset!,
  );
  return network === transport! + 2 ? null : "skb_network_header";
}

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

export function knownTotals(report: GuessReport): KnownTotals {
  const byName = index(report);
  const known = (fields: readonly string[]) =>
    fields.every((f) => byName.get(f)?.status === "found");
  return Object.fromEntries(
    Object.entries(TOTALS).map(([total, fields]) => [total, known(fields)]),
  ) as unknown as KnownTotals;
}

/** Fields on which what is shown depends and that were not found: told to the user once. */
export function missingFields(report: GuessReport): FieldReport[] {
  const needed = new Set([...Object.values(TOTALS).flat(), ...FAILURE]);
  return report.fields.filter(({ field, status }) => needed.has(field) && status !== "found");
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
