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
	u32 socket_ino; /* tracepoint mode: tells a sock from the next one at its address */
	/* Datagrams that may still be looked at: see protocols/datagram.h. */
	u8 looks_received;
	u8 looks_sent;
	u16 _pad;
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

/* A receive that has begun. The sock is the function's first argument; before 4.1, and on RHEL 7, a struct kiocb is. */
struct receive {
	u64 thread; /* pid_tgid; 0 while it is written, and once it is over */
	u64 sk;
	u64 room; /* bytes that the program takes; with MSG_TRUNC it is told the whole length */
	u64 sk_behind_kiocb;
	u64 room_behind_kiocb;
};

/*
 * The receive of each thread, where nothing tells at its end how much was copied: before 4.7, and on RHEL 7.
 * Written when a receive begins, taken when it lets go of its datagram. A receive that finds no datagram ends unseen, so
 * its place is that of a thread, and the next receive writes it anew: it cannot leak or be full. Threads share a place where
 * the low bits of their ids are alike; of the one that was overwritten FACT_RECEIVED_UNKNOWN is told.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the tool makes RECEIVE_PLACES of it where they are needed */
	__type(key, u32);
	__type(value, struct receive);
} udp_receives SEC(".maps");

#endif
