/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Handlers of the tracepoint mode (Linux 5.10 and later). State changes happen in whatever task runs, so a process
 * is named only where the kernel is known to be inside its system call: connect for SYN_SENT, shutdown or close
 * for FIN_WAIT1 and LAST_ACK.
 */
#ifndef TCP_TRACEPOINTS_H
#define TCP_TRACEPOINTS_H

#include "tcp/begun.h"
#include "tcp/failure.h"
#include "tcp/listeners.h"
#include "tcp/mptcp.h"

/* SYN_SENT comes before a port is chosen, CLOSE after it was given back. */
inline_always void read_port(u64 sk, struct ends *ends)
{
	if (!ends->sport)
		ends->sport = from_be16(inet_sport(sk));
}

/* The end of the connection that the sock still carries, if any. fresh: its counters may be read again. */
inline_always void end(void *ctx, u64 sk, struct live *live, int fresh)
{
	mono_ns at;

	if (!lookup_conn(sk, live))
		return;
	if (!(live->event.flags & FACT_ESTABLISHED)) {
		read_port(sk, &live->event.ends);
		/* How it failed was missed, and the sock's error may be older or younger. */
		if (rcv_nxt(sk) == 0) {
			fail(ctx, sk, live, 0);
			return;
		}
		/* Its handshake was missed; connecting() has left everything but this. */
		mark_established(live);
		emit(ctx, live, EVENT_CONNECT);
	}
	if (!delete_conn(sk))
		return;
	/* A child that nobody accepted is disconnected before it is destroyed, which clears the port. */
	if (fresh)
		live->event.flags |= FACT_ACCEPTED;
	at = bpf_ktime_get_ns();
	if (fresh)
		note_totals(sk, live);
	else if (live->event.flags & FACT_TOTALS_TAKEN)
		at = live->event.timestamp; /* closed() left it */
	else
		live->event.flags |= FACT_TOTALS_LOST;
	/* No FIN was sent for it, so this is the close(2) of a connection that had been reset. */
	own_by_closer(&live->event);
	finish(ctx, live, at);
}

/* The end of what the sock carried before something new. */
inline_always void end_of_former(void *ctx, u64 sk, struct live *live)
{
	end(ctx, sk, live, 0);
	__builtin_memset(live, 0, sizeof(*live));
}

/* tcp_disconnect clears the port first and the counters later: then only what CLOSE saw is right. */
inline_always void destroyed(void *ctx, u64 sk, struct live *live)
{
	end(ctx, sk, live, skc_dport(sk) != 0);
	tell_begun(ctx, sk, live);
}

inline_always void passive_established(void *ctx, u64 sk, struct live *live)
{
	note_sequences(sk, live);
	live->event.owner.listener_ino = listener_of(sk);
	incoming(ctx, sk, live, EVENT_PASSIVE);
}

/* The application's shutdown or close sends the FIN; both are system calls of the owner. */
inline_always void sending_fin(u64 sk, u32 old, struct live *live)
{
	int known = lookup_conn(sk, live);

	if (!known && !begin_unseen(sk, live, old))
		return;
	if (!known)
		count_unseen(sk, old);
	/* Now is the last time at which its counters tell who opened it. */
	if (live->event.direction == DIRECTION_UNKNOWN)
		read_totals(sk, live);
	note_fin(sk, live);
	if (sk_socket(sk))
		live->event.flags |= FACT_ACCEPTED;
	own_by_closer(&live->event);
	if (known)
		update_conn(sk, live);
	else
		insert_conn(sk, live);
}

/*
 * Why an attempt to connect has ended, at the moment it does: a reset, a timeout or an ICMP message has set sk_err.
 * Nothing has when the application itself gave up; but before 6.10 a waiting process could have taken the error just
 * before this, so the current process must be the one that called connect. Without a SYN connect(2) itself failed,
 * and what sk_err holds is older.
 */
inline_always u16 attempt_failure(u64 sk, struct live *live)
{
	u16 reason = failure_of(sk);

	if (!constant(OFFSET_SK_ERR) || segs_out(sk) == live->base_segs_out)
		return 0;
	if (reason || bpf_get_current_pid_tgid() >> 32 != live->event.owner.pid)
		return reason;
	return FAILURE_CANCELLED;
}

/* SYN_SENT or SYN_RECV has become CLOSE. */
inline_always void failed(void *ctx, u64 sk, struct live *live)
{
	if (!lookup_conn(sk, live) || live->event.flags & FACT_ESTABLISHED)
		return;
	read_tuple(sk, &live->event);
	fail(ctx, sk, live, attempt_failure(sk, live));
}

/*
 * A sock that no application has, and whose FIN was seen, is destroyed at once after CLOSE: destroyed() reads its counters,
 * which nobody clears. A first subflow of MPTCP has lost its struct socket too, but not died: it may be disconnected.
 */
inline_always int is_destroyed_next(u64 sk, u64 socket, const struct live *known)
{
	return known && known->event.flags & FACT_FIN_SENT && !socket &&
	       constant(OFFSET_SK_FLAGS) && sk_flags(sk) & (1 << SOCK_DEAD);
}

inline_always void closed(u64 sk, u32 old, struct live *live)
{
	u64 socket = sk_socket(sk);
	struct live *known = bpf_map_lookup_elem(&conns, &sk);
	u16 reason;

	if (is_destroyed_next(sk, socket, known))
		return;
	if (known)
		*live = *known;
	/* Unseen and without a socket: its owner had closed it before the trace. */
	if (!known && (!socket || !begin_unseen(sk, live, old)))
		return;
	if (!known)
		count_unseen(sk, old);
	if (socket)
		live->event.flags |= FACT_ACCEPTED;
	if ((1 << old) & STATES_AFTER_FIN_SENT)
		live->event.flags |= FACT_FIN_SENT;
	reason = failure_of(sk);
	/* A FIN was sent and the socket is gone: the application was done with it before the error came. */
	if (reason && (socket || !(live->event.flags & FACT_FIN_SENT)))
		note_failure(live, reason);
	note_totals(sk, live);
	live->event.flags |= FACT_TOTALS_TAKEN;
	live->event.timestamp = bpf_ktime_get_ns();
	if (known)
		update_conn(sk, live);
	else
		insert_conn(sk, live);
}

/*
 * Changes that only a system call or a worker makes, never an interrupt: connect(2), listen(2), and MPTCP's own, whose FIN it
 * is. A backup program meets these only where programs are preempted. Else they are left out there, for the verifier's sake.
 */
inline_always int is_of_process(u32 state)
{
	return state == TCP_STATE_SYN_SENT || state == TCP_STATE_LISTEN;
}

/*
 * Each step stands here once, whichever change leads to it: each copy would be walked by the verifier. of_process: 0 where no
 * such change comes.
 */
inline_always void state_changes(void *ctx, u64 sk, u32 old, u32 state, int of_process,
				 struct live *live)
{
	u32 was = old & 15; /* so that the verifier sees how far 1 << was can go */
	int passive = state == TCP_STATE_ESTABLISHED && was == TCP_STATE_SYN_RECV;
	struct live *known = 0;
	int crossed;

	if (!is_tcp(sk)) {
		if (of_process && (state == TCP_STATE_FIN_WAIT1 || state == TCP_STATE_LAST_ACK) &&
		    is_mptcp(sk))
			mptcp_sending_fin(sk, live);
		return;
	}
	if (passive)
		known = bpf_map_lookup_elem(&conns, &sk);
	/* Its own SYN has crossed the peer's. Else a sock that is known here is one of which the end was missed. */
	crossed = known && !(known->event.flags & FACT_ESTABLISHED);
	if (of_process && state == TCP_STATE_SYN_SENT)
		connect_goes_on(sk);
	/* connect(2) ends what the sock carried before: connect(AF_UNSPEC) leaves no other trace. */
	if ((of_process && state == TCP_STATE_SYN_SENT) || (known && !crossed))
		end_of_former(ctx, sk, live);
	if (of_process && state == TCP_STATE_SYN_SENT)
		connecting(sk, live);
	else if (of_process && state == TCP_STATE_LISTEN)
		listening(ctx, sk, live);
	else if (state == TCP_STATE_SYN_RECV && was == TCP_STATE_LISTEN)
		note_listener(sk);
	else if (crossed || (state == TCP_STATE_ESTABLISHED && was == TCP_STATE_SYN_SENT))
		connected(ctx, sk, live);
	else if (passive)
		passive_established(ctx, sk, live);
	else if (state == TCP_STATE_FIN_WAIT1 || state == TCP_STATE_LAST_ACK)
		sending_fin(sk, was, live);
	else if (state == TCP_STATE_CLOSE && (1 << was) & STATES_CONNECTING)
		failed(ctx, sk, live);
	else if (state == TCP_STATE_CLOSE)
		closed(sk, was, live);
}

/* Tracepoint mode: what run_accepted found. socket_ino 0: nobody has accepted yet. */
struct accepted {
	u64 sk;
	u64 socket_ino;
	u32 cookie;
	u32 gone; /* 1: the connection has ended, its close is on its way */
};

/* Written by run_accepted, read by the tool right after each run; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct accepted);
} accepted_answer SEC(".maps");

/* Has somebody accepted this connection? Asked by the tool at each poll for those it has not seen accepted. */
inline_always void answer_accepted(u64 sk, u32 cookie)
{
	u32 zero = 0;
	struct accepted *answer = bpf_map_lookup_elem(&accepted_answer, &zero);
	struct live *known = bpf_map_lookup_elem(&conns, &sk);
	u64 socket;

	if (!answer)
		return;
	answer->sk = sk;
	answer->cookie = cookie;
	answer->gone = !known || known->event.cookie != cookie;
	answer->socket_ino = 0;
	if (answer->gone)
		return;
	socket = sk_socket(sk);
	if (!socket)
		return;
	answer->socket_ino = socket_ino(socket);
}

#endif
