/* SPDX-License-Identifier: Apache-2.0 */
/* Around map commands: map.c, map_dump.c. */
#ifndef MAP_H
#define MAP_H

#include <errno.h>

#include "shim.h"

/* Evaluates a map command with the CPU held: see hold.c. */
#define HELD(command)                                                                              \
	({                                                                                         \
		int _held = hold_cpu();                                                            \
		int _result = (command);                                                           \
		release_cpu(_held);                                                                \
		_result;                                                                           \
	})

/* The answer of a kernel that lacks the command, or lacks it for this kind of map: there are no batches before 5.6. */
static inline int no_batch(int err)
{
	return err == -EINVAL || err == -524 /* ENOTSUPP */ || err == -EOPNOTSUPP;
}

#endif
