// SPDX-License-Identifier: Apache-2.0
/*
 * A thread that does nothing but stay in the network namespace in which it was started. Its directory in /proc is new, so
 * the kernel has no file of another namespace in its cache for it: see net_files.ts.
 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

struct stayer {
	int thread_end;
	int caller_end;
};

__s64 sh_stayer_open(void)
{
	struct stayer *stayer = calloc(1, sizeof(*stayer));
	int ends[2];

	if (!stayer)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		free(stayer);
		return -errno;
	}
	stayer->thread_end = ends[0];
	stayer->caller_end = ends[1];
	return (__s64)(unsigned long)stayer;
}

/* Receives all of it; a signal is no news. */
static int receive(int fd, int *value)
{
	ssize_t got;

	do
		got = recv(fd, value, sizeof(*value), MSG_WAITALL);
	while (got < 0 && errno == EINTR);
	return got == sizeof(*value);
}

/* The thread runs this; of the type that pthread_create(3) wants. */
void *sh_stayer_run(void *handle)
{
	const struct stayer *stayer = handle;
	int tid = syscall(SYS_gettid);

	leave_signals_to_others(NULL);
	prctl(PR_SET_NAME, "NetStay", 0, 0, 0);
	send(stayer->thread_end, &tid, sizeof(tid), MSG_NOSIGNAL);
	receive(stayer->thread_end, &tid);
	return NULL;
}

/* Once the thread has been started: its id, as this process's pid namespace numbers it. */
int sh_stayer_tid(void *handle)
{
	const struct stayer *stayer = handle;
	int tid;

	return receive(stayer->caller_end, &tid) ? tid : -ESRCH;
}

/* The thread ends. */
int sh_stayer_stop(void *handle)
{
	const struct stayer *stayer = handle;

	return shutdown(stayer->caller_end, SHUT_RDWR) < 0 ? -errno : 0;
}

/* Once the thread has ended, or if it never began. */
int sh_stayer_close(void *handle)
{
	struct stayer *stayer = handle;

	close(stayer->thread_end);
	close(stayer->caller_end);
	free(stayer);
	return 0;
}
