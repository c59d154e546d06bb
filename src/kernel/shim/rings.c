// SPDX-License-Identifier: Apache-2.0
/* One perf ring per online CPU for a PERF_EVENT_ARRAY map, read by polling; one who sleeps is woken. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "map.h"
#include "shim.h"

struct ring {
	struct ring *next;
	__u32 cpu;
	int fd;
	int waker; /* writes to the same ring, and wakes who polls it at each record; -1: there is none */
	int went_offline; /* a perf event does not survive its CPU; its unread data does */
	int suspected;	  /* of being dead: it took nothing since its head was */
	__u64 suspect_head;
	struct perf_event_mmap_page *page;
};

struct rings {
	struct ring *first;
	int map_fd;
	size_t page_size, size;	 /* of the data, a power of two */
	int complete;		 /* each CPU had one at the start */
	int asleep;		 /* programs write by the wakers */
	struct batches *batches; /* NULL: what is sent goes into them at once */
	unsigned char online[MAX_CPUS];
	/* Of the list and what is mapped: the thread of waiter.c looks there while others work. */
	pthread_mutex_t lock;
};

struct drain {
	char *dst;
	__u64 cap, used, lost;
};

static void ring_close(struct rings *rings, struct ring *ring)
{
	if (ring->page)
		munmap(ring->page, rings->page_size + rings->size);
	if (ring->waker >= 0)
		close(ring->waker);
	if (ring->fd >= 0)
		close(ring->fd);
	ring->page = NULL;
	ring->waker = -1;
	ring->fd = -1;
}

/*
 * A reader who polls has not to be woken: a watermark above the ring's size leaves one irq_work per ring-full of data,
 * instead of one per record.
 */
static int output_open(__u32 cpu, int wakes)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_BPF_OUTPUT;
	attr.sample_type = PERF_SAMPLE_RAW;
	attr.sample_period = 1;
	attr.watermark = !wakes;
	attr.wakeup_watermark = wakes ? 1 : 0x7fffffff; /* of events, where it is no watermark */
	return perf_open(&attr, cpu);
}

/* Without one nobody can be woken, and who waits has to look. */
static void waker_open(struct ring *ring)
{
	ring->waker = output_open(ring->cpu, 1);
	if (ring->waker < 0 || ioctl(ring->waker, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) == 0)
		return;
	close(ring->waker);
	ring->waker = -1;
}

/* Programs write by what the map holds. */
static int ring_use(const struct rings *rings, const struct ring *ring, int asleep)
{
	const int *fd = asleep && ring->waker >= 0 ? &ring->waker : &ring->fd;

	return HELD(bpf_map_update_elem(rings->map_fd, &ring->cpu, fd, BPF_ANY));
}

static int ring_open(struct rings *rings, struct ring *ring)
{
	int err;

	ring->page = NULL;
	ring->waker = -1;
	ring->fd = output_open(ring->cpu, 0);
	if (ring->fd < 0)
		return ring->fd;
	ring->page = mmap(NULL, rings->page_size + rings->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  ring->fd, 0);
	if (ring->page == MAP_FAILED) {
		ring->page = NULL;
		err = -errno;
	} else {
		waker_open(ring);
		err = ring_use(rings, ring, rings->asleep);
	}
	if (err)
		ring_close(rings, ring);
	return err;
}

static struct ring *ring_of(struct rings *rings, __u32 cpu)
{
	struct ring *ring = rings->first;

	while (ring && ring->cpu != cpu)
		ring = ring->next;
	return ring;
}

/*
 * Later a CPU may do without, as what finds no ring takes another way (bpf/lib/maps.h, spill): one that went away in between,
 * and one that came when the rights to open its ring were given up.
 */
static int can_wait(const struct rings *rings, int err)
{
	return err == -ENODEV || (rings->complete && (err == -EACCES || err == -EPERM));
}

/* 1 = opened; 0 = not now. */
static int ring_add(struct rings *rings, __u32 cpu)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int err;

	if (!ring)
		return -ENOMEM;
	ring->cpu = cpu;
	err = ring_open(rings, ring);
	if (err) {
		free(ring);
		return can_wait(rings, err) ? 0 : err;
	}
	ring->next = rings->first;
	rings->first = ring;
	return 1;
}

static int ring_revive(struct rings *rings, struct ring *ring)
{
	int err;

	ring_close(rings, ring);
	err = ring_open(rings, ring);
	if (err)
		return can_wait(rings, err) ? 0 : err;
	ring->went_offline = 0;
	ring->suspected = 0;
	return 1;
}

/*
 * Follows CPUs that came or went since the last call; returns how many rings it opened. To be
 * called right after a drain: what a returning CPU's old ring still holds is dropped.
 */
static int refresh(struct rings *rings)
{
	int opened = 0, err = cpus_online(rings->online);
	struct ring *ring;
	__u32 cpu;

	if (err < 0)
		return err;
	for (ring = rings->first; ring; ring = ring->next)
		if (!rings->online[ring->cpu])
			ring->went_offline = 1;
	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!rings->online[cpu])
			continue;
		ring = ring_of(rings, cpu);
		if (ring && !ring->went_offline)
			continue;
		err = ring ? ring_revive(rings, ring) : ring_add(rings, cpu);
		if (err < 0)
			return err;
		opened += err;
	}
	return opened;
}

int sh_rings_refresh(void *handle)
{
	struct rings *rings = handle;
	int opened;

	pthread_mutex_lock(&rings->lock);
	opened = refresh(rings);
	pthread_mutex_unlock(&rings->lock);
	return opened;
}

/*
 * To be called after each drain for a CPU whose events found no room. A living ring that was drained takes some before
 * it is full again; one that took none since the last call is dead, because its CPU was off and on again between two
 * refreshes. Returns 1 if it was opened anew.
 */
static int revive(struct rings *rings, __u32 cpu)
{
	struct ring *ring = ring_of(rings, cpu);
	__u64 head;

	if (!ring)
		return ring_add(rings, cpu);
	head = ring->page ? __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE) : 0;
	if (ring->suspected && ring->suspect_head == head)
		return ring_revive(rings, ring);
	ring->suspected = 1;
	ring->suspect_head = head;
	return 0;
}

int sh_rings_revive(void *handle, __u32 cpu)
{
	struct rings *rings = handle;
	int opened;

	pthread_mutex_lock(&rings->lock);
	opened = revive(rings, cpu);
	pthread_mutex_unlock(&rings->lock);
	return opened;
}

/* pages: of data per CPU, a power of two. */
__s64 sh_rings_open(int map_fd, int pages)
{
	struct rings *rings;
	int err;

	if (pages <= 0 || (pages & (pages - 1)))
		return -EINVAL;
	rings = calloc(1, sizeof(*rings));
	if (!rings)
		return -ENOMEM;
	pthread_mutex_init(&rings->lock, NULL);
	rings->map_fd = map_fd;
	rings->page_size = sysconf(_SC_PAGESIZE);
	rings->size = rings->page_size * pages;
	err = sh_rings_refresh(rings);
	if (err <= 0) {
		sh_rings_close(rings);
		return err ? err : -ENODEV;
	}
	rings->complete = 1;
	return (__s64)(unsigned long)rings;
}

/* Records wait in a map, by CPU, until there are enough of them: see batches.c. */
int sh_rings_batches(void *handle, int map_fd, int prog_fd, __u32 len_at, __u32 asleep_at)
{
	struct rings *rings = handle;

	errno = ENOMEM;
	rings->batches = batches_open(map_fd, prog_fd, len_at, asleep_at);
	return rings->batches ? 0 : -errno;
}

/* To be called before a drain that is to have all that was sent before. 0: nothing was waiting. */
int sh_rings_collect(void *handle)
{
	const struct rings *rings = handle;

	return batches_send(rings->batches);
}

int sh_rings_close(void *handle)
{
	struct rings *rings = handle;
	struct ring *ring, *next;

	for (ring = rings->first; ring; ring = next) {
		next = ring->next;
		ring_close(rings, ring);
		free(ring);
	}
	batches_close(rings->batches);
	free(rings);
	return 0;
}

static int has_data(const struct rings *rings)
{
	const struct ring *ring;

	for (ring = rings->first; ring; ring = ring->next)
		if (ring->page && __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE) !=
					  ring->page->data_tail)
			return 1;
	return batches_wait(rings->batches);
}

/* By any thread: whether a drain would find something. */
int rings_have_data(struct rings *rings)
{
	int have;

	pthread_mutex_lock(&rings->lock);
	have = has_data(rings);
	pthread_mutex_unlock(&rings->lock);
	return have;
}

static int all_can_wake(const struct rings *rings)
{
	const struct ring *ring;

	for (ring = rings->first; ring; ring = ring->next)
		if (ring->page && ring->waker < 0)
			return 0;
	return 1;
}

/*
 * Asleep: from soon on whoever polls the rings is woken by each record. A record that a program is writing in this moment
 * may still come without, so one more look is due. Returns 0 where nobody can be woken. Costs each record an interrupt: sleep when few come.
 */
int rings_sleep(struct rings *rings, int asleep)
{
	const struct ring *ring;
	int can;

	pthread_mutex_lock(&rings->lock);
	can = all_can_wake(rings);
	if (can || !asleep) {
		rings->asleep = asleep;
		batches_sleep(rings->batches, asleep);
		for (ring = rings->first; ring; ring = ring->next)
			if (ring->page && ring_use(rings, ring, asleep) < 0)
				can = 0;
	}
	pthread_mutex_unlock(&rings->lock);
	return can;
}

/* To be freed: the rings behind `before` places of the caller's own. NULL: no memory. */
struct pollfd *rings_pollfds(struct rings *rings, int before, int *count)
{
	const struct ring *ring;
	struct pollfd *fds;

	*count = before;
	pthread_mutex_lock(&rings->lock);
	for (ring = rings->first; ring; ring = ring->next)
		++*count;
	fds = calloc(*count, sizeof(*fds));
	for (ring = rings->first; fds && ring; ring = ring->next, before++) {
		fds[before].fd = ring->fd;
		fds[before].events = POLLIN;
	}
	pthread_mutex_unlock(&rings->lock);
	return fds;
}

/* Copies len bytes at position `at`, which only ever grows; they may wrap around the end. */
static void ring_copy(struct rings *rings, struct ring *ring, __u64 at, void *dst, size_t len)
{
	const char *data = (const char *)ring->page + rings->page_size;
	size_t start = at & (rings->size - 1), head = rings->size - start;

	if (head > len)
		head = len;
	memcpy(dst, data + start, head);
	memcpy((char *)dst + head, data, len - head);
}

/* One PERF_RECORD_SAMPLE: header, u32 size, payload. 0 = no room left for it. */
static int drain_sample(struct rings *rings, struct ring *ring, __u64 at, struct drain *out)
{
	struct ring_prefix prefix = { .cpu = ring->cpu };
	__u64 need;

	at += sizeof(struct perf_event_header);
	ring_copy(rings, ring, at, &prefix.size, sizeof(prefix.size));
	need = sizeof(prefix) + ((prefix.size + 7ULL) & ~7ULL);
	if (need > out->cap - out->used)
		return 0;
	memcpy(out->dst + out->used, &prefix, sizeof(prefix));
	ring_copy(rings, ring, at + sizeof(prefix.size), out->dst + out->used + sizeof(prefix),
		  prefix.size);
	out->used += need;
	return 1;
}

/* Returns 0 when dst is full and records are left, else 1. */
static int drain_ring(struct rings *rings, struct ring *ring, struct drain *out)
{
	__u64 tail = ring->page->data_tail;
	__u64 head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	struct perf_event_header header;
	int room = 1;

	while (tail != head) {
		ring_copy(rings, ring, tail, &header, sizeof(header));
		if (header.type == PERF_RECORD_SAMPLE) {
			room = drain_sample(rings, ring, tail, out);
			if (!room)
				break;
		} else if (header.type == PERF_RECORD_LOST) {
			__u64 lost; /* after the header and the event's u64 id */

			ring_copy(rings, ring, tail + sizeof(header) + 8, &lost, sizeof(lost));
			out->lost += lost;
		}
		tail += header.size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return room;
}

/* Returns 0 when dst is full and records are left, else 1. */
static int drain_all(struct rings *rings, struct drain *out)
{
	struct ring *ring, **link = &rings->first;
	int room = 1;

	while (room && *link) {
		ring = *link;
		if (ring->page)
			room = drain_ring(rings, ring, out);
		link = &ring->next;
	}
	/* A busy first ring must not starve the rest: go on behind the ring that stopped us. */
	if (!room && out->used && *link) {
		struct ring *start = *link, *last = start;

		*link = NULL;
		while (last->next)
			last = last->next;
		last->next = rings->first;
		rings->first = start;
	}
	return room;
}

/*
 * Copies what the rings hold to dst, each payload behind a struct prefix, and returns the bytes
 * used. Payloads that do not fit stay for the next call. A payload's size is the kernel's: 8n+4, so up
 * to 7 bytes of padding may follow the record. Adds the number of records that the kernel dropped to *lost.
 */
__s64 sh_rings_drain(void *handle, void *dst, __u64 cap, __u64 *lost)
{
	struct rings *rings = handle;
	struct drain out = { .dst = dst, .cap = cap };
	int room;

	pthread_mutex_lock(&rings->lock);
	room = drain_all(rings, &out);
	pthread_mutex_unlock(&rings->lock);
	*lost += out.lost;
	return !room && !out.used ? -E2BIG : (__s64)out.used;
}
