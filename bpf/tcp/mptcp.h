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

/* Behind the struct inet_connection_sock that a struct mptcp_sock begins with: it was at 1,712 on Linux 6.18. */
#define SUBFLOWS_BEGIN 1024
#define SUBFLOWS_END 2560
#define WORDS_AT_ONCE 64 /* of 8 bytes: a bit for each */
/* Of these words, so many pointers to what may be a sock are tried. */
#define POINTERS_TRIED 24

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

/*
 * 1: a word of an MPTCP sock that may point to another sock: to kernel memory outside of itself, at the begin of a cache line, as
 * socks do. Without a branch, of which the verifier would follow both ways for each word.
 */
inline_always u64 may_be_sock(u64 word, u64 mptcp)
{
	u64 unlike = (word & 63) | ~(u64)((s64)word >> 52);
	u64 inside = (word - mptcp) & ~4095ull;
	u64 minus_unlike = -unlike, minus_inside = -inside;

	asm volatile("" : "+r"(minus_unlike), "+r"(minus_inside));
	return ((~(unlike | minus_unlike) & (inside | minus_inside)) >> 63);
}

/* Bit N: the word N of the 64 at `at` may point to a sock. */
inline_always u64 sock_pointers(u64 at, u64 mptcp)
{
	u64 pointers = 0;

#pragma clang loop unroll(disable)
	for (u32 n = 0; n < WORDS_AT_ONCE; n++)
		pointers |= may_be_sock(word_at(at + n * 8), mptcp) << n;
	return pointers;
}

/* The number of the lowest bit that is set; not without a bit. */
inline_always u32 lowest_bit(u64 bits)
{
	u64 below = (bits & -bits) - 1; /* as many bits as are counted here */

	below -= (below >> 1) & 0x5555555555555555;
	below = (below & 0x3333333333333333) + ((below >> 2) & 0x3333333333333333);
	below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (below * 0x0101010101010101) >> 56;
}

/* The offset of a sock of TCP with this local port, among the pointers from `begin` on; 0: there is none. */
inline_always u32 find_subflow(u64 mptcp, u32 begin, u16 num, u64 net)
{
	u64 pointers = sock_pointers(mptcp + begin, mptcp);
	u32 offset;

#pragma clang loop unroll(disable)
	for (u32 n = 0; n < POINTERS_TRIED && pointers; n++) {
		offset = begin + lowest_bit(pointers) * 8;
		if (!unlike_subflow(word_at(mptcp + offset), num, net))
			return offset;
		pointers &= pointers - 1;
	}
	return 0;
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
	u32 zero = 0, offset = 0;
	u32 *at = bpf_map_lookup_elem(&first_subflow_at, &zero);

	if (!at)
		return 0;
	/* First where the last one was. */
	if (!*at || unlike_subflow(word_at(mptcp + *at), num, net)) {
#pragma clang loop unroll(disable)
		for (u32 begin = SUBFLOWS_BEGIN; begin < SUBFLOWS_END && !offset;
		     begin += WORDS_AT_ONCE * 8)
			offset = find_subflow(mptcp, begin, num, net);
		if (!offset)
			return 0;
		*at = offset;
	}
	sk = word_at(mptcp + *at);
	if (skc_state(sk) == TCP_STATE_LISTEN || (dport && skc_dport(sk) != dport) || !is_tcp(sk))
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
