/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kprobe mode: calls of connect(2) that fail before, or while, a SYN is sent (no route, no free port). No function is
 * called then that could be probed, so the call's return is looked at. IPv4 through an IPv6 socket calls one of the
 * two functions from within the other: the inner return takes the entry, the outer one finds none.
 */
#ifndef TCP_ATTEMPT_H
#define TCP_ATTEMPT_H

#include "tcp/failure.h"

#define SOCKADDR_IN_SIZE 16
#define SOCKADDR_IN6_SIZE 24 /* without the scope, which came later */

/* A connect(2) on its way through the protocol. */
struct attempt {
	u64 sk;
	u64 address; /* of the kernel's copy of the struct sockaddr */
	u64 length;
};

/*
 * kprobe mode: calls of tcp_v4_connect and tcp_v6_connect by pid_tgid. With fexit only those that fail inside of another one.
 * Inserted when they are entered, by processes that are asked for; deleted when they return; the next connect of that
 * thread overwrites what a return that was not seen has left. Full: LOSS_ATTEMPT_MAP_FULL counts it, and should that
 * connect fail before its SYN, nobody tells.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct attempt);
} attempts SEC(".maps");

inline_always void attempting(u64 sk, u64 address, u32 length)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct attempt attempt = { .sk = sk, .address = address, .length = length };

	if (!current_wanted())
		return;
	if (bpf_map_update_elem(&attempts, &thread, &attempt, BPF_ANY) != 0)
		count_loss(LOSS_ATTEMPT_MAP_FULL);
}

inline_always void read_attempt_v6(const struct attempt *attempt, struct ends *ends)
{
	struct in6 address = {};

	read_kernel(address, attempt->address + 8);
	if (address.high == 0 && (u32)address.low == V4_MAPPED) {
		ends->daddr_l = address.low >> 32;
		ends->saddr_l = skc_rcv_saddr(attempt->sk);
		return;
	}
	ends->metadata |= METADATA_IPV6;
	ends->daddr_h = address.high;
	ends->daddr_l = address.low;
	if (!constant(CONSTANT_HAS_IPV6))
		return;
	skc_v6_rcv_saddr(attempt->sk, &address);
	ends->saddr_h = address.high;
	ends->saddr_l = address.low;
}

/*
 * The remote end from the caller's address, which is still there; of the local end what the socket was bound to. event
 * is zeroed. Returns 0 when connect(2) was not given an address.
 */
inline_always int read_attempt(const struct attempt *attempt, struct event *event)
{
	struct ends *ends = &event->ends;
	u16 family = 0, port = 0;
	u32 address = 0;

	read_kernel(family, attempt->address);
	read_kernel(port, attempt->address + 2);
	ends->dport = from_be16(port);
	ends->sport = skc_num(attempt->sk);
	ends->metadata = METADATA_TCP;
	event->netns = netns_of(skc_net(attempt->sk));
	if (family == AF_INET6 && attempt->length >= SOCKADDR_IN6_SIZE) {
		read_attempt_v6(attempt, ends);
		return 1;
	}
	if (family != AF_INET || attempt->length < SOCKADDR_IN_SIZE)
		return 0;
	read_kernel(address, attempt->address + 4);
	ends->daddr_l = address;
	ends->saddr_l = skc_rcv_saddr(attempt->sk);
	return 1;
}

/* connect(2) has failed; the connection was not begun. live is zeroed. */
inline_always void tell_attempt(void *ctx, const struct attempt *attempt, u16 reason,
				struct live *live)
{
	if (!read_attempt(attempt, &live->event))
		return;
	if (!ends_wanted(&live->event.ends, live->event.ends.sport))
		return;
	begin(attempt->sk, live, DIRECTION_OUTGOING);
	own_by_current(&live->event);
	live->event.flags |= opened_for_other(attempt->sk, &live->event.owner);
	if (is_foreign(&live->event))
		return;
	judge_owner(&live->event);
	tell_failure(ctx, live, reason, 0);
}

/* connect(2) has failed. */
inline_always void tell_failed_connect(void *ctx, const struct attempt *attempt, u16 reason,
				       struct live *live)
{
	/* tcp_connect was called, and failed itself. */
	if (lookup_conn(attempt->sk, live)) {
		if (!(live->event.flags & FACT_ESTABLISHED))
			fail_after(ctx, attempt->sk, live, reason, 0);
		return;
	}
	__builtin_memset(live, 0, sizeof(*live));
	tell_attempt(ctx, attempt, reason, live);
}

inline_always void attempted(void *ctx, s32 result, struct live *live)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct attempt *found, attempt;

	if (result >= 0) {
		bpf_map_delete_elem(&attempts, &thread);
		return;
	}
	found = bpf_map_lookup_elem(&attempts, &thread);
	if (!found)
		return;
	attempt = *found;
	bpf_map_delete_elem(&attempts, &thread);
	tell_failed_connect(ctx, &attempt, -result, live);
}

/*
 * The same with fexit, which has the arguments: nothing is kept meanwhile. inner: tcp_v4_connect has failed, which for a socket
 * of IPv6 tcp_v6_connect has called: was_told() is to know.
 */
inline_always void connect_failed(void *ctx, const struct attempt *attempt, s32 result, int inner,
				  struct live *live)
{
	u64 thread = bpf_get_current_pid_tgid();

	if (!current_wanted())
		return;
	/* If it cannot be noted, the outer one tells. */
	if (inner && skc_family(attempt->sk) == AF_INET6 &&
	    bpf_map_update_elem(&attempts, &thread, attempt, BPF_ANY) != 0)
		return;
	tell_failed_connect(ctx, attempt, -result, live);
}

/* tcp_v6_connect has failed: 1 where tcp_v4_connect, which it has called, has told. */
inline_always int was_told(u64 sk)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct attempt *inner = bpf_map_lookup_elem(&attempts, &thread);
	int told = inner && inner->sk == sk;

	if (inner)
		bpf_map_delete_elem(&attempts, &thread);
	return told;
}

#ifdef LINUX_5_10
/* The function has its arguments, and its result behind them. inner: as for connect_failed(). */
inline_always void connect_over(void *ctx, int inner)
{
	s32 result = returned(ctx, 3);
	struct attempt attempt;
	struct live live;

	if (result >= 0)
		return;
	attempt.sk = argument(ctx, 1);
	if (!inner && was_told(attempt.sk))
		return;
	attempt.address = argument(ctx, 2);
	attempt.length = (u32)argument(ctx, 3);
	connect_failed(ctx, &attempt, result, inner, &live);
}
#endif

#endif
