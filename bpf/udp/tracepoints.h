/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Handlers of UDP in the tracepoint mode (Linux 6.3 and later): what a system call returned. The remote end is the
 * sock's; of a socket that is not connected it is not known. Datagrams are not told apart, so packets are not counted.
 */
#ifndef UDP_TRACEPOINTS_H
#define UDP_TRACEPOINTS_H

#include "udp/call.h"
#include "udp/errors.h"
#include "udp/named.h"

/* A peek takes nothing, and what the error queue gives back was sent before. */
inline_always s32 received_bytes(s32 result, u32 flags)
{
	return flags & (MSG_PEEK | MSG_ERRQUEUE) ? 0 : result;
}

inline_always void end_known(void *ctx, u64 sk, struct flow *first, struct flow *last)
{
	bpf_map_delete_elem(&sent_elsewhere, &sk);
	end_socket(ctx, sk, first, last);
}

/* Counts it in the flow of a socket that is known, or in a new one. */
inline_always enum counted count_moved(void *ctx, const struct datagram *d, int received,
				       struct flow *fresh)
{
	u64 sk = d->sk;
	struct flow *first = udp_sock(sk);

	/* Nothing tells of the end of a socket: here is the next one at its address. */
	if (first && first->socket_ino != d->socket_ino) {
		end_known(ctx, sk, first, fresh);
		first = 0;
	}
	return count(ctx, first, d, received, fresh);
}

/* flags: of the call. Returns 0 where nothing was counted. */
inline_always int count_call(void *ctx, u64 sk, s32 result, u32 flags, int received,
			     struct flow *fresh)
{
	struct datagram d = {};
	struct named named = {};
	/* Also of a call that failed: the next one is another. */
	int is_named = take_named(sk, &named);

	if (result <= 0)
		return 0;
	read_ends(sk, &d.ends);
	d.ends.metadata &= ~METADATA_TCP;
	d.sk = sk;
	d.bytes = (u32)result;
	d.socket_ino = ino_of(sk);
	find_remote(sk, &d.ends, is_named ? &named : 0, received, d.socket_ino);
	if (!ends_wanted(&d.ends, d.ends.sport))
		return 0;
	/* Of a datagram that is sent in pieces none has its length. */
	if (count_moved(ctx, &d, received, fresh) == COUNTED_TO_LOOK && !(flags & MSG_MORE))
		look_at_call(ctx, &fresh->event, d.bytes, received);
	return 1;
}

/*
 * Runs at each send and receive of the whole host: what is not UDP costs one read, and no variable is written before it. result: 0
 * where nothing is to count.
 */
inline_always int udp_moved(void *ctx, u64 sk, s32 result, u32 flags, int received,
			    struct flow *fresh)
{
	if ((sk_protocol(sk) & constant(CONSTANT_PROTOCOL_MASK)) != IPPROTO_UDP)
		return 0;
	return count_call(ctx, sk, result, flags, received, fresh);
}

/* Over loopback a datagram can draw its error before its send returns, and so before its flow begins here. */
inline_always void udp_sent(void *ctx, u64 sk, s32 result, u32 flags, struct flow *fresh)
{
	if (udp_moved(ctx, sk, result, flags, 0, fresh))
		error_reported(ctx, sk, fresh);
}

/* Asked by the tool for every socket that it knows: is it still there? */
inline_always void end_if_gone(void *ctx, u64 sk, u32 cookie, struct flow *last)
{
	struct flow *first = bpf_map_lookup_elem(&udp_socks, &sk);

	if (first && first->event.cookie == cookie && first->socket_ino != (u32)ino_of(sk))
		end_known(ctx, sk, first, last);
}

#endif
