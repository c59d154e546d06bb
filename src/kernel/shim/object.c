// SPDX-License-Identifier: Apache-2.0
/* Loading an object; asking whether the kernel has bpf(2) at all. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "shim.h"

__s64 sh_open(const void *elf, __u64 len, const char *name)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name);
	struct bpf_object *object;

	log_capture();
	forget_traced();
	errno = 0;
	object = bpf_object__open_mem(elf, len, &opts);
	if (!object)
		return errno ? -errno : -EINVAL;
	return (__s64)(unsigned long)object;
}

int sh_autoload(void *object, const char *program, int on)
{
	struct bpf_program *found = bpf_object__find_program_by_name(object, program);

	if (!found)
		return on ? -ENOENT : 0;
	return bpf_program__set_autoload(found, on);
}

/* Before 5.0 a kprobe program must carry LINUX_VERSION_CODE. */
int sh_kernel_version(void *object, __u32 code)
{
	return bpf_object__set_kversion(object, code);
}

int sh_map_max_entries(void *object, const char *map, __u32 entries)
{
	struct bpf_map *found = bpf_object__find_map_by_name(object, map);

	return found ? bpf_map__set_max_entries(found, entries) : -ENOENT;
}

/* Of an array map; 5.5 and later. */
int sh_map_mappable(void *object, const char *map)
{
	struct bpf_map *found = bpf_object__find_map_by_name(object, map);

	return found ? bpf_map__set_map_flags(found, BPF_F_MMAPABLE) : -ENOENT;
}

/* Before 4.10: maps that let the least recently used entries go become hash maps that do not. */
int sh_no_lru(void *object)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map,
				 object) if (!err && bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
		err = bpf_map__set_type(map, BPF_MAP_TYPE_HASH);
	return err;
}

int sh_close(void *object)
{
	bpf_object__close(object);
	return 0;
}

/* -ENOENT: no such program, or it was not loaded. */
int sh_prog_fd(void *object, const char *program)
{
	struct bpf_program *found = bpf_object__find_program_by_name(object, program);
	int fd = found ? bpf_program__fd(found) : -1;

	return fd >= 0 ? fd : -ENOENT;
}

int sh_map_fd(void *object, const char *map)
{
	int fd = bpf_object__find_map_fd_by_name(object, map);

	return fd >= 0 ? fd : -ENOENT;
}

/* Runs a program once on the given argument array; returns its 32-bit result. */
__s64 sh_test_run(int prog_fd, const void *ctx, __u32 ctx_len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = ctx_len);
	int err = bpf_prog_test_run_opts(prog_fd, &opts);

	return err < 0 ? err : (__s64)opts.retval;
}

/* Runs a program for packets so many times, in the caller's network namespace: its packet is empty but for an Ethernet header. */
__s64 sh_test_run_packet(int prog_fd, __u32 times)
{
	__u8 packet[14] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = times);
	int err = bpf_prog_test_run_opts(prog_fd, &opts);

	return err < 0 ? err : (__s64)opts.retval;
}

/*
 * 1: raw tracepoint programs can be run on request, 0: they cannot. -errno: not even loaded, so that nothing is known of
 * what the kernel can do with such programs.
 */
int sh_has_test_run(void)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	__u64 ctx[1] = { 0 };
	int fd;
	__s64 result;

	log_capture();
	fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, "Dual BSD/GPL", nothing, 2, NULL);
	if (fd < 0)
		return fd;
	result = sh_test_run(fd, ctx, sizeof(ctx));
	close(fd);
	return result >= 0;
}

/* 1: the kernel has maps that let the least recently used entries go, 0: it has not, -errno: it could not be asked. */
int sh_has_lru(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, NULL, 4, 4, 1, NULL);

	if (fd < 0)
		return fd == -EINVAL ? 0 : fd;
	close(fd);
	return 1;
}

/* -ENOSYS: built without bpf(2); -EPERM: not allowed to use it. */
int sh_kernel_bpf(void)
{
	int fd;

	log_capture();
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 4, 1, NULL);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/*
 * 1: programs of this type (enum asked_type) may call the helper, which must do without arguments; 0: they may not. -errno:
 * cannot be told. Asked by loading one that does nothing else: the text of a refusal differs from kernel to kernel. Before
 * 4.17 kprobe programs are the only ones that trace; version: LINUX_VERSION_CODE, which they must name before 5.0.
 */
int sh_has_helper(__u32 type, __u32 helper, __u32 version)
{
	const struct bpf_insn calls[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = helper },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .kern_version = version);
	int fd;

	log_capture();
	fd = bpf_prog_load(type, NULL, "Dual BSD/GPL", calls, 3, &opts);
	if (fd < 0)
		return fd == -EINVAL || fd == -EACCES ? 0 : fd;
	close(fd);
	return 1;
}

/*
 * The kernel's information about a program. -ENODATA where it does not tell a member that ends at `end`: it has no such command
 * (before 4.13), or its struct is shorter.
 */
static int prog_info(int prog_fd, struct bpf_prog_info *info, size_t end)
{
	__u32 size = sizeof(*info);
	int err = bpf_obj_get_info_by_fd(prog_fd, info, &size);

	if (err < 0)
		return err == -EINVAL ? -ENODATA : err;
	return size < end ? -ENODATA : 0;
}

#define INFO_END(member)                                                                           \
	(offsetof(struct bpf_prog_info, member) + sizeof(((struct bpf_prog_info *)0)->member))

/* How often the program was not run because it was running on that CPU already. -ENODATA before 5.12, which does not count. */
__s64 sh_prog_misses(int prog_fd)
{
	struct bpf_prog_info info = {};
	int err = prog_info(prog_fd, &info, INFO_END(recursion_misses));

	return err < 0 ? err : (__s64)info.recursion_misses;
}

/* How long it ran and how often, while somebody had the kernel measure that; -ENODATA before 5.1. */
int sh_prog_time(int prog_fd, __u64 ns_and_runs[2])
{
	struct bpf_prog_info info = {};
	int err = prog_info(prog_fd, &info, INFO_END(run_cnt));

	ns_and_runs[0] = info.run_time_ns;
	ns_and_runs[1] = info.run_cnt;
	return err;
}

/* The kernel measures all programs of the host until the returned fd is closed. -EINVAL before 5.8. */
int sh_time_programs(void)
{
	return bpf_enable_stats(BPF_STATS_RUN_TIME);
}
