/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that processes hold: one walk over the files of all tasks finds those of all network namespaces, with their holders. */
#ifndef TCP_HELD_H
#define TCP_HELD_H

#include "tcp/holders.h"
#include "tcp/open.h"

/* The members of struct held_sock before its event. */
struct held_by {
	u64 ino;
	u32 tgid;
	u32 tid;
	u16 family;
	u16 protocol;
	u16 state;
	u16 port;
};
_Static_assert(sizeof(struct held_by) + sizeof(struct event) == sizeof(struct held_sock), "");

/* Returns 1 where the sock's connection is taken up, and is to be told. live is zeroed. */
inline_always int adopt_held(u64 sk, struct live *live, u32 state)
{
	if (adopt_older(sk, live))
		return 1;
	/* Another process holds it as well, or a handler has seen it; or it is no connection. */
	__builtin_memset(live, 0, sizeof(*live));
	if (state == TCP_STATE_SYN_SENT)
		adopt_connecting(sk, live);
	live->event.sk = sk;
	read_tuple(sk, &live->event);
	return 0;
}

/*
 * The kernel shows each file of each table of descriptors. A table that threads share comes once. The tool reads from the
 * iterator the bytes that are written here. If a record does not fit, the kernel shows the file once more. live is zeroed.
 */
inline_always void held(struct iter_task_file *ctx, struct live *live)
{
	void *seq = *(void **)ctx->meta;
	void *file = ctx->file;
	struct held_by by = {};
	u64 socket, sk, task = 0;
	int told = 0;

	if (!file)
		return;
	if (ends_stretch(ctx)) {
		bpf_seq_write(seq, &by, sizeof(by));
		bpf_seq_write(seq, &live->event, sizeof(live->event));
	}
	socket = (u64)bpf_sock_from_file(file);
	if (!socket)
		return;
	sk = sk_of(socket);
	if (!sk)
		return;
	by.family = skc_family(sk);
	by.protocol = sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK);
	by.state = skc_state(sk) & 15;
	by.port = skc_num(sk);
	if (by.family != AF_INET && by.family != AF_INET6)
		return;
	if (by.protocol == IPPROTO_TCP && by.state != TCP_STATE_CLOSE) {
		told = adopt_held(sk, live, by.state);
	} else if ((by.protocol == IPPROTO_UDP && by.port) || by.protocol == IPPROTO_MPTCP) {
		live->event.sk = sk;
		read_tuple(sk, &live->event);
	} else {
		return;
	}
	by.ino = socket_ino(socket);
	task = address_of(ctx->task);
	by.tgid = task_tgid(task);
	by.tid = task_pid(task);
	if ((bpf_seq_write(seq, &by, sizeof(by)) < 0 ||
	     bpf_seq_write(seq, &live->event, sizeof(live->event)) < 0) &&
	    told)
		bpf_map_delete_elem(&conns, &sk);
}

#endif
