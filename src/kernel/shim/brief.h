/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them, digit by digit those of src/output/numbers.ts. All are below 2^53. */
#ifndef BRIEF_H
#define BRIEF_H

#include <linux/types.h>

__u8 *put_brief_bytes(__u8 *to, __u64 bytes);
/* NULL: of those that round to a second, which only the runtime does the same way. */
__u8 *put_brief_duration(__u8 *to, __u64 us);
__u8 *put_duration(__u8 *to, __u64 us);
__u8 *put_seconds(__u8 *to, __u64 us);

#endif
