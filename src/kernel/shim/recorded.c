// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of a recording, as lineWriter() of src/recording/format.ts makes them: the checksum of all that follows, what the
 * steps tell, the number of the line, and a text that all lines of a session have at their end.
 */
#include "recorded.h"

#include "checksum.h"
#include "digits.h"

/* Of a checksum, and of the space behind it. */
#define CHECKSUM_BYTES 9
/* Of the longest number, the line feed, and what is written behind the text and overwritten. */
#define NUMBER_ROOM 48
#define LINE_FEED '\n'

int put_recorded(struct line_batch *batch, const struct line *line, const struct line_kept *text)
{
	__u8 *begin = address_of(batch->recorded_out) + batch->recorded_at;
	__u8 *json = begin + CHECKSUM_BYTES, *to = json;
	__u32 most =
		CHECKSUM_BYTES + text->recorded_bytes + NUMBER_ROOM + batch->recorded_tail_length;

	if (batch->recorded_end - batch->recorded_at <= most)
		return 0;
	to = put_steps(to, line, (const void *)address_of(text->recorded_steps),
		       text->recorded_count);
	if (to == NULL)
		return 0;
	to = put_integer(to, batch->recorded_number++);
	memcpy(to, address_of(batch->recorded_tail), batch->recorded_tail_length);
	to += batch->recorded_tail_length;
	*put_hex(begin, checksum(json, to)) = ' ';
	*to++ = LINE_FEED;
	batch->recorded_at += to - begin;
	return 1;
}
