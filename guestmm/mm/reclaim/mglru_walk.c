/*
 * Accessed bits for the multi-generational policy: walks of page tables, and looks at the neighbours of
 * a bit that rmap has found.
 *
 *   walk      every address space ─> every page table ─> hot by the filter? ─> 512 entries
 *   eviction  rmap ─> an accessed bit ─> the 64 entries around it, and the table is hot
 *
 * Most tables of a large process hold nothing that was used lately. A Bloom filter remembers the tables that held
 * used pages. A walk looks only at those, and fills the filter for the next walk. Used pages that it misses are
 * found by rmap, which adds their table. Without a filter, as at first, all tables are walked.
 *
 * F1  Filter seq % 2 is read by the walk of seq and was written during that of seq - 1; the other one is
 *     being written. A bit that is set too often costs a look, one that is lost a page's protection.
 *
 * Only kswapd walks. A walk may drop the last reference of an address space and free it; direct reclaim must not do
 * that under the locks that it may hold.
 *
 * Locks: mmap_lock for reading (tried, not waited for); page_table_lock for one table at a time, so that its
 * pages are not unmapped. Filters are read and written without a lock.
 */
#include "mm/reclaim/mglru.h"
#include "lib/string.h"
#include "mm/virt/mm.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"

#define FILTER_BITS  8192u /* two hashes: one in 50 is wrong with 700 tables (1.4 GiB) */
#define LOOK_AROUND  64u   /* entries */
#define HOT_FRACTION 8u	   /* a table is hot when at least one page in this many was used */

static u64 filter[MMVM_MAX_NODES][2][FILTER_BITS / 64];
static u64 filter_seq[MMVM_MAX_NODES]; /* of the walk that reads filter [seq % 2]; 0: none yet */

static u32 hash_of(const void *table, unsigned int which)
{
	u64 h = (u64)(unsigned long)table / PAGE_SIZE * 0x9e3779b97f4a7c15ull;

	return (u32)(h >> (which ? 20 : 40)) % FILTER_BITS;
}

bool mglru_table_is_hot(unsigned int node, u64 seq, const void *table)
{
	const u64 *f = filter[node][seq % 2];

	if (READ_ONCE(filter_seq[node]) != seq)
		return true; /* no filter yet: every table may be hot */
	for (unsigned int i = 0; i < 2; i++) {
		u32 bit = hash_of(table, i);

		if (!(READ_ONCE(f[bit / 64]) >> bit % 64 & 1))
			return false;
	}
	return true;
}

void mglru_table_found_hot(unsigned int node, u64 seq, const void *table)
{
	u64 *f = filter[node][(seq + 1) % 2];

	for (unsigned int i = 0; i < 2; i++) {
		u32 bit = hash_of(table, i);

		atomic_or(&f[bit / 64], 1ull << bit % 64);
	}
}

/* The page of a used entry, if it is one that the policy manages. P held. */
static struct page *young_page(pte_t *pte)
{
	struct page *page;

	if (!pte_young(pte_read(pte)) || !pfn_valid(pte_pfn(pte_read(pte))))
		return NULL;
	page = pfn_to_page(pte_pfn(pte_read(pte)));
	/* Not the zero page, nor pages that a driver has mapped. */
	if (page->type != PAGE_ANON && page->type != PAGE_FILE && page->type != PAGE_SHMEM)
		return NULL;
	return pte_test_and_clear_young(pte) ? page : NULL;
}

/* The entries [pte, pte + nr) of a table. Returns how many pages were used, *present how many there
 * are. */
static unsigned int walk_entries(pte_t *pte, unsigned int nr, unsigned int *present)
{
	unsigned int young = 0;

	for (unsigned int i = 0; i < nr; i++, pte++) {
		struct page *page;

		if (!(pte_present(pte_read(pte))))
			continue;
		++*present;
		page = young_page(pte);
		if (page) {
			mglru_page_young(page);
			young++;
		}
	}
	return young;
}

/* mmap_lock held. */
static void walk_vma(struct vm_area_struct *vma, unsigned int node, u64 seq)
{
	unsigned long addr, next;

	for (addr = vma->vm_start; addr < vma->vm_end; addr = next) {
		unsigned int level, present = 0, young;
		const void *table;
		pte_t *pte = walk_leaf(vma->mm->pgd, addr, &level, &next);

		next = min(next, vma->vm_end);
		if (!pte || level)
			continue;
		table = (const void *)((unsigned long)pte & PAGE_MASK);
		if (!mglru_table_is_hot(node, seq, table))
			continue;
		spin_lock(&vma->mm->page_table_lock);
		young = walk_entries(pte, (unsigned int)((next - addr) / PAGE_SIZE), &present);
		spin_unlock(&vma->mm->page_table_lock);
		if (young * HOT_FRACTION >= present && young)
			mglru_table_found_hot(node, seq, table);
		cond_resched();
	}
}

static void walk_mm(struct mm_struct *mm, unsigned int node, u64 seq)
{
	struct vm_area_struct *vma;

	if (!down_read_trylock(&mm->mmap_lock))
		return;
	list_for_each_entry (vma, &mm->mmap, link)
		if (!(vma->flags & VM_LOCKED))
			walk_vma(vma, node, seq);
	up_read(&mm->mmap_lock);
}

void mglru_walk(struct lruvec *lv, u64 seq)
{
	unsigned int node = lv->node->id;

	memset(filter[node][(seq + 1) % 2], 0, sizeof(filter[node][0]));
	for (struct mm_struct *mm = mm_next(NULL); mm; mm = mm_next(mm))
		walk_mm(mm, node, seq);
	WRITE_ONCE(filter_seq[node], seq + 1);
}

void mglru_look_around(struct vm_area_struct *vma, unsigned long addr, pte_t *pte)
{
	const void *table = (const void *)((unsigned long)pte & PAGE_MASK);
	unsigned int index = ((unsigned long)pte & ~PAGE_MASK) / sizeof(*pte);
	unsigned int from = index - index % LOOK_AROUND, to = from + LOOK_AROUND, present = 0;
	unsigned long start = addr - (unsigned long)(index - from) * PAGE_SIZE;
	const struct page *page = pfn_to_page(pte_pfn(pte_read(pte)));
	u64 seq = READ_ONCE(filter_seq[page_node_id(page)]);

	/* Only entries of this mapping: those of others may be of another kind. */
	if (start < vma->vm_start)
		from += (unsigned int)((vma->vm_start - start) / PAGE_SIZE);
	if (start + LOOK_AROUND * PAGE_SIZE > vma->vm_end)
		to -= (unsigned int)((start + LOOK_AROUND * PAGE_SIZE - vma->vm_end) / PAGE_SIZE);
	walk_entries(pte - (index - from), to - from, &present);
	/* For the next walk, which reads what is written now. */
	if (seq)
		mglru_table_found_hot(page_node_id(page), seq - 1, table);
}
