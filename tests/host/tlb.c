/*
 * The fake TLB of user addresses.
 *
 * user_touch() (tests/unit/mm_user.h) is the CPU: it loads a translation when it walks the tables,
 * and uses it, stale or not, until a flush drops it, as a CPU may (SDM vol. 3, 4.10). So a missing
 * flush is seen in three ways: a program reads or writes the old page; a page is freed that the TLB
 * still maps; a page table is freed through which the TLB has translated.
 *
 *   T1  A translation is dropped by a flush that covers it, by nothing else: it never falls out.
 *   T2  A frame that is freed is in no translation, neither as page nor as its table.
 *   T4  A translation of 2 MiB is one entry, dropped by a flush of any page in it (SDM vol. 3, 4.10.4.1).
 *   T5  A walk that finds no page leaves the table's own translation in the paging-structure caches, for the
 *       2 MiB that it covers (SDM vol. 3, 4.10.3). It is dropped like one of 2 MiB, so later than by INVLPG.
 *   T3  An entry that allows less than its PTE is no error: the access walks again.
 *
 * Freed pages are filled with POISON, so that who reads one, or forgets to clear one, is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arch/tlb.h"
#include "host.h"
#include "mm/phys/zone.h"
#include "mm/pgtable/pgtable.h"

#define LARGE (1ul << 60) /* in vpn: of 2 MiB, whose first page's number it is */
#define TABLE (1ul << 59) /* the same: no page, the table of PTEs for them */
#define SLOTS 16384u	  /* a power of two, more than any test touches pages at once */

struct entry {
	const struct mm_struct *mm; /* NULL: empty */
	unsigned long vpn, pfn, table_pfn;
	bool writable, dirty;
};

struct host_tlb_counts host_tlb;
static struct entry entries[SLOTS];
static unsigned int nr_entries;
static u16 *mapped; /* by pfn: entries that name it, as page or as table */

static struct entry *slot_of(const struct mm_struct *mm, unsigned long vpn)
{
	unsigned long h = (vpn * 0x9e3779b97f4a7c15ul ^ (unsigned long)mm >> 6) >> 20;

	return &entries[h % SLOTS];
}

/** The entry, or an empty one where it can stand; NULL: all are full. */
static struct entry *find(const struct mm_struct *mm, unsigned long vpn)
{
	struct entry *e = slot_of(mm, vpn);

	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!e->mm || (e->mm == mm && e->vpn == vpn))
			return e;
		e = e + 1 == entries + SLOTS ? entries : e + 1;
	}
	return NULL;
}

static void count_frame(unsigned long pfn, int n)
{
	if (!mapped)
		mapped = calloc(HOST_PHYS_SIZE >> PAGE_SHIFT, sizeof(*mapped));
	if (mapped && pfn < HOST_PHYS_SIZE >> PAGE_SHIFT)
		mapped[pfn] = (u16)(mapped[pfn] + n);
}

static void count_entry(const struct entry *e, int n)
{
	for (unsigned long i = 0; i < (e->vpn & TABLE ? 0 : e->vpn & LARGE ? 512 : 1); i++)
		count_frame(e->pfn + i, n);
	count_frame(e->table_pfn, n);
}

/** Remove, and move what stands after it in its chain. */
static void drop(struct entry *e)
{
	struct entry *next = e;

	count_entry(e, -1);
	e->mm = NULL;
	nr_entries--;
	for (;;) {
		struct entry moved;
		struct entry *to;

		next = next + 1 == entries + SLOTS ? entries : next + 1;
		if (!next->mm)
			return;
		moved = *next;
		next->mm = NULL;
		to = find(moved.mm, moved.vpn);
		*to = moved;
	}
}

static void drop_if_there(const struct mm_struct *mm, unsigned long vpn)
{
	struct entry *e = find(mm, vpn);

	if (e && e->mm)
		drop(e);
}

static bool covered(const struct entry *e, unsigned long first, unsigned long last)
{
	unsigned long vpn = e->vpn & ~(LARGE | TABLE);

	return vpn <= last && vpn + (e->vpn & (LARGE | TABLE) ? 511 : 0) >= first;
}

static void flush(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;

	if (start >= end)
		return;
	if (last - first < SLOTS / 8) {
		for (unsigned long vpn = first; vpn <= last && nr_entries; vpn++) {
			drop_if_there(mm, vpn);
			drop_if_there(mm, (vpn & ~511ul) | LARGE);
			drop_if_there(mm, (vpn & ~511ul) | TABLE);
		}
		return;
	}
	/* Entries move when one is dropped: begin again until none is left. */
	for (unsigned int i = 0; i < SLOTS && nr_entries; i++)
		while (entries[i].mm == mm && covered(&entries[i], first, last))
			drop(&entries[i]);
}

bool host_tlb_lookup(const struct mm_struct *mm, unsigned long addr, bool write, unsigned long *pfn)
{
	struct entry *e = find(mm, addr >> PAGE_SHIFT);

	if (!e || !e->mm)
		e = find(mm, (addr >> PAGE_SHIFT & ~511ul) | LARGE);
	/* A write through an entry without D walks, to set it in the PTE. */
	if (!e || !e->mm || (write && !(e->writable && e->dirty)))
		return false;
	*pfn = e->pfn + (e->vpn & LARGE ? addr >> PAGE_SHIFT & 511 : 0);
	return true;
}

static void load(const struct mm_struct *mm, unsigned long vpn, unsigned long pfn,
		 unsigned long table_pfn, bool writable, bool dirty)
{
	struct entry *e = find(mm, vpn);

	if (!e || (!e->mm && nr_entries > SLOTS / 2))
		return;
	if (e->mm)
		drop(e); /* a walk replaces what was there */
	e = find(mm, vpn);
	*e = (struct entry){mm, vpn, pfn, table_pfn, writable, dirty};
	nr_entries++;
	count_entry(e, 1);
}

void host_tlb_load(const struct mm_struct *mm, unsigned long addr, unsigned long pfn,
		   unsigned long table_pfn, bool writable, bool dirty)
{
	load(mm, addr >> PAGE_SHIFT, pfn, table_pfn, writable, dirty);
}

void host_tlb_load_large(const struct mm_struct *mm, unsigned long addr, unsigned long pfn,
			 unsigned long table_pfn, bool writable, bool dirty)
{
	load(mm, (addr >> PAGE_SHIFT & ~511ul) | LARGE, pfn, table_pfn, writable, dirty);
}

void host_tlb_load_table(const struct mm_struct *mm, unsigned long addr, unsigned long table_pfn)
{
	load(mm, (addr >> PAGE_SHIFT & ~511ul) | TABLE, ~0ul, table_pfn, false, false);
}

unsigned int host_tlb_entries(const struct mm_struct *mm)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SLOTS; i++)
		n += entries[i].mm == mm && !(entries[i].vpn & TABLE);
	return n;
}

/* Does the table that the entry names still stand where it stood? */
static bool table_stands(const struct entry *e)
{
	pte_t *pmd = walk_level(e->mm->pgd, (e->vpn & ~TABLE) << PAGE_SHIFT, PT_LEVEL_PMD);
	pte_t v = pmd ? pte_read(pmd) : __pte(0);

	return (v.v & _PAGE_PRESENT) && !pte_huge(v) && pte_pfn(v) == e->table_pfn;
}

/* Of one address space and [start, end), or of all. `accessed`: an entry that has lost its A bit counts. */
static unsigned int stale(const struct mm_struct *mm, unsigned long start, unsigned long end,
			  bool accessed)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SLOTS && nr_entries; i++) {
		const struct entry *e = &entries[i];
		pte_t *pte, v;

		if (!e->mm || (mm && (e->mm != mm ||
				      !covered(e, start >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT))))
			continue;
		if (e->vpn & TABLE) {
			if (table_stands(e))
				continue;
			if (n++ < 4)
				fprintf(stderr, "TLB: frame %#lx is still the table for %#lx\n",
					e->table_pfn, (e->vpn & ~TABLE) << PAGE_SHIFT);
			continue;
		}
		pte = walk_level(e->mm->pgd, (e->vpn & ~LARGE) << PAGE_SHIFT,
				 e->vpn & LARGE ? PT_LEVEL_PMD : PT_LEVEL_PTE);
		v = pte ? pte_read(pte) : __pte(0);
		if ((v.v & _PAGE_PRESENT) && pte_pfn(v) == e->pfn &&
		    (!(e->vpn & LARGE) || pte_huge(v)) && (pte_write(v) || !e->writable) &&
		    (pte_dirty(v) || !e->dirty) && (pte_young(v) || !accessed))
			continue;
		if (n++ < 4)
			fprintf(stderr, "TLB: %#lx is still frame %#lx%s, its PTE is %#lx\n",
				(e->vpn & ~LARGE) << PAGE_SHIFT, e->pfn,
				e->writable ? ", writable" : "", (unsigned long)v.v);
	}
	return n;
}

unsigned int host_tlb_stale(void)
{
	return stale(NULL, 0, 0, false);
}

unsigned int host_tlb_stale_in(const struct mm_struct *mm, unsigned long start, unsigned long end,
			       bool accessed)
{
	return stale(mm, start, end, accessed);
}

void flush_tlb_page(struct mm_struct *mm, unsigned long addr)
{
	env_race_point("a TLB flush");
	host_tlb.page++;
	count_vm_event(NR_TLB_LOCAL_FLUSH_ONE);
	flush(mm, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
}

void flush_tlb_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	env_race_point("a TLB flush");
	host_tlb.range++;
	count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	flush(mm, start, end);
}

void flush_tlb_mm(struct mm_struct *mm)
{
	env_race_point("a TLB flush");
	host_tlb.mm++;
	count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	flush(mm, 0, 1ul << 63);
}

void tlb_batch_flush(struct tlb_batch *b)
{
	if (!b->nr)
		return;
	env_race_point("a TLB flush");
	host_tlb.batch++;
	host_tlb.batched += b->nr;
	count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, b->nr);
	if (b->nr <= TLB_BATCH_MAX) {
		for (u32 i = 0; i < b->nr; i++)
			flush(b->entry[i].mm, b->entry[i].addr, b->entry[i].addr + PAGE_SIZE);
	} else {
		memset(entries, 0, sizeof(entries));
		nr_entries = 0;
		if (mapped)
			memset(mapped, 0, (HOST_PHYS_SIZE >> PAGE_SHIFT) * sizeof(*mapped));
	}
	b->nr = 0;
	b->cpumask = 0;
}

static void freed_in_use(unsigned long pfn)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (entries[i].mm && (entries[i].pfn == pfn || entries[i].table_pfn == pfn))
			panic("TLB: frame %#lx is freed, but it is still the %s of %#lx", pfn,
			      entries[i].pfn == pfn ? "page" : "table",
			      (entries[i].vpn & ~(LARGE | TABLE)) << PAGE_SHIFT);
	panic("TLB: frame %#lx is counted as used by %u translations, but none is there", pfn,
	      mapped[pfn]);
}

void env_page_freed(struct page *page)
{
	unsigned long pfn = page_to_pfn(page), n = 1ul << page->order;

	for (unsigned long i = 0; i < n; i++)
		if (mapped && mapped[pfn + i])
			freed_in_use(pfn + i);
	memset(host_ram((phys_addr_t)pfn << PAGE_SHIFT), HOST_POISON, n << PAGE_SHIFT);
}
