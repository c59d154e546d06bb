/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tracepoint mode: which processes hold listeners, and connections that came in lately: a walk over the files of all tasks. */
#ifndef TCP_HOLDERS_H
#define TCP_HOLDERS_H

#include "tcp/listeners.h"

/*
 * Incoming connections that began before this (mono_ns) are left out of the walk. Written by the tool before each walk,
 * read by the walk; one entry, never deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} held_since SEC(".maps");

/* The context of a BPF iterator, by ABI: struct bpf_iter__task_file. */
struct iter_task_file {
	u64 *meta; /* struct bpf_iter_meta: the struct seq_file, the session, how many files were shown before */
	void *task;
	u32 fd;
	void *file; /* NULL once, at the end */
};

/*
 * If a process closes a file while the kernel shows it to the tool, the tool's read(2) closes it at its end. So that no such
 * close waits for a whole walk, reads are short: a record of zeros, which tells nothing, comes after each so many files.
 */
#define FILES_PER_RECORD 128

inline_always int ends_stretch(const struct iter_task_file *ctx)
{
	return ctx->meta[2] % FILES_PER_RECORD == FILES_PER_RECORD - 1;
}

/* Where struct socket has its sk, since 5.3; elsewhere among the first words. */
#define SOCKET_WORD_OF_SK 3

/* 0: none of the words is a sock that knows this socket. */
inline_always u64 sk_of(u64 socket)
{
	u64 words[6] = {};

	read_kernel(words, socket);
	if (words[SOCKET_WORD_OF_SK] && sk_socket(words[SOCKET_WORD_OF_SK]) == socket)
		return words[SOCKET_WORD_OF_SK];
#pragma unroll
	for (int i = 1; i < 6; i++)
		if (words[i] && sk_socket(words[i]) == socket)
			return words[i];
	return 0;
}

inline_always int came_in_lately(u64 sk)
{
	u32 zero = 0;
	u64 *since = bpf_map_lookup_elem(&held_since, &zero);
	struct live *known = bpf_map_lookup_elem(&conns, &sk);

	return since && known && known->event.direction == DIRECTION_INCOMING &&
	       known->event.started_at >= *since;
}

/*
 * The kernel shows each file of each table of descriptors. A table that a process shares among its threads comes once, a
 * thread with a table of its own comes as itself. If a record does not fit, the kernel shows the file once more.
 */
inline_always void holding(struct iter_task_file *ctx)
{
	struct holder holder = {};
	void *seq = *(void **)ctx->meta;
	void *file = ctx->file;
	u64 socket, sk, task = 0;
	u32 state, protocol;
	u16 family;

	if (!file)
		return;
	if (ends_stretch(ctx))
		bpf_seq_write(seq, &holder, sizeof(holder));
	socket = (u64)bpf_sock_from_file(file);
	if (!socket)
		return;
	sk = sk_of(socket);
	family = sk ? skc_family(sk) : 0;
	if (family != AF_INET && family != AF_INET6)
		return;
	protocol = sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK);
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return;
	state = skc_state(sk);
	/* A sock of MPTCP stands for its subflows, which are the ones in the table of connections. */
	if (state != TCP_STATE_LISTEN && protocol == IPPROTO_TCP && !came_in_lately(sk))
		return;
	task = address_of(ctx->task);
	holder.ino = socket_ino(socket);
	holder.tgid = task_tgid(task);
	holder.tid = task_pid(task);
	if (state == TCP_STATE_LISTEN) {
		holder.listens_at = skc_num(sk);
		holder.netns = netns_of(skc_net(sk));
	}
	bpf_seq_write(seq, &holder, sizeof(holder));
}

#endif
