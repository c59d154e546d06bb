/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Handlers of the kprobe mode. All but done() run in the process that called connect, accept, shutdown or close. */
#ifndef TCP_KPROBES_H
#define TCP_KPROBES_H

#include "tcp/attempt.h"
#include "tcp/mptcp.h"

#define SEND_SHUTDOWN 2

#define STATES_SHUTDOWN_SENDS_FIN                                                                  \
	(1 << TCP_STATE_ESTABLISHED | 1 << TCP_STATE_SYN_RECV | 1 << TCP_STATE_CLOSE_WAIT)

#define NS_PER_US 1000

/*
 * Since when the connection has been there to be accepted: the kernel notes the time when it makes the buffers of a connection
 * that is established, and next when somebody reads. Before an accept only a program of a sockmap does, which moves copied_seq.
 * A sock in SYN_RECV may still have the time of its listener. The sock is locked; note_sequences() was called.
 */
inline_always void note_wait(u64 sk, struct live *live)
{
	u64 since, known;

	if (!constant(OFFSET_RCVQ_SPACE_TIME))
		return;
	since = rcvq_space_time(sk);
	/* Without branches: each would double the ways that the verifier walks behind it. */
	known = is_0(is_0(since) | is_0(skc_state(sk) ^ TCP_STATE_SYN_RECV) |
		     (copied_seq(sk) ^ live->first_received_seq));
	live->event.ended_at = since * NS_PER_US * known;
}

/*
 * accept(2) hands the sock to the current process. locked: it holds the sock's lock; of MPTCP, not that of the subflow. live
 * is zeroed.
 */
inline_always void accepted(void *ctx, u64 sk, struct live *live, int locked)
{
	if (sk && is_mptcp(sk)) {
		sk = first_subflow(sk);
		locked = 0;
	}
	if (!sk || !is_tcp(sk))
		return;
	if (locked) {
		note_sequences(sk, live);
		note_wait(sk, live);
	}
	own_by_current(&live->event);
	live->event.flags |= FACT_ACCEPTED;
	/* Reset while it waited to be accepted. */
	live->event.failure_reason = failure_of(sk);
	if (live->event.failure_reason)
		live->event.flags |= FACT_FAILED;
	incoming(ctx, sk, live, EVENT_ACCEPT);
}

/* inet_shutdown() holds the sock's lock. */
inline_always void shutting_down(u64 sk, u32 how)
{
	struct live *known;

	if (!(how & SEND_SHUTDOWN) || !((1 << (skc_state(sk) & 15)) & STATES_SHUTDOWN_SENDS_FIN))
		return;
	known = bpf_map_lookup_elem(&conns, &sk);
	if (known)
		note_fin(sk, known);
}

/*
 * The protocol is done with the connection: reset, timed out, or closed in order. The state is still the last one, in
 * whatever context this is.
 */
inline_always void done(void *ctx, u64 sk, struct live *live)
{
	struct live *known = bpf_map_lookup_elem(&conns, &sk);
	u32 state;
	u16 reason;

	if (!known || known->event.flags & FACT_FAILED)
		return;
	state = 1 << (skc_state(sk) & 15);
	reason = failure_of(sk);
	if (known->event.flags & FACT_ESTABLISHED || state & STATES_ONCE_ESTABLISHED) {
		if (!reason)
			return;
		known->event.failure_reason = reason;
		known->event.flags |= FACT_FAILED;
		return;
	}
	*live = *known;
	/* A SYN of the peer has left its marks in the sock: tcp_close must not take it for an unseen connection. */
	if (fail(ctx, sk, live, reason) && state == 1 << TCP_STATE_SYN_RECV)
		insert_conn(sk, live);
}

/*
 * For a connection that was seen established. A connection found in CLOSE was ended by an error, unless it has sent a FIN
 * before. Of a connection older than the trace nobody knows whether it has sent one.
 */
inline_always void settle_failure(u64 sk, struct live *live, u32 state)
{
	u32 flags = live->event.flags;
	u16 reason;

	if (state != TCP_STATE_CLOSE || flags & FACT_FAILED)
		return;
	reason = failure_of(sk);
	if (reason || !(flags & (FACT_FIN_SENT | FACT_UNSEEN_OPEN)))
		note_failure(live, reason);
}

/*
 * The application lets go of a sock that has not connected. The SYN may be answered before tcp_close has the sock's
 * lock; if not, destroying() tells. A failure that no program saw is told there as well.
 */
inline_always void cancelling(u64 sk, u32 state)
{
	struct live *known = bpf_map_lookup_elem(&conns, &sk);

	if (known && (1 << state) & STATES_CONNECTING)
		known->event.failure_reason = FAILURE_CANCELLED;
}

/* An attempt to connect, as far as is known; its handshake may have been missed (two SYNs that crossed). */
inline_always int is_unconnected(u64 sk, struct live *live, u32 state)
{
	if (live->event.flags & FACT_ESTABLISHED)
		return 0;
	return live->event.flags & FACT_FAILED || !was_established(sk, state);
}

/*
 * The application lets go of the sock (the last close(2), or exit), or MPTCP of a subflow. The counters now hold all that it wrote and
 * read, also when the connection was reset before.
 */
inline_always void closing(void *ctx, u64 sk, struct live *live)
{
	u32 state = skc_state(sk) & 15;

	if (lookup_conn(sk, live)) {
		if (is_unconnected(sk, live, state)) {
			cancelling(sk, state);
			return;
		}
		if (!delete_conn(sk))
			return;
	} else {
		__builtin_memset(live, 0, sizeof(*live));
		if (!begin_unseen(sk, live, state))
			return;
		count_unseen(sk, state);
	}
	own_by_closer(&live->event);
	if (!(live->event.flags & FACT_ESTABLISHED)) {
		mark_established(live);
		emit(ctx, live, EVENT_CONNECT);
	}
	if ((1 << state) & STATES_AFTER_FIN_SENT)
		live->event.flags |= FACT_FIN_SENT;
	settle_failure(sk, live, state);
	note_totals(sk, live);
	finish(ctx, live, bpf_ktime_get_ns());
}

/*
 * connect(AF_UNSPEC), or shutdown while connecting: ends a connection without tcp_close, under the sock's lock; the
 * sock lives on. connect(2) itself comes here after a failure that was told already, and SO_LINGER 0 after closing().
 */
inline_always void disconnecting(void *ctx, u64 sk, struct live *live)
{
	u32 state = skc_state(sk) & 15;

	if (!lookup_conn(sk, live))
		return;
	if (!is_unconnected(sk, live, state))
		closing(ctx, sk, live);
	else if (!(live->event.flags & FACT_FAILED))
		fail(ctx, sk, live,
		     (1 << state) & STATES_CONNECTING ? FAILURE_CANCELLED : failure_of(sk));
}

/*
 * The sock is destroyed. It still has an entry in two cases: its tcp_close or tcp_done was missed (a kprobe does not nest),
 * or it was closed while connecting. So no entry outlives its sock.
 */
inline_always void destroying(void *ctx, u64 sk, struct live *live)
{
	u16 cancelled;

	if (!lookup_conn(sk, live))
		return;
	cancelled = live->event.failure_reason;
	if (!(live->event.flags & FACT_ESTABLISHED)) {
		if (live->event.flags & FACT_FAILED) {
			bpf_map_delete_elem(&conns, &sk);
			return;
		}
		if (cancelled || rcv_nxt(sk) == 0) {
			fail(ctx, sk, live, cancelled ? cancelled : failure_of(sk));
			return;
		}
		mark_established(live);
		emit(ctx, live, EVENT_CONNECT);
	}
	if (!delete_conn(sk))
		return;
	live->event.flags |= FACT_UNSEEN_CLOSE;
	note_totals(sk, live);
	finish(ctx, live, bpf_ktime_get_ns());
}

#endif
