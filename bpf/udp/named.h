/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracepoint mode: the remote end of a datagram. A connected socket has its peer, but a send may name another end, and a
 * socket that is not connected has none. A cgroup hook runs in each send that names its destination, and in each receive
 * that asks for the source. The tracepoint of the same call comes next, in the same thread, and has the length.
 */
#ifndef UDP_NAMED_H
#define UDP_NAMED_H

#include "lib/maps.h"
#include "lib/tuple.h"

#define LOOPBACK_V4 (1 << 24 | 127)  /* network order */
#define LOOPBACK_V6_LOW (1ULL << 56) /* the low word of ::1, network order */

/* A remote end as a call names it; address and port as in struct ends. */
struct named {
	u64 sk;
	u64 daddr_h;
	u64 daddr_l;
	u16 dport;
	u16 family;
	u32 zero;
};

/*
 * The remote end of the call that a thread is in, by pid_tgid.
 * Inserted by the hooks. Deleted by the tracepoint at the end of the same call, also of one that fails; a call that a
 * tracepoint missed leaves its entry to the next named call of that thread.
 * Full: LOSS_FLOW_MAP_FULL counts the datagram, whose remote end is then the peer's or none.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct named);
} named_ends SEC(".maps");

struct elsewhere {
	struct named to;
	u64 socket_ino; /* tells a sock from the next one at its address */
};

/*
 * Sockets with a datagram that was begun by a named send and not sent yet (MSG_MORE, UDP_CORK), by address of the sock.
 * The next send that names nobody adds to that datagram, or begins another one; see sent_begun() for later ones.
 * Inserted and deleted at the end of a send, deleted when the socket's flows end. Full: LOSS_FLOW_MAP_FULL.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct elsewhere);
} sent_elsewhere SEC(".maps");

/* Written by the tool: what it has found out with sockets of its own. */
struct naming {
	u32 attached;	/* 1: the hooks see each call that names a remote end */
	u32 pending_at; /* where a sock says that a datagram is begun and not sent; 0: not known */
	u32 elsewhere;	/* 1 once sent_elsewhere has had an entry; written by the programs */
	u32 zero;
};

/* One entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct naming);
} naming SEC(".maps");

inline_always void note_named(const struct named *named)
{
	u64 thread = bpf_get_current_pid_tgid();

	if (bpf_map_update_elem(&named_ends, &thread, named, BPF_ANY) != 0)
		count_loss(LOSS_FLOW_MAP_FULL);
}

/* A send to 0.0.0.0 goes to the socket's own address, or to 127.0.0.1. */
inline_always void sending_to_v4(struct bpf_sock_addr *ctx)
{
	struct named named = { .family = AF_INET };

	if (ctx->protocol != IPPROTO_UDP)
		return;
	named.sk = address_of(ctx->sk);
	named.daddr_l = ctx->user_ip4;
	named.dport = from_be16(ctx->user_port);
	if (!named.daddr_l)
		named.daddr_l = ctx->msg_src_ip4;
	if (!named.daddr_l)
		named.daddr_l = LOOPBACK_V4;
	note_named(&named);
}

inline_always void received_from_v4(struct bpf_sock_addr *ctx)
{
	struct named named = { .family = AF_INET };

	if (ctx->protocol != IPPROTO_UDP)
		return;
	named.sk = address_of(ctx->sk);
	named.daddr_l = ctx->user_ip4;
	named.dport = from_be16(ctx->user_port);
	note_named(&named);
}

/* Of a send and of a receive. A send to :: goes to ::1. */
inline_always void named_v6(struct bpf_sock_addr *ctx)
{
	struct named named = { .family = AF_INET6 };

	if (ctx->protocol != IPPROTO_UDP)
		return;
	named.sk = address_of(ctx->sk);
	named.dport = from_be16(ctx->user_port);
	named.daddr_h = (u64)ctx->user_ip6[1] << 32 | ctx->user_ip6[0];
	named.daddr_l = (u64)ctx->user_ip6[3] << 32 | ctx->user_ip6[2];
	if (!named.daddr_h && (u32)named.daddr_l == V4_MAPPED) {
		named.family = AF_INET;
		named.daddr_l >>= 32;
	} else if (!named.daddr_h && !named.daddr_l) {
		named.daddr_l = LOOPBACK_V6_LOW;
	}
	note_named(&named);
}

/* Returns 0 when the call named nobody. */
inline_always int take_named(u64 sk, struct named *named)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct named *found = bpf_map_lookup_elem(&named_ends, &thread);

	if (!found)
		return 0;
	*named = *found;
	bpf_map_delete_elem(&named_ends, &thread);
	return named->sk == sk;
}

/* An IPv6 socket has IPv4 datagrams too; one that is bound to all addresses has no IPv4 address of its own then. */
inline_always void set_remote(struct ends *ends, const struct named *named)
{
	ends->daddr_h = named->daddr_h;
	ends->daddr_l = named->daddr_l;
	ends->dport = named->dport;
	if (named->family == AF_INET6 || !(ends->metadata & METADATA_IPV6))
		return;
	ends->metadata &= ~METADATA_IPV6;
	ends->saddr_l = (u32)ends->saddr_l == V4_MAPPED ? ends->saddr_l >> 32 : 0;
	ends->saddr_h = 0;
}

inline_always void forget_remote(struct ends *ends)
{
	ends->daddr_h = 0;
	ends->daddr_l = 0;
	ends->dport = 0;
}

inline_always int is_remote(const struct ends *ends, const struct named *named)
{
	return ends->dport == named->dport && ends->daddr_l == named->daddr_l &&
	       ends->daddr_h == named->daddr_h;
}

/* A datagram is begun and not sent. Where the sock does not tell, it may be. */
inline_always int is_pending(u64 sk, const struct naming *naming)
{
	u32 pending = 1;

	if (naming->pending_at)
		read_kernel(pending, sk + naming->pending_at);
	return pending != 0;
}

inline_always void note_elsewhere(u64 sk, const struct named *named, u64 socket_ino,
				  struct naming *naming)
{
	struct elsewhere elsewhere = { .to = *named, .socket_ino = socket_ino };

	naming->elsewhere = 1;
	if (bpf_map_update_elem(&sent_elsewhere, &sk, &elsewhere, BPF_ANY) != 0)
		count_loss(LOSS_FLOW_MAP_FULL);
}

/*
 * The datagram that was begun is sent. But an IPv4 socket with a peer keeps the end of that datagram where it keeps its peer
 * (inet->cork), and what names nobody goes there from then on, or to the peer once the route has changed.
 */
inline_always void sent_begun(u64 sk, int connected)
{
	if (connected && skc_family(sk) == AF_INET)
		return;
	bpf_map_delete_elem(&sent_elsewhere, &sk);
}

/* A send that named nobody. Without a peer it can only have added to the datagram that is begun. */
inline_always void find_unnamed(u64 sk, struct ends *ends, u64 socket_ino,
				const struct naming *naming)
{
	struct elsewhere *begun;
	int connected = ends->dport != 0;

	if (!naming->elsewhere)
		return;
	begun = bpf_map_lookup_elem(&sent_elsewhere, &sk);
	if (!begun || begun->socket_ino != socket_ino)
		return;
	if (connected)
		forget_remote(ends);
	else
		set_remote(ends, &begun->to);
	if (!is_pending(sk, naming))
		sent_begun(sk, connected);
}

inline_always void find_named(u64 sk, struct ends *ends, const struct named *named, u64 socket_ino,
			      struct naming *naming)
{
	int connected = ends->dport != 0;
	int elsewhere = !is_remote(ends, named) && (connected || naming->pending_at);

	set_remote(ends, named);
	if (elsewhere && is_pending(sk, naming))
		note_elsewhere(sk, named, socket_ino, naming);
	else if (naming->elsewhere)
		sent_begun(sk, connected);
}

/* ends: as the sock has them. named: NULL if the call named nobody. */
inline_always void find_remote(u64 sk, struct ends *ends, const struct named *named, int received,
			       u64 socket_ino)
{
	u32 zero = 0;
	struct naming *naming_now = bpf_map_lookup_elem(&naming, &zero);

	if (!naming_now)
		return;
	if (!naming_now->attached) {
		if (!received)
			forget_remote(ends);
	} else if (received) {
		if (named)
			set_remote(ends, named);
	} else if (named) {
		find_named(sk, ends, named, socket_ino, naming_now);
	} else {
		find_unnamed(sk, ends, socket_ino, naming_now);
	}
}

#endif
