/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's helpers, registers and constants, without its headers.
 * Everything here exists on Linux 4.4.
 */
#ifndef LIB_KERNEL_H
#define LIB_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "lib/abi.h"
#include "record.h"

#define inline_always static __attribute__((always_inline)) inline

/*
 * Function arguments at a kprobe. The context is the architecture's struct pt_regs, whose layout is ABI; it is
 * read as 64-bit words because the uapi headers of another architecture cannot be included in one build.
 */
#if defined(__TARGET_ARCH_x86)
#define REG_ARG1 14   /* di */
#define REG_ARG2 13   /* si */
#define REG_ARG3 12   /* dx */
#define REG_ARG4 11   /* cx */
#define REG_ARG5 9    /* r8 */
#define REG_ARG6 8    /* r9 */
#define REG_RETURN 10 /* ax */
#define REG_SP 19
#define STACK_ARGS 8 /* at function entry the return address lies at sp */
#elif defined(__TARGET_ARCH_arm64)
#define REG_ARG1 0
#define REG_ARG2 1
#define REG_ARG3 2
#define REG_ARG4 3
#define REG_ARG5 4
#define REG_ARG6 5
#define REG_ARG7 6
#define REG_ARG8 7
#define REG_RETURN 0
#define REG_SP 31
#define STACK_ARGS 0
#else
#error "no register layout for this architecture: add one above"
#endif

#define reg(ctx, n) (((u64 *)(ctx))[n])

/*
 * The arguments of the function, as plain numbers, of a program that is attached at a kprobe or called by the function itself
 * (fentry): then the context is an array of them. Each load is text of its own, as the compiler would make one of both, at an
 * address that the verifier does not know.
 */
#ifdef LINUX_5_10
#define argument(ctx, n)                                                                           \
	({                                                                                         \
		u64 _argument;                                                                     \
		if (constant(CONSTANT_FENTRY))                                                     \
			asm volatile("%0 = *(u64 *)(%1 + %2); %0 = -%0; %0 = -%0"                  \
				     : "=&r"(_argument)                                            \
				     : "r"(ctx), "i"(((n) - 1) * 8));                              \
		else                                                                               \
			asm volatile("%0 = *(u64 *)(%1 + %2)"                                      \
				     : "=&r"(_argument)                                            \
				     : "r"(ctx), "i"(REG_ARG##n * 8));                             \
		_argument;                                                                         \
	})
/* The result of a function that calls the program when it returns (fexit): it lies behind the arguments, which are so many. */
#define returned(ctx, count) (((u64 *)(ctx))[count])
#else
#define argument(ctx, n) reg(ctx, REG_ARG##n)
#endif

/*
 * The address of a hook's sock as a plain number: before 5.13 a program may not use the pointer as a map's key. After
 * the two negations the verifier takes the same value for a number.
 */
#define address_of(pointer)                                                                        \
	({                                                                                         \
		u64 _address = (u64)(pointer);                                                     \
		asm volatile("%0 = -%0; %0 = -%0" : "+r"(_address));                               \
		_address;                                                                          \
	})

/*
 * 1 of 0, else 0. Opaque in the middle, as the compiler would make a branch of it. Not a mask: of what is 0 or -1 the verifier of
 * 6.18 walks both ways.
 */
inline_always u64 is_0(u64 bits)
{
	u64 sign = bits | -bits;

	asm volatile("" : "+r"(sign));
	return sign >> 63 ^ 1;
}

/*
 * copy_process() copies memory of a process, and returns 0 if it could. read_kernel() reads memory of the kernel, where what
 * cannot be read is 0. copy_words() copies a multiple of 8 bytes of it to a place of 64-bit words, and returns 0 if it could.
 */
#ifdef LINUX_6_2
/*
 * No program names a helper that reads the kernel's memory: a kernel in lockdown mode "confidentiality" has none.
 * bpf_rdonly_cast() of the kernel makes of any address a pointer to a type that a program may load from; a load that faults
 * gives 0. The type is struct pt_regs, of 64-bit words: a load may be anywhere that is within one of them. The verifier
 * makes a move of the call. Two calls are never taken for one, so the loads stay in their order.
 */
static const void *(*cast)(u64 address, u64 type) = (void *)CAST_MAGIC;

#define WORDS_MOST 128 /* behind these some of its words have members of their own */
#define read_kernel(dst, address)                                                                  \
	({                                                                                         \
		_Static_assert(sizeof(dst) <= WORDS_MOST, "read it in pieces");                    \
		__builtin_memcpy(&(dst),                                                           \
				 __builtin_assume_aligned(cast((u64)(address), TYPE_MAGIC), 8),    \
				 sizeof(dst));                                                     \
	})
/* Else the compiler keeps each word that was loaded by itself, for which the stack may have no room. */
#define keep_in_memory(of) asm volatile("" : : "r"(of) : "memory")

#define copy_process(dst, bytes, address) bpf_probe_read_user(dst, bytes, (void *)(address))

/* Memory that is all 0 is taken for such that cannot be read. */
inline_always s64 copy_words(void *to, u32 bytes, u64 address)
{
	u64 any = 0;

#pragma clang loop unroll(disable)
	for (u64 at = 0; at < bytes; at += 8) {
		const u64 *from = cast(address + at, TYPE_MAGIC);
		u64 word = *from;

		*(u64 *)(to + at) = word;
		any |= word;
	}
	return -(s64)is_0(any);
}
#else
#define keep_in_memory(of) (void)(of)
/* bpf_probe_read, not _kernel and _user: those are 5.5+. The destination is the stack: older verifiers want it so. */
#define read_kernel(dst, address) bpf_probe_read(&(dst), sizeof(dst), (void *)(address))
#define copy_process(dst, bytes, address) bpf_probe_read(dst, bytes, (void *)(address))
#define copy_words(to, bytes, address) bpf_probe_read(to, bytes, (void *)(address))
#endif

#define read_process(dst, address) copy_process(&(dst), sizeof(dst), address)

/* 0 where it cannot be read. */
inline_always u64 word_at(u64 address)
{
	u64 word = 0;

	read_kernel(word, address);
	return word;
}

#endif
