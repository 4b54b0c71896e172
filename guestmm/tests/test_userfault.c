/*
 * Events of userfaultfd: who copies, moves or throws away registered memory waits until a reader has read of it, and a
 * copy has a context of its own. What programs see is user/libc/userfault_events.c's to test.
 */
#include "mm/fault/userfault.h"
#include "mm/move/memory_failure.h"
#include "tests/tests.h"

#define MEM   "memory=64M swap=64M"
#define PAGES 8
#define MOST  8
#define ALL                                                                               \
	(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | \
	 UFFD_FEATURE_EVENT_UNMAP)

/** PAGES pages of shared memory, mapped: the address or -errno. */
static long map_shared(struct mm_struct *mm)
{
	return do_mmap(mm, 0, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       0);
}

/** A thread that reads events until it is to stop. */
struct reader {
	struct uffd_ctx *ctx;
	struct mm_struct *mm;
	unsigned long seen_at; /* the page that it looks at when it reads of REMOVE */
	struct uffd_event got[MOST];
	u32 nr;	       /* A */
	u32 changing;  /* A: events during which answers were refused */
	u32 was_there; /* A: REMOVEs that were read before the memory was emptied */
	u32 fork_failures;
	bool stop, gone;
	struct wait_queue wq;
	spinlock_t lock;
};

static int reads(void *arg)
{
	struct reader *r = arg;
	struct uffd_event ev;

	while (!READ_ONCE(r->stop)) {
		wait_event_timeout(uffd_readers(r->ctx), uffd_has_pending(r->ctx), 10000000ull);
		if (!uffd_has_pending(r->ctx))
			continue;
		if (uffd_fill(r->ctx, r->seen_at, r->seen_at + PAGE_SIZE, NULL, UFFD_FILL) ==
		    -EAGAIN)
			atomic_add(&r->changing, 1);
		if (!pte_none(testmm_pte(r->mm, r->seen_at)))
			atomic_add(&r->was_there, 1);
		if (!uffd_take_event(r->ctx, &ev))
			continue;
		if (ev.event == UFFD_EVENT_FORK) {
			uffd_put(ev.child);
			if (r->fork_failures) {
				r->fork_failures--;
				uffd_fork_read(r->ctx, ev.id, UFFD_FORK_AGAIN);
				continue;
			}
		}
		if (r->nr < MOST)
			r->got[r->nr] = ev;
		atomic_add(&r->nr, 1);
		wake_up(&r->wq);
		if (ev.event == UFFD_EVENT_FORK)
			uffd_fork_read(r->ctx, ev.id, UFFD_FORK_DONE);
	}
	/* The struct is on the stack of who waits: the lock keeps it there until this has let go. */
	spin_lock(&r->lock);
	WRITE_ONCE(r->gone, true);
	wake_up(&r->wq);
	spin_unlock(&r->lock);
	return 0;
}

static void stop(struct reader *r)
{
	WRITE_ONCE(r->stop, true);
	wait_event(&r->wq, READ_ONCE(r->gone));
	spin_lock(&r->lock);
	spin_unlock(&r->lock);
}

/* The causer goes on when the event is taken, which is before the reader has noted it. */
static void check_event(struct test *t, struct reader *r, u32 i, u32 event, unsigned long from,
			unsigned long to)
{
	wait_event(&r->wq, atomic_load(&r->nr) > i);
	CHECK_EQ(r->got[i].event, event);
	CHECK_EQ(r->got[i].arg[0], from);
	CHECK_EQ(r->got[i].arg[1], to);
}

GUEST_TEST(userfault, who_changes_memory_waits_for_the_reader, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE), to;
	struct reader r = {.mm = mm, .seen_at = a};
	u64 v = 1;

	wait_queue_init(&r.wq);
	spin_lock_init(&r.lock);
	r.ctx = uffd_create(mm, UFFD_ALL_FAULTS);
	REQUIRE(r.ctx);
	uffd_set_features(r.ctx, ALL);
	testmm_fill(t, mm, a, PAGES, 1);
	CHECK_EQ(uffd_register(r.ctx, a, a + PAGES * PAGE_SIZE, UFFD_MODE_MISSING | UFFD_MODE_WP),
		 0);
	CHECK_EQ(uffd_writeprotect(r.ctx, a + PAGE_SIZE, a + 2 * PAGE_SIZE, UFFD_PROTECT), 0);
	REQUIRE(kthread_run(reads, &r, "uffd_reader") == 0);
	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_DONTNEED), 0);
	check_event(t, &r, 0, UFFD_EVENT_REMOVE, a, a + PAGE_SIZE);
	CHECK_EQ(r.was_there, 1);
	CHECK_EQ(r.changing, 1);
	CHECK(!uffd_changing(r.ctx));
	CHECK(pte_none(testmm_pte(mm, a)));
	CHECK_EQ(do_munmap(mm, a + 6 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	check_event(t, &r, 1, UFFD_EVENT_UNMAP, a + 6 * PAGE_SIZE, a + 8 * PAGE_SIZE);
	/* It moves, with its registration and its protection. */
	to = a - 64 * PAGE_SIZE;
	CHECK_EQ(do_mremap(mm, a, 4 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to),
		 to);
	check_event(t, &r, 2, UFFD_EVENT_REMAP, a, to);
	CHECK_EQ(r.got[2].arg[2], 4 * PAGE_SIZE);
	check_event(t, &r, 3, UFFD_EVENT_UNMAP, a, a + 4 * PAGE_SIZE);
	CHECK(pte_uffd_wp(testmm_pte(mm, to + PAGE_SIZE)));
	CHECK_EQ(uffd_fill(r.ctx, to, to + PAGE_SIZE, NULL, UFFD_FILL), 0);
	CHECK_EQ(testmm_read(mm, to, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(settled_audit(), 0);
	stop(&r);
	CHECK_EQ(r.nr, 4);
	CHECK_EQ(r.changing, 4);
	uffd_release(r.ctx);
	mmput(mm);
	CHECK_EQ(nr_uffd, 0);
	CHECK_EQ(nr_uffd_unmap, 0);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(userfault, a_copy_has_a_context_of_its_own, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	long s = map_shared(mm);
	struct reader r = {.mm = mm, .seen_at = a, .fork_failures = 2};
	struct vm_area_struct *vma;

	REQUIRE(s > 0);
	wait_queue_init(&r.wq);
	spin_lock_init(&r.lock);
	r.ctx = uffd_create(mm, UFFD_ALL_FAULTS);
	REQUIRE(r.ctx);
	uffd_set_features(r.ctx, ALL);
	testmm_fill(t, mm, a, 4, 1);
	CHECK_EQ(uffd_register(r.ctx, a, a + PAGES * PAGE_SIZE, UFFD_MODE_MISSING | UFFD_MODE_WP),
		 0);
	CHECK_EQ(uffd_writeprotect(r.ctx, a + PAGE_SIZE, a + 2 * PAGE_SIZE, UFFD_PROTECT), 0);
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_NORMAL), 0);
	testmm_fill(t, mm, s, 2, 1);
	CHECK_EQ(uffd_register(r.ctx, s, s + PAGES * PAGE_SIZE, UFFD_MODE_WP), 0);
	CHECK_EQ(uffd_writeprotect(r.ctx, s + PAGE_SIZE, s + 3 * PAGE_SIZE, UFFD_PROTECT), 0);
	REQUIRE(kthread_run(reads, &r, "uffd_reader") == 0);
	child = dup_mm(mm); /* the reader fails twice before it has a descriptor */
	REQUIRE(child);
	CHECK_EQ(r.nr, 1);
	CHECK_EQ(r.got[0].event, UFFD_EVENT_FORK);
	CHECK_EQ(r.fork_failures, 0);
	CHECK_EQ(nr_uffd, 2);
	vma = find_vma(child, a);
	REQUIRE(vma && vma->uffd);
	CHECK(vma->uffd == r.got[0].child);
	CHECK(vma->uffd != r.ctx);
	CHECK_EQ(vma->flags & VM_UFFD, VM_UFFD_MISSING | VM_UFFD_WP);
	CHECK(pte_uffd_wp(testmm_pte(child, a + PAGE_SIZE)));
	CHECK(!pte_uffd_wp(testmm_pte(child, a)));
	/* Of shared memory it maps no page yet: those that are protected have markers. */
	CHECK(pte_none(testmm_pte(child, s)));
	CHECK(pte_is_uffd_wp_marker(testmm_pte(child, s + PAGE_SIZE)));
	CHECK(pte_is_uffd_wp_marker(testmm_pte(child, s + 2 * PAGE_SIZE)));
	CHECK(pte_none(testmm_pte(child, s + 3 * PAGE_SIZE)));
	/* Each answers for its own. */
	CHECK_EQ(uffd_fill(r.ctx, a + 5 * PAGE_SIZE, a + 6 * PAGE_SIZE, NULL, UFFD_FILL), 0);
	CHECK(pte_none(testmm_pte(child, a + 5 * PAGE_SIZE)));
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	CHECK_EQ(nr_uffd, 1); /* nobody has kept the child's */
	stop(&r);
	/* A context that is closed keeps nobody waiting, and the copy is ordinary memory. */
	uffd_release(r.ctx);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK(!find_vma(child, a)->uffd);
	CHECK(!pte_uffd_wp(testmm_pte(child, a + PAGE_SIZE)));
	mmput(child);
	mmput(mm);
	CHECK_EQ(nr_uffd, 0);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(userfault, a_marker_protects_where_there_is_no_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	long s = map_shared(mm);
	struct uffd_ctx *ctx = uffd_create(mm, UFFD_ALL_FAULTS);
	u64 v = 1;

	REQUIRE(ctx && s > 0);
	uffd_set_features(ctx, UFFD_FEATURE_SIGBUS | UFFD_FEATURE_WP_UNPOPULATED);
	testmm_fill(t, mm, s, 4, 1);
	for (unsigned long at = a;; at = s) {
		CHECK_EQ(uffd_register(ctx, at, at + PAGES * PAGE_SIZE, UFFD_MODE_WP), 0);
		CHECK_EQ(uffd_writeprotect(ctx, at, at + PAGES * PAGE_SIZE, UFFD_PROTECT), 0);
		CHECK(pte_is_uffd_wp_marker(testmm_pte(mm, at + 7 * PAGE_SIZE)));
		CHECK_EQ(testmm_write(mm, at + 7 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
		CHECK_EQ(testmm_read(mm, at + 6 * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, 0);
		CHECK_EQ(testmm_write(mm, at + 6 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
		CHECK_EQ(settled_audit(), 0);
		if (at == (unsigned long)s)
			break;
	}
	/* Out to swap and back. */
	CHECK_EQ(do_madvise(mm, s, 4 * PAGE_SIZE, MADV_PAGEOUT), 0);
	for (unsigned int i = 0; i < 4; i++) {
		CHECK(pte_is_uffd_wp_marker(testmm_pte(mm, s + i * PAGE_SIZE)));
		CHECK_EQ(testmm_write(mm, s + i * PAGE_SIZE, 1) & ~VM_FAULT_MAJOR, VM_FAULT_SIGBUS);
	}
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, s, 4, 1);
	uffd_release(ctx);
	CHECK(pte_none(testmm_pte(mm, a)));
	CHECK_EQ(testmm_write(mm, s, 1), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(userfault, what_is_poisoned_is_refused_until_it_is_thrown_away, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	long s = map_shared(mm);
	struct uffd_ctx *ctx = uffd_create(mm, UFFD_ALL_FAULTS);
	u64 v = 1;

	REQUIRE(ctx && s > 0);
	for (unsigned long at = a;; at = s) {
		const unsigned long lost = at + 2 * PAGE_SIZE;

		CHECK_EQ(uffd_fill(ctx, lost, lost + PAGE_SIZE, NULL, UFFD_POISON), -ENOENT);
		CHECK_EQ(uffd_register(ctx, at, at + PAGES * PAGE_SIZE, UFFD_MODE_MISSING), 0);
		CHECK_EQ(uffd_fill(ctx, lost, lost + PAGE_SIZE, NULL, UFFD_POISON), 0);
		CHECK_EQ(uffd_fill(ctx, lost, lost + PAGE_SIZE, NULL, UFFD_POISON), -EEXIST);
		CHECK_EQ(uffd_fill(ctx, lost, lost + PAGE_SIZE, NULL, UFFD_FILL), -EEXIST);
		CHECK_EQ(testmm_read(mm, lost, &v), VM_FAULT_HWPOISON);
		CHECK_EQ(testmm_write(mm, lost, 1), VM_FAULT_HWPOISON);
		/* What is there is not poisoned. */
		CHECK_EQ(uffd_fill(ctx, at, at + PAGE_SIZE, NULL, UFFD_FILL), 0);
		CHECK_EQ(uffd_fill(ctx, at, at + PAGE_SIZE, NULL, UFFD_POISON), -EEXIST);
		CHECK_EQ(testmm_read(mm, at, &v), 0);
		CHECK_EQ(settled_audit(), 0);
		if (at == (unsigned long)s)
			break;
	}
	CHECK_EQ(mm->rss_anon + mm->rss_shmem, 1); /* one is the zero page */
	/* A copy has private memory's marks; of shared memory it asks the file, which has lost nothing. */
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_read(child, a + 2 * PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(testmm_read(child, s + 2 * PAGE_SIZE, &v), 0);
	mmput(child);
	for (unsigned long at = a;; at = s) {
		const unsigned long lost = at + 2 * PAGE_SIZE;

		CHECK_EQ(do_madvise(mm, lost, PAGE_SIZE, MADV_DONTNEED), 0);
		CHECK(pte_none(testmm_pte(mm, lost)));
		if (at == (unsigned long)s)
			break;
	}
	CHECK_EQ(uffd_fill(ctx, a + 2 * PAGE_SIZE, a + 3 * PAGE_SIZE, NULL, UFFD_FILL), 0);
	CHECK_EQ(testmm_read(mm, a + 2 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	/* The marks stay when the context is gone. */
	CHECK_EQ(uffd_fill(ctx, a + 3 * PAGE_SIZE, a + 4 * PAGE_SIZE, NULL, UFFD_POISON), 0);
	uffd_release(ctx);
	CHECK_EQ(testmm_read(mm, a + 3 * PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(num_poisoned_pages, 0); /* no frame was withdrawn */
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}
