// SPDX-License-Identifier: Apache-2.0
/*
 * Memory of the executable's own code. The start runs through most of the runtime's code once, and a trace at rest needs a
 * tenth of it. The kernel takes such pages back only where memory is short, and counts them as the tool's until then.
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim.h"

/* At a poll the pages that it needs are mapped again from the page cache, 16 at a time: some hundred microseconds in all. */
#define RELEASE_AFTER_MS 10000

/* The executable is the first object. Nobody writes to its code, so its pages are as they are in the file. */
static int release_segments(struct dl_phdr_info *of, size_t size, void *page_bytes)
{
	unsigned long page = *(unsigned long *)page_bytes, from, to;
	const ElfW(Phdr) * segment;

	(void)size;
	for (int i = 0; i < of->dlpi_phnum; i++) {
		segment = &of->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) ||
		    segment->p_flags & PF_W)
			continue;
		from = (of->dlpi_addr + segment->p_vaddr + page - 1) / page * page;
		to = (of->dlpi_addr + segment->p_vaddr + segment->p_filesz) / page * page;
		if (from < to)
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 1;
}

/* To be called at each rest; now_ms: on a clock that begins anywhere. */
void release_code(__s64 now_ms)
{
	static __s64 again_ms;
	unsigned long page = sysconf(_SC_PAGESIZE);

	if (now_ms < again_ms)
		return;
	again_ms = now_ms + RELEASE_AFTER_MS;
	dl_iterate_phdr(release_segments, &page);
}
