/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UDP flows, counted one datagram at a time: a struct sock has no counters of it. Every send passes ip_send_skb or
 * ip6_send_skb once, with its headers written, also one that was corked, segmented or came from sendfile.
 */
#ifndef UDP_FLOW_H
#define UDP_FLOW_H

#include "lib/batch.h"
#include "lib/tuple.h"
#include "nat/lookup.h"
#include "process/owner.h"
#include "protocols/datagram.h"
#include "udp/maps.h"

/* One call's worth: a datagram, or the several of a UDP_SEGMENT send or a UDP_GRO receive. */
struct datagram {
	struct ends ends; /* only addresses, ports and metadata */
	u64 sk;
	u64 bytes;
	u64 packets;
	u64 unknown;	/* FACT_RECEIVED_UNKNOWN, or 0 */
	u32 socket_ino; /* tracepoint mode */
};

/* IPPROTO_UDP alone is also a raw socket's. */
inline_always int is_udp(u64 sk)
{
	u16 family;

	if ((sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK)) != IPPROTO_UDP ||
	    sk_type(sk) != SOCK_DGRAM)
		return 0;
	family = skc_family(sk);
	return family == AF_INET || family == AF_INET6;
}

inline_always int same_ends(const struct ends *a, const struct ends *b)
{
	return a->daddr_l == b->daddr_l && a->dport == b->dport && a->saddr_l == b->saddr_l &&
	       a->sport == b->sport && a->daddr_h == b->daddr_h && a->saddr_h == b->saddr_h &&
	       a->metadata == b->metadata;
}

/* As connection tracking does: assured by the first leg after both ends have been heard. */
inline_always u8 with_leg(u8 flags, int received)
{
	if ((flags & (CONN_L_INIT | CONN_R_INIT)) == (CONN_L_INIT | CONN_R_INIT))
		return flags | CONN_ASSURED;
	return flags | (received ? CONN_R_INIT : CONN_L_INIT);
}

/* Whether this datagram is to be looked at, of a flow of which not both ends were heard before. */
inline_always int take_look(struct flow *flow, int received)
{
	if (!LOOKS_AT_DATAGRAMS || !constant(CONSTANT_DATAGRAMS))
		return 0;
	if (received ? !flow->looks_received : !flow->looks_sent)
		return 0;
	if (received)
		flow->looks_received--;
	else
		flow->looks_sent--;
	return 1;
}

/* received: else sent. A constant of each program, here and below. Returns whether the datagram is to be looked at. */
inline_always int add(struct flow *flow, const struct datagram *d, int received)
{
	struct event *event = &flow->event;

	if (received) {
		__sync_fetch_and_add(&event->recv_bytes, d->bytes);
		__sync_fetch_and_add(&event->recv_packets, d->packets);
		if (d->unknown)
			event->flags |= d->unknown;
	} else {
		__sync_fetch_and_add(&event->sent_bytes, d->bytes);
		__sync_fetch_and_add(&event->sent_packets, d->packets);
	}
	event->ended_at = bpf_ktime_get_ns();
	if (event->legs & CONN_ASSURED)
		return 0;
	event->legs = with_leg(event->legs, received);
	return take_look(flow, received);
}

/* A port that the kernel chose, for bind(2) or for a first send, was not bound by a program. */
inline_always u32 bound_by_program(u64 sk)
{
	return (u64)sk_userlocks(sk) >> constant(CONSTANT_SK_USERLOCKS_SHIFT) & SOCK_BINDPORT_LOCK
		       ? FACT_BOUND
		       : 0;
}

/* A flow's first datagram: its process owns the flow. */
inline_always void begin_flow(struct flow *flow, const struct datagram *d, int received)
{
	struct event *event = &flow->event;

	__builtin_memset(flow, 0, sizeof(*flow));
	event->sk = d->sk;
	event->kind = EVENT_UDP_OPEN;
	event->flags = bound_by_program(d->sk);
	event->ends = d->ends;
	event->netns = netns_of(skc_net(d->sk));
	own_by_current(event);
	event->timestamp = bpf_ktime_get_ns();
	event->started_at = event->timestamp;
	event->ended_at = event->timestamp;
	event->direction = received ? DIRECTION_INCOMING : DIRECTION_OUTGOING;
	event->legs = with_leg(0, received);
	if (received) {
		event->recv_bytes = d->bytes;
		event->recv_packets = d->packets;
		event->flags |= d->unknown;
	} else {
		event->sent_bytes = d->bytes;
		event->sent_packets = d->packets;
	}
	flow->socket_ino = d->socket_ino;
	flow->looks_received = looks_of_flow(event);
	flow->looks_sent = flow->looks_received;
}

/* The verifier of 4.4 looks at 32,768 instructions, which the lookups in all the branches here would exceed. */
#ifdef LINUX_5_10
#define FLOWS_ASK 1
#else
#define FLOWS_ASK 0
#endif

/*
 * A datagram that comes has passed conntrack on its way; one that is sent is yet to. So a flow's NAT is known from its first
 * datagram that is received on.
 */
inline_always u32 ask_nat(const struct event *event, int received, struct hops *hops)
{
	if (!FLOWS_ASK || !received || !constant(CONSTANT_NAT))
		return 0;
	return FACT_NAT_ASKED | look_up_nat(&event->ends, event->netns, hops, 0, 0);
}

/* Tells that a flow has begun; flow is used up. */
inline_always void tell_open(void *ctx, struct flow *flow, const struct hops *hops)
{
	send_event(ctx, &flow->event);
	if (FLOWS_ASK && flow->event.flags & FACT_TRANSLATED)
		tell_translation(ctx, &flow->event, &hops->tuple, flow->event.started_at);
}

/* A datagram was received in a flow that the local end has begun: once. scratch is used up. */
inline_always void answered(void *ctx, struct flow *flow, struct flow *scratch)
{
	struct hops hops = {};
	u32 found;

	if (!FLOWS_ASK || !constant(CONSTANT_NAT) || flow->event.flags & FACT_NAT_ASKED)
		return;
	*scratch = *flow;
	found = ask_nat(&scratch->event, 1, &hops);
	flow->event.flags |= found;
	scratch->event.flags |= found;
	/* In the order of time it comes before the flow's first datagram, of which the tool may not have told yet. */
	if (found & FACT_TRANSLATED)
		tell_translation(ctx, &scratch->event, &hops.tuple, scratch->event.started_at);
}

/* The end of a count. */
enum counted {
	COUNTED_NOT, /* its flow is there already (another CPU was first), or there is no room */
	COUNTED,
	COUNTED_TO_LOOK, /* it is to be looked at, and the scratch holds the event of its flow */
};

inline_always enum counted open_first(void *ctx, struct flow *flow, const struct datagram *d,
				      int received)
{
	struct hops hops = {};
	int looks;

	begin_flow(flow, d, received);
	flow->event.flags |= FACT_FIRST_FLOW | ask_nat(&flow->event, received, &hops);
	/* No sock begins twice in one nanosecond. */
	flow->event.cookie = (u32)(d->sk >> 6) ^ (u32)flow->event.timestamp;
	looks = take_look(flow, received);
	if (bpf_map_update_elem(&udp_socks, &d->sk, flow, BPF_NOEXIST) != 0)
		return COUNTED_NOT;
	tell_open(ctx, flow, &hops);
	return looks ? COUNTED_TO_LOOK : COUNTED;
}

inline_always enum counted open_other(void *ctx, struct flow *flow, const struct datagram *d,
				      int received, struct flow_key *key)
{
	struct hops hops = {};
	int looks;

	begin_flow(flow, d, received);
	flow->event.flags |= ask_nat(&flow->event, received, &hops);
	flow->event.cookie = key->cookie;
	looks = take_look(flow, received);
	if (bpf_map_update_elem(&udp_flows, key, flow, BPF_NOEXIST) != 0)
		return COUNTED_NOT;
	tell_open(ctx, flow, &hops);
	return looks ? COUNTED_TO_LOOK : COUNTED;
}

inline_always enum counted add_known(void *ctx, struct flow *flow, const struct datagram *d,
				     int received, struct flow *fresh)
{
	int looks = add(flow, d, received);

	if (received)
		answered(ctx, flow, fresh);
	if (!looks)
		return COUNTED;
	fresh->event = flow->event;
	return COUNTED_TO_LOOK;
}

/*
 * The flow of a datagram of a socket that has spoken with somebody else first; 0: `opened` says the rest. Of processes that
 * share a socket, those that are asked for begin the flow; then the datagrams of all count.
 */
inline_always struct flow *other_flow(void *ctx, struct flow *fresh, const struct datagram *d,
				      int received, u32 cookie, enum counted *opened)
{
	struct flow_key key = {
		.sk = d->sk,
		.saddr_h = d->ends.saddr_h,
		.saddr_l = d->ends.saddr_l,
		.daddr_h = d->ends.daddr_h,
		.daddr_l = d->ends.daddr_l,
		.sport = d->ends.sport,
		.dport = d->ends.dport,
		.cookie = cookie,
		.metadata = d->ends.metadata,
	};
	struct flow *flow = bpf_map_lookup_elem(&udp_flows, &key);

	if (flow)
		return flow;
	*opened = COUNTED;
	if (!current_wanted())
		return 0;
	*opened = open_other(ctx, fresh, d, received, &key);
	if (*opened != COUNTED_NOT)
		return 0;
	flow = bpf_map_lookup_elem(&udp_flows, &key);
	if (!flow)
		count_loss(LOSS_FLOW_MAP_FULL);
	return flow;
}

/* The sock's element of udp_socks, or 0. */
inline_always struct flow *udp_sock(u64 sk)
{
	return bpf_map_lookup_elem(&udp_socks, &sk);
}

/*
 * first: what udp_sock() returns. Each step stands here once, whichever way leads to it: each copy would be
 * walked by the verifier, with all that follows.
 */
inline_always enum counted count(void *ctx, struct flow *first, const struct datagram *d,
				 int received, struct flow *fresh)
{
	struct flow *flow = first;
	enum counted opened;

	if (!first) {
		/* ICMP and raw sockets pass too. */
		if (!is_udp(d->sk) || !current_wanted())
			return COUNTED_NOT;
		opened = open_first(ctx, fresh, d, received);
		if (opened != COUNTED_NOT)
			return opened;
		first = udp_sock(d->sk);
		if (!first) {
			count_loss(LOSS_FLOW_MAP_FULL);
			return COUNTED_NOT;
		}
		flow = first;
	}
	if (!same_ends(&first->event.ends, &d->ends)) {
		flow = other_flow(ctx, fresh, d, received, first->event.cookie, &opened);
		if (!flow)
			return opened;
	}
	return add_known(ctx, flow, d, received, fresh);
}

/* The end of a socket. first is what udp_socks holds of it; last is a copy on the stack. */
inline_always void end_socket(void *ctx, u64 sk, struct flow *first, struct flow *last)
{
	*last = *first;
	/* Another CPU was first, with the next socket at this address. */
	if (!delete_entry(&udp_socks, &sk))
		return;
	last->event.kind = EVENT_UDP_CLOSE;
	last->event.timestamp = bpf_ktime_get_ns();
	send_event(ctx, &last->event);
}

#endif
