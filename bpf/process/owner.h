/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The current process becomes the owner of an event. */
#ifndef PROCESS_OWNER_H
#define PROCESS_OWNER_H

#include "lib/filter.h"
#include "process/program.h"

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

/* Where a connection is opened or accepted. */
inline_always void own_by_current(struct event *event)
{
	struct owner *owner = &event->owner;

	owner->pid = bpf_get_current_pid_tgid() >> 32;
	owner->uid = bpf_get_current_uid_gid();
	owner->listener_ino = 0;
	owner->owned_at = bpf_ktime_get_ns() >> TICK_BITS;
	owner->program = current_program(0);
	owner->cgroup_id = helper_or_0(HELPER_GET_CURRENT_CGROUP_ID);
	bpf_get_current_comm(owner->comm, sizeof(owner->comm));
	note_followed(event);
}

/* Where a connection without a known owner is closed. The tool finds out whether a thread of the kernel did it. */
inline_always void own_by_closer(struct event *event)
{
	if (event->owner.pid != 0 || is_visitor(bpf_get_current_pid_tgid()))
		return;
	own_by_current(event);
	event->flags |= FACT_OWNED_BY_CLOSER;
}

#endif
