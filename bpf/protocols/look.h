/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first bytes of segments, by which the tool recognises the protocol. A segment that arrives is looked at before TCP has
 * taken it: its sk_buff begins with the TCP header.
 */
#ifndef PROTOCOLS_LOOK_H
#define PROTOCOLS_LOOK_H

#include "lib/maps.h"
#include "lib/tuple.h"
#include "protocols/gate.h"
#include "tcp/conns.h"

/* Written by the tool, one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct payload_layout);
} payload_layout SEC(".maps");

/* Members of struct sk_buff: two distances from head, and two pointers. On some kernels padding lies between. */
struct skb_buffer {
	u32 tail;
	u32 end;
	u64 head;
	u64 data;
};

/* struct tcphdr, in network order. */
struct tcp_header {
	u16 source;
	u16 dest;
	u32 seq;
	u32 ack_seq;
	u8 doff; /* the high 4 bits: words of 4 bytes */
	u8 flags;
};

/* An entry of skb_shared_info.frags: which of the two is the length changes from kernel to kernel. */
struct frag {
	u64 page; /* bit 0: memory of a device, which nobody can read */
	u32 words[2];
};

inline_always u32 from_be32(u32 value)
{
	return __builtin_bswap32(value);
}

/* A piece of payload that lies in one place. */
struct piece {
	u64 address; /* 0: it cannot be read */
	u32 bytes;
};

/* Payload that lies in pages, not in the buffer of the sk_buff: the first page's. */
inline_always void find_in_pages(struct piece *piece, const struct skb_buffer *buffer,
				 const struct payload_layout *layout)
{
	u64 shared = buffer->head + buffer->end;
	struct frag frag = {};
	u8 frags = 0;

	if (!layout->page_shift)
		return;
	read_kernel(frags, shared + layout->nr_frags);
	if (!frags)
		return;
	read_kernel(frag, shared + layout->frags);
	if (frag.page & 1)
		return;
	piece->bytes = layout->len_first ? frag.words[0] : frag.words[1];
	piece->address = (frag.page << layout->page_shift) + layout->page_base +
			 (layout->len_first ? frag.words[1] : frag.words[0]);
}

/*
 * The connection of the sock. Returns 0 where it is not asked for. Before an accept of kprobe mode nothing is known of it but that
 * it came in, and cookie is 0.
 */
inline_always int find_connection(u64 sk, struct payload *p)
{
	struct live *known = bpf_map_lookup_elem(&conns, &sk);

	p->direction = DIRECTION_INCOMING;
	if (!known)
		return 1;
	p->direction = known->event.direction;
	p->cookie = known->event.cookie;
	return !is_unwanted(known);
}

/*
 * Records of payload that may still be sent, of datagrams too. Written by the tool: LOOKS_WAITING at the start, and after
 * polls. Counted down by send_look(). One entry, never deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} look_room SEC(".maps");

/*
 * A record of payload that is lost loses no event, so it waits in no batch, and nowhere where the ring is full. `waiting` and
 * `lost` count it.
 */
inline_always void send_look(void *ctx, void *record, u32 waiting, u32 lost)
{
	u32 zero = 0, left;
	volatile u32 *room = bpf_map_lookup_elem(&look_room, &zero);

	if (!room)
		return;
	left = *room;
	if (!left) {
		count_loss(waiting);
		return;
	}
	*room = left - 1;
	if (bpf_perf_event_output(ctx, &events, bpf_get_smp_processor_id(), record,
				  sizeof(struct payload)) != 0)
		count_loss(lost);
}

/* -1 below zero, else 0. Opaque, as the compiler would make branches of it, of which the verifier follows each. */
inline_always u64 sign_of(s64 value)
{
	u64 sign = value >> 63;

	asm volatile("" : "+r"(sign));
	return sign;
}

inline_always u64 lesser(u64 a, u64 b)
{
	return b + ((a - b) & sign_of(a - b));
}

/*
 * Sends what was copied of a piece, and goes on behind it. p: a struct payload or a struct datagram_look. failed: below 0 where
 * nothing was.
 */
#define tell_copied(ctx, p, piece, bytes, failed, waiting, lost)                                   \
	do {                                                                                       \
		(p)->got = (bytes) & ~sign_of(failed);                                             \
		send_look(ctx, p, waiting, lost);                                                  \
		(piece)->address += (bytes);                                                       \
		(piece)->bytes -= (bytes);                                                         \
		(p)->offset += (bytes);                                                            \
		(p)->len -= (bytes);                                                               \
	} while (0)

/*
 * Copies the first bytes of a piece of payload, `room` at most, which is a constant. Returns 0 if it could. Words that are
 * loaded may end behind the piece: `got` tells how many bytes count. Payload may be all 0, so only its address tells.
 */
#ifdef LINUX_6_2
#define copy_payload(to, room, bytes, address) (copy_words(to, room, address), -(s64)is_0(address))
#else
#define copy_payload(to, room, bytes, address) bpf_probe_read(to, bytes, (void *)(address))
#endif

/* Tells of the next bytes of the piece, at most `most`. p: stream, offset, len, sent and connection are filled. */
inline_always void tell_bytes(void *ctx, struct payload *p, struct piece *piece, u64 most)
{
	u64 bytes = lesser(lesser(piece->bytes, most), p->len);
	s64 failed;

	/* For the verifier, of which some forget what the comparison has shown. */
	asm volatile("%0 &= 127" : "+r"(bytes));
	__builtin_memset(p->bytes, 0, sizeof(p->bytes));
	/* An address of 0 cannot be read either. */
	failed = copy_payload(p->bytes, most, bytes, piece->address);
	tell_copied(ctx, p, piece, bytes, failed, COUNTER_LOOK_WAITING, COUNTER_LOOK_LOST);
}

/* Content type 22, and the major version that all of them have. */
inline_always int is_tls_handshake(const struct payload *p)
{
	return p->got > 2 && p->bytes[0] == 0x16 && p->bytes[1] == 3;
}

/* "PRI * HTTP/2.0": of the preface the first 8 bytes, which no other protocol's request begins with. */
#define HTTP2_PREFACE 0x5448202a20495250ULL

inline_always void note_http2(struct gate *gate, const struct payload *p)
{
	if (p->got > 14 && *(const u64 *)p->bytes == HTTP2_PREFACE)
		gate->facts |= GATE_HTTP2;
}

/* Loops are for Linux 5.3 and later. */
#ifdef LINUX_5_10
#define UNROLLED_BEFORE_5_10 _Pragma("clang loop unroll(disable)")
#else
#define UNROLLED_BEFORE_5_10 _Pragma("unroll")
#endif

inline_always void tell_payload(void *ctx, u64 sk, struct gate *gate, struct payload *p,
				struct piece *piece)
{
	p->sk = sk;
	p->timestamp = bpf_ktime_get_ns();
	p->kind = EVENT_PAYLOAD;
	tell_bytes(ctx, p, piece, PAYLOAD_FIRST);
	note_http2(gate, p);
	if (!is_tls_handshake(p) && !(gate->facts & GATE_HTTP2))
		return;
	UNROLLED_BEFORE_5_10
	for (int i = 0; i < PAYLOAD_MORE && p->got && piece->bytes && p->len; i++)
		tell_bytes(ctx, p, piece, PAYLOAD_BYTES);
}

/* The tree of sk_buffs that are sent and not acknowledged: the first bytes are nearly alone in it. */
#define RTX_DEPTH 3
#define RB_LEFT 16 /* rb_left in struct rb_node, with which a queued sk_buff begins */

/* Of a list of sk_buffs: each begins with the next and the previous one, and so does the list. 0: it is empty. */
inline_always u64 first_queued(u64 list)
{
	u64 skb = word_at(list);

	return skb == list ? 0 : skb;
}

/* The oldest sk_buff that is not acknowledged; 0: there is none. The sock is locked, so the tree stays as it is. */
inline_always u64 oldest_sent(u64 sk, const struct payload_layout *layout)
{
	u64 skb = layout->rtx_queue ? word_at(sk + layout->rtx_queue) : 0;
	u64 left;

#ifndef LINUX_5_10
	if (layout->write_queue)
		return first_queued(sk + layout->write_queue);
#endif
#pragma unroll
	for (int i = 0; i < RTX_DEPTH && skb; i++) {
		left = word_at(skb + RB_LEFT);
		if (!left)
			break;
		skb = left;
	}
	return skb;
}

/* struct sk_buff, as far as it matters here. */
struct segment {
	u32 len;
	u32 data_len;
	struct skb_buffer buffer;
};

inline_always void read_segment(u64 skb, const struct payload_layout *layout,
				struct segment *segment)
{
	u32 lens[2] = {}, ends[2] = {};
	u64 buffer[2] = {};

	read_kernel(lens, skb + layout->skb_len);
	segment->len = lens[0];
	segment->data_len = lens[1];
	read_kernel(ends, skb + layout->skb_tail);
	read_kernel(buffer, skb + layout->skb_head);
	segment->buffer.tail = ends[0];
	segment->buffer.end = ends[1];
	segment->buffer.head = buffer[0];
	segment->buffer.data = buffer[1];
}

/* Payload behind `header` bytes. */
inline_always void find_payload(struct piece *piece, const struct segment *segment, u32 header,
				const struct payload_layout *layout)
{
	u32 in_buffer = segment->len - segment->data_len;

	piece->address = 0;
	piece->bytes = 0;
	if (in_buffer > header) {
		piece->address = segment->buffer.data + header;
		piece->bytes = in_buffer - header;
	} else {
		find_in_pages(piece, &segment->buffer, layout);
	}
}

/*
 * An answer has come: the bytes that it answers are not taken off the queue yet. p: the connection is filled. Returns 0 where
 * there are none.
 */
inline_always int find_sent(u64 sk, struct gate *gate, struct payload *p, struct segment *segment,
			    const struct payload_layout *layout, struct piece *piece)
{
	u64 skb = oldest_sent(sk, layout);

	if (!skb)
		return 0;
	gate->sent--;
	read_segment(skb, layout, segment);
	find_payload(piece, segment, 0, layout);
	p->len = segment->len;
	/* The SYN of the end that connects counts as a byte. */
	p->offset = (u32)bytes_acked(sk) - (p->direction == DIRECTION_OUTGOING);
	p->sent = 1;
	return 1;
}

/* The segment that arrives. Returns 0 where it has no payload. */
inline_always int find_received(u64 skb, struct gate *gate, struct payload *p,
				struct segment *segment, const struct payload_layout *layout,
				struct piece *piece)
{
	struct tcp_header header = {};
	u32 header_bytes;

	read_segment(skb, layout, segment);
	read_kernel(header, segment->buffer.data);
	header_bytes = (header.doff >> 4) * 4;
	if (segment->len <= header_bytes)
		return 0;
	gate->received--;
	/* A connection that goes on for so long has sent what it begins with. */
	if (!gate->received)
		gate->tries = 0;
	find_payload(piece, segment, header_bytes, layout);
	p->len = segment->len - header_bytes;
	p->offset = from_be32(header.seq) - p->stream;
	p->sent = 0;
	return 1;
}

/* A sock whose gate is open is about to be looked at. Returns 0 where it is not; else p's connection is filled. */
inline_always int begin_look(u64 sk, struct gate *gate, struct payload *p,
			     const struct payload_layout *layout)
{
	if (gate->tries == LOOKS_TRIED) {
		p->endpoint = endpoint_of(sk, gate->facts & GATE_OF_SERVER);
		if (!may_begin(p->endpoint) && !layout->unlimited) {
			gate->tries = 0;
			count_loss(COUNTER_LOOK_SPARED);
			return 0;
		}
	}
	gate->tries--;
	if (!find_connection(sk, p)) {
		gate->tries = 0;
		return 0;
	}
	p->dport = from_be16(skc_dport(sk));
	p->stream = rcv_nxt(sk) - (u32)bytes_received(sk);
	gate->stream = p->stream;
	return 1;
}

/* A segment has arrived for a sock whose gate is open. */
inline_always void look(void *ctx, u64 sk, u64 skb, struct gate *gate)
{
	u32 zero = 0;
	const struct payload_layout *layout = bpf_map_lookup_elem(&payload_layout, &zero);
	struct segment segment = {};
	struct piece piece = {};
	struct payload p = {};

	if (!layout || !layout->skb_tail || !begin_look(sk, gate, &p, layout))
		return;
	if (gate->sent && find_sent(sk, gate, &p, &segment, layout, &piece))
		tell_payload(ctx, sk, gate, &p, &piece);
	if (find_received(skb, gate, &p, &segment, layout, &piece))
		tell_payload(ctx, sk, gate, &p, &piece);
}

/* A segment has arrived for a sock. Of nearly all segments this is all that runs. */
inline_always void segment_arrives(void *ctx, u64 sk, u64 skb)
{
	u32 tag = gate_tag(sk);
	struct gate *gate = gate_of(tag);

	if (gate && gate->tag == tag && gate->tries)
		look(ctx, sk, skb, gate);
	note_segment(ctx);
}

#endif
