/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire contract: every struct and enum that both the kernel programs and the TypeScript side see.
 * src/record/layout.gen.ts is generated from this file's BTF. Fixed-width members, explicit padding.
 */
#ifndef RECORD_H
#define RECORD_H

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

typedef u64 mono_ns; /* nanoseconds of CLOCK_MONOTONIC */
/* The same in units of 2^TICK_BITS ns, about 17 ms; begins anew after 834 days. */
typedef u32 mono_ticks;

enum tick {
	TICK_BITS = 24,
};

enum tcp_state {
	TCP_STATE_ESTABLISHED = 1,
	TCP_STATE_SYN_SENT = 2,
	TCP_STATE_SYN_RECV = 3,
	TCP_STATE_FIN_WAIT1 = 4,
	TCP_STATE_FIN_WAIT2 = 5,
	TCP_STATE_TIME_WAIT = 6,
	TCP_STATE_CLOSE = 7,
	TCP_STATE_CLOSE_WAIT = 8,
	TCP_STATE_LAST_ACK = 9,
	TCP_STATE_LISTEN = 10,
	TCP_STATE_CLOSING = 11,
	TCP_STATE_NEW_SYN_RECV = 12,
};

enum conn_direction {
	DIRECTION_UNKNOWN = 0,
	DIRECTION_INCOMING = 1,
	DIRECTION_OUTGOING = 2,
};

/* ends.metadata, a bit set: bit 0 the type, bit 1 the family */
enum conn_metadata {
	METADATA_TCP = 1,
	METADATA_IPV6 = 2,
};

/* event.legs: who has sent; ASSURED from the first leg on after both have */
enum conn_flags {
	CONN_L_INIT = 1,
	CONN_R_INIT = 2,
	CONN_ASSURED = 4,
};

/* event.failure_reason is an errno of the kernel; these are the usual ones */
enum failure_reason {
	FAILURE_NETWORK_UNREACHABLE = 101,
	FAILURE_RESET = 104,
	FAILURE_TIMED_OUT = 110,
	FAILURE_REFUSED = 111,
	FAILURE_HOST_UNREACHABLE = 113,
	/* The application gave up while its SYN was unanswered. */
	FAILURE_CANCELLED = 125,
};

enum event_kind {
	EVENT_CONNECT = 1,
	EVENT_ACCEPT = 2,
	EVENT_CLOSE = 3,
	/* The handshake of an incoming connection is done; nobody has accepted it yet. Tracepoint mode only. */
	EVENT_PASSIVE = 4,
	/* An attempt to connect has ended without a connection: failure_reason says why. */
	EVENT_FAIL = 5,
	/* A connection that was there before the trace. */
	EVENT_OPEN = 6,
	/* The counters of an open connection at this moment; asked for by the tool. */
	EVENT_SAMPLE = 7,
	/* The first datagram of a UDP flow. */
	EVENT_UDP_OPEN = 8,
	/* A UDP socket is gone, with all its flows. Holds the totals of the one that was its first: see udp_socks in maps.h. */
	EVENT_UDP_CLOSE = 9,
	/* The counts so far of a UDP flow that goes on. The tool makes this event from the maps. */
	EVENT_UDP_SAMPLE = 10,
	/* A sock has entered a sockmap. Only sk and timestamp are filled. */
	EVENT_SOCKMAP = 11,
	/* listen(2) has made a sock a listener: owner, netns and the local end are filled. By kprobes only with protocols; before 4.17 the port may be 0. */
	EVENT_LISTEN = 12,
	/* How the ends of a connection or a flow are translated: a struct translation. */
	EVENT_TRANSLATION = 13,
	/* The first bytes of a segment of TCP: a struct payload. */
	EVENT_PAYLOAD = 14,
	/* Many segments of TCP have come: see protocols/lease.h. Only the timestamp is filled. */
	EVENT_SEGMENTS = 15,
	/* A datagram of a UDP flow has drawn an error: failure_reason says which. The flow as it is goes on. */
	EVENT_UDP_FAIL = 16,
	/* The first bytes of a datagram of UDP: a struct datagram_look. */
	EVENT_DATAGRAM = 17,
};

/* event.flags and live.flags: what has happened to the connection, and what is known of it */
enum conn_fact {
	FACT_ESTABLISHED = 1,
	FACT_FIN_SENT = 2,
	FACT_ACCEPTED = 4,
	/* Opened before the trace: direction, owner, duration and the SYN's share of the counters are unknown. */
	FACT_UNSEEN_OPEN = 8,
	/* The totals were taken when the state became CLOSE; a disconnect may wipe the counters after that. */
	FACT_TOTALS_TAKEN = 16,
	/* Its end was seen only when the sock was destroyed: whether a FIN was sent is unknown. */
	FACT_UNSEEN_CLOSE = 32,
	/* The counters kept changing while they were read: bytes are unknown. */
	FACT_COUNTERS_UNSTABLE = 64,
	/* Outgoing without a handshake: TCP_REPAIR put the connection in place, no SYN was ever acknowledged. */
	FACT_NO_SYN = 128,
	/* UDP: the first flow of its sock; it is kept in udp_socks. */
	FACT_FIRST_FLOW = 256,
	/* The totals were not read in time. UDP: the event that had them was lost, as the tool found. */
	FACT_TOTALS_LOST = 512,
	/* Ended by an error: failure_reason says which, 0 when that is unknown. */
	FACT_FAILED = 1024,
	/* Certainly not asked for: see filter.h. The tool never sees it. */
	FACT_UNWANTED = 2048,
	/* Its process is the command of `trace -- CMD`, or one that this has led to. */
	FACT_FOLLOWED = 4096,
	/* UDP: a program chose the local port with bind(2); without it the kernel did, or it is not known. */
	FACT_BOUND = 8192,
	/* It has been in a sockmap: bytes are unknown. Set by the tool, with tracepoints by the kernel side. */
	FACT_REDIRECTED = 16384,
	/*
	 * No owner was known before the close. The process that closed it stands for it: it may be a thread of the kernel. Without
	 * a process: the tool itself, in a look at the descriptors of others.
	 */
	FACT_OWNED_BY_CLOSER = 32768,
	/* UDP: of a datagram nobody knows how much of it the program took: received bytes are unknown. */
	FACT_RECEIVED_UNKNOWN = 65536,
	/* NAT: it is known to be translated nowhere on this host. Without this fact and the next it is not known. */
	FACT_PLAIN = 131072,
	/* NAT: it is translated, and an EVENT_TRANSLATION says how. */
	FACT_TRANSLATED = 262144,
	/* NAT, of a UDP flow: an answer has come, so conntrack has been looked up. */
	FACT_NAT_ASKED = 524288,
	/* Its owner opened it for another process, if it is a thread of the kernel: a further subflow of MPTCP. */
	FACT_OPENED_FOR_OTHER = 1048576,
	/* Of EVENT_ACCEPT: ended_at tells since when the connection had waited for its accept. */
	FACT_WAIT_KNOWN = 2097152,
	/* Set by the tool: endpoint_speaks is what the connection itself was seen to speak. */
	FACT_SEEN = 4194304,
};

/* The filters in CONSTANT_FILTERS, a bit set; the three bits of ports are also the values of filter_ports. */
enum filter {
	FILTER_PIDS = 1,
	FILTER_PORTS = 2, /* at either end */
	FILTER_LOCAL_PORTS = 4,
	FILTER_REMOTE_PORTS = 8,
	FILTER_IPV4 = 16, /* nothing else */
	FILTER_IPV6 = 32,
	FILTER_NO_TCP = 64,    /* without UDP its programs are not attached */
	FILTER_FOLLOWED = 128, /* of processes that are followed: see follow.h */
};

/* How many entries udp_receives has where they are needed: a power of two. */
enum receive_places {
	RECEIVE_PLACES = 16384,
};

/*
 * Both ends of a connection or a flow. Addresses in network order; an IPv4 address sits in the low 32 bits of the low word,
 * the rest is 0. Ports in host order. saddr and sport are the local end.
 */
struct ends {
	u64 saddr_h;
	u64 saddr_l;
	u64 daddr_h;
	u64 daddr_l;
	u16 sport;
	u16 dport;
	u32 metadata;
};

/*
 * The process behind a connection, as it was at one moment. pid 0: no process is known, and the rest means nothing.
 * Copied as one, so that no copy can lack a member. To add one that the kernel side tells: a line here, a line in
 * own_by_current() (process/owner.h), a row in src/members/attributes.ts.
 */
struct owner {
	u32 pid; /* its tgid, in the initial pid namespace */
	u32 uid; /* its real user id, in the initial user namespace */
	mono_ticks owned_at;
	u32 listener_ino; /* of EVENT_PASSIVE and EVENT_LISTEN: the inode of the listener's socket, 0: not known */
	u64 cgroup_id; /* its control group in the cgroup2 hierarchy; 0: this kernel does not tell (before 4.18) */
	u64 program; /* the program it runs, a key of the map programs; 0: nobody asked for command lines, or not known */
	char comm[15]; /* of the thread; its end by NUL may be of_thread */
	/*
	 * 0: the process has the same name; 1: the thread is not the first of its process, whose name differs or is not known; more:
	 * set by the tool.
	 */
	u8 of_thread;
};

/*
 * One thing that happened to one connection or flow. The public records (public.h: struct conn and its parts) have sizes that
 * stay, 32 bits for packets, one `duration` and no room for an owner: so an event has members of its own.
 */
struct event {
	u64 sk; /* address of the struct sock: with the cookie, the connection's identity */
	struct ends ends;
	struct owner owner;
	u64 sent_bytes;
	u64 recv_bytes;
	u64 sent_packets; /* TCP: segments, modulo 2^32; UDP: datagrams */
	u64 recv_packets;
	mono_ns timestamp;  /* when this event happened */
	mono_ns started_at; /* the connect or accept; UDP: the first datagram */
	/* The close or failure, 0 until then, but for FACT_WAIT_KNOWN; UDP: the last datagram so far. */
	mono_ns ended_at;
	u32 netns;
	u32 cookie;  /* UDP: of the sock, so with sk it says which socket the flow belongs to */
	u32 flags;   /* enum conn_fact */
	u32 rtt;     /* us: srtt_us >> 3; this and the next two: TCP only */
	u32 rtt_var; /* us: mdev_us >> 2 */
	u32 retransmits;
	u16 state_transitions; /* bit n: TCP state n was entered */
	u16 failure_reason;    /* errno, 0 = none */
	u8 kind;	       /* enum event_kind */
	u8 direction;	       /* enum conn_direction */
	u8 legs; /* UDP: enum conn_flags; TCP: set by the tool: the number of its translation; 0: none */
	u8 endpoint_speaks; /* set by the tool: the number of the protocols that its server's endpoint is known for, but see FACT_SEEN; 0: none */
};

/*
 * NAT: the ends of one connection or flow as the socket has them, and as they are beyond the translation. Travels as a struct
 * event: the members that both have lie where they lie there, the ports where an owner begins, the addresses at the counts.
 */
struct translation {
	u64 sk;
	struct ends ends;
	u16 beyond_sport; /* this and the next: as in ends; the local end is the source here too */
	u16 beyond_dport;
	u32 beyond_metadata;
	u64 _pad_owner[sizeof(struct owner) / 8 - 1];
	u64 beyond_saddr_h;
	u64 beyond_saddr_l;
	u64 beyond_daddr_h;
	u64 beyond_daddr_l;
	mono_ns timestamp;
	u64 _pad_times[2];
	u32 netns;
	u32 cookie;
	u32 flags;
	u32 _pad_rtt[3];
	u16 _pad_states[2];
	u8 kind; /* EVENT_TRANSLATION */
	u8 _pad[3];
};

/* Bytes. No more of any segment leaves the kernel. */
enum payload_size {
	PAYLOAD_FIRST = 48,  /* of a segment */
	PAYLOAD_BYTES = 112, /* in a record */
	/* Of a TLS handshake, and of HTTP/2, so many more records: the name of the server, or the content type, stands further on. */
	PAYLOAD_MORE = 4,
};

/* The gates of protocols/gate.h. */
enum gate_size {
	GATE_BITS = 16,		/* of the hash, so there are 2^GATE_BITS gates */
	GATE_HASH = 0x61c88647, /* a sock's tag times this: the high bits are the hash */
	/* Segments with payload that are looked at: those that an end receives, and those that it sends. */
	LOOKS = 8,
	LOOKS_SENT = 2,
	/* Segments in all, those without payload too, that a sock may receive before its gate closes. */
	LOOKS_TRIED = 64,
	/*
	 * Ends of connections that begin to be looked at within 2^SPAN_BITS ns, about a quarter of a second. A look makes records
	 * in the ring, and its connection's events take the long way to a line. LOOKED_AT: on the whole host. Of one end of one
	 * server all are looked at while they are no more than LOOKED_AT_QUIET; beyond it as many as its verdict says. While the tool
	 * has given none it is behind, most of all in its first second, and more looks would make it later.
	 */
	SPAN_BITS = 28,
	LOOKED_AT = 384,
	LOOKED_AT_QUIET = 64,
	LOOKED_AT_NEW = 16,
	LOOKED_AT_ALIKE = 4,
	LOOKED_AT_MIXED = 64,
	ENDPOINT_BITS = 12, /* of an endpoint's hash: there are 2^ENDPOINT_BITS allowances */
	/* Records of payload that may wait for the tool: the ring is there for events. */
	LOOKS_WAITING = 2048,
	/* Each time that 2^SEGMENTS_BITS segments have come, the tool is told. */
	SEGMENTS_BITS = 11,
};

/* The lease of the program that sees segments: see protocols/lease.h. */
struct lease {
	u32 opened;   /* gates that were opened; two at once may count as one */
	u32 segments; /* that the program has seen, in the same way; modulo 2^32 */
};

/* The ends of connections that have begun to send within a span of time, of one end of one server, or of the host. */
struct allowance {
	u32 endpoint; /* 0: the host */
	u32 span;
	u32 begun;
	u32 before;  /* in the span before */
	u32 verdict; /* enum verdict */
};

/* The tool's findings about an endpoint's last connections: see src/trace/protocols/endpoints.ts. */
enum verdict {
	VERDICT_NONE,  /* too few have ended */
	VERDICT_ALIKE, /* all speak the same, or nothing that is known: a few looks will do */
	VERDICT_MIXED,
};

/* Where payload lies: offsets in struct sk_buff and struct skb_shared_info, and from a struct page to its address. */
struct payload_layout {
	u64 page_base;	/* address of a page: its struct page << page_shift, plus this */
	u32 page_shift; /* 0: not known, so no payload in pages is read */
	u32 skb_len;	/* data_len follows */
	u32 skb_tail;	/* end follows; 0: nothing is known */
	u32 skb_head;	/* data follows */
	u32 nr_frags;	/* this and the next in skb_shared_info */
	u32 frags;
	u32 len_first; /* 1: page, length, offset in a frag; 0: page, offset, length */
	u32 rtx_queue; /* tcp_rtx_queue in struct sock; 0: not known, so what is sent is not looked at */
	u32 write_queue; /* before 4.15 in its place: the head of sk_write_queue; 0 from 4.15 on */
	u32 receive_queue; /* the head of sk_receive_queue; only before 4.17, as the next */
	u32 skb_seq; /* in struct sk_buff: sequence numbers of the first byte and of the one behind the last */
	u32 unlimited; /* 1: the tool checks itself, and its connection must not be left out for others */
};

/*
 * The first bytes of a segment, by which the protocol that is spoken is recognised: see protocols/look.h. Travels as a struct
 * event, as struct translation does.
 */
struct payload {
	u64 sk;
	u8 bytes[PAYLOAD_BYTES];
	u8 _pad_owner[sizeof(struct ends) + sizeof(struct owner) + 32 - PAYLOAD_BYTES];
	mono_ns timestamp;
	u64 _pad_time;
	u32 endpoint; /* a hash of the server's end, and of which of the two ends this is; 0: not known */
	u16 _pad_ports;
	u16 dport;  /* of the connection, as in struct ends */
	u32 netns;  /* 0: not filled */
	u32 cookie; /* of the sock's connection; 0: it is not known yet, an accept is to come */
	u32 flags;  /* 0 */
	u32 stream; /* sequence number of the first byte that it receives: a sock's next connection has another one */
	u32 offset;   /* of the first byte, from the beginning of the stream; modulo 2^32 */
	u32 len;      /* payload of the whole segment, from the first byte on */
	u16 got;      /* so many bytes are filled; the others do not count */
	u16 sent;     /* 1: this end sends the segment; 0: it receives it */
	u8 kind;      /* EVENT_PAYLOAD */
	u8 direction; /* enum conn_direction, of the connection */
	u8 _pad[2];
};

/* Of a flow of UDP: see protocols/datagram.h. */
enum datagram_size {
	DATAGRAM_BYTES = 72, /* in a record */
	/* Of a question of DNS so many more records: its name has up to 255 bytes. */
	DATAGRAM_MORE = 3,
	/* Of an answer, only where names are asked for: together as much as an answer has that is not of EDNS, 512 bytes. */
	ANSWER_MORE = 7,
	DNS_PORT = 53,
	/* Datagrams of each direction that are looked at. */
	FLOW_LOOKS = 2,
};

/* The tool's word to the programs that see datagrams. */
enum datagram_looking {
	DATAGRAMS_PASSED_OVER, /* until the tool has checked itself, and where it is refused */
	DATAGRAMS_LOOKED_AT,
	/* While the tool checks itself: its flows must not be left out for others. */
	DATAGRAMS_UNLIMITED,
};

/* Where the first bytes of datagrams can be read. */
enum datagram_way {
	DATAGRAMS_IN_SKB = 1,
	/* For tracepoints, which see no sk_buff, also in the buffer of the system call. */
	DATAGRAMS_IN_CALL = 2,
};

/* The first bytes of a datagram of a flow, which sk, ends and cookie tell. Travels as a struct event, as struct translation does. */
struct datagram_look {
	u64 sk;
	struct ends ends;
	u8 bytes[DATAGRAM_BYTES];
	u8 _pad_owner[sizeof(struct owner) + 32 - DATAGRAM_BYTES];
	mono_ns timestamp;
	u64 _pad_time;
	u32 endpoint; /* a hash of the server's end, and of which of the two ends this is */
	u32 offset;   /* of the first byte */
	u32 netns;
	u32 cookie;
	u32 flags; /* 0 */
	u32 len;   /* of the whole datagram, from the first byte on */
	u32 _pad_rtt[2];
	u16 got;      /* so many bytes are filled; the others do not count */
	u16 sent;     /* 1: this end sends the datagram; 0: it receives it */
	u8 kind;      /* EVENT_DATAGRAM */
	u8 direction; /* enum conn_direction, of the flow */
	u8 _pad[2];
};

/* A key of the map conntrack. Addresses and ports as in struct ends. Other tracers of this family have the same struct. */
struct conntrack_tuple {
	u64 saddr_h;
	u64 saddr_l;
	u64 daddr_h;
	u64 daddr_l;
	u16 sport;
	u16 dport;
	u32 netns;
	u32 metadata;
	u8 _pad[4];
};

/* conntrack_value.facts, a bit set; 0: a plain entry, whose beyond means nothing */
enum conntrack_fact {
	CONNTRACK_TRANSLATED = 1,
	/* The key's ends stand the other way round than in the tuple that is translated: see order_ends() in nat/conntrack.h. */
	CONNTRACK_SWAPPED = 2,
};

/* The order of a key's ends: see rank() in nat/conntrack.h. Odd numbers; a port lies above all of an IPv4 address. */
enum rank_factor {
	RANK_HIGH = 0x1e3779b9,
	RANK_PORT = 0x42b2ae3d,
	RANK_PORT_SHIFT = 16,
};

struct conntrack_value {
	struct conntrack_tuple beyond;
	u32 facts;	 /* enum conntrack_fact */
	u32 accepted;	 /* 1: an accept has been told with it */
	mono_ns made_at; /* 0: before the probe */
};

/* Shared with other tracers of this family too. */
struct conntrack_telemetry {
	u64 registers; /* entries of conntrack that were stored */
};

/* Offsets in struct nf_conn; conntrack can come after the start, so they are no constants. */
struct conntrack_layout {
	u32 tuple_orig; /* of the tuple in the first struct nf_conntrack_tuple_hash; 0: nothing is known */
	u32 net;	/* ct_net; 0: a kernel without network namespaces */
	u32 zone;	/* zone.id; 0: a kernel without zones */
	u32 root_netns; /* no offset: the inode of the host's own network namespace */
	u32 skb_nfct; /* of _nfct in struct sk_buff, where the probed function takes that; 0: it takes the entry itself */
	u32 through_skb;  /* no offset, nor is the next: 1 where it takes a sk_buff */
	u32 zone_unknown; /* 1: entries may have a zone, but where is not known */
};

/* Of conntrack_copy; a power of two is the first. */
enum conntrack_copy_size {
	CONNTRACK_COPIES = 32,
	CONNTRACK_WORDS = 32, /* 256 bytes, behind which the next object begins on most kernels */
};

/* The beginning of a struct nf_conn whose layout the tool is to learn. */
struct conntrack_copy {
	u8 entry[CONNTRACK_WORDS * 8];
	/* Behind each word of the entry, four bytes: ns.inum, if the word is the address of a struct net. */
	u8 inums[CONNTRACK_WORDS * 4];
};

#define BATCH_EVENTS 4

/* Events of one CPU on their way to the tool: see batch.h. */
struct event_batch {
	struct event e0;
	struct event e1;
	struct event e2;
	struct event e3;
	volatile u32 len;  /* 0..BATCH_EVENTS */
	volatile u32 busy; /* 1 while something is added or taken */
	u32 _pad[5];
	/* 1 while the tool sleeps, which an event wakes that goes to the ring. The tool writes it; two CPUs share no cache line. */
	volatile u32 asleep;
};

enum sampling {
	SAMPLES = 64, /* that a run reads */
	SAMPLES_OF_PROBE =
		2, /* that a probe reads, where no program can be run on request: each costs the verifier of 4.4 a lot */
	/* Option name by which the tool asks for the latter. No option anybody else could mean. */
	ASK_SAMPLES = 0x6f70656e,
};

enum sample_state {
	/* The connection has ended: its close is on its way. */
	SAMPLE_GONE,
	SAMPLE_TAKEN,
	/* The counters kept changing while they were read. */
	SAMPLE_UNSTABLE,
	/* Nothing has moved since it was taken: it holds what it held. */
	SAMPLE_SAME,
};

/* The counts so far of an open connection. The tool writes sk and cookie, a program the rest, again and again. */
struct sample {
	u64 sk;
	u64 sent_bytes;
	u64 recv_bytes;
	mono_ns timestamp;
	u32 cookie;
	u32 state; /* enum sample_state */
	u32 sent_packets;
	u32 recv_packets;
	u32 rtt;
	u32 rtt_var;
	u32 retransmits;
	u32 direction; /* enum conn_direction; where it is unknown, sent_bytes may hold a SYN */
	/* As they were before the rest was read. */
	u32 write_seq;
	u32 copied_seq;
};

/* A process that holds a listener, or a connection that came in lately; see tcp/holders.h. */
struct holder {
	u32 ino; /* of the socket; 0: the record tells nothing */
	u32 tgid;
	u32 tid; /* the thread whose table of descriptors has it; of one that threads share, the first's */
	u32 netns;
	u32 listens_at; /* its port; 0: no listener */
};

/* A TCP or UDP socket that a process holds, as the walk over the files of all tasks finds it: see tcp/held.h. */
struct held_sock {
	u64 ino;
	u32 tgid;
	u32 tid; /* the thread whose table of descriptors has it; of one that threads share, the first's */
	u16 family;
	u16 protocol;
	u16 state; /* enum tcp_state, of TCP */
	u16 port;  /* the local one, while the kernel has the socket in its tables */
	/* kind EVENT_OPEN: a connection that is to be told. 0: only sk, netns and ends are filled. */
	struct event event;
};

enum sock_copy_size {
	/* More than any kernel's struct udp_sock up to `pending`, or struct tcp_sock up to its list heads, has had. */
	SOCK_COPY_BYTES = 2048,
	/* The first is the tool's, the others are for socks that come in. */
	SOCK_COPIES = 9,
};

/* The beginning of a struct sock; see lib/copy.h. */
struct sock_copy {
	u64 sk;
	u64 listener; /* the sock through which it came in; 0: not known */
	u64 port;     /* of the listener */
	u8 bytes[SOCK_COPY_BYTES];
};

/* An event that found no room in its ring, by what makes it one of its kind. */
struct spill_key {
	u64 sk;
	u32 cookie;
	u16 kind;
	u16 cpu;
};

/* How the kernel numbers inodes: see tcp/younger.h. */
enum inode_batch {
	INODE_BATCH_BITS = 10, /* LAST_INO_BATCH of fs/inode.c */
	/* So many batches after the trace began are told from those before it; the numbers have 32 bits and begin anew. */
	INODE_BATCHES_TOLD = 1 << 18,
};

/* One slot per cause for which an event or a connection can be lost. To add one, add its text in src/trace/health/losses.ts. */
enum loss {
	LOSS_EVENT_RING_FULL,	  /* bpf_perf_event_output failed, and so did the spill */
	LOSS_CONNECTION_MAP_FULL, /* a connection could not be inserted */
	LOSS_MAP_BUSY,		  /* an ended connection could not be deleted, so it was not told */
	LOSS_TUPLE_UNREADABLE,	  /* a sock whose addresses could not be read */
	LOSS_COUNTERS_UNSTABLE,	  /* the counters kept changing while they were read */
	LOSS_FLOW_MAP_FULL,	  /* a datagram of a UDP flow that could not be inserted */
	LOSS_FAILURE_UNKNOWN,	  /* a failure whose errno could not be read */
	LOSS_ATTEMPT_MAP_FULL,	  /* a connect(2) could not be followed to its return */
	LOSS_PROCESS_MAP_FULL,	  /* a process that could not be followed */
	LOSS_BEGIN_MISSED, /* a close of a connection that no program has seen begin: tcp/younger.h */
	LOSS_MAX,
};

/* Counters that stand behind the losses in the same map and count no loss of an event. */
enum counter {
	COUNTER_EVENT_SPILLED =
		LOSS_MAX,	  /* the ring was full, and the tool found the event in the spill */
	COUNTER_PROGRAM_MAP_FULL, /* a command line that was not kept */
	COUNTER_STATE_RESCUED, /* a program was busy, and its backup saw the change of state, or the end of the sock */
	COUNTER_LENGTH_RESCUED, /* the same of a length that was sent or received */
	COUNTER_BIRTH_RESCUED,	/* the same of a process that was born */
	COUNTER_GATE_TAKEN, /* a connection is not looked at any more, for another one's sake: protocols/gate.h */
	COUNTER_LOOK_SPARED, /* the end of a connection is not looked at: too many began at that time */
	COUNTER_LOOK_LOST,     /* a record of payload that found no room in the ring */
	COUNTER_SEGMENTS_LOST, /* a record of EVENT_SEGMENTS that found no room: nobody misses it */
	COUNTER_LOOK_WAITING, /* a record of payload that was not sent, as so many wait for the tool */
	COUNTER_FLOW_SPARED, /* a flow is not looked at: too many began at that time */
	COUNTER_DATAGRAM_LOST, /* a record of a datagram's bytes that was not sent: so many wait, or the ring was full */
	COUNTER_MAX,
};

/*
 * The kernel's struct fields the programs read, by their own names. Each is a constant patched into the
 * programs before they are loaded (lib/offsets.h). To add one: a line here, an accessor in lib/offsets.h, a row in
 * src/guess/fields.ts.
 */
enum offset {
	OFFSET_SKC_DADDR,
	OFFSET_SKC_RCV_SADDR,
	OFFSET_SKC_DPORT,
	OFFSET_SKC_NUM,
	OFFSET_SKC_FAMILY,
	OFFSET_SKC_STATE,
	OFFSET_SKC_NET,
	OFFSET_NET_NS_INUM,
	OFFSET_SKC_V6_DADDR,
	OFFSET_SKC_V6_RCV_SADDR,
	OFFSET_INET_SPORT,
	OFFSET_SK_FLAGS,
	OFFSET_SK_ERR,
	OFFSET_SK_PROTOCOL,
	OFFSET_SK_TYPE,
	OFFSET_SK_SOCKET,
	OFFSET_SK_USERLOCKS,
	OFFSET_SRTT_US,
	OFFSET_MDEV_US,
	OFFSET_TOTAL_RETRANS,
	OFFSET_BYTES_ACKED,
	OFFSET_BYTES_RECEIVED,
	OFFSET_BYTES_SENT,
	OFFSET_SEGS_IN,
	OFFSET_SEGS_OUT,
	OFFSET_SND_UNA,
	OFFSET_WRITE_SEQ,
	OFFSET_RCV_NXT,
	OFFSET_COPIED_SEQ,
	/* 0 where it is not known, or has another clock than the programs: accepts have no time of waiting then. */
	OFFSET_RCVQ_SPACE_TIME,
	OFFSET_SOCKET_INO,
	OFFSET_SKB_SK,
	OFFSET_SKB_HEAD,
	OFFSET_SKB_TRANSPORT_HEADER,
	OFFSET_SKB_NETWORK_HEADER,
	/* In struct sk_buff: how far from head skb_shared_info lies, and the reference count. */
	OFFSET_SKB_END,
	OFFSET_SKB_USERS,
	/* gso_segs in struct skb_shared_info; 0 where there is no UDP_SEGMENT, so a packet is a datagram. */
	OFFSET_GSO_SEGS,
	/* Of task_struct and mm_struct, found only where command lines are asked for: see src/guess/program.ts. */
	OFFSET_TASK_MM,
	OFFSET_MM_ARG_START,
	/* Guessed only to follow processes. pid comes right before it. */
	OFFSET_TASK_TGID,
	/* Both or neither; 0: the name of a thread's process is not told here. */
	OFFSET_TASK_GROUP_LEADER,
	OFFSET_TASK_COMM,
	OFFSET_MAX,
};

/* Constants that are no offsets and are patched in the same way; their numbers go on from those of enum offset. */
enum constant {
	/* 1 where sockets can be IPv6. */
	CONSTANT_HAS_IPV6 = OFFSET_MAX,
	/* 0xff where sk_protocol has 8 bits, else 0xffff. */
	CONSTANT_PROTOCOL_MASK,
	/* By how many bits sk_userlocks is shifted in its byte: 4 as a bit field, 0 in a byte of its own. */
	CONSTANT_SK_USERLOCKS_SHIFT,
	/* 1 where struct sock_common begins as struct sock_start (lib/offsets.h) does. */
	CONSTANT_USUAL_SOCK,
	/* Bits of enum filter. */
	CONSTANT_FILTERS,
	/* 1 where the kernel preempts tracepoint programs (lib/backup.h), so that lengths have backup programs too. */
	CONSTANT_PREEMPTED,
	/* 1 where events travel in batches (lib/batch.h). */
	CONSTANT_BATCHED,
	/* 1 where NAT is looked up: see nat/lookup.h. */
	CONSTANT_NAT,
	/* 1 where the first bytes of connections are looked at: see protocols/gate.h. */
	CONSTANT_PROTOCOLS,
	/* Where the first bytes of datagrams are looked at: enum datagram_way; 0: nowhere. */
	CONSTANT_DATAGRAMS,
	/* 1 where names are taken from the answers of name servers. */
	CONSTANT_ANSWERS,
	/* 1 where the functions themselves call the programs: see argument() in lib/kernel.h. */
	CONSTANT_FENTRY,
	/* Where the kernel's types say that struct mptcp_sock has its first subflow; 0: they do not. See tcp/mptcp.h. */
	CONSTANT_FIRST_SUBFLOW,
	/* The guess: what tells the tool's own system calls from all others. */
	CONSTANT_COOKIE,
	CONSTANT_MAX,
};

/* Placeholders in the programs, in place of which src/kernel/elf.ts puts what is right for this kernel. */
enum placeholder {
	/* High words: see lib/offsets.h. */
	OFFSET_MAGIC = 0x7ef5a5a5,
	HELPER_MAGIC = 0x7ef5a5a6,
	/* A function of the kernel and a type, by their ids in its BTF: see read_kernel() in lib/kernel.h. */
	CAST_MAGIC = 0x7ef5a5a7,
	TYPE_MAGIC = 0x7ef5a5a8,
};

#define SIZE_IS(type, size) _Static_assert(sizeof(type) == (size), #type " must be " #size " bytes")
SIZE_IS(struct ends, 40);
SIZE_IS(struct owner, 48);
SIZE_IS(struct event, 184);
SIZE_IS(struct event_batch, 768);
SIZE_IS(struct sample, 72);
SIZE_IS(struct holder, 20);
SIZE_IS(struct held_sock, 24 + sizeof(struct event));
SIZE_IS(struct sock_copy, 24 + SOCK_COPY_BYTES);
SIZE_IS(struct spill_key, 16);
SIZE_IS(struct translation, sizeof(struct event));
SIZE_IS(struct payload, sizeof(struct event));
SIZE_IS(struct datagram_look, sizeof(struct event));
SIZE_IS(struct conntrack_tuple, 48);
SIZE_IS(struct conntrack_telemetry, 8);
SIZE_IS(struct conntrack_copy, 384);

#define LIES_AS_IN_EVENT(type, member)                                                             \
	_Static_assert(__builtin_offsetof(struct type, member) ==                                  \
			       __builtin_offsetof(struct event, member),                           \
		       #member " of struct " #type " must lie where it lies in struct event")
LIES_AS_IN_EVENT(translation, sk);
LIES_AS_IN_EVENT(translation, ends);
LIES_AS_IN_EVENT(translation, timestamp);
LIES_AS_IN_EVENT(translation, netns);
LIES_AS_IN_EVENT(translation, cookie);
LIES_AS_IN_EVENT(translation, flags);
LIES_AS_IN_EVENT(translation, kind);
LIES_AS_IN_EVENT(payload, sk);
LIES_AS_IN_EVENT(payload, timestamp);
LIES_AS_IN_EVENT(payload, netns);
LIES_AS_IN_EVENT(payload, cookie);
LIES_AS_IN_EVENT(payload, flags);
LIES_AS_IN_EVENT(payload, kind);
LIES_AS_IN_EVENT(payload, direction);
LIES_AS_IN_EVENT(datagram_look, sk);
LIES_AS_IN_EVENT(datagram_look, ends);
LIES_AS_IN_EVENT(datagram_look, timestamp);
LIES_AS_IN_EVENT(datagram_look, netns);
LIES_AS_IN_EVENT(datagram_look, cookie);
LIES_AS_IN_EVENT(datagram_look, flags);
LIES_AS_IN_EVENT(datagram_look, kind);
LIES_AS_IN_EVENT(datagram_look, direction);
/* Padding does not outlive the tool's copies: an owner begins without any, and the counts have none. */
_Static_assert(__builtin_offsetof(struct translation, beyond_sport) ==
		       __builtin_offsetof(struct event, owner.pid),
	       "the ports must lie where an owner begins");
_Static_assert(__builtin_offsetof(struct translation, beyond_saddr_h) ==
		       __builtin_offsetof(struct event, sent_bytes),
	       "the addresses must lie where the counts lie");

#endif
