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
 * first_subflow(); one entry, never deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} first_subflow_at SEC(".maps");

/* Behind the struct inet_connection_sock that a struct mptcp_sock begins with, and no further than these are long. */
#define SUBFLOWS_BEGIN 1024
#define SUBFLOWS_END 3584

inline_always int is_mptcp(u64 sk)
{
	return (sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK)) == IPPROTO_MPTCP;
}

/* The sock of MPTCP gets its remote port by the end of connect(2) or accept(2). */
inline_always int is_subflow_of(u64 sk, u64 mptcp)
{
	u16 dport = skc_dport(mptcp);

	return skc_num(sk) == skc_num(mptcp) && skc_net(sk) == skc_net(mptcp) && is_tcp(sk) &&
	       skc_state(sk) != TCP_STATE_LISTEN && (!dport || skc_dport(sk) == dport);
}

/* 0: there is none at this offset. */
inline_always u64 subflow_at(u64 mptcp, u32 offset)
{
	u64 sk = 0;

	read_kernel(sk, mptcp + offset);
	/* Most words are no address of the kernel. */
	if ((s64)sk >= 0 || sk & 7 || sk == mptcp)
		return 0;
	return is_subflow_of(sk, mptcp) ? sk : 0;
}

/* 0: not found. The kernel keeps the subflow from going away while a process is inside accept(2) or close(2). */
inline_always u64 first_subflow(u64 mptcp __attribute__((unused)))
{
#ifdef LINUX_5_10
	u32 zero = 0;
	u32 *at = bpf_map_lookup_elem(&first_subflow_at, &zero);
	u32 offset = SUBFLOWS_BEGIN - 8;
	u64 sk;

	if (!at)
		return 0;
	/* First where the last one was. */
#pragma clang loop unroll(disable)
	for (; offset < SUBFLOWS_END; offset += 8) {
		sk = subflow_at(mptcp, offset < SUBFLOWS_BEGIN ? *at : offset);
		if (!sk)
			continue;
		if (offset >= SUBFLOWS_BEGIN)
			*at = offset;
		return sk;
	}
#endif
	return 0;
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
