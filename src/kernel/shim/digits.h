/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal digits. Behind each number there is room for three bytes more. */
#ifndef DIGITS_H
#define DIGITS_H

#include <string.h>

#include <linux/types.h>

static const char pairs[] = "0001020304050607080910111213141516171819"
			    "2021222324252627282930313233343536373839"
			    "4041424344454647484950515253545556575859"
			    "6061626364656667686970717273747576777879"
			    "8081828384858687888990919293949596979899";

/* The digits of a number below 10,000, the first one lowest. */
static inline __u32 four_digits(__u32 value)
{
	__u16 high, low;

	memcpy(&high, pairs + value / 100 * 2, sizeof(high));
	memcpy(&low, pairs + value % 100 * 2, sizeof(low));
	return high | (__u32)low << 16;
}

static inline __u8 *put_four(__u8 *to, __u32 digits)
{
	memcpy(to, &digits, sizeof(digits));
	return to + sizeof(digits);
}

static inline __u8 *put_small(__u8 *to, __u32 value)
{
	int zeros = value < 10 ? 3 : value < 100 ? 2 : value < 1000;

	return put_four(to, four_digits(value) >> 8 * zeros) - zeros;
}

static inline __u8 *put_integer(__u8 *to, __u64 value)
{
	__u32 fours[5], count = 0;

	for (; value >= 10000; value /= 10000)
		fours[count++] = value % 10000;
	to = put_small(to, value);
	while (count > 0)
		to = put_four(to, four_digits(fours[--count]));
	return to;
}

/* The last `count` of them, zeros in front. */
static inline __u8 *put_digits(__u8 *to, __u32 value, int count)
{
	for (int n = count - 1; n >= 0; n--, value /= 10)
		to[n] = '0' + value % 10;
	return to + count;
}

/* Of eight digits the first one goes first; all at once. */
static inline __u8 *put_hex(__u8 *to, __u32 value)
{
	__u64 nibbles = __builtin_bswap32(value), letters;

	nibbles = (nibbles | nibbles << 16) & 0x0000ffff0000ffff;
	nibbles = (nibbles | nibbles << 8) & 0x00ff00ff00ff00ff;
	nibbles = (nibbles >> 4 | nibbles << 8) & 0x0f0f0f0f0f0f0f0f;
	letters = (nibbles + 0x0606060606060606) >> 4 & 0x0101010101010101;
	nibbles += 0x3030303030303030 + letters * ('a' - '9' - 1);
	memcpy(to, &nibbles, sizeof(nibbles));
	return to + sizeof(nibbles);
}

#endif
