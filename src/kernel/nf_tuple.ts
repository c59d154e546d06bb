/**
 * Where struct nf_conntrack_tuple has its members, the same since Linux 2.6.20. Addresses have 16 bytes, of which IPv4 uses
 * four; all is in network order but for l3num.
 */
export const NF_TUPLE = {
  src: 0,
  sport: 16,
  l3num: 18,
  dst: 20,
  dport: 36,
  protonum: 38,
  /** 0: of the first packet; 1: of its answer. */
  dir: 39,
  bytes: 40,
} as const;

/** From an entry's first tuple to its second one: each stands behind the two pointers of its list. */
export const NF_TUPLE_HASH = NF_TUPLE.bytes + 16;
