/**
 * The fields that are searched in the copies of struct sock, in the order of placing: a later field cannot lie on an
 * earlier one.
 * To guess another offset: a line in enum offset (bpf/record.h), a row here, and a stimulus in stimulate.ts only if
 * no connection shows the value yet.
 */
import { TCP_CLOSE, TCP_ESTABLISHED } from "../kernel/constants.ts";
import type { SockTruth } from "./snapshot.ts";

export type Expected = number | bigint | Uint8Array | undefined;

export interface SockField {
  struct: "sock_common" | "inet_sock" | "sock" | "tcp_sock";
  /** Bytes; a number is read little endian. The offset is a multiple of it, but 4 for an IPv6 address. */
  width: 1 | 2 | 4 | 8 | 16;
  expect: (truth: SockTruth) => Expected;
  /** The value is compared after `>> shift` and `& mask`. */
  shift?: number;
  mask?: bigint;
  /** Only offsets below are tried. */
  below?: number;
  /** Why the lowest of several offsets is the right one: the others are copies. Without it several are ambiguous. */
  lowest?: string;
  /** The thing that shows the value, where a host may refuse it: for the message when no connection showed it. */
  shownBy?: string;
  /** Where it is not: a kernel that has no such field, so that none found is no failure. */
  optional?: string;
  /** "ipv6": not applicable where sockets cannot be IPv6. */
  needs?: "ipv6";
}

/** struct sock_common is 136 bytes on 4.4 and grows by a few; it is the first member of struct sock. */
export const SOCK_COMMON = 192;

const be16 = (port: number | undefined) =>
  port === undefined ? undefined : ((port & 0xff) << 8) | (port >> 8);

const REPAIR = "TCP_REPAIR, which needs CAP_NET_ADMIN";

/** The acknowledged bytes without the SYN; known only if all bytes were acknowledged, none was sent twice, and no FIN was sent. */
function bytesSent(t: SockTruth): bigint | undefined {
  const settled = t.state === TCP_ESTABLISHED && t.total_retrans === 0 && t.snd_una === t.write_seq;
  return settled && t.snd_una !== undefined && t.bytes_acked !== undefined
    ? t.bytes_acked - 1n
    : undefined;
}

const first = "sock_common comes first; the others are copies further down";

export const sockFields = {
  skc_daddr: {
    struct: "sock_common",
    width: 4,
    expect: (t) => t.daddr,
    below: SOCK_COMMON,
    lowest: first,
  },
  skc_rcv_saddr: {
    struct: "sock_common",
    width: 4,
    expect: (t) => t.saddr,
    below: SOCK_COMMON,
    lowest: first,
  },
  skc_dport: { struct: "sock_common", width: 2, expect: (t) => be16(t.dport), below: SOCK_COMMON },
  // A sock that nobody bound to its port gives it back when it is closed.
  skc_num: {
    struct: "sock_common",
    width: 2,
    expect: (t) => (t.state === TCP_CLOSE ? undefined : t.sport),
    below: SOCK_COMMON,
  },
  skc_family: { struct: "sock_common", width: 2, expect: (t) => t.family, below: SOCK_COMMON },
  skc_state: { struct: "sock_common", width: 1, expect: (t) => t.state, below: SOCK_COMMON },
  skc_v6_daddr: {
    struct: "sock_common",
    width: 16,
    expect: (t) => t.v6_daddr,
    below: SOCK_COMMON,
    needs: "ipv6",
  },
  skc_v6_rcv_saddr: {
    struct: "sock_common",
    width: 16,
    expect: (t) => t.v6_saddr,
    below: SOCK_COMMON,
    needs: "ipv6",
  },
  inet_sport: {
    struct: "inet_sock",
    width: 2,
    expect: (t) => be16(t.sport),
    lowest: "a cached flow further down holds a copy",
  },
  sk_flags: { struct: "sock", width: 8, expect: (t) => t.sk_flags, mask: 0x1en },
  sk_err: { struct: "sock", width: 4, expect: (t) => t.sk_err },
  srtt_us: { struct: "tcp_sock", width: 4, expect: (t) => t.rtt, shift: 3 },
  mdev_us: { struct: "tcp_sock", width: 4, expect: (t) => t.rttvar, shift: 2 },
  total_retrans: { struct: "tcp_sock", width: 4, expect: (t) => t.total_retrans },
  bytes_acked: { struct: "tcp_sock", width: 8, expect: (t) => t.bytes_acked },
  bytes_received: { struct: "tcp_sock", width: 8, expect: (t) => t.bytes_received },
  segs_in: { struct: "tcp_sock", width: 4, expect: (t) => t.segs_in },
  segs_out: { struct: "tcp_sock", width: 4, expect: (t) => t.segs_out },
  write_seq: { struct: "tcp_sock", width: 4, expect: (t) => t.write_seq, shownBy: REPAIR },
  snd_una: { struct: "tcp_sock", width: 4, expect: (t) => t.snd_una, shownBy: REPAIR },
  rcv_nxt: { struct: "tcp_sock", width: 4, expect: (t) => t.rcv_nxt, shownBy: REPAIR },
  copied_seq: { struct: "tcp_sock", width: 4, expect: (t) => t.copied_seq, shownBy: REPAIR },
  // 4.19 and later.
  bytes_sent: { struct: "tcp_sock", width: 8, expect: bytesSent, optional: "Linux before 4.19" },
} as const satisfies Record<string, SockField>;
