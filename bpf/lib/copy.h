/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies of socks, in which the tool looks for offsets of its own connections: a program that searched would be walked by the
 * verifier word by word.
 */
#ifndef LIB_COPY_H
#define LIB_COPY_H

#include "lib/offsets.h"

/* Written by copy_sock(), read by the tool; an array, so nothing is inserted or deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SOCK_COPIES);
	__type(key, u32);
	__type(value, struct sock_copy);
} sock_copies SEC(".maps");

/* A piece that cannot be read is 0. */
#define SOCK_COPY_PIECE 256

inline_always void copy_to(struct sock_copy *copy, u64 sk)
{
	copy->sk = sk;
#pragma unroll
	for (u32 at = 0; at < SOCK_COPY_BYTES; at += SOCK_COPY_PIECE)
		copy_words(copy->bytes + at, SOCK_COPY_PIECE, sk + at);
}

inline_always void copy_sock(u64 sk)
{
	u32 slot = 0;
	struct sock_copy *copy = bpf_map_lookup_elem(&sock_copies, &slot);

	if (copy)
		copy_to(copy, sk);
}

/* The slot of a listener's port; the next listener of the same slot takes it over. */
inline_always struct sock_copy *copy_of_port(u64 port)
{
	u32 slot = 1 + port % (SOCK_COPIES - 1);

	return bpf_map_lookup_elem(&sock_copies, &slot);
}

/* A sock becomes a listener. */
inline_always void await_newborn(u64 listener)
{
	u64 port = skc_num(listener);
	struct sock_copy *copy = copy_of_port(port);

	if (!copy)
		return;
	copy->sk = 0;
	copy->listener = listener;
	copy->port = port;
}

/* A sock comes in: the first one of each listener that has begun meanwhile is copied. */
inline_always void copy_newborn(u64 sk)
{
	u64 port = skc_num(sk);
	struct sock_copy *copy = copy_of_port(port);

	if (copy && copy->listener && copy->port == port && !copy->sk)
		copy_to(copy, sk);
}

#endif
