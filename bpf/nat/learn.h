/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies of entries of conntrack, as long as the tool does not know where their members lie: conntrack came after the start,
 * or no entry of the tool's own can be made. The tool finds the two tuples by what they have in common.
 */
#ifndef NAT_LEARN_H
#define NAT_LEARN_H

#include "lib/maps.h"
#include "lib/offsets.h"

/*
 * Copies of struct nf_conn, each over an older one. Written by the programs, read by the tool, never deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CONNTRACK_COPIES where the tool is to learn */
	__type(key, u32);
	__type(value, struct conntrack_copy);
} conntrack_copies SEC(".maps");

/* Entries that were copied. Added to by the programs, read by them and the tool; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} conntrack_copied SEC(".maps");

/* A tool that has not learned from so many never will. */
#define MOST_COPIED 65536

/* Bits that are set in each address of the kernel: see kernelFloor() in src/guess/window.ts. */
#if defined(__TARGET_ARCH_arm64)
#define FLOOR (~0ULL << 48)
#define WIDE_FLOOR (~0ULL << 52)
#else
#define FLOOR (~0ULL << 47)
#define WIDE_FLOOR (~0ULL << 56)
#endif

/* Returns the word if it can be an object's address as `known` is one, else 0: x86 before 6.x warns when others are read. */
inline_always u64 object_or_0(u64 word, u64 known)
{
	u64 floor = known >> 48 == 0xffff ? FLOOR : WIDE_FLOOR;
	u64 strange = (~word & floor) | (word & 7);

	/* Without a branch, as each would double the ways that the verifier walks behind it. */
	return word & (((strange | (0 - strange)) >> 63) - 1);
}

/* of: the entry; or the sk_buff that leads to it, and the nth copy is of what the nth word of that leads to. */
inline_always void copy_entry(u64 of, const struct conntrack_layout *layout)
{
	u32 zero = 0, slot;
	u64 ct = of, word;
	struct conntrack_copy *copy;
	u64 *copied = bpf_map_lookup_elem(&conntrack_copied, &zero);

	if (!copied || *copied >= MOST_COPIED)
		return;
	slot = *copied & (CONNTRACK_COPIES - 1);
	__sync_fetch_and_add(copied, 1);
	copy = bpf_map_lookup_elem(&conntrack_copies, &slot);
	if (!copy)
		return;
	if (layout->through_skb) {
		ct = object_or_0(word_at(of + slot * 8) & ~SKB_NFCT_FACTS, of);
		if (!ct)
			return;
	}
#pragma unroll
	for (u32 n = 0; n < CONNTRACK_WORDS; n++) {
		word = word_at(ct + n * 8);
		((u64 *)copy->entry)[n] = word;
		((u32 *)copy->inums)[n] = net_ns_inum(object_or_0(word, of));
	}
}

#endif
