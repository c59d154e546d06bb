/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Handlers of UDP in the kprobe mode: a datagram is what its own headers say. All run inside the system call. */
#ifndef UDP_KPROBES_H
#define UDP_KPROBES_H

#include "udp/flow.h"

struct udp_header {
	u16 source; /* network order, as all here */
	u16 dest;
	u16 len; /* with these 8 bytes */
	u16 check;
};

/* The end of an IPv4 header without options, and what follows it. */
struct ipv4_udp {
	u32 saddr;
	u32 daddr;
	struct udp_header udp;
};

struct ipv6_udp {
	u32 version_and_flow;
	u32 length_and_next;
	struct in6 saddr;
	struct in6 daddr;
	struct udp_header udp;
};

#define IPV4_ADDRESSES 12

/* Where the headers and skb_shared_info are. */
struct skb_headers {
	u64 head;
	u32 end;
	u16 transport_header;
	u16 network_header;
};

/*
 * network_header follows transport_header since 3.11. mac_header, tail, end and head come next, so that one read gets
 * all; how far they lie apart is a matter of alignment. Another layout (RHEL 8 has reserved bytes in between, and
 * CONFIG_KCOV a pointer) is read field by field.
 */
inline_always void read_skb(u64 skb, struct skb_headers *at)
{
	u64 distance = constant(OFFSET_SKB_HEAD) - constant(OFFSET_SKB_TRANSPORT_HEADER);
	u64 words[4] = {};
	u32 headers = 0;

	read_kernel(words, skb + constant(OFFSET_SKB_HEAD) - 24);
	at->head = words[3];
	if (constant(OFFSET_SKB_HEAD) - constant(OFFSET_SKB_END) == 4)
		at->end = words[2] >> 32;
	else if (constant(OFFSET_SKB_HEAD) - constant(OFFSET_SKB_END) == 8)
		at->end = words[2];
	else
		read_kernel(at->end, skb + constant(OFFSET_SKB_END));
	if (distance == 14)
		headers = words[1] >> 16;
	else if (distance == 16)
		headers = words[1];
	else if (distance == 18)
		headers = words[0] >> 48 | words[1] << 16;
	else if (distance == 20)
		headers = words[0] >> 32;
	else
		read_kernel(headers, skb + constant(OFFSET_SKB_TRANSPORT_HEADER));
	at->transport_header = headers;
	at->network_header = headers >> 16;
}

/* Fills in the ends as the local side sees them. Returns the UDP header's length field, 0 if it is none. */
inline_always u64 read_headers(const struct skb_headers *at, struct datagram *d, int received)
{
	struct ipv6_udp ip = {};
	struct ipv4_udp ip4 = {};
	struct in6 from = {}, to = {};
	u64 network = at->head + at->network_header;
	u32 length = (u32)at->transport_header - at->network_header;
	struct udp_header *udp = &ip.udp;

	if (length == IPV4_HEADER) {
		read_kernel(ip4, network + IPV4_ADDRESSES);
		ip.udp = ip4.udp;
		from.low = ip4.saddr;
		to.low = ip4.daddr;
	} else {
		read_kernel(ip, network);
		if (length != IPV6_HEADER)
			read_kernel(ip.udp, at->head + at->transport_header);
		if ((ip.version_and_flow & 0xf0) == 0x40) { /* with options */
			from.low = ip.saddr.high >> 32;
			to.low = (u32)ip.saddr.low;
		} else {
			from = ip.saddr;
			to = ip.daddr;
			d->ends.metadata = METADATA_IPV6;
		}
	}
	if (received) {
		d->ends.saddr_h = to.high;
		d->ends.saddr_l = to.low;
		d->ends.daddr_h = from.high;
		d->ends.daddr_l = from.low;
		d->ends.sport = from_be16(udp->dest);
		d->ends.dport = from_be16(udp->source);
	} else {
		d->ends.saddr_h = from.high;
		d->ends.saddr_l = from.low;
		d->ends.daddr_h = to.high;
		d->ends.daddr_l = to.low;
		d->ends.sport = from_be16(udp->source);
		d->ends.dport = from_be16(udp->dest);
	}
	return from_be16(udp->len);
}

/*
 * gso_size and, behind it, gso_segs of struct skb_shared_info, which lies at head + end; both 0 where the sk_buff is one
 * datagram. Before 5.4 a send over IPv6 does not count its segments, before 4.20 none does.
 */
inline_always u64 packets_of(const struct skb_headers *at, u64 bytes)
{
	u32 gso = 0;
	u64 size;

	if (constant(OFFSET_GSO_SEGS))
		read_kernel(gso, at->head + at->end + constant(OFFSET_GSO_SEGS) - 2);
	if (gso >> 16)
		return gso >> 16;
	size = (u16)gso;
	return size ? (bytes + size - 1) / size : 1;
}

/*
 * The payload lies behind the UDP header: in the buffer of the sk_buff, which ends where `tail` says, right before `end`; else
 * in pages. event: of its flow; it is used up. The headers are looked for anew: kept meanwhile they would take room of the stack.
 */
inline_always void look_at_skb(void *ctx, u64 skb, struct event *event, int received)
{
	struct skb_headers at = {};
	struct udp_header udp = {};
	u32 zero = 0, tail = 0, begin;
	const struct payload_layout *layout = bpf_map_lookup_elem(&payload_layout, &zero);
	struct skb_buffer buffer = {};
	struct piece piece = {};

	read_skb(skb, &at);
	buffer.head = at.head;
	buffer.end = at.end;
	read_kernel(udp, at.head + at.transport_header);
	begin = at.transport_header + UDP_HEADER;
	read_kernel(tail, skb + constant(OFFSET_SKB_END) - sizeof(tail));
	if (tail > begin) {
		piece.address = at.head + begin;
		piece.bytes = tail - begin;
	} else if (layout) {
		find_in_pages(&piece, &buffer, layout);
	}
	tell_datagram(ctx, event, &piece, (u64)from_be16(udp.len) - UDP_HEADER, received);
}

/* The IP layer takes a datagram; what becomes of it further down does not count. */
inline_always void udp_sending(void *ctx, u64 skb, struct flow *fresh)
{
	struct skb_headers at = {};
	struct datagram d = {};

	d.sk = skb_sk(skb);
	read_skb(skb, &at);
	d.bytes = read_headers(&at, &d, 0) - sizeof(struct udp_header);
	if (!ends_wanted(&d.ends, d.ends.sport))
		return;
	d.packets = packets_of(&at, d.bytes);
	if (count(ctx, udp_sock(d.sk), &d, 0, fresh) == COUNTED_TO_LOOK)
		look_at_skb(ctx, skb, &fresh->event, 0);
}

inline_always int skb_is_shared(u64 skb)
{
	u32 users = 0;

	read_kernel(users, skb + constant(OFFSET_SKB_USERS));
	return users > 1;
}

/* next is the first member of every struct sk_buff, as it is of struct sk_buff_head; NULL while it is in no queue. */
inline_always int skb_is_queued(u64 skb)
{
	u64 next = 0;

	read_kernel(next, skb);
	return next != 0;
}

/*
 * recv(2) is done with a datagram. length: what it returns, from 4.14 on negative when it peeked (of an empty datagram: 0
 * as well). A datagram that was peeked at stays in the queue, which holds it too.
 */
inline_always int udp_peeked(u64 skb, s32 length)
{
	return length < 0 || (skb_is_shared(skb) && skb_is_queued(skb));
}

inline_always void udp_received(void *ctx, u64 sk, u64 skb, s32 length, struct flow *fresh)
{
	struct skb_headers at = {};
	struct datagram d = {};

	d.sk = sk;
	read_skb(skb, &at);
	read_headers(&at, &d, 1);
	if (!ends_wanted(&d.ends, d.ends.sport))
		return;
	d.bytes = (u32)length;
	d.packets = packets_of(&at, d.bytes);
	/* The stack has no room to keep skb, which is this argument of both functions. */
	if (count(ctx, udp_sock(d.sk), &d, 1, fresh) == COUNTED_TO_LOOK)
		look_at_skb(ctx, argument(ctx, 2), &fresh->event, 1);
}

/*
 * Before 4.10 the reference count alone tells whether it was peeked at. The last to let go of a datagram counts it, should
 * another peek at it while it is received.
 */
inline_always void udp_freed_length(void *ctx, u64 sk, u64 skb, s32 length, struct flow *fresh)
{
	if (!skb_is_shared(skb))
		udp_received(ctx, sk, skb, length < 0 ? -length : length, fresh);
}

/* The receives of a thread follow each other, and the end of one is in the same thread. */
inline_always struct receive *receive_of(u64 thread)
{
	u32 place = thread & (RECEIVE_PLACES - 1);

	return bpf_map_lookup_elem(&udp_receives, &place);
}

/* Another thread of the same place may write or read at the same time, on another CPU. */
#define in_this_order() asm volatile("" ::: "memory")

/* A receive begins: before 4.7, and on RHEL 7. Its arguments are the function's behind the struct msghdr. */
inline_always void udp_receiving(void *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct receive *receive = receive_of(thread);

	if (!receive)
		return;
	receive->thread = 0;
	in_this_order();
	receive->sk = reg(ctx, REG_ARG1);
	receive->room = reg(ctx, REG_ARG5) & MSG_TRUNC ? (u64)-1 : reg(ctx, REG_ARG3);
	receive->sk_behind_kiocb = reg(ctx, REG_ARG2);
	receive->room_behind_kiocb = reg(ctx, REG_ARG6) & MSG_TRUNC ? (u64)-1 : reg(ctx, REG_ARG4);
	in_this_order();
	receive->thread = thread;
}

/* How many bytes this thread's receive takes at most. Returns 0 when nobody knows: it began before the trace did. */
inline_always int take_room(u64 sk, u64 *room)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct receive *receive = receive_of(thread);
	struct receive seen = {};

	if (!receive || receive->thread != thread)
		return 0;
	in_this_order();
	/* All of it: with an address that is chosen first 4.4 forgets what it points to. */
	seen = *receive;
	in_this_order();
	if (receive->thread != thread)
		return 0;
	receive->thread = 0;
	*room = seen.sk == sk ? seen.room : seen.room_behind_kiocb;
	return seen.sk == sk || seen.sk_behind_kiocb == sk;
}

/* Before 4.7, and on RHEL 7, the length is not told: it is the datagram's own, or as much as the program asked for. */
inline_always void udp_freed(void *ctx, u64 sk, u64 skb, struct flow *fresh)
{
	struct skb_headers at = {};
	struct datagram d = {};
	u64 room = 0;

	if (skb_is_shared(skb))
		return;
	d.sk = sk;
	read_skb(skb, &at);
	d.bytes = read_headers(&at, &d, 1) - sizeof(struct udp_header);
	if (!ends_wanted(&d.ends, d.ends.sport))
		return;
	d.packets = 1;
	if (!take_room(sk, &room))
		d.unknown = FACT_RECEIVED_UNKNOWN;
	else if (room < d.bytes)
		d.bytes = room;
	count(ctx, udp_sock(d.sk), &d, 1, fresh);
}

/* The last close(2) of a socket: no system call can be inside of it. */
inline_always void udp_destroying(void *ctx, u64 sk, struct flow *last)
{
	struct flow *first = bpf_map_lookup_elem(&udp_socks, &sk);

	if (first)
		end_socket(ctx, sk, first, last);
}

#endif
