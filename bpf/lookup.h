/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The struct that bpf/lookup.bpf.c and src/trace/nat share. src/record/layout.gen.ts is generated from this file's BTF. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "record.h"

enum lookup_size {
	LOOKUPS = 64, /* at once, each in a run of the program */
	/* Bytes of a struct nf_conn, which has both tuples in its first 128: in 160 on kernels that debug their locks. */
	LOOKUP_WINDOW = 256,
};

/* A tuple that is looked for in conntrack. The tool writes the first members, the program the others. */
struct lookup {
	/* struct bpf_sock_tuple: two addresses of 4 or 16 bytes, two ports, in network order */
	u8 tuple[36];
	u32 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	u32 family;   /* AF_INET, AF_INET6 */
	s32 netns_id; /* by which the caller's namespace knows the one that is asked; -1: its own */
	u32 found;    /* 1: there is an entry */
	u8 entry[LOOKUP_WINDOW];
};

SIZE_IS(struct lookup, 308);

#endif
