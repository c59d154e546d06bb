/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The counters of open connections, when the tool asks for them. Nothing goes through the rings, so however many are
 * asked for, no event loses its place. Nothing is written back to conns: handlers change their entries at any time.
 */
#ifndef TCP_SAMPLE_H
#define TCP_SAMPLE_H

#include "tcp/conn.h"
#include "tcp/open.h"

/* Written by the tool (which connections) and by the programs below (their counters); one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, SAMPLES * sizeof(struct sample));
} samples SEC(".maps");

inline_always int is_other(struct live *known, u32 cookie)
{
	return known->event.cookie != cookie;
}

/*
 * Most connections stand still: four fields tell. A write moves write_seq, a read moves copied_seq, and any other change
 * takes a segment.
 */
inline_always int stands_still(u64 sk, struct sample *sample, struct live *known)
{
	return (sample->state == SAMPLE_TAKEN || sample->state == SAMPLE_SAME) &&
	       sample->write_seq == write_seq(sk) && sample->copied_seq == copied_seq(sk) &&
	       sample->sent_packets == segs_out(sk) - known->base_segs_out &&
	       sample->recv_packets == segs_in(sk) - known->base_segs_in;
}

/*
 * An entry leaves conns before its connection ends, and its sock goes after that: one that is there before and after
 * the reading was this connection's all the time.
 */
inline_always void read_sample(struct sample *sample, struct live *live)
{
	u64 sk = sample->sk;
	u32 cookie = sample->cookie;
	struct live *known = bpf_map_lookup_elem(&conns, &sk);
	u32 wrote, copied;
	mono_ns at;

	if (!known || is_other(known, cookie)) {
		sample->state = SAMPLE_GONE;
		return;
	}
	/* In state CLOSE, and its close is told with the sock's end: for as long as the application keeps it, nothing moves. */
	if (known->event.flags & FACT_TOTALS_TAKEN) {
		sample->state = SAMPLE_SAME;
		return;
	}
	if (stands_still(sk, sample, known)) {
		sample->state = SAMPLE_SAME;
		return;
	}
	sample->state = SAMPLE_GONE;
	*live = *known;
	wrote = write_seq(sk);
	copied = copied_seq(sk);
	if (!read_totals(sk, live)) {
		sample->state = SAMPLE_UNSTABLE;
		return;
	}
	at = bpf_ktime_get_ns();
	known = bpf_map_lookup_elem(&conns, &sk);
	if (!known || is_other(known, cookie))
		return;
	if (known->event.flags & FACT_TOTALS_TAKEN) {
		sample->state = SAMPLE_SAME;
		return;
	}
	/* A FIN that was queued meanwhile may stand in write_seq. */
	if ((known->event.flags ^ live->event.flags) & FACT_FIN_SENT) {
		sample->state = SAMPLE_UNSTABLE;
		return;
	}
	sample->state = SAMPLE_TAKEN;
	sample->timestamp = at;
	sample->sent_bytes = live->event.sent_bytes;
	sample->recv_bytes = live->event.recv_bytes;
	sample->sent_packets = live->event.sent_packets;
	sample->recv_packets = live->event.recv_packets;
	sample->rtt = live->event.rtt;
	sample->rtt_var = live->event.rtt_var;
	sample->retransmits = live->event.retransmits;
	sample->direction = live->event.direction;
	sample->write_seq = wrote;
	sample->copied_seq = copied;
}

/* Linux 5.10 and later, where loops are allowed. */
inline_always void read_samples(u32 count, struct live *live)
{
	u32 zero = 0, i;
	struct sample *sample = bpf_map_lookup_elem(&samples, &zero);

	if (!sample)
		return;
#pragma clang loop unroll(disable)
	for (i = 0; i < SAMPLES && i < count; i++)
		read_sample(&sample[i], live);
}

/* The tool's own getsockopt(2) on a TCP socket: the first few. */
inline_always void read_first_samples(u32 option, struct live *live)
{
	u32 zero = 0;
	struct sample *sample;

	if (option != ASK_SAMPLES || !is_lister())
		return;
	sample = bpf_map_lookup_elem(&samples, &zero);
	if (!sample)
		return;
	_Static_assert(SAMPLES_OF_PROBE == 2, "one line for each");
	read_sample(&sample[0], live);
	read_sample(&sample[1], live);
}

#endif
