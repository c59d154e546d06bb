/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Handlers of the kprobe mode. All run in the process that called connect, accept, shutdown or close. */
#ifndef KPROBES_H
#define KPROBES_H

#include "conn.h"

#define SEND_SHUTDOWN 2

#define STATES_SHUTDOWN_SENDS_FIN                                                                  \
	(1 << TCP_STATE_ESTABLISHED | 1 << TCP_STATE_SYN_RECV | 1 << TCP_STATE_CLOSE_WAIT)

/* accept(2) hands the sock to the current process. */
inline_always void accepted(void *ctx, u64 sk, struct live *live)
{
	if (!sk || !is_tcp(sk))
		return;
	own_by_current(&live->event);
	live->event.flags = FACT_ACCEPTED;
	incoming(ctx, sk, live, EVENT_ACCEPT);
}

/* A FIN is about to be queued: from now on write_seq counts one more than the application wrote. */
inline_always void shutting_down(u64 sk, u32 how)
{
	struct live *known;

	if (!(how & SEND_SHUTDOWN) || !((1 << (skc_state(sk) & 15)) & STATES_SHUTDOWN_SENDS_FIN))
		return;
	known = bpf_map_lookup_elem(&conns, &sk);
	if (known)
		known->event.flags |= FACT_FIN_SENT;
}

/*
 * The application lets go of the sock (the last close(2), or exit). The counters now hold all that it wrote and
 * read, also when the connection was reset before.
 */
inline_always void closing(void *ctx, u64 sk, struct live *live)
{
	u32 state = skc_state(sk) & 15;

	if (recall(sk, live))
		bpf_map_delete_elem(&conns, &sk);
	else if (!recall_unseen(sk, live, state))
		return;
	if (live->event.conn.tup.pid == 0)
		own_by_current(&live->event);
	/* Two SYNs that crossed: no tcp_finish_connect. */
	if (!(live->event.flags & FACT_ESTABLISHED)) {
		if (!was_established(sk, state))
			return;
		mark_established(live);
		emit(ctx, live, EVENT_CONNECT);
	}
	if ((1 << state) & STATES_AFTER_FIN_SENT)
		live->event.flags |= FACT_FIN_SENT;
	take_totals(sk, live);
	finish(ctx, live, bpf_ktime_get_ns());
}

/* connect(AF_UNSPEC) ends a connection without tcp_close; the sock lives on. SO_LINGER 0 comes here after closing(). */
inline_always void disconnecting(void *ctx, u64 sk, struct live *live)
{
	if (bpf_map_lookup_elem(&conns, &sk))
		closing(ctx, sk, live);
}

/*
 * The last of a sock. Only those are still known that end without tcp_close: subflows of MPTCP, and socks whose
 * tcp_close was missed (a kprobe does not nest). So no entry outlives its sock.
 */
inline_always void destroying(void *ctx, u64 sk, struct live *live)
{
	if (!recall(sk, live))
		return;
	bpf_map_delete_elem(&conns, &sk);
	if (!(live->event.flags & FACT_ESTABLISHED))
		return;
	live->event.flags |= FACT_UNSEEN_CLOSE;
	take_totals(sk, live);
	finish(ctx, live, bpf_ktime_get_ns());
}

#endif
