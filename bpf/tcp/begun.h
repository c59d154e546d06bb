/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracepoint mode: calls of connect(2) that fail before a SYN is sent (no route, prohibited by a route). No state changes
 * then. A hook of the root control group sees each connect begin; the state SYN_SENT follows at once in the same call, or
 * the connect has failed. Nothing tells why.
 */
#ifndef TCP_BEGUN_H
#define TCP_BEGUN_H

#include "tcp/conn.h"

/* The failure that a connect is until its SYN is sent, and the thread that called. */
struct begun {
	struct event event;
	u32 thread;
	u32 zero;
};

/*
 * Connects by address of the sock.
 * Inserted when they begin. Deleted by SYN_SENT, by the next connect of the sock, when the sock is destroyed, and by the tool
 * once the thread is seen to wait for something else. Every sock is destroyed, so no entry stays.
 * Full: LOSS_ATTEMPT_MAP_FULL counts it, and should that connect fail before its SYN, nobody tells.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct begun);
} begun SEC(".maps");

struct failed_key {
	u64 sk;
	mono_ns at;
};

/*
 * Connects that failed while their sock lives on.
 * Inserted by the next connect of the sock and by run_connect_failed. Taken by the tool at each poll. Full:
 * LOSS_ATTEMPT_MAP_FULL.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct failed_key);
	__type(value, struct event);
} failed_connects SEC(".maps");

inline_always void keep_failed(struct event *event)
{
	struct failed_key key = { .sk = event->sk, .at = event->timestamp };

	if (bpf_map_update_elem(&failed_connects, &key, event, BPF_ANY) != 0)
		count_loss(LOSS_ATTEMPT_MAP_FULL);
}

/* In a hook: helpers that read the kernel's memory are not to be had before 5.11, so the rest is read when it has failed. */
inline_always void own_by_caller(struct event *event)
{
	struct owner *owner = &event->owner;
	u64 id = bpf_get_current_pid_tgid();

	owner->pid = id >> 32;
	owner->uid = bpf_get_current_uid_gid();
	owner->owned_at = event->timestamp >> TICK_BITS;
	owner->cgroup_id = helper_or_0(HELPER_GET_CURRENT_CGROUP_ID);
	bpf_get_current_comm(owner->comm, TASK_COMM_LEN);
	owner->of_thread = is_other_thread(id);
	note_followed(event);
}

/* begun is zeroed but for the remote end. */
inline_always void connect_begins(u64 sk, struct begun *begun_now)
{
	struct event *event = &begun_now->event;
	struct begun *former;

	event->ends.metadata |= METADATA_TCP;
	if (!current_wanted() || !ends_wanted(&event->ends, 0))
		return;
	event->sk = sk;
	event->kind = EVENT_FAIL;
	event->timestamp = bpf_ktime_get_ns();
	event->started_at = event->timestamp;
	event->ended_at = event->timestamp;
	event->cookie = (u32)(sk >> 6) ^ (u32)event->timestamp;
	event->direction = DIRECTION_OUTGOING;
	event->flags = FACT_FAILED;
	event->state_transitions = 1 << TCP_STATE_CLOSE;
	own_by_caller(event);
	begun_now->thread = bpf_get_current_pid_tgid();
	former = bpf_map_lookup_elem(&begun, &sk);
	if (former)
		keep_failed(&former->event);
	if (bpf_map_update_elem(&begun, &sk, begun_now, BPF_ANY) != 0)
		count_loss(LOSS_ATTEMPT_MAP_FULL);
}

inline_always void connect_begins_v4(struct bpf_sock_addr *ctx)
{
	struct begun begun_now = {};

	if (ctx->protocol != IPPROTO_TCP || ctx->user_family != AF_INET)
		return;
	begun_now.event.ends.daddr_l = ctx->user_ip4;
	begun_now.event.ends.dport = from_be16(ctx->user_port);
	connect_begins(address_of(ctx->sk), &begun_now);
}

inline_always void connect_begins_v6(struct bpf_sock_addr *ctx)
{
	struct begun begun_now = {};
	struct ends *ends = &begun_now.event.ends;

	if (ctx->protocol != IPPROTO_TCP || ctx->user_family != AF_INET6)
		return;
	ends->daddr_h = (u64)ctx->user_ip6[1] << 32 | ctx->user_ip6[0];
	ends->daddr_l = (u64)ctx->user_ip6[3] << 32 | ctx->user_ip6[2];
	ends->dport = from_be16(ctx->user_port);
	if (!ends->daddr_h && (u32)ends->daddr_l == V4_MAPPED)
		ends->daddr_l >>= 32;
	else
		ends->metadata = METADATA_IPV6;
	connect_begins(address_of(ctx->sk), &begun_now);
}

/* The SYN is about to be sent: from here on the state tells. */
inline_always void connect_goes_on(u64 sk)
{
	bpf_map_delete_elem(&begun, &sk);
}

/* The socket may be bound. */
inline_always void read_local(u64 sk, struct event *event)
{
	struct ends *ends = &event->ends;

	event->netns = netns_of(skc_net(sk));
	ends->sport = skc_num(sk);
	if (ends->metadata & METADATA_IPV6) {
		struct in6 address = {};

		if (constant(CONSTANT_HAS_IPV6))
			skc_v6_rcv_saddr(sk, &address);
		ends->saddr_h = address.high;
		ends->saddr_l = address.low;
	} else {
		ends->saddr_l = skc_rcv_saddr(sk);
	}
}

/* Takes the sock's connect that has failed. Returns 0 when there is none that is asked for. event: on the stack. */
inline_always int take_begun(u64 sk, struct event *event)
{
	struct begun *found = bpf_map_lookup_elem(&begun, &sk);

	if (!found)
		return 0;
	*event = found->event;
	if (!delete_entry(&begun, &sk))
		return 0;
	read_local(sk, event);
	event->flags |= opened_for_other(sk, &event->owner);
	return ends_wanted(&event->ends, event->ends.sport) && !is_foreign(event) &&
	       owner_wanted(event->owner.pid);
}

/* The sock is destroyed. live: of its last connection, which began later if the SYN of this connect was missed. */
inline_always void tell_begun(void *ctx, u64 sk, struct live *live)
{
	mono_ns connected_at = live->event.started_at;

	if (take_begun(sk, &live->event) && live->event.timestamp > connected_at)
		send_event(ctx, &live->event);
}

/* Asked by the tool, which has seen that the thread has left connect(2). */
inline_always void keep_begun(u64 sk, u32 cookie)
{
	struct begun *found = bpf_map_lookup_elem(&begun, &sk);
	struct event event = {};

	if (found && found->event.cookie == cookie && take_begun(sk, &event))
		keep_failed(&event);
}

#endif
