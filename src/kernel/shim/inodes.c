// SPDX-License-Identifier: Apache-2.0
/* Inode numbers of sockets, given by one CPU: see ../inodes.ts. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

/* As the system calls take it: a set of bits. */
struct cpu_bits {
	unsigned long words[MAX_CPUS / 8 / sizeof(unsigned long)];
};

#define WORD_BITS (8 * sizeof(unsigned long))

/* libc's own type holds 1,024 CPUs only. */
static int get_affinity(struct cpu_bits *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	return syscall(SYS_sched_getaffinity, 0, sizeof(*cpus), cpus) < 0 ? -errno : 0;
}

static int set_affinity(const struct cpu_bits *cpus)
{
	return syscall(SYS_sched_setaffinity, 0, sizeof(*cpus), cpus) < 0 ? -errno : 0;
}

/* Makes so many sockets, none of which stays. */
static __s64 give(__u32 count)
{
	struct stat st = { 0 };
	__s64 ino = -EINVAL;

	while (count-- > 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		if (count == 0)
			ino = fstat(fd, &st) < 0 ? -errno : (__s64)st.st_ino;
		close(fd);
	}
	return ino;
}

static int is_in(const struct cpu_bits *cpus, __u32 cpu)
{
	return cpu < MAX_CPUS && cpus->words[cpu / WORD_BITS] >> cpu % WORD_BITS & 1;
}

/* On this CPU, one of those on which the thread may run. */
static __s64 give_on(__u32 cpu, __u32 count)
{
	struct cpu_bits one = { 0 };
	int err;

	one.words[cpu / WORD_BITS] = 1UL << cpu % WORD_BITS;
	err = set_affinity(&one);
	return err < 0 ? err : give(count);
}

/*
 * Of each CPU on which the thread may run; 0: not asked. The thread goes from CPU to CPU, and does not wait there for its
 * turn. Where it has to wait, it stays where it is.
 */
int sh_newest_inodes(__u32 *inos, __u32 cpus)
{
	struct cpu_bits usual;
	unsigned int here = MAX_CPUS;
	int held, err = get_affinity(&usual);

	memset(inos, 0, cpus * sizeof(*inos));
	if (err < 0)
		return err;
	held = hold_cpu();
	if (!held)
		syscall(SYS_getcpu, &here, NULL, NULL);
	for (__u32 cpu = 0; cpu < cpus; cpu++) {
		__s64 ino;

		if (!is_in(&usual, cpu) || (!held && cpu != here))
			continue;
		ino = give_on(cpu, 1);
		if (ino > 0)
			inos[cpu] = ino;
	}
	set_affinity(&usual);
	release_cpu(held);
	return 0;
}

/* The last of so many numbers. The thread may run where it did when this returns. */
__s64 sh_give_inodes(__u32 cpu, __u32 count)
{
	struct cpu_bits usual;
	__s64 ino = get_affinity(&usual);

	if (ino < 0)
		return ino;
	if (!is_in(&usual, cpu))
		return -ENODEV;
	ino = give_on(cpu, count);
	set_affinity(&usual);
	return ino;
}
