// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The naming of the closer, built for the machine that runs the tests. Only the kernel's helpers are replaced. */
#define LIB_FILTER_H
#define LIB_OFFSETS_H
#define PROCESS_PROGRAM_H
#include "lib/kernel.h"

#define TICK_BITS 0
#define constant(id) 0
#define helper_or_0(id) 0

static u64 current, looking;

static u64 pid_tgid(void)
{
	return current;
}

static u64 root_or_0(void)
{
	return 0;
}

static u64 current_program(void *range)
{
	(void)range;
	return 0;
}

static void note_followed(struct event *event)
{
	(void)event;
}

static void *lookup(void *map, const u32 *key);

static long comm(void *buffer, u32 size)
{
	__builtin_memset(buffer, 'x', size);
	return 0;
}

#define bpf_get_current_pid_tgid pid_tgid
#define bpf_get_current_uid_gid root_or_0
#define bpf_ktime_get_ns root_or_0
#define bpf_get_current_comm comm
#define bpf_map_lookup_elem lookup
#include "process/owner.h"

static void *lookup(void *map, const u32 *key)
{
	return map == &visitor && *key == 0 ? &looking : 0;
}

/* The pid that a close names which happens in the thread `by` (tgid << 32 | pid) while `visits` looks; `owner` opened it. */
u32 closer_named(u64 by, u64 visits, u32 owner)
{
	struct event event = { .owner.pid = owner };

	current = by;
	looking = visits;
	own_by_closer(&event);
	return event.owner.pid;
}

/* The same of a connection that the thread `later` ends afterwards, when nobody looks any more. */
u32 closer_named_at_last(u64 by, u64 visits, u64 later)
{
	struct event event = {};

	current = by;
	looking = visits;
	own_by_closer(&event);
	current = later;
	looking = 0;
	own_by_closer(&event);
	return event.owner.pid;
}
