/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a struct sock to a connection: its tuple, its beginning, its end. */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include "lib/batch.h"
#include "lib/tuple.h"
#include "nat/lookup.h"
#include "process/owner.h"
#include "protocols/gate.h"
#include "tcp/functions.h"
#include "tcp/totals.h"

/* All 16 bits where there are 16: the low byte of IPPROTO_MPTCP (262) is IPPROTO_TCP. */
inline_always int is_tcp(u64 sk)
{
	u16 family = skc_family(sk);

	return (family == AF_INET || family == AF_INET6) &&
	       (sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK)) == IPPROTO_TCP;
}

inline_always void emit(void *ctx, struct live *live, u32 kind)
{
	if (is_unwanted(live))
		return;
	live->event.kind = kind;
	/* Not before: with a fact that the verifier does not know it would walk both ways behind each look at another. */
	if (kind == EVENT_ACCEPT)
		live->event.flags |= FACT_WAIT_KNOWN * (1 - is_0(live->event.ended_at));
	send_event(ctx, &live->event);
}

/* Tells of a connection as emit() does, and how its ends are translated. live is used up. hops are zeroed. */
inline_always void emit_translated(void *ctx, struct live *live, u32 kind, struct hops *hops)
{
	emit(ctx, live, kind);
	if (live->event.flags & FACT_TRANSLATED && !is_unwanted(live))
		tell_translation(ctx, &live->event, &hops->tuple, live->event.timestamp);
}

/* A connection begins: now, in the direction given, owned by nobody yet. */
inline_always void begin(u64 sk, struct live *live, u8 direction)
{
	struct event *event = &live->event;

	event->sk = sk;
	event->timestamp = bpf_ktime_get_ns();
	event->started_at = event->timestamp;
	/* bpf_get_prandom_u32 is for sockets only before 4.10. No sock begins two connections in one nanosecond. */
	event->cookie = (u32)(sk >> 6) ^ (u32)event->timestamp;
	event->direction = direction;
}

inline_always void mark_established(struct live *live)
{
	live->event.flags |= FACT_ESTABLISHED;
	live->event.state_transitions |= 1 << TCP_STATE_ESTABLISHED;
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
	live->event.flags |= opened_for_other(sk, &live->event.owner);
	read_tuple(sk, &live->event);
	/* Without skc_num no port has been chosen yet: what the tuple has then is an earlier connection's. */
	if (!ends_wanted(&live->event.ends, skc_num(sk)) || is_foreign(&live->event))
		return;
	judge_owner(&live->event);
	insert_conn(sk, live);
}

/*
 * The handshake of an outgoing connection is done. One whose SYN went out before the trace is taken up here: its
 * process is not known until it closes.
 */
inline_always void connected(void *ctx, u64 sk, struct live *live)
{
	int known = lookup_conn(sk, live);
	struct hops hops = {};

	if (!known) {
		if (filters(FILTER_FOLLOWED))
			return;
		__builtin_memset(live, 0, sizeof(*live));
		begin(sk, live, DIRECTION_OUTGOING);
		live->event.flags = FACT_UNSEEN_OPEN;
	}
	if (live->event.flags & FACT_ESTABLISHED)
		return;
	mark_established(live);
	note_sequences(sk, live);
	/* closing() may have taken it for cancelled. */
	live->event.failure_reason = 0;
	if (bytes_acked(sk) == live->base_acked)
		live->event.flags |= FACT_NO_SYN;
	live->event.timestamp = bpf_ktime_get_ns();
	if (!read_tuple(sk, &live->event)) {
		count_loss_of(live, LOSS_TUPLE_UNREADABLE);
		return;
	}
	/* Its local port is known now. */
	if (!ends_wanted(&live->event.ends, live->event.ends.sport)) {
		bpf_map_delete_elem(&conns, &sk);
		return;
	}
	live->event.flags |= look_up_nat(&live->event.ends, live->event.netns, &hops,
					 known ? live->event.started_at : 0, 0);
	if (known ? update_conn(sk, live) : insert_conn(sk, live)) {
		open_gate(sk, live->event.direction);
		emit_translated(ctx, live, EVENT_CONNECT, &hops);
	}
}

/* An incoming connection is there. live is zeroed but for its owner and flags. */
inline_always void incoming(void *ctx, u64 sk, struct live *live, u32 kind)
{
	struct hops hops = {};

	if (is_foreign(&live->event))
		return;
	judge_owner(&live->event);
	if (!read_tuple(sk, &live->event)) {
		count_loss_of(live, LOSS_TUPLE_UNREADABLE);
		return;
	}
	if (!ends_wanted(&live->event.ends, live->event.ends.sport))
		return;
	begin(sk, live, DIRECTION_INCOMING);
	mark_established(live);
	live->event.flags |= look_up_nat(&live->event.ends, live->event.netns, &hops, 0, 1);
	/* An accept comes later than the first bytes may: see on_handshake. */
	if (kind == EVENT_PASSIVE)
		open_gate(sk, DIRECTION_INCOMING);
	/* Told all the same where an accept says so itself; a handshake alone would wait for its accept for ever. */
	if (insert_conn(sk, live) || kind == EVENT_ACCEPT)
		emit_translated(ctx, live, kind, &hops);
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
inline_always int begin_unseen(u64 sk, struct live *live, u32 state)
{
	if (filters(FILTER_FOLLOWED) || !was_established(sk, state) || !is_tcp(sk) ||
	    !read_tuple(sk, &live->event) ||
	    !ends_wanted(&live->event.ends, live->event.ends.sport))
		return 0;
	begin(sk, live, DIRECTION_UNKNOWN);
	live->event.flags = FACT_ESTABLISHED | FACT_UNSEEN_OPEN;
	return 1;
}

inline_always void finish(void *ctx, struct live *live, mono_ns at)
{
	live->event.timestamp = at;
	live->event.ended_at = at;
	live->event.state_transitions |= 1 << TCP_STATE_CLOSE;
	if (!(live->event.flags & FACT_FAILED))
		live->event.failure_reason = 0;
	close_gate(live->event.sk);
	emit(ctx, live, EVENT_CLOSE);
}

#endif
