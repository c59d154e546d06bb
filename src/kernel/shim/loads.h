/* SPDX-License-Identifier: Apache-2.0 */
/* Functions between libbpf and its own bpf_prog_load(): see types.c and loads.c. */
#ifndef TRACER_LOADS_H
#define TRACER_LOADS_H

#include <bpf/bpf.h>

int __real_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
			 const struct bpf_insn *insns, size_t count,
			 struct bpf_prog_load_opts *opts);
int load_later(enum bpf_prog_type type, const char *name, const char *license,
	       const struct bpf_insn *insns, size_t count, const struct bpf_prog_load_opts *opts);

#endif
