/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first bytes of the first datagrams of a flow, by which the tool recognises the protocol. A flow says itself how many
 * are still to be looked at: once both ends were heard none is, and a datagram costs nothing more.
 */
#ifndef PROTOCOLS_DATAGRAM_H
#define PROTOCOLS_DATAGRAM_H

#include "protocols/look.h"

/* The verifier of 4.4 looks at 32,768 instructions. */
#ifdef LINUX_5_10
#define LOOKS_AT_DATAGRAMS 1
#else
#define LOOKS_AT_DATAGRAMS 0
#endif

/* enum datagram_looking. Written by the tool, one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} datagram_looking SEC(".maps");

/* A hash of the end that serves, and of which of the two ends this is; never 0, and another one than that of a connection. */
inline_always u32 endpoint_of_flow(const struct event *event)
{
	const struct ends *ends = &event->ends;
	int is_server = event->direction == DIRECTION_INCOMING;
	u32 hash = mix(event->netns, is_server ? 2 << 16 | ends->sport : 3 << 16 | ends->dport);
	u64 high = is_server ? ends->saddr_h : ends->daddr_h;
	u64 low = is_server ? ends->saddr_l : ends->daddr_l;

	hash = mix(hash, high ^ high >> 32);
	hash = mix(hash, low ^ low >> 32);
	return hash | 1;
}

/* How many datagrams of each direction of this flow, which begins, may be looked at. */
inline_always u8 looks_of_flow(const struct event *event)
{
	u32 zero = 0;
	u32 *looking;

	if (!LOOKS_AT_DATAGRAMS || !constant(CONSTANT_DATAGRAMS))
		return 0;
	looking = bpf_map_lookup_elem(&datagram_looking, &zero);
	if (!looking || *looking == DATAGRAMS_PASSED_OVER)
		return 0;
	if (may_begin(endpoint_of_flow(event)) || *looking == DATAGRAMS_UNLIMITED)
		return FLOW_LOOKS;
	count_loss(COUNTER_FLOW_SPARED);
	return 0;
}

/* Tells of the next bytes of the piece, as tell_bytes() does. */
inline_always void tell_datagram_bytes(void *ctx, struct datagram_look *p, struct piece *piece)
{
	u64 bytes = lesser(lesser(piece->bytes, DATAGRAM_BYTES), p->len);
	s64 failed;

	/* For the verifier: no more than lies behind them in a struct event. */
	asm volatile("%0 &= 127" : "+r"(bytes));
	__builtin_memset(p->bytes, 0, sizeof(p->bytes));
	/* A buffer of a process, or the kernel's sk_buff, whose addresses begin with a set bit. */
	if ((s64)piece->address >= 0)
		failed = copy_process(p->bytes, bytes, piece->address);
	else
		failed = copy_payload(p->bytes, DATAGRAM_BYTES, bytes, piece->address);
	p->timestamp = bpf_ktime_get_ns();
	p->flags = 0;
	tell_copied(ctx, p, piece, bytes, failed, COUNTER_DATAGRAM_LOST, COUNTER_DATAGRAM_LOST);
}

/* A question of DNS: no answer, an operation of 4 bits that most often is 0, and one question. */
inline_always int asks_name(const struct datagram_look *p)
{
	return !(p->bytes[2] & 0xf8) && !p->bytes[4] && p->bytes[5] == 1;
}

/* An answer to one question, from where a name server is. */
inline_always int answers_name(const struct datagram_look *p)
{
	return constant(CONSTANT_ANSWERS) && !p->sent && p->ends.dport == DNS_PORT &&
	       (p->bytes[2] & 0xf8) == 0x80 && !p->bytes[4] && p->bytes[5] == 1;
}

/* event: of the datagram's flow, with its ends and its direction; it is used up. length: of the whole datagram. */
inline_always void tell_datagram(void *ctx, struct event *event, struct piece *piece, u64 length,
				 int received)
{
	struct datagram_look *p = (struct datagram_look *)event;
	int more = 0;

	p->endpoint = endpoint_of_flow(event);
	p->kind = EVENT_DATAGRAM;
	p->sent = !received;
	p->offset = 0;
	p->len = length;
	tell_datagram_bytes(ctx, p, piece);
	if (asks_name(p))
		more = DATAGRAM_MORE;
	else if (answers_name(p))
		more = ANSWER_MORE;
#pragma clang loop unroll(disable)
	for (int i = 0; i < more && p->got && piece->bytes && p->len; i++)
		tell_datagram_bytes(ctx, p, piece);
}

#endif
