/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole surface between TypeScript and libbpf. Every function returns >= 0, or -errno;
 * file descriptors and handles are returned as such. Nothing here prints.
 * Adding a function: declare it here, give it a row in src/kernel/shim.ts.
 */
#ifndef TRACER_SHIM_H
#define TRACER_SHIM_H

#include <signal.h>

#include "shared.h"

#define SH_API __attribute__((visibility("default")))

struct perf_event_attr;

/* log.c: what libbpf had to say, the last 256 KB of it. Copies, NUL-terminates and clears. */
SH_API int sh_log(char *dst, int cap);
void log_capture(void);
void log_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* object.c: one loaded object; the handle is its address. */
SH_API __s64 sh_open(const void *elf, __u64 len, const char *name);
SH_API int sh_autoload(void *object, const char *program, int on);
SH_API int sh_kernel_version(void *object, __u32 code);
SH_API int sh_map_max_entries(void *object, const char *map, __u32 entries);
SH_API int sh_map_mappable(void *object, const char *map);
SH_API int sh_no_lru(void *object);
SH_API int sh_close(void *object);
SH_API int sh_prog_fd(void *object, const char *program);
SH_API int sh_map_fd(void *object, const char *map);
SH_API __s64 sh_test_run(int prog_fd, const void *ctx, __u32 ctx_len);
SH_API __s64 sh_test_run_packet(int prog_fd, __u32 times);
SH_API int sh_kernel_bpf(void);
SH_API int sh_has_helper(__u32 type, __u32 helper, __u32 version);
SH_API int sh_has_test_run(void);
SH_API int sh_has_lru(void);
SH_API __s64 sh_prog_misses(int prog_fd);
SH_API int sh_prog_time(int prog_fd, __u64 ns_and_runs[2]);
SH_API int sh_time_programs(void);

/* types.c: ids are those of a function and of a struct. */
SH_API int sh_plain_loads(__u32 ids[3]);
SH_API int sh_function_ids(const char *names, __u32 count, __u32 *ids);
void forget_traced(void);
SH_API int sh_traced(void *object, const char *program, __u32 id, int exit);
SH_API int sh_load(void *object);

/* loads.c: around sh_load(), where large programs are to be loaded by a thread too. */
SH_API int sh_loads_begin(void);
SH_API void *sh_loads_run(void *unused);
SH_API int sh_loads_end(int err);
void finish_loads(void);

/* attach.c: the returned fd is the attachment; closing it detaches. */
SH_API int sh_raw_tracepoint(int prog_fd, const char *name);
SH_API int sh_has_tracepoint(const char *name);
SH_API int sh_attach_traced(int prog_fd);
SH_API int sh_kprobe_pmu(int prog_fd, int pmu_type, int retprobe_bit, const char *symbol);
SH_API int sh_perf_tracepoint(int prog_fd, int tracepoint_id);
SH_API int sh_iter(int prog_fd);
SH_API int sh_cgroup(int prog_fd, int cgroup_fd, __u32 hook);
SH_API int sh_cgroup_root(void);
SH_API int sh_debugfs(void);
int perf_open(struct perf_event_attr *attr, int cpu);

/* hold.c: around each map command, and while inodes.c goes from CPU to CPU. release_cpu takes what hold_cpu gave. */
int hold_cpu(void);
void release_cpu(int held);

/* privileges.c: of single threads; a set of capabilities has bit N for number N. */
SH_API int sh_caps_effective(__u64 effective);
SH_API int sh_caps_drop(int tid, __u64 keep);

/* map.c, map_dump.c: keys and values are plain bytes of the map's own sizes. */
SH_API int sh_map_lookup(int fd, const void *key, void *value);
SH_API int sh_map_update(int fd, const void *key, const void *value, __u64 flags);
SH_API int sh_map_delete(int fd, const void *key);
SH_API int sh_map_take(int fd, const void *key, void *value);
SH_API int sh_map_next_key(int fd, const void *key, void *next);
SH_API __s64 sh_hash_map_entries(void *object, __u32 index, char name[MAP_NAME_SIZE], __u32 *max);
SH_API int sh_map_dump(int fd, __u32 key_size, __u32 value_size, void *dst, __u32 cap_entries);
SH_API int sh_map_range(int fd, __u32 first, __u32 count, __u32 value_size, void *dst);
SH_API int sh_has_sockmap(void);
SH_API int sh_sockmap_create(__u32 entries);

/* inodes.c: inode numbers, by CPU. */
SH_API int sh_newest_inodes(__u32 *inos, __u32 cpus);
SH_API __s64 sh_give_inodes(__u32 cpu, __u32 count);

/* rings.c: one perf ring per online CPU, read by polling. */
SH_API __s64 sh_rings_open(int map_fd, int pages);
SH_API int sh_rings_batches(void *rings, int map_fd, int prog_fd, __u32 len_at, __u32 asleep_at);
SH_API int sh_rings_collect(void *rings);
SH_API int sh_rings_refresh(void *rings);
SH_API int sh_rings_revive(void *rings, __u32 cpu);
SH_API __s64 sh_rings_drain(void *rings, void *dst, __u64 cap, __u64 *lost);
SH_API int sh_rings_close(void *rings);
struct rings;
int rings_have_data(struct rings *rings);
int rings_sleep(struct rings *rings, int asleep);
struct pollfd;
struct pollfd *rings_pollfds(struct rings *rings, int before, int *count);

/* waiter.c: a thread that waits for them. */
SH_API __s64 sh_waiter_open(void *rings, int *loop_end);
SH_API void *sh_waiter_run(void *waiter);
SH_API int sh_waiter_stop(void *waiter);
SH_API int sh_waiter_close(void *waiter);
void release_code(__s64 now_ms);
void leave_signals_to_others(sigset_t *before);

/* stayer.c: a thread that stays in a network namespace. */
SH_API __s64 sh_stayer_open(void);
SH_API void *sh_stayer_run(void *stayer);
SH_API int sh_stayer_tid(void *stayer);
SH_API int sh_stayer_stop(void *stayer);
SH_API int sh_stayer_close(void *stayer);

/* line.c: the busiest part of writing lines. */
SH_API int sh_put_line(void *out, __u32 at, const void *steps, __u32 count, const void *records,
		       __u32 p, const void *moment, __u32 us, const void *remote,
		       __u32 remote_length);

/* lines.c: the same for many records. */
SH_API int sh_put_lines(void *batch);

/*
 * order.c: returns the number of events, whose places and times are filled; ORDER_UNKNOWN: there are more than the room, there
 * is no memory to order them in, or a record reaches beyond what was drained.
 */
SH_API int sh_order(const void *drained, __u32 used, void *places, void *times, __u32 room);

/* batches.c: what is on its way into them. */
struct batches;
struct batches *batches_open(int map_fd, int prog_fd, __u32 len_at, __u32 asleep_at);
int batches_wait(const struct batches *batches);
void batches_sleep(struct batches *batches, int asleep);
int batches_send(const struct batches *batches);
void batches_close(struct batches *batches);

/* cpus.c: sets online[cpu] = 1 for each CPU that is online; returns the first, or -errno. */
#define MAX_CPUS 8192
int cpus_online(unsigned char online[MAX_CPUS]);

#endif
