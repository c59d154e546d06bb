/**
 * struct tcp_info, which has only ever grown at its end: 4.4 stops after segs_in, 7.x goes on past total_rto_time.
 * A field that the kernel did not give is `null`. Pure.
 */

/** u64 members are bigint. rtt, rttvar, rcv_rtt and min_rtt are microseconds; last_* are milliseconds. */
export type TcpInfo = Readonly<{
  [Name in keyof typeof layout]: ((typeof layout)[Name][1] extends 8 ? bigint : number) | null;
}>;

// [offset, bytes], names without their tcpi_. To add one: the next member of the kernel's include/uapi/linux/tcp.h.
const layout = {
  state: [0, 1],
  ca_state: [1, 1],
  retransmits: [2, 1],
  probes: [3, 1],
  backoff: [4, 1],
  options: [5, 1],
  rto: [8, 4],
  ato: [12, 4],
  snd_mss: [16, 4],
  rcv_mss: [20, 4],
  unacked: [24, 4],
  sacked: [28, 4],
  lost: [32, 4],
  retrans: [36, 4],
  fackets: [40, 4],
  last_data_sent: [44, 4],
  last_ack_sent: [48, 4],
  last_data_recv: [52, 4],
  last_ack_recv: [56, 4],
  pmtu: [60, 4],
  rcv_ssthresh: [64, 4],
  rtt: [68, 4],
  rttvar: [72, 4],
  snd_ssthresh: [76, 4],
  snd_cwnd: [80, 4],
  advmss: [84, 4],
  reordering: [88, 4],
  rcv_rtt: [92, 4],
  rcv_space: [96, 4],
  total_retrans: [100, 4],
  pacing_rate: [104, 8],
  max_pacing_rate: [112, 8],
  bytes_acked: [120, 8],
  bytes_received: [128, 8],
  segs_out: [136, 4],
  segs_in: [140, 4],
  notsent_bytes: [144, 4],
  min_rtt: [148, 4],
  data_segs_in: [152, 4],
  data_segs_out: [156, 4],
  delivery_rate: [160, 8],
  busy_time: [168, 8],
  rwnd_limited: [176, 8],
  sndbuf_limited: [184, 8],
  delivered: [192, 4],
  delivered_ce: [196, 4],
  bytes_sent: [200, 8],
  bytes_retrans: [208, 8],
  dsack_dups: [216, 4],
  reord_seen: [220, 4],
  rcv_ooopack: [224, 4],
  snd_wnd: [228, 4],
  rcv_wnd: [232, 4],
  rehash: [236, 4],
} as const satisfies Record<string, readonly [offset: number, bytes: 1 | 4 | 8]>;

/** Room for every kernel's struct. */
export const TCP_INFO_MAX = 512;

/** `bytes` is what getsockopt(TCP_INFO) filled: exactly as long as it said. */
export function readTcpInfo(bytes: Uint8Array): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = ([offset, size]: readonly [number, 1 | 4 | 8]) => {
    if (offset + size > bytes.length) return null;
    if (size === 8) return view.getBigUint64(offset, true);
    return size === 4 ? view.getUint32(offset, true) : view.getUint8(offset);
  };
  return Object.fromEntries(
    Object.entries(layout).map(([name, place]) => [name, value(place)]),
  ) as TcpInfo;
}
