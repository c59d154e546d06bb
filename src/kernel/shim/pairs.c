// SPDX-License-Identifier: Apache-2.0
/*
 * Pairs of a handshake and the close of its connection, in tracepoint mode, where no record tells of an accept: as
 * src/trace/tcp/accepts.ts and acceptors.ts make them, for connections that a process which held their listener has closed.
 */
#include "pairs.h"

#define WORD_BITS 32

static __u32 slot_of(__u32 hash, __u32 slots)
{
	return hash >> (WORD_BITS - __builtin_ctz(slots));
}

static __u8 *record_in(const struct line_pairs *of, __u32 slot)
{
	return address_of(of->records) + slot * sizeof(struct event);
}

__u32 sock_hash(const __u8 *record)
{
	return (__u32)(load64(MEMBER(record, sk)) >> SOCK_SHIFT) * GATE_HASH;
}

int keep_handshake(const struct line_pairs *of, const __u8 *record)
{
	__u32 slot = slot_of(sock_hash(record), HANDSHAKE_SLOTS);

	if (address_of(of->taken)[slot])
		return 0;
	memcpy(record_in(of, slot), record, sizeof(struct event));
	address_of(of->taken)[slot] = 1;
	return 1;
}

int handshake_of(const struct line_pairs *of, const __u8 *close)
{
	__u32 slot = slot_of(sock_hash(close), HANDSHAKE_SLOTS);

	if (!address_of(of->taken)[slot] ||
	    load64(MEMBER(record_in(of, slot), sk)) != load64(MEMBER(close, sk)))
		return -1;
	return slot;
}

/* As Acceptors.ofClosed(), and false where it would have to look. */
static int has_held(const struct line_pairs *of, __u32 ino, __u32 pid, __u64 at)
{
	const struct line_holder *holder = (const void *)address_of(of->holders);

	holder += slot_of((ino * GATE_HASH ^ pid) * GATE_HASH, HOLDER_SLOTS);
	return holder->ino == ino && holder->pid == pid && at >= holder->since;
}

int make_accept(const struct line_pairs *of, int slot, const __u8 *close, __u8 *accept)
{
	const __u8 *handshake = record_in(of, slot);
	__u32 flags = load32(MEMBER(handshake, flags)), closed = load32(MEMBER(close, flags));
	__u32 ino = load32(MEMBER(handshake, owner.listener_ino)), none = 0;

	if (load32(MEMBER(handshake, cookie)) != load32(MEMBER(close, cookie)) ||
	    !(closed & FACT_ACCEPTED) || ino == 0 ||
	    !has_held(of, ino, load32(MEMBER(close, owner.pid)),
		      load64(MEMBER(handshake, timestamp))))
		return 0;
	memcpy(accept, handshake, sizeof(struct event));
	*MEMBER(accept, kind) = EVENT_ACCEPT;
	flags |= closed & FACT_FOLLOWED;
	memcpy(MEMBER(accept, flags), &flags, sizeof(flags));
	memcpy(MEMBER(accept, owner), MEMBER(close, owner), sizeof(struct owner));
	memcpy(MEMBER(accept, owner.listener_ino), &none, sizeof(none));
	return 1;
}

void drop_handshake(struct line_pairs *of, int slot)
{
	__u64 at = load64(MEMBER(record_in(of, slot), timestamp));

	address_of(of->taken)[slot] = 0;
	if (at > of->newest)
		of->newest = at;
}
