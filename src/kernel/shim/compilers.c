// SPDX-License-Identifier: Apache-2.0
/*
 * The runtime compiles in threads beside the main one. Where the host's own programs want every processor, what these threads
 * take is taken from the traffic that is traced: a third of the only processor in the first second. So they are nice.
 * The runtime starts one when there is something to compile and ends it after some seconds: they are looked for again.
 */
#define _GNU_SOURCE /* SYS_tgkill */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

/*
 * Beside an ordinary thread such a one gets a tenth of a processor. Not less: the main thread collects garbage only once each
 * compiler has come to the end of a step.
 */
#define NICE 10
#define COMPILER "JITWorker\n"
#define DIRECTORY "/proc/self/task"

static int is_compiler(const char *tid)
{
	char path[64], name[sizeof(COMPILER)] = "";
	int fd, got;

	snprintf(path, sizeof(path), DIRECTORY "/%.16s/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, name, sizeof(name) - 1);
	close(fd);
	return got > 0 && strcmp(name, COMPILER) == 0;
}

/* False where /proc is of another pid namespace, in which this process' threads have other numbers. */
static int is_own_thread(int tid)
{
	return tid > 0 && syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

/* Never the other way: a user may have started the tool with less. */
static void make_nice(int tid)
{
	int now;

	errno = 0;
	now = getpriority(PRIO_PROCESS, tid);
	if (errno == 0 && now < NICE)
		setpriority(PRIO_PROCESS, tid, NICE);
}

/* To be called again and again. Of the whole process: not in a program that uses the library. */
int sh_calm_compilers(void)
{
	struct dirent *entry;
	DIR *threads;

	threads = opendir(DIRECTORY);
	if (!threads)
		return -errno;
	while ((entry = readdir(threads)) != NULL) {
		int tid = atoi(entry->d_name);

		if (is_own_thread(tid) && is_compiler(entry->d_name))
			make_nice(tid);
	}
	closedir(threads);
	return 0;
}
