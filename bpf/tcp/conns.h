/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of open TCP connections. */
#ifndef TCP_CONNS_H
#define TCP_CONNS_H

#include "lib/filter.h"

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
	/* Where write_seq stood before the FIN; 0: no handler has seen the FIN being queued. */
	u32 fin_seq;
	/* Sequence numbers less the counters that move with them: see note_sequences(). Both 0: not known. */
	u32 first_acked_seq;
	u32 first_received_seq;
};

/*
 * Open connections by address of their struct sock.
 * Inserted by connect and accept (tracepoints: by SYN_SENT and by the end of an incoming handshake).
 * Deleted by the end of the connection: a connect that fails, tcp_close, tcp_disconnect; and at the latest when the sock
 * is destroyed (tracepoints: by a connect that fails, or when the sock is destroyed). Every sock is destroyed, so no
 * entry stays.
 * The program that deletes an entry tells its end. Two CPUs may see an end each, but only one of them deletes.
 * Read by all handlers in between. Full: the connection is not traced and LOSS_CONNECTION_MAP_FULL counts it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct live);
} conns SEC(".maps");

inline_always int is_unwanted(const struct live *live)
{
	return constant(CONSTANT_FILTERS) && live->event.flags & FACT_UNWANTED;
}

/* A connection that the user did not ask for is no loss. */
inline_always void count_loss_of(const struct live *live, u32 cause)
{
	if (!is_unwanted(live))
		count_loss(cause);
}

/* Returns 0, and counts the loss, when there is no room. */
inline_always int insert_conn(u64 sk, struct live *live)
{
	if (bpf_map_update_elem(&conns, &sk, live, BPF_ANY) == 0)
		return 1;
	count_loss_of(live, LOSS_CONNECTION_MAP_FULL);
	return 0;
}

/*
 * Writes back what lookup_conn() gave. Returns 0 when the connection has ended meanwhile on another CPU (a close starts
 * before it waits for the sock's lock): it must not come back.
 */
inline_always int update_conn(u64 sk, struct live *live)
{
	return bpf_map_update_elem(&conns, &sk, live, BPF_EXIST) == 0;
}

/* Returns 0 when another CPU has told the end of the connection that lookup_conn() gave. */
inline_always int delete_conn(u64 sk)
{
	return delete_entry(&conns, &sk);
}

/* Copies what is known of the sock's connection to the stack. Returns 0 when nothing is. */
inline_always int lookup_conn(u64 sk, struct live *live)
{
	struct live *known = bpf_map_lookup_elem(&conns, &sk);

	if (!known)
		return 0;
	*live = *known;
	return 1;
}

#endif
