// SPDX-License-Identifier: Apache-2.0
/* Whole maps: in batches from 5.6 on, before that entry by entry. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

/* Entries per system call. A hash bucket has to fit whole, or the kernel answers ENOSPC. */
#define BATCH 1024

struct dump {
	int fd;
	__u32 key_size, value_size;
	char *dst;
	__u32 cap, count;
	char *scratch; /* keys[BATCH], values[BATCH], two cursors; or two keys and a value */
};

static char *dump_slot(struct dump *d)
{
	return d->dst + (size_t)d->count * (d->key_size + d->value_size);
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

/* So many entries back a walk looks for one that is still there. */
#define BACK 64

/*
 * The last entry that was copied is gone from the map, and the kernel answers an absent key with the first one: the walk would
 * start over, at each deletion of a busy map. It goes on behind an entry that is still there; the entries between the two are gone.
 */
static int resume(struct dump *d, char *next)
{
	char *value = d->scratch + 2 * (size_t)d->key_size;
	__u32 back;

	for (back = 1; back <= BACK && back <= d->count; back++) {
		const char *key = dump_slot(d) - (size_t)back * (d->key_size + d->value_size);
		int err = bpf_map_get_next_key(d->fd, key, next);

		if (sh_map_lookup(d->fd, key, value) == 0)
			return err;
	}
	return sh_map_next_key(d->fd, NULL, next);
}

/* An entry that is there after the next one was asked for was there before it too. */
static int dump_one_by_one(struct dump *d)
{
	char *next = d->scratch;
	int err = sh_map_next_key(d->fd, NULL, next);

	while (!err && d->count < d->cap) {
		char *slot = dump_slot(d);
		int found;

		memcpy(slot, next, d->key_size);
		err = bpf_map_get_next_key(d->fd, slot, next);
		found = sh_map_lookup(d->fd, slot, slot + d->key_size);
		if (found == 0)
			d->count++;
		else if (found != -ENOENT)
			return found;
		else if (!err || d->count)
			err = resume(d, next);
	}
	return err == -ENOENT ? 0 : err;
}

/*
 * Copies all entries to dst, each a key followed by its value, and returns how many; a full dst means that there may be more. A
 * reader of a map that others change has to accept one key twice, if rarely.
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
