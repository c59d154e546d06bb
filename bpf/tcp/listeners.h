/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracepoint mode: the listener through which a connection comes in. Only a process that holds the listener can accept from
 * it. The listener is told by the inode of its socket.
 *
 * The kernel makes the sock of an incoming connection as a copy of the listener (inet_csk_clone_lock), and enters the state
 * SYN_RECV while some list heads of the copy still point into the listener. An empty list head points to itself. So a
 * list head of the copy that holds an address in the listener tells the listener: its address is that value less the
 * offset. The offset of such a list head (tsq_node, tsorted_sent_queue) is learned from the tool's own connections.
 */
#ifndef TCP_LISTENERS_H
#define TCP_LISTENERS_H

#include "tcp/conn.h"

/* The offset of such a list head; 0: not known. Written by the tool, read by note_listener(); one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} listener_at SEC(".maps");

struct newborn {
	u64 sk;
	u32 listener_ino;
	u32 _pad;
};

/*
 * The sock that was last copied from a listener on this CPU. The kernel finishes its handshake right after that, on the same
 * CPU. Written by note_listener(), read by listener_of(); one entry per CPU, never deleted. If another sock stands there,
 * or the handshake was done later (TCP Fast Open), the listener is not known.
 */
struct {
#ifdef LINUX_5_10
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); /* 4.6 and later */
#else
	__uint(type, BPF_MAP_TYPE_ARRAY); /* nobody uses it */
#endif
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct newborn);
} newborn SEC(".maps");

inline_always int is_listener_of(u64 listener, u64 sk)
{
	return listener != sk && skc_state(listener) == TCP_STATE_LISTEN &&
	       skc_family(listener) == skc_family(sk) && skc_num(listener) == skc_num(sk) &&
	       skc_net(listener) == skc_net(sk);
}

/* A sock has become SYN_RECV. Returns 0 where no listener was found by the list head at this offset. */
inline_always u64 listener_by(u64 sk, u32 offset)
{
	u64 head = word_at(sk + offset) - offset;

	/* Most words are no address of the kernel. */
	if ((s64)head >= 0 || head & 7 || head == sk)
		return 0;
	return is_listener_of(head, sk) ? head : 0;
}

/* LISTEN has become SYN_RECV: a copy of the listener, which is still told. */
inline_always void note_listener(u64 sk)
{
	u32 zero = 0;
	u32 *at = bpf_map_lookup_elem(&listener_at, &zero);
	struct newborn *slot = bpf_map_lookup_elem(&newborn, &zero);
	u64 listener;

	if (!at || !*at || !slot)
		return;
	listener = listener_by(sk, *at);
	slot->sk = 0;
	slot->listener_ino = listener ? ino_of(listener) : 0;
	slot->sk = sk;
}

/* SYN_RECV has become ESTABLISHED. 0: not known. */
inline_always u32 listener_of(u64 sk)
{
	u32 zero = 0;
	struct newborn *slot = bpf_map_lookup_elem(&newborn, &zero);

	return slot && slot->sk == sk ? slot->listener_ino : 0;
}

/* listen(2) makes a sock a listener: its process is the first that is known to hold it. live is zeroed. */
inline_always void listening(void *ctx, u64 sk, struct live *live)
{
	struct event *event = &live->event;

	event->sk = sk;
	event->timestamp = bpf_ktime_get_ns();
	own_by_current(event);
	event->owner.listener_ino = ino_of(sk);
	read_tuple(sk, event);
	emit(ctx, live, EVENT_LISTEN);
}

#endif
