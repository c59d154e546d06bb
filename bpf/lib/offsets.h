/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Guessed offsets as constants, and one accessor per kernel field. Each placeholder is an ld_imm64 whose value
 * src/kernel/elf.ts replaces in the ELF image before it is loaded; the verifier then sees plain numbers. An
 * offset that is not known is patched to 0: what is read there means nothing, and the parts of src/trace
 * (TOTALS in tcp/totals.ts, fields.ts) list what must not be shown then.
 */
#ifndef LIB_OFFSETS_H
#define LIB_OFFSETS_H

#include "lib/kernel.h"

#define constant(id)                                                                               \
	({                                                                                         \
		u64 _value;                                                                        \
		asm volatile("%0 = %1 ll" : "=r"(_value) : "i"(((u64)OFFSET_MAGIC << 32) + (id))); \
		_value;                                                                            \
	})

/*
 * A helper that takes nothing and is younger than 4.4, where a program that so much as names it is refused: a
 * placeholder as well, in place of which src/kernel/elf.ts puts the call, or 0 where the kernel has no such helper.
 */
#define helper_or_0(number)                                                                        \
	({                                                                                         \
		u64 _value;                                                                        \
		asm volatile("r0 = %1 ll; %0 = r0"                                                 \
			     : "=r"(_value)                                                        \
			     : "i"(((u64)HELPER_MAGIC << 32) + (number))                           \
			     : "r0", "r1", "r2", "r3", "r4", "r5");                                \
		_value;                                                                            \
	})

#define ACCESSOR(name, type, id)                                                                   \
	inline_always type name(u64 base)                                                          \
	{                                                                                          \
		type value = 0;                                                                    \
		read_kernel(value, base + constant(id));                                           \
		return value;                                                                      \
	}

/* struct sock_common, 3.9 and later */
ACCESSOR(skc_daddr, u32, OFFSET_SKC_DADDR)	   /* network order */
ACCESSOR(skc_rcv_saddr, u32, OFFSET_SKC_RCV_SADDR) /* network order */
ACCESSOR(skc_dport, u16, OFFSET_SKC_DPORT)	   /* network order */
ACCESSOR(skc_num, u16, OFFSET_SKC_NUM)		   /* host order */
ACCESSOR(skc_family, u16, OFFSET_SKC_FAMILY)
ACCESSOR(skc_state, u8, OFFSET_SKC_STATE)
ACCESSOR(skc_net, u64, OFFSET_SKC_NET)
ACCESSOR(net_ns_inum, u32, OFFSET_NET_NS_INUM) /* of a struct net: ns.inum */

/* Of what skc_net points to; 0 on a kernel without network namespaces, whose struct sock_common has no skc_net. */
inline_always u32 netns_of(u64 net)
{
	return constant(OFFSET_SKC_NET) && net ? net_ns_inum(net) : 0;
}

/* struct inet_sock: keeps the local port when skc_num is given back at the end */
ACCESSOR(inet_sport, u16, OFFSET_INET_SPORT) /* network order */

/* struct sock; before 5.6 sk_protocol has 8 bits, see is_tcp() */
ACCESSOR(sk_protocol, u16, OFFSET_SK_PROTOCOL)
ACCESSOR(sk_type, u16, OFFSET_SK_TYPE)
ACCESSOR(sk_flags, u64, OFFSET_SK_FLAGS)
ACCESSOR(sk_socket, u64, OFFSET_SK_SOCKET)
ACCESSOR(sk_userlocks, u8, OFFSET_SK_USERLOCKS) /* see bound_by_program() */
ACCESSOR(sk_err, u32, OFFSET_SK_ERR) /* an errno; 0 again once the application has been told */
ACCESSOR(socket_ino, u64, OFFSET_SOCKET_INO) /* of the inode that embeds the struct socket */

/* Of the sock's struct socket; 0: it has none. */
inline_always u64 ino_of(u64 sk)
{
	u64 socket = sk_socket(sk);

	return socket ? socket_ino(socket) : 0;
}

/* struct tcp_sock */
ACCESSOR(srtt_us, u32, OFFSET_SRTT_US)
ACCESSOR(mdev_us, u32, OFFSET_MDEV_US)
ACCESSOR(total_retrans, u32, OFFSET_TOTAL_RETRANS)
ACCESSOR(bytes_acked, u64, OFFSET_BYTES_ACKED)
ACCESSOR(bytes_received, u64, OFFSET_BYTES_RECEIVED)
ACCESSOR(bytes_sent, u64,
	 OFFSET_BYTES_SENT) /* 4.19 and later: payload, retransmitted or not; no SYN or FIN */
ACCESSOR(segs_in, u32, OFFSET_SEGS_IN)
ACCESSOR(segs_out, u32, OFFSET_SEGS_OUT)
ACCESSOR(snd_una, u32, OFFSET_SND_UNA)
ACCESSOR(write_seq, u32, OFFSET_WRITE_SEQ)
ACCESSOR(rcv_nxt, u32, OFFSET_RCV_NXT)
ACCESSOR(copied_seq, u32, OFFSET_COPIED_SEQ)
ACCESSOR(rcvq_space_time, u64, OFFSET_RCVQ_SPACE_TIME) /* us of CLOCK_MONOTONIC; 4.20 and later */

/* struct task_struct, of any thread; only for follow.h and held.h */
ACCESSOR(task_tgid, u32, OFFSET_TASK_TGID)

inline_always u32 task_pid(u64 task)
{
	u32 value = 0;

	read_kernel(value, task + constant(OFFSET_TASK_TGID) - sizeof(value));
	return value;
}

/* struct sk_buff */
ACCESSOR(skb_sk, u64, OFFSET_SKB_SK)

struct in6 {
	u64 high;
	u64 low;
};

/* How struct sock_common has begun on 64-bit kernels since 3.9: all in one read costs as much as two fields do. */
struct sock_start {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u32 skc_hash;
	u16 skc_dport; /* network order */
	u16 skc_num;   /* host order */
	u16 skc_family;
	u8 skc_state;
	u8 bits;
	u32 skc_bound_dev_if;
	u64 skc_bind_node[2];
	u64 skc_prot;
	u64 skc_net;
	struct in6 skc_v6_daddr;
	struct in6 skc_v6_rcv_saddr;
};

inline_always void skc_v6_daddr(u64 sk, struct in6 *address)
{
	read_kernel(*address, sk + constant(OFFSET_SKC_V6_DADDR));
}

inline_always void skc_v6_rcv_saddr(u64 sk, struct in6 *address)
{
	read_kernel(*address, sk + constant(OFFSET_SKC_V6_RCV_SADDR));
}

/* Of what does not belong to the sock's family nothing is promised. */
inline_always void read_start(u64 sk, struct sock_start *start)
{
	if (constant(CONSTANT_USUAL_SOCK)) {
		read_kernel(*start, sk);
		return;
	}
	start->skc_family = skc_family(sk);
	start->skc_num = skc_num(sk);
	start->skc_dport = skc_dport(sk);
	start->skc_net = skc_net(sk);
	start->skc_daddr = skc_daddr(sk);
	start->skc_rcv_saddr = skc_rcv_saddr(sk);
	if (!constant(CONSTANT_HAS_IPV6))
		return;
	skc_v6_daddr(sk, &start->skc_v6_daddr);
	skc_v6_rcv_saddr(sk, &start->skc_v6_rcv_saddr);
}

#endif
