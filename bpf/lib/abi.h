/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers of the kernel that both sides know, under the kernel's names. src/kernel/constants.ts has them from
 * src/record/layout.gen.ts, which is generated from this file's BTF.
 */
#ifndef LIB_ABI_H
#define LIB_ABI_H

#include <linux/bpf.h>

enum kernel_number {
	AF_INET = 2,
	AF_INET6 = 10,
	SOCK_DGRAM = 2,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_MPTCP = 262,
	SOL_TCP = 6,
	MSG_PEEK = 2,
	MSG_TRUNC = 0x20,
	MSG_MORE = 0x8000,
	MSG_ERRQUEUE = 0x2000,
	ENOENT = 2,
	EPIPE = 32,
	/* Bits of sk_flags (enum sock_flags, the first two since 2.6): no process has the sock any more; the peer's FIN has arrived. */
	SOCK_DEAD = 0,
	SOCK_DONE = 1,
	/* Of sk_userlocks: bind(2) to a port takes this lock; a port that the kernel chose leaves it free. */
	SOCK_BINDPORT_LOCK = 8,
	/* Bytes. An IPv4 header without options. */
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	UDP_HEADER = 8,
};

/* Helpers that not every kernel has: src/kernel/feature_table.ts has a row for each. */
enum optional_helper {
	HELPER_GET_CURRENT_TASK = BPF_FUNC_get_current_task,
	HELPER_GET_CURRENT_CGROUP_ID = BPF_FUNC_get_current_cgroup_id,
	HELPER_KTIME_GET_COARSE_NS = BPF_FUNC_ktime_get_coarse_ns,
};

#endif
