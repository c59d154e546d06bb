/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that end by an error, and attempts to connect that come to nothing. */
#ifndef TCP_FAILURE_H
#define TCP_FAILURE_H

#include "tcp/younger.h"

#define STATES_CONNECTING (1 << TCP_STATE_SYN_SENT | 1 << TCP_STATE_SYN_RECV)

/* The errno the sock has failed with; 0: none, or the application has been told already, or its offset is not known. */
inline_always u16 failure_of(u64 sk)
{
	u32 err;

	if (!constant(OFFSET_SK_ERR))
		return 0;
	err = sk_err(sk);
	/* A reset that comes after the peer's FIN is EPIPE to the kernel. */
	return err == EPIPE ? FAILURE_RESET : err;
}

inline_always void note_failure(struct live *live, u16 reason)
{
	if (!reason)
		count_loss_of(live, LOSS_FAILURE_UNKNOWN);
	live->event.flags |= FACT_FAILED;
	live->event.failure_reason = reason;
}

/* sent: a SYN may have left, so that conntrack knows of it. live is used up. */
inline_always void tell_failure(void *ctx, struct live *live, u16 reason, int sent)
{
	struct hops hops = {};

	note_failure(live, reason);
	live->event.timestamp = bpf_ktime_get_ns();
	live->event.ended_at = live->event.timestamp;
	live->event.state_transitions |= 1 << TCP_STATE_CLOSE;
	if (!sent) {
		emit(ctx, live, EVENT_FAIL);
		return;
	}
	live->event.flags |=
		look_up_nat(&live->event.ends, live->event.netns, &hops, live->event.started_at, 0);
	emit_translated(ctx, live, EVENT_FAIL, &hops);
}

/*
 * The sock's attempt to connect has come to nothing. Returns 0 when its end was told meanwhile on another CPU: a close
 * starts before it waits for the sock's lock.
 */
inline_always int fail_after(void *ctx, u64 sk, struct live *live, u16 reason, int sent)
{
	if (!delete_conn(sk))
		return 0;
	/* Its local port may have been chosen since it began. */
	if (!ends_wanted(&live->event.ends, live->event.ends.sport))
		return 1;
	if (!live->event.ends.sport)
		count_loss_of(live, LOSS_TUPLE_UNREADABLE);
	tell_failure(ctx, live, reason, sent);
	return 1;
}

inline_always int fail(void *ctx, u64 sk, struct live *live, u16 reason)
{
	return fail_after(ctx, sk, live, reason, 1);
}

#endif
