// SPDX-License-Identifier: Apache-2.0
/*
 * Large programs of an object are checked by the kernel on two processors. libbpf gives one program after the other to the
 * kernel, and waits for each. It gets a placeholder for a large one, which is loaded meanwhile: by a thread that TypeScript has
 * started, and by the caller once libbpf has no more. Then the program takes the place of its placeholder.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "loads.h"
#include "shim.h"

enum {
	LARGE = 512, /* instructions */
	MAX_LOADS = 64,
	LOAD_LOG = 1 << 20,
};

/* The arguments of a call of bpf_prog_load(). fd: of the program, or -errno. */
struct load {
	enum bpf_prog_type type;
	const char *name;
	const char *license;
	struct bpf_insn *insns;
	size_t count;
	struct bpf_prog_load_opts opts;
	int placeholder;
	int fd;
};

/* Programs before `taken` are loaded or being loaded. bell: rings for the thread; -1: each program is loaded at once. */
static struct load loads[MAX_LOADS];
static __u32 load_count, taken;
static int bell = -1, over;

/* A signal would end the verifier's work: see __wrap_bpf_prog_load(). */
static int load_by(struct load *load, struct bpf_prog_load_opts *opts)
{
	sigset_t before;
	int fd;

	leave_signals_to_others(&before);
	fd = __real_bpf_prog_load(load->type, load->name, load->license, load->insns, load->count,
				  opts);
	if (fd < 0)
		fd = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

/* Returns 0 when none is left. */
static int load_next(void)
{
	__u32 n = __atomic_load_n(&taken, __ATOMIC_RELAXED);

	do {
		if (n >= __atomic_load_n(&load_count, __ATOMIC_ACQUIRE))
			return 0;
	} while (!__atomic_compare_exchange_n(&taken, &n, n + 1, 0, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	loads[n].fd = load_by(&loads[n], &loads[n].opts);
	return 1;
}

static void ring(void)
{
	__u64 one = 1;

	if (write(bell, &one, sizeof(one)) < 0)
		abort(); /* of an open eventfd that nobody has filled */
}

int sh_loads_begin(void)
{
	load_count = taken = over = 0;
	bell = eventfd(0, EFD_CLOEXEC);
	return bell < 0 ? -errno : 0;
}

/* The thread. */
void *sh_loads_run(void *unused __attribute__((unused)))
{
	__u64 rings;

	leave_signals_to_others(NULL);
	prctl(PR_SET_NAME, "Loads", 0, 0, 0);
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE) &&
	       read(bell, &rings, sizeof(rings)) == sizeof(rings))
		while (load_next())
			;
	return NULL;
}

/*
 * Returns a placeholder, or -1: the program is to be loaded now, as those are that libbpf tries features with, and one that was
 * refused and is to be loaded again for its log.
 */
int load_later(enum bpf_prog_type type, const char *name, const char *license,
	       const struct bpf_insn *insns, size_t count, const struct bpf_prog_load_opts *opts)
{
	struct load *load = &loads[load_count];

	if (bell < 0 || !name || count < LARGE || load_count == MAX_LOADS || opts->log_level ||
	    opts->fd_array || opts->func_info_cnt || opts->line_info_cnt)
		return -1;
	*load = (struct load){
		.type = type, .name = name, .license = license, .count = count, .opts = *opts
	};
	load->insns = malloc(count * sizeof(*insns));
	load->placeholder = load->insns ? fcntl(bell, F_DUPFD_CLOEXEC, 3) : -1;
	if (load->placeholder < 0) {
		free(load->insns);
		return -1;
	}
	memcpy(load->insns, insns, count * sizeof(*insns));
	__atomic_store_n(&load_count, load_count + 1, __ATOMIC_RELEASE);
	ring();
	return load->placeholder;
}

/* libbpf has no more programs: the caller helps, and the thread ends when it has loaded its last one. */
void finish_loads(void)
{
	if (bell < 0)
		return;
	while (load_next())
		;
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	ring();
}

/* Loads what was refused once more, for the verifier's words. */
static int load_with_log(struct load *load)
{
	struct bpf_prog_load_opts opts = load->opts;
	char *log = calloc(1, LOAD_LOG);
	int fd;

	if (!log)
		return load->fd;
	opts.log_level = 1;
	opts.log_buf = log;
	opts.log_size = LOAD_LOG;
	fd = load_by(load, &opts);
	if (fd < 0)
		log_text("libbpf: prog '%s': BPF program load failed: %s\n%s", load->name,
			 strerror(-fd), log);
	free(log);
	return fd;
}

/* The thread has ended. err: of sh_load(). Returns it, or that of a program that was refused. */
int sh_loads_end(int err)
{
	for (__u32 n = 0; n < load_count; n++) {
		struct load *load = &loads[n];

		if (load->fd < 0 && !err)
			load->fd = load_with_log(load);
		if (load->fd < 0)
			err = err ? err : load->fd;
		else if (!err && dup3(load->fd, load->placeholder, O_CLOEXEC) < 0)
			err = -errno;
		if (load->fd >= 0)
			close(load->fd);
		free(load->insns);
	}
	close(bell);
	bell = -1;
	load_count = 0;
	return err;
}
