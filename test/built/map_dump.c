// SPDX-License-Identifier: Apache-2.0
/* A map of a kernel before 5.6, from which a program deletes while the tool reads it. Only the kernel's answers are replaced. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int next_key(int fd, const void *key, void *next);

static int no_batches(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
		      const void *options)
{
	(void)fd, (void)in, (void)out, (void)keys, (void)values, (void)count, (void)options;
	return -EINVAL;
}

#define bpf_map_get_next_key next_key
#define bpf_map_lookup_batch no_batches
#include "../../src/kernel/shim/map_dump.c"

#define MOST 4096

static bool there[MOST];
static __u32 entries, every, calls;

static __u32 from(__u32 key)
{
	while (key < entries && !there[key])
		key++;
	return key;
}

/* As the kernel: an absent key is answered with the first one. Every so many, the program has deleted the key meanwhile. */
static int next_key(int fd, const void *key, void *next)
{
	__u32 asked, found;

	(void)fd;
	calls++;
	memcpy(&asked, key, sizeof(asked));
	if (every && asked % every < every / 2)
		there[asked] = false;
	found = from(asked < entries && there[asked] ? asked + 1 : 0);
	memcpy(next, &found, sizeof(found));
	return found < entries ? 0 : -ENOENT;
}

int sh_map_next_key(int fd, const void *key, void *next)
{
	__u32 found = from(0);

	(void)fd, (void)key;
	memcpy(next, &found, sizeof(found));
	return found < entries ? 0 : -ENOENT;
}

int sh_map_lookup(int fd, const void *key, void *value)
{
	__u32 asked;

	(void)fd;
	memcpy(&asked, key, sizeof(asked));
	if (asked >= entries || !there[asked])
		return -ENOENT;
	asked *= 10;
	memcpy(value, &asked, sizeof(asked));
	return 0;
}

int hold_cpu(void)
{
	return 0;
}

void release_cpu(int held)
{
	(void)held;
}

/* Keys 0 to `count` - 1, each with ten times its key; of each `deleted` in a row the first half goes when it is passed. */
int dump(__u32 count, __u32 deleted, void *dst, __u32 cap)
{
	entries = count;
	every = deleted;
	calls = 0;
	memset(there, 1, sizeof(there));
	return sh_map_dump(0, sizeof(__u32), sizeof(__u32), dst, cap);
}

__u32 calls_made(void)
{
	return calls;
}
