// SPDX-License-Identifier: Apache-2.0
/* The ways to attach. No libbpf link objects: a plain fd is all the tracer has to keep. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

int perf_open(struct perf_event_attr *attr, int cpu)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A probe fires on every CPU whatever CPU its perf event names; the CPU only has to be online. */
static int attach_perf(struct perf_event_attr *attr, int prog_fd)
{
	static unsigned char online[MAX_CPUS];
	int fd, err;

	fd = perf_open(attr, 0);
	if (fd == -ENODEV) {
		int cpu = cpus_online(online);

		if (cpu >= 0)
			fd = perf_open(attr, cpu);
	}
	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int sh_raw_tracepoint(int prog_fd, const char *name)
{
	return bpf_raw_tracepoint_open(name, prog_fd);
}

/* The program was loaded for its function. */
int sh_attach_traced(int prog_fd)
{
	return bpf_raw_tracepoint_open(NULL, prog_fd);
}

/*
 * 1: this kernel has a tracepoint of that name, 0: it has not. Asked for a program that reads a twelfth argument: none has so
 * many, so it is refused with EINVAL, and nothing was attached, which would take a grace period to undo.
 */
int sh_has_tracepoint(const char *name)
{
	static const struct bpf_insn twelfth[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .src_reg = BPF_REG_1, .off = 11 * 8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog_fd, fd;

	log_capture();
	prog_fd =
		bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, "Dual BSD/GPL", twelfth, 3, NULL);
	if (prog_fd < 0)
		return prog_fd;
	fd = bpf_raw_tracepoint_open(name, prog_fd);
	close(prog_fd);
	if (fd == -ENOENT)
		return 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EINVAL ? 1 : fd;
}

/* retprobe_bit: from the PMU's format/retprobe file for a return probe, -1 for an entry probe. */
int sh_kprobe_pmu(int prog_fd, int pmu_type, int retprobe_bit, const char *symbol)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = pmu_type;
	attr.config1 = (__u64)(unsigned long)symbol;
	if (retprobe_bit >= 0)
		attr.config = 1ULL << retprobe_bit;
	return attach_perf(&attr, prog_fd);
}

/* For kprobes created through tracefs, on kernels before the kprobe PMU (4.17). */
int sh_perf_tracepoint(int prog_fd, int tracepoint_id)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = PERF_TYPE_TRACEPOINT;
	attr.config = tracepoint_id;
	return attach_perf(&attr, prog_fd);
}

/* An iterator over what the calling thread's namespaces hold when it is made; its fd is read(2) to the end. */
int sh_iter(int prog_fd)
{
	int link = bpf_link_create(prog_fd, 0, BPF_TRACE_ITER, NULL), fd;

	if (link < 0)
		return link;
	fd = bpf_iter_create(link);
	close(link);
	return fd;
}

/* hook: enum bpf_attach_type. The link lets other programs in beside it, as BPF_F_ALLOW_MULTI does. */
int sh_cgroup(int prog_fd, int cgroup_fd, __u32 hook)
{
	return bpf_link_create(prog_fd, cgroup_fd, hook, NULL);
}

/* A file system of this type, mounted nowhere: the mount goes with the fd. Linux 5.2 and later. */
static int mounted(const char *type)
{
	int fs, fd, err;

	fs = syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	fd = syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (fd == 0)
		fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	err = -errno;
	close(fs);
	return fd < 0 ? err : fd;
}

/* The top of the hierarchy of version 2 that this process's cgroup namespace shows. */
int sh_cgroup_root(void)
{
	return mounted("cgroup2");
}

int sh_debugfs(void)
{
	return mounted("debugfs");
}
