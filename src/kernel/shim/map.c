// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "map.h"
#include "shim.h"

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
