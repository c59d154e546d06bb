// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Follows the state of each TCP sock of one network namespace, and counts changes that no tracepoint told. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define TCP_CLOSE 7
#define TCP_LISTEN 10

/* In struct sock_common; the same on all 64-bit kernels that have raw tracepoints. */
#define SKC_DPORT 12
#define SKC_NUM 14
#define SKC_NET 48

struct followed {
	__u32 state;
	__u16 num;
	__u16 dport_be;
};

/* By sock. Written at each change, deleted at its end; least recently used first out, so it cannot fill up. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(key_size, 8);
	__uint(value_size, sizeof(struct followed));
} socks SEC(".maps");

/* [0]: struct net of the namespace, from the first sock of the thread in [1]; [2]: the changes that were not told. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__uint(key_size, 4);
	__uint(value_size, 8);
} words SEC(".maps");

static __u64 *word(__u32 at)
{
	return bpf_map_lookup_elem(&words, &at);
}

static int is_ours(const char *sk)
{
	__u64 *net = word(0), *thread = word(1), of = 0;

	bpf_probe_read_kernel(&of, sizeof(of), sk + SKC_NET);
	if (!net || !thread)
		return 0;
	if (*net == 0 && *thread == bpf_get_current_pid_tgid())
		*net = of;
	return *net == of;
}

static void count(void)
{
	__u64 *silences = word(2);

	if (silences)
		__sync_fetch_and_add(silences, 1);
}

SEC("raw_tracepoint/inet_sock_set_state")
int on_state(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 sk = ctx->args[0];
	__u32 from = ctx->args[1];
	struct followed now = { .state = ctx->args[2] }, *last;

	if (!is_ours((const char *)sk))
		return 0;
	last = bpf_map_lookup_elem(&socks, &sk);
	/* Its last change that was told left it in another state. An entry goes with the end of its sock, so none is of a sock before. */
	if (last && last->state != from)
		count();
	if (now.state == TCP_CLOSE) {
		bpf_map_delete_elem(&socks, &sk);
		return 0;
	}
	bpf_probe_read_kernel(&now.num, sizeof(now.num), (const char *)sk + SKC_NUM);
	bpf_probe_read_kernel(&now.dport_be, sizeof(now.dport_be), (const char *)sk + SKC_DPORT);
	bpf_map_update_elem(&socks, &sk, &now, BPF_ANY);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
