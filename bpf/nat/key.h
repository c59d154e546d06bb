/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The order in which a key of the map conntrack has its two ends. src/trace/nat/entry_map.ts makes the same keys. */
#ifndef NAT_KEY_H
#define NAT_KEY_H

#include "lib/kernel.h"

/* Exchanges *a and *b where mask is all ones, and leaves them where it is 0. */
inline_always void swap_words(u64 *a, u64 *b, u64 mask)
{
	u64 differing = (*a ^ *b) & mask;

	*a ^= differing;
	*b ^= differing;
}

inline_always void swap_ends_if(struct conntrack_tuple *t, u64 mask)
{
	u64 sport = t->sport, dport = t->dport;

	swap_words(&t->saddr_h, &t->daddr_h, mask);
	swap_words(&t->saddr_l, &t->daddr_l, mask);
	swap_words(&sport, &dport, mask);
	t->sport = sport;
	t->dport = dport;
}

inline_always void swap_ends(struct conntrack_tuple *t)
{
	swap_ends_if(t, ~0ULL);
}

/* An end as one number. Two ends of the same number are as good as never met, and then only not found. */
inline_always u64 rank(u64 high, u64 low, u16 port)
{
	return low + high * RANK_HIGH + port * ((u64)RANK_PORT << RANK_PORT_SHIFT);
}

/*
 * Brings the ends into the order of keys. Returns CONNTRACK_SWAPPED when they have changed places, else 0. Without a branch:
 * each would double the ways that the verifier walks behind it.
 */
inline_always u32 order_ends(struct conntrack_tuple *t)
{
	u64 a = rank(t->daddr_h, t->daddr_l, t->dport);
	u64 b = rank(t->saddr_h, t->saddr_l, t->sport);
	/* The borrow of a - b: 1 where a < b. */
	u64 swap = ((~a & b) | ((~a | b) & (a - b))) >> 63;

	swap_ends_if(t, 0 - swap);
	return (u32)swap * CONNTRACK_SWAPPED;
}

#endif
