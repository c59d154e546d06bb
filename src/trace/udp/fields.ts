/** The fields of the guess without which UDP is not traced. Pure. */
import type { GuessReport } from "../../guess/report.ts";
import type { AttachMode } from "../../kernel/host.ts";

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

/** The first field without which UDP is not traced, or null. */
export function missingForUdp(report: GuessReport, mode: AttachMode): string | null {
  const byName = new Map(report.fields.map((field) => [field.field, field]));
  const missing = REQUIRED_BY_UDP[mode].find((name) => byName.get(name)?.status !== "found");
  if (missing !== undefined || mode === "tracepoint") return missing ?? null;
  // The programs read both at once.
  const [network, transport] = ["network", "transport"].map(
    (header) => byName.get(`skb_${header}_header`)!.offset!,
  );
  return network === transport! + 2 ? null : "skb_network_header";
}
