/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The processes that a command leads to: at every fork on the host, the child of one that is followed is followed too,
 * before it runs. Attached only for `trace -- CMD`.
 */
#ifndef PROCESS_FOLLOW_H
#define PROCESS_FOLLOW_H

#include "lib/filter.h"

/* The command, as the tool's own child: so the tool knows that it was seen. Written by forked(), read by the tool; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} command_tgid SEC(".maps");

/*
 * A task is born, in the context of the one that made it, which need not be its parent. Pids are used again: a child of
 * somebody else may have that of a process that was followed.
 */
inline_always void forked(u64 task)
{
	u32 parent = bpf_get_current_pid_tgid() >> 32;
	u32 child = task_tgid(task);
	u32 zero = 0;
	u64 *known, by_tool;

	if (child == parent) /* a thread */
		return;
	known = bpf_map_lookup_elem(&followed, &parent);
	if (!known) {
		bpf_map_delete_elem(&followed, &child);
		return;
	}
	by_tool = *known == 0;
	if (bpf_map_update_elem(&followed, &child, &task, BPF_ANY) != 0) {
		count_loss(LOSS_PROCESS_MAP_FULL);
		return;
	}
	if (by_tool)
		bpf_map_update_elem(&command_tgid, &zero, &child, BPF_ANY);
}

/*
 * The last of a task. The leader of a process is the last of its threads to go; one that lost this to the thread that
 * called execve has another pid by then (before 5.8 it has not, and its process is followed no longer).
 */
inline_always void freed(u64 task)
{
	u32 tgid = task_tgid(task);
	u64 *leader = bpf_map_lookup_elem(&followed, &tgid);

	if (leader && *leader == task && task_pid(task) == tgid)
		bpf_map_delete_elem(&followed, &tgid);
}

#endif
