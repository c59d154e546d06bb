// SPDX-License-Identifier: Apache-2.0
/*
 * Stands in for libelf's error module. Debian's archive is not position-independent code, and that
 * member is the only one whose thread-local variable cannot be linked into a shared object.
 */
static int last_error;

void __libelf_seterrno(int value);
int elf_errno(void);
const char *elf_errmsg(int error);

void __libelf_seterrno(int value)
{
	last_error = value;
}

int elf_errno(void)
{
	int value = last_error;

	last_error = 0;
	return value;
}

const char *elf_errmsg(int error)
{
	return error || last_error ? "malformed ELF data" : "no error";
}
