// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same programs for Linux 6.2 and later with the kernel's BTF, in lockdown mode "confidentiality" too: see read_kernel(). */
#define LINUX_6_2
#include "guess.bpf.c"
