// SPDX-License-Identifier: Apache-2.0
/* A line that is being made of a record. */
#ifndef LINE_H
#define LINE_H

#include <stddef.h>
#include <string.h>

#include "bpf/record.h"
#include "shim.h"

struct line {
	const __u8 *record;
	const struct line_moment *moment;
	__u32 us; /* within the second */
	/* The text of an IPv6 address; NULL: it is made of the record. */
	const void *remote;
	__u32 remote_length;
};

static inline __u8 *address_of(__u64 address)
{
	return (__u8 *)(unsigned long)address;
}

#define MEMBER(record, name) ((record) + offsetof(struct event, name))

static inline __u16 load16(const __u8 *from)
{
	__u16 value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline __u32 load32(const __u8 *from)
{
	__u32 value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline __u64 load64(const __u8 *from)
{
	__u64 value;

	memcpy(&value, from, sizeof(value));
	return value;
}

/* Texts and what the holes hold, one behind the other. Returns where they end; NULL: a value cannot be written so. */
__u8 *put_steps(__u8 *to, const struct line *line, const struct line_step *steps, __u32 count);

#endif
