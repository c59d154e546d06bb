// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of many records in one call, so that a runtime that has compiled nothing yet has little to do for each. A record
 * becomes a line here if no part of the trace has anything to add to it, and its text has been prepared; the first one that
 * does not ends the call, and TypeScript decides.
 */
#include "pairs.h"
#include "recorded.h"

/* In nanoseconds, as the times of records. */
#define ONE_SECOND 1000000000ULL
#define ONE_MICROSECOND 1000
#define LINE_FEED '\n'

#define UNWANTED (PORT_UNWANTED | PORT_UNWANTED_LOCAL | PORT_UNWANTED_REMOTE)

#define KINDS (1 << EVENT_CONNECT | 1 << EVENT_ACCEPT | 1 << EVENT_CLOSE)

static int is_close(const __u8 *record)
{
	return *MEMBER(record, kind) == EVENT_CLOSE;
}

/* A part knows more of the sock than its records hold, or of another one with the same hash. */
static int is_marked(const struct line_conditions *of, const __u8 *record)
{
	__u32 slot = sock_hash(record) / (0x100000000ULL / SOCK_MARKS);

	return address_of(of->marks)[slot] != 0 ||
	       (is_close(record) && address_of(of->end_marks)[slot] != 0);
}

/* As Absence.mark() of src/trace/nat/absence.ts, and false where it would have to look. */
static int knows_translation(const struct line_conditions *of, __u8 *record)
{
	__u32 flags = load32(MEMBER(record, flags));
	__u64 began = load64(MEMBER(record, started_at));

	if (flags & FACT_PLAIN)
		return 1;
	if (of->plain_only)
		return 0;
	if (flags & FACT_TRANSLATED || !of->plain_asked)
		return 1;
	if (began == 0)
		began = load64(MEMBER(record, timestamp));
	if (began < of->plain_from || began > of->plain_until)
		return 0;
	flags |= FACT_PLAIN;
	memcpy(MEMBER(record, flags), &flags, sizeof(flags));
	return 1;
}

static __u32 endpoint_key(const __u8 *record, __u32 netns, __u32 end, __u32 port)
{
	__u32 key = end ^ port << 8;

	key = (key ^ netns) * ENDPOINT_FIRST;
	key = (key ^ key >> 15 ^ load32(record + end)) * ENDPOINT_SECOND;
	key = (key ^ key >> 13 ^ load32(record + end + 4)) * ENDPOINT_THIRD;
	key = (key ^ key >> 16 ^ load32(record + end + 8)) * ENDPOINT_FIRST;
	return (key ^ key >> 15 ^ load32(record + end + 12)) * ENDPOINT_SECOND;
}

/* As Endpoints.of(), of a close: the record tells from here on what its endpoint speaks. 0: TypeScript has to look. */
static int name_after_endpoint(const struct line_conditions *of, __u8 *record)
{
	const struct line_endpoint *known = (const void *)address_of(of->endpoints);
	int is_server = *MEMBER(record, direction) == DIRECTION_INCOMING;
	__u32 end = is_server ? offsetof(struct event, ends.saddr_h)
			      : offsetof(struct event, ends.daddr_h);
	__u32 netns = load32(MEMBER(record, netns)), port;
	__u64 began = load64(MEMBER(record, started_at));

	if (known == NULL || (!is_server && *MEMBER(record, direction) != DIRECTION_OUTGOING))
		return 1;
	port = load16(is_server ? MEMBER(record, ends.sport) : MEMBER(record, ends.dport));
	known += endpoint_key(record, netns, end, port) & (ENDPOINT_SLOTS - 1);
	if (known->state != ENDPOINT_ONE)
		return known->state == ENDPOINT_NONE;
	if (known->netns == netns && known->end == end && known->port == port &&
	    memcmp(known->address, record + end, sizeof(known->address)) == 0 &&
	    began >= known->since && began <= known->until)
		*MEMBER(record, endpoint_speaks) = known->speaks;
	return 1;
}

static int is_program(const struct line_conditions *of, __u32 pid)
{
	return load32(address_of(of->programs) + (pid & (PROGRAM_SLOTS - 1)) * sizeof(pid)) == pid;
}

/* As Groups.numberedId(): the record tells its control group from here on, where that is known of its process. */
static void name_group(const struct line_conditions *of, __u8 *record)
{
	const struct line_group *group = (const void *)address_of(of->groups);
	__u64 id = load64(MEMBER(record, owner.cgroup_id));
	__u32 pid = load32(MEMBER(record, owner.pid));

	if (group == NULL || (id != 0 && id != of->everybody))
		return;
	group += pid & (GROUP_SLOTS - 1);
	if (group->pid == pid &&
	    load32(MEMBER(record, owner.owned_at)) - group->since <= group->ticks)
		memcpy(MEMBER(record, owner.cgroup_id), &group->id, sizeof(group->id));
}

static int meets(const struct line_conditions *of, __u8 *record)
{
	__u32 kind = *MEMBER(record, kind), pid = load32(MEMBER(record, owner.pid));
	__u32 flags = load32(MEMBER(record, flags));

	if (kind >= 32 || !(KINDS >> kind & 1))
		return 0;
	if (!(load32(MEMBER(record, ends.metadata)) & METADATA_TCP))
		return 0;
	if (flags & of->flags_refused || pid == 0 || pid == of->pid_refused)
		return 0;
	if (flags & of->flags_doubted && load32(MEMBER(record, owner.uid)) == 0 &&
	    !is_program(of, pid))
		return 0;
	if (load64(MEMBER(record, sent_bytes)) > of->most_bytes ||
	    load64(MEMBER(record, recv_bytes)) > of->most_bytes)
		return 0;
	if (load64(MEMBER(record, owner.comm)) == of->comm_refused)
		return 0;
	return !is_marked(of, record) && knows_translation(of, record) &&
	       (!is_close(record) || name_after_endpoint(of, record));
}

/* As RecordTemplates.of() of src/output/straight/keys.ts. NULL: there is none. */
static struct line_kept *text_of(const struct line_keys *of, const __u8 *record)
{
	__u32 is_seen = (load32(MEMBER(record, flags)) & FACT_SEEN) != 0;
	__u32 slot = (load32(MEMBER(record, owner.pid)) * 4 + *MEMBER(record, kind) +
		      *MEMBER(record, direction) * 64 + *MEMBER(record, endpoint_speaks) * 16 +
		      is_seen * 8) &
		     (LINE_KEY_SLOTS - 1);
	struct line_kept *kept = (void *)address_of(of->kept);
	const __u8 *key = address_of(of->keys) + slot * of->words * sizeof(__u32);
	const __u8 *places = address_of(of->places), *masks = address_of(of->masks);
	__u32 differs = 0;

	if (address_of(of->states)[slot] != LINE_KEY_MADE || kept[slot].steps == 0)
		return NULL;
	for (__u64 n = 0; n < of->words; n++)
		differs |= (load32(record + load32(places + 4 * n)) & load32(masks + 4 * n)) ^
			   load32(key + 4 * n);
	return differs ? NULL : &kept[slot];
}

/* As wantsPorts() of src/output/straight/sifting.ts, of ports that are known. */
static int wants_ports(const struct line_keys *of, const __u8 *record)
{
	const __u8 *lists = address_of(of->ports);
	__u32 local = lists[load16(MEMBER(record, ends.sport))];
	__u32 remote = lists[load16(MEMBER(record, ends.dport))];
	__u32 met = ((local | remote) & (PORT_WANTED | PORT_UNWANTED)) |
		    (local & (PORT_WANTED_LOCAL | PORT_UNWANTED_LOCAL)) |
		    (remote & (PORT_WANTED_REMOTE | PORT_UNWANTED_REMOTE));

	return (met & (of->ports_asked | UNWANTED)) == of->ports_asked;
}

static int has_ports(const __u8 *record)
{
	return load16(MEMBER(record, ends.sport)) != 0 && load16(MEMBER(record, ends.dport)) != 0;
}

/* Whether nobody wants the line of a record with this text; its ports are known. */
static int is_unwanted(const struct line_keys *of, const struct line_kept *text, const __u8 *record)
{
	return text->count == 0 || (of->ports != 0 && !wants_ports(of, record));
}

static void count(struct line_conditions *of, const __u8 *record)
{
	if (!is_close(record))
		return;
	if (*MEMBER(record, endpoint_speaks))
		of->named++;
	else if (load64(MEMBER(record, sent_bytes)) || load64(MEMBER(record, recv_bytes)))
		of->moved++;
	else
		of->silent++;
}

/*
 * Makes the line of a record, where somebody wants it, and the same line of the recording, where there is one; both or none.
 * Returns the text of the line; NULL: TypeScript has to make it.
 */
static struct line_kept *take(struct line_batch *batch, __u8 *record)
{
	struct line_conditions *conditions = (void *)address_of(batch->conditions);
	const struct line_keys *keys = (const void *)address_of(batch->keys);
	__u8 *out = address_of(batch->out), *to;
	__u64 ns = load64(MEMBER(record, timestamp)) - batch->second;
	struct line line = { record, (const void *)address_of(batch->moment), ns / ONE_MICROSECOND,
			     NULL, 0 };
	struct line_kept *text;

	if (ns >= ONE_SECOND || !meets(conditions, record))
		return NULL;
	name_group(conditions, record);
	text = text_of(keys, record);
	if (text == NULL || (keys->ports != 0 && !has_ports(record)))
		return NULL;
	if (is_unwanted(keys, text, record)) {
		count(conditions, record);
		return text;
	}
	if (batch->end - batch->at <= text->bytes)
		return NULL;
	to = put_steps(out + batch->at, &line, (const void *)address_of(text->steps), text->count);
	if (to == NULL || (batch->recorded_out != 0 && !put_recorded(batch, &line, text)))
		return NULL;
	*to++ = LINE_FEED;
	batch->at = to - out;
	batch->made++;
	text->taken++;
	count(conditions, record);
	return text;
}

/* The same of a close, and before it of the accept of the handshake in this slot; both or none. */
static int take_both(struct line_batch *batch, struct line_pairs *pairs, int slot, __u8 *close)
{
	struct line_batch before = *batch;
	struct line_kept *text = NULL;
	struct event room;
	__u8 *accept = (__u8 *)&room;

	if (make_accept(pairs, slot, close, accept))
		text = take(batch, accept);
	if (text != NULL && take(batch, close) != NULL) {
		drop_handshake(pairs, slot);
		return 1;
	}
	if (text != NULL)
		text->taken -= batch->made - before.made;
	*batch = before;
	return 0;
}

/* A handshake waits for its close, unless a part knows more of it. */
static int keeps(const struct line_conditions *of, const struct line_pairs *pairs,
		 const __u8 *record)
{
	return load32(MEMBER(record, ends.metadata)) & METADATA_TCP &&
	       load32(MEMBER(record, owner.listener_ino)) != 0 &&
	       !(load32(MEMBER(record, flags)) & (of->flags_refused | of->flags_doubted)) &&
	       !is_marked(of, record) && keep_handshake(pairs, record);
}

static int take_any(struct line_batch *batch, struct line_pairs *pairs, __u8 *record)
{
	int slot;

	if (pairs == NULL)
		return take(batch, record) != NULL;
	if (*MEMBER(record, kind) == EVENT_PASSIVE)
		return keeps((const void *)address_of(batch->conditions), pairs, record);
	slot = is_close(record) ? handshake_of(pairs, record) : -1;
	return slot < 0 ? take(batch, record) != NULL : take_both(batch, pairs, slot, record);
}

int sh_put_lines(void *of)
{
	struct line_batch *batch = of;
	const struct line_conditions *conditions = (const void *)address_of(batch->conditions);
	struct line_pairs *pairs = (void *)address_of(conditions->pairs);
	__u32 n = batch->from;

	batch->made = 0;
	for (; n < batch->to; n++) {
		__u32 at = load32(address_of(batch->places) + 4ULL * n);

		if (!take_any(batch, pairs, address_of(batch->records) + at))
			break;
	}
	return n - batch->from;
}
