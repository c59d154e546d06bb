// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The tracer's programs: a table of contents. Either the kprobes or the tracepoints are loaded, never both.
 * The kprobes keep to what Linux 4.4 accepts: helpers up to 25, 4,096 instructions, no calls between programs, no global
 * data.
 */
#include "nat/conntrack.h"
#include "process/follow.h"
#include "protocols/queues.h"
#include "tcp/held.h"
#include "tcp/holders.h"
#include "tcp/kprobes.h"
#include "tcp/open.h"
#include "tcp/sample.h"
#include "tcp/sockmap.h"
#include "tcp/tracepoints.h"
#include "lib/backup.h"
#include "lib/copy.h"
#include "udp/errors.h"
#include "udp/kprobes.h"
#include "udp/tracepoints.h"

/* int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len), and tcp_v6_connect */
SEC("kprobe/tcp_v4_connect")
int on_connect(void *ctx)
{
	attempting(reg(ctx, REG_ARG1), reg(ctx, REG_ARG2), reg(ctx, REG_ARG3));
	return 0;
}

SEC("kretprobe/tcp_v4_connect")
int on_connect_return(void *ctx)
{
	struct live live;

	attempted(ctx, reg(ctx, REG_RETURN), &live);
	return 0;
}

/* int tcp_connect(struct sock *sk) */
SEC("kprobe/tcp_connect")
int on_tcp_connect(void *ctx)
{
	struct live live = {};

	connecting(argument(ctx, 1), &live);
	return 0;
}

/* void tcp_finish_connect(struct sock *sk, struct sk_buff *skb) */
SEC("kprobe/tcp_finish_connect")
int on_tcp_finish_connect(void *ctx)
{
	struct live live;

	connected(ctx, argument(ctx, 1), &live);
	return 0;
}

/* void security_sock_graft(struct sock *sk, struct socket *parent): the end of accept(2), also of one entered before the trace began */
SEC("kprobe/security_sock_graft")
int on_security_sock_graft(void *ctx)
{
	struct live live = {};

	accepted(ctx, argument(ctx, 1), &live, 1);
	return 0;
}

/* struct sock *inet_csk_accept(struct sock *sk, ...): where security_sock_graft is not there or does not fire */
SEC("kretprobe/inet_csk_accept")
int on_inet_csk_accept(void *ctx)
{
	struct live live = {};

	accepted(ctx, reg(ctx, REG_RETURN), &live, 0);
	return 0;
}

/* void tcp_shutdown(struct sock *sk, int how) */
SEC("kprobe/tcp_shutdown")
int on_tcp_shutdown(void *ctx)
{
	shutting_down(reg(ctx, REG_ARG1), reg(ctx, REG_ARG2));
	return 0;
}

/* void tcp_done(struct sock *sk) */
SEC("kprobe/tcp_done")
int on_tcp_done(void *ctx)
{
	struct live live;

	done(ctx, argument(ctx, 1), &live);
	return 0;
}

/* int tcp_disconnect(struct sock *sk, int flags) */
SEC("kprobe/tcp_disconnect")
int on_tcp_disconnect(void *ctx)
{
	struct live live;

	disconnecting(ctx, reg(ctx, REG_ARG1), &live);
	return 0;
}

/* void __tcp_close(struct sock *sk, long timeout), under the sock's lock; before 5.11 tcp_close, before it has the lock */
SEC("kprobe/tcp_close")
int on_tcp_close(void *ctx)
{
	struct live live;

	closing(ctx, argument(ctx, 1), &live);
	return 0;
}

/* void tcp_v4_destroy_sock(struct sock *sk), of IPv6 socks too */
SEC("kprobe/tcp_v4_destroy_sock")
int on_tcp_v4_destroy_sock(void *ctx)
{
	struct live live;

	destroying(ctx, argument(ctx, 1), &live);
	return 0;
}

/* int tcp_bpf_update_proto(struct sock *sk, struct sk_psock *psock, bool restore) */
SEC("kprobe/tcp_bpf_update_proto")
int on_tcp_bpf_update_proto(void *ctx)
{
	if (!restores(reg(ctx, REG_ARG2), reg(ctx, REG_ARG3)))
		entering_sockmap(ctx, reg(ctx, REG_ARG1));
	return 0;
}

/* int tcp_bpf_init(struct sock *sk), before 5.13, and its like */
SEC("kprobe/tcp_bpf_init")
int on_tcp_bpf_init(void *ctx)
{
	entering_sockmap(ctx, reg(ctx, REG_ARG1));
	return 0;
}

/* int ip_send_skb(struct net *net, struct sk_buff *skb) */
SEC("kprobe/ip_send_skb")
int on_ip_send_skb(void *ctx)
{
	struct flow fresh;

	udp_sending(ctx, argument(ctx, 2), &fresh);
	return 0;
}

/* int ip6_send_skb(struct sk_buff *skb) */
SEC("kprobe/ip6_send_skb")
int on_ip6_send_skb(void *ctx)
{
	struct flow fresh;

	udp_sending(ctx, argument(ctx, 1), &fresh);
	return 0;
}

/* void skb_consume_udp(struct sock *sk, struct sk_buff *skb, int len), 4.10 and later */
SEC("kprobe/skb_consume_udp")
int on_skb_consume_udp(void *ctx)
{
	struct flow fresh;
	u64 skb = argument(ctx, 2);

	if (!udp_peeked(skb, argument(ctx, 3)))
		udp_received(ctx, argument(ctx, 1), skb, argument(ctx, 3), &fresh);
	return 0;
}

/*
 * int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int noblock, int flags, int *addr_len), and
 * udpv6_recvmsg: before 4.7. On RHEL 7 a struct kiocb comes first.
 */
SEC("kprobe/udp_recvmsg")
int on_udp_receive(void *ctx)
{
	udp_receiving(ctx);
	return 0;
}

/* void __skb_free_datagram_locked(struct sock *sk, struct sk_buff *skb, int len), 4.7 to 4.9 */
SEC("kprobe/__skb_free_datagram_locked")
int on_skb_free_datagram_length(void *ctx)
{
	struct flow fresh;

	udp_freed_length(ctx, reg(ctx, REG_ARG1), reg(ctx, REG_ARG2), reg(ctx, REG_ARG3), &fresh);
	return 0;
}

/* void skb_free_datagram_locked(struct sock *sk, struct sk_buff *skb), before 4.7; on RHEL 7 skb_consume_udp */
SEC("kprobe/skb_free_datagram_locked")
int on_skb_free_datagram_locked(void *ctx)
{
	struct flow fresh;

	udp_freed(ctx, reg(ctx, REG_ARG1), reg(ctx, REG_ARG2), &fresh);
	return 0;
}

/* void udp_destroy_sock(struct sock *sk), and udpv6_destroy_sock */
SEC("kprobe/udp_destroy_sock")
int on_udp_destroy_sock(void *ctx)
{
	struct flow last;

	udp_destroying(ctx, reg(ctx, REG_ARG1), &last);
	return 0;
}

/* void sk_error_report(struct sock *sk), of sockets of all protocols; before 5.14 sock_def_error_report */
SEC("kprobe/sk_error_report")
int on_sk_error_report(void *ctx)
{
	struct flow copy;

	error_reported(ctx, reg(ctx, REG_ARG1), &copy);
	return 0;
}

/* void ip_icmp_error(struct sock *sk, struct sk_buff *skb, int err, __be16 port, u32 info, u8 *payload), and ipv6_icmp_error */
SEC("kprobe/ip_icmp_error")
int on_icmp_error(void *ctx)
{
	struct flow copy;

	error_queued(ctx, reg(ctx, REG_ARG1), reg(ctx, REG_ARG2), reg(ctx, REG_ARG3),
		     reg(ctx, REG_ARG4), &copy);
	return 0;
}

/* void wake_up_new_task(struct task_struct *p): the end of every fork and clone, before the child runs */
SEC("kprobe/wake_up_new_task")
int on_wake_up_new_task(void *ctx)
{
	forked(reg(ctx, REG_ARG1));
	return 0;
}

/* void __put_task_struct(struct task_struct *tsk) */
SEC("kprobe/__put_task_struct")
int on_put_task_struct(void *ctx)
{
	freed(reg(ctx, REG_ARG1));
	return 0;
}

/* The functions by which a process opens, accepts, closes, sends and receives: see src/trace/process/args.ts */
SEC("kprobe/note_args")
int on_call(void *ctx __attribute__((unused)))
{
	note_program();
	return 0;
}

/*
 * int/void __nf_conntrack_hash_insert(struct nf_conn *ct, ...): every new entry; in the module nf_conntrack, which may come
 * and go. Where the compiler has inlined it: int __nf_conntrack_confirm(struct sk_buff *skb), for each that a packet makes.
 */
SEC("kprobe/__nf_conntrack_hash_insert")
int on_conntrack_insert(void *ctx)
{
	track(reg(ctx, REG_ARG1));
	return 0;
}

/* void nf_conntrack_free(struct nf_conn *ct): before 4.10, which has no LRU map */
SEC("kprobe/nf_conntrack_free")
int on_conntrack_free(void *ctx)
{
	stop_tracking(reg(ctx, REG_ARG1));
	return 0;
}

/* int tcp4_seq_show(struct seq_file *seq, void *v): a line of /proc/net/tcp; attached only while the tool reads it */
SEC("kprobe/tcp4_seq_show")
int on_tcp4_seq_show(void *ctx)
{
	struct live live = {};

	listed(ctx, reg(ctx, REG_ARG2), &live);
	return 0;
}

/* int tcp6_seq_show(struct seq_file *seq, void *v): the same of /proc/net/tcp6 */
SEC("kprobe/tcp6_seq_show")
int on_tcp6_seq_show(void *ctx)
{
	struct live live = {};

	listed(ctx, reg(ctx, REG_ARG2), &live);
	return 0;
}

/* int tcp_getsockopt(struct sock *sk, int level, int optname, ...): attached only before 5.10, for run_samples */
SEC("kprobe/tcp_getsockopt")
int on_tcp_getsockopt(void *ctx)
{
	struct live live;

	read_first_samples(reg(ctx, REG_ARG3), &live);
	return 0;
}

/* bool tcp_validate_incoming(struct sock *sk, struct sk_buff *skb, ...): only before 4.17, as the next three */
SEC("kprobe/tcp_validate_incoming")
int on_segment_checked(void *ctx)
{
	segment_checked(ctx, reg(ctx, REG_ARG1), reg(ctx, REG_ARG2));
	return 0;
}

/* void tcp_send_ack(struct sock *sk) */
SEC("kprobe/tcp_send_ack")
int on_acknowledging(void *ctx)
{
	acknowledging(ctx, reg(ctx, REG_ARG1));
	return 0;
}

/* void security_sock_graft(struct sock *sk, struct socket *parent) */
SEC("kprobe/security_sock_graft")
int on_taking(void *ctx)
{
	if (is_tcp(reg(ctx, REG_ARG1)))
		taking(ctx, reg(ctx, REG_ARG1));
	return 0;
}

/* int inet_csk_listen_start(struct sock *sk, ...): a listener that begins may speak another protocol than the one before it */
SEC("kprobe/inet_csk_listen_start")
int on_listen(void *ctx)
{
	struct live live = {};

	if (is_tcp(reg(ctx, REG_ARG1)))
		listening(ctx, reg(ctx, REG_ARG1), &live);
	return 0;
}

/* (struct sock *sk, struct sk_buff *skb), 4.17 and later, in both modes: the beginning of tcp_rcv_established */
SEC("raw_tp/tcp_probe")
int on_segment(struct bpf_raw_tracepoint_args *ctx)
{
	segment_arrives(ctx, ctx->args[0], ctx->args[1]);
	return 0;
}

/*
 * (const struct sock *sk, const int oldstate, const int newstate), 4.17 and later. Kprobe mode: what is sent to a connection
 * before its accept is looked at too; and a listener that begins may speak another protocol than the one before it.
 */
SEC("raw_tp/inet_sock_set_state")
int on_handshake(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] == TCP_STATE_SYN_RECV && ctx->args[2] == TCP_STATE_ESTABLISHED) {
		open_gate(ctx->args[0], DIRECTION_INCOMING);
	} else if (ctx->args[2] == TCP_STATE_LISTEN && is_tcp(ctx->args[0])) {
		/* Zeroed here alone: this runs at each change of a state. */
		struct live live = {};

		listening(ctx, ctx->args[0], &live);
	}
	return 0;
}

/* From here on: programs for tracepoint mode, or for Linux 5.10 and later. */
#ifdef LINUX_5_10

/* tcp_v4_connect has returned (fexit). Instead of on_connect and on_connect_return, as the next. */
SEC("kprobe/tcp_v4_connect")
int on_connect_over(void *ctx)
{
	connect_over(ctx, 1);
	return 0;
}

/* The same of tcp_v6_connect, which calls the other one for an IPv4 address. */
SEC("kprobe/tcp_v6_connect")
int on_connect6_over(void *ctx)
{
	connect_over(ctx, 0);
	return 0;
}

/*
 * void tcp_init_transfer(struct sock *sk, int bpf_op, struct sk_buff *skb): the end of each handshake, before the state changes.
 * Kprobe mode: what is sent to a connection before its accept is looked at too.
 */
SEC("kprobe/tcp_init_transfer")
int on_established(void *ctx)
{
	u64 sk = argument(ctx, 1);

	if (skc_state(sk) == TCP_STATE_SYN_RECV)
		open_gate(sk, DIRECTION_INCOMING);
	return 0;
}

/* (const struct sock *sk, const int oldstate, const int newstate), 4.16 and later. src/trace/tcp/points.ts chooses the ones that are attached. */
SEC("raw_tp/inet_sock_set_state")
int on_state_pending(struct bpf_raw_tracepoint_args *ctx)
{
	note_pending(ctx->args[0]);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int on_state_pending_again(struct bpf_raw_tracepoint_args *ctx)
{
	note_pending(ctx->args[0]);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int on_state(struct bpf_raw_tracepoint_args *ctx)
{
	struct live live = {};

	claim_pending(ctx->args[0]);
	state_changes(ctx, ctx->args[0], ctx->args[1], ctx->args[2], 1, &live);
	return 0;
}

#define ON_STATE_BACKUP(name)                                                                      \
	SEC("raw_tp/inet_sock_set_state")                                                          \
	int name(struct bpf_raw_tracepoint_args *ctx)                                              \
	{                                                                                          \
		struct live live = {};                                                             \
		int preempted = constant(CONSTANT_PREEMPTED);                                      \
                                                                                                   \
		if (!preempted && is_of_process(ctx->args[2]))                                     \
			return 0;                                                                  \
		if (claim_as_backup(ctx->args[0], COUNTER_STATE_RESCUED))                          \
			state_changes(ctx, ctx->args[0], ctx->args[1], ctx->args[2], preempted,    \
				      &live);                                                      \
		return 0;                                                                          \
	}

ON_STATE_BACKUP(on_state_backup)
ON_STATE_BACKUP(on_state_backup_2)
ON_STATE_BACKUP(on_state_backup_3)

/* Only the changes of state that happen inside a system call of the owner */
SEC("raw_tp/inet_sock_set_state")
int on_state_of_owner(struct bpf_raw_tracepoint_args *ctx)
{
	u32 state = ctx->args[2];

	if (state == TCP_STATE_SYN_SENT || state == TCP_STATE_FIN_WAIT1 ||
	    state == TCP_STATE_LAST_ACK)
		note_program();
	return 0;
}

/* sock_send_length and sock_recv_length */
SEC("raw_tp/sock_send_length")
int on_length_of_owner(struct bpf_raw_tracepoint_args *ctx)
{
	if ((sk_protocol(ctx->args[0]) & constant(CONSTANT_PROTOCOL_MASK)) == IPPROTO_UDP)
		note_program();
	return 0;
}

/* (struct sock *sk), 4.15 and later: in the same way */
SEC("raw_tp/tcp_destroy_sock")
int on_end_pending(struct bpf_raw_tracepoint_args *ctx)
{
	note_pending(ctx->args[0]);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int on_end_pending_again(struct bpf_raw_tracepoint_args *ctx)
{
	note_pending(ctx->args[0]);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int on_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct live live = {};

	claim_pending(ctx->args[0]);
	destroyed(ctx, ctx->args[0], &live);
	return 0;
}

#define ON_END_BACKUP(name)                                                                        \
	SEC("raw_tp/tcp_destroy_sock")                                                             \
	int name(struct bpf_raw_tracepoint_args *ctx)                                              \
	{                                                                                          \
		struct live live = {};                                                             \
                                                                                                   \
		if (claim_as_backup(ctx->args[0], COUNTER_STATE_RESCUED))                          \
			destroyed(ctx, ctx->args[0], &live);                                       \
		return 0;                                                                          \
	}

ON_END_BACKUP(on_end_backup)
ON_END_BACKUP(on_end_backup_2)
ON_END_BACKUP(on_end_backup_3)

/*
 * (struct sock *sk, int ret, int flags), 6.3 and later; of every socket of the host. on_sent and on_received are alone but where the
 * kernel preempts. A note is made of TCP's calls too: the kernel counts a skipped run whatever it was of, and a backup program
 * that finds no note does not count that run as done. Then the run passes for a lost datagram.
 */
SEC("raw_tp/sock_send_length")
int on_length_pending(void)
{
	note_pending(bpf_get_current_pid_tgid());
	return 0;
}

SEC("raw_tp/sock_send_length")
int on_sent(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow fresh;

	if (constant(CONSTANT_PREEMPTED))
		claim_pending(bpf_get_current_pid_tgid());
	udp_sent(ctx, ctx->args[0], ctx->args[1], ctx->args[2], &fresh);
	return 0;
}

SEC("raw_tp/sock_send_length")
int on_sent_in_sockmap(struct bpf_raw_tracepoint_args *ctx)
{
	moved_in_sockmap(ctx->args[0]);
	return 0;
}

SEC("raw_tp/sock_recv_length")
int on_received_in_sockmap(struct bpf_raw_tracepoint_args *ctx)
{
	moved_in_sockmap(ctx->args[0]);
	return 0;
}

SEC("raw_tp/sock_recv_length")
int on_received(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow fresh;

	if (constant(CONSTANT_PREEMPTED))
		claim_pending(bpf_get_current_pid_tgid());
	udp_moved(ctx, ctx->args[0], received_bytes(ctx->args[1], ctx->args[2]), 0, 1, &fresh);
	return 0;
}

SEC("raw_tp/sock_send_length")
int on_sent_backup(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow fresh;

	if (claim_as_backup(bpf_get_current_pid_tgid(), COUNTER_LENGTH_RESCUED))
		udp_sent(ctx, ctx->args[0], ctx->args[1], ctx->args[2], &fresh);
	return 0;
}

SEC("raw_tp/sock_recv_length")
int on_received_backup(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow fresh;

	if (claim_as_backup(bpf_get_current_pid_tgid(), COUNTER_LENGTH_RESCUED))
		udp_moved(ctx, ctx->args[0], received_bytes(ctx->args[1], ctx->args[2]), 0, 1,
			  &fresh);
	return 0;
}

/* (const struct sock *sk), 5.14 and later: of sockets of all protocols */
SEC("raw_tp/inet_sk_error_report")
int on_error_report(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow copy;

	error_reported(ctx, ctx->args[0], &copy);
	return 0;
}

/*
 * Hooks of the root control group: they see the sockets of all groups, and return 1, which changes nothing. Linux 4.17 and
 * later (sends 4.18, receives 5.2). None of them runs in a send or a receive of TCP.
 */
SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	connect_begins_v4(ctx);
	return 1;
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	connect_begins_v6(ctx);
	return 1;
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	sending_to_v4(ctx);
	return 1;
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	named_v6(ctx);
	return 1;
}

SEC("cgroup/recvmsg4")
int on_recvmsg4(struct bpf_sock_addr *ctx)
{
	received_from_v4(ctx);
	return 1;
}

SEC("cgroup/recvmsg6")
int on_recvmsg6(struct bpf_sock_addr *ctx)
{
	named_v6(ctx);
	return 1;
}

/* (struct task_struct *parent, struct task_struct *child): as wake_up_new_task. Alone but where the kernel preempts. */
SEC("raw_tp/sched_process_fork")
int on_fork_pending(struct bpf_raw_tracepoint_args *ctx)
{
	note_pending(ctx->args[1]);
	return 0;
}

SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	claim_pending(ctx->args[1]);
	forked(ctx->args[1]);
	return 0;
}

SEC("raw_tp/sched_process_fork")
int on_fork_backup(struct bpf_raw_tracepoint_args *ctx)
{
	if (claim_as_backup(ctx->args[1], COUNTER_BIRTH_RESCUED))
		forked(ctx->args[1]);
	return 0;
}

/* (struct task_struct *p) */
SEC("raw_tp/sched_process_free")
int on_sched_process_free(struct bpf_raw_tracepoint_args *ctx)
{
	freed(ctx->args[0]);
	return 0;
}

/* Never attached, as the next: run by the tool through BPF_PROG_TEST_RUN with (sk, cookie) as arguments. */
SEC("raw_tp/run_udp_gone")
int run_udp_gone(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow last;

	end_if_gone(ctx, ctx->args[0], ctx->args[1], &last);
	return 0;
}

SEC("raw_tp/run_connect_failed")
int run_connect_failed(struct bpf_raw_tracepoint_args *ctx)
{
	keep_begun(ctx->args[0], ctx->args[1]);
	return 0;
}

SEC("raw_tp/run_sock_copy")
int run_sock_copy(struct bpf_raw_tracepoint_args *ctx)
{
	copy_sock(ctx->args[0]);
	return 0;
}

SEC("raw_tp/run_accepted")
int run_accepted(struct bpf_raw_tracepoint_args *ctx)
{
	answer_accepted(ctx->args[0], ctx->args[1]);
	return 0;
}

/* Never attached: run by the tool through BPF_PROG_TEST_RUN with the CPU as argument, on that CPU, 5.10 and later. */
SEC("raw_tp/run_batch")
int run_batch(struct bpf_raw_tracepoint_args *ctx)
{
	return send_batch(ctx, ctx->args[0]);
}

/* The same, with the number of samples as argument. */
SEC("raw_tp/run_samples")
int run_samples(struct bpf_raw_tracepoint_args *ctx)
{
	struct live live;

	read_samples(ctx->args[0], &live);
	return 0;
}

/* Attached only while the tool connects to itself. */
SEC("raw_tp/inet_sock_set_state")
int on_listener_copied(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[2] == TCP_STATE_LISTEN)
		await_newborn(ctx->args[0]);
	else if (ctx->args[1] == TCP_STATE_LISTEN && ctx->args[2] == TCP_STATE_SYN_RECV)
		copy_newborn(ctx->args[0]);
	return 0;
}

/* Run at polls in which connections came in. 5.11 and later, with the kernel's BTF. */
SEC("raw_tp/iter/task_file")
int list_holders(struct iter_task_file *ctx)
{
	holding(ctx);
	return 0;
}

/* Run once at the start. 5.11 and later, with the kernel's BTF. */
SEC("raw_tp/iter/task_file")
int list_held(struct iter_task_file *ctx)
{
	struct live live = {};

	held(ctx, &live);
	return 0;
}

/* Run once per network namespace that has sockets nobody holds, at the start. 5.9 and later, with the kernel's BTF. */
SEC("raw_tp/iter/tcp")
int list_tcp(struct iter_tcp *ctx)
{
	struct live live = {};

	iterated(ctx, &live);
	return 0;
}
#endif

char _license[] SEC("license") = "Dual BSD/GPL";
