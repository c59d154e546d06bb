/** Offsets in struct nf_conn, and the host's own network namespace: what the programs of conntrack are told. */
import { guessConntrack } from "../../guess/conntrack.ts";
import type { FieldReport, GuessReport } from "../../guess/report.ts";
import type { Host } from "../../kernel/host.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { hostNamespace, ownNetns } from "../../kernel/namespaces.ts";
import {
  conntrackLayoutSize,
  writeConntrackLayout,
  type ConntrackLayout,
} from "../../record/layout.gen.ts";

/** From the report, if it was made while conntrack was there, else from a guess now. A text says why there is none. */
export function conntrackLayout(host: Host, report: GuessReport): ConntrackLayout | string {
  const known = layoutOf(report.fields);
  if (typeof known !== "string") return known;
  return layoutOf(guessConntrack(host, "kprobe", report.fields));
}

/** Nothing is known but the host's namespace. `throughSkb`: the probed function takes a sk_buff, not the entry. */
export const unknownLayout = (throughSkb: boolean): ConntrackLayout => ({
  tuple_orig: 0,
  net: 0,
  zone: 0,
  root_netns: hostNamespace()?.netns ?? ownNetns(),
  skb_nfct: 0,
  through_skb: throughSkb ? 1 : 0,
  zone_unknown: 1,
});

export function writeLayout(host: Host, object: KernelObject, layout: ConntrackLayout): void {
  const value = new Uint8Array(conntrackLayoutSize);
  writeConntrackLayout(new DataView(value.buffer), 0, layout);
  host.shim.mapUpdate(object.mapFd("conntrack_layout"), new Uint32Array(1), value);
}

// --- internal ---

function layoutOf(fields: readonly FieldReport[]): ConntrackLayout | string {
  const byName = new Map(fields.map((field) => [field.field, field]));
  const [orig, reply, net] = ["ct_tuple_orig", "ct_tuple_reply", "ct_net"].map((name) =>
    byName.get(name),
  );
  for (const field of [orig, reply, net]) {
    if (field === undefined) return "the offsets of struct nf_conn are not known";
    // Without network namespaces there is no ct_net.
    if (field.offset === null && !(field === net && orig!.offset !== null && isNowhere(field)))
      return field.how;
  }
  return {
    ...unknownLayout(false),
    tuple_orig: orig!.offset!,
    net: net!.offset ?? 0,
    zone: byName.get("ct_zone")?.offset ?? 0,
    zone_unknown: 0,
  };
}

const isNowhere = ({ status }: FieldReport): boolean => status === "not-applicable";
