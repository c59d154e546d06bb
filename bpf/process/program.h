/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command lines of processes, only where they are asked for: else the offsets are 0 and all of this is dead code. A
 * process has its arguments in its own memory, and takes them along when it ends: so they are copied when it is first
 * seen. Programs of their own do that, on the same functions as the handlers, whose stack has no room for them.
 */
#ifndef PROCESS_PROGRAM_H
#define PROCESS_PROGRAM_H

#include "lib/maps.h"
#include "lib/offsets.h"

#define ARGS_SIZE 256

/* The start of a command line: arguments one after the other, each ended by NUL. */
struct program_args {
	u32 length; /* of the whole */
	u32 copied; /* how much of bytes is filled; what goes beyond length is not part of it */
	u8 bytes[ARGS_SIZE];
};

/*
 * Command lines by struct event's `program`.
 * Inserted when a process that runs a program is first seen at one of its calls. Read by the tool for events of a program
 * that it does not know yet. Taken out by the tool, all of them, when one had no room: COUNTER_PROGRAM_MAP_FULL counts it,
 * and its process is met again. So it cannot leak.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct program_args);
} programs SEC(".maps");

/* Two neighbours in struct mm_struct: where the arguments begin and end in the process' memory. */
struct arg_range {
	u64 start;
	u64 end;
};

/*
 * A number that tells what the current process runs from what it ran before an exec and from any other process: an exec
 * brings another mm_struct and another place for the arguments. range, if given, says where they are.
 */
inline_always u64 current_program(struct arg_range *range)
{
	struct arg_range args = {};
	u64 task, mm = 0;

	if (!constant(OFFSET_MM_ARG_START))
		return 0;
	task = helper_or_0(HELPER_GET_CURRENT_TASK);
	read_kernel(mm, task + constant(OFFSET_TASK_MM));
	if (!mm) /* a thread of the kernel */
		return 0;
	read_kernel(args, mm + constant(OFFSET_MM_ARG_START));
	if (!args.start || args.end <= args.start)
		return 0;
	if (range)
		*range = args;
	return (args.start * 0x9e3779b97f4a7c15ULL + args.end) ^ mm ^
	       (bpf_get_current_pid_tgid() >> 32 << 40);
}

/* The stack ends in 8 bytes of zero, so from within the arguments 8 bytes can always be read where 256 cannot. */
inline_always void copy_args(struct program_args *args, u64 from)
{
	if (copy_process(args->bytes, ARGS_SIZE, from) == 0) {
		args->copied = ARGS_SIZE;
		return;
	}
#pragma unroll
	for (u32 i = 0; i < ARGS_SIZE; i += 8) {
		u64 word = 0;

		if (read_process(word, from + i) != 0)
			return;
		__builtin_memcpy(args->bytes + i, &word, sizeof(word));
		args->copied = i + 8;
	}
}

inline_always void note_program(void)
{
	struct program_args args = {};
	struct arg_range range = {};
	u64 program = current_program(&range);

	if (!program || bpf_map_lookup_elem(&programs, &program))
		return;
	args.length = range.end - range.start;
	copy_args(&args, range.start);
	/* If the memory was paged out, the copy is tried again next time. */
	if (args.copied && bpf_map_update_elem(&programs, &program, &args, BPF_ANY) != 0)
		count_loss(COUNTER_PROGRAM_MAP_FULL);
}

#endif
