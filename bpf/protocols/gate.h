/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The socks that are looked at: a segment of another sock costs a lookup in an array, and no more. */
#ifndef PROTOCOLS_GATE_H
#define PROTOCOLS_GATE_H

#include "lib/maps.h"
#include "lib/offsets.h"
#include "protocols/lease.h"

/* Looks that are left at one sock. */
struct gate {
	u32 tag; /* of the sock's address: see gate_tag() */
	u8 tries;
	u8 facts; /* enum gate_fact */
	u8 received;
	u8 sent;
	u32 stream; /* of the connection that is looked at, as in struct payload; 0: of none yet */
	u32 next; /* before 4.17: sequence number behind the newest payload that was looked at in the queue */
};

enum gate_fact {
	GATE_OF_SERVER = 1, /* of the end that serves, as far as is known */
	GATE_HTTP2 = 2,	    /* HTTP/2 is spoken: more of its segments is looked at */
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

/*
 * Allowances by the first bits of the endpoint's hash, and behind them the one of the host: on a busy host the tool would do
 * little but recognise the same again. Written by may_begin(); the tool sets the verdict. An array, so nothing is deleted: an
 * endpoint takes the place of another one with the same bits. Two CPUs that write at once may look at a connection more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, (1 << ENDPOINT_BITS) + 1);
	__type(key, u32);
	__type(value, struct allowance);
} allowances SEC(".maps");

/* The allowance at the slot, in this span; 0: a key that is none. */
inline_always volatile struct allowance *allowance_at(u32 slot, u32 endpoint)
{
	volatile struct allowance *allowance = bpf_map_lookup_elem(&allowances, &slot);
	u32 span = bpf_ktime_get_ns() >> SPAN_BITS;

	if (!allowance)
		return 0;
	if (allowance->endpoint != endpoint) {
		allowance->endpoint = endpoint;
		allowance->begun = 0;
		allowance->verdict = VERDICT_NONE;
	}
	if (allowance->span != span) {
		allowance->before = allowance->span + 1 == span ? allowance->begun : 0;
		allowance->begun = 0;
		allowance->span = span;
	}
	return allowance;
}

inline_always u32 looks_by_verdict(u32 verdict)
{
	if (verdict == VERDICT_ALIKE)
		return LOOKED_AT_ALIKE;
	return verdict == VERDICT_MIXED ? LOOKED_AT_MIXED : LOOKED_AT_NEW;
}

/* Whether one more connection of this endpoint may be looked at. */
inline_always int may_begin(u32 endpoint)
{
	volatile struct allowance *own = allowance_at(endpoint >> (32 - ENDPOINT_BITS), endpoint);
	volatile struct allowance *host;
	u32 begun, most = LOOKED_AT_QUIET;

	if (!own)
		return 0;
	begun = own->begun + 1;
	own->begun = begun;
	if (own->before > LOOKED_AT_QUIET || begun > LOOKED_AT_QUIET)
		most = looks_by_verdict(own->verdict);
	if (begun > most)
		return 0;
	host = allowance_at(1 << ENDPOINT_BITS, 0);
	if (!host || host->begun >= LOOKED_AT)
		return 0;
	host->begun++;
	return 1;
}

inline_always u32 mix(u32 hash, u32 word)
{
	hash = (hash ^ word) * GATE_HASH;
	return hash ^ hash >> 15;
}

/* A hash of the end that serves, and of which of the two ends this sock is; never 0. */
inline_always u32 endpoint_of(u64 sk, int is_server)
{
	struct sock_start start = {};
	struct in6 address;
	u32 hash;

	read_start(sk, &start);
	hash = mix(start.skc_net >> 6, is_server ? start.skc_num : 0x10000 | start.skc_dport);
	if (start.skc_family == AF_INET6) {
		address = is_server ? start.skc_v6_rcv_saddr : start.skc_v6_daddr;
		hash = mix(hash, address.high ^ address.high >> 32);
		hash = mix(hash, address.low ^ address.low >> 32);
	} else {
		hash = mix(hash, is_server ? start.skc_rcv_saddr : start.skc_daddr);
	}
	return hash | 1;
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

/* From now on the segments of this sock are looked at. */
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
	gate->sent = LOOKS_SENT;
	gate->facts = direction == DIRECTION_INCOMING ? GATE_OF_SERVER : 0;
	gate->stream = 0;
	note_opened();
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
