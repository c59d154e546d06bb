// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks tuples up in conntrack, one in each run, in the network namespace of the thread that runs the program
 * (BPF_PROG_TEST_RUN, which runs it as often as is asked: the verifier would walk through a loop here time and again), or in
 * one that this namespace knows by a number. It is never attached. The function of the kernel that it calls came with 5.18
 * and is found by the kernel's BTF; so the program is an object of its own, which is loaded only where both are there. Knows
 * no field of struct nf_conn: the tool looks for the tuple, which it knows, in the bytes.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lib/abi.h"
#include "lookup.h"

struct lookups {
	struct lookup each[LOOKUPS];
	u64 next; /* the one that the next run looks up */
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

#define TUPLE_V4 12
#define TUPLE_V6 36

SEC("tc")
int look_up(struct __sk_buff *skb)
{
	u32 zero = 0, n;
	struct lookups *all = bpf_map_lookup_elem(&lookups, &zero);
	struct bpf_ct_opts opts = {};
	struct lookup *one;
	struct nf_conn *ct;

	if (!all)
		return 0;
	n = all->next;
	if (n >= LOOKUPS)
		return 0;
	all->next = n + 1;
	one = &all->each[n];
	one->found = 0;
	opts.netns_id = one->netns_id;
	opts.l4proto = one->protocol;
	ct = bpf_skb_ct_lookup(skb, (struct bpf_sock_tuple *)one->tuple,
			       one->family == AF_INET ? TUPLE_V4 : TUPLE_V6, &opts, sizeof(opts));
	if (!ct)
		return 0;
	one->found = bpf_probe_read_kernel(one->entry, LOOKUP_WINDOW, ct) == 0;
	bpf_ct_release(ct);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
