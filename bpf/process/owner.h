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
	return 1 - is_0((u32)pid_tgid ^ pid_tgid >> 32);
}

/* The bytes of a word of text up to the first NUL, and all bits of that. end: whether there is a NUL. */
inline_always u64 text_bits(u64 word, u64 *end)
{
	u64 nul = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;

	*end = (nul | -nul) >> 63;
	return ((nul & -nul) << 1) - 1;
}

/* The name of a process' first thread (empty: it could not be read), and since when it is known to have it. */
struct first_name {
	char comm[TASK_COMM_LEN];
	mono_ticks noted_at;
	u32 unused;
} __attribute__((aligned(8)));

/*
 * Names of processes, by tgid, whose other threads called and have other names: for a process that is gone when the tool asks
 * /proc. Inserted and overwritten by note_first_name(), read by the tool. The kernel itself deletes the entry that was not used
 * for longest (before 4.10 it does not: later processes then have no entry).
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, u32);
	__type(value, struct first_name);
} first_names SEC(".maps");

/* Each caller since noted_at had the name that the entry has: another one under this number would have overwritten it. */
inline_always void note_first_name(u32 pid, const struct first_name *first)
{
	struct first_name *known = bpf_map_lookup_elem(&first_names, &pid);
	u64 had[TASK_COMM_LEN / 8], has[TASK_COMM_LEN / 8];

	if (!known) {
		bpf_map_update_elem(&first_names, &pid, first, BPF_ANY);
		return;
	}
	__builtin_memcpy(had, known->comm, sizeof(had));
	__builtin_memcpy(has, first->comm, sizeof(has));
	if (had[0] != has[0] || had[1] != has[1])
		*known = *first;
}

/*
 * 1: the first thread of the process has another name than the current one, or it is not known. A name as the kernel keeps it
 * may have anything behind its NUL. Without branches, as is_other_thread().
 */
inline_always u8 is_named_otherwise(const char *comm, struct first_name *first)
{
	u64 own[TASK_COMM_LEN / 8], its[TASK_COMM_LEN / 8];
	u64 leader = 0, differs, bits, low_ends, high_ends;

	read_kernel(leader,
		    helper_or_0(HELPER_GET_CURRENT_TASK) + constant(OFFSET_TASK_GROUP_LEADER));
	read_kernel(first->comm, leader + constant(OFFSET_TASK_COMM));
	__builtin_memcpy(own, comm, sizeof(own));
	__builtin_memcpy(its, first->comm, sizeof(its));
	own[1] &= ~0ULL >> 8; /* of_thread */
	bits = text_bits(own[0], &low_ends);
	differs = (own[0] ^ its[0]) & bits;
	bits = text_bits(own[1], &high_ends);
	differs |= ((own[1] ^ its[1]) & bits) * (1 - low_ends);
	return 1 - is_0(differs);
}

inline_always void compare_with_first(struct owner *owner)
{
	struct first_name first = { .noted_at = owner->owned_at };

	owner->of_thread = is_named_otherwise(owner->comm, &first);
	if (owner->of_thread)
		note_first_name(owner->pid, &first);
}

/* Where a connection is opened or accepted. */
inline_always void own_by_current(struct event *event)
{
	struct owner *owner = &event->owner;
	u64 id = bpf_get_current_pid_tgid();
	u8 other;

	owner->pid = id >> 32;
	owner->uid = bpf_get_current_uid_gid();
	owner->listener_ino = 0;
	owner->owned_at = bpf_ktime_get_ns() >> TICK_BITS;
	owner->program = current_program(0);
	owner->cgroup_id = helper_or_0(HELPER_GET_CURRENT_CGROUP_ID);
	bpf_get_current_comm(owner->comm, TASK_COMM_LEN);
	other = is_other_thread(id);
	owner->of_thread = other;
	/* Stored before the branch: the verifier then has the same to say of both ways. */
	asm volatile("" : : "r"(owner) : "memory");
	if (other && constant(OFFSET_TASK_GROUP_LEADER))
		compare_with_first(owner);
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
