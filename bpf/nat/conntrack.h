/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entries of the kernel's connection tracking (struct nf_conn) as they are made: of which tuple becomes which. */
#ifndef NAT_CONNTRACK_H
#define NAT_CONNTRACK_H

#include "lib/maps.h"
#include "lib/tuple.h"

/* The low bits of sk_buff._nfct, which say how the packet belongs to the entry: the rest is the entry's address. */
#define SKB_NFCT_FACTS 7ULL

#include "nat/key.h"
#include "nat/learn.h"

/*
 * Entries by what their tuples say. The two ends of a key stand in a fixed order, so that one element holds a plain entry for
 * both of its ends. A translated entry has an element for each of its two tuples; the value is that tuple as it is beyond
 * the translation, its sender as the source.
 * Inserted when conntrack makes an entry, also of connections that no socket of this host has, and at the start by the tool
 * for sockets that are older. Read by the programs, and by the tool where they may not be large. The least recently used go
 * first. Else the tool alone deletes, when conntrack has gone. A new entry with the same tuple overwrites. Before Linux 4.10, which has no such map, the
 * tool makes it a plain hash, and stop_tracking() deletes the elements of an entry that is freed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* the tool makes room if NAT is asked for */
	__type(key, struct conntrack_tuple);
	__type(value, struct conntrack_value);
} conntrack SEC(".maps");

/* Written by the tool, one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct conntrack_layout);
} conntrack_layout SEC(".maps");

/* Added to by the programs, read by them and the tool; one entry, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct conntrack_telemetry);
} conntrack_telemetry SEC(".maps");

/* struct nf_conntrack_tuple, the same since 2.6.20; addresses and ports in network order, an IPv4 address in the first word. */
struct nf_tuple {
	u32 src[4];
	u16 sport;
	u16 l3num;
	u32 dst[4];
	u16 dport;
	u8 protonum;
	u8 dir;
};

/* nf_conn.tuplehash from its first tuple on: two, each behind the two pointers of its list. */
struct nf_tuples {
	struct nf_tuple orig;
	u64 hnnode[2];
	struct nf_tuple reply;
};

inline_always int words_equal(const u32 *a, const u32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* The answer goes back to where the first packet came from, from where it went to. */
inline_always int is_plain_entry(const struct nf_tuples *of)
{
	return of->orig.sport == of->reply.dport && of->orig.dport == of->reply.sport &&
	       words_equal(of->orig.src, of->reply.dst) && words_equal(of->orig.dst, of->reply.src);
}

inline_always void write_source(struct conntrack_tuple *to, const u32 *address, u16 port,
				u32 metadata)
{
	if (metadata & METADATA_IPV6) {
		to->saddr_h = (u64)address[1] << 32 | address[0];
		to->saddr_l = (u64)address[3] << 32 | address[2];
	} else {
		to->saddr_h = 0;
		to->saddr_l = address[0];
	}
	to->sport = from_be16(port);
}

inline_always void write_destination(struct conntrack_tuple *to, const u32 *address, u16 port,
				     u32 metadata)
{
	if (metadata & METADATA_IPV6) {
		to->daddr_h = (u64)address[1] << 32 | address[0];
		to->daddr_l = (u64)address[3] << 32 | address[2];
	} else {
		to->daddr_h = 0;
		to->daddr_l = address[0];
	}
	to->dport = from_be16(port);
}

/* Reads the two tuples. Returns 0 for what is neither TCP nor UDP, and where offsets are not known. */
inline_always int read_tuples(u64 ct, const struct conntrack_layout *layout, struct nf_tuples *of)
{
	u32 at = layout->tuple_orig;

	if (!at)
		return 0;
	read_kernel(*of, ct + at);
	return of->orig.protonum == IPPROTO_TCP || of->orig.protonum == IPPROTO_UDP;
}

/* The key's part that both tuples have. */
inline_always void begin_key(u64 ct, const struct conntrack_layout *layout,
			     const struct nf_tuples *of, struct conntrack_tuple *key)
{
	u32 net = layout->net;

	key->metadata = (of->orig.protonum == IPPROTO_TCP ? METADATA_TCP : 0) |
			(of->orig.l3num == AF_INET6 ? METADATA_IPV6 : 0);
	key->netns = net ? net_ns_inum(word_at(ct + net)) : 0;
}

inline_always void count_register(void)
{
	u32 zero = 0;
	struct conntrack_telemetry *t = bpf_map_lookup_elem(&conntrack_telemetry, &zero);

	if (t)
		__sync_fetch_and_add(&t->registers, 1);
}

inline_always void orig_key(const struct nf_tuples *of, struct conntrack_tuple *key)
{
	write_source(key, of->orig.src, of->orig.sport, key->metadata);
	write_destination(key, of->orig.dst, of->orig.dport, key->metadata);
}

inline_always void reply_key(const struct nf_tuples *of, struct conntrack_tuple *key)
{
	write_source(key, of->reply.src, of->reply.sport, key->metadata);
	write_destination(key, of->reply.dst, of->reply.dport, key->metadata);
}

/* A plain entry, under the key of its ends in order. */
inline_always void store_plain(u64 ct, const struct conntrack_layout *layout,
			       const struct conntrack_tuple *key,
			       const struct conntrack_value *value)
{
	struct conntrack_value *known;

	/* Another zone may have the same tuple translated, and would be overwritten (OVN commits to two zones). */
	if (layout->zone && (u16)word_at(ct + layout->zone))
		return;
	if (layout->zone_unknown) {
		known = bpf_map_lookup_elem(&conntrack, key);
		if (known && known->facts & CONNTRACK_TRANSLATED) {
			bpf_map_delete_elem(&conntrack, key);
			return;
		}
	}
	bpf_map_update_elem(&conntrack, key, value, BPF_ANY);
	count_register();
}

/* A new entry of conntrack, whose tuples are final: NAT has been done by now. of_entry: see conntrack_layout.skb_nfct. */
inline_always void track(u64 of_entry)
{
	u32 zero = 0;
	struct nf_tuples of = {};
	struct conntrack_tuple key = {};
	struct conntrack_value value = {};
	struct conntrack_layout *layout = bpf_map_lookup_elem(&conntrack_layout, &zero);
	u64 ct = of_entry;

	if (!layout)
		return;
	if (!layout->tuple_orig) {
		copy_entry(of_entry, layout);
		return;
	}
	if (layout->skb_nfct)
		ct = word_at(of_entry + layout->skb_nfct) & ~SKB_NFCT_FACTS;
	if (!read_tuples(ct, layout, &of))
		return;
	begin_key(ct, layout, &of, &key);
	value.made_at = bpf_ktime_get_ns();
	if (is_plain_entry(&of)) {
		orig_key(&of, &key);
		order_ends(&key);
		store_plain(ct, layout, &key, &value);
		return;
	}
	value.beyond.netns = key.netns;
	value.beyond.metadata = key.metadata;
	/* The sender of orig is known to the other side as the destination of the reply. */
	write_source(&value.beyond, of.reply.dst, of.reply.dport, key.metadata);
	write_destination(&value.beyond, of.reply.src, of.reply.sport, key.metadata);
	orig_key(&of, &key);
	value.facts = CONNTRACK_TRANSLATED | order_ends(&key);
	bpf_map_update_elem(&conntrack, &key, &value, BPF_ANY);
	write_source(&value.beyond, of.orig.dst, of.orig.dport, key.metadata);
	write_destination(&value.beyond, of.orig.src, of.orig.sport, key.metadata);
	reply_key(&of, &key);
	value.facts = CONNTRACK_TRANSLATED | order_ends(&key);
	bpf_map_update_elem(&conntrack, &key, &value, BPF_ANY);
	count_register();
}

/* An entry is freed. Attached only where `conntrack` is no LRU map. */
inline_always void stop_tracking(u64 ct)
{
	u32 zero = 0;
	struct nf_tuples of = {};
	struct conntrack_tuple key = {};
	struct conntrack_layout *layout = bpf_map_lookup_elem(&conntrack_layout, &zero);

	if (!layout || !read_tuples(ct, layout, &of))
		return;
	begin_key(ct, layout, &of, &key);
	orig_key(&of, &key);
	order_ends(&key);
	bpf_map_delete_elem(&conntrack, &key);
	if (is_plain_entry(&of))
		return;
	reply_key(&of, &key);
	order_ends(&key);
	bpf_map_delete_elem(&conntrack, &key);
}

#endif
