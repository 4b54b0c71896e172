/* A function of the vDSO, for programs without a C library. The image comes from the kernel, so its format is not
 * checked. */
#ifndef USER_VDSO_H
#define USER_VDSO_H
#include <linux/auxvec.h>
#include <linux/elf.h>
#include "rt.h"

/** Address of the image, from the auxiliary vector behind the environment; 0: there is none. */
static inline unsigned long vdso_image(char **argv)
{
	unsigned long *at = (unsigned long *)argv;

	for (int i = 0; i < 2; i++) { /* behind the arguments, behind the environment */
		while (*at)
			at++;
		at++;
	}
	for (; at[0] != AT_NULL; at += 2) {
		if (at[0] == AT_SYSINFO_EHDR)
			return at[1];
	}
	return 0;
}

/** The function of this name, or NULL. */
static inline void *vdso_function(char **argv, const char *name)
{
	unsigned long base = vdso_image(argv);
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)base;
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *sym = NULL;
	const char *str = NULL;
	const uint32_t *hash = NULL;

	for (int i = 0; base && i < eh->e_phnum; i++) {
		const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + eh->e_phoff) + i;

		if (ph->p_type == PT_DYNAMIC)
			dyn = (const Elf64_Dyn *)(base + ph->p_offset);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		const void *at = (const void *)(base + dyn->d_un.d_ptr);

		if (dyn->d_tag == DT_STRTAB)
			str = at;
		if (dyn->d_tag == DT_SYMTAB)
			sym = at;
		if (dyn->d_tag == DT_HASH)
			hash = at;
	}
	for (uint32_t i = 0; str && sym && hash && i < hash[1]; i++) {
		if (sym[i].st_shndx && !strcmp(str + sym[i].st_name, name))
			return (void *)(base + sym[i].st_value);
	}
	return NULL;
}

struct vdso_timespec {
	int64_t sec, nsec;
};
typedef int (*vdso_clock_gettime)(int clock, struct vdso_timespec *ts);
#endif
