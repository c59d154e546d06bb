// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The functions of socks, built for the machine that runs the tests. Only the kernel's helpers are replaced. */
#define LINUX_5_10
#define LIB_OFFSETS_H
#define TCP_CONNS_H
#define word_at word_of_kernel
#include "lib/kernel.h"
#undef word_at

struct live {
	struct event event;
};

static void *lookup(void *map, const void *key);

static u64 word_at(u64 address)
{
	return *(const u64 *)address;
}

static int conns;

#define bpf_map_lookup_elem lookup
#include "tcp/functions.h"

static struct sock_functions functions;
static struct live live;
static u64 sock[8];

static void *lookup(void *map, const void *key)
{
	if (map == &sock_functions)
		return *(const u32 *)key == 0 ? &functions : 0;
	return map == &conns && *(const u64 *)key == (u64)sock ? &live : 0;
}

/* By the tool, from here on; sock uses `used`. */
static void learn(u64 used)
{
	functions = (struct sock_functions){
		.at = 40, .tcp_v4 = 1000, .tcp_v6 = 2000, .sockmaps = 5000, .sockmaps_bytes = 800
	};
	sock[5] = used;
}

/* The flags of a connection that a thread of this name opens. */
u32 flags_of_connect(const char *comm, u64 used, u32 known)
{
	struct owner owner = {};

	__builtin_strncpy(owner.comm, comm, sizeof(owner.comm) - 1);
	learn(used);
	if (!known)
		functions = (struct sock_functions){};
	return opened_for_other((u64)sock, &owner);
}

/* The flags of a connection after a send. */
u32 flags_of_send(u64 used, u32 known)
{
	live = (struct live){};
	learn(used);
	if (!known)
		functions = (struct sock_functions){};
	moved_in_sockmap((u64)sock);
	return live.event.flags;
}
