/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and structs that the shim and TypeScript share. src/record/layout.gen.ts is generated from this file's BTF. */
#ifndef TRACER_SHARED_H
#define TRACER_SHARED_H

#include <linux/bpf.h>
#include <linux/types.h>

enum shim_number {
	LOG_SIZE = 256 * 1024, /* bytes of libbpf's messages that are kept */
	MAP_NAME_SIZE = 64,    /* of a buffer for the name of a map */
	RANGE_MAX = 64,	       /* entries of an array map that are read at once */
};

/* Types of programs that are asked for a helper. */
enum asked_type {
	ASKED_KPROBE = BPF_PROG_TYPE_KPROBE, /* a program that traces */
	ASKED_SOCKET_FILTER = BPF_PROG_TYPE_SOCKET_FILTER,
};

/* Stands before each record of a drain; the next prefix starts at a multiple of 8. */
struct ring_prefix {
	__u32 size; /* of the record: padded by the kernel to 8n + 4 */
	__u32 cpu;
};

/* Hooks of a control group that tell of sockets. */
enum socket_hook {
	HOOK_CONNECT4 = BPF_CGROUP_INET4_CONNECT,
	HOOK_CONNECT6 = BPF_CGROUP_INET6_CONNECT,
	HOOK_SENDMSG4 = BPF_CGROUP_UDP4_SENDMSG,
	HOOK_SENDMSG6 = BPF_CGROUP_UDP6_SENDMSG,
	HOOK_RECVMSG4 = BPF_CGROUP_UDP4_RECVMSG,
	HOOK_RECVMSG6 = BPF_CGROUP_UDP6_RECVMSG,
};

/* One wait, as it comes through the waiter's pair of sockets. */
struct wait_request {
	__s32 least_ms;
	__s32 most_ms;
	__s32 look_ms;
	__s32 reader_fd; /* -1: nobody reads */
};

#endif
