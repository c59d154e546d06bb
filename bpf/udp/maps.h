/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of UDP flows. */
#ifndef UDP_MAPS_H
#define UDP_MAPS_H

#include "lib/maps.h"

/*
 * A UDP flow: what one socket exchanged with one remote end, kept as the event it will end with. timestamp and
 * started_at are its first datagram, ended_at its last so far.
 */
struct flow {
	struct event event;
	u64 socket_ino; /* tracepoint mode: tells a sock from the next one at its address */
};

/*
 * UDP sockets by address of their struct sock, each with its first flow: most have no other.
 * Inserted by a socket's first datagram. Deleted by udp_destroy_sock, when no datagram can be on its way through the
 * socket any more (tracepoints: by run_udp_gone and by the next socket at that address): it cannot leak.
 * Read by every datagram; dumped by the tool. Full: LOSS_FLOW_MAP_FULL counts each datagram that is not.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct flow);
} udp_socks SEC(".maps");

struct flow_key {
	u64 sk;
	u64 saddr_h;
	u64 saddr_l;
	u64 daddr_h;
	u64 daddr_l;
	u16 sport;
	u16 dport;
	u32 cookie; /* of the socket: its sock's address is used again */
	u32 metadata;
	u32 zero;
};

/*
 * The other flows of those sockets.
 * Inserted by a flow's first datagram. Deleted by the tool: when it has drained the end of the socket, when the flow has
 * been silent for its timeout, and, should that event have been lost, when a dump shows no such socket any more.
 * Read by the datagrams of sockets with several flows. Full: as above.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} udp_flows SEC(".maps");

#endif
