// SPDX-License-Identifier: Apache-2.0
/*
 * Checksums of the lines of a recording: CRC-32 with the lowest bit first. Where the processor multiplies without carry, 16 bytes are
 * folded into the next 16 at a time, which takes an eighth of the instructions.
 */
#include "checksum.h"

#include "line.h"

#define CRC_POLYNOMIAL 0xedb88320

/* The tables are for eight bytes at a time: tables[n] is about a byte with n bytes behind it. */
#define STRIDE 8
static __u32 tables[STRIDE][256];

static void make_tables(void)
{
	for (__u32 byte = 0; byte < 256; byte++) {
		__u32 crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
		tables[0][byte] = crc;
	}
	for (int n = 1; n < STRIDE; n++)
		for (__u32 byte = 0; byte < 256; byte++) {
			__u32 crc = tables[n - 1][byte];

			tables[n][byte] = crc >> 8 ^ tables[0][crc & 0xff];
		}
}

static __u32 by_tables(__u32 crc, const __u8 *from, const __u8 *to)
{
	for (; to - from >= STRIDE; from += STRIDE) {
		__u32 low = load32(from) ^ crc, high = load32(from + 4);

		crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^
		      tables[5][low >> 16 & 0xff] ^ tables[4][low >> 24] ^ tables[3][high & 0xff] ^
		      tables[2][high >> 8 & 0xff] ^ tables[1][high >> 16 & 0xff] ^
		      tables[0][high >> 24];
	}
	for (; from < to; from++)
		crc = crc >> 8 ^ tables[0][(crc ^ *from) & 0xff];
	return crc;
}

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>

/* Fold 128 bits over the next 128: x^(128+32) and x^(128-32) modulo the polynomial, with the lowest bit first. */
#define FOLD_LOW 0x1751997d0
#define FOLD_HIGH 0x0ccaa009e
#define BLOCK 16

static int can_fold(void)
{
	static int known = -1;
	unsigned int a, b, c = 0, d;

	if (known < 0)
		known = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMUL) != 0;
	return known;
}

/* Of one block at least. */
__attribute__((target("pclmul"))) static __u32 folded(__u32 crc, const __u8 *from, const __u8 *to)
{
	const __m128i by = _mm_set_epi64x(FOLD_HIGH, FOLD_LOW);
	__m128i sum = _mm_xor_si128(_mm_loadu_si128((const void *)from), _mm_cvtsi32_si128(crc));
	__u8 rest[BLOCK];

	for (from += BLOCK; to - from >= BLOCK; from += BLOCK)
		sum = _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, by, 0x00),
						  _mm_clmulepi64_si128(sum, by, 0x11)),
				    _mm_loadu_si128((const void *)from));
	_mm_storeu_si128((void *)rest, sum);
	return by_tables(by_tables(0, rest, rest + BLOCK), from, to);
}
#endif

__u32 checksum(const __u8 *from, const __u8 *to)
{
	if (tables[0][1] == 0)
		make_tables();
#ifdef __x86_64__
	if (to - from >= BLOCK && can_fold())
		return ~folded(~0u, from, to);
#endif
	return ~by_tables(~0u, from, to);
}
