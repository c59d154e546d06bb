// SPDX-License-Identifier: Apache-2.0
/*
 * Numbers as people read them: see brief.h. JavaScript rounds a double, which may lie beside the number that it
 * stands for: it matters where the number is half-way between two texts.
 */
#include <stddef.h>
#include <string.h>

#include "brief.h"
#include "digits.h"

#define FRACTION_BITS 52

static __u8 *put_unit(__u8 *to, const char *unit)
{
	while (*unit != '\0')
		*to++ = *unit++;
	return to;
}

__u8 *put_brief_bytes(__u8 *to, __u64 bytes)
{
	double value = bytes / 1024.0; /* exact, as all quotients by powers of two */
	__u32 shift = 10;
	__u64 tenths;

	if (bytes < 10000)
		return put_integer(to, bytes);
	for (; value >= 999.5; shift += 10)
		value /= 1024;
	if (value < 9.95) {
		tenths = (bytes * 10 + (1ULL << (shift - 1))) >> shift;
		*to++ = '0' + tenths / 10;
		*to++ = '.';
		*to++ = '0' + tenths % 10;
	} else {
		to = put_integer(to, (bytes + (1ULL << (shift - 1))) >> shift);
	}
	*to++ = "KMGTPE"[shift / 10 - 1];
	return to;
}

/* Whether the double next to us / unit, which is 1 at least and below 2^52, is less than that. */
static int is_below(__u64 us, __u32 unit)
{
	double quotient = (double)us / unit;
	__u64 bits, mantissa;
	int shift;

	memcpy(&bits, &quotient, sizeof(bits));
	mantissa = (bits & ((1ULL << FRACTION_BITS) - 1)) | 1ULL << FRACTION_BITS;
	/* The quotient is mantissa / 2^shift. */
	shift = 1023 + FRACTION_BITS - (int)(bits >> FRACTION_BITS);
	return (unsigned __int128)mantissa * unit < (unsigned __int128)us << shift;
}

/* As toPrecision(3) of us / unit, from 1 on and below 999.5. */
static __u8 *put_three(__u8 *to, __u64 us, __u32 unit)
{
	__u32 decimals = us < 10ULL * unit ? 2 : us < 100ULL * unit ? 1 : 0;
	__u32 step = decimals == 2 ? unit / 100 : decimals == 1 ? unit / 10 : unit;
	__u32 rounded = us / step, rest = us % step;

	if (rest * 2 > step || (rest * 2 == step && !is_below(us, unit)))
		rounded++;
	/* 9.995 is 10.0. */
	if (rounded == 1000 && decimals > 0) {
		rounded = 100;
		decimals--;
	}
	if (decimals == 0)
		return put_integer(to, rounded);
	to = put_integer(to, rounded / (decimals == 2 ? 100 : 10));
	*to++ = '.';
	return put_digits(to, rounded, decimals);
}

/* A number of the larger unit, and one of the smaller. */
static __u8 *put_two(__u8 *to, __u64 larger, const char *unit, __u64 smaller, const char *other)
{
	to = put_unit(put_integer(to, larger), unit);
	return put_unit(put_integer(to, smaller), other);
}

__u8 *put_brief_duration(__u8 *to, __u64 us)
{
	__u64 seconds = us / 1000000, minutes = seconds / 60, hours = minutes / 60;

	if (us < 1000)
		return put_unit(put_integer(to, us), "us");
	if (us + 500 < 1000000)
		return put_unit(put_three(to, us, 1000), "ms");
	if (us < 1000000)
		return NULL;
	if (us < 99950000)
		return put_unit(put_three(to, us, 1000000), "s");
	if (hours == 0)
		return put_two(to, minutes, "m", seconds % 60, "s");
	if (hours < 24)
		return put_two(to, hours, "h", minutes % 60, "m");
	return put_two(to, hours / 24, "d", hours % 24, "h");
}

__u8 *put_duration(__u8 *to, __u64 us)
{
	int is_short = us < 1000000;
	__u64 value = is_short ? us : us / 1000;

	to = put_integer(to, value / 1000);
	*to++ = '.';
	return put_unit(put_digits(to, value % 1000, 3), is_short ? "ms" : "s");
}

__u8 *put_seconds(__u8 *to, __u64 us)
{
	to = put_integer(to, us / 1000000);
	*to++ = '.';
	return put_digits(to, us % 1000000, 6);
}
