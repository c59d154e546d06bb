// SPDX-License-Identifier: Apache-2.0
/* Where the events of a drain lie, in the order of time: Index.fill() of src/trace/stream/queue.ts for many at a time. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"
#include "shim.h"

/* Nearly all drains are nearly in order. Events that take more moves each are merged. */
#define MOVES_MOST 8

struct order {
	__u32 *places;
	double *times;
	__u32 count;
};

static __u32 padded(__u32 size)
{
	return (size + 7) & ~7U;
}

/* 0: there is no room for more. */
static int add(struct order *order, __u32 room, const __u8 *bytes, __u32 at)
{
	__u64 time;

	if (order->count == room)
		return 0;
	memcpy(&time, bytes + at + offsetof(struct event, timestamp), sizeof(time));
	order->places[order->count] = at;
	order->times[order->count++] = time;
	return 1;
}

/* Puts each one behind the last that is no younger. 0: they are too far from their order; those of one time are as they came. */
static int insert(struct order *order)
{
	__s64 left = (__s64)MOVES_MOST * order->count;

	for (__u32 n = 1; n < order->count; n++) {
		__u32 place = order->places[n], to = n;
		double time = order->times[n];

		for (; to > 0 && order->times[to - 1] > time; to--) {
			order->places[to] = order->places[to - 1];
			order->times[to] = order->times[to - 1];
		}
		order->places[to] = place;
		order->times[to] = time;
		left -= n - to;
		if (left < 0)
			return 0;
	}
	return 1;
}

/* The events from `at` on that are in order. Returns the place behind them. */
static __u32 run_end(const struct order *order, __u32 at)
{
	while (++at < order->count && order->times[at] >= order->times[at - 1])
		;
	return at;
}

static void copy(struct order *to, __u32 n, const struct order *from, __u32 at)
{
	to->places[n] = from->places[at];
	to->times[n] = from->times[at];
}

/* The two runs that end at `middle` and `end`; of one time the first one's go first. */
static void merge(struct order *to, const struct order *from, __u32 at, __u32 middle, __u32 end)
{
	__u32 left = at, right = middle;

	for (__u32 n = at; n < end; n++)
		if (right == end || (left < middle && from->times[left] <= from->times[right]))
			copy(to, n, from, left++);
		else
			copy(to, n, from, right++);
}

/* Merges each run with the next one. Returns how many runs there were. */
static __u32 merge_runs(struct order *to, const struct order *from)
{
	__u32 at = 0, runs = 0, middle, end;

	for (; at < from->count; at = end) {
		end = middle = run_end(from, at);
		runs++;
		if (middle < from->count) {
			end = run_end(from, middle);
			runs++;
		}
		merge(to, from, at, middle, end);
	}
	return runs;
}

/* Each CPU's ring is a run, and so is each batch: few passes. spare: room for as many. */
static void merge_all(struct order *order, struct order *spare)
{
	struct order *from = order, *to = spare, *other;
	__u32 runs;

	do {
		runs = merge_runs(to, from);
		other = from;
		from = to;
		to = other;
	} while (runs > 2);
	if (from == spare)
		for (__u32 n = 0; n < order->count; n++)
			copy(order, n, spare, n);
}

/* 0: there is no memory. */
static int merge_sort(struct order *order)
{
	struct order spare = { NULL, NULL, order->count };
	int ok;

	spare.places = malloc(order->count * sizeof(*spare.places));
	spare.times = malloc(order->count * sizeof(*spare.times));
	ok = spare.places && spare.times;
	if (ok)
		merge_all(order, &spare);
	free(spare.places);
	free(spare.times);
	return ok;
}

int sh_order(const void *drained, __u32 used, void *places, void *times, __u32 room)
{
	struct order order = { places, times, 0 };
	const __u8 *bytes = drained;
	__u32 at = 0, size;

	while (at + sizeof(struct ring_prefix) <= used) {
		memcpy(&size, bytes + at, sizeof(size));
		at += sizeof(struct ring_prefix);
		if (size > used - at)
			return ORDER_UNKNOWN;
		for (__u32 n = 0; n + sizeof(struct event) <= size; n += sizeof(struct event))
			if (!add(&order, room, bytes, at + n))
				return ORDER_UNKNOWN;
		at += padded(size);
	}
	return insert(&order) || merge_sort(&order) ? (int)order.count : ORDER_UNKNOWN;
}
