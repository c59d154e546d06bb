/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that were open before the trace. The handlers are attached first, then the kernel's table is walked. */
#ifndef TCP_OPEN_H
#define TCP_OPEN_H

#include "tcp/conn.h"

#define SEQ_START_TOKEN 1 /* the argument of seq_show for the line with the titles */

#define STATES_LISTED                                                                              \
	(STATES_ONCE_ESTABLISHED & ~(1 << TCP_STATE_TIME_WAIT)) /* that one is no struct sock */

/* Written by the tool while it reads /proc/net/tcp: its tgid. One entry, never deleted; 0 is nobody's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} lister SEC(".maps");

inline_always int is_lister(void)
{
	u32 zero = 0;
	u32 *tgid = bpf_map_lookup_elem(&lister, &zero);

	return tgid && *tgid == (u32)(bpf_get_current_pid_tgid() >> 32);
}

/* Returns 0 when a handler has seen the connection meanwhile: it has the better knowledge. */
inline_always int insert_once(u64 sk, struct live *live)
{
	if (bpf_map_update_elem(&conns, &sk, live, BPF_NOEXIST) == 0)
		return 1;
	if (bpf_map_lookup_elem(&conns, &sk))
		return 0;
	/* Told all the same: its close will be seen. */
	count_loss(LOSS_CONNECTION_MAP_FULL);
	return 1;
}

/*
 * Takes up a sock of the kernel's table that an application holds and no handler has seen. Without a struct socket
 * nobody has accepted it yet, or its owner has closed it. Returns 0 when there is nothing to tell. live is zeroed.
 */
inline_always int adopt_older(u64 sk, struct live *live)
{
	u32 state = skc_state(sk) & 15;

	if (!((1 << state) & STATES_LISTED) || !sk_socket(sk) || !begin_unseen(sk, live, state))
		return 0;
	live->event.kind = EVENT_OPEN;
	if ((1 << state) & STATES_AFTER_FIN_SENT)
		live->event.flags |= FACT_FIN_SENT;
	note_totals(sk, live);
	/* The walk does not hold the sock's lock before 5.15: a FIN that was queued meanwhile may stand in write_seq. */
	if ((skc_state(sk) & 15) != state)
		note_unstable(live);
	open_gate(sk, live->event.direction);
	return insert_once(sk, live);
}

/* Its handshake is done, but nobody has accepted it: as if the handshake had been seen. live is zeroed. */
inline_always int adopt_waiting(u64 sk, struct live *live)
{
	u32 state = skc_state(sk) & 15;

	if ((state != TCP_STATE_ESTABLISHED && state != TCP_STATE_CLOSE_WAIT) || sk_socket(sk) ||
	    !begin_unseen(sk, live, state))
		return 0;
	live->event.kind = EVENT_PASSIVE;
	live->event.direction = DIRECTION_INCOMING;
	open_gate(sk, DIRECTION_INCOMING);
	return insert_once(sk, live);
}

/*
 * A connect whose SYN went out before the trace: remembered without a word, so that its failure is told. The walk holds
 * the sock in the kernel's table, so its end, which deletes this entry, is still to come. live is zeroed.
 */
inline_always void adopt_connecting(u64 sk, struct live *live)
{
	if (filters(FILTER_FOLLOWED) || (skc_state(sk) & 15) != TCP_STATE_SYN_SENT || !is_tcp(sk) ||
	    !read_tuple(sk, &live->event) || !ends_wanted(&live->event.ends, skc_num(sk)))
		return;
	begin(sk, live, DIRECTION_OUTGOING);
	live->event.flags = FACT_UNSEEN_OPEN;
	insert_once(sk, live);
}

/* The kernel prints a line of /proc/net/tcp for the tool. live is zeroed. */
inline_always void listed(void *ctx, u64 sk, struct live *live)
{
	if (sk == SEQ_START_TOKEN || !is_lister())
		return;
	if (adopt_older(sk, live)) {
		emit(ctx, live, EVENT_OPEN);
		return;
	}
	__builtin_memset(live, 0, sizeof(*live));
	adopt_connecting(sk, live);
}

/* The context of a BPF iterator, by ABI: struct bpf_iter__tcp. */
struct iter_tcp {
	void **meta; /* its first member is the struct seq_file */
	u64 sk_common;
};

/*
 * The kernel's own walk over the socks of a namespace. The tool reads from the iterator the bytes that are written here.
 * If a record does not fit, the kernel shows the sock once more. live is zeroed.
 */
inline_always void iterated(struct iter_tcp *ctx, struct live *live)
{
	void *seq = *ctx->meta;
	u64 sk = 0;

	/* As a number: the verifier's typed pointer allows no arithmetic while it may be NULL. */
	sk = address_of(ctx->sk_common);
	/* Most are known by the walk over all files. */
	if (!sk || bpf_map_lookup_elem(&conns, &sk))
		return;
	if (!adopt_older(sk, live)) {
		__builtin_memset(live, 0, sizeof(*live));
		if (!adopt_waiting(sk, live)) {
			__builtin_memset(live, 0, sizeof(*live));
			adopt_connecting(sk, live);
			return;
		}
	}
	if (bpf_seq_write(seq, &live->event, sizeof(live->event)) < 0)
		bpf_map_delete_elem(&conns, &sk);
}

#endif
