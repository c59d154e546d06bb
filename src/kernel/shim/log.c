// SPDX-License-Identifier: Apache-2.0
/* Captures what libbpf would print. */
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

static char text[LOG_SIZE];
static int used;

/* The end of a verifier log says what was refused, so the newest text wins over the oldest. */
static void keep(const char *message, int len)
{
	int drop;

	if (len > LOG_SIZE) {
		message += len - LOG_SIZE;
		len = LOG_SIZE;
	}
	drop = used + len - LOG_SIZE;
	if (drop > 0) {
		memmove(text, text + drop, used - drop);
		used -= drop;
	}
	memcpy(text + used, message, len);
	used += len;
}

static int capture(enum libbpf_print_level level, const char *format, va_list args)
{
	char *message;
	int len;

	if (level == LIBBPF_DEBUG)
		return 0;
	len = vasprintf(&message, format, args);
	if (len < 0)
		return 0;
	keep(message, len);
	free(message);
	return len;
}

/* As if libbpf had said it. */
void log_text(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	capture(LIBBPF_WARN, format, args);
	va_end(args);
}

void log_capture(void)
{
	libbpf_set_print(capture);
}

int sh_log(char *dst, int cap)
{
	int len = used, skip = 0;

	if (cap <= 0)
		return -EINVAL;
	if (len > cap - 1) {
		skip = len - (cap - 1);
		len = cap - 1;
	}
	memcpy(dst, text + skip, len);
	dst[len] = 0;
	used = 0;
	return len;
}
