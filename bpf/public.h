/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Structs and enums that only the public API has (src/public): no program of ours fills them. Other tracers of this family
 * do, so their names, members and sizes stay. src/record/layout.gen.ts is generated from this file's BTF. Of the same
 * family are struct conntrack_tuple and conntrack_telemetry, which programs of ours fill: see record.h.
 */
#ifndef PUBLIC_H
#define PUBLIC_H

#include "record.h"

/* conn_tuple.metadata & 1 */
enum conn_type {
	CONN_TYPE_UDP = 0,
	CONN_TYPE_TCP = 1,
};

/* conn_tuple.metadata & 2 */
enum conn_family {
	CONN_FAMILY_V4 = 0,
	CONN_FAMILY_V6 = 2,
};

/*
 * Addresses and ports as in struct ends. pid is the tgid of the process that called connect or accept, 0 while it is not
 * known.
 */
struct conn_tuple {
	u64 saddr_h;
	u64 saddr_l;
	u64 daddr_h;
	u64 daddr_l;
	u16 sport;
	u16 dport;
	u32 netns;
	u32 pid;
	u32 metadata;
};

struct tcp_stats {
	u32 rtt;     /* us: srtt_us >> 3 */
	u32 rtt_var; /* us: mdev_us >> 2 */
	u32 retransmits;
	u16 state_transitions; /* bit n: TCP state n was entered */
	u16 failure_reason;    /* errno, 0 = none */
};

struct protocol_stack {
	u8 api;
	u8 application;
	u8 encryption;
	u8 flags;
};

struct conn_stats {
	u64 sent_bytes;
	u64 recv_bytes;
	u32 sent_packets;
	u32 recv_packets;
	mono_ns timestamp;
	u64 duration; /* ns */
	u32 cookie;
	struct protocol_stack protocol_stack;
	u8 flags;     /* enum conn_flags */
	u8 direction; /* enum conn_direction */
	u8 _pad[6];
};

struct conn {
	struct conn_tuple tup;
	struct tcp_stats tcp_stats;
	struct conn_stats conn_stats;
};

enum batch_size {
	BATCH_ROOM = 4,
};

/* Closed connections in the order in which one CPU closed them. */
struct batch {
	struct conn c0;
	struct conn c1;
	struct conn c2;
	struct conn c3;
	u64 id; /* of this CPU, grows by one per batch */
	u32 cpu;
	u16 len; /* 0..BATCH_ROOM */
	u8 _pad[2];
};

struct port_binding {
	u32 netns;
	u16 port; /* host order */
	u8 _pad[2];
};

struct bind_syscall_args {
	u64 addr; /* of a struct sockaddr */
	u64 sk;
};

struct skp_conn {
	u64 sk;
	struct conn_tuple tup;
};

struct pid_ts {
	u64 pid_tgid;
	mono_ns timestamp;
};

struct pid_fd {
	u32 pid;
	u32 fd;
};

struct udp_recv_sock {
	u64 sk;
	u64 msg;
};

struct protocol_stack_wrapper {
	struct protocol_stack stack;
	u8 _pad[4];
	mono_ns updated;
};

/* Index of a classifier in its program array. */
enum classification_program {
	CLASSIFICATION_QUEUES = 2,
	CLASSIFICATION_DBS = 3,
	CLASSIFICATION_GRPC = 5,
};

/* Counters of other tracers of this family, in their order. A counter of something that cannot happen here stays 0: see
 * src/state/telemetry.ts. */
struct telemetry {
	u64 tcp_failed_connect;
	u64 tcp_sent_miscounts;
	u64 unbatched_tcp_close;
	u64 unbatched_udp_close;
	u64 udp_sends_processed;
	u64 udp_sends_missed;
	u64 udp_dropped_conns;
	u64 double_flush_attempts_close;
	u64 double_flush_attempts_done;
	u64 unsupported_tcp_failures;
	u64 tcp_done_missing_pid;
	u64 tcp_connect_failed_tuple;
	u64 tcp_done_failed_tuple;
	u64 tcp_finish_connect_failed_tuple;
	u64 tcp_close_target_failures;
	u64 tcp_done_connection_flush;
	u64 tcp_close_connection_flush;
};

SIZE_IS(struct conn_tuple, 48);
SIZE_IS(struct tcp_stats, 16);
SIZE_IS(struct conn_stats, 56);
SIZE_IS(struct conn, 120);
SIZE_IS(struct batch, 496);
SIZE_IS(struct port_binding, 8);
SIZE_IS(struct bind_syscall_args, 16);
SIZE_IS(struct skp_conn, 56);
SIZE_IS(struct pid_ts, 16);
SIZE_IS(struct pid_fd, 8);
SIZE_IS(struct udp_recv_sock, 16);
SIZE_IS(struct protocol_stack_wrapper, 16);
SIZE_IS(struct telemetry, 17 * 8);

#endif
