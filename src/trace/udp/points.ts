/** Where UDP is seen. */
import type { KprobePoint, TracepointPoint } from "../part.ts";

const OF_UDP = { missesAreLost: true, ofOwner: true } as const;

/** `lengths`: of kernels that tell the function how much a receive returns. */
interface UdpPoint extends KprobePoint {
  readonly lengths?: boolean;
}

/** Alternatives: the first function that this kernel has is probed. To follow a kernel that renames one, add it. */
const kprobes: readonly (readonly UdpPoint[])[] = [
  [{ program: "on_ip_send_skb", kprobe: "ip_send_skb", fentry: true, ...OF_UDP }],
  [
    // Since 4.10, since 4.7, of RHEL 7, and before.
    {
      program: "on_skb_consume_udp",
      kprobe: "skb_consume_udp",
      lengths: true,
      fentry: true,
      ...OF_UDP,
    },
    {
      program: "on_skb_free_datagram_length",
      kprobe: "__skb_free_datagram_locked",
      lengths: true,
      ...OF_UDP,
    },
    {
      program: "on_skb_free_datagram_locked",
      kprobe: "skb_consume_udp",
      lengths: false,
      ...OF_UDP,
    },
    {
      program: "on_skb_free_datagram_locked",
      kprobe: "skb_free_datagram_locked",
      lengths: false,
      ...OF_UDP,
    },
    // Of a distribution that has brought the change of 4.7 back to an older release.
    {
      program: "on_skb_free_datagram_locked",
      kprobe: "__skb_free_datagram_locked",
      lengths: false,
      ...OF_UDP,
    },
  ],
  [{ program: "on_udp_destroy_sock", kprobe: "udp_destroy_sock", ...OF_UDP }],
];
/** Besides, where no function is given how much a receive returns. */
const receiving = (kprobe: string): UdpPoint => ({
  program: "on_udp_receive",
  kprobe,
  lengths: false,
  missesAreLost: true,
});
const kprobesOfReceives: readonly (readonly UdpPoint[])[] = [[receiving("udp_recvmsg")]];
const kprobesOfIpv6: readonly (readonly UdpPoint[])[] = [
  [{ program: "on_ip6_send_skb", kprobe: "ip6_send_skb", fentry: true, ...OF_UDP }],
  [{ program: "on_udp_destroy_sock", kprobe: "udpv6_destroy_sock", ...OF_UDP }],
];

const kprobesOfIpv6Receives: readonly (readonly UdpPoint[])[] = [[receiving("udpv6_recvmsg")]];

export const udpSymbols: readonly string[] = [
  ...kprobes,
  ...kprobesOfReceives,
  ...kprobesOfIpv6,
  ...kprobesOfIpv6Receives,
]
  .flat()
  .map(({ kprobe }) => kprobe);

/**
 * The points, or the function that this kernel lacks. `has` finds a function; `ipv6`: there are such sockets;
 * `lengths`: the kernel has the feature datagram_lengths.
 */
export function udpKprobes(
  has: (symbol: string) => boolean,
  ipv6: boolean,
  lengths: boolean,
): readonly KprobePoint[] | { missing: string } {
  const points: KprobePoint[] = [];
  const needed = [
    // First: a receive that begins now must find them.
    ...(lengths ? [] : kprobesOfReceives),
    ...(lengths || !ipv6 ? [] : kprobesOfIpv6Receives),
    ...kprobes,
    ...(ipv6 ? kprobesOfIpv6 : []),
  ];
  for (const alternatives of needed) {
    const point = alternatives.find(
      (point) => (point.lengths ?? lengths) === lengths && has(point.kprobe),
    );
    if (!point) return { missing: alternatives[0]!.kprobe };
    points.push(point);
  }
  return points;
}

/** 6.3 and later. They run in system calls alone, so that only preemption keeps them from an event. */
export const udpTracepoints = (preempts: boolean): readonly TracepointPoint[] => [
  {
    program: "on_sent",
    tracepoint: "sock_send_length",
    missesAreLost: true,
    ofOwner: "on_length_of_owner",
    // As few as can be: the sends and receives of TCP run them too.
    ...(preempts ? { cover: { pending: ["on_length_pending"], backups: ["on_sent_backup"] } } : {}),
  },
  {
    program: "on_received",
    tracepoint: "sock_recv_length",
    missesAreLost: true,
    ofOwner: "on_length_of_owner",
    ...(preempts
      ? { cover: { pending: ["on_length_pending"], backups: ["on_received_backup"] } }
      : {}),
  },
];
