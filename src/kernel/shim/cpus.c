// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

/* The file reads like "0-3,8,10-11": ids may be sparse. */
int cpus_online(unsigned char online[MAX_CPUS])
{
	char list[4096], *at = list;
	ssize_t len;
	int fd, first = -1;

	fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, list, sizeof(list) - 1);
	close(fd);
	if (len <= 0)
		return -EIO;
	list[len] = 0;

	memset(online, 0, MAX_CPUS);
	while (*at >= '0' && *at <= '9') {
		unsigned long from = strtoul(at, &at, 10), to = from;

		if (*at == '-')
			to = strtoul(at + 1, &at, 10);
		if (to >= MAX_CPUS)
			return -E2BIG;
		if (first < 0)
			first = from;
		while (from <= to)
			online[from++] = 1;
		if (*at == ',')
			at++;
	}
	return first < 0 ? -EIO : first;
}
