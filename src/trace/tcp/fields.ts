/** The fields of the guess without which nothing can be traced. Pure. */
import { GuessError } from "../../errors.ts";
import type { GuessReport } from "../../guess/report.ts";
import type { AttachMode } from "../../kernel/host.ts";

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

/** Throws a GuessError that names the first field without which tracing is refused. */
export function requireFields(report: GuessReport, mode: AttachMode): void {
  const byName = new Map(report.fields.map((field) => [field.field, field]));
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
