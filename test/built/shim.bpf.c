// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* For the shim's own test: a program that emits records on demand, and maps of two kinds. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(key_size, 4);
	__uint(value_size, 12);
} entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 100);
	__uint(key_size, 4);
	__uint(value_size, 12);
} numbered SEC(".maps");

/* Has no batch operations on any kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 256);
	__uint(key_size, 4);
	__uint(value_size, 4);
} unbatched SEC(".maps");

/* Emits a record of ctx[0] bytes (8 to 255), each of them ctx[1] but for the first 8: ctx[2]. */
SEC("raw_tracepoint/sys_enter")
int emit(struct bpf_raw_tracepoint_args *ctx)
{
	char record[256];
	__u64 size = ctx->args[0] & 255;
	int i;

#pragma unroll
	for (i = 8; i < 256; i++)
		record[i] = ctx->args[1];
	*(__u64 *)record = ctx->args[2];
	if (size < 8)
		return 99;
	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, record, size);
}

/* Refused by every verifier: reads a register that was never written. */
SEC("raw_tracepoint/sys_enter")
int refused(void *ctx)
{
	int value;

	asm volatile("%0 = r7" : "=r"(value));
	return value;
}

/* So many instructions that another thread may load it. */
SEC("raw_tracepoint/sys_enter")
int large(void *ctx)
{
	int value;

	asm volatile("%0 = 0\n.rept 600\n%0 += 1\n.endr" : "=r"(value));
	return value;
}

SEC("raw_tracepoint/sys_enter")
int large_refused(void *ctx)
{
	int value;

	asm volatile("%0 = r7\n.rept 600\n%0 += 1\n.endr" : "=r"(value));
	return value;
}

char _license[] SEC("license") = "Dual BSD/GPL";
