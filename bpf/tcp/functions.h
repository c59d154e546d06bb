/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The functions that a sock uses (skc_prot): TCP's own, unless a sockmap, kTLS or MPTCP has put others in their place. They
 * tell what no state of the sock does.
 */
#ifndef TCP_FUNCTIONS_H
#define TCP_FUNCTIONS_H

#include "lib/offsets.h"
#include "tcp/conns.h"

/* Found by the tool with socks of its own: src/trace/tcp/functions.ts. */
struct sock_functions {
	u64 at;	      /* the offset of skc_prot; 0: it is not known, nor is the rest */
	u64 tcp_v4;   /* TCP's own */
	u64 tcp_v6;   /* 0: no IPv6 */
	u64 sockmaps; /* where the tables of sockmaps begin */
	u64 sockmaps_bytes;
};

/* Written by the tool before the first line is shown, read by the programs; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct sock_functions);
} sock_functions SEC(".maps");

inline_always u64 functions_of(u64 sk, const struct sock_functions *known)
{
	return word_at(sk + known->at);
}

/*
 * A send or a receive of any socket has ended. In a sockmap it may have moved bytes past TCP, and the sock leaves the sockmap
 * before its end.
 */
inline_always void moved_in_sockmap(u64 sk)
{
	u32 zero = 0;
	struct sock_functions *known = bpf_map_lookup_elem(&sock_functions, &zero);
	struct live *live;

	if (!known || functions_of(sk, known) - known->sockmaps >= known->sockmaps_bytes)
		return;
	live = bpf_map_lookup_elem(&conns, &sk);
	if (live)
		live->event.flags |= FACT_REDIRECTED;
}

#define KWORKER 0x2f72656b726f776bULL /* "kworker/" */

/*
 * A worker of the kernel connects. The first subflow of MPTCP is opened by a process; the further ones are opened by a worker,
 * for the process that nobody names. A sock whose functions are TCP's own is the kernel's own (NFS).
 */
inline_always u32 opened_for_other(u64 sk __attribute__((unused)),
				   const struct owner *owner __attribute__((unused)))
{
#ifdef LINUX_5_10
	u32 zero = 0;
	struct sock_functions *known;
	u64 functions, name = 0;

	__builtin_memcpy(&name, owner->comm, sizeof(name));
	if (name != KWORKER)
		return 0;
	known = bpf_map_lookup_elem(&sock_functions, &zero);
	if (!known)
		return 0;
	functions = functions_of(sk, known);
	if (known->at && (functions == known->tcp_v4 || functions == known->tcp_v6))
		return 0;
	return FACT_OPENED_FOR_OTHER;
#else
	return 0;
#endif
}

#endif
