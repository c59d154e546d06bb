/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracepoint mode: the bytes of a datagram, in the memory of the program that sends or receives it. A tracepoint of lengths runs
 * at the end of the system call, with whose arguments the registers of the thread still hold. Of a call with several
 * datagrams that is read which is certainly of the flow; a call by io_uring has no arguments.
 */
#ifndef UDP_CALL_H
#define UDP_CALL_H

#include "protocols/datagram.h"
#include "udp/named.h"

static void *(*get_current_task_btf)(void) = (void *)BPF_FUNC_get_current_task_btf;
static void *(*task_pt_regs)(void *task) = (void *)BPF_FUNC_task_pt_regs;

/* Of struct pt_regs, which is ABI: words. The numbers of the calls are those of the architecture. */
#if defined(__TARGET_ARCH_x86)
#define CALL_NUMBER 15 /* orig_ax */
#define CALL_ARG2 13   /* si */
#define CALL_ARG3 12   /* dx */
#define CALL_MODE 17   /* cs */
#define OF_64_BITS(mode) ((u16)(mode) == 0x33)
enum call {
	CALL_READ = 0,
	CALL_WRITE = 1,
	CALL_READV = 19,
	CALL_WRITEV = 20,
	CALL_SENDTO = 44,
	CALL_RECVFROM = 45,
	CALL_SENDMSG = 46,
	CALL_RECVMSG = 47,
	CALL_RECVMMSG = 299,
	CALL_SENDMMSG = 307,
};
#elif defined(__TARGET_ARCH_arm64)
#define CALL_NUMBER 35 /* syscallno, and 4 bytes more */
#define CALL_ARG2 1
#define CALL_ARG3 2
#define CALL_MODE 33 /* pstate */
#define OF_64_BITS(mode) (((mode) & 0x1f) == 0)
enum call {
	CALL_READ = 63,
	CALL_WRITE = 64,
	CALL_READV = 65,
	CALL_WRITEV = 66,
	CALL_SENDTO = 206,
	CALL_RECVFROM = 207,
	CALL_SENDMSG = 211,
	CALL_RECVMSG = 212,
	CALL_RECVMMSG = 243,
	CALL_SENDMMSG = 269,
};
#endif

/* struct iovec */
struct user_buffer {
	u64 address;
	u64 bytes;
};

/* The beginning of struct msghdr, with which struct mmsghdr begins. */
struct user_message {
	u64 name; /* where the struct sockaddr lies */
	u64 name_bytes;
	u64 buffers;
	u64 buffers_count;
};

/* struct sockaddr_in, and of a struct sockaddr_in6 the port. */
struct user_name {
	u16 family;
	u16 port;
	u32 address;
};

/* Whether the message goes to this end: to the peer, or to IPv4 as the call names it. */
inline_always int goes_to(const struct user_message *message, const struct ends *ends)
{
	struct user_name name = {};

	if (!message->name)
		return 1;
	read_process(name, message->name);
	return name.family == AF_INET && from_be16(name.port) == ends->dport &&
	       name.address == (u32)ends->daddr_l && !(ends->metadata & METADATA_IPV6);
}

/*
 * The buffer of the call with this number, the first one of several. `length` is what the call returned of this datagram; of the
 * first of several messages it becomes that one's. Returns 0 where nothing is certain.
 */
inline_always int find_buffer(u32 call, u64 arg2, u64 arg3, const struct ends *ends, int received,
			      u64 *length, struct user_buffer *buffer)
{
	struct user_message message = {};
	u64 buffers = 0, count = 0;

	if (call == (received ? CALL_RECVFROM : CALL_SENDTO) ||
	    call == (received ? CALL_READ : CALL_WRITE)) {
		buffer->address = arg2;
		buffer->bytes = arg3;
		return received || arg3 == *length;
	}
	if (call == (received ? CALL_READV : CALL_WRITEV)) {
		buffers = arg2;
		count = arg3;
	} else {
		/* Of several messages that are received it is not known which one this is. */
		if (call != (received ? CALL_RECVMSG : CALL_SENDMSG) &&
		    (call != (received ? CALL_RECVMMSG : CALL_SENDMMSG) ||
		     (received && (u32)arg3 != 1)))
			return 0;
		read_process(message, arg2);
		buffers = message.buffers;
		count = message.buffers_count;
	}
	if (!count)
		return 0;
	read_process(*buffer, buffers);
	if (received)
		return 1;
	if (call == CALL_SENDMMSG && (u32)arg3 != 1) {
		if (count != 1 || !goes_to(&message, ends))
			return 0;
		*length = buffer->bytes;
	}
	return count != 1 || buffer->bytes == *length;
}

/* event: of its flow; it is used up. ends: of the datagram. */
inline_always void look_at_call(void *ctx, struct event *event, u64 length, int received)
{
	struct user_buffer buffer = {};
	struct piece piece = {};
	u64 regs, call, mode;

	if (constant(CONSTANT_DATAGRAMS) != DATAGRAMS_IN_CALL)
		return;
	regs = (u64)task_pt_regs(get_current_task_btf());
	call = word_at(regs + CALL_NUMBER * 8);
	mode = word_at(regs + CALL_MODE * 8);
	if (!OF_64_BITS(mode) ||
	    !find_buffer(call, word_at(regs + CALL_ARG2 * 8), word_at(regs + CALL_ARG3 * 8),
			 &event->ends, received, &length, &buffer))
		return;
	piece.address = buffer.address;
	piece.bytes = buffer.bytes;
	tell_datagram(ctx, event, &piece, length, received);
}

#endif
