/** Whether parsed JSON has the shape of a snapshot: it comes with bug reports, from anybody. Pure. */
import {
  bytes,
  bytesOf,
  list,
  nullable,
  object,
  oneOf,
  optional,
  text,
  u64,
  whole,
} from "./shape.ts";

const sockTruth = object({
  family: whole,
  state: whole,
  netns: whole,
  ino: whole,
  daddr: optional(bytesOf(4)),
  saddr: optional(bytesOf(4)),
  v6_daddr: optional(bytesOf(16)),
  v6_saddr: optional(bytesOf(16)),
  dport: optional(whole),
  sport: optional(whole),
  sk_flags: optional(whole),
  sk_err: optional(whole),
  sk_userlocks: optional(whole),
  rtt: optional(whole),
  rttvar: optional(whole),
  total_retrans: optional(whole),
  bytes_acked: optional(u64),
  bytes_received: optional(u64),
  segs_in: optional(whole),
  segs_out: optional(whole),
  write_seq: optional(whole),
  snd_una: optional(whole),
  rcv_nxt: optional(whole),
  copied_seq: optional(whole),
  established_after_us: optional(u64),
  established_before_us: optional(u64),
});

const datagram = object({
  family: whole,
  saddr: bytesOf(4, 16),
  daddr: bytesOf(4, 16),
  sport: whole,
  dport: whole,
});

const send = object({ sk: u64, arguments: list(nullable(bytes)), truth: datagram });

/** To add a member to a snapshot, add its row. */
const snapshot = object({
  format: oneOf("tracer-bpf snapshot 1"),
  kernel: object({ release: text, version: text, machine: text }),
  attach: oneOf("kprobe", "tracepoint"),
  no_ipv6: nullable(text),
  // Older ones do not have it.
  no_ipv6_address: optional(nullable(text)),
  socks: list(
    object({
      name: text,
      sk: u64,
      bytes,
      truth: sockTruth,
      behind: list(object({ offset: whole, bytes })),
    }),
  ),
  contrast: list(object({ bytes, protocol: whole, type: whole })),
  sends4: list(send),
  sends6: list(send),
  skbs: list(
    object({
      sk: u64,
      bytes,
      behind: list(nullable(bytes)),
      truth: datagram,
      payload: optional(whole),
    }),
  ),
  shared: optional(list(object({ bytes, gso_size: whole, gso_segs: whole }))),
  no_udp_segment: optional(nullable(text)),
});

export const checkSnapshot = (value: unknown): void => snapshot(value, "");
