// SPDX-License-Identifier: Apache-2.0
/*
 * The bench's traffic: load KIND WARM_MS MEASURE_MS [PAIRS [PAUSE_MS]]. One client and one server process per pair, over
 * 127.0.0.1. Operations of the first WARM_MS are made but not measured, then comes a pause. Prints one JSON object:
 *   ops, ns    operations measured, and the time they took (all pairs)
 *   total      all operations: what a tracer has to have seen
 *   sent, received   payload bytes the clients wrote and read, all operations
 * LOAD_ADDRESS in the environment: clients connect to this address. Something translates it to 127.0.0.1.
 * LOAD_HTTP in the environment: a client's message is a request of HTTP and its server's an answer, and not zeros.
 * Or: load hold N. Opens N connections, prints a line, and holds them until its standard input ends.
 * Or: load filter. Has a filter run for each packet, which takes none of them, and says so, until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BYTES 65536
#define MESSAGE_BYTES 64

typedef unsigned long long u64;

struct result {
	u64 ops, total, sent, received;
};

static char buffer[STREAM_BYTES];
static char request[MESSAGE_BYTES + 1], answer[MESSAGE_BYTES + 1];

static void speak_http(void)
{
	strcpy(request, "GET /load HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: tracer-load\r\n\r\n");
	strcpy(answer, "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\nyou are very welcome here");
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void write_all(int fd, const char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, bytes + done, size - done);

		if (n <= 0)
			die("write");
		done += n;
	}
}

/* Returns 0 at the end of the stream. */
static int read_all(int fd, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, buffer + done, size - done);

		if (n == 0 && done == 0)
			return 0;
		if (n <= 0)
			die("read");
		done += n;
	}
	return 1;
}

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t size = sizeof(*address);
	int fd = socket(AF_INET, type, 0);

	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (void *)address, size) || getsockname(fd, (void *)address, &size))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 1024))
		die("listen");
	return fd;
}

static int connected(int type, const struct sockaddr_in *address)
{
	int one = 1, fd = socket(AF_INET, type, 0);

	if (fd < 0 || connect(fd, (const void *)address, sizeof(*address)))
		die("connect");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* One of each per kind: the client's operation (fd -1: it opens one itself), and the server's whole life. */

static void stream_op(int fd, const struct sockaddr_in *to, struct result *r)
{
	(void)to;
	write_all(fd, buffer, STREAM_BYTES);
	r->sent += STREAM_BYTES;
}

static void stream_serve(int listener)
{
	int fd = accept(listener, NULL, NULL);

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
}

static void rr_op(int fd, const struct sockaddr_in *to, struct result *r)
{
	(void)to;
	write_all(fd, request, MESSAGE_BYTES);
	if (!read_all(fd, MESSAGE_BYTES))
		die("the server left");
	r->sent += MESSAGE_BYTES;
	r->received += MESSAGE_BYTES;
}

static void rr_serve(int listener)
{
	int one = 1, fd = accept(listener, NULL, NULL);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (read_all(fd, MESSAGE_BYTES))
		write_all(fd, answer, MESSAGE_BYTES);
	close(fd);
}

static void crr_op(int fd, const struct sockaddr_in *to, struct result *r)
{
	fd = connected(SOCK_STREAM, to);
	rr_op(fd, to, r);
	close(fd);
}

/* Until the listener is shut down. */
static void crr_serve(int listener)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		while (read_all(fd, MESSAGE_BYTES))
			write_all(fd, answer, MESSAGE_BYTES);
		close(fd);
	}
}

#define SOCKETS 1000

/* As udprr, from the next one of many sockets, each of which is a flow of its own at both ends. */
static void udp1000_op(int fd, const struct sockaddr_in *to, struct result *r)
{
	static int fds[SOCKETS];
	static int next;

	(void)fd;
	if (fds[next] == 0)
		fds[next] = connected(SOCK_DGRAM, to);
	rr_op(fds[next], to, r);
	next = (next + 1) % SOCKETS;
}

#define FIRST_PORT 1024
#define LAST_PORT 65535

/* A datagram to a port where nobody listens: connection tracking takes each of them for a new connection. */
static void entries_op(int fd, const struct sockaddr_in *to, struct result *r)
{
	static int from = -1;
	static int port = LAST_PORT;
	struct sockaddr_in next = *to;

	(void)fd;
	if (port == LAST_PORT) {
		close(from);
		from = socket(AF_INET, SOCK_DGRAM, 0);
		port = FIRST_PORT;
	}
	next.sin_port = htons(port++);
	if (sendto(from, buffer, 1, 0, (void *)&next, sizeof(next)) != 1)
		die("sendto");
	r->sent++;
}

/* Until an empty datagram comes. */
static void udprr_serve(int fd)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, buffer, sizeof(buffer), 0, (void *)&from, &size)) > 0)
		sendto(fd, buffer, n, 0, (void *)&from, size);
	close(fd);
}

static const struct kind {
	const char *name;
	int type;
	int opens_itself;
	void (*op)(int fd, const struct sockaddr_in *to, struct result *r);
	void (*serve)(int fd);
} kinds[] = {
	{ "stream", SOCK_STREAM, 0, stream_op, stream_serve },
	{ "rr", SOCK_STREAM, 0, rr_op, rr_serve },
	{ "crr", SOCK_STREAM, 1, crr_op, crr_serve },
	{ "udprr", SOCK_DGRAM, 0, rr_op, udprr_serve },
	{ "udp1000", SOCK_DGRAM, 0, udp1000_op, udprr_serve },
	{ "entries", SOCK_STREAM, 1, entries_op, crr_serve },
};

struct times {
	u64 warm_ns, pause_ns, measure_ns;
};

static void operate(const struct kind *kind, int fd, const struct sockaddr_in *to, u64 ns,
		    struct result *r)
{
	u64 end = now_ns() + ns;

	for (; now_ns() < end; r->ops++)
		kind->op(fd, to, r);
}

static void client(const struct kind *kind, int listener, const struct sockaddr_in *to,
		   const struct times *times, struct result *r)
{
	struct timespec pause = { times->pause_ns / 1000000000, times->pause_ns % 1000000000 };
	int fd = kind->opens_itself ? -1 : connected(kind->type, to);

	operate(kind, fd, to, times->warm_ns, r);
	r->total = r->ops;
	r->ops = 0;
	nanosleep(&pause, NULL);
	operate(kind, fd, to, times->measure_ns, r);
	r->total += r->ops;
	if (kind->type == SOCK_DGRAM && send(fd, buffer, 0, 0) < 0)
		die("send");
	if (fd >= 0)
		close(fd);
	if (kind->opens_itself)
		shutdown(listener, SHUT_RDWR);
}

static void pair(const struct kind *kind, const struct times *times, struct result *r)
{
	struct sockaddr_in address;
	int status, fd = bound(kind->type, &address);
	const char *service = getenv("LOAD_ADDRESS");
	pid_t server = fork();

	if (server < 0)
		die("fork");
	if (server == 0) {
		kind->serve(fd);
		_exit(0);
	}
	if (service && inet_pton(AF_INET, service, &address.sin_addr) != 1)
		die("LOAD_ADDRESS");
	client(kind, fd, &address, times, r);
	waitpid(server, &status, 0);
}

/* Beyond this the ports to one address run out. */
#define HELD_PER_ADDRESS 20000

static int hold(int count)
{
	char end;

	for (int i = 0; i < count;) {
		struct sockaddr_in address = { .sin_family = AF_INET };
		socklen_t size = sizeof(address);
		int listener = socket(AF_INET, SOCK_STREAM, 0);

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i / HELD_PER_ADDRESS);
		if (bind(listener, (void *)&address, size) || listen(listener, 1024) ||
		    getsockname(listener, (void *)&address, &size))
			die("bind");
		for (int n = 0; n < HELD_PER_ADDRESS && i < count; n++, i++) {
			connected(SOCK_STREAM, &address);
			if (accept(listener, NULL, NULL) < 0)
				die("accept");
		}
	}
	printf("%d\n", count);
	fflush(stdout);
	while (read(0, &end, 1) > 0)
		;
	return 0;
}

/* A socket of packets, the cheapest that sees all of them: tracers that look at payload in this way do more. */
static void filter(void)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &none };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll all = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    bind(fd, (void *)&all, sizeof(all)))
		die("filter");
	fprintf(stderr, "filtering\n");
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct times times = {
		.warm_ns = argc > 2 ? strtoull(argv[2], NULL, 10) * 1000000 : 0,
		.measure_ns = argc > 3 ? strtoull(argv[3], NULL, 10) * 1000000 : 0,
		.pause_ns = argc > 5 ? strtoull(argv[5], NULL, 10) * 1000000 : 0,
	};
	int pairs = argc > 4 ? atoi(argv[4]) : 1;
	const struct kind *kind = NULL;
	struct result sum = {}, *results;

	if (getenv("LOAD_HTTP"))
		speak_http();
	if (argc > 2 && strcmp(argv[1], "hold") == 0)
		return hold(atoi(argv[2]));
	if (argc > 1 && strcmp(argv[1], "filter") == 0)
		filter();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc > 3 && strcmp(argv[1], kinds[i].name) == 0)
			kind = &kinds[i];
	if (!kind || pairs < 1) {
		fprintf(stderr,
			"usage: load stream|rr|crr|udprr|udp1000|entries WARM_MS MEASURE_MS [PAIRS "
			"[PAUSE_MS]], or load hold N, or load filter\n");
		return 2;
	}
	results = mmap(NULL, sizeof(*results) * pairs, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		die("mmap");
	for (int i = 0; i < pairs; i++) {
		if (fork() == 0) {
			pair(kind, &times, &results[i]);
			_exit(0);
		}
	}
	for (int i = 0, status; i < pairs; i++)
		if (wait(&status) < 0 || status != 0)
			die("a client failed");
	for (int i = 0; i < pairs; i++) {
		sum.ops += results[i].ops;
		sum.total += results[i].total;
		sum.sent += results[i].sent;
		sum.received += results[i].received;
	}
	printf("{\"ops\":%llu,\"ns\":%llu,\"total\":%llu,\"sent\":%llu,\"received\":%llu}\n",
	       sum.ops, times.measure_ns, sum.total, sum.sent, sum.received);
	return 0;
}
