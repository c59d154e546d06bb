/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The totals of a TCP connection, read from its tcp_sock. No probe is on the send and receive path.
 *
 * Written by the application: what write_seq has moved, less one for the SYN of an active open and one for a FIN.
 * Read by the application: what copied_seq has moved, less one when the FIN of the peer has been read past.
 * Sequence numbers have 32 bits. The counters of 64 bits say how often they began anew: bytes_acked moves with snd_una,
 * also at the SYN of an active open (the SYN of a passive open never shows), and bytes_received with rcv_nxt.
 *
 * A softirq on another CPU may change the counters between any two reads, and so may another thread of the application
 * while a sample is taken. test/built/totals.test.ts drives every order.
 */
#ifndef TCP_TOTALS_H
#define TCP_TOTALS_H

#include "tcp/conns.h"

#define STATES_AFTER_FIN_SENT                                                                      \
	(1 << TCP_STATE_FIN_WAIT1 | 1 << TCP_STATE_FIN_WAIT2 | 1 << TCP_STATE_CLOSING |            \
	 1 << TCP_STATE_LAST_ACK | 1 << TCP_STATE_TIME_WAIT)

struct counters {
	u64 acked;
	u64 received;
	u32 snd_una;
	u32 write_seq;
	u32 rcv_nxt;
	u32 copied_seq;
};

/*
 * A segment moves a counter and its sequence number by two stores. Where the sock's lock is held, or in the softirq that
 * holds it, nobody is between the two, and their difference stays the same for the life of the connection.
 */
inline_always void note_sequences(u64 sk, struct live *live)
{
	live->first_acked_seq = snd_una(sk) - (u32)bytes_acked(sk);
	live->first_received_seq = rcv_nxt(sk) - (u32)bytes_received(sk);
}

inline_always int knows_sequences(const struct live *live)
{
	return live->first_acked_seq || live->first_received_seq;
}

/* The 64 bits of which `low` are the lower half. The counter is less than 2^31 away. */
inline_always u64 widen(u32 low, u64 counter)
{
	return counter + (s32)(low - (u32)counter);
}

/*
 * Without note_sequences() each moving counter is read twice, in opposite order: equal pairs were read with no change in
 * between. A CPU that stands still between the two stores for all of the reading (that of a virtual machine does) is not
 * noticed. Before 4.13 a reader that sleeps takes a segment itself, and for a moment copied_seq is ahead of rcv_nxt.
 */
inline_always int read_counters(u64 sk, struct counters *c)
{
	c->snd_una = snd_una(sk);
	c->acked = bytes_acked(sk);
	c->rcv_nxt = rcv_nxt(sk);
	c->received = bytes_received(sk);
	c->write_seq = write_seq(sk);
	c->copied_seq = copied_seq(sk);
	return bytes_received(sk) == c->received && rcv_nxt(sk) == c->rcv_nxt &&
	       bytes_acked(sk) == c->acked && snd_una(sk) == c->snd_una &&
	       (s32)(c->rcv_nxt - c->copied_seq) >= 0;
}

/*
 * A FIN is about to be queued, under the sock's lock: the application has written all that it ever will. A close after a
 * shutdown sets the same state once more, with the FIN in write_seq.
 */
inline_always void note_fin(u64 sk, struct live *live)
{
	if (live->event.flags & FACT_FIN_SENT)
		return;
	live->fin_seq = write_seq(sk);
	live->event.flags |= FACT_FIN_SENT;
}

/* write_seq without the FIN. */
inline_always u32 written_seq(const struct live *live, u32 write_seq)
{
	if (!(live->event.flags & FACT_FIN_SENT))
		return write_seq;
	return live->fin_seq ? live->fin_seq : write_seq - 1;
}

/*
 * The application has read past the peer's FIN. The FIN sets SOCK_DONE after rcv_nxt, and nothing moves rcv_nxt after that:
 * if rcv_nxt has moved since c was read, the FIN has come since then, and c does not count it.
 */
inline_always int has_read_fin(u64 sk, const struct counters *c)
{
	return c->rcv_nxt == c->copied_seq && sk_flags(sk) & (1 << SOCK_DONE) &&
	       rcv_nxt(sk) == c->rcv_nxt;
}

/*
 * The direction of a connection older than the trace: the SYN of the end that opened it was acknowledged like a byte, but
 * not counted as sent. Exact while nothing is under way and nothing was ever retransmitted; else, and before 4.19, unknown.
 */
inline_always u8 opened_by(u64 sk, struct live *live, struct counters *c)
{
	u64 sent;

	if (!constant(OFFSET_BYTES_SENT) || live->event.flags & FACT_FIN_SENT ||
	    c->write_seq != c->snd_una || total_retrans(sk))
		return DIRECTION_UNKNOWN;
	sent = bytes_sent(sk);
	/* Queued before it is counted as sent. */
	if (write_seq(sk) != c->write_seq)
		return DIRECTION_UNKNOWN;
	if (c->acked == sent + 1)
		return DIRECTION_OUTGOING;
	return c->acked == sent ? DIRECTION_INCOMING : DIRECTION_UNKNOWN;
}

/* Of a connection whose beginning was seen: write_seq and copied_seq alone decide, and each is one read. */
inline_always void read_moved(u64 sk, struct live *live)
{
	u32 wrote = written_seq(live, write_seq(sk)) - live->first_acked_seq;
	u32 copied = copied_seq(sk);

	live->event.sent_bytes = widen(wrote, bytes_acked(sk)) - live->base_acked;
	live->event.recv_bytes =
		widen(copied - live->first_received_seq, bytes_received(sk)) - live->base_received;
	/* Read after copied_seq: a FIN sets SOCK_DONE before it can be read past, and rcv_nxt, its last change, before that. */
	if (sk_flags(sk) & (1 << SOCK_DONE) && rcv_nxt(sk) == copied)
		live->event.recv_bytes--;
}

/* Of a connection whose beginning was not seen. Returns 0 when the counters kept changing. */
inline_always int read_counted(u64 sk, struct live *live)
{
	struct event *event = &live->event;
	struct counters c = {};
	s32 unacked;
	int stable = read_counters(sk, &c) || read_counters(sk, &c) || read_counters(sk, &c);

	if (stable && event->direction == DIRECTION_UNKNOWN)
		event->direction = opened_by(sk, live, &c);

	/* Below 0 once the FIN is acknowledged. */
	unacked = written_seq(live, c.write_seq) - c.snd_una;
	event->sent_bytes = c.acked - live->base_acked + unacked;
	event->recv_bytes = c.received - live->base_received - (u32)(c.rcv_nxt - c.copied_seq);
	if (has_read_fin(sk, &c))
		event->recv_bytes--;
	return stable;
}

/* Returns 0 when the counters kept changing. */
inline_always int read_totals(u64 sk, struct live *live)
{
	struct event *event = &live->event;
	int stable = 1;

	if (knows_sequences(live))
		read_moved(sk, live);
	else
		stable = read_counted(sk, live);
	if (event->direction == DIRECTION_OUTGOING && !(event->flags & FACT_NO_SYN))
		event->sent_bytes--;

	event->sent_packets = segs_out(sk) - live->base_segs_out;
	event->recv_packets = segs_in(sk) - live->base_segs_in;
	event->rtt = srtt_us(sk) >> 3;
	event->rtt_var = mdev_us(sk) >> 2;
	event->retransmits = total_retrans(sk) - live->base_retrans;
	return stable;
}

inline_always void note_unstable(struct live *live)
{
	live->event.flags |= FACT_COUNTERS_UNSTABLE;
	count_loss_of(live, LOSS_COUNTERS_UNSTABLE);
}

inline_always void note_totals(u64 sk, struct live *live)
{
	/* As they were at its open, if at all. */
	live->event.flags &= ~FACT_COUNTERS_UNSTABLE;
	if (!read_totals(sk, live))
		note_unstable(live);
}

#endif
