/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a struct sock to a connection: its tuple, its beginning, its end. */
#ifndef CONN_H
#define CONN_H

#include "batch.h"
#include "program.h"
#include "totals.h"

#define V4_MAPPED                                                                                  \
	0xffff0000ULL /* the third and fourth 32-bit word of ::ffff:a.b.c.d, little endian */

inline_always u16 from_be16(u16 value)
{
	return value >> 8 | value << 8;
}

/* All 16 bits where there are 16: the low byte of IPPROTO_MPTCP (262) is IPPROTO_TCP. */
inline_always int is_tcp(u64 sk)
{
	u16 family = skc_family(sk);

	return (family == AF_INET || family == AF_INET6) &&
	       (sk_protocol(sk) & constant(OFFSET_PROTOCOL_MASK)) == IPPROTO_TCP;
}

/* Ports, addresses and metadata. Returns 0 when the sock is not a connection (a port or both addresses are missing). */
inline_always int take_ends(u64 sk, const struct sock_start *start, struct conn_tuple *tup)
{
	tup->sport = start->skc_num;
	if (!tup->sport)
		tup->sport = from_be16(inet_sport(sk));
	tup->dport = from_be16(start->skc_dport);
	tup->metadata = METADATA_TCP;
	if (start->skc_family == AF_INET6 && !constant(OFFSET_HAS_IPV6))
		return 0;
	if (start->skc_family == AF_INET6) {
		tup->saddr_h = start->skc_v6_rcv_saddr.high;
		tup->saddr_l = start->skc_v6_rcv_saddr.low;
		tup->daddr_h = start->skc_v6_daddr.high;
		tup->daddr_l = start->skc_v6_daddr.low;
		if (tup->daddr_h == 0 && (u32)tup->daddr_l == V4_MAPPED) {
			tup->saddr_h = 0;
			tup->saddr_l >>= 32;
			tup->daddr_l >>= 32;
		} else {
			tup->metadata |= METADATA_IPV6;
		}
	} else {
		tup->saddr_h = 0;
		tup->daddr_h = 0;
		tup->saddr_l = start->skc_rcv_saddr;
		tup->daddr_l = start->skc_daddr;
	}
	return tup->sport && tup->dport;
}

inline_always int read_ends_of(u64 sk, struct conn_tuple *tup)
{
	struct sock_start start = {};

	read_start(sk, &start);
	return take_ends(sk, &start, tup);
}

/* The same, with the namespace: all of tup but pid. */
inline_always int read_tuple(u64 sk, struct conn_tuple *tup)
{
	struct sock_start start = {};

	read_start(sk, &start);
	tup->netns = netns_of(start.skc_net);
	return take_ends(sk, &start, tup);
}

inline_always void emit(void *ctx, struct live *live, u32 kind)
{
	if (is_unwanted(live))
		return;
	live->event.kind = kind;
	send_event(ctx, &live->event);
}

inline_always void own_by_current(struct event *event)
{
	event->conn.tup.pid = bpf_get_current_pid_tgid() >> 32;
	event->uid = bpf_get_current_uid_gid();
	event->owned_at = bpf_ktime_get_ns() >> 24;
	event->program = current_program(0);
	event->cgroup_id = helper_or_0(BPF_FUNC_get_current_cgroup_id);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	note_followed(event);
}

/* A connection begins: now, in the direction given, owned by nobody yet. */
inline_always void begin(u64 sk, struct live *live, u8 direction)
{
	struct conn_stats *stats = &live->event.conn.conn_stats;

	live->event.sk = sk;
	stats->timestamp = bpf_ktime_get_ns();
	stats->duration = stats->timestamp; /* the start, until finish() turns it into a length */
	/* bpf_get_prandom_u32 is for sockets only before 4.10. No sock begins two connections in one nanosecond. */
	stats->cookie = (u32)(sk >> 6) ^ (u32)stats->timestamp;
	stats->direction = direction;
}

inline_always void mark_established(struct live *live)
{
	live->event.flags |= FACT_ESTABLISHED;
	live->event.conn.tcp_stats.state_transitions |= 1 << TCP_STATE_ESTABLISHED;
}

/* Returns 0, and counts the loss, when there is no room. */
inline_always int remember(u64 sk, struct live *live)
{
	if (bpf_map_update_elem(&conns, &sk, live, BPF_ANY) == 0)
		return 1;
	count_loss_of(live, LOSS_CONNECTION_MAP_FULL);
	return 0;
}

/*
 * Writes back what recall() gave. Returns 0 when the connection has ended meanwhile on another CPU (a close starts
 * before it waits for the sock's lock): it must not come back.
 */
inline_always int update(u64 sk, struct live *live)
{
	return bpf_map_update_elem(&conns, &sk, live, BPF_EXIST) == 0;
}

/* Returns 0 when another CPU has told the end of the connection that recall() gave. */
inline_always int forget(u64 sk)
{
	return take_out(&conns, &sk);
}

/* Copies what is known of the sock's connection to the stack. Returns 0 when nothing is. */
inline_always int recall(u64 sk, struct live *live)
{
	struct live *known = bpf_map_lookup_elem(&conns, &sk);

	if (!known)
		return 0;
	*live = *known;
	return 1;
}

/* connect(2) is about to send the SYN. live is zeroed. */
inline_always void connecting(u64 sk, struct live *live)
{
	begin(sk, live, DIRECTION_OUTGOING);
	live->base_segs_out = segs_out(sk);
	/* A sock that has sent no segment has counted nothing yet. */
	if (live->base_segs_out) {
		live->base_acked = bytes_acked(sk);
		live->base_received = bytes_received(sk);
		live->base_segs_in = segs_in(sk);
		live->base_retrans = total_retrans(sk);
	}
	own_by_current(&live->event);
	read_tuple(sk, &live->event.conn.tup);
	/* Without skc_num no port has been chosen yet: what the tuple has then is an earlier connection's. */
	if (!ends_wanted(&live->event.conn.tup, skc_num(sk)) || is_foreign(&live->event))
		return;
	judge_owner(&live->event);
	remember(sk, live);
}

/*
 * The handshake of an outgoing connection is done. One whose SYN went out before the trace is taken up here: its
 * process is not known until it closes. live is zeroed.
 */
inline_always void connected(void *ctx, u64 sk, struct live *live)
{
	int known = recall(sk, live);

	if (!known) {
		if (filters(FILTER_FOLLOWED))
			return;
		begin(sk, live, DIRECTION_OUTGOING);
		live->event.flags = FACT_UNSEEN_OPEN;
	}
	if (live->event.flags & FACT_ESTABLISHED)
		return;
	mark_established(live);
	/* closing() may have taken it for cancelled. */
	live->event.conn.tcp_stats.failure_reason = 0;
	if (bytes_acked(sk) == live->base_acked)
		live->event.flags |= FACT_NO_SYN;
	live->event.conn.conn_stats.timestamp = bpf_ktime_get_ns();
	if (!read_tuple(sk, &live->event.conn.tup)) {
		count_loss_of(live, LOSS_TUPLE_UNREADABLE);
		return;
	}
	/* Its local port is known now. */
	if (!ends_wanted(&live->event.conn.tup, live->event.conn.tup.sport)) {
		bpf_map_delete_elem(&conns, &sk);
		return;
	}
	if (known ? update(sk, live) : remember(sk, live))
		emit(ctx, live, EVENT_CONNECT);
}

/* An incoming connection is there. live is zeroed but for its owner and flags. */
inline_always void incoming(void *ctx, u64 sk, struct live *live, u32 kind)
{
	if (is_foreign(&live->event))
		return;
	judge_owner(&live->event);
	if (!read_tuple(sk, &live->event.conn.tup)) {
		count_loss_of(live, LOSS_TUPLE_UNREADABLE);
		return;
	}
	if (!ends_wanted(&live->event.conn.tup, live->event.conn.tup.sport))
		return;
	begin(sk, live, DIRECTION_INCOMING);
	mark_established(live);
	/* Told all the same where an accept says so itself; a handshake alone would wait for its accept for ever. */
	if (remember(sk, live) || kind == EVENT_ACCEPT)
		emit(ctx, live, kind);
}

#define STATES_ONCE_ESTABLISHED                                                                    \
	(1 << TCP_STATE_ESTABLISHED | 1 << TCP_STATE_CLOSE_WAIT | STATES_AFTER_FIN_SENT)

/* CLOSE may come after anything, but rcv_nxt stays 0 until a SYN of the peer was taken. */
inline_always int was_established(u64 sk, u32 state)
{
	if ((1 << state) & STATES_ONCE_ESTABLISHED)
		return 1;
	return state == TCP_STATE_CLOSE && rcv_nxt(sk) != 0;
}

/*
 * A connection that was open before the trace: whether it sent the SYN or received it is not known. One that was not
 * remembered because of its ends is still not asked for. live is zeroed.
 */
inline_always int recall_unseen(u64 sk, struct live *live, u32 state)
{
	if (filters(FILTER_FOLLOWED) || !was_established(sk, state) || !is_tcp(sk) ||
	    !read_tuple(sk, &live->event.conn.tup) ||
	    !ends_wanted(&live->event.conn.tup, live->event.conn.tup.sport))
		return 0;
	begin(sk, live, DIRECTION_UNKNOWN);
	live->event.flags = FACT_ESTABLISHED | FACT_UNSEEN_OPEN;
	return 1;
}

inline_always void finish(void *ctx, struct live *live, mono_ns at)
{
	struct conn_stats *stats = &live->event.conn.conn_stats;

	stats->timestamp = at;
	stats->duration = stats->timestamp - stats->duration;
	live->event.conn.tcp_stats.state_transitions |= 1 << TCP_STATE_CLOSE;
	if (!(live->event.flags & FACT_FAILED))
		live->event.conn.tcp_stats.failure_reason = 0;
	emit(ctx, live, EVENT_CLOSE);
}

#endif
