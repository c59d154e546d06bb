// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks tuples up in conntrack, in the network namespace of the thread that runs the program (BPF_PROG_TEST_RUN). It is
 * never attached. The function of the kernel that it calls came with 5.18 and is found by the kernel's BTF; so the program
 * is an object of its own, which is loaded only where both are there. Knows no field of struct nf_conn: the tool looks for
 * the tuple, which it knows, in the bytes.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lib/abi.h"
#include "lookup.h"

struct lookups {
	struct lookup each[LOOKUPS];
};

/* Written by the tool before a run and read after it; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct lookups);
} lookups SEC(".maps");

/* The kernel's, as 5.18 had it; since 6.11 it is longer, and takes this size too. */
struct bpf_ct_opts {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 dir;
	u8 reserved[2];
};

/* Nothing of it is read here. */
struct nf_conn {
	u64 any;
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					 u32 tuple_size, struct bpf_ct_opts *opts,
					 u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

#define NETNS_OF_CALLER (-1)
#define TUPLE_V4 12
#define TUPLE_V6 36

static __always_inline struct nf_conn *entry_of(struct __sk_buff *skb, struct lookup *one)
{
	struct bpf_sock_tuple *tuple = (struct bpf_sock_tuple *)one->tuple;
	struct bpf_ct_opts opts = { .netns_id = NETNS_OF_CALLER, .l4proto = one->protocol };

	if (one->family == AF_INET)
		return bpf_skb_ct_lookup(skb, tuple, TUPLE_V4, &opts, sizeof(opts));
	return bpf_skb_ct_lookup(skb, tuple, TUPLE_V6, &opts, sizeof(opts));
}

SEC("tc")
int look_up(struct __sk_buff *skb)
{
	u32 zero = 0, n;
	struct lookups *all = bpf_map_lookup_elem(&lookups, &zero);

	if (!all)
		return 0;
	for (n = 0; n < LOOKUPS; n++) {
		struct lookup *one = &all->each[n];
		struct nf_conn *ct;

		if (!one->family)
			break;
		one->found = 0;
		ct = entry_of(skb, one);
		if (!ct)
			continue;
		one->found = bpf_probe_read_kernel(one->entry, LOOKUP_WINDOW, ct) == 0;
		bpf_ct_release(ct);
	}
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
