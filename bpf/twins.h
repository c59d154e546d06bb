/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Several programs for one tracepoint. While a program runs on a CPU the kernel does not enter it again there: what happens
 * in an interrupt, or (Linux 7.0 and later, which preempts tracepoint programs) in another task meanwhile, is missed, and
 * only the kernel counts that. So the second of two twins does the work where a mark says that the first was kept from it.
 * What the second has seen is counted, so that what remains of the kernel's count is lost.
 */
#ifndef TWINS_H
#define TWINS_H

#include "maps.h"
#include "offsets.h"

/* A cache line per CPU. */
struct running {
	volatile u64 due;   /* the task (pid_tgid) whose length is still to be counted; 0: none */
	volatile u32 state; /* 1: the first program of inet_sock_set_state runs here */
	u32 unused[13];
};

/*
 * By CPU. Written and read by the programs below alone; nothing is inserted or deleted. The tool makes it as large as there
 * can be CPUs; on those beyond nobody has a twin.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct running);
} running SEC(".maps");

inline_always struct running *running_here(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&running, &cpu);
}

/* In the first program of inet_sock_set_state, around its work. Returns what state_done() takes. */
inline_always struct running *state_begun(void)
{
	struct running *here = running_here();

	if (here)
		here->state = 1;
	return here;
}

inline_always void state_done(struct running *here)
{
	if (here)
		here->state = 0;
}

/* In its twin, which finds by itself what is to be done. */
inline_always void count_state_rescue(void)
{
	struct running *here = running_here();

	if (here && here->state)
		count_loss(LOSS_STATE_RESCUED);
}

/* Before the first twin, in a program of its own: a length of this task is due. */
inline_always void length_due(void)
{
	struct running *here = running_here();

	if (here)
		here->due = bpf_get_current_pid_tgid();
}

/* By the first twin, if it is entered. Of others nothing is taken: they may be kept from it meanwhile. */
inline_always void length_taken(void)
{
	struct running *here;

	if (!constant(OFFSET_PREEMPTED))
		return;
	here = running_here();
	if (here && here->due == bpf_get_current_pid_tgid())
		here->due = 0;
}

/* In the second twin: was the first kept from it? */
inline_always int is_length_rescue(void)
{
	struct running *here = running_here();

	if (!here || here->due != bpf_get_current_pid_tgid())
		return 0;
	here->due = 0;
	count_loss(LOSS_LENGTH_RESCUED);
	return 1;
}

#endif
