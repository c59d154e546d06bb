/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of all parts: how events and losses reach the tool. Each part has its own maps beside its handlers. */
#ifndef LIB_MAPS_H
#define LIB_MAPS_H

#include "lib/kernel.h"

/* Events to the tool, one ring per CPU. Written as batch.h says, drained by the tool at each poll. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} events SEC(".maps");

/*
 * Events that their ring did not take: it was full, or its CPU has been off since it was opened.
 * Inserted by send_event() and send_batch(); read and deleted by the tool at each poll. Full: LOSS_EVENT_RING_FULL counts the event.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct spill_key);
	__type(value, struct event);
} spill SEC(".maps");

/* Counters by enum loss, then by enum counter. Added to by the handlers, read by the tool, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTER_MAX);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps");

inline_always void count_loss(u32 cause)
{
	u64 *count = bpf_map_lookup_elem(&losses, &cause);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/*
 * Deletes what is to be told as ended. Returns 0 when another CPU was first. Since 6.15 a map's lock may also not be had in
 * time: what then stays in it is told when the sock is used again, or not at all.
 */
inline_always int delete_entry(void *map, const u64 *sk)
{
	s64 err = bpf_map_delete_elem(map, sk);

	if (err && err != -ENOENT)
		err = bpf_map_delete_elem(map, sk);
	if (err && err != -ENOENT)
		count_loss(LOSS_MAP_BUSY);
	return err == 0;
}

#endif
