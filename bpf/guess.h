/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The structs that the guess's programs and src/guess share. src/record/layout.gen.ts is generated from this file's BTF. */
#ifndef GUESS_H
#define GUESS_H

#include "record.h"

/* Sizes: of a chunk in bytes, of the others in chunks. */
enum guess_size {
	CHUNK = 256,
	SOCK_CHUNKS =
		24, /* 6,144 bytes of a struct sock; a debug kernel's locks have 72 bytes each */
	PEEK_CHUNKS = 4,    /* so much is copied behind any address */
	ARGS_CHUNKS = 8,    /* one behind each argument in a register */
	STACKED_CHUNKS = 8, /* one behind each of the first arguments on the stack */
	SKB_CHUNKS = 1,
	BEHIND_CHUNKS = CHUNK / 8, /* one behind each word of the sk_buff's chunk */
};

/* Where the chunks of one snapshot lie in the map window. A peek goes where a sock goes. */
enum guess_window {
	WINDOW_SOCK = 0,
	WINDOW_ARGS = WINDOW_SOCK + SOCK_CHUNKS,
	WINDOW_STACKED = WINDOW_ARGS + ARGS_CHUNKS,
	WINDOW_SKB = WINDOW_STACKED + STACKED_CHUNKS,
	WINDOW_BEHIND = WINDOW_SKB + SKB_CHUNKS,
	WINDOW_CHUNKS = WINDOW_BEHIND + BEHIND_CHUNKS,
};

/* guess_command.armed: which of the calls inside the tool's own send is to be copied. */
enum guess_armed {
	ARMED_CALL = 1,	  /* ip_make_skb, ip6_make_skb: what lies behind the arguments */
	ARMED_SKB = 2,	  /* ip_send_skb: the sk_buff */
	ARMED_SHARED = 4, /* ip_send_skb: what lies where it ends, its struct skb_shared_info */
	/* __nf_conntrack_hash_insert: the struct nf_conn */
	ARMED_CONNTRACK = 5,
	/* tcp_probe: the address of the sk_buff that comes to the sock at `address` */
	ARMED_SEGMENT = 6,
	ARMED_TASK =
		3, /* wake_up_new_task, sched_process_fork: a thread of the tool's own that is being born */
};

/* The bits of ASK_MASK in the option name; the rest is the cookie. */
enum guess_ask {
	ASK_MASK = 15,
	ASK_SOCK = 1, /* copy the sock of this system call */
	ASK_PEEK = 2, /* copy what lies behind command.address */
};

/* Arguments that the architecture passes in registers; the next ones are on the stack. */
enum guess_registers {
	REGISTERS_X64 = 6,
	REGISTERS_ARM64 = 8,
};

struct guess_command {
	u64 address;
	u64 pid_tgid;
	u64 armed; /* 0 unless the tool is inside a send that is to be copied */
	u64 head;  /* offsets in struct sk_buff, for ARMED_SHARED */
	u64 end;
	u64 floor; /* words below it are no kernel addresses; x86 before 6.x warns when a non-canonical one is read */
};

struct guess_answer {
	u64 sequence; /* counts finished snapshots: the tool sees whether its call was heard */
	u64 pid_tgid;
	u64 sk;
	u64 task; /* the struct task_struct of the calling thread; 0: not asked for, or before 4.8 */
};

struct chunk {
	u64 failed; /* 0: could be read */
	u8 bytes[CHUNK];
};

#endif
