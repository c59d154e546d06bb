// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same programs for Linux 6.2 and later with the kernel's BTF: they load the kernel's memory, see read_kernel(). */
#define LINUX_5_10
#define LINUX_6_2
#include "trace.bpf.c"
