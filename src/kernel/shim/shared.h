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

enum order_answer {
	ORDER_UNKNOWN = -1,
};

/* The holes of a line. To add one, add it here and a case in line.c. */
enum line_form {
	LINE_TEXT_ALONE = 0, /* no hole */
	LINE_INTEGER = 1,
	LINE_TIME = 2,	  /* as ISO 8601, to the microsecond, without the zone */
	LINE_ADDRESS = 3, /* of the remote end */
	LINE_ID = 4,
	LINE_TIME_OF_DAY = 5, /* to the millisecond */
	LINE_SINCE = 6,	      /* seconds since `start` */
	LINE_ENDPOINT = 7,    /* the remote address, and an integer as its port */
	/* These are integers, as src/output/numbers.ts has them. */
	LINE_BRIEF_BYTES = 8,
	LINE_BRIEF_DURATION = 9,
	LINE_DURATION = 10,
	LINE_NANOSECONDS = 11, /* any integer of 8 bytes, as it is */
};

/* A step to a line: a text, then what a hole holds. Several stand one behind the other, then their texts. */
struct line_step {
	__u64 start;   /* of LINE_SINCE: on the events' clock */
	__u32 text_at; /* from the first step on */
	__u32 text_length;
	__u32 text_width; /* columns that it takes */
	__u16 at;	  /* of an integer in a struct event */
	__u16 since; /* of a time that is subtracted, which makes microseconds of the integer; 0: none */
	__u16 least; /* a smaller integer is written another way */
	__u8 size;   /* of the integer */
	__u8 form;   /* enum line_form */
	/* The step stands in a column that ends here, so wide, and at its right end or not; 0: it is in no column. */
	__u16 column_end;
	__u16 column_width;
	__u8 column_right;
	__u8 _pad[7];
};

/* The rest of what a line depends on, besides its steps and its record. */
struct line_moment {
	__u32 second_length;
	__u8 second[32]; /* text of the time, up to the microseconds */
	__u32 day_length;
	__u8 day[16];	/* text of the time of day, up to the milliseconds */
	__u32 id_added; /* the key of ids: see src/record/id.ts */
	__u32 id_first;
	__u32 id_second;
};

/*
 * Conditions on which a record becomes a line without TypeScript: the parts of a trace write them before each call, see
 * src/trace/stream/conditions.ts. A record that does not meet them goes back.
 */
struct line_conditions {
	__u64 marks; /* address of SOCK_MARKS bytes: a part knows more of a sock whose byte is not 0 */
	__u64 end_marks;    /* the same, of socks of which only the close goes back */
	__u64 most_bytes;   /* that were sent or received */
	__u64 comm_refused; /* the first 8 bytes of a name */
	__u64 plain_from; /* connections that began from here on, up to the next, are translated nowhere */
	__u64 plain_until;
	__u64 programs; /* address of PROGRAM_SLOTS __u32: processes that are no threads of the kernel, by the low bits of their number */
	__u64 pairs;	/* address of the struct line_pairs; 0: handshakes go back */
	__u32 flags_refused; /* enum conn_fact */
	__u32 flags_doubted; /* the same, of what root's processes do that are not among the programs */
	__u32 pid_refused;
	__u32 plain_asked; /* 1: a record that does not say whether it is translated must have begun between the two */
	__u32 plain_only; /* 1: each record must say that it is translated nowhere */
	/* Closes that became lines are counted here. */
	__u32 silent; /* nothing was sent or received */
	__u32 moved;
	__u32 named;	 /* after their endpoint */
	__u64 endpoints; /* address of ENDPOINT_SLOTS structs line_endpoint; 0: no close is named */
	__u64 groups; /* address of GROUP_SLOTS structs line_group; 0: each id tells its control group */
	__u64 everybody; /* the newest id that does not, beside 0: where hierarchies of version 1 are in use, that of all processes */
};

enum group_slots {
	GROUP_SLOTS = 256, /* a power of two */
};

/* The answer of /proc about a process, of this poll: see src/trace/process/groups.ts. By the low bits of its number. */
struct line_group {
	__u64 id;    /* stands for its control group in a record */
	__u32 pid;   /* 0: nothing was told */
	__u32 since; /* mono_ticks of its beginning */
	__u32 ticks; /* so many it has been there; an owner that was noted before was another process */
	__u32 _pad;
};

enum endpoint_slot {
	ENDPOINT_SLOTS = 2048, /* a power of two */
	ENDPOINT_NONE = 0,
	ENDPOINT_ONE = 1,
	ENDPOINT_SEVERAL = 2, /* closes that this slot is for go back */
	/* Odd numbers: see keyAt() of src/trace/protocols/endpoints.ts. */
	ENDPOINT_FIRST = 0x7feb352d,
	ENDPOINT_SECOND = 0x85ebca6b,
	ENDPOINT_THIRD = 0xc2b2ae35,
};

/* An endpoint after which closes are named: see src/trace/protocols/endpoints.ts. */
struct line_endpoint {
	__u32 state; /* enum endpoint_slot */
	__u32 netns;
	__u32 end; /* where its address lies in a struct event */
	__u32 port;
	__u8 address[16];
	__u64 since; /* connections that began between these two are named */
	__u64 until;
	__u32 speaks; /* as in struct event */
	__u32 _pad;
};

enum sock_marks {
	SOCK_MARKS =
		65536, /* by the high 16 bits of a hash: the low 32 bits of the address / 2^SOCK_SHIFT, times GATE_HASH */
	SOCK_SHIFT = 6,
};

enum pair_slots {
	PROGRAM_SLOTS = 64, /* powers of two */
	HANDSHAKE_SLOTS = 512,
	HOLDER_SLOTS = 256,
};

/*
 * Handshakes of tracepoint mode that wait for the close of their connection, which brings the accept along: see
 * src/trace/tcp/handshakes.ts. TypeScript takes those out that were not closed by the end of a poll.
 */
struct line_pairs {
	__u64 records; /* address of HANDSHAKE_SLOTS structs event */
	__u64 taken;   /* address: for each slot a byte, 1 where a handshake waits */
	__u64 holders; /* address of HOLDER_SLOTS structs line_holder */
	__u64 newest;  /* time of the newest handshake that became an accept; written */
};

/* A process that held a listener. */
struct line_holder {
	__u32 ino;
	__u32 pid;
	__u64 since; /* when the handshakes from then on were done */
};

/* Texts that TypeScript has prepared, by what their records have in common: see src/output/straight/keys.ts. */
struct line_keys {
	__u64 places; /* address: where each word of a key lies in a struct event */
	__u64 masks;  /* address: the bits of each word that belong to it */
	__u64 keys;   /* address: LINE_KEY_SLOTS keys */
	__u64 states; /* address: for each slot a byte, enum line_key */
	__u64 kept;   /* address: for each slot a struct line_kept */
	__u64 words;  /* of a key */
	__u64 ports;  /* address: for each port a byte, enum line_port; 0: any port is wanted */
	__u64 ports_asked; /* of the first three */
};

/* Lists that a port is in. */
enum line_port {
	PORT_WANTED = 1, /* of either end */
	PORT_WANTED_LOCAL = 2,
	PORT_WANTED_REMOTE = 4,
	PORT_UNWANTED = 8,
	PORT_UNWANTED_LOCAL = 16,
	PORT_UNWANTED_REMOTE = 32,
	PORT_COUNT = 65536,
};

enum line_key {
	LINE_KEY_SLOTS = 1024, /* a power of two */
	LINE_KEY_MET = 1,
	LINE_KEY_MADE = 2, /* its text is kept, if there can be one */
};

/* The text of a slot. */
struct line_kept {
	__u64 steps; /* address of the struct line_steps; 0: there is none */
	__u32 count; /* 0: nobody wants these lines */
	__u32 bytes; /* more than the line takes */
	/* The same of the line of a recording. */
	__u64 recorded_steps;
	__u32 recorded_count;
	__u32 recorded_bytes;
	__u64 taken; /* lines of it; written */
};

/* Lines of many records. All u64 but the second and the number are addresses. */
struct line_batch {
	__u64 records;
	__u64 places; /* where each record lies, __u32 */
	__u64 conditions;
	__u64 keys;
	__u64 moment;
	__u64 second; /* begins at this time of the events' clock */
	__u64 out;
	__u32 from; /* the first of the places, and the one behind the last */
	__u32 to;
	__u32 at;   /* where the next line begins in out; written */
	__u32 end;  /* of out */
	__u32 made; /* how many lines there are; written */
	/* The same lines as a recording has them: see src/kernel/shim/recorded.c. */
	__u32 recorded_at;
	__u64 recorded_out;    /* 0: there is no recording */
	__u64 recorded_tail;   /* text behind the number of a line */
	__u64 recorded_number; /* of the next line */
	__u32 recorded_end;
	__u32 recorded_tail_length;
};

#endif
