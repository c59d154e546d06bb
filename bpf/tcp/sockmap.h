/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections in a sockmap. A program there can move bytes from one sock to another past TCP, so TCP's counters do not
 * have them. The sock leaves its sockmap before tcp_close sees it; so with kprobes the tool is told when it enters one, and
 * with tracepoints moved_in_sockmap() looks at each send and receive.
 */
#ifndef TCP_SOCKMAP_H
#define TCP_SOCKMAP_H

#include "tcp/conn.h"

inline_always void entering_sockmap(void *ctx, u64 sk)
{
	struct event event = {};

	if (!is_tcp(sk))
		return;
	event.sk = sk;
	event.timestamp = bpf_ktime_get_ns();
	event.kind = EVENT_SOCKMAP;
	send_event(ctx, &event);
}

/* tcp_bpf_update_proto also takes a sock out again; `restore` was its second argument before 5.15. */
inline_always int restores(u64 second, u64 third)
{
	return second <= 1 ? second : third & 0xff;
}

#endif
