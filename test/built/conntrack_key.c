// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The order of a key's ends, built for the machine that runs the tests. */
#include "lib/kernel.h"
#include "nat/key.h"

u32 ordered(struct conntrack_tuple *key)
{
	return order_ends(key);
}
