/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPS_H
#define MAPS_H

#include "kernel.h"

/*
 * An open connection: the event it will end with, filled in as things become known. Programs work on a copy on
 * the stack, one per program, since 512 bytes hold no two.
 */
struct live {
	struct event event;
	/* Counters that were there before this connection: 4.4 to 4.19 keep them over a disconnect. */
	u64 base_acked;
	u64 base_received;
	u32 base_segs_in;
	u32 base_segs_out;
	u32 base_retrans;
	u32 _pad;
};

/*
 * Open connections by address of their struct sock.
 * Inserted by connect and accept (tracepoints: by SYN_SENT and by the end of an incoming handshake).
 * Deleted by what ends the connection: a connect that fails, tcp_close, tcp_disconnect; and at the latest when the
 * sock is destroyed, which every sock is (tracepoints: by a connect that fails, else by that alone): it cannot leak.
 * Whoever deletes an entry tells its end. Two CPUs may see an end each, but only one of them deletes.
 * Read by all handlers in between. Full: the connection is not traced and LOSS_CONNECTION_MAP_FULL counts it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct live);
} conns SEC(".maps");

/* A connect(2) on its way through the protocol. */
struct attempt {
	u64 sk;
	u64 address; /* of the kernel's copy of the struct sockaddr */
	u64 length;
};

/*
 * kprobe mode: calls of tcp_v4_connect and tcp_v6_connect by pid_tgid.
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

/* Events to the tool, one ring per CPU. Written as batch.h says, drained by the tool at each poll. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} events SEC(".maps");

/*
 * Events that their ring did not take: it was full, or its CPU has been off since it was opened.
 * Inserted by send_event() and send_batch(); read and deleted by the tool at each poll. Full: LOSS_EVENT_RING_FULL counts the event.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct spill_key);
	__type(value, struct event);
} spill SEC(".maps");

/* Counters of what was lost, by enum loss. Added to by the handlers, read by the tool, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LOSS_MAX);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps");

/* Tracepoint mode: what run_accepted found. socket_ino 0: nobody has accepted yet. */
struct accepted {
	u64 sk;
	u64 socket_ino;
	u32 cookie;
	u32 gone; /* 1: the connection has ended, its close is on its way */
};

/* Written by run_accepted, read by the tool right after each run; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct accepted);
} accepted_answer SEC(".maps");

/*
 * A UDP flow: what one socket exchanged with one remote end, kept as the event it will end with. conn_stats.timestamp
 * is its last datagram, conn_stats.duration its first.
 */
struct flow {
	struct event event;
	u64 sent_packets;
	u64 recv_packets;
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

inline_always void count_loss(u32 cause)
{
	u64 *count = bpf_map_lookup_elem(&losses, &cause);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/*
 * Deletes what is to be told as ended. Returns 0 when another CPU was first. Since 6.15 a map's lock may also not be had in
 * time: what then stays in it is told when the sock is used again, or not at all.
 */
inline_always int take_out(void *map, const u64 *sk)
{
	s64 err = bpf_map_delete_elem(map, sk);

	if (err && err != -ENOENT)
		err = bpf_map_delete_elem(map, sk);
	if (err && err != -ENOENT)
		count_loss(LOSS_MAP_BUSY);
	return err == 0;
}

#endif
