/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * MPTCP is traced as its subflows, which are TCP connections. A process accepts and closes the sock of MPTCP. The kernel does
 * the same to the subflows at another time, often in a worker.
 */
#ifndef TCP_MPTCP_H
#define TCP_MPTCP_H

#include "tcp/younger.h"

/*
 * The offset of struct mptcp_sock at which the first subflow was found last; 0: none was. Written and read by
 * searched_subflow(); one entry, never deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} first_subflow_at SEC(".maps");

/* Behind the struct inet_connection_sock that a struct mptcp_sock begins with: it was at 1,712 on Linux 6.18. */
#define SUBFLOWS_BEGIN 1024
#define SUBFLOWS_END 2560

inline_always int is_mptcp(u64 sk)
{
	return (sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK)) == IPPROTO_MPTCP;
}

/* 0: a sock of TCP with this local port, in this namespace. As one number, so that the verifier follows one branch, not three. */
inline_always u64 unlike_subflow(u64 sk, u16 num, u64 net)
{
	return (skc_num(sk) ^ num) | (skc_net(sk) ^ net) |
	       ((sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK)) ^ IPPROTO_TCP);
}

/* 0: not found. The first place is where the last one was found. Each turn of the loop is walked by the verifier. */
inline_always u64 searched_subflow(u64 mptcp, u16 num, u64 net)
{
	u32 zero = 0, offset = SUBFLOWS_BEGIN;
	u32 *at = bpf_map_lookup_elem(&first_subflow_at, &zero);
	u64 sk = 0, place;

	if (!at)
		return 0;
	place = mptcp + *at;
#pragma clang loop unroll(disable)
	for (;;) {
		read_kernel(sk, place);
		if (!unlike_subflow(sk, num, net))
			break;
		if (offset >= SUBFLOWS_END)
			return 0;
		place = mptcp + offset;
		offset += 8;
	}
	/* Not of `offset`: the verifier knows its value, and would walk all that follows once for each turn of the loop. */
	*at = place - mptcp;
	return sk;
}

/*
 * 0: not found. The kernel keeps the subflow from going away while a process is inside accept(2) or close(2). MPTCP's sock gets
 * its remote port by the end of connect(2) or accept(2).
 */
inline_always u64 first_subflow(u64 mptcp __attribute__((unused)))
{
#ifdef LINUX_5_10
	u64 sk, net = skc_net(mptcp);
	u16 num = skc_num(mptcp), dport = skc_dport(mptcp);

	if (constant(CONSTANT_FIRST_SUBFLOW)) {
		sk = word_at(mptcp + constant(CONSTANT_FIRST_SUBFLOW));
		if (unlike_subflow(sk, num, net))
			return 0;
	} else {
		sk = searched_subflow(mptcp, num, net);
	}
	if (!sk || skc_state(sk) == TCP_STATE_LISTEN || (dport && skc_dport(sk) != dport) ||
	    !is_tcp(sk))
		return 0;
	return sk;
#else
	return 0;
#endif
}

/*
 * Tracepoint mode: a process shuts MPTCP's connection down, or closes it. Its subflows lose their struct socket then, and send
 * their FIN later. live is zeroed.
 */
inline_always void mptcp_sending_fin(u64 mptcp, struct live *live)
{
	u64 sk = first_subflow(mptcp);

	if (!sk || !lookup_conn(sk, live))
		return;
	live->event.flags |= FACT_ACCEPTED;
	own_by_closer(&live->event);
	update_conn(sk, live);
}

#endif
