// SPDX-License-Identifier: Apache-2.0
/*
 * The batches in which programs collect events, one per CPU (bpf/lib/batch.h). Seen through a mapping, so that to look costs
 * nothing; sent by a program of theirs that is run on their CPU, so that it meets there only what it interrupts.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "shim.h"

struct batches {
	int prog_fd;
	__u32 cpus, bytes;
	__u32 len_at,
		asleep_at; /* where in each its length stands, and whether the tool sleeps: each a u32 */
	size_t mapped;
	char *first;
};

/* Of an array map by CPU, with BPF_F_MMAPABLE. NULL and errno where it cannot be mapped. */
struct batches *batches_open(int map_fd, int prog_fd, __u32 len_at, __u32 asleep_at)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	struct batches *batches;

	if (bpf_obj_get_info_by_fd(map_fd, &info, &size) < 0)
		return NULL;
	batches = calloc(1, sizeof(*batches));
	if (!batches)
		return NULL;
	batches->prog_fd = prog_fd;
	batches->cpus = info.max_entries;
	batches->bytes = (info.value_size + 7) & ~7U;
	batches->len_at = len_at;
	batches->asleep_at = asleep_at;
	batches->mapped = (size_t)batches->cpus * batches->bytes;
	batches->first = mmap(NULL, batches->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (batches->first == MAP_FAILED) {
		free(batches);
		return NULL;
	}
	return batches;
}

void batches_close(struct batches *batches)
{
	if (!batches)
		return;
	munmap(batches->first, batches->mapped);
	free(batches);
}

static int is_filled(const struct batches *batches, __u32 cpu)
{
	const char *batch = batches->first + (size_t)cpu * batches->bytes;

	return __atomic_load_n((const __u32 *)(batch + batches->len_at), __ATOMIC_ACQUIRE) != 0;
}

int batches_wait(const struct batches *batches)
{
	__u32 cpu;

	for (cpu = 0; batches && cpu < batches->cpus; cpu++)
		if (is_filled(batches, cpu))
			return 1;
	return 0;
}

/* Nothing is added to the batches of one who sleeps, but for what is being added in this moment. */
void batches_sleep(struct batches *batches, int asleep)
{
	__u32 cpu;

	for (cpu = 0; batches && cpu < batches->cpus; cpu++) {
		char *batch = batches->first + (size_t)cpu * batches->bytes;

		__atomic_store_n((__u32 *)(batch + batches->asleep_at), asleep, __ATOMIC_RELEASE);
	}
}

static int run_for(const struct batches *batches, __u32 cpu, __u32 flags)
{
	__u64 argument = cpu;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &argument, .ctx_size_in = sizeof(argument),
		    .flags = flags, .cpu = flags ? cpu : 0);
	int err = bpf_prog_test_run_opts(batches->prog_fd, &opts);

	return err < 0 ? err : (int)opts.retval;
}

/* A program that was interrupted there goes on at once, so the CPU is asked again at once. */
#define MOST_TRIES 1000

/* Puts what the batches hold into the rings. Returns how many held something. */
int batches_send(const struct batches *batches)
{
	int sent = 0, err, tries;
	__u32 cpu;

	for (cpu = 0; batches && cpu < batches->cpus; cpu++) {
		if (!is_filled(batches, cpu))
			continue;
		for (tries = 0; tries < MOST_TRIES; tries++) {
			err = run_for(batches, cpu, BPF_F_TEST_RUN_ON_CPU);
			if (err == -ENXIO) /* it is off, so nobody is at its batch */
				err = run_for(batches, cpu, 0);
			if (err <= 0)
				break;
		}
		if (err < 0)
			return err;
		sent++;
	}
	return sent;
}
