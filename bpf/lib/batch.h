/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How events reach the tool: four to a record, and at each poll what there is by then; else one by one. */
#ifndef LIB_BATCH_H
#define LIB_BATCH_H

#include "lib/maps.h"
#include "lib/offsets.h"

/*
 * The events of a CPU that are not in its ring yet. Added to on that CPU by send_event(), emptied there when it is full or,
 * by the tool's run_batch, at each poll: so an event waits no longer than it would in the ring. The tool makes it as large
 * as there can be CPUs, and looks into it through a mapping. Nothing is added before Linux 5.10, where a program cannot be
 * run on request, and where programs are preempted (backup.h): `busy` keeps out who interrupts, not who takes turns.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct event_batch);
} batches SEC(".maps");

/* The compiler may not move what is written to a batch across this. */
#define in_order() asm volatile("" : : : "memory")

#define EVENT_BYTES sizeof(struct event)
#define BATCH_BYTES (BATCH_EVENTS * EVENT_BYTES)

/* Rare, so a hash map will do. */
inline_always void spill_event(struct event *event, u32 cpu)
{
	struct spill_key key = {};

	key.sk = event->sk;
	key.cookie = event->cookie;
	key.kind = event->kind;
	key.cpu = cpu;
	if (bpf_map_update_elem(&spill, &key, event, BPF_ANY) == 0)
		count_loss(COUNTER_EVENT_SPILLED);
	else
		count_loss(LOSS_EVENT_RING_FULL);
}

#ifdef LINUX_5_10
inline_always int output_batch(void *ctx, struct event_batch *batch, u64 bytes)
{
	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &batch->e0, bytes);
}

/* Returns 0 where it has no place: it is full, the tool sleeps, or it is busy, which means that what is busy was interrupted by this. */
inline_always int add_to_batch(void *ctx, const struct event *event, u32 cpu)
{
	struct event_batch *batch = bpf_map_lookup_elem(&batches, &cpu);
	u64 len;

	if (!batch || batch->busy || batch->asleep)
		return 0;
	batch->busy = 1;
	in_order();
	len = batch->len;
	if (len >= BATCH_EVENTS) {
		batch->busy = 0;
		return 0;
	}
	/* For the verifier, of which some forget what the comparison has shown. */
	asm volatile("%0 &= 3" : "+r"(len));
	*(struct event *)((char *)batch + len * EVENT_BYTES) = *event;
	in_order();
	batch->len = len + 1;
	/* If the ring is full, the batch is left to send_batch(). */
	if (batch->len == BATCH_EVENTS && output_batch(ctx, batch, BATCH_BYTES) == 0)
		batch->len = 0;
	in_order();
	batch->busy = 0;
	return 1;
}

inline_always void spill_batch(struct event_batch *batch, u32 cpu, u64 bytes)
{
	spill_event(&batch->e0, cpu);
	if (bytes > EVENT_BYTES)
		spill_event(&batch->e1, cpu);
	if (bytes > 2 * EVENT_BYTES)
		spill_event(&batch->e2, cpu);
	if (bytes > 3 * EVENT_BYTES)
		spill_event(&batch->e3, cpu);
}

/*
 * Asked by the tool for a batch that is not empty: on the batch's CPU, or on any other while that one is off (should it come
 * back in this very moment, an event could be lost or told twice). Returns 1 where it was busy and is to be asked again.
 */
inline_always int send_batch(void *ctx, u32 cpu)
{
	struct event_batch *batch = bpf_map_lookup_elem(&batches, &cpu);
	u64 bytes;

	if (!batch)
		return 0;
	if (batch->busy)
		return 1;
	batch->busy = 1;
	in_order();
	bytes = (u64)batch->len * EVENT_BYTES;
	if (bytes && bytes <= BATCH_BYTES && output_batch(ctx, batch, bytes) != 0)
		spill_batch(batch, cpu, bytes);
	batch->len = 0;
	in_order();
	batch->busy = 0;
	return 0;
}
#endif

inline_always void send_event(void *ctx, struct event *event)
{
	/* BPF_F_CURRENT_CPU is 4.6+; the number itself works everywhere. */
	u32 cpu = bpf_get_smp_processor_id();

#ifdef LINUX_5_10
	if (constant(CONSTANT_BATCHED) && add_to_batch(ctx, event, cpu))
		return;
#endif
	if (bpf_perf_event_output(ctx, &events, cpu, event, sizeof(*event)) != 0)
		spill_event(event, cpu);
}

#endif
