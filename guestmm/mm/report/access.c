/*
 * Which pages were accessed since the last look: the accessed bits of all user page tables, read
 * and cleared.
 *
 *   PGD ── A? ──> PUD ── A? ──> PMD ── A? ──> PTE ── A? ──> frame's bit in the caller's bitmap
 *
 * The CPU sets the bit in every entry that it walks through, so an upper entry whose bit is clear
 * has nothing new below it, and cold memory costs one test for each 2 MiB. A TLB that still holds a
 * translation does not walk, and would hide the next access: the TLBs are flushed.
 *
 * Reclaim reads the same bits. What is taken from it here it finds in PG_young (page_referenced()
 * in rmap.c), so that watching a page does not make it look old.
 *
 * I1. A mapped page whose bit was cleared has PG_young set before that.
 * I2. When mm_access_sample() returns, no TLB holds a translation made before: an access from then
 *     on sets the bits again, at every level.
 * I3. An upper entry's bit is cleared before the entries below it are looked at: an access that
 *     comes in between is seen now or sets both again.
 *
 * Locks: mmap_lock for reading (tables stay), page_table_lock for a table of PTEs.
 */
#include "mm/report/access.h"
#include "arch/tlb.h"
#include "lib/trace.h"
#include "mm/virt/mm.h"
#include "mm/phys/folio.h"
#include "mm/virt/pgtable.h"

struct access_walk {
	struct mm_struct *mm;
	u64 *bitmap;
	unsigned long nr_bits;
	unsigned long found;
	bool cleared; /* some bit, at any level */
};

static void note(struct access_walk *w, unsigned long pfn)
{
	w->found++;
	if (likely(pfn < w->nr_bits))
		w->bitmap[pfn / 64] |= 1ull << pfn % 64;
}

/* Most entries have nothing to say: four are asked at once. */
#define GROUP 4
static inline bool group_young(const pte_t *e)
{
	return (READ_ONCE(e[0].v) | READ_ONCE(e[1].v) | READ_ONCE(e[2].v) | READ_ONCE(e[3].v)) &
	       _PAGE_ACCESSED;
}

static void sample_pte(struct access_walk *w, pte_t *pte, unsigned long addr)
{
	pte_t e = pte_read(pte);
	struct page *page;

	/* A swap entry may look like anything where the bit is. */
	if (!pte_young(e) || !pte_present(e) || pte_special(e))
		return;
	page = &pfn_folio(pte_pfn(e))->page;
	if (!PageYoung(page))
		SetPageYoung(page); /* I1 */
	pte_test_and_clear_young(pte);
	w->cleared = true;
	note(w, pte_pfn(e));
	trace_point(REF, addr, .pfn = pte_pfn(e), .mm = trace_mm_id(w->mm));
}

/* `addr`: of the table's first entry. */
static void sample_ptes(struct access_walk *w, pte_t *pte, unsigned long addr)
{
	spin_lock(&w->mm->page_table_lock);
	for (pte_t *end = pte + PTRS_PER_PTE; pte < end; pte += GROUP, addr += GROUP * PAGE_SIZE) {
		if (likely(!group_young(pte)))
			continue;
		for (int i = 0; i < GROUP; i++)
			sample_pte(w, &pte[i], addr + i * PAGE_SIZE);
	}
	spin_unlock(&w->mm->page_table_lock);
}

/** A page of 2 MiB or more: its bit is for all of it. */
static void sample_huge(struct access_walk *w, pte_t e, int level)
{
	unsigned long pfn = pte_pfn(e), nr = 1ul << 9 * level;
	struct page *head;

	pfn &= ~(nr - 1);
	head = pfn_to_page(pfn);
	if (!PageYoung(head))
		SetPageYoung(head);
	while (nr--)
		note(w, pfn++);
}

static void sample_table(struct access_walk *w, pte_t *table, int level, unsigned long addr);

static void sample_upper(struct access_walk *w, pte_t *slot, int level, unsigned long addr)
{
	pte_t e = pte_read(slot);

	if (!pte_young(e) || !(e.v & _PAGE_PRESENT))
		return;
	if (pte_huge(e))
		sample_huge(w, e, level);
	pte_test_and_clear_young(slot); /* I3 */
	w->cleared = true;
	if (pte_huge(e))
		return;
	if (level > 1)
		sample_table(w, pte_table(e), level - 1, addr);
	else
		sample_ptes(w, pte_table(e), addr);
}

static void sample_table(struct access_walk *w, pte_t *table, int level, unsigned long addr)
{
	pte_t *end = table + (level == pt_top_level ? PTRS_PER_PTE / 2 : PTRS_PER_PTE);
	unsigned long span = PAGE_SIZE << 9 * level; /* of an entry */

	for (; table < end; table += GROUP, addr += GROUP * span) {
		if (likely(!group_young(table)))
			continue;
		for (int i = 0; i < GROUP; i++)
			sample_upper(w, &table[i], level, addr + i * span);
	}
}

unsigned long mm_access_sample(struct mm_struct *mm, u64 *bitmap, unsigned long nr_bits)
{
	struct access_walk w = {.mm = mm, .bitmap = bitmap, .nr_bits = nr_bits};

	down_read(&mm->mmap_lock);
	sample_table(&w, mm->pgd, pt_top_level, 0);
	if (w.cleared)
		flush_tlb_mm(mm); /* I2 */
	up_read(&mm->mmap_lock);
	return w.found;
}

unsigned long access_sample_all(u64 *bitmap, unsigned long nr_bits)
{
	struct mm_struct *mm, *prev = NULL;
	unsigned long found = 0;

	/* The mm we hold keeps its place in the list while the lock is dropped. */
	spin_lock(&mm_list_lock);
	list_for_each_entry (mm, &mm_list, mm_list) {
		if (!mmget_not_zero(mm))
			continue;
		spin_unlock(&mm_list_lock);
		if (prev)
			mmput(prev);
		prev = mm;
		found += mm_access_sample(mm, bitmap, nr_bits);
		spin_lock(&mm_list_lock);
	}
	spin_unlock(&mm_list_lock);
	if (prev)
		mmput(prev);
	return found;
}
