// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The reading of a sock's counters, built for the machine that runs the tests. The sock is an array, and changes between
 * two reads when the schedule says so. Only what reads the sock is replaced; totals.h and sample.h are the tracer's own.
 */
#define LIB_OFFSETS_H
#define TCP_CONN_H
#define TCP_OPEN_H
#include "lib/kernel.h"

/* Whether no field is left out; no filter. */
#define constant(id) ((id) != CONSTANT_FILTERS)

/* The order of `fields` in totals.test.ts. */
enum field {
	SND_UNA,
	BYTES_ACKED,
	WRITE_SEQ,
	RCV_NXT,
	BYTES_RECEIVED,
	COPIED_SEQ,
	SK_FLAGS,
	/* Not of the sock: what the handler of shutdown(2) notes. */
	NOTE_FIN,
	FIELDS
};

struct step {
	u32 field;
	u32 amount;
};

static u64 fields[FIELDS];
static const struct step *steps;
static const u32 *due; /* by step: how many reads come before it */
static u32 step_count, taken, reads;

static u64 read_field(enum field field);

#define ACCESSOR(name, type, field)                                                                \
	static type name(u64 sk)                                                                   \
	{                                                                                          \
		(void)sk;                                                                          \
		return read_field(field);                                                          \
	}

ACCESSOR(snd_una, u32, SND_UNA)
ACCESSOR(bytes_acked, u64, BYTES_ACKED)
ACCESSOR(write_seq, u32, WRITE_SEQ)
ACCESSOR(rcv_nxt, u32, RCV_NXT)
ACCESSOR(bytes_received, u64, BYTES_RECEIVED)
ACCESSOR(copied_seq, u32, COPIED_SEQ)
ACCESSOR(sk_flags, u64, SK_FLAGS)

#define STANDS_STILL(name)                                                                         \
	static u32 name(u64 sk)                                                                    \
	{                                                                                          \
		(void)sk;                                                                          \
		return 0;                                                                          \
	}

STANDS_STILL(bytes_sent)
STANDS_STILL(segs_out)
STANDS_STILL(segs_in)
STANDS_STILL(srtt_us)
STANDS_STILL(mdev_us)
STANDS_STILL(total_retrans)

static int is_lister(void)
{
	return 0;
}

static void *lookup(void *map, const void *key);

static u64 ktime(void)
{
	return 0;
}

#define bpf_map_lookup_elem lookup
#define bpf_ktime_get_ns ktime
#include "tcp/totals.h"
#include "tcp/sample.h"

static struct live open_conn;

static void take(const struct step *step)
{
	if (step->field == NOTE_FIN)
		note_fin(0, &open_conn);
	else
		fields[step->field] += step->amount;
}

static void take_due(void)
{
	static int within; /* note_fin() reads under the sock's lock */

	if (within)
		return;
	within = 1;
	while (taken < step_count && due[taken] <= reads)
		take(&steps[taken++]);
	within = 0;
	reads++;
}

static u64 read_field(enum field field)
{
	take_due();
	return fields[field];
}

static void *lookup(void *map, const void *key)
{
	(void)key;
	take_due();
	return map == &conns ? &open_conn : 0;
}

/* Whether the beginning of the connection was seen. */
static u32 seen;

void see_beginning(u32 is_seen)
{
	seen = is_seen;
}

static void start(const u64 *before, const struct step *schedule, const u32 *times, u32 count)
{
	__builtin_memcpy(fields, before, sizeof(fields));
	__builtin_memset(&open_conn, 0, sizeof(open_conn));
	open_conn.event.direction = DIRECTION_INCOMING;
	step_count = taken = 0;
	if (seen)
		note_sequences(0, &open_conn);
	steps = schedule;
	due = times;
	step_count = count;
	taken = reads = 0;
}

/* Each returns the number of reads, and leaves { stable, sent_bytes, recv_bytes }. */
u32 close_during(const u64 *before, const struct step *schedule, const u32 *times, u32 count,
		 u64 *result)
{
	struct live live;

	start(before, schedule, times, count);
	live = open_conn;
	result[0] = read_totals(0, &live);
	result[1] = live.event.sent_bytes;
	result[2] = live.event.recv_bytes;
	return reads;
}

u32 sample_during(const u64 *before, const struct step *schedule, const u32 *times, u32 count,
		  u64 *result)
{
	struct sample sample = { .state = SAMPLE_GONE };
	struct live live;

	start(before, schedule, times, count);
	read_sample(&sample, &live);
	result[0] = sample.state == SAMPLE_TAKEN;
	result[1] = sample.sent_bytes;
	result[2] = sample.recv_bytes;
	return reads;
}
