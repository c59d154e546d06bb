/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Several programs for one tracepoint, run in this order: those that note what is due, the one that does it, and those that
 * do it where the note is still there. While a program runs on a CPU the kernel does not enter it again there: what happens
 * in an interrupt, or (Linux 7.0 and later, which preempts tracepoint programs) in other tasks until that one goes on, is
 * missed by it, and only the kernel counts that. What the later ones have done is counted, so that what remains is lost.
 * Calling the kernel's bpf_preempt_disable() in them gains nothing: its counterpart lets the task be preempted at once, and
 * the program is not left yet.
 */
#ifndef TWINS_H
#define TWINS_H

#include "maps.h"
#include "offsets.h"

#define DUE_BITS 14

/*
 * What is due: the struct sock whose state changes or that is destroyed, the task (pid_tgid) that has sent or received, the
 * task_struct that is new.
 * Each has one such event at a time. By a hash of that number; who finds another one's there takes it for nothing due.
 * Written and read by the programs below alone; nothing is inserted or deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << DUE_BITS);
	__type(key, u32);
	__type(value, u64);
} due SEC(".maps");

inline_always volatile u64 *due_slot(u64 what)
{
	u32 slot = what * 0x9e3779b97f4a7c15ULL >> (64 - DUE_BITS);

	return bpf_map_lookup_elem(&due, &slot);
}

inline_always void becomes_due(u64 what)
{
	volatile u64 *slot = due_slot(what);

	if (slot)
		*slot = what;
}

/* Whoever does it takes the note away. Returns 0 when there was none. */
inline_always int take_due(u64 what)
{
	volatile u64 *slot = due_slot(what);

	if (!slot || *slot != what)
		return 0;
	*slot = 0;
	return 1;
}

/*
 * By a later one: is it still to be done? Each has the work itself: none can be tail-called, because since 6.13 a program's
 * stack is its CPU's, and only the check at its entrance keeps two from using it at once.
 */
inline_always int take_over(u64 what, u32 cause)
{
	if (!take_due(what))
		return 0;
	count_loss(cause);
	return 1;
}

#endif
