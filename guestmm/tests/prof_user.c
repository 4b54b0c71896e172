/*
 * Operations for `mmvm profile` that a program does: user/profile_mem marks them itself, through
 * the private system call. Those that swap have a swap area on a RAM disk, so that the profile
 * holds the kernel's work and one copy a page, no device's and no waiting.
 */
#include "mm/bio.h"
#include "tests/prof.h"

#define DISK_PAGES   8192ul
#define PAGE_SECTORS (PAGE_SIZE / 512)
#define ANON_PAGES   1024ul

static char *disk;

static void ram_submit(struct block_device *bdev, struct bio *bio)
{
	u64 at = bio->sector * 512;

	bio->status = 0;
	if (bio->op == BIO_READ || bio->op == BIO_WRITE) {
		if (bio->sector + bio->nr_pages * PAGE_SECTORS > bdev->nr_sectors)
			bio->status = -EIO;
		for (u32 i = 0; i < bio->nr_pages && !bio->status; i++) {
			void *page = page_address(bio->pages[i]);

			if (bio->op == BIO_READ)
				memcpy(page, disk + at + i * PAGE_SIZE, PAGE_SIZE);
			else
				memcpy(disk + at + i * PAGE_SIZE, page, PAGE_SIZE);
		}
	} else if (bio->op != BIO_FLUSH) {
		bio->status = -EOPNOTSUPP;
	}
	bio->end_io(bio);
}

static struct block_device ram_disk = {
	.name = "ram0",
	.role = "ram0",
	.nr_sectors = DISK_PAGES * PAGE_SECTORS,
	.submit = ram_submit,
};

/** mkswap's header: version and last page at 1024, the word at the page's end. */
static int swap_on(void)
{
	u32 info[3] = {1, DISK_PAGES - 1, 0};

	disk = vmalloc(DISK_PAGES * PAGE_SIZE);
	if (!disk)
		return -ENOMEM;
	memset(disk, 0, PAGE_SIZE);
	memcpy(disk + 1024, info, sizeof(info));
	memcpy(disk + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	register_block_device(&ram_disk);
	return do_swapon(&ram_disk, -1);
}

#define USER_OP(name)                                                                           \
	GUEST_TEST(profile, name, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 60, "memory=64M,high=8M") \
	{                                                                                       \
		CHECK_EQ(run_program("user/profile_mem", #name), 0);                            \
	}

USER_OP(syscall)
USER_OP(anon_fault)
USER_OP(zero_fault)
USER_OP(cow_zero)
USER_OP(populate)
USER_OP(munmap)
USER_OP(dontneed)
USER_OP(mprotect)
USER_OP(map_unmap)

GUEST_TEST(profile, swap_in, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 60, "memory=40M,high=8M")
{
	s64 in = ev(PSWPIN);

	REQUIRE(swap_on() == 0);
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

	REQUIRE(swap_on() == 0);
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
