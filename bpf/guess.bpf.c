// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Snapshots for the guess: copies windows of kernel memory that belong to the tool's own sockets. Knows no field
 * names and draws no conclusion; src/guess/solve.ts does that.
 *
 * The programs recognise the tool in two ways: a system call of the tool's own carries a random cookie as option name
 * (kprobes), or the calling thread is the one in command.pid_tgid. Nothing depends on the pids that /proc shows.
 */
#include "lib/kernel.h"
#include "lib/offsets.h"
#include "guess.h"

/* Written by the tool before a system call, read by the programs; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct guess_command);
} command SEC(".maps");

/* Written by the programs, read by the tool after the system call; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct guess_answer);
} answer SEC(".maps");

/* The snapshot itself: overwritten by each one, read by the tool, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WINDOW_CHUNKS);
	__type(key, u32);
	__type(value, struct chunk);
} window SEC(".maps");

inline_always struct guess_command *read_command(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&command, &zero);
}

inline_always void finish(u64 sk)
{
	u32 zero = 0;
	struct guess_answer *a = bpf_map_lookup_elem(&answer, &zero);

	if (!a)
		return;
	a->pid_tgid = bpf_get_current_pid_tgid();
	a->sk = sk;
	a->task = helper_or_0(HELPER_GET_CURRENT_TASK);
	a->sequence++;
}

/* Of memory that is there for certain, and may be 0: words that are loaded do not tell it from what cannot be read. */
#ifdef LINUX_6_2
#define READABLE (~0ULL)
#else
#define READABLE 0ULL
#endif

/*
 * No branch, here and in copy_behind(): a verifier need not find out that both ways of one come to the same. Linux 5.3
 * to 5.5 do not: they keep apart which of the chunks could be read, and 32 chunks have 2^32 such states.
 */
inline_always void copy_chunk(struct chunk *buffer, u32 index, u64 address, u64 readable)
{
	/* A variable of its own: a loop whose counter has its address taken is not unrolled. */
	u32 key = index;

	buffer->failed = copy_words(buffer->bytes, sizeof(buffer->bytes), address) & ~readable;
	bpf_map_update_elem(&window, &key, buffer, BPF_ANY);
}

inline_always void peek(struct chunk *buffer, u64 address)
{
#pragma unroll
	for (int i = 0; i < PEEK_CHUNKS; i++)
		copy_chunk(buffer, WINDOW_SOCK + i, address + i * CHUNK, 0);
}

inline_always void copy_sock(struct chunk *buffer, u64 sk)
{
#pragma unroll
	for (int i = 0; i < SOCK_CHUNKS; i++)
		copy_chunk(buffer, WINDOW_SOCK + i, sk + i * CHUNK, READABLE);
}

/* Returns the word if it can be an object's address: all bits of the floor are set in it, and it is aligned. Else 0. */
inline_always u64 address_or_0(u64 word, u64 floor)
{
	u64 strange = (~word & floor) | (word & 7);
	u64 negative = -strange;

	asm volatile("" : "+r"(negative)); /* else the compiler makes a branch of it */
	return word & (((strange | negative) >> 63) - 1);
}

/* Copies the memory that a word points to. */
inline_always void copy_behind(struct chunk *buffer, u32 index, u64 word, u64 floor)
{
	copy_chunk(buffer, index, address_or_0(word, floor), 0);
}

#ifdef REG_ARG8
_Static_assert(REGISTERS_ARM64 == 8, "each register is copied below");
#else
_Static_assert(REGISTERS_X64 == 6, "each register is copied below");
#endif

inline_always void copy_arguments(struct chunk *buffer, void *ctx, u64 floor)
{
	u64 stack = reg(ctx, REG_SP) + STACK_ARGS;

	copy_behind(buffer, WINDOW_ARGS + 0, reg(ctx, REG_ARG1), floor);
	copy_behind(buffer, WINDOW_ARGS + 1, reg(ctx, REG_ARG2), floor);
	copy_behind(buffer, WINDOW_ARGS + 2, reg(ctx, REG_ARG3), floor);
	copy_behind(buffer, WINDOW_ARGS + 3, reg(ctx, REG_ARG4), floor);
	copy_behind(buffer, WINDOW_ARGS + 4, reg(ctx, REG_ARG5), floor);
	copy_behind(buffer, WINDOW_ARGS + 5, reg(ctx, REG_ARG6), floor);
#ifdef REG_ARG8
	copy_behind(buffer, WINDOW_ARGS + 6, reg(ctx, REG_ARG7), floor);
	copy_behind(buffer, WINDOW_ARGS + 7, reg(ctx, REG_ARG8), floor);
#endif
#pragma unroll
	for (int i = 0; i < STACKED_CHUNKS; i++) {
		u64 word = 0;

		read_kernel(word, stack + i * 8);
		copy_behind(buffer, WINDOW_STACKED + i, word, floor);
	}
}

inline_always int called_by_tool(struct guess_command *c, u64 armed)
{
	return c && c->armed == armed && c->pid_tgid == bpf_get_current_pid_tgid();
}

/* The arguments of a function that the tool's own send is in. */
inline_always void copy_call(void *ctx)
{
	struct chunk buffer = {};
	struct guess_command *c = read_command();

	if (!called_by_tool(c, ARMED_CALL))
		return;
	copy_arguments(&buffer, ctx, c->floor);
	finish(reg(ctx, REG_ARG1));
}

inline_always int asked(void *ctx, u32 *ask)
{
	u32 optname = (u32)reg(ctx, REG_ARG3);

	*ask = optname & ASK_MASK;
	return (u32)reg(ctx, REG_ARG2) == SOL_TCP &&
	       (optname & ~(u32)ASK_MASK) == (u32)constant(CONSTANT_COOKIE);
}

/* int tcp_getsockopt(struct sock *sk, int level, int optname, ...): an operation of tcp_prot, so never inlined */
SEC("kprobe/tcp_getsockopt")
int on_tcp_getsockopt(void *ctx)
{
	struct chunk buffer = {};
	struct guess_command *c;
	u64 sk = reg(ctx, REG_ARG1);
	u32 ask;

	if (!asked(ctx, &ask))
		return 0;
	c = read_command();
	if (!c)
		return 0;
	if (ask == ASK_SOCK)
		copy_sock(&buffer, sk);
	else
		peek(&buffer, c->address);
	finish(sk);
	return 0;
}

/* struct sk_buff *ip_make_skb(struct sock *sk, struct flowi4 *fl4, ...) */
SEC("kprobe/ip_make_skb")
int on_ip_make_skb(void *ctx)
{
	copy_call(ctx);
	return 0;
}

/* struct sk_buff *ip6_make_skb(struct sock *sk, ...): flowi6 is argument 7 from 4.7, argument 9 before; from 5.18 it lies in the cork, argument 9 */
SEC("kprobe/ip6_make_skb")
int on_ip6_make_skb(void *ctx)
{
	copy_call(ctx);
	return 0;
}

/* skb->head + skb->end: the first is a pointer, the second a distance in 32 bits. */
inline_always void copy_shared(struct chunk *buffer, u64 skb, u64 head_at, u64 end_at)
{
	u64 head = 0;
	u32 end = 0;

	read_kernel(head, skb + head_at);
	read_kernel(end, skb + end_at);
	copy_chunk(buffer, WINDOW_SKB, head + end, READABLE);
	finish(0);
}

/* int ip_send_skb(struct net *net, struct sk_buff *skb) */
SEC("kprobe/ip_send_skb")
int on_ip_send_skb(void *ctx)
{
	struct chunk buffer = {};
	struct guess_command *c = read_command();
	u64 skb = reg(ctx, REG_ARG2);
	u64 floor;

	if (called_by_tool(c, ARMED_SHARED)) {
		copy_shared(&buffer, skb, c->head, c->end);
		return 0;
	}
	if (!called_by_tool(c, ARMED_SKB))
		return 0;
	floor = c->floor; /* once: the loop would keep a pointer to it */
#pragma unroll
	for (int i = 0; i < CHUNK / 8; i++) {
		u64 word = 0;

		read_kernel(word, skb + i * 8);
		copy_behind(&buffer, WINDOW_BEHIND + i, word, floor);
	}
	copy_chunk(&buffer, WINDOW_SKB, skb, READABLE);
	finish(0);
	return 0;
}

/* __nf_conntrack_hash_insert(struct nf_conn *ct, ...), while the tool makes an entry of conntrack */
SEC("kprobe/__nf_conntrack_hash_insert")
int on_conntrack_insert(void *ctx)
{
	struct chunk buffer = {};

	if (!called_by_tool(read_command(), ARMED_CONNTRACK))
		return 0;
	copy_chunk(&buffer, WINDOW_SKB, reg(ctx, REG_ARG1), READABLE);
	finish(reg(ctx, REG_ARG1));
	return 0;
}

/* A struct task_struct, as large as a sock. */
inline_always void copy_task(u64 task)
{
	struct chunk buffer = {};

	if (!called_by_tool(read_command(), ARMED_TASK))
		return;
	copy_sock(&buffer, task);
	finish(task);
}

/* void wake_up_new_task(struct task_struct *p) */
SEC("kprobe/wake_up_new_task")
int on_wake_up_new_task(void *ctx)
{
	copy_task(reg(ctx, REG_ARG1));
	return 0;
}

/* Tracepoint mode: sched_process_fork(struct task_struct *parent, struct task_struct *child) */
SEC("raw_tp/sched_process_fork")
int on_sched_process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	copy_task(ctx->args[1]);
	return 0;
}

/* Tracepoint mode: inet_sock_set_state(const struct sock *sk, int oldstate, int newstate), inside the tool's connect(2). */
SEC("raw_tp/inet_sock_set_state")
int on_set_state(struct bpf_raw_tracepoint_args *ctx)
{
	struct guess_command *c = read_command();

	if (!c || c->pid_tgid != bpf_get_current_pid_tgid())
		return 0;
	if (ctx->args[2] == TCP_STATE_SYN_SENT || ctx->args[2] == TCP_STATE_LISTEN)
		finish(ctx->args[0]);
	return 0;
}

/* (struct sock *sk, struct sk_buff *skb): a segment comes to the tool's own sock. The task may be any. */
SEC("raw_tp/tcp_probe")
int on_tcp_probe(struct bpf_raw_tracepoint_args *ctx)
{
	struct guess_command *c = read_command();

	if (c && c->armed == ARMED_SEGMENT && c->address == ctx->args[0])
		finish(ctx->args[1]);
	return 0;
}

/* Tracepoint mode: never attached, run by BPF_PROG_TEST_RUN with the sock to copy as first argument. */
SEC("raw_tp/run_copy_sock")
int run_copy_sock(struct bpf_raw_tracepoint_args *ctx)
{
	struct chunk buffer = {};

	copy_sock(&buffer, ctx->args[0]);
	finish(ctx->args[0]);
	return 0;
}

/* Tracepoint mode: the same with any address. */
SEC("raw_tp/run_peek")
int run_peek(struct bpf_raw_tracepoint_args *ctx)
{
	struct chunk buffer = {};

	peek(&buffer, ctx->args[0]);
	finish(0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
