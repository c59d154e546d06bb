// SPDX-License-Identifier: Apache-2.0
/*
 * Keeps the shim loadable by glibc 2.17, which is also Bun's floor: hidden definitions of what the
 * static libraries would otherwise import in a newer version (or as a fortified `__*_chk` entry,
 * which musl lacks). A test reads the built file's symbol versions.
 */
#undef _FORTIFY_SOURCE
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* libbpf names stderr in its default printer, which sh_open replaces before it could run. */
#undef stderr
FILE *stderr;

/*
 * Debian's archives check their stack. On arm64 glibc keeps the guard in its loader, a library that musl does not
 * have; so it is ours, from the random bytes that every process is given. (On x86-64 it is the thread's.)
 */
#ifdef __aarch64__
unsigned long __stack_chk_guard;

__attribute__((constructor)) static void seed_stack_guard(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (random)
		memcpy(&__stack_chk_guard, random, sizeof(__stack_chk_guard));
}
#endif

/* 2.33 */
int fstat(int fd, struct stat *st)
{
	return syscall(SYS_fstat, fd, st);
}

/* 2.28 */
int fcntl64(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return syscall(SYS_fcntl, fd, command, arg);
}

/* 2.22; only for kconfig externs, which no object of ours has. */
FILE *fmemopen(void *buf, size_t size, const char *mode)
{
	(void)buf;
	(void)size;
	(void)mode;
	errno = ENOSYS;
	return NULL;
}

void *__memcpy_chk(void *dst, const void *src, size_t len, size_t room)
{
	(void)room;
	return memcpy(dst, src, len);
}

char *__strcpy_chk(char *dst, const char *src, size_t room)
{
	(void)room;
	return strcpy(dst, src);
}

char *__strcat_chk(char *dst, const char *src, size_t room)
{
	(void)room;
	return strcat(dst, src);
}

char *__realpath_chk(const char *path, char *resolved, size_t room)
{
	(void)room;
	return realpath(path, resolved);
}

int __vsnprintf_chk(char *dst, size_t len, int flag, size_t room, const char *format, va_list args)
{
	(void)flag;
	(void)room;
	return vsnprintf(dst, len, format, args);
}

int __snprintf_chk(char *dst, size_t len, int flag, size_t room, const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = __vsnprintf_chk(dst, len, flag, room, format, args);
	va_end(args);
	return ret;
}

int __sprintf_chk(char *dst, int flag, size_t room, const char *format, ...)
{
	va_list args;
	int ret;

	(void)flag;
	(void)room;
	va_start(args, format);
	ret = vsprintf(dst, format, args);
	va_end(args);
	return ret;
}

int __vfprintf_chk(FILE *file, int flag, const char *format, va_list args)
{
	(void)flag;
	return vfprintf(file, format, args);
}

int __vdprintf_chk(int fd, int flag, const char *format, va_list args)
{
	(void)flag;
	return vdprintf(fd, format, args);
}
