/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backup programs. While a program runs on a CPU, the kernel does not enter the same program again on that CPU: it skips
 * the call and only adds to the program's miss counter. That happens to an event in an interrupt, and since Linux 7.0,
 * which preempts tracepoint programs, to events of other tasks. So several programs are attached to one tracepoint, and
 * run in this order: the first ones note the event as pending, the main program claims the note and does the work, and
 * each backup program does the work if the note is still there. Backup programs count what they do:
 * lost = misses of the main program - events done by backup programs.
 * bpf_preempt_disable() does not help: bpf_preempt_enable() lets the task be preempted at once, before the program has
 * returned.
 */
#ifndef LIB_BACKUP_H
#define LIB_BACKUP_H

#include "lib/maps.h"
#include "lib/offsets.h"

#define PENDING_BITS 14

/*
 * Pending events, by a hash of their subject: the struct sock whose state changes or that is destroyed, the task
 * (pid_tgid) that sends or receives, or the new task_struct. A subject has one such event at a time. A program that finds
 * another subject in the slot does nothing.
 * Written and read by the functions below alone; an array, so nothing is inserted or deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << PENDING_BITS);
	__type(key, u32);
	__type(value, u64);
} pending SEC(".maps");

inline_always volatile u64 *pending_slot(u64 what)
{
	u32 slot = what * 0x9e3779b97f4a7c15ULL >> (64 - PENDING_BITS);

	return bpf_map_lookup_elem(&pending, &slot);
}

inline_always void note_pending(u64 what)
{
	volatile u64 *slot = pending_slot(what);

	if (slot)
		*slot = what;
}

/* Removes the note. Returns 0 when there was none: another program has done the work. */
inline_always int claim_pending(u64 what)
{
	volatile u64 *slot = pending_slot(what);

	if (!slot || *slot != what)
		return 0;
	*slot = 0;
	return 1;
}

/*
 * For a backup program: returns 1, and counts `cause`, when the work is still to be done. Each backup program contains the
 * work itself. A tail call cannot share it: since 6.13 a program's stack belongs to its CPU, and only the check at the
 * program's entry keeps two runs from using that stack at once.
 */
inline_always int claim_as_backup(u64 what, u32 cause)
{
	if (!claim_pending(what))
		return 0;
	count_loss(cause);
	return 1;
}

#endif
