/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <linux/types.h>

/* CRC-32 of the bytes from one to the other, as Bun.hash.crc32() has it. */
__u32 checksum(const __u8 *from, const __u8 *to);

#endif
