// SPDX-License-Identifier: Apache-2.0
/*
 * Functions of glibc that Debian's libstdc++ needs and musl lacks: enough to start Bun's musl build, whose C++ runtime
 * Alpine has as a package and Debian does not have at all. For the test only.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/random.h>

__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

char __libc_single_threaded;

/* Only asked whether it is there: then there are threads. */
int __pthread_key_create(unsigned int *key, void (*destructor)(void *))
{
	(void)key;
	(void)destructor;
	return -1;
}

/* The unwinder finds nothing: Bun throws no C++ exceptions. */
int _dl_find_object(void *pc, void *result)
{
	(void)pc;
	(void)result;
	return -1;
}

/* On arm64, to find out which atomic instructions there are. */
unsigned long __getauxval(unsigned long type)
{
	return getauxval(type);
}

uint32_t arc4random(void)
{
	uint32_t value = 0;

	(void)!getrandom(&value, sizeof(value), 0);
	return value;
}
