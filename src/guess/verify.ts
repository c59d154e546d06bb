/** Compares a guess with the kernel's own type information, where there is one. The tracer itself never needs it. */
import { readFileSync } from "node:fs";
import {
  findMember,
  findType,
  kindOf,
  nameOf,
  parametersOf,
  parseBtf,
  referredBy,
  sizeOf,
  skipNames,
  type Btf,
} from "../kernel/btf.ts";
import { conntrackFields } from "./solve_conntrack.ts";
import type { GuessReport, VerifyReport, VerifyRow } from "./report.ts";

const BTF = "/sys/kernel/btf";

/** null: this kernel carries no BTF. */
export function verifyOffsets(report: GuessReport): VerifyReport | null {
  const bytes = read("vmlinux");
  if (bytes === null) return null;
  const vmlinux = parseBtf(bytes);
  const module = read("nf_conntrack");
  return compareWithBtf(report, vmlinux, module === null ? vmlinux : parseBtf(module, vmlinux));
}

/**
 * A field that is known not to apply here, or not to be reachable, is equal to anything; a failed one is not. `conntrack` has
 * struct nf_conn: it is `vmlinux`, or with the types of the module.
 */
function compareWithBtf(report: GuessReport, vmlinux: Btf, conntrack: Btf): VerifyReport {
  const ofConntrack = new Set<string>(conntrackFields);
  const rows = report.fields.map(({ field, status, offset }): VerifyRow => {
    const truth = offsetInBtf(ofConntrack.has(field) ? conntrack : vmlinux, field);
    const excused = status === "not-applicable" || status === "kprobe-only";
    return {
      field,
      guessed: offset,
      btf: truth,
      equal: excused || (offset !== null && offset === truth),
    };
  });
  return { rows };
}

// --- internal ---

function read(name: string): Uint8Array | null {
  try {
    return readFileSync(`${BTF}/${name}`);
  } catch {
    return null;
  }
}

type Place = readonly [struct: string, path: string];

const HASH = "nf_conntrack_tuple_hash";

/** Of the first of its two nf_conntrack_tuple_hash. */
const TUPLE_IN_NF_CONN: readonly Place[] = [
  ["nf_conn", "tuplehash"],
  [HASH, "tuple"],
];

/** Where each field stands. To add one: the struct and the member's path; several members are summed. */
const places: Record<string, readonly Place[]> = {
  skc_daddr: [["sock_common", "skc_daddr"]],
  skc_rcv_saddr: [["sock_common", "skc_rcv_saddr"]],
  skc_dport: [["sock_common", "skc_dport"]],
  skc_num: [["sock_common", "skc_num"]],
  skc_family: [["sock_common", "skc_family"]],
  skc_state: [["sock_common", "skc_state"]],
  skc_net: [["sock_common", "skc_net"]],
  skc_v6_daddr: [["sock_common", "skc_v6_daddr"]],
  skc_v6_rcv_saddr: [["sock_common", "skc_v6_rcv_saddr"]],
  net_ns_inum: [["net", "ns.inum"]],
  inet_sport: [["inet_sock", "inet_sport"]],
  sk_flags: [["sock", "__sk_common.skc_flags"]],
  sk_err: [["sock", "sk_err"]],
  sk_protocol: [["sock", "sk_protocol"]],
  sk_type: [["sock", "sk_type"]],
  sk_socket: [["sock", "sk_socket"]],
  sk_userlocks: [["sock", "sk_userlocks"]],
  srtt_us: [["tcp_sock", "srtt_us"]],
  mdev_us: [["tcp_sock", "mdev_us"]],
  total_retrans: [["tcp_sock", "total_retrans"]],
  bytes_acked: [["tcp_sock", "bytes_acked"]],
  bytes_received: [["tcp_sock", "bytes_received"]],
  bytes_sent: [["tcp_sock", "bytes_sent"]],
  segs_in: [["tcp_sock", "segs_in"]],
  segs_out: [["tcp_sock", "segs_out"]],
  snd_una: [["tcp_sock", "snd_una"]],
  write_seq: [["tcp_sock", "write_seq"]],
  rcv_nxt: [["tcp_sock", "rcv_nxt"]],
  copied_seq: [["tcp_sock", "copied_seq"]],
  rcvq_space_time: [["tcp_sock", "rcvq_space.time"]],
  task_group_leader: [["task_struct", "group_leader"]],
  task_comm: [["task_struct", "comm"]],
  socket_sk: [["socket", "sk"]],
  socket_ino: [
    ["socket_alloc", "vfs_inode"],
    ["inode", "i_ino"],
  ],
  fl4_saddr: [["flowi4", "saddr"]],
  fl4_daddr: [["flowi4", "daddr"]],
  fl4_sport: [["flowi4", "uli.ports.sport"]],
  fl4_dport: [["flowi4", "uli.ports.dport"]],
  skb_sk: [["sk_buff", "sk"]],
  skb_head: [["sk_buff", "head"]],
  skb_transport_header: [["sk_buff", "transport_header"]],
  skb_network_header: [["sk_buff", "network_header"]],
  skb_end: [["sk_buff", "end"]],
  skb_users: [["sk_buff", "users"]],
  gso_segs: [["skb_shared_info", "gso_segs"]],
  ct_tuple_orig: TUPLE_IN_NF_CONN,
  ct_net: [["nf_conn", "ct_net"]],
  ct_zone: [["nf_conn", "zone.id"]],
};

const flow6: Record<string, string> = {
  fl6_saddr: "saddr",
  fl6_daddr: "daddr",
  fl6_sport: "uli.ports.sport",
  fl6_dport: "uli.ports.dport",
};

function offsetInBtf(btf: Btf, field: string): number | null {
  if (field === "fl6_argument") return flow6Argument(btf)?.number ?? null;
  if (field === "sk_userlocks_shift") {
    const member = findMember(btf, "sock", "sk_userlocks");
    return member === null ? null : member.bitOffset % 8;
  }
  if (field === "ct_tuple_reply") {
    const [first, hash] = [sum(btf, TUPLE_IN_NF_CONN), findType(btf, "struct", HASH)];
    return first === null || hash === null ? null : first + sizeOf(btf, hash);
  }
  const path = flow6[field];
  if (path !== undefined) {
    // 5.18: from an argument of its own into the cork.
    return flow6Argument(btf)?.struct === "inet_cork_full"
      ? sum(btf, [["inet_cork_full", `fl.u.ip6.${path}`]])
      : sum(btf, [["flowi6", path]]);
  }
  return sum(btf, places[field] ?? []);
}

function sum(btf: Btf, members: readonly Place[]): number | null {
  let total = 0;
  for (const [struct, path] of members) {
    const member = findMember(btf, struct, path);
    if (member === null) return null;
    total += Math.floor(member.bitOffset / 8);
  }
  return members.length === 0 ? null : total;
}

/** The parameter of ip6_make_skb that is, or holds, the struct flowi6; 1 is the first. */
function flow6Argument(btf: Btf): { number: number; struct: string } | null {
  const func = findType(btf, "func", "ip6_make_skb");
  if (func === null) return null;
  const structs = parametersOf(btf, func).map((type) => {
    const pointer = skipNames(btf, type);
    return kindOf(btf, pointer) === "ptr"
      ? nameOf(btf, skipNames(btf, referredBy(btf, pointer)))
      : "";
  });
  for (const struct of ["flowi6", "inet_cork_full"]) {
    const at = structs.indexOf(struct);
    if (at >= 0) return { number: at + 1, struct };
  }
  return null;
}
