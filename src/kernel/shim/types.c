// SPDX-License-Identifier: Apache-2.0
/*
 * Programs that load the kernel's memory: the ids of its own types that their instructions name (libbpf would copy all types,
 * for some ten times as long), and what libbpf must leave as it is.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loads.h"
#include "shim.h"

#define KERNEL_TYPES "/sys/kernel/btf/vmlinux"

/* A type that is looked for. name_off: of its name among the strings; 0: the kernel has no such name. */
struct wanted {
	const char *name;
	__u32 kind;
	__u32 name_off;
	__u32 id;
	/* Of a struct: one of its members, or NULL; the offset of its name; its place, 0: it was not found. */
	const char *member;
	__u32 member_off;
	__u32 member_at;
};

/* The bytes that follow a struct btf_type of this kind; -1: it is not known. */
static long bytes_behind(__u32 kind, __u32 members)
{
	switch (kind) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return 12L * members;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 8L * members;
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	}
	return -1;
}

/* Strings end with NUL, and begin behind one. 0: not among them. */
static __u32 offset_of(const char *strings, __u32 bytes, const char *name)
{
	size_t length = strlen(name) + 1;
	const char *found = strings, *end = strings + bytes;

	while ((found = memmem(found, end - found, name, length))) {
		if (found > strings && !found[-1])
			return found - strings;
		found++;
	}
	return 0;
}

/* In bytes. Where the struct has bit fields too, the upper bits of an offset are the width of one. */
static __u32 place_of(const struct btf_type *type, const char *end, __u32 name_off)
{
	const struct btf_member *member = (const void *)(type + 1);
	__u32 bits = type->info >> 31 ? 0xffffff : ~0U;

	for (__u32 i = 0; i < (type->info & 0xffffff) && (const char *)(member + 1) <= end;
	     i++, member++)
		if (member->name_off == name_off)
			return (member->offset & bits) / 8;
	return 0;
}

/*
 * Ends once all are found. Names are told apart by their offset: each is there once. Kind and count have more bits than
 * old kernels give them.
 */
static void find_all(const char *types, __u32 bytes, struct wanted *wanted, __u32 count)
{
	const struct btf_type *type;
	__u32 id = 1, kind, at = 0, left = count;
	long behind;

	for (; at + sizeof(*type) <= bytes; id++) {
		type = (const struct btf_type *)(types + at);
		kind = (type->info >> 24) & 0x7f;
		for (__u32 i = 0; type->name_off && i < count; i++)
			if (!wanted[i].id && type->name_off == wanted[i].name_off &&
			    kind == wanted[i].kind) {
				wanted[i].id = id;
				if (wanted[i].member_off)
					wanted[i].member_at =
						place_of(type, types + bytes, wanted[i].member_off);
				left--;
			}
		if (!left)
			return;
		behind = bytes_behind(kind, type->info & 0xffffff);
		if (behind < 0)
			return;
		at += sizeof(*type) + behind;
	}
}

/* Each that is found has its id. */
static void find_types(const char *btf, size_t size, struct wanted *wanted, __u32 count)
{
	const struct btf_header *header = (const void *)btf;
	const char *strings;
	__u64 types_at, strings_at;

	if (size < sizeof(*header) || header->magic != BTF_MAGIC)
		return;
	types_at = (__u64)header->hdr_len + header->type_off;
	strings_at = (__u64)header->hdr_len + header->str_off;
	if (types_at + header->type_len > size || strings_at + header->str_len > size)
		return;
	strings = btf + strings_at;
	for (__u32 i = 0; i < count; i++) {
		wanted[i].name_off = offset_of(strings, header->str_len, wanted[i].name);
		if (wanted[i].member)
			wanted[i].member_off =
				offset_of(strings, header->str_len, wanted[i].member);
	}
	find_all(btf + types_at, header->type_len, wanted, count);
}

/* The file can be mapped from 6.16 on. The kernel gives a page per read. */
static void types_of_kernel(struct wanted *wanted, __u32 count)
{
	int fd = open(KERNEL_TYPES, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	char *bytes;
	ssize_t got = 1;
	size_t size, read_bytes = 0;

	if (fd < 0)
		return;
	if (fstat(fd, &stat) != 0 || !stat.st_size) {
		close(fd);
		return;
	}
	size = stat.st_size;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes != MAP_FAILED) {
		find_types(bytes, size, wanted, count);
		munmap(bytes, size);
	} else if ((bytes = malloc(size))) {
		for (; got > 0 && read_bytes < size; read_bytes += got > 0 ? got : 0)
			got = read(fd, bytes + read_bytes, size - read_bytes);
		find_types(bytes, read_bytes, wanted, count);
		free(bytes);
	}
	close(fd);
}

/* Of bpf_rdonly_cast(); 0: programs may not call it. */
static __s32 cast_id;

enum {
	MAX_TRACED = 32,
};

/*
 * 1: programs may load the kernel's memory through bpf_rdonly_cast(), whose id becomes ids[0], as struct pt_regs, whose id
 * becomes ids[1]. 0: they may not. Asked by loading one that does: kernels without a JIT and others refuse it. ids[2] becomes
 * the place of the first subflow in struct mptcp_sock, or 0 where the types do not have it.
 */
int sh_plain_loads(__u32 ids[3])
{
	struct wanted wanted[] = {
		{ .name = "bpf_rdonly_cast", .kind = BTF_KIND_FUNC },
		{ .name = "pt_regs", .kind = BTF_KIND_STRUCT },
		{ .name = "mptcp_sock", .kind = BTF_KIND_STRUCT, .member = "first" },
	};
	int fd;

	types_of_kernel(wanted, 3);
	if (!wanted[0].id || !wanted[1].id)
		return 0;
	ids[0] = wanted[0].id;
	ids[1] = wanted[1].id;
	ids[2] = wanted[2].member_at;
	const struct bpf_insn loads[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = ids[1] },
		{ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = ids[0] },
		{ .code = BPF_LDX | BPF_MEM | BPF_DW },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	log_capture();
	fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, "Dual BSD/GPL", loads, 5, NULL);
	if (fd < 0)
		return 0;
	close(fd);
	cast_id = ids[0];
	return 1;
}

/*
 * Programs that are called by functions of the kernel (fentry, fexit) and iterators, by name, with the function's id. Written
 * before their object is loaded, and empty after that.
 */
static struct {
	const char *name;
	__u32 id;
	enum bpf_attach_type attach;
} traced[MAX_TRACED];
static __u32 traced_count;

/* Also where an object is opened: one that was to be loaded may have been closed instead. */
void forget_traced(void)
{
	traced_count = 0;
}

/* names: of functions, each behind the NUL of the one before. Their ids become ids, 0 where the kernel's types have no such. */
int sh_function_ids(const char *names, __u32 count, __u32 *ids)
{
	struct wanted wanted[MAX_TRACED] = {};

	if (count > MAX_TRACED)
		return -E2BIG;
	for (__u32 i = 0; i < count; i++, names += strlen(names) + 1) {
		wanted[i].name = names;
		wanted[i].kind = BTF_KIND_FUNC;
	}
	types_of_kernel(wanted, count);
	for (__u32 i = 0; i < count; i++)
		ids[i] = wanted[i].id;
	return 0;
}

/*
 * libbpf takes the program for one of another type, and learns at its load what it is: for a program of type TRACING it
 * would read and copy all types of the kernel.
 */
static int trace_by(struct bpf_program *program, __u32 id, enum bpf_attach_type attach)
{
	if (traced_count == MAX_TRACED)
		return -E2BIG;
	traced[traced_count].name = bpf_program__name(program);
	traced[traced_count].attach = attach;
	traced[traced_count++].id = id;
	return 0;
}

/* The function with this id calls the program; exit: when it returns. */
int sh_traced(void *object, const char *program, __u32 id, int exit)
{
	struct bpf_program *found = bpf_object__find_program_by_name(object, program);

	return found ? trace_by(found, id, exit ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY) : -ENOENT;
}

#define ITERATOR "raw_tp/iter/"
#define ITERATOR_FUNCTION "bpf_iter_"
#define MAX_FUNCTION 64

/* The iterators of an object that is about to be loaded; the kernel refuses one whose function its types do not have. */
static int trace_iterators(struct bpf_object *object)
{
	char names[MAX_TRACED][MAX_FUNCTION];
	struct bpf_program *program, *iterators[MAX_TRACED];
	struct wanted wanted[MAX_TRACED] = {};
	__u32 count = 0;
	int err = 0;

	bpf_object__for_each_program(program, object)
	{
		const char *section = bpf_program__section_name(program);

		if (count == MAX_TRACED || !bpf_program__autoload(program) ||
		    strncmp(section, ITERATOR, strlen(ITERATOR)) != 0)
			continue;
		snprintf(names[count], MAX_FUNCTION, ITERATOR_FUNCTION "%s",
			 section + strlen(ITERATOR));
		wanted[count].name = names[count];
		wanted[count].kind = BTF_KIND_FUNC;
		iterators[count++] = program;
	}
	if (count)
		types_of_kernel(wanted, count);
	for (__u32 i = 0; i < count && !err; i++)
		err = trace_by(iterators[i], wanted[i].id, BPF_TRACE_ITER);
	return err;
}

int sh_load(void *object)
{
	int err = trace_iterators(object);

	if (!err)
		err = bpf_object__load(object);
	finish_loads();
	forget_traced();
	return err;
}

/*
 * libbpf takes a kernel that refuses bpf_probe_read_kernel() for one older than 5.5, and writes bpf_probe_read() in place of
 * bpf_probe_read_user() too. In lockdown mode "confidentiality" the last of the three is the only one there is. A program that casts
 * calls no other: so it gets its own call back. The linker puts this between libbpf and its own function.
 *
 * The verifier gives up (EAGAIN) when a signal waits for its thread. libbpf then tries five times, which is not enough where a
 * profiler or a timer sends one every millisecond.
 */
int __wrap_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
			 const struct bpf_insn *insns, size_t count,
			 struct bpf_prog_load_opts *opts)
{
	struct bpf_insn *mine = (struct bpf_insn *)insns;
	int casts = 0, fd, saved, later;
	sigset_t before;

	for (size_t i = 0; i < count; i++)
		casts |= insns[i].code == (BPF_JMP | BPF_CALL) &&
			 insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL && insns[i].imm == cast_id;
	for (size_t i = 0; casts && i < count; i++)
		if (insns[i].code == (BPF_JMP | BPF_CALL) && !insns[i].src_reg &&
		    insns[i].imm == BPF_FUNC_probe_read)
			mine[i].imm = BPF_FUNC_probe_read_user;
	for (__u32 i = 0; name && i < traced_count; i++)
		if (!strcmp(name, traced[i].name)) {
			type = BPF_PROG_TYPE_TRACING;
			opts->expected_attach_type = traced[i].attach;
			opts->attach_btf_id = traced[i].id;
		}
	later = load_later(type, name, license, insns, count, opts);
	if (later >= 0)
		return later;
	leave_signals_to_others(&before);
	fd = __real_bpf_prog_load(type, name, license, insns, count, opts);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return fd;
}

/*
 * libbpf would tie a map of constants to each program, for those that look at programs. A placeholder takes none, and a program
 * keeps the maps that it uses.
 */
int __wrap_bpf_prog_bind_map(int prog __attribute__((unused)), int map __attribute__((unused)),
			     const struct bpf_prog_bind_opts *opts __attribute__((unused)))
{
	return 0;
}
