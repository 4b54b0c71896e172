/*
 * Special mappings and protection keys on the host: the state after a touch, a write, a fork and a move,
 * with every allocation made to fail in turn, and that a copy makes the TLB flushes that it owes.
 */
#include "mm_user.h"
#include "lib/fail.h"
#include "mm/virt/pkey.h"
#include "mm/fault/special.h"
#include "unit.h"

#define AT 0x10000000ul

static struct page *pages[2];
static struct special_mapping shown = {
	.name = "[test]",
	.flags = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
	.pages = pages,
	.nr_pages = 2,
};

static struct mm_struct *with_special(void)
{
	struct mm_struct *mm = mm_alloc();

	down_write(&mm->mmap_lock);
	MUST(!install_special_mapping(mm, AT, &shown), "install");
	up_write(&mm->mmap_lock);
	return mm;
}

static void end(struct mm_struct *mm)
{
	mmput(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	check_all();
	for (unsigned int i = 0; i < 2; i++) { /* nobody else has them */
		CU_ASSERT_EQUAL(page_ref_count(pages[i]), 1);
		CU_ASSERT_EQUAL(*(u64 *)host_page(pages[i]), 100 + i);
	}
}

static void pages_are_shown(void)
{
	struct mm_struct *mm = with_special(), *child;
	u64 v;

	CU_ASSERT_EQUAL(user_get(mm, AT), 100);
	CU_ASSERT_EQUAL(user_get(mm, AT + PAGE_SIZE), 101);
	CU_ASSERT_EQUAL(user_write(mm, AT, 1), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(mm_rss(mm), 0);
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(user_get(child, AT + PAGE_SIZE), 101);
	mmput(child);
	/* A part of it is moved, and knows what it shows. */
	CU_ASSERT_EQUAL(do_mremap(mm, AT + PAGE_SIZE, PAGE_SIZE, PAGE_SIZE,
				  MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AT),
			2 * AT);
	CU_ASSERT_EQUAL(user_read(mm, AT + PAGE_SIZE, &v), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT_EQUAL(do_madvise(mm, 2 * AT, PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(user_get(mm, 2 * AT), 101);
	CU_ASSERT_EQUAL(do_mremap(mm, 2 * AT, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0),
			-EFAULT);
	end(mm);
}

/* A write to what another CPU has read. */
static void a_copy_owes_a_flush(void)
{
	struct mm_struct *mm = with_special();

	CU_ASSERT_EQUAL(do_mprotect(mm, AT, 2 * PAGE_SIZE, RW), 0);
	CU_ASSERT_EQUAL(user_get(mm, AT), 100);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, AT, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 1);
	end(mm);
}

/* A copy, the child's copy of it, and the page again: with the k-th allocation failing. True: one has failed. */
static bool work_failing_at(unsigned int k)
{
	u64 failed = alloc_fail_count();
	struct mm_struct *mm, *child;

	alloc_fail_nth(k);
	mm = mm_alloc();
	if (mm) {
		down_write(&mm->mmap_lock);
		install_special_mapping(mm, AT, &shown);
		up_write(&mm->mmap_lock);
		if (!do_mprotect(mm, AT, PAGE_SIZE, RW)) {
			user_write(mm, AT + 8, k);
			child = dup_mm(mm);
			if (child) {
				user_write(child, AT + 8, k + 1);
				mmput(child);
			}
		}
		do_mremap(mm, AT, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AT);
	}
	alloc_fail_nth(0);
	check_all();
	if (mm)
		end(mm);
	return alloc_fail_count() > failed;
}

static void any_allocation_may_fail(void)
{
	unsigned int k = 1;

	while (work_failing_at(k))
		k++;
	CU_ASSERT_TRUE(k > 8);
}

/* ---- protection keys ---- */

static u64 entry_key(struct mm_struct *mm, unsigned long addr)
{
	const pte_t *pte = walk_pte(mm->pgd, addr);

	return pte ? pte_read(pte).v >> _PAGE_PKEY_SHIFT & 0xf : 99;
}

static void keys(void)
{
	struct mm_struct *mm;
	unsigned long at;

	host_pku = true;
	mm = user_mm_with(8, &at);
	CU_ASSERT_EQUAL(do_pkey_free(mm, 0), 0); /* as Linux: who frees key 0 may */
	CU_ASSERT_EQUAL(do_pkey_alloc(mm, 0, 0), 0);
	for (int i = 1; i < NR_PKEYS; i++)
		CU_ASSERT_EQUAL(do_pkey_alloc(mm, 0, 0), i);
	CU_ASSERT_EQUAL(do_pkey_alloc(mm, 0, 0), -ENOSPC);
	CU_ASSERT_EQUAL(do_pkey_mprotect(mm, at, 4 * PAGE_SIZE, RW, 15), 0);
	CU_ASSERT_EQUAL(do_pkey_mprotect(mm, at + 2 * PAGE_SIZE, 4 * PAGE_SIZE, PROT_NONE, 9), 0);
	CU_ASSERT_EQUAL(entry_key(mm, at + PAGE_SIZE), 15);
	CU_ASSERT_EQUAL(entry_key(mm, at + 5 * PAGE_SIZE), 9);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	/* None is left for memory that may be executed only: its pages keep what they have. */
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_EXEC), 0);
	CU_ASSERT_EQUAL(entry_key(mm, at), 15);
	CU_ASSERT_EQUAL(do_pkey_free(mm, 4), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_EXEC), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_EXEC), 0);
	CU_ASSERT_EQUAL(entry_key(mm, at), 4);
	CU_ASSERT_TRUE(arch_pkru() & PKEY_DISABLE_ACCESS << 8);
	CU_ASSERT_EQUAL(do_pkey_free(mm, 4), -EINVAL);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, RW), 0);
	CU_ASSERT_EQUAL(entry_key(mm, at), 0);
	mmput(mm);
	check_all();
	host_pku = false;
}

static void no_keys(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(1, &at);

	CU_ASSERT_EQUAL(do_pkey_alloc(mm, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_pkey_free(mm, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_pkey_mprotect(mm, at, PAGE_SIZE, RW, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_pkey_mprotect(mm, at, PAGE_SIZE, PROT_EXEC, -1), 0);
	CU_ASSERT_EQUAL(entry_key(mm, at), 0);
	mmput(mm);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"pages of the kernel's are shown", pages_are_shown},
		{"a copy owes a TLB flush", a_copy_owes_a_flush},
		{"any allocation may fail", any_allocation_may_fail},
		{"protection keys", keys},
		{"no protection keys", no_keys},
	};

	host_boot_default("debug_vm");
	mm_init();
	for (unsigned int i = 0; i < 2; i++) {
		pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		MUST(pages[i], "page");
		*(u64 *)host_page(pages[i]) = 100 + i;
	}
	special_mapping_register(&shown);
	return unit_run("special", cases, ARRAY_SIZE(cases));
}
