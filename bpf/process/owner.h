/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The current process becomes the owner of an event. */
#ifndef PROCESS_OWNER_H
#define PROCESS_OWNER_H

#include "lib/filter.h"
#include "lib/visitor.h"
#include "process/program.h"

/* The helper writes 16 bytes and ends them by a NUL, where of_thread lies: so that is set behind it. */
enum {
	TASK_COMM_LEN = 16,
};

/* 1: the thread is not the first of its process. A branch would double the ways that the verifier walks from here on. */
inline_always u8 is_other_thread(u64 pid_tgid)
{
	u64 differs = (u32)pid_tgid ^ pid_tgid >> 32;
	u64 sign = -differs;

	asm volatile("" : "+r"(sign)); /* else the compiler makes a branch of it */
	return sign >> 63;
}

/* Where a connection is opened or accepted. */
inline_always void own_by_current(struct event *event)
{
	struct owner *owner = &event->owner;
	u64 id = bpf_get_current_pid_tgid();

	owner->pid = id >> 32;
	owner->uid = bpf_get_current_uid_gid();
	owner->listener_ino = 0;
	owner->owned_at = bpf_ktime_get_ns() >> TICK_BITS;
	owner->program = current_program(0);
	owner->cgroup_id = helper_or_0(HELPER_GET_CURRENT_CGROUP_ID);
	bpf_get_current_comm(owner->comm, TASK_COMM_LEN);
	owner->of_thread = is_other_thread(id);
	note_followed(event);
}

/*
 * Where a connection without a known owner is closed; the first call decides, since later ones can come from any task. The tool
 * finds out whether a thread of the kernel closed it.
 */
inline_always void own_by_closer(struct event *event)
{
	if (event->owner.pid != 0 || event->flags & FACT_OWNED_BY_CLOSER)
		return;
	event->flags |= FACT_OWNED_BY_CLOSER;
	if (!is_visitor(bpf_get_current_pid_tgid()))
		own_by_current(event);
}

#endif
