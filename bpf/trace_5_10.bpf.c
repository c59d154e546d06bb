// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same programs for Linux 5.10 and later, which takes more: newer instructions, and what lib/batch.h does with events. */
#define LINUX_5_10
#include "trace.bpf.c"
