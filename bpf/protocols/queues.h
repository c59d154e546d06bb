/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kprobe mode before Linux 4.17, which has no raw tracepoint where a segment arrives: a kprobe there would cost three percent of
 * requests and answers. These kprobes are where TCP passes when a connection begins to speak, and seldom after that: it
 * checks a segment closely, acknowledges one at once, and hands the connection to its accept. A queue of the sock, which is
 * locked, has what was received by then.
 */
#ifndef PROTOCOLS_QUEUES_H
#define PROTOCOLS_QUEUES_H

#include "protocols/look.h"

/* The first bytes of a word, at most 8; of less than 0 none. In halves: a shift by 64 is none. */
inline_always u64 first_of_word(s64 bytes)
{
	u64 half = lesser(bytes & ~sign_of(bytes), 8) * 4;

	return ~(~0ULL << half << half);
}

/* As tell_bytes(). Linux 4.4 reads only a constant length: what lies behind the payload is wiped out. */
inline_always void tell_words(void *ctx, struct payload *p, struct piece *piece, u64 most)
{
	u64 bytes = lesser(lesser(piece->bytes, most), p->len);
	u64 *words = (u64 *)p->bytes;
	s64 failed;

	__builtin_memset(p->bytes, 0, sizeof(p->bytes));
	failed = bpf_probe_read(p->bytes, most, (void *)piece->address);
#pragma unroll
	for (u32 i = 0; i < most / sizeof(*words); i++)
		words[i] &= first_of_word(bytes - i * sizeof(*words));
	tell_copied(ctx, p, piece, bytes, failed, COUNTER_LOOK_WAITING, COUNTER_LOOK_LOST);
}

inline_always void tell_first_words(void *ctx, u64 sk, struct payload *p, struct piece *piece)
{
	p->sk = sk;
	p->timestamp = bpf_ktime_get_ns();
	p->kind = EVENT_PAYLOAD;
	tell_words(ctx, p, piece, PAYLOAD_FIRST);
}

/* As tell_payload(). */
inline_always void tell_all_words(void *ctx, u64 sk, struct gate *gate, struct payload *p,
				  struct piece *piece)
{
	tell_first_words(ctx, sk, p, piece);
	note_http2(gate, p);
	if (!is_tls_handshake(p) && !(gate->facts & GATE_HTTP2))
		return;
#pragma unroll
	for (int i = 0; i < PAYLOAD_MORE && p->got && piece->bytes && p->len; i++)
		tell_words(ctx, p, piece, PAYLOAD_BYTES);
}

inline_always const struct payload_layout *known_layout(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&payload_layout, &zero);
}

/*
 * TCP checks a segment closely: the first one of an end that connects. Its own bytes are not acknowledged yet. Of what
 * it receives the acknowledgement tells more; but of a program that waits for it Linux before 4.14 queues nothing.
 */
inline_always void segment_checked(void *ctx, u64 sk, u64 skb)
{
	u32 tag = gate_tag(sk);
	struct gate *gate = gate_of(tag);
	const struct payload_layout *layout;
	struct segment segment = {};
	struct piece piece = {};
	struct payload p = {};

	if (!gate || gate->tag != tag || !gate->tries)
		return;
	layout = known_layout();
	if (!layout || !layout->skb_tail || !begin_look(sk, gate, &p, layout))
		return;
	if (gate->sent && find_sent(sk, gate, &p, &segment, layout, &piece))
		tell_all_words(ctx, sk, gate, &p, &piece);
	if (!find_received(skb, gate, &p, &segment, layout, &piece))
		return;
	tell_first_words(ctx, sk, &p, &piece);
	/* Of what may be TLS or is HTTP/2 the queue shows more. Without branches, of which 4.4 follows each. */
	gate->next = p.stream + p.offset + p.len + (u32)sign_of((p.bytes[0] ^ 0x16) - 1L) -
		     !!(gate->facts & GATE_HTTP2);
}

/* Payload in the receive queue, from which TCP has taken the header. */
inline_always void look_at_queued(void *ctx, u64 sk, u64 skb, struct gate *gate,
				  const struct payload_layout *layout)
{
	struct segment segment = {};
	struct piece piece = {};
	struct payload p = {};
	u32 seqs[2] = {};

	read_kernel(seqs, skb + layout->skb_seq);
	if (seqs[1] == gate->next || !begin_look(sk, gate, &p, layout))
		return;
	gate->next = seqs[1];
	read_segment(skb, layout, &segment);
	if (!segment.len)
		return;
	gate->received--;
	if (!gate->received)
		gate->tries = 0;
	find_payload(&piece, &segment, 0, layout);
	p.len = segment.len;
	p.offset = seqs[0] - p.stream;
	tell_all_words(ctx, sk, gate, &p, &piece);
}

#define PREVIOUS 8 /* in a list of sk_buffs: its last one */

/* A segment that has just been queued is acknowledged. */
inline_always void acknowledging(void *ctx, u64 sk)
{
	u32 tag = gate_tag(sk);
	struct gate *gate = gate_of(tag);
	const struct payload_layout *layout;
	u64 list, skb;

	if (!gate || gate->tag != tag || !gate->tries)
		return;
	layout = known_layout();
	if (!layout || !layout->receive_queue)
		return;
	list = sk + layout->receive_queue;
	skb = word_at(list + PREVIOUS);
	if (skb && skb != list)
		look_at_queued(ctx, sk, skb, gate, layout);
}

/* accept(2) takes the connection: what came before was seen by nobody, as its gate opens only now. */
inline_always void taking(void *ctx, u64 sk)
{
	const struct payload_layout *layout = known_layout();
	struct gate *gate;
	u64 skb;

	open_gate(sk, DIRECTION_INCOMING);
	gate = gate_of(gate_tag(sk));
	if (!gate || !layout || !layout->receive_queue)
		return;
	skb = first_queued(sk + layout->receive_queue);
	if (skb)
		look_at_queued(ctx, sk, skb, gate, layout);
}

#endif
