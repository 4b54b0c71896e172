/*
 * The TLB forgets what the page tables no longer say. Each case loads entries by touching pages
 * through user addresses, changes the mapping by the call under test, and touches them again at
 * once, with no switch of address space in between that would forget by itself: a flush that is
 * missing shows as old contents, as an access that should have failed, or as a fault that did not
 * happen. Several pages, because one entry may be evicted by chance; several rounds, because pages
 * that the host has never seen make an exit, and an exit may flush for us.
 */
#include "arch/uaccess.h"
#include "kernel/task.h"
#include "tests/tests.h"

#define MEM    "memory=24M,high=4M swap=16M"
#define PAGES  16ul
#define LEN    (PAGES * PAGE_SIZE)
#define ROUNDS 8

static bool put(unsigned long addr, u64 v)
{
	return copy_to_user(addr, &v, sizeof(v)) == 0;
}

/** What the CPU reads at a user address, or ~0 when it may not. */
static u64 get(unsigned long addr)
{
	u64 v;

	return copy_from_user(&v, addr, sizeof(v)) ? ~0ull : v;
}

static unsigned int count_get(unsigned long a, u64 first, u64 step)
{
	unsigned int n = 0;

	for (unsigned long i = 0; i < PAGES; i++)
		n += get(a + i * PAGE_SIZE) == first + i * step;
	return n;
}

static unsigned int put_all(unsigned long a, u64 first)
{
	unsigned int n = 0;

	for (unsigned long i = 0; i < PAGES; i++)
		n += put(a + i * PAGE_SIZE, first + i);
	return n;
}

/** A test address space, loaded into the CPU, with PAGES pages written and in the TLB. */
static struct mm_struct *begin(struct test *t, unsigned long *a)
{
	struct mm_struct *mm = testmm_create(t);

	/* One page more, so that the page table stays when the others go: freeing it flushes too. */
	*a = testmm_map(t, mm, LEN + PAGE_SIZE);
	kthread_use_mm(mm);
	CHECK(put(*a + LEN, 1));
	CHECK_EQ(put_all(*a, 100), PAGES);
	CHECK_EQ(count_get(*a, 100, 1), PAGES);
	return mm;
}

static void end(struct mm_struct *mm)
{
	kthread_unuse_mm();
	mmput(mm);
}

GUEST_TEST(tlb, unmapped_pages_are_forgotten, 0, 0, MEM)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long a;
		struct mm_struct *mm = begin(t, &a);

		CHECK_EQ(do_munmap(mm, a, LEN), 0);
		CHECK_EQ(count_get(a, ~0ull, 0), PAGES);
		end(mm);
	}
}

GUEST_TEST(tlb, rights_taken_away_are_forgotten, 0, 0, MEM)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long a;
		struct mm_struct *mm = begin(t, &a);

		CHECK_EQ(do_mprotect(mm, a, LEN, PROT_READ), 0);
		CHECK_EQ(put_all(a, 200), 0);
		CHECK_EQ(count_get(a, 100, 1), PAGES);
		CHECK_EQ(do_mprotect(mm, a, LEN, PROT_NONE), 0);
		CHECK_EQ(count_get(a, ~0ull, 0), PAGES);
		end(mm);
	}
}

GUEST_TEST(tlb, pages_thrown_away_are_forgotten, 0, 0, MEM)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long a;
		struct mm_struct *mm = begin(t, &a);

		CHECK_EQ(do_madvise(mm, a, LEN, MADV_DONTNEED), 0);
		CHECK_EQ(count_get(a, 0, 0), PAGES);
		end(mm);
	}
}

GUEST_TEST(tlb, pages_swapped_out_are_forgotten, 0, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = begin(t, &a);
	s64 out = ev(PSWPOUT), in = ev(MMVM_FAULT_SWAP), one = ev(NR_TLB_LOCAL_FLUSH_ONE);
	unsigned int gone = 0;

	CHECK_EQ(do_madvise(mm, a, LEN, MADV_PAGEOUT), 0);
	for (unsigned long i = 0; i < PAGES; i++)
		gone += !pte_present(testmm_pte(mm, a + i * PAGE_SIZE));
	CHECK_EQ(gone, PAGES);
	CHECK_EQ(ev(PSWPOUT) - out, PAGES);
	/* The write to disk is an exit, so here the flushes are counted as well: one a page when the
	 * accessed bit goes, one when the entry does. */
	CHECK(ev(NR_TLB_LOCAL_FLUSH_ONE) - one >= (s64)(2 * PAGES));
	CHECK_EQ(count_get(a, 100, 1), PAGES);
	CHECK_EQ(ev(MMVM_FAULT_SWAP) - in, PAGES); /* each touch was a fault */
	end(mm);
}

GUEST_TEST(tlb, pages_shared_by_fork_are_read_only_at_once, 0, 0, MEM)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long a;
		struct mm_struct *mm = begin(t, &a), *child = dup_mm(mm);
		s64 cow = ev(MMVM_FAULT_COW);
		unsigned int kept = 0;

		REQUIRE(child);
		CHECK_EQ(put_all(a, 200), PAGES);
		CHECK_EQ(ev(MMVM_FAULT_COW) - cow, PAGES);
		for (unsigned long i = 0; i < PAGES; i++) {
			u64 v = 0;

			kept += !testmm_read(child, a + i * PAGE_SIZE, &v) && v == 100 + i;
		}
		CHECK_EQ(kept, PAGES);
		mmput(child);
		end(mm);
	}
}

GUEST_TEST(tlb, moved_pages_are_forgotten_where_they_were, 0, 0, MEM)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long a, to;
		struct mm_struct *mm = begin(t, &a);

		to = a - 4 * MIB;
		CHECK_EQ(do_mremap(mm, a, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
		CHECK_EQ(count_get(a, ~0ull, 0), PAGES);
		CHECK_EQ(count_get(to, 100, 1), PAGES);
		end(mm);
	}
}
