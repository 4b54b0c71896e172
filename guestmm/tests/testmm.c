/*
 * An address space without a program: kernel code makes the faults, through handle_mm_fault(), and
 * touches the pages through the direct map. So a case decides exactly which address is touched when
 * and how, and looks at PTEs and struct pages in between.
 *
 * The accessed and dirty bits are set as the CPU would, under page_table_lock, so that reclaim on
 * another thread cannot take the page between our look at the PTE and our access.
 */
#include "mm/numa/mempolicy.h"
#include "mm/phys/highmem.h"
#include "mm/pgtable/large.h"
#include "tests/tests.h"

struct mm_struct *testmm_create(struct test *t)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		test_fail(t, __FILE__, __LINE__, "mm_alloc failed");
	return mm;
}

unsigned long testmm_map(struct test *t, struct mm_struct *mm, unsigned long len)
{
	long addr = do_mmap(mm, 0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);

	t->checks++;
	if (addr < 0 && addr >= -MAX_ERRNO) {
		test_fail(t, __FILE__, __LINE__, "do_mmap of %lu bytes: %ld", len, addr);
		return 0;
	}
	return addr;
}

static int may_map(struct map_source *src, unsigned long vm_flags)
{
	return 0;
}

unsigned long testmm_map_file(struct test *t, struct mm_struct *mm, struct address_space *mapping,
			      struct file *file, int flags, unsigned long pages)
{
	struct map_source src = {.file = file,
				 .mapping = mapping,
				 .readable = true,
				 .writable = true,
				 .prepare = may_map};
	long at = do_mmap_file(mm, 0, pages << PAGE_SHIFT, PROT_READ | PROT_WRITE, flags, 0, &src);

	t->checks++;
	if (at < 0 && at >= -MAX_ERRNO) {
		test_fail(t, __FILE__, __LINE__, "do_mmap_file of %lu pages: %ld", pages, at);
		return 0;
	}
	return at;
}

pte_t testmm_pte(struct mm_struct *mm, unsigned long addr)
{
	pte_t *ptep = walk_pte(mm->pgd, addr);

	return ptep ? pte_read(ptep) : __pte(0);
}

struct page *testmm_page(struct mm_struct *mm, unsigned long addr)
{
	unsigned long next;
	unsigned int level;
	pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);
	pte_t e = leaf ? pte_read(leaf) : __pte(0);

	return pte_present(e) ? pfn_to_page(leaf_pfn(e, level, addr)) : NULL;
}

/** Access the word at addr if its PTE allows it now. */
static bool try_access(struct mm_struct *mm, unsigned long addr, u64 *v, bool write)
{
	bool ok = false;
	unsigned int level;
	unsigned long next;
	pte_t *ptep;

	spin_lock(&mm->page_table_lock);
	ptep = walk_leaf(mm->pgd, addr, &level, &next);
	if (ptep) {
		pte_t pte = pte_read(ptep);

		ok = (pte_val(pte) & _PAGE_PRESENT) && (!write || pte_write(pte));
		if (ok) {
			char *page = kmap_local_page(pfn_to_page(leaf_pfn(pte, level, addr)));
			u64 *word = (u64 *)(page + (addr & ~PAGE_MASK & ~7ul));

			atomic_or(&ptep->v, _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0));
			if (write)
				*word = *v;
			else
				*v = *word;
			kunmap_local(page);
		}
	}
	spin_unlock(&mm->page_table_lock);
	return ok;
}

static unsigned int access(struct mm_struct *mm, unsigned long addr, u64 *v, enum touch how)
{
	/* Reclaim may take the page again before we use it: fault again, but not for ever. */
	for (int i = 0; i < 100; i++) {
		unsigned int ret;

		if (try_access(mm, addr, v, how == TOUCH_WRITE))
			return 0;
		ret = handle_mm_fault(
			mm, addr, FAULT_FLAG_USER | (how == TOUCH_WRITE ? FAULT_FLAG_WRITE : 0));
		if (ret & VM_FAULT_ERROR)
			return ret;
	}
	return VM_FAULT_SIGBUS;
}

unsigned int testmm_write(struct mm_struct *mm, unsigned long addr, u64 v)
{
	return access(mm, addr, &v, TOUCH_WRITE);
}

unsigned int testmm_read(struct mm_struct *mm, unsigned long addr, u64 *v)
{
	return access(mm, addr, v, TOUCH_READ);
}

unsigned int testmm_touch(struct mm_struct *mm, unsigned long addr, enum touch how)
{
	u64 v = word_for(addr, 0);

	return access(mm, addr, &v, how);
}

unsigned int testmm_level(struct mm_struct *mm, unsigned long addr)
{
	unsigned long next;
	unsigned int level;

	return walk_leaf(mm->pgd, addr, &level, &next) ? level : TESTMM_NO_LEAF;
}

void testmm_fill(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long n, u64 seed)
{
	for (unsigned long i = 0; i < n; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, word_for(a + i * PAGE_SIZE, seed)), 0);
}

void testmm_verify(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long n, u64 seed)
{
	unsigned long wrong = 0;

	for (unsigned long i = 0; i < n; i++) {
		u64 v = 0;

		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
		wrong += v != word_for(a + i * PAGE_SIZE, seed);
	}
	CHECK_EQ(wrong, 0);
}

unsigned long testmm_on_node(struct mm_struct *mm, unsigned long a, unsigned long n, int nid)
{
	unsigned long there = 0;

	for (unsigned long i = 0; i < n; i++)
		there += page_node_at(mm, a + i * PAGE_SIZE) == nid;
	return there;
}
