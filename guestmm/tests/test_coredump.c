/* Core dumps: what is in them of memory, and that nothing is left. user/libc/cores.c has what is Linux's. */
#include <linux/elf.h>

#include "fs/file.h"
#include "tests/tests.h"

#define MEM	  "memory=24M,high=4M"
#define USER	  MMVM_TESTF_USER
#define MAX_PHDRS 40

/* The core of the program that has just died, from its first bytes. False: there is none. */
static bool read_core(struct test *t, Elf64_Ehdr *eh, Elf64_Phdr *ph, u64 *size, u64 *blocks)
{
	struct vfs_stat st;
	struct file *f;

	if (vfs_open(AT_FDCWD, "/core", O_RDONLY, 0, &f))
		return false;
	vfs_getattr(f->inode, &st);
	*size = (u64)st.size;
	*blocks = (u64)st.blocks;
	CHECK_EQ(kernel_file_read(f->mapping, eh, sizeof(*eh), 0), sizeof(*eh));
	CHECK(eh->e_phnum <= MAX_PHDRS);
	CHECK_EQ(kernel_file_read(f->mapping, ph, eh->e_phnum * sizeof(*ph), eh->e_phoff),
		 eh->e_phnum * sizeof(*ph));
	file_put(f);
	return true;
}

GUEST_TEST(core, a_program_that_dies_leaves_its_memory, USER, 0, MEM)
{
	u64 size, blocks, end = 0, dumped = 0, before = 0;
	Elf64_Phdr ph[MAX_PHDRS];
	Elf64_Ehdr eh;

	for (int i = 0; i < 3; i++) {
		kernel_limits[RLIMIT_CORE].cur = i ? RLIM_INFINITY : PAGE_SIZE - 1;
		CHECK_EQ(run_program("/bin/segv", "null"), i ? SIGSEGV | CORE_DUMPED : SIGSEGV);
		CHECK_EQ(read_core(t, &eh, ph, &size, &blocks), i != 0);
		vfs_unlink(AT_FDCWD, "/core");
		if (i == 1)
			before = free_pages_at_rest();
	}
	CHECK(free_pages_reach(before - 4));
	CHECK_EQ(eh.e_type, ET_CORE);
	CHECK_EQ(ph[0].p_type, PT_NOTE);
	for (unsigned int i = 1; i < eh.e_phnum; i++) {
		CHECK_EQ(ph[i].p_type, PT_LOAD);
		CHECK(ph[i].p_filesz <= ph[i].p_memsz);
		CHECK_EQ(ph[i].p_offset % PAGE_SIZE, 0);
		dumped += ph[i].p_filesz;
		end = max(end, ph[i].p_offset + ph[i].p_filesz);
	}
	CHECK(dumped >= 2 * PAGE_SIZE);
	CHECK_EQ(end, size);
	/* The stack is larger than what was used of it. */
	CHECK(blocks * 512 < size);
	kernel_limits[RLIMIT_CORE].cur = 0;
}

GUEST_TEST(core, the_limit_cuts_it_off, USER, 0, MEM)
{
	u64 size, blocks;
	Elf64_Phdr ph[MAX_PHDRS];
	Elf64_Ehdr eh;

	kernel_limits[RLIMIT_CORE].cur = 3 * PAGE_SIZE;
	CHECK_EQ(run_program("/bin/segv", "null"), SIGSEGV | CORE_DUMPED);
	REQUIRE(read_core(t, &eh, ph, &size, &blocks));
	CHECK(blocks * 512 <=
	      4 * PAGE_SIZE); /* holes do not count; its parts need not be whole pages */
	CHECK(size >= 2 * PAGE_SIZE);
	vfs_unlink(AT_FDCWD, "/core");
	kernel_limits[RLIMIT_CORE].cur = 0;
}

GUEST_TEST(core, nothing_is_left_in_an_unwritable_place, USER, 0, MEM)
{
	kernel_limits[RLIMIT_CORE].cur = RLIM_INFINITY;
	REQUIRE(!vfs_mkdir(AT_FDCWD, "/core", 0755));
	CHECK_EQ(run_program("/bin/segv", "null"), SIGSEGV);
	CHECK_EQ(vfs_rmdir(AT_FDCWD, "/core"), 0);
	kernel_limits[RLIMIT_CORE].cur = 0;
}
