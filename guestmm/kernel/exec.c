/*
 * Loading a static ELF program: check the file, map its segments, build the first stack.
 *
 * Works in the current, empty address space. Each segment becomes anonymous memory, is filled
 * through ordinary user-memory writes, and gets its final protection last; so the page tables, the
 * accounting and the reverse map see a program like any other.
 *
 *   stack, from the top:  argv strings, platform, 16 random bytes, file name
 *                         auxv, NULL, (no environment) NULL, argv pointers, argc  <- rsp,
 * 16-aligned
 *
 * Sources: System V ABI AMD64 supplement 3.4 (process initialisation); <linux/elf.h>.
 */
#include <linux/elf.h>
#include <linux/auxvec.h>

#include "kernel/task.h"
#include "arch/uaccess.h"
#include "fs/initrd.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"

#define STACK_TOP     (TASK_SIZE & PAGE_MASK)
#define STACK_INITIAL (128ul << 10)
#define PIE_BASE      0x555555554000ul
#define MAX_ARGS      256
#define MAX_ARG_BYTES (64u << 10)
#define MAX_PHDRS     64

struct image {
	const u8 *file;
	size_t size;
	const Elf64_Ehdr *eh;
	const Elf64_Phdr *ph;
	unsigned long bias; /* 0, or where a position-independent program was put */
	unsigned long phdr_addr, entry, end;
};

static int image_check(struct image *im)
{
	const Elf64_Ehdr *eh = (const void *)im->file;
	unsigned int i;

	if (im->size < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64 || (eh->e_type != ET_EXEC && eh->e_type != ET_DYN) ||
	    eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > MAX_PHDRS ||
	    eh->e_phoff > im->size || im->size - eh->e_phoff < eh->e_phnum * sizeof(Elf64_Phdr))
		return -ENOEXEC;
	im->eh = eh;
	im->ph = (const void *)(im->file + eh->e_phoff);
	for (i = 0; i < eh->e_phnum; i++) {
		const Elf64_Phdr *p = &im->ph[i];

		if (p->p_type == PT_INTERP)
			return -ENOEXEC; /* dynamic: no linker here */
		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || p->p_offset > im->size ||
		    im->size - p->p_offset < p->p_filesz || p->p_vaddr >= TASK_SIZE ||
		    p->p_memsz > TASK_SIZE - p->p_vaddr)
			return -ENOEXEC;
	}
	im->bias = eh->e_type == ET_DYN ? PIE_BASE : 0;
	return 0;
}

static int segment_prot(const Elf64_Phdr *p)
{
	return (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
	       (p->p_flags & PF_X ? PROT_EXEC : 0);
}

static int map_segment(struct mm_struct *mm, struct image *im, const Elf64_Phdr *p)
{
	unsigned long vaddr = im->bias + p->p_vaddr;
	unsigned long start = vaddr & PAGE_MASK;
	unsigned long end = ALIGN_UP(vaddr + p->p_memsz, PAGE_SIZE);
	int prot = segment_prot(p);
	long got;

	if (!p->p_memsz)
		return 0;
	if (end > TASK_SIZE)
		return -ENOEXEC;
	got = do_mmap(mm, start, end - start, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0);
	if (got < 0)
		return got == -EEXIST ? -ENOEXEC : (int)got;
	if (copy_to_user(vaddr, im->file + p->p_offset, p->p_filesz))
		return -ENOMEM;
	if (prot != (PROT_READ | PROT_WRITE)) {
		int err = do_mprotect(mm, start, end - start, prot);

		if (err)
			return err;
	}
	if (p->p_flags & PF_X) {
		mm->start_code = vaddr;
		mm->end_code = vaddr + p->p_filesz;
	} else if (p->p_flags & PF_W) {
		mm->start_data = vaddr;
		mm->end_data = vaddr + p->p_filesz;
	}
	/* The program headers as the program sees them: in the segment that holds them. */
	if (im->eh->e_phoff >= p->p_offset && im->eh->e_phoff - p->p_offset < p->p_filesz)
		im->phdr_addr = vaddr + (im->eh->e_phoff - p->p_offset);
	im->end = max(im->end, end);
	return 0;
}

/* A stack being built downwards. Errors stick: one check at the end. */
struct builder {
	unsigned long sp;
	bool failed;
};

static unsigned long push_bytes(struct builder *b, const void *data, size_t n)
{
	b->sp -= n;
	b->failed |= copy_to_user(b->sp, data, n) != 0;
	return b->sp;
}

static int build_stack(struct mm_struct *mm, struct image *im, const char *path, const char *argv,
		       u32 argv_len, unsigned long *sp)
{
	/* One exec at a time (spawn_lock), and too large for a kernel stack. */
	static u64 words[MAX_ARGS + 64];
	struct builder b = {.sp = STACK_TOP - 16};
	u64 random[2] = {get_random_u64(), get_random_u64()};
	unsigned long random_addr, path_addr, platform, strings;
	unsigned int n = 0, argc = 0;
	u32 i;
	int err;

	if (argv_len > MAX_ARG_BYTES || (argv_len && argv[argv_len - 1]))
		return -E2BIG;
	err = mm_setup_stack(mm, STACK_TOP, STACK_INITIAL);
	if (err)
		return err;
	mm->start_stack = STACK_TOP;

	path_addr = push_bytes(&b, path, strlen(path) + 1);
	random_addr = push_bytes(&b, random, sizeof(random));
	platform = push_bytes(&b, "x86_64", 7);
	strings = push_bytes(&b, argv, argv_len);

	n = 1; /* argc, filled in below */
	for (i = 0; i < argv_len; i += strlen(argv + i) + 1) {
		if (argc == MAX_ARGS)
			return -E2BIG;
		words[n++] = strings + i;
		argc++;
	}
	words[0] = argc;
	words[n++] = 0; /* end of argv */
	words[n++] = 0; /* end of the environment */
#define AUX(type, value)                   \
	do {                               \
		words[n++] = (type);       \
		words[n++] = (u64)(value); \
	} while (0)
	AUX(AT_PHDR, im->phdr_addr);
	AUX(AT_PHENT, sizeof(Elf64_Phdr));
	AUX(AT_PHNUM, im->eh->e_phnum);
	AUX(AT_PAGESZ, PAGE_SIZE);
	AUX(AT_BASE, 0);
	AUX(AT_FLAGS, 0);
	AUX(AT_ENTRY, im->entry);
	AUX(AT_UID, 0);
	AUX(AT_EUID, 0);
	AUX(AT_GID, 0);
	AUX(AT_EGID, 0);
	AUX(AT_SECURE, 0);
	AUX(AT_CLKTCK, 100);
	AUX(AT_RANDOM, random_addr);
	AUX(AT_PLATFORM, platform);
	AUX(AT_EXECFN, path_addr);
	AUX(AT_NULL, 0);
#undef AUX
	b.sp = ALIGN_DOWN(b.sp, 16) - ALIGN_UP(n * sizeof(u64), 16);
	b.failed |= copy_to_user(b.sp, words, n * sizeof(u64)) != 0;
	*sp = b.sp;
	return b.failed ? -ENOMEM : 0;
}

int exec_load(const char *path, const char *argv, u32 argv_len, unsigned long *entry,
	      unsigned long *sp)
{
	struct mm_struct *mm = current->mm;
	struct image im = {0};
	const void *file;
	unsigned int i;
	int err;

	err = initrd_find(path, &file, &im.size);
	if (err)
		return err;
	im.file = file;
	err = image_check(&im);
	if (err)
		return err;
	for (i = 0; i < im.eh->e_phnum; i++) {
		if (im.ph[i].p_type != PT_LOAD)
			continue;
		err = map_segment(mm, &im, &im.ph[i]);
		if (err)
			return err;
	}
	im.entry = im.bias + im.eh->e_entry;
	if (!im.end || im.entry >= TASK_SIZE)
		return -ENOEXEC;
	mm->start_brk = im.end;
	mm->brk = im.end;
	err = build_stack(mm, &im, path, argv, argv_len, sp);
	if (err)
		return err;
	*entry = im.entry;
	return 0;
}
