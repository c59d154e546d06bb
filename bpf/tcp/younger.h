/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections that no program has seen begin, although they are younger than the trace: a connect or an accept was missed.
 *
 * The socket's inode number tells. The kernel gives them in ascending order, to each CPU a batch at a time, and gives a
 * socket its number in socket(2), or at the beginning of accept(2). So of a socket whose number was not given when the trace
 * began, connect or accept was called after that.
 */
#ifndef TCP_YOUNGER_H
#define TCP_YOUNGER_H

#include "tcp/conn.h"

/*
 * The newest number of each batch that a CPU had when the trace began, by batch.
 * Inserted by the tool once all programs are attached, never deleted; as large as needed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} inodes_before SEC(".maps");

/* The first batch that no CPU had then; 0: not known, so nothing is told. Written by the tool after the other map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} first_batch SEC(".maps");

inline_always int is_younger(u32 ino)
{
	u32 zero = 0, batch = (ino - 1) >> INODE_BATCH_BITS;
	u32 *first = bpf_map_lookup_elem(&first_batch, &zero);
	u32 *newest;

	if (!first || !*first)
		return 0;
	if (((batch - *first) << INODE_BATCH_BITS) >> INODE_BATCH_BITS < INODE_BATCHES_TOLD)
		return 1;
	newest = bpf_map_lookup_elem(&inodes_before, &batch);
	return newest && ino > *newest;
}

/* A subflow of MPTCP has the socket of its connection, which points to another sock. */
inline_always int points_to(u64 socket, u64 sk)
{
	u64 words[SOCKET_WORDS] = {};
	int found = 0;

	read_kernel(words, socket);
#pragma unroll
	for (int i = 0; i < SOCKET_WORDS; i++)
		found |= words[i] == sk;
	return found;
}

/*
 * For a connection that was found at its end. A sock in CLOSE may be one that failed to connect, which was told. Only Linux
 * 5.10 and later: the verifiers of older kernels have no room for it.
 */
inline_always void count_unseen(u64 sk __attribute__((unused)), u32 state __attribute__((unused)))
{
#ifdef LINUX_5_10
	u64 socket = sk_socket(sk);

	if (state != TCP_STATE_CLOSE && socket && points_to(socket, sk) &&
	    is_younger(socket_ino(socket)))
		count_loss(LOSS_BEGIN_MISSED);
#endif
}

#endif
