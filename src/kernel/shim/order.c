// SPDX-License-Identifier: Apache-2.0
/* Where the events of a drain lie, in the order of time: Index.fill() of src/trace/stream/queue.ts for many at a time. */
#include <stddef.h>
#include <string.h>

#include "bpf/record.h"
#include "shim.h"

/* As in queue.ts: events that take more moves each are sorted there. */
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
static int sort(struct order *order)
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
	return sort(&order) ? (int)order.count : ORDER_UNKNOWN;
}
