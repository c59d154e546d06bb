/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a struct sock to its ends: addresses, ports, network namespace. */
#ifndef LIB_TUPLE_H
#define LIB_TUPLE_H

#include "lib/offsets.h"

#define V4_MAPPED                                                                                  \
	0xffff0000ULL /* the third and fourth 32-bit word of ::ffff:a.b.c.d, little endian */

/* The members of struct socket up to its ops: one of them points to its sock. */
#define SOCKET_WORDS 6

inline_always u16 from_be16(u16 value)
{
	return value >> 8 | value << 8;
}

/* Ports, addresses and metadata. Returns 0 when the sock is not a connection (a port or both addresses are missing). */
inline_always int ends_from(u64 sk, const struct sock_start *start, struct ends *ends)
{
	ends->sport = start->skc_num;
	if (!ends->sport)
		ends->sport = from_be16(inet_sport(sk));
	ends->dport = from_be16(start->skc_dport);
	ends->metadata = METADATA_TCP;
	if (start->skc_family == AF_INET6 && !constant(CONSTANT_HAS_IPV6))
		return 0;
	if (start->skc_family == AF_INET6) {
		ends->saddr_h = start->skc_v6_rcv_saddr.high;
		ends->saddr_l = start->skc_v6_rcv_saddr.low;
		ends->daddr_h = start->skc_v6_daddr.high;
		ends->daddr_l = start->skc_v6_daddr.low;
		if (ends->daddr_h == 0 && (u32)ends->daddr_l == V4_MAPPED) {
			ends->saddr_h = 0;
			ends->saddr_l >>= 32;
			ends->daddr_l >>= 32;
		} else {
			ends->metadata |= METADATA_IPV6;
		}
	} else {
		ends->saddr_h = 0;
		ends->daddr_h = 0;
		ends->saddr_l = start->skc_rcv_saddr;
		ends->daddr_l = start->skc_daddr;
	}
	return ends->sport && ends->dport;
}

inline_always int read_ends(u64 sk, struct ends *ends)
{
	struct sock_start start = {};

	read_start(sk, &start);
	keep_in_memory(&start);
	return ends_from(sk, &start, ends);
}

/* The same, with the namespace. */
inline_always int read_tuple(u64 sk, struct event *event)
{
	struct sock_start start = {};

	read_start(sk, &start);
	event->netns = netns_of(start.skc_net);
	return ends_from(sk, &start, &event->ends);
}

#endif
