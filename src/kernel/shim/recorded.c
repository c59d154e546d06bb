// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of a recording, as lineWriter() of src/recording/format.ts makes them: the checksum of all that follows, what the
 * steps tell, the number of the line, and a text that all lines of a session have at their end.
 */
#include "recorded.h"

#include "digits.h"

/* Of a checksum, and of the space behind it. */
#define CHECKSUM_BYTES 9
/* Of the longest number, the line feed, and what is written behind the text and overwritten. */
#define NUMBER_ROOM 48
#define LINE_FEED '\n'

/* Eight bytes of a checksum at a time: tables[n] is about a byte with n bytes behind it. */
#define CRC_STRIDE 8
static __u32 tables[CRC_STRIDE][256];

static void make_tables(void)
{
	for (__u32 byte = 0; byte < 256; byte++) {
		__u32 crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
		tables[0][byte] = crc;
	}
	for (int n = 1; n < CRC_STRIDE; n++)
		for (__u32 byte = 0; byte < 256; byte++) {
			__u32 crc = tables[n - 1][byte];

			tables[n][byte] = crc >> 8 ^ tables[0][crc & 0xff];
		}
}

static __u32 checksum(const __u8 *from, const __u8 *to)
{
	__u32 crc = ~0u;

	if (tables[0][1] == 0)
		make_tables();
	for (; to - from >= CRC_STRIDE; from += CRC_STRIDE) {
		__u32 low = load32(from) ^ crc, high = load32(from + 4);

		crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^
		      tables[5][low >> 16 & 0xff] ^ tables[4][low >> 24] ^ tables[3][high & 0xff] ^
		      tables[2][high >> 8 & 0xff] ^ tables[1][high >> 16 & 0xff] ^
		      tables[0][high >> 24];
	}
	for (; from < to; from++)
		crc = crc >> 8 ^ tables[0][(crc ^ *from) & 0xff];
	return ~crc;
}

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
