/** Where struct nf_conn has its two tuples, its namespace and its zone: from copies of entries whose values are known. Pure. */
import { AF_INET, AF_INET6 } from "../kernel/constants.ts";
import { NF_TUPLE, NF_TUPLE_HASH } from "../kernel/nf_tuple.ts";
import { judge, offsetsWhere, viewOf, without } from "./search.ts";
import type { FieldReport } from "./report.ts";

/** Addresses as bytes, 4 or 16; ports in host order. */
export interface NfTuple {
  src: Uint8Array;
  sport: number;
  dst: Uint8Array;
  dport: number;
  protocol: number;
}

export interface ConntrackSample {
  /** The beginning of a struct nf_conn. */
  bytes: Uint8Array;
  orig: NfTuple;
  reply: NfTuple;
  /** Address of its struct net; null: this kernel has none, or it is not known. */
  net: bigint | null;
  /** null: this kernel makes no entries with a zone. */
  zone: number | null;
}

export const conntrackFields = ["ct_tuple_orig", "ct_tuple_reply", "ct_net", "ct_zone"] as const;

/** Without a copy: why. */
export const noConntrack = (status: FieldReport["status"], how: string): FieldReport[] =>
  conntrackFields.map((field) => without(field, "nf_conn", status, how));

/** One report for each of `conntrackFields`. */
export function solveConntrack(samples: readonly ConntrackSample[]): FieldReport[] {
  const how = `in ${samples.length} entries`;
  const search = (
    field: string,
    step: number,
    holds: (sample: ConntrackSample, at: number) => boolean,
  ) =>
    judge(
      field,
      "nf_conn",
      offsetsWhere(samples, ({ bytes }) => bytes, { step }, holds),
      undefined,
      how,
    );
  const tuple = (field: string, which: "orig" | "reply") =>
    search(field, TUPLE_STEP, (sample, at) =>
      startsWith(sample.bytes, at, tupleBytes(sample[which], which)),
    );
  const reports = [tuple("ct_tuple_orig", "orig"), tuple("ct_tuple_reply", "reply")];
  const [orig, reply] = reports;
  if (orig!.offset !== null && reply!.offset !== orig!.offset + NF_TUPLE_HASH)
    reports[1] = without("ct_tuple_reply", "nf_conn", "failed", "it is not in the next tuple hash");
  reports.push(
    samples.some(({ net }) => net === null)
      ? without("ct_net", "nf_conn", "not-applicable", "no network namespaces")
      : search("ct_net", 8, ({ bytes, net }, at) => viewOf(bytes).getBigUint64(at, true) === net),
    samples.some(({ zone }) => zone === null)
      ? without("ct_zone", "nf_conn", "not-applicable", "no zones")
      : search("ct_zone", 2, ({ bytes, zone }, at) => viewOf(bytes).getUint16(at, true) === zone),
  );
  return reports;
}

/** A struct nf_conntrack_tuple. */
export function tupleBytes(of: NfTuple, which: "orig" | "reply"): Uint8Array {
  const bytes = new Uint8Array(NF_TUPLE.bytes);
  const view = viewOf(bytes);
  bytes.set(of.src, NF_TUPLE.src);
  view.setUint16(NF_TUPLE.sport, of.sport);
  view.setUint16(NF_TUPLE.l3num, of.src.length === 4 ? AF_INET : AF_INET6, true);
  bytes.set(of.dst, NF_TUPLE.dst);
  view.setUint16(NF_TUPLE.dport, of.dport);
  view.setUint8(NF_TUPLE.protonum, of.protocol);
  view.setUint8(NF_TUPLE.dir, which === "orig" ? 0 : 1);
  return bytes;
}

// --- internal ---

const TUPLE_STEP = 4;

const startsWith = (bytes: Uint8Array, at: number, what: Uint8Array): boolean =>
  at + what.length <= bytes.length && what.every((byte, n) => bytes[at + n] === byte);
