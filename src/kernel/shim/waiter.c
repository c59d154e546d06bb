// SPDX-License-Identifier: Apache-2.0
/*
 * A thread that waits for the rings, so that the runtime's event loop need not: it is asked through one end of a pair of
 * sockets, and one byte back tells the loop, which watches the other end, that the wait is over. Nothing wakes a reader
 * of the rings (see ring_open), so somebody has to look; a look by this thread costs a thousandth of what the runtime
 * needs to wake up.
 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

struct waiter {
	struct rings *rings;
	int end; /* the thread's end of the pair */
};

/* Gives the caller the loop's end of the pair. The rings must live until the waiter is closed. */
__s64 sh_waiter_open(void *rings, int *loop_end)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int ends[2];

	if (!waiter)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		free(waiter);
		return -errno;
	}
	waiter->rings = rings;
	waiter->end = ends[0];
	*loop_end = ends[1];
	return (__s64)(unsigned long)waiter;
}

/* The thread ends, and nothing is told any more. */
int sh_waiter_stop(void *handle)
{
	struct waiter *waiter = handle;

	return shutdown(waiter->end, SHUT_RDWR) < 0 ? -errno : 0;
}

/* Once the thread has ended, or if it never began. */
int sh_waiter_close(void *handle)
{
	struct waiter *waiter = handle;

	close(waiter->end);
	free(waiter);
	return 0;
}

/*
 * Signals are for the runtime's threads, but for those that faults raise and SIGSYS, by which each thread is made to drop
 * its capabilities (privileges.c). Of the calling thread alone; pthread_sigmask would need a newer glibc.
 */
void leave_signals_to_others(void)
{
	static const int own[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/*
 * For least_ms, and on until there is something to drain, nobody reads what is written to reader_fd any more (-1: nobody
 * is to), or most_ms are over. 0: it was given up, as something else is asked or nobody asks any more.
 */
static int wait_for(const struct waiter *waiter, const struct wait_request *request)
{
	/* Asked for nothing, poll(2) tells of errors and hang-ups alone; of a file there are none. */
	struct pollfd fds[] = {
		{ .fd = waiter->end, .events = POLLIN },
		{ .fd = request->reader_fd },
	};
	int slept, step, ready;

	for (slept = 0; slept < request->most_ms; slept += step) {
		if (slept >= request->least_ms && rings_have_data(waiter->rings))
			break;
		step = slept < request->least_ms ? request->least_ms - slept
						 : request->most_ms - slept;
		if (step > request->look_ms)
			step = request->look_ms;
		/* Not before least_ms: one whose reader has left must not turn in circles. */
		ready = poll(fds, slept >= request->least_ms ? 2 : 1, step);
		if (ready < 0)
			continue; /* a signal, which is no news */
		if (fds[0].revents)
			return 0;
		if (ready > 0)
			break;
	}
	return 1;
}

/* The thread runs this; of the type that pthread_create(3) wants. */
void *sh_waiter_run(void *handle)
{
	const struct waiter *waiter = handle;
	struct wait_request request;
	char over = 1;
	ssize_t got;

	leave_signals_to_others();
	prctl(PR_SET_NAME, "RingWait", 0, 0, 0);
	for (;;) {
		got = recv(waiter->end, &request, sizeof(request), MSG_WAITALL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got != sizeof(request))
			return NULL;
		if (wait_for(waiter, &request))
			send(waiter->end, &over, sizeof(over), MSG_NOSIGNAL);
	}
}
