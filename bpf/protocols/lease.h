/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program that sees segments runs for each segment of the host. The tool detaches it while many come and no connection is
 * new, and attaches it again once one is: see src/trace/protocols/lease.ts.
 */
#ifndef PROTOCOLS_LEASE_H
#define PROTOCOLS_LEASE_H

#include "lib/maps.h"

/* Written by open_gate() and segment_arrives(), read by the tool. One entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct lease);
} lease SEC(".maps");

/* The tool attaches the program again at its next poll. */
inline_always void note_opened(void)
{
	u32 zero = 0;
	volatile struct lease *own = bpf_map_lookup_elem(&lease, &zero);

	if (own)
		own->opened++;
}

/*
 * Counts a segment. A tool that waits for events wakes up when many have come. The record tells nothing else, so that it may
 * be lost, and is counted then: the rings count it as an event.
 */
inline_always void note_segment(void *ctx)
{
	u32 zero = 0, segments;
	volatile struct lease *own = bpf_map_lookup_elem(&lease, &zero);

	if (!own)
		return;
	segments = own->segments + 1;
	own->segments = segments;
	if (segments << (32 - SEGMENTS_BITS) == 0) {
		struct payload p = {};

		p.kind = EVENT_SEGMENTS;
		p.timestamp = bpf_ktime_get_ns();
		if (bpf_perf_event_output(ctx, &events, bpf_get_smp_processor_id(), &p,
					  sizeof(p)) != 0)
			count_loss(COUNTER_SEGMENTS_LOST);
	}
}

#endif
