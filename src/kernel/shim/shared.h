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

enum id_number {
	REMOTE_FACTOR =
		0x2c1b3c6d, /* mixes a remote end into an id; odd, so that it can be undone */
};

/* The holes of a line. To add one, add it here and a case in line.c. */
enum line_form {
	LINE_TEXT_ALONE = 0, /* no hole */
	LINE_INTEGER = 1,
	LINE_TIME = 2,	  /* as ISO 8601, to the microsecond, without the zone */
	LINE_ADDRESS = 3, /* of the remote end */
	LINE_ID = 4,
};

/* A step to a line: a text, then what a hole holds. Several stand one behind the other, then their texts. */
struct line_step {
	__u32 text_at; /* from the first step on */
	__u32 text_length;
	__u16 at; /* of an integer in a struct event */
	__u16 since; /* of a time that is subtracted, which makes microseconds of the integer; 0: none */
	__u16 least; /* a smaller integer is written another way */
	__u8 size;   /* of the integer */
	__u8 form;   /* enum line_form */
};

/* The rest of what a line depends on, besides its steps and its record. */
struct line_moment {
	__u32 second_length;
	__u8 second[32]; /* text of the time, up to the microseconds */
	__u32 id_added;	 /* the key of ids: see src/record/id.ts */
	__u32 id_first;
	__u32 id_second;
};

#endif
