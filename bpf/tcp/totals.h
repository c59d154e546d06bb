/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The totals of a TCP connection, read from its tcp_sock. No probe is on the send and receive path.
 *
 * Written by the application: bytes_acked + (write_seq - snd_una), less one for the SYN of an active open (it
 * is acknowledged like a byte; the SYN of a passive open never shows) and one for a FIN.
 * Read by the application: bytes_received - (rcv_nxt - copied_seq), less one when the FIN of the peer has been
 * read past (bytes_received counts it like a byte; while it is unread it stands in both terms).
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
 * A close may meet the softirq of a late packet on another CPU, which moves two of the counters together. So each
 * moving one is read twice, in opposite order: equal pairs were read with no change in between.
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
	       bytes_acked(sk) == c->acked && snd_una(sk) == c->snd_una;
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

/* Returns 0 when the counters kept changing. */
inline_always int read_totals(u64 sk, struct live *live)
{
	struct event *event = &live->event;
	struct counters c = {};
	u32 unread;
	int stable = read_counters(sk, &c) || read_counters(sk, &c) || read_counters(sk, &c);

	if (stable && event->direction == DIRECTION_UNKNOWN)
		event->direction = opened_by(sk, live, &c);

	event->sent_bytes = c.acked - live->base_acked + (u32)(c.write_seq - c.snd_una);
	if (event->direction == DIRECTION_OUTGOING && !(live->event.flags & FACT_NO_SYN))
		event->sent_bytes--;
	if (live->event.flags & FACT_FIN_SENT)
		event->sent_bytes--;

	unread = c.rcv_nxt - c.copied_seq;
	event->recv_bytes = c.received - live->base_received - unread;
	if (unread == 0 && sk_flags(sk) & (1 << SOCK_DONE))
		event->recv_bytes--;

	event->sent_packets = segs_out(sk) - live->base_segs_out;
	event->recv_packets = segs_in(sk) - live->base_segs_in;
	event->rtt = srtt_us(sk) >> 3;
	event->rtt_var = mdev_us(sk) >> 2;
	event->retransmits = total_retrans(sk) - live->base_retrans;
	return stable;
}

inline_always void note_totals(u64 sk, struct live *live)
{
	if (read_totals(sk, live))
		return;
	live->event.flags |= FACT_COUNTERS_UNSTABLE;
	count_loss_of(live, LOSS_COUNTERS_UNSTABLE);
}

#endif
