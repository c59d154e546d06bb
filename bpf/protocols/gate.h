/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The socks that are looked at: a segment of another sock costs a lookup in an array, and no more. */
#ifndef PROTOCOLS_GATE_H
#define PROTOCOLS_GATE_H

#include "lib/maps.h"
#include "lib/offsets.h"

/* Looks that are left at one sock. */
struct gate {
	u32 tag; /* of the sock's address: see gate_tag() */
	u16 tries;
	u8 received;
	u8 sent;
};

/*
 * Gates by a hash of the sock's address. Written when a connection begins or is listed, and at each look; the tool empties
 * the gate of a connection that it has recognised. Nothing is deleted: a sock that begins takes the place of whoever has
 * it, which COUNTER_GATE_TAKEN counts, and the gate of a sock that is gone opens for nobody. The tool makes as many as
 * GATE_BITS say where protocols are asked for.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct gate);
} gates SEC(".maps");

/* The connections that may still begin to be looked at within a span of time. */
struct allowance {
	u32 span;
	u32 left;
};

/*
 * Allowances by the server's port, and behind them the one of the host: on a busy host the tool would do little but
 * recognise the same again. Written by may_begin(); an array, so nothing is deleted. Two CPUs that write at once may look at
 * a connection more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ALLOWANCES + 1);
	__type(key, u32);
	__type(value, struct allowance);
} allowances SEC(".maps");

#define SPAN_BITS 30 /* nanoseconds: about a second */

inline_always volatile struct allowance *allowance_at(u32 slot, u32 span, u32 most)
{
	volatile struct allowance *allowance = bpf_map_lookup_elem(&allowances, &slot);

	if (allowance && allowance->span != span) {
		allowance->left = most;
		allowance->span = span;
	}
	return allowance;
}

/* Whether one more connection to this port of a server may be looked at. */
inline_always int may_begin(u16 server_port)
{
	u32 span = bpf_ktime_get_ns() >> SPAN_BITS;
	volatile struct allowance *of_port, *of_host;
	u32 port_left, host_left;

	of_port = allowance_at(server_port & (ALLOWANCES - 1), span, LOOKED_AT_OF_PORT);
	of_host = allowance_at(ALLOWANCES, span, LOOKED_AT);
	if (!of_port || !of_host)
		return 0;
	/* Each is read once: another CPU may take the last one meanwhile. */
	port_left = of_port->left;
	host_left = of_host->left;
	if (!port_left || !host_left)
		return 0;
	of_port->left = port_left - 1;
	of_host->left = host_left - 1;
	return 1;
}

/* No struct sock is smaller than a cache line, so nearly all socks of a host differ in this. */
inline_always u32 gate_tag(u64 sk)
{
	return (u32)(sk >> 6);
}

inline_always struct gate *gate_of(u32 tag)
{
	u32 slot = tag * GATE_HASH >> (32 - GATE_BITS);

	return bpf_map_lookup_elem(&gates, &slot);
}

/*
 * From now on the segments of this sock are looked at. A server's own bytes tell less than those of its client, which it
 * receives.
 */
inline_always void open_gate(u64 sk, u32 direction)
{
	u32 tag = gate_tag(sk);
	struct gate *gate;

	if (!constant(CONSTANT_PROTOCOLS))
		return;
	gate = gate_of(tag);
	if (!gate)
		return;
	if (gate->tag != tag && gate->tries)
		count_loss(COUNTER_GATE_TAKEN);
	gate->tag = tag;
	gate->tries = LOOKS_TRIED;
	gate->received = LOOKS;
	gate->sent = direction == DIRECTION_INCOMING ? 0 : LOOKS_SENT;
}

inline_always void close_gate(u64 sk)
{
	u32 tag = gate_tag(sk);
	struct gate *gate;

	if (!constant(CONSTANT_PROTOCOLS))
		return;
	gate = gate_of(tag);
	if (gate && gate->tag == tag)
		gate->tries = 0;
}

#endif
