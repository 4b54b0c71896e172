/*
 * Which pages were accessed since the last look: the accessed bits of all user page tables, read
 * and cleared.
 *
 *   PGD ── A? ──> PUD ── A? ──> PMD ── A? ──> PTE ── A? ──> frame's bit in the caller's bitmap
 *
 * The CPU sets the bit in every entry that it walks through, so below an upper entry whose bit is clear nothing was
 * accessed, and cold memory costs one test per 2 MiB. A CPU whose TLB holds a translation does not walk and would
 * not set the bits at the next access, so the TLBs are flushed.
 *
 * Reclaim reads the same bits. A bit that is cleared here is saved in PG_young, which page_referenced() (rmap.c)
 * reads, so that sampling a page does not make it look unused.
 *
 * I1. A mapped page whose bit was cleared has PG_young set before that.
 * I2. When mm_access_sample() returns, no TLB holds a translation made before: an access from then
 *     on sets the bits again, at every level.
 * I3. An upper entry's bit is cleared before the entries below it are read: an access in between is seen now, or sets
 *     both bits again.
 *
 * An accessed bit does not say which CPU set it. Where there are nodes, and the VMM asked for samples,
 * mm->access_cpus says which CPUs have loaded the tables since the sample before (arch_switch_mm()): when all of
 * them belong to one node, the accesses are that node's. Otherwise the node is unknown, and the sample says so.
 *
 * I4. A CPU that may have set a bit since the mm's last sample is in access_cpus. It may hold CPUs
 *     that have set none: those that are lazy (T2 in arch/x86/tlb.c) until the flush of I2.
 *
 * Locks: mmap_lock for reading (tables stay), page_table_lock for a table of PTEs.
 */
#include "mm/report/access.h"
#include "arch/tlb.h"
#include "lib/trace.h"
#include "mm/virt/mm.h"
#include "mm/phys/folio.h"
#include "mm/pgtable/pgtable.h"
#include "mm/pgtable/tlb_pending.h"

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

/* Most entries are empty or not accessed: test four at once. */
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

	/* A swap entry may have any value in the accessed bit. */
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

/** A page of 2 MiB or more has one bit for all of it. */
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
	inc_tlb_flush_pending(mm);
	sample_table(&w, mm->pgd, pt_top_level, 0);
	if (w.cleared || mm_tlb_flush_nested(mm))
		flush_tlb_mm(mm); /* I2 */
	dec_tlb_flush_pending(mm);
	up_read(&mm->mmap_lock);
	return w.found;
}

/** The node of all of these CPUs, or -1: there are none, or they are of several. */
static int node_of_cpus(u32 cpus)
{
	int node = -1;

	for (; cpus; cpus &= cpus - 1) {
		int nid = cpu_node[__builtin_ctz(cpus)];

		if (node >= 0 && nid != node)
			return -1;
		node = nid;
	}
	return node;
}

/* A sample begins: which CPUs may have set the bits that it will find? Those that have it loaded now are the first
 * of the next sample. A CPU sets its bit in cpumask before that in access_cpus: so a CPU that does so in between is
 * found in one of the two (I4). */
static u32 access_begin(struct mm_struct *mm)
{
	u32 cpus = atomic_xchg(&mm->access_cpus, 0u);

	atomic_or(&mm->access_cpus, READ_ONCE(mm->cpumask));
	return cpus;
}

/* What access_sample_all() and access_sample_node() ask of each address space. */
struct access_sampling {
	u64 *bitmap;
	unsigned long nr_bits;
	int node; /* of the CPUs; -1: any */
	bool exact;
};

static unsigned long sample_mm(struct mm_struct *mm, struct access_sampling *s)
{
	unsigned long found;
	u32 now;

	if (s->node >= 0 && node_of_cpus(READ_ONCE(mm->access_cpus)) != s->node)
		return 0;
	if (node_of_cpus(access_begin(mm)) != s->node)
		s->exact = false;
	found = mm_access_sample(mm, s->bitmap, s->nr_bits);
	/* A CPU that loaded the tables meanwhile may have set bits that were found. */
	now = READ_ONCE(mm->access_cpus);
	if (now && node_of_cpus(now) != s->node)
		s->exact = false;
	return found;
}

static unsigned long sample_list(struct access_sampling *s)
{
	unsigned long found = 0;

	for (struct mm_struct *mm = mm_next(NULL); mm; mm = mm_next(mm))
		found += sample_mm(mm, s);
	return found;
}

unsigned long access_sample_all(u64 *bitmap, unsigned long nr_bits)
{
	struct access_sampling s = {.bitmap = bitmap, .nr_bits = nr_bits, .node = -1};

	return sample_list(&s);
}

unsigned long access_sample_node(unsigned int nid, u64 *bitmap, unsigned long nr_bits, bool *exact)
{
	struct access_sampling s = {
		.bitmap = bitmap, .nr_bits = nr_bits, .node = (int)nid, .exact = true};
	unsigned long found = sample_list(&s);

	*exact = s.exact;
	return found;
}
