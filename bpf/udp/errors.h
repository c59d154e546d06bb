/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UDP: a datagram that was sent has drawn an error, an ICMP message that the kernel has found the socket of. Runs when the
 * kernel tells the socket, mostly in an interrupt. Of a socket that is not connected the sock itself does not say whom the
 * datagram was for: the message does.
 */
#ifndef UDP_ERRORS_H
#define UDP_ERRORS_H

#include "udp/kprobes.h"

/* Of a socket that was destroyed by force, which is no error of a datagram. */
#define ECONNABORTED 103

/* type, code, checksum and 32 bits more: the datagram's own headers follow, for ICMPv6 as well. */
#define ICMP_HEADER 8

/* Once for each reason, but for reasons that take turns: the tool leaves those out. copy is used up. */
inline_always void tell_failed(void *ctx, struct flow *flow, u16 reason, struct flow *copy)
{
	if (flow->event.failure_reason == reason)
		return;
	flow->event.failure_reason = reason;
	*copy = *flow;
	copy->event.kind = EVENT_UDP_FAIL;
	copy->event.flags |= FACT_FAILED;
	copy->event.timestamp = bpf_ktime_get_ns();
	send_event(ctx, &copy->event);
}

/* A datagram of this sock between these ends has failed. Without a flow there is nothing that was asked for. */
inline_always void failed_between(void *ctx, u64 sk, const struct ends *ends, u16 reason,
				  struct flow *copy)
{
	struct flow *first = bpf_map_lookup_elem(&udp_socks, &sk);
	struct flow_key key = {
		.sk = sk,
		.saddr_h = ends->saddr_h,
		.saddr_l = ends->saddr_l,
		.daddr_h = ends->daddr_h,
		.daddr_l = ends->daddr_l,
		.sport = ends->sport,
		.dport = ends->dport,
		.metadata = ends->metadata,
	};
	struct flow *flow;

	if (!first)
		return;
	if (same_ends(&first->event.ends, ends)) {
		tell_failed(ctx, first, reason, copy);
		return;
	}
	key.cookie = first->event.cookie;
	flow = bpf_map_lookup_elem(&udp_flows, &key);
	if (flow)
		tell_failed(ctx, flow, reason, copy);
}

/* The sock of any protocol is told of its error, or of something else: then it has none. Only a connected one has a peer. */
inline_always void error_reported(void *ctx, u64 sk, struct flow *copy)
{
	struct ends ends = {};
	u32 reason;

	if (!is_udp(sk))
		return;
	reason = sk_err(sk);
	if (!reason || reason == ECONNABORTED || !read_ends(sk, &ends))
		return;
	ends.metadata &= ~METADATA_TCP;
	failed_between(ctx, sk, &ends, reason, copy);
}

/*
 * The sock has asked to be told each error with its datagram (IP_RECVERR). port: where that went, in network order. The
 * message lies at skb's transport header.
 */
inline_always void error_queued(void *ctx, u64 sk, u64 skb, u16 reason, u16 port, struct flow *copy)
{
	struct skb_headers at = {};
	struct ipv6_udp ip = {};
	struct ends ends = {};

	if (!is_udp(sk))
		return;
	read_skb(skb, &at);
	read_kernel(ip, at.head + at.transport_header + ICMP_HEADER);
	ends.sport = skc_num(sk);
	ends.dport = from_be16(port);
	if ((ip.version_and_flow & 0xf0) == 0x40) {
		ends.saddr_l = ip.saddr.high >> 32;
		ends.daddr_l = (u32)ip.saddr.low;
	} else {
		ends.saddr_h = ip.saddr.high;
		ends.saddr_l = ip.saddr.low;
		ends.daddr_h = ip.daddr.high;
		ends.daddr_l = ip.daddr.low;
		ends.metadata = METADATA_IPV6;
	}
	failed_between(ctx, sk, &ends, reason, copy);
}

#endif
