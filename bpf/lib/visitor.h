/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tool's own looks at the descriptors of other processes: what happens in them is not the tool's doing. */
#ifndef LIB_VISITOR_H
#define LIB_VISITOR_H

#include "lib/maps.h"

/*
 * The thread of the tool that looks at the descriptors of other processes: its tgid and pid as the helper gives them, pid 0:
 * any thread of the tool, all 0: none looks. A look holds a file: if its process closes it meanwhile, that thread drops the
 * last reference, and the kernel closes the socket in it. Written by the tool around each look; one entry, never deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} visitor SEC(".maps");

inline_always int is_visitor(u64 pid_tgid)
{
	u32 zero = 0;
	u64 *thread = bpf_map_lookup_elem(&visitor, &zero);

	return thread && *thread && *thread >> 32 == pid_tgid >> 32 &&
	       (!(u32)*thread || (u32)*thread == (u32)pid_tgid);
}

#endif
