/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's part of the user's filters. It leaves out only connections that certainly do not match: an unknown pid or
 * port passes, and user space decides. The decision falls once, when a connection or a flow begins, so that nothing is
 * half told. CONSTANT_FILTERS holds the filters that are set; without a filter it is 0, and none of this is run.
 */
#ifndef LIB_FILTER_H
#define LIB_FILTER_H

#include "lib/maps.h"
#include "lib/offsets.h"

/* 1 from the moment at which the tool has seen its own connections come back. Written by the tool; never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} filter SEC(".maps");

/* Processes (tgid) that are asked for. Inserted by the tool before `filter` becomes 1; never deleted. As large as needed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} filter_pids SEC(".maps");

/* Ports (host order) that are asked for, with bits of enum filter as value. The same life. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} filter_ports SEC(".maps");

/*
 * Processes (tgid) that a command has led to, each with the address of its first task.
 * Inserted by forked() in follow.h, and by the tool for itself, with 0, while it starts the command. Deleted by the tool, by
 * freed(), when the pid is given to somebody else, and by the tool where freed() was not run (leftover.ts): it cannot
 * leak. Read when an owner is noted.
 * Full: LOSS_PROCESS_MAP_FULL counts a process that is not followed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the tool makes room only to follow a command */
	__type(key, u32);
	__type(value, u64);
} followed SEC(".maps");

#define FILTERS_OF_ENDS                                                                            \
	(FILTER_PORTS | FILTER_LOCAL_PORTS | FILTER_REMOTE_PORTS | FILTER_IPV4 | FILTER_IPV6 |     \
	 FILTER_NO_TCP)

/* The constant first: where it has none of these kinds, the verifier does not even look at what follows. */
inline_always int filters(u32 kinds)
{
	u32 zero = 0;
	u32 *on;

	if (!(constant(CONSTANT_FILTERS) & kinds))
		return 0;
	on = bpf_map_lookup_elem(&filter, &zero);
	return on && *on;
}

/* 0: not among those that are asked for on this side. */
inline_always int port_wanted(u32 port, u32 side)
{
	u32 *sides = bpf_map_lookup_elem(&filter_ports, &port);

	return sides && *sides & side;
}

/* sport is given apart because a sock may still have the one of an earlier connection. 0: not known, as dport. */
inline_always int ports_wanted(u32 sport, u32 dport)
{
	if (constant(CONSTANT_FILTERS) & FILTER_LOCAL_PORTS && sport &&
	    !port_wanted(sport, FILTER_LOCAL_PORTS))
		return 0;
	if (constant(CONSTANT_FILTERS) & FILTER_REMOTE_PORTS && dport &&
	    !port_wanted(dport, FILTER_REMOTE_PORTS))
		return 0;
	if (!(constant(CONSTANT_FILTERS) & FILTER_PORTS) || !sport || !dport)
		return 1;
	return port_wanted(sport, FILTER_PORTS) || port_wanted(dport, FILTER_PORTS);
}

/* By protocol, family and ports, of which the latter may be 0. Returns 0 when it certainly is not asked for. */
inline_always int ends_wanted(const struct ends *ends, u32 sport)
{
	if (!filters(FILTERS_OF_ENDS))
		return 1;
	if (constant(CONSTANT_FILTERS) & FILTER_NO_TCP && ends->metadata & METADATA_TCP)
		return 0;
	if (constant(CONSTANT_FILTERS) & FILTER_IPV4 && ends->metadata & METADATA_IPV6)
		return 0;
	if (constant(CONSTANT_FILTERS) & FILTER_IPV6 && !(ends->metadata & METADATA_IPV6))
		return 0;
	return ports_wanted(sport, ends->dport);
}

/* By owner; 0 is nobody that is known. */
inline_always int owner_wanted(u32 tgid)
{
	if (!tgid || !filters(FILTER_PIDS))
		return 1;
	return bpf_map_lookup_elem(&filter_pids, &tgid) != 0;
}

inline_always int is_followed(u32 tgid)
{
	return bpf_map_lookup_elem(&followed, &tgid) != 0;
}

/* True if the user asked for connections that the current process begins. */
inline_always int current_wanted(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (filters(FILTER_FOLLOWED) && !is_followed(tgid))
		return 0;
	return owner_wanted(tgid);
}

/* The current process has just become its owner. */
inline_always void note_followed(struct event *event)
{
	if (constant(CONSTANT_FILTERS) & FILTER_FOLLOWED && is_followed(event->owner.pid))
		event->flags |= FACT_FOLLOWED;
}

/*
 * True if the owner is known and not followed. A connection that a followed process opens or accepts is seen from its
 * beginning. So a connection that is not known later belongs to another process, and needs no entry.
 */
inline_always int is_foreign(const struct event *event)
{
	return event->owner.pid && !(event->flags & FACT_FOLLOWED) && filters(FILTER_FOLLOWED);
}

/*
 * Another process owns it. It is remembered all the same: its last user may be a process that is asked for, and must
 * not find it as a connection older than the trace. But nothing is told of it.
 */
inline_always void judge_owner(struct event *event)
{
	if (!owner_wanted(event->owner.pid))
		event->flags |= FACT_UNWANTED;
}

#endif
