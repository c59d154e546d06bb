// SPDX-License-Identifier: Apache-2.0
/*
 * Capabilities belong to threads: capset(2) and prctl(2) act on the caller alone, and the runtime has started threads of
 * its own before any of our code runs. So each is made to call them itself, in a handler of SIGSYS, which every thread
 * can take: those that block signals leave out the ones that are raised by faults.
 */
#define _GNU_SOURCE /* SYS_tgkill, si_pid */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

static int capabilities(int call, struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(call, &header, data) < 0 ? -errno : 0;
}

/*
 * Without new privileges a program that root executes gets no more than the permitted ones that are left, so the
 * bounding set, which takes CAP_SETPCAP to change, may stay.
 */
static int drop_here(__u64 keep)
{
	struct __user_cap_data_struct data[2];
	int i, err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	err = capabilities(SYS_capget, data);
	if (err)
		return err;
	for (i = 0; i < 2; i++) {
		data[i].effective &= keep >> (32 * i);
		data[i].permitted &= keep >> (32 * i);
		data[i].inheritable = 0;
	}
	return capabilities(SYS_capset, data);
}

/* For the calling thread, and to be taken back: of those it is permitted. */
int sh_caps_effective(__u64 effective)
{
	struct __user_cap_data_struct data[2];
	int i, err = capabilities(SYS_capget, data);

	if (err)
		return err;
	for (i = 0; i < 2; i++)
		data[i].effective = data[i].permitted & (effective >> (32 * i));
	return capabilities(SYS_capset, data);
}

#define PENDING 1 /* no answer is positive */

static __u64 wanted;
static int answer;
static struct sigaction before;
static int installed;

static void on_signal(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code == SI_TKILL && info->si_pid == getpid()) {
		__atomic_store_n(&answer, drop_here(wanted), __ATOMIC_RELEASE);
		errno = saved;
	} else if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_IGN && before.sa_handler != SIG_DFL) {
		before.sa_handler(number);
	}
}

static int tell(int tid)
{
	return syscall(SYS_tgkill, getpid(), tid, SIGSYS) < 0 ? -errno : 0;
}

/* A thread that is gone has nothing left to drop. */
static int has_ended(int tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) < 0;
}

/* Two seconds and more: it only has to be scheduled once. */
#define LOOK_EVERY_US 50
#define LOOKS 20000

static int wait_for(int tid)
{
	struct timespec pause = { .tv_nsec = LOOK_EVERY_US * 1000 };
	int looks, result;

	for (looks = 0; looks < LOOKS; looks++) {
		result = __atomic_load_n(&answer, __ATOMIC_ACQUIRE);
		if (result != PENDING)
			return result;
		if (has_ended(tid))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

static int install(void)
{
	struct sigaction ours;

	memset(&ours, 0, sizeof(ours));
	ours.sa_sigaction = on_signal;
	/* The thread may be in the middle of anything: what it waits for goes on. */
	ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	sigfillset(&ours.sa_mask);
	if (!installed && sigaction(SIGSYS, &ours, &before) < 0)
		return -errno;
	installed = 1;
	return 0;
}

/*
 * Takes from a thread of this process, for good, all capabilities but these, and the chance to get others. To be called
 * by one thread.
 */
int sh_caps_drop(int tid, __u64 keep)
{
	int err;

	if (tid == syscall(SYS_gettid))
		return drop_here(keep);
	err = install();
	if (err)
		return err;
	wanted = keep;
	__atomic_store_n(&answer, PENDING, __ATOMIC_RELEASE);
	err = tell(tid);
	if (err == 0)
		err = wait_for(tid);
	/* One that comes late must still find the handler, else it ends the process. */
	if (err != -ETIMEDOUT) {
		sigaction(SIGSYS, &before, NULL);
		installed = 0;
	}
	return err == -ESRCH ? 0 : err;
}
