/* SPDX-License-Identifier: Apache-2.0 */
/* The same lines as a recording has them. */
#ifndef RECORDED_H
#define RECORDED_H

#include "line.h"

/* Returns 0 where nothing was made: there is no room for the line, or a value cannot be written so. */
int put_recorded(struct line_batch *batch, const struct line *line, const struct line_kept *text);

#endif
