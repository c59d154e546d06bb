// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel runs no BPF program of a kprobe on a CPU on which a task is inside of a map command (bpf_prog_active), also
 * while that task is preempted there: with CONFIG_PREEMPT, whatever runs meanwhile goes unseen, for a whole time slice.
 * So for the microseconds of such a command the thread is one that no ordinary task preempts.
 */
#define _GNU_SOURCE /* SCHED_BATCH */
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

/* The calling thread's. libc's own wrappers refuse this in musl. */
static int set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return syscall(SYS_sched_setscheduler, 0, policy, &param);
}

/* The thread's scheduling policy without a hold; -1: the thread is left alone, because it is a real-time thread already
 * or may not become one. */
static int usual(void)
{
	static int known, policy;

	if (known)
		return policy;
	known = 1;
	policy = syscall(SYS_sched_getscheduler, 0);
	if (policy != SCHED_OTHER && policy != SCHED_BATCH)
		policy = -1;
	return policy;
}

static int refused;

int hold_cpu(void)
{
	if (refused || usual() < 0)
		return 0;
	if (set_policy(SCHED_FIFO, 1) == 0)
		return 1;
	refused = 1;
	return 0;
}

void release_cpu(int held)
{
	if (held)
		set_policy(usual(), 0);
}
