// SPDX-License-Identifier: Apache-2.0
/* A line made of a record: texts that TypeScript has prepared, and in between what differs from line to line. */
#include <stddef.h>
#include <string.h>

#include "brief.h"
#include "digits.h"
#include "line.h"

/* TypeScript counts in doubles: what is larger is not exact there. */
#define MAX_SAFE_INTEGER ((1ULL << 53) - 1)
/* Texts are copied in blocks: behind each there is room to read so much more, and to write it. */
#define BLOCK 16
#define MICROSECOND_DIGITS 6
#define MILLISECOND_DIGITS 3
/* Of the longest number, address or time, and a block behind it. */
#define HOLE_ROOM 96

static __u8 *put_text(__u8 *to, const void *text, __u32 length)
{
	const __u8 *from = text;

	for (__u32 n = 0; n < length; n += BLOCK)
		memcpy(to + n, from + n, BLOCK);
	return to + length;
}

static __u8 *put_time(__u8 *to, const struct line *line)
{
	to = put_text(to, line->moment->second, line->moment->second_length);
	return put_digits(to, line->us, MICROSECOND_DIGITS);
}

#define GROUPS 8

/* Where the longest run of groups that are 0 begins, the first of equals; *length is 0 where none has two groups. */
static int longest_zeros(const __u8 *address, int *length)
{
	int best = 0, run = 0;

	*length = 1;
	for (int n = 0; n < GROUPS; n++) {
		run = load16(address + 2 * n) == 0 ? run + 1 : 0;
		if (run > *length) {
			*length = run;
			best = n + 1 - run;
		}
	}
	if (*length < 2)
		*length = 0;
	return best;
}

static __u8 *put_group(__u8 *to, __u32 group)
{
	for (int shift = group > 0xfff	? 12
			 : group > 0xff ? 8
			 : group > 0xf	? 4
					: 0;
	     shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[group >> shift & 0xf];
	return to;
}

/* As ipv6Text() of src/record/address.ts. NULL: of no address, and of one of IPv4. */
static __u8 *put_address6(__u8 *to, const __u8 *address)
{
	static const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	int length, zeros = longest_zeros(address, &length);

	if (length == GROUPS || memcmp(address, mapped, sizeof(mapped)) == 0)
		return NULL;
	for (int n = 0; n < GROUPS; n++) {
		if (length > 0 && n == zeros) {
			*to++ = ':';
			n += length - 1;
			if (n == GROUPS - 1)
				*to++ = ':';
			continue;
		}
		if (n > 0)
			*to++ = ':';
		to = put_group(to, (__u32)address[2 * n] << 8 | address[2 * n + 1]);
	}
	return to;
}

/* NULL: what stands for no address is written another way. */
static __u8 *put_address(__u8 *to, const struct line *line)
{
	/* The low word of an IPv4 address holds it. */
	const __u8 *address = MEMBER(line->record, ends.daddr_l);

	if (load32(MEMBER(line->record, ends.metadata)) & METADATA_IPV6) {
		if (line->remote == NULL)
			return put_address6(to, MEMBER(line->record, ends.daddr_h));
		memcpy(to, line->remote, line->remote_length);
		return to + line->remote_length;
	}
	if (load32(address) == 0)
		return NULL;
	for (int n = 0; n < 4; n++) {
		if (n > 0)
			*to++ = '.';
		to = put_integer(to, address[n]);
	}
	return to;
}

/* As remoteWord() of src/record/id.ts. */
static __u32 remote_word(const __u8 *record)
{
	__u32 word = load16(MEMBER(record, ends.dport)) + 1;

	for (int at = 0; at < 16; at += 4) {
		word ^= word >> 15 ^ load32(MEMBER(record, ends.daddr_h) + at);
		word *= REMOTE_FACTOR;
	}
	return word;
}

/* As hidden() of src/record/id.ts. */
static __u32 hidden(__u32 cookie, const struct line_moment *moment)
{
	__u32 word = cookie ^ moment->id_added;

	word = (word ^ word >> 16) * moment->id_first;
	word = (word ^ word >> 15) * moment->id_second;
	return word ^ word >> 16;
}

/* As putIdAt() of src/record/id.ts. */
static __u8 *put_id(__u8 *to, const struct line *line)
{
	const __u8 *record = line->record;
	__u64 started_at = load64(MEMBER(record, started_at));
	__u32 cookie = load32(MEMBER(record, cookie));

	if (!(load32(MEMBER(record, ends.metadata)) & METADATA_TCP))
		cookie ^= remote_word(record);
	/* Of the high half only the low 16 bits: the four digits behind them are overwritten. */
	to = put_hex(to, started_at >> 32 << 16);
	to = put_hex(to - 4, started_at);
	return put_hex(to, hidden(cookie, line->moment));
}

static __u64 integer_at(const __u8 *record, const struct line_step *step)
{
	const __u8 *at = record + step->at;

	if (step->size == sizeof(__u16))
		return load16(at);
	return step->size == sizeof(__u32) ? load32(at) : load64(at);
}

/* No integer that can be written has this value. */
#define UNUSUAL (MAX_SAFE_INTEGER + 1)

/* The value, or how long after the moment at step->since it is. Returns 0 where the record does not know it. */
static int find_value(const __u8 *record, const struct line_step *step, __u64 *value)
{
	__u64 since = step->since == 0 ? 0 : load64(record + step->since);

	*value = integer_at(record, step);
	if (*value < since)
		return 0;
	*value -= since;
	return *value >= step->least;
}

static __u64 value_of(const __u8 *record, const struct line_step *step)
{
	__u64 value;

	if (!find_value(record, step, &value) || value > MAX_SAFE_INTEGER)
		return UNUSUAL;
	return step->since == 0 ? value : value / 1000;
}

static __u8 *put_since(__u8 *to, const __u8 *record, const struct line_step *step)
{
	__u64 time = load64(MEMBER(record, timestamp));

	if (time < step->start || time - step->start > MAX_SAFE_INTEGER)
		return NULL;
	return put_seconds(to, (time - step->start) / 1000);
}

/* Exact, unlike the integers that TypeScript has as doubles. */
static __u8 *put_nanoseconds(__u8 *to, const __u8 *record, const struct line_step *step)
{
	__u64 value;

	return find_value(record, step, &value) ? put_integer(to, value) : NULL;
}

static __u8 *put_time_of_day(__u8 *to, const struct line *line)
{
	to = put_text(to, line->moment->day, line->moment->day_length);
	return put_digits(to, line->us / 1000, MILLISECOND_DIGITS);
}

/* As endpointText() of src/record/address.ts, without the port. */
static __u8 *put_before_port(__u8 *to, const struct line *line)
{
	int is_made =
		line->remote == NULL && load32(MEMBER(line->record, ends.metadata)) & METADATA_IPV6;

	if (is_made)
		*to++ = '[';
	to = put_address(to, line);
	if (to == NULL || line->remote != NULL)
		return to;
	if (is_made)
		*to++ = ']';
	*to++ = ':';
	return to;
}

/* NULL: the integer is none that can be written. */
static __u8 *put_number(__u8 *to, const struct line *line, const struct line_step *step)
{
	__u64 value = value_of(line->record, step);

	if (value == UNUSUAL)
		return NULL;
	switch (step->form) {
	case LINE_ENDPOINT:
		to = put_before_port(to, line);
		return to == NULL ? NULL : put_integer(to, value);
	case LINE_BRIEF_BYTES:
		return put_brief_bytes(to, value);
	case LINE_BRIEF_DURATION:
		return put_brief_duration(to, value);
	case LINE_DURATION:
		return put_duration(to, value);
	default:
		return put_integer(to, value);
	}
}

static __u8 *put_hole(__u8 *to, const struct line *line, const struct line_step *step)
{
	switch (step->form) {
	case LINE_TEXT_ALONE:
		return to;
	case LINE_TIME:
		return put_time(to, line);
	case LINE_ADDRESS:
		return put_address(to, line);
	case LINE_ID:
		return put_id(to, line);
	case LINE_TIME_OF_DAY:
		return put_time_of_day(to, line);
	case LINE_SINCE:
		return put_since(to, line->record, step);
	case LINE_NANOSECONDS:
		return put_nanoseconds(to, line->record, step);
	default:
		return put_number(to, line, step);
	}
}

static __u8 *put_spaces(__u8 *to, __u32 count)
{
	for (__u32 n = 0; n < count; n += BLOCK)
		memset(to + n, ' ', BLOCK);
	return to + count;
}

/*
 * As align() of src/output/text.ts: so many columns of the line are used before and behind it. The text of a hole is ASCII, and
 * one at the right end of its column has nothing in front.
 */
static __u8 *put_cell(__u8 *to, const struct line *line, const struct line_step *steps,
		      const struct line_step *step, __u32 *used)
{
	__u32 least = *used == 0 ? 0 : *used + 1, size = step->text_width, start;
	__u8 hole[HOLE_ROOM], *end = hole;

	if (step->form != LINE_TEXT_ALONE) {
		end = put_hole(hole, line, step);
		if (end == NULL)
			return NULL;
		size += end - hole;
	}
	start = step->column_end - (step->column_right ? size : step->column_width);
	if (start > step->column_end || start < least)
		start = least;
	to = put_spaces(to, start - *used);
	to = put_text(to, (const __u8 *)steps + step->text_at, step->text_length);
	*used = start + size;
	return put_text(to, hole, end - hole);
}

__u8 *put_steps(__u8 *to, const struct line *line, const struct line_step *steps, __u32 count)
{
	const struct line_step *step = steps;
	__u32 used = 0;

	for (__u32 n = 0; n < count && to != NULL; n++, step++) {
		if (step->column_end != 0) {
			to = put_cell(to, line, steps, step, &used);
			continue;
		}
		to = put_text(to, (const __u8 *)steps + step->text_at, step->text_length);
		to = put_hole(to, line, step);
	}
	return to;
}

int sh_put_line(void *out, __u32 at, const void *steps, __u32 count, const void *records, __u32 p,
		const void *moment, __u32 us, const void *remote, __u32 remote_length)
{
	const struct line line = { (const __u8 *)records + p, moment, us, remote, remote_length };
	__u8 *to = put_steps((__u8 *)out + at, &line, steps, count);

	return to == NULL ? -1 : to - (__u8 *)out;
}
