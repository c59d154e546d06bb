// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

/* Entries per system call. A hash bucket has to fit whole, or the kernel answers ENOSPC. */
#define BATCH 1024

/* Evaluates a map command with the CPU held: see hold.c. */
#define HELD(command)                                                                              \
	({                                                                                         \
		int _held = hold_cpu();                                                            \
		int _result = (command);                                                           \
		release_cpu(_held);                                                                \
		_result;                                                                           \
	})

int sh_map_lookup(int fd, const void *key, void *value)
{
	return HELD(bpf_map_lookup_elem(fd, key, value));
}

int sh_map_update(int fd, const void *key, const void *value, __u64 flags)
{
	return HELD(bpf_map_update_elem(fd, key, value, flags));
}

int sh_map_delete(int fd, const void *key)
{
	return HELD(bpf_map_delete_elem(fd, key));
}

static int no_batch(int err);

/* Reads and deletes; in one step from 5.14 on, which knows it for hash maps. */
int sh_map_take(int fd, const void *key, void *value)
{
	int err = HELD(bpf_map_lookup_and_delete_elem(fd, key, value));

	if (!no_batch(err))
		return err;
	err = sh_map_lookup(fd, key, value);
	return err ? err : sh_map_delete(fd, key);
}

/*
 * key NULL asks for the first key; -ENOENT after the last. Linux before 4.12 answers NULL with
 * EFAULT, but answers any absent key with the first: no map of ours holds a key of all ones.
 */
int sh_map_next_key(int fd, const void *key, void *next)
{
	unsigned char absent[512]; /* MAX_BPF_STACK bounds a key */
	int err = bpf_map_get_next_key(fd, key, next);

	if (key || err != -EFAULT)
		return err;
	memset(absent, 0xff, sizeof(absent));
	return bpf_map_get_next_key(fd, absent, next);
}

static struct bpf_map *hash_map_at(void *object, __u32 index)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) if (bpf_map__type(map) == BPF_MAP_TYPE_HASH &&
						  !index--) return map;
	return NULL;
}

/*
 * Counts the entries of the object's hash map with this index, and tells its name and how many it can have; -ENOENT
 * after the last map. Where others delete meanwhile the walk may start over: never more than there can be.
 */
__s64 sh_hash_map_entries(void *object, __u32 index, char name[MAP_NAME_SIZE], __u32 *max)
{
	unsigned char key[512], next[512]; /* MAX_BPF_STACK bounds a key */
	struct bpf_map *map = hash_map_at(object, index);
	__u32 count = 0;
	int fd, err;

	if (!map)
		return -ENOENT;
	fd = bpf_map__fd(map);
	*max = bpf_map__max_entries(map);
	snprintf(name, MAP_NAME_SIZE, "%s", bpf_map__name(map));
	err = sh_map_next_key(fd, NULL, next);
	while (!err && ++count < *max) {
		memcpy(key, next, bpf_map__key_size(map));
		err = bpf_map_get_next_key(fd, key, next);
	}
	if (err && err != -ENOENT)
		return err;
	return count;
}

struct dump {
	int fd;
	__u32 key_size, value_size;
	char *dst;
	__u32 cap, count;
	char *scratch; /* keys[BATCH], values[BATCH], two cursors or keys */
};

static char *dump_slot(struct dump *d)
{
	return d->dst + (size_t)d->count * (d->key_size + d->value_size);
}

/* The answer of a kernel that lacks the command, or lacks it for this kind of map: there are no batches before 5.6. */
static int no_batch(int err)
{
	return err == -EINVAL || err == -524 /* ENOTSUPP */ || err == -EOPNOTSUPP;
}

static int dump_batches(struct dump *d)
{
	char *keys = d->scratch, *values = keys + (size_t)BATCH * d->key_size;
	char *cursor = values + (size_t)BATCH * d->value_size;
	void *from = NULL;
	__u32 got, i;
	int err;

	do {
		got = BATCH;
		err = HELD(bpf_map_lookup_batch(d->fd, from, cursor, keys, values, &got, NULL));
		if (err && err != -ENOENT)
			return err;
		for (i = 0; i < got && d->count < d->cap; i++, d->count++) {
			char *slot = dump_slot(d);

			memcpy(slot, keys + (size_t)i * d->key_size, d->key_size);
			memcpy(slot + d->key_size, values + (size_t)i * d->value_size,
			       d->value_size);
		}
		from = cursor;
	} while (!err && d->count < d->cap);
	return 0;
}

/* When a key vanishes between two calls the kernel starts over, so an entry may appear twice. */
static int dump_one_by_one(struct dump *d)
{
	char *key = d->scratch, *next = key + d->key_size;
	int err = sh_map_next_key(d->fd, NULL, next);

	while (!err && d->count < d->cap) {
		char *slot = dump_slot(d);

		memcpy(key, next, d->key_size);
		memcpy(slot, key, d->key_size);
		err = sh_map_lookup(d->fd, key, slot + d->key_size);
		if (!err)
			d->count++;
		else if (err != -ENOENT)
			return err;
		err = bpf_map_get_next_key(d->fd, key, next);
	}
	return err == -ENOENT ? 0 : err;
}

/*
 * Copies all entries to dst, each a key followed by its value, and returns how many; a full dst
 * means that there may be more. A reader of a map that others change has to accept one key twice.
 */
int sh_map_dump(int fd, __u32 key_size, __u32 value_size, void *dst, __u32 cap_entries)
{
	/* A cursor is a key or a u32; one next to the other, each 8 bytes or more. */
	size_t cursor = key_size < 8 ? 8 : key_size;
	struct dump d = {
		.fd = fd,
		.key_size = key_size,
		.value_size = value_size,
		.dst = dst,
		.cap = cap_entries,
	};
	int err;

	d.scratch = malloc((size_t)BATCH * (key_size + value_size) + 2 * cursor);
	if (!d.scratch)
		return -ENOMEM;
	err = dump_batches(&d);
	if (no_batch(err) || err == -ENOSPC) {
		d.count = 0;
		err = dump_one_by_one(&d);
	}
	free(d.scratch);
	return err ? err : (int)d.count;
}

/* Entries of an array map, the values alone, from index `first` on; each is `value_size` bytes. In one command from 5.6 on. */
int sh_map_range(int fd, __u32 first, __u32 count, __u32 value_size, void *dst)
{
	__u32 keys[RANGE_MAX], before = first - 1, cursor, got = count, i;
	int err;

	if (count > RANGE_MAX)
		return -E2BIG;
	err = HELD(
		bpf_map_lookup_batch(fd, first ? &before : NULL, &cursor, keys, dst, &got, NULL));
	if (!no_batch(err))
		return err && err != -ENOENT ? err : got == count ? 0 : -ENOENT;
	for (i = 0, err = 0; i < count && !err; i++) {
		cursor = first + i;
		err = sh_map_lookup(fd, &cursor, (char *)dst + (size_t)i * value_size);
	}
	return err;
}

/* 1: some map of this host is a sockmap; 0: none is, or they can't be listed (before 4.13, or without CAP_SYS_ADMIN). */
int sh_has_sockmap(void)
{
	__u32 id = 0;

	while (bpf_map_get_next_id(id, &id) == 0) {
		struct bpf_map_info info = {};
		__u32 len = sizeof(info);
		int fd = bpf_map_get_fd_by_id(id), err;

		/* Gone since. */
		if (fd < 0)
			continue;
		err = bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
		if (!err &&
		    (info.type == BPF_MAP_TYPE_SOCKMAP || info.type == BPF_MAP_TYPE_SOCKHASH))
			return 1;
	}
	return 0;
}

/* Of socks, by their descriptors; returns its descriptor. -EINVAL: the kernel has no sockmaps. */
int sh_sockmap_create(__u32 entries)
{
	return bpf_map_create(BPF_MAP_TYPE_SOCKMAP, NULL, 4, 4, entries, NULL);
}
