/*
 * Faults that a program answers (userfaultfd), and access to other address spaces: what registering does to
 * VMAs, what an answer maps and what it refuses, and that answered pages are swapped, copied and freed like
 * any others. Waiting takes two threads: user/libc/userfault.c tests it.
 */
#include "mm_user.h"
#include "mm/fault/remote.h"
#include "mm/fault/userfault.h"
#include "unit.h"

static struct host_disk *disk;
static u8 contents[PAGE_SIZE];

static struct mm_struct *mm_with(unsigned long pages, int flags, unsigned long *at)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, flags | MAP_ANONYMOUS, 0);
	return mm;
}

/* SIGBUS instead of waiting: so one thread can see what would have waited. */
static struct uffd_ctx *context(struct mm_struct *mm)
{
	struct uffd_ctx *ctx = uffd_create(mm, UFFD_ALL_FAULTS);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	uffd_set_features(ctx, UFFD_FEATURE_SIGBUS);
	return ctx;
}

static bool waits(struct mm_struct *mm, unsigned long addr)
{
	u64 v;

	return user_read(mm, addr, &v) == VM_FAULT_SIGBUS;
}

static void registering_cuts_and_joins(void)
{
	unsigned long at;
	struct mm_struct *mm = mm_with(16, MAP_PRIVATE, &at);
	struct uffd_ctx *a = context(mm), *b = context(mm);

	CU_ASSERT_EQUAL(uffd_register(a, at + 4 * PAGE_SIZE, at + 8 * PAGE_SIZE, UFFD_MODE_MISSING),
			0);
	CU_ASSERT_EQUAL(mm->map_count, 3);
	CU_ASSERT_EQUAL(uffd_register(b, at + 7 * PAGE_SIZE, at + 9 * PAGE_SIZE, UFFD_MODE_MISSING),
			-EBUSY);
	CU_ASSERT_EQUAL(uffd_register(a, at + 8 * PAGE_SIZE, at + 9 * PAGE_SIZE, UFFD_MODE_MISSING),
			0);
	CU_ASSERT_EQUAL(mm->map_count, 3); /* joined: the same context */
	CU_ASSERT_EQUAL(
		uffd_register(b, at + 9 * PAGE_SIZE, at + 10 * PAGE_SIZE, UFFD_MODE_MISSING), 0);
	CU_ASSERT_EQUAL(mm->map_count, 4); /* another one */
	CU_ASSERT_EQUAL(uffd_register(a, at, at + PAGE_SIZE, UFFD_MODE_MINOR), -EINVAL);
	check_all();
	CU_ASSERT(waits(mm, at + 4 * PAGE_SIZE));
	CU_ASSERT(waits(mm, at + 9 * PAGE_SIZE));
	CU_ASSERT(!waits(mm, at + 10 * PAGE_SIZE));
	CU_ASSERT_EQUAL(do_mprotect(mm, at + 5 * PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(mm->map_count, 6);
	CU_ASSERT(waits(mm, at + 5 * PAGE_SIZE));
	CU_ASSERT_EQUAL(do_mprotect(mm, at + 5 * PAGE_SIZE, PAGE_SIZE, RW), 0);
	CU_ASSERT_EQUAL(uffd_unregister(a, at, at + 16 * PAGE_SIZE), 0);
	CU_ASSERT(!waits(mm, at + 4 * PAGE_SIZE));
	uffd_release(b); /* its file is closed */
	CU_ASSERT(!waits(mm, at + 9 * PAGE_SIZE));
	CU_ASSERT_EQUAL(do_munmap(mm, at + 2 * PAGE_SIZE, PAGE_SIZE), 0);
	check_all();
	uffd_release(a);
	mmput(mm);
	CU_ASSERT_EQUAL(nr_uffd, 0);
}

static void answers(void)
{
	unsigned long at, end;
	struct mm_struct *mm = mm_with(8, MAP_PRIVATE, &at);
	struct uffd_ctx *ctx = context(mm);

	end = at + 4 * PAGE_SIZE;
	CU_ASSERT_EQUAL(uffd_register(ctx, at, end, UFFD_MODE_MISSING), 0);
	memset(contents, 0x5a, sizeof(contents));
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, end, contents, UFFD_FILL), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + 8), 0x5a5a5a5a5a5a5a5aull);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, end, contents, UFFD_FILL), -EEXIST);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + PAGE_SIZE, end, NULL, UFFD_FILL), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(user_write(mm, at + PAGE_SIZE, 9),
			0); /* the zero page is copied, unasked */
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + 2 * PAGE_SIZE, end + PAGE_SIZE, contents, UFFD_FILL),
			-ENOENT);
	CU_ASSERT_EQUAL(uffd_fill(ctx, end, end + PAGE_SIZE, contents, UFFD_FILL), -ENOENT);
	CU_ASSERT_EQUAL(uffd_may_fill(ctx, at, end), 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 2);
	check_all();
	do_madvise(mm, at, PAGE_SIZE, MADV_PAGEOUT);
	CU_ASSERT_EQUAL(mm->rss_swap, 1);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, end, contents, UFFD_FILL), -EEXIST);
	CU_ASSERT_EQUAL(user_get(mm, at), 0x5a5a5a5a5a5a5a5aull); /* back, unasked */
	do_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED);
	CU_ASSERT(waits(mm, at));
	check_all();
	mmput(mm); /* before the file is closed */
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, end, contents, UFFD_FILL), -ESRCH);
	uffd_release(ctx);
	CU_ASSERT_EQUAL(nr_uffd, 0);
}

static void shared_memory(void)
{
	unsigned long at, other;
	struct mm_struct *mm = mm_with(8, MAP_SHARED, &at), *child;
	struct uffd_ctx *ctx = context(mm);
	u64 v;

	child = dup_mm(mm); /* the same memory, unregistered */
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(
		uffd_register(ctx, at, at + 8 * PAGE_SIZE, UFFD_MODE_MISSING | UFFD_MODE_MINOR), 0);
	CU_ASSERT(waits(mm, at));
	CU_ASSERT_EQUAL(user_write(child, at, 7), 0);
	CU_ASSERT(waits(mm, at)); /* a minor fault now */
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, at + PAGE_SIZE, contents, UFFD_FILL), -EEXIST);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, at + PAGE_SIZE, NULL, UFFD_MAP_PRESENT), 0);
	CU_ASSERT_EQUAL(user_get(mm, at), 7);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at, at + PAGE_SIZE, NULL, UFFD_MAP_PRESENT), -EEXIST);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + PAGE_SIZE, at + 2 * PAGE_SIZE, NULL, UFFD_MAP_PRESENT),
			-EFAULT);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + PAGE_SIZE, at + 2 * PAGE_SIZE, contents, UFFD_FILL), 0);
	CU_ASSERT_EQUAL(user_read(child, at + PAGE_SIZE, &v), 0);
	CU_ASSERT_EQUAL(v, 0x5a5a5a5a5a5a5a5aull);
	check_all();
	other = do_mremap(mm, at, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			  at - 64 * PAGE_SIZE);
	CU_ASSERT_EQUAL(other, at - 64 * PAGE_SIZE);
	CU_ASSERT_EQUAL(user_get(mm, other), 7);
	check_all();
	uffd_release(ctx);
	mmput(child);
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(nr_uffd, 0);
}

/* Is a write at the address asked about? With UFFD_FEATURE_SIGBUS the answer is VM_FAULT_SIGBUS. */
static bool asks(struct mm_struct *mm, unsigned long addr)
{
	unsigned int ret = user_write(mm, addr, 1);

	CU_ASSERT(ret == 0 || ret == VM_FAULT_SIGBUS);
	return ret;
}

static bool marker(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = walk_pte(mm->pgd, addr);

	return pte && pte_is_uffd_wp_marker(pte_read(pte));
}

static void protected_shared_memory(void)
{
	unsigned long at, to;
	struct mm_struct *mm = mm_with(8, MAP_SHARED, &at), *child;
	struct uffd_ctx *ctx = context(mm);
	const unsigned long end = at + 8 * PAGE_SIZE;

	CU_ASSERT_EQUAL(user_write(mm, at, 5), 0);
	CU_ASSERT_EQUAL(uffd_register(ctx, at, end, UFFD_MODE_WP), 0);
	CU_ASSERT_EQUAL(uffd_writeprotect(ctx, at, end, UFFD_PROTECT), 0);
	CU_ASSERT(!marker(mm, at));
	CU_ASSERT(marker(mm, at + 7 * PAGE_SIZE));
	check_all();
	CU_ASSERT(asks(mm, at));
	CU_ASSERT(asks(mm, at + PAGE_SIZE)); /* which has mapped it meanwhile */
	CU_ASSERT(!marker(mm, at + PAGE_SIZE));
	CU_ASSERT_EQUAL(user_get(mm, at + 2 * PAGE_SIZE), 0);
	CU_ASSERT(asks(mm, at + 2 * PAGE_SIZE));
	CU_ASSERT_EQUAL(mm->rss_shmem, 3);
	/* Whatever unmaps the page leaves a marker: advice, reclaim, truncation. */
	do_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED);
	CU_ASSERT(marker(mm, at));
	do_madvise(mm, at + PAGE_SIZE, PAGE_SIZE, MADV_PAGEOUT);
	CU_ASSERT(marker(mm, at + PAGE_SIZE));
	CU_ASSERT_EQUAL(do_madvise(mm, at + 2 * PAGE_SIZE, PAGE_SIZE, MADV_REMOVE), 0);
	CU_ASSERT(marker(mm, at + 2 * PAGE_SIZE));
	CU_ASSERT_EQUAL(mm->rss_shmem, 0);
	check_all();
	CU_ASSERT_EQUAL(user_get(mm, at), 5);
	for (unsigned long i = 0; i < 3; i++)
		CU_ASSERT(asks(mm, at + i * PAGE_SIZE));
	check_all();
	/* Nobody asks in a copy, and in another place. */
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT(!asks(child, at + 3 * PAGE_SIZE));
	mmput(child);
	to = do_mremap(mm, at + 5 * PAGE_SIZE, 2 * PAGE_SIZE, 2 * PAGE_SIZE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, at - 64 * PAGE_SIZE);
	CU_ASSERT_EQUAL(to, at - 64 * PAGE_SIZE);
	CU_ASSERT(!asks(mm, to));
	check_all();
	/* An answer that does not ask for protection ends it; the end of protection leaves nothing. */
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + 4 * PAGE_SIZE, at + 5 * PAGE_SIZE, contents, UFFD_FILL),
			0);
	CU_ASSERT(!asks(mm, at + 4 * PAGE_SIZE));
	CU_ASSERT_EQUAL(uffd_writeprotect(ctx, at, at + 4 * PAGE_SIZE, UFFD_UNPROTECT), 0);
	CU_ASSERT(!asks(mm, at + PAGE_SIZE));
	CU_ASSERT(marker(mm, at + 7 * PAGE_SIZE));
	uffd_release(ctx);
	CU_ASSERT(!marker(mm, at + 7 * PAGE_SIZE));
	CU_ASSERT(!asks(mm, at + 7 * PAGE_SIZE));
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(nr_uffd, 0);
}

static void protected_before_it_is_there(void)
{
	unsigned long at;
	struct mm_struct *mm = mm_with(1024, MAP_PRIVATE, &at);
	struct uffd_ctx *ctx = context(mm);
	const unsigned long end = at + 1024 * PAGE_SIZE, far = end - PAGE_SIZE;

	CU_ASSERT_EQUAL(uffd_register(ctx, at, end, UFFD_MODE_WP), 0);
	CU_ASSERT_EQUAL(uffd_writeprotect(ctx, at, end, UFFD_PROTECT), 0);
	CU_ASSERT(!marker(mm, far)); /* only where it was asked for */
	CU_ASSERT(!asks(mm, at));
	uffd_set_features(ctx, UFFD_FEATURE_SIGBUS | UFFD_FEATURE_WP_UNPOPULATED);
	CU_ASSERT_EQUAL(uffd_writeprotect(ctx, at, end, UFFD_PROTECT), 0);
	CU_ASSERT(marker(mm, far));
	CU_ASSERT_EQUAL(mm->rss_anon, 1);
	CU_ASSERT_EQUAL(mm->rss_swap, 0);
	check_all();
	CU_ASSERT(asks(mm, far));
	CU_ASSERT_EQUAL(user_get(mm, far), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 0);
	CU_ASSERT(asks(mm, at + PAGE_SIZE));
	do_madvise(mm, at, 4 * PAGE_SIZE,
		   MADV_DONTNEED); /* as Linux: not of private memory any more */
	CU_ASSERT(!asks(mm, at + PAGE_SIZE));
	CU_ASSERT(!asks(mm, at + 3 * PAGE_SIZE));
	/* What may overwrite a marker, and what may not. */
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + 4 * PAGE_SIZE, end, NULL, UFFD_FILL), -EEXIST);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + 4 * PAGE_SIZE, end, NULL, UFFD_POISON), -EEXIST);
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + 4 * PAGE_SIZE, end, contents, UFFD_FILL), 0);
	CU_ASSERT(!asks(mm, at + 4 * PAGE_SIZE));
	CU_ASSERT_EQUAL(uffd_fill(ctx, at + 5 * PAGE_SIZE, end, contents, UFFD_FILL_WP), 0);
	CU_ASSERT(asks(mm, at + 5 * PAGE_SIZE));
	CU_ASSERT_EQUAL(do_munmap(mm, at + 600 * PAGE_SIZE, 8 * PAGE_SIZE), 0);
	check_all();
	uffd_release(ctx);
	CU_ASSERT(!marker(mm, at + 6 * PAGE_SIZE));
	CU_ASSERT(!asks(mm, far));
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(nr_uffd, 0);
}

/* ---- another address space's memory ------------------------------------------------------------- */

static void remote_memory(void)
{
	unsigned long at;
	struct mm_struct *mm = mm_with(8, MAP_PRIVATE, &at), *child;
	char buf[64] = "written from outside";
	u64 v;

	CU_ASSERT_EQUAL(user_write(mm, at, 1), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	/* A write copies what is shared, as the program's own would. */
	CU_ASSERT_EQUAL(write_remote_vm(child, at, buf, sizeof(buf)), sizeof(buf));
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	memset(buf, 0, sizeof(buf));
	CU_ASSERT_EQUAL(read_remote_vm(child, at, buf, sizeof(buf)), sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "written from outside");
	/* Across pages, up to what may not be written. */
	do_mprotect(child, at + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	CU_ASSERT_EQUAL(write_remote_vm(child, at + 2 * PAGE_SIZE - 10, buf, 20), 10);
	CU_ASSERT_EQUAL(read_remote_vm(child, at + 2 * PAGE_SIZE - 10, buf, 20), 20);
	do_mprotect(child, at + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	CU_ASSERT_EQUAL(read_remote_vm(child, at + 3 * PAGE_SIZE, buf, 20), 0);
	/* What was written is not lost when the page goes to swap. */
	CU_ASSERT_EQUAL(user_read(child, at + 4 * PAGE_SIZE, &v), 0);
	do_madvise(child, at, PAGE_SIZE, MADV_PAGEOUT);
	v = 0x1234;
	CU_ASSERT_EQUAL(user_get(child, at) & 0xff, 'w');
	CU_ASSERT_EQUAL(write_remote_vm(child, at, &v, sizeof(v)), sizeof(v));
	do_madvise(child, at, PAGE_SIZE, MADV_PAGEOUT);
	CU_ASSERT_EQUAL(user_get(child, at), 0x1234);
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

/* What /proc/PID/mem does: where the program may not write, and could not even read. */
static void forced_writes(void)
{
	unsigned long at, shared;
	struct mm_struct *mm = mm_with(8, MAP_PRIVATE, &at), *child;
	char buf[32] = "a tracer's", out[32];
	struct vm_area_struct *vma;
	u64 v = 0;

	CU_ASSERT_EQUAL(user_write(mm, at, 1), 0);
	CU_ASSERT_EQUAL(user_read(mm, at + PAGE_SIZE, &v), 0); /* the zero page */
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	do_mprotect(mm, at, 3 * PAGE_SIZE, PROT_READ);
	do_mprotect(mm, at + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	CU_ASSERT_EQUAL(write_remote_vm(mm, at, buf, 8), 0);
	for (unsigned long i = 0; i < 4; i++) { /* shared with a child; zeroes; nothing; hidden */
		unsigned long a = at + i * PAGE_SIZE;
		unsigned int level;
		unsigned long next;

		CU_ASSERT_EQUAL(write_remote_vm_forced(mm, a, buf, sizeof(buf)), sizeof(buf));
		memset(out, 0, sizeof(out));
		CU_ASSERT_EQUAL(read_remote_vm_forced(mm, a, out, sizeof(out)), sizeof(out));
		CU_ASSERT_STRING_EQUAL(out, buf);
		CU_ASSERT(!pte_write(pte_read(walk_leaf(mm->pgd, a, &level, &next))));
		CU_ASSERT_NOT_EQUAL(user_write(mm, a, 2), 0);
	}
	CU_ASSERT_EQUAL(read_remote_vm(mm, at + 3 * PAGE_SIZE, out, 8), 0);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	CU_ASSERT_EQUAL(mm->rss_anon, 4);
	check_all();
	/* Out to swap, and written there. */
	do_madvise(mm, at, PAGE_SIZE, MADV_PAGEOUT);
	CU_ASSERT_EQUAL(write_remote_vm_forced(mm, at, "x", 1), 1);
	do_madvise(mm, at, PAGE_SIZE, MADV_PAGEOUT);
	CU_ASSERT_EQUAL(user_get(mm, at) & 0xffff, ' ' << 8 | 'x');
	/* Shared memory keeps what it is, if its program may not write. */
	shared = do_mmap(mm, 0, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, 0);
	CU_ASSERT_EQUAL(write_remote_vm_forced(mm, shared, buf, 8), 0);
	do_mprotect(mm, shared, PAGE_SIZE, RW);
	CU_ASSERT_EQUAL(write_remote_vm_forced(mm, shared, buf, 8), 8);
	/* Made writable again, each is the program's own. */
	do_mprotect(mm, at, 4 * PAGE_SIZE, RW);
	CU_ASSERT_EQUAL(user_write(mm, at, 3), 0);
	vma = find_vma(mm, at);
	CU_ASSERT_EQUAL(vma->flags & VM_WRITE, VM_WRITE);
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"registering cuts and joins", registering_cuts_and_joins},
		{"answers", answers},
		{"shared memory", shared_memory},
		{"protected shared memory", protected_shared_memory},
		{"protected before it is there", protected_before_it_is_there},
		{"memory of others", remote_memory},
		{"a tracer writes", forced_writes},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 32 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	return unit_run("userfault", cases, ARRAY_SIZE(cases));
}
