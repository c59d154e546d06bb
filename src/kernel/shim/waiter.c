// SPDX-License-Identifier: Apache-2.0
/*
 * A thread that waits for the rings, so that the runtime's event loop need not: it is asked through one end of a pair of
 * sockets, and one byte back tells the loop, which watches the other end, that the wait is over. While records come nothing
 * wakes a reader of the rings (see output_open), so somebody has to look; a look by this thread costs a thousandth of what
 * the runtime needs to wake up. Once none have come for a while the thread sleeps until the kernel wakes it.
 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

enum waiter_state {
	LOOKS,
	FALLS_ASLEEP, /* the rings wake who polls them, but for what programs are writing in this moment: one more look */
	SLEEPS,
	CANNOT_SLEEP, /* nobody can be woken, so this thread looks for ever */
};

struct waiter {
	struct rings *rings;
	int end; /* the thread's end of the pair */
	enum waiter_state state;
	int quiet_ms; /* of waits whose looks found nothing, since the last one that did */
};

/* To put the rings to sleep, and to wake them, takes two system calls for each CPU: not for every short pause. */
#define SLEEP_AFTER_MS 2000
/* The records of a short connection come one shortly after the other: they are drained together. */
#define GATHER_MS 20

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
	/* Bun's event loop reads it until nothing is there. */
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
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
 * its capabilities (privileges.c). Of the calling thread alone; pthread_sigmask would need a newer glibc. before: what it had, or NULL.
 */
void leave_signals_to_others(sigset_t *before)
{
	static const int own[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	sigprocmask(SIG_BLOCK, &set, before);
}

static __s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int min(int a, int b)
{
	return a < b ? a : b;
}

/* After a look that found nothing. */
static void fall_asleep(struct waiter *waiter)
{
	if (waiter->state == LOOKS && waiter->quiet_ms >= SLEEP_AFTER_MS) {
		waiter->state = FALLS_ASLEEP;
		if (rings_sleep(waiter->rings, 1))
			return;
		rings_sleep(waiter->rings, 0);
		waiter->state = CANNOT_SLEEP;
	} else if (waiter->state == FALLS_ASLEEP) {
		waiter->state = SLEEPS;
	}
}

static void wake_up(struct waiter *waiter)
{
	waiter->quiet_ms = 0;
	if (waiter->state != FALLS_ASLEEP && waiter->state != SLEEPS)
		return;
	rings_sleep(waiter->rings, 0);
	waiter->state = LOOKS;
}

enum place { OWN_END, READER, RINGS };

/* As poll(2) of the own places, for up to ms; also over once the kernel has written to a ring. */
static int poll_asleep(const struct waiter *waiter, struct pollfd own[RINGS], int ms)
{
	struct pollfd *fds;
	int count, ready, off, i;

	fds = rings_pollfds(waiter->rings, RINGS, &count);
	if (!fds)
		return poll(own, RINGS, min(ms, SLEEP_AFTER_MS));
	memcpy(fds, own, RINGS * sizeof(*fds));
	do {
		ready = poll(fds, count, ms);
		/* The ring of a CPU that is off may be ready each time. */
		for (off = 0, i = RINGS; ready > 0 && i < count; i++)
			if (fds[i].revents & ~POLLIN) {
				fds[i].fd = -1;
				off++;
			}
	} while (off && off == ready);
	memcpy(own, fds, RINGS * sizeof(*fds));
	free(fds);
	return ready;
}

/*
 * For least_ms, and on until there is something to drain, nobody reads what is written to reader_fd any more (-1: nobody
 * is to), or most_ms are over. 0: it was given up, as something else is asked or nobody asks any more.
 */
static int wait_for(struct waiter *waiter, const struct wait_request *request)
{
	/* Asked for nothing, poll(2) tells of errors and hang-ups alone; of a file there are none. */
	struct pollfd fds[RINGS] = {
		[OWN_END] = { .fd = waiter->end, .events = POLLIN },
		[READER] = { .fd = request->reader_fd },
	};
	__s64 began = now_ms(), slept;
	int ms, gathers = 0;

	/* A caller that comes back soon, whatever happens, must not be woken by each record. */
	if (request->most_ms <= request->least_ms)
		wake_up(waiter);
	for (; (slept = now_ms() - began) < request->most_ms; gathers = waiter->state == SLEEPS) {
		if (slept < request->least_ms) {
			/* The reader not yet: one whose reader has left must not turn in circles. */
			poll(fds, 1, request->least_ms - slept);
		} else if (rings_have_data(waiter->rings)) {
			wake_up(waiter);
			if (gathers)
				poll(fds, 1, GATHER_MS);
			return fds[OWN_END].revents == 0;
		} else {
			fall_asleep(waiter);
			ms = request->most_ms - slept;
			if (waiter->state == SLEEPS) {
				release_code(now_ms());
				poll_asleep(waiter, fds, ms);
			} else {
				ms = min(ms, request->look_ms);
				poll(fds, RINGS, ms);
				waiter->quiet_ms += ms;
			}
		}
		if (fds[OWN_END].revents)
			return 0;
		if (fds[READER].revents)
			return 1;
	}
	return 1;
}

/* The thread runs this; of the type that pthread_create(3) wants. */
void *sh_waiter_run(void *handle)
{
	struct waiter *waiter = handle;
	struct wait_request request;
	char over = 1;
	ssize_t got;

	leave_signals_to_others(NULL);
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
