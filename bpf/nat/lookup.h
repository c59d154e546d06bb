/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * NAT of one connection: the tuple that its socket has is looked up in the socket's own namespace, then the tuple that comes
 * out of that in the host's. Own first: of a connection that is translated in both, the host's namespace never has the
 * socket's tuple.
 */
#ifndef NAT_LOOKUP_H
#define NAT_LOOKUP_H

#include "lib/batch.h"
#include "nat/conntrack.h"

/* A tuple on its way through the namespaces, its ends in the order of keys. */
struct hops {
	struct conntrack_tuple tuple;
	u32 swapped; /* CONNTRACK_SWAPPED: the sender is the destination of `tuple` */
	u32 _pad;
};

#define FIRST_OF_LOOPBACK 127	      /* the first byte of 127.0.0.0/8 */
#define LAST_OF_LOOPBACK (1ULL << 56) /* the low word of ::1 */

inline_always int is_loopback(u64 high, u64 low, u32 metadata)
{
	if (metadata & METADATA_IPV6)
		return high == 0 && low == LAST_OF_LOOPBACK;
	return (low & 0xff) == FIRST_OF_LOOPBACK;
}

/* Each namespace has its own loopback: such packets never leave it, and the same tuple elsewhere is another connection. */
inline_always int stays_inside(const struct conntrack_tuple *t)
{
	return is_loopback(t->saddr_h, t->saddr_l, t->metadata) ||
	       is_loopback(t->daddr_h, t->daddr_l, t->metadata);
}

/*
 * An entry is about an earlier connection of the same names where it is older than the SYN, or another accept was told with it.
 * The kernel makes a new entry for a SYN that meets one of a connection that has ended (nf_conntrack_tcp_packet), so this
 * one's packets do not pass conntrack. An entry that waits for the answer to an earlier SYN is kept: then it is not known.
 */
inline_always u64 is_of_earlier(const struct conntrack_value *known, mono_ns since, u32 accepts)
{
	/* The sign of a difference: a branch would double the ways that the verifier walks behind it. */
	return (known->made_at - since) >> 63 | (known->accepted & accepts);
}

/* Returns what the namespace of hops->tuple knows: FACT_TRANSLATED, with the tuple beyond it; FACT_PLAIN; or 0. */
inline_always u32 hop(struct hops *hops, mono_ns since, u32 accepts)
{
	struct conntrack_value *known = bpf_map_lookup_elem(&conntrack, &hops->tuple);

	if (!known)
		return 0;
	if (!(known->facts & CONNTRACK_TRANSLATED))
		return FACT_PLAIN;
	/* It is what becomes of a packet that goes the other way, which no packet of this connection is. */
	if (((known->facts & CONNTRACK_SWAPPED) ^ hops->swapped) |
	    is_of_earlier(known, since, accepts))
		return 0;
	if (accepts)
		known->accepted = accepts;
	hops->tuple = known->beyond;
	hops->swapped = order_ends(&hops->tuple);
	return FACT_TRANSLATED;
}

/*
 * since: the connection's first packet is no older; 0: not known. accepts: 1 for an accept. hops are zeroed.
 * Returns FACT_TRANSLATED, and in hops->tuple the ends beyond all translations, the local end as the source; FACT_PLAIN; or 0:
 * not known. A lookup that finds nothing says nothing: the packets may not pass conntrack there, or the entry may be gone.
 */
inline_always u32 look_up_nat(const struct ends *ends, u32 netns, struct hops *hops, mono_ns since,
			      u32 accepts)
{
	u32 zero = 0, translated, found;
	struct conntrack_telemetry *telemetry;
	struct conntrack_layout *layout;
	u32 root;

	if (!constant(CONSTANT_NAT))
		return 0;
	telemetry = bpf_map_lookup_elem(&conntrack_telemetry, &zero);
	/* Most hosts: conntrack tracks nothing. */
	if (!telemetry || !telemetry->registers)
		return 0;
	layout = bpf_map_lookup_elem(&conntrack_layout, &zero);
	if (!layout)
		return 0;
	root = layout->root_netns;
	hops->tuple.saddr_h = ends->saddr_h;
	hops->tuple.saddr_l = ends->saddr_l;
	hops->tuple.daddr_h = ends->daddr_h;
	hops->tuple.daddr_l = ends->daddr_l;
	hops->tuple.sport = ends->sport;
	hops->tuple.dport = ends->dport;
	hops->tuple.metadata = ends->metadata;
	hops->tuple.netns = netns;
	hops->swapped = order_ends(&hops->tuple);
	found = hop(hops, since, accepts);
	translated = found & FACT_TRANSLATED;
	/* A tuple that the own namespace leaves as it is may be translated in the host's. */
	if (netns != root && !stays_inside(&hops->tuple)) {
		hops->tuple.netns = root;
		found = hop(hops, since, accepts);
		translated |= found & FACT_TRANSLATED;
	}
	if (!translated)
		return found;
	if (hops->swapped)
		swap_ends(&hops->tuple);
	return FACT_TRANSLATED;
}

/*
 * Tells of the translation of a connection or a flow. event: the one that was told last; it is used up. It takes the time of
 * `at`, so that the tool has it no later than that event.
 */
inline_always void tell_translation(void *ctx, struct event *event,
				    const struct conntrack_tuple *beyond, mono_ns at)
{
	struct translation *t = (struct translation *)event;

	t->beyond_saddr_h = beyond->saddr_h;
	t->beyond_saddr_l = beyond->saddr_l;
	t->beyond_daddr_h = beyond->daddr_h;
	t->beyond_daddr_l = beyond->daddr_l;
	t->beyond_sport = beyond->sport;
	t->beyond_dport = beyond->dport;
	t->beyond_metadata = beyond->metadata;
	t->timestamp = at - 1;
	t->kind = EVENT_TRANSLATION;
	send_event(ctx, event);
}

#endif
