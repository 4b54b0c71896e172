/*
 * Operations for `mmvm profile` that a program does: user/profile_mem marks them itself, through
 * the private system call. Those that swap have a swap area on a RAM disk, so that the profile
 * holds the kernel's work and one copy a page, no device's and no waiting.
 */
#include "tests/prof.h"
#include "tests/ram_disk.h"

#define ANON_PAGES 1024ul

#define USER_OP(name)                                                                           \
	GUEST_TEST(profile, name, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 60, "memory=64M,high=8M") \
	{                                                                                       \
		CHECK_EQ(run_program("user/profile_mem", #name), 0);                            \
	}

USER_OP(syscall)
USER_OP(anon_fault)
USER_OP(zero_fault)
USER_OP(zero_cow)
USER_OP(populate)
USER_OP(munmap)
USER_OP(dontneed)
USER_OP(mprotect)
USER_OP(map_unmap)
USER_OP(brk)
USER_OP(vmas)
USER_OP(cow_fault)
USER_OP(shared_fault)
USER_OP(cached_fault)
USER_OP(cached_write)
USER_OP(cached_read)
USER_OP(fork_512)
USER_OP(fork_wait)

GUEST_TEST(profile, swap_in, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 60, "memory=40M,high=8M")
{
	s64 in = ev(PSWPIN);

	REQUIRE(ram_disk_swapon() == 0);
	CHECK_EQ(run_program("user/profile_mem", "swap_in"), 0);
	CHECK(ev(PSWPIN) > in);
}

/** One direct reclaim: a batch of pages out. */
static void op_swap_out(void)
{
	try_to_free_pages(GFP_KERNEL, 0);
}

GUEST_TEST(profile, swap_out, MMVM_TESTF_BENCH, 60, "memory=64M,high=8M")
{
	struct mm_struct *mm;
	unsigned long addr;
	s64 out;

	REQUIRE(ram_disk_swapon() == 0);
	mm = testmm_create(t);
	REQUIRE(mm);
	addr = testmm_map(t, mm, ANON_PAGES * PAGE_SIZE);
	REQUIRE(addr);
	for (unsigned long i = 0; i < ANON_PAGES; i++)
		REQUIRE(testmm_write(mm, addr + i * PAGE_SIZE, word_for(addr, i)) == 0);
	out = ev(PSWPOUT);
	profile_kernel(t, "swap_out", op_swap_out);
	CHECK(ev(PSWPOUT) > out);
	mmput(mm);
}
