/*
 * The audit of address spaces: VMAs, page tables, counters.
 *
 *   T1  An entry above the leaves points at a page of RAM of type pgtable, order 0, and each table
 *       is reached once. In the kernel half, tables made before there were struct pages are
 *       RESERVED. (pgtable)
 *   T2  pgtables_bytes of an mm = its tables, PGD included; all pgtable pages are reached; the
 *       kernel half's count is right. (pgtable_count)
 *   T3  A user leaf maps RAM in use; each leaf and swap entry lies in a VMA. (pgtable, free_mapped,
 *       vma)
 *   T4  rss_anon, rss_file, rss_shmem, rss_swap = leaves and swap entries found. (rss)
 *   T5  VMAs are in order, disjoint, not empty, and page aligned. (vma)
 *
 *   T7  An anonymous page of a VMA with a bind that was kept so far is on a node that it allows.
 *       (mempolicy, audit_numa.c)
 *   T8  An entry that asks before a write is not writable, and lies in a VMA whose userfaultfd
 *       answers for it. (uffd_wp)
 *
 *   T10 An entry has its VMA's protection key. (pkey)
 *   T9  Pages of [vdso] and [vvar] are mapped where they belong, read-only. (special_mapping, audit_special.c)
 *
 * Bounds: a step of the budget for each address space, VMA and table. A table of type pgtable is
 * walked once: the second visit is a finding already.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

#define PTE_PROTNONE (1ull << 8)
#define PTE_SPECIAL  (1ull << 9)
#define PTE_AD	     (3ull << 5)

/** One address space as we walk it. */
struct space {
	struct audit *a;
	uint64_t gva; /* of the mm_struct; 0 = the kernel's half */
	bool user;
	uint64_t huge, deposited; /* PMDs of huge pages, and tables kept for them */
	uint64_t tables, anon, file, shmem, swap, hugetlb;
	uint32_t vma; /* cursor: leaves come in address order */
	bool outside; /* said already that a page lies outside every VMA */
};

/** Is `addr` in a VMA? Addresses come rising. */
static bool in_vma(struct audit *a, struct space *s, uint64_t addr)
{
	while (s->vma < a->nr_vma && a->vma[s->vma].end <= addr)
		s->vma++;
	return s->vma < a->nr_vma && a->vma[s->vma].start <= addr;
}

static void check_in_vma(struct audit *a, struct space *s, uint64_t addr, uint64_t entry)
{
	if (s->outside || in_vma(a, s, addr))
		return;
	s->outside = true;
	audit_find(a, AUDIT_VMA, "mm %#" PRIx64 ": entry %#" PRIx64 " at %#" PRIx64 " has no VMA",
		   s->gva, entry, addr);
}

/** T8: an entry of userfaultfd's write protection: not writable, and in a VMA that somebody answers for. */
static void check_uffd_wp(struct audit *a, const struct space *s, uint64_t addr, uint64_t entry)
{
	const bool leaf = entry & (GUEST_PTE_PRESENT | PTE_PROTNONE);

	if (!(entry & (leaf ? MMVM_PTE_UFFD_WP : MMVM_SWP_UFFD_WP)) || s->outside)
		return;
	if (leaf && entry & GUEST_PTE_WRITE)
		audit_find(a, AUDIT_UFFD_WP,
			   "mm %#" PRIx64 ": entry %#" PRIx64 " at %#" PRIx64
			   " asks before a write, and is writable",
			   s->gva, entry, addr);
	else if (!(a->vma[s->vma].flags & MMVM_VM_UFFD_WP))
		audit_find(a, AUDIT_UFFD_WP,
			   "mm %#" PRIx64 ": entry %#" PRIx64 " at %#" PRIx64
			   " asks before a write, but its VMA has nobody to ask",
			   s->gva, entry, addr);
}

/** S1 of guestmm/mm/pgtable/soft_dirty.c. */
static void check_soft_dirty(struct audit *a, struct space *s, uint64_t addr, uint64_t entry)
{
	if (!(entry & (GUEST_PTE_PRESENT | PTE_PROTNONE)) || !(entry & GUEST_PTE_WRITE) ||
	    entry & MMVM_PTE_SOFT_DIRTY || !in_vma(a, s, addr) ||
	    a->vma[s->vma].flags & MMVM_VM_SOFTDIRTY)
		return;
	audit_find(a, AUDIT_SOFT_DIRTY,
		   "mm %#" PRIx64 ": entry %#" PRIx64 " at %#" PRIx64
		   " may be written and is not soft-dirty, but its mapping is watched",
		   s->gva, entry, addr);
}

/** N1 of guestmm/mm/numa/balancing.c. */
static void check_hint(struct audit *a, struct space *s, uint64_t addr, uint64_t entry,
		       bool hugetlb)
{
	uint32_t ever = 0;

	if ((entry & (GUEST_PTE_PRESENT | PTE_PROTNONE)) != PTE_PROTNONE || !in_vma(a, s, addr) ||
	    !(a->vma[s->vma].flags & MMVM_VM_ACCESS))
		return;
	if (a->root.numa_hints_gva)
		audit_read(a, a->root.numa_hints_gva, &ever, sizeof(ever));
	if (!ever || hugetlb || entry & PTE_SPECIAL)
		audit_find(a, AUDIT_NUMA_HINT,
			   "mm %#" PRIx64 ": entry %#" PRIx64 " at %#" PRIx64
			   " allows no access, but its mapping does%s",
			   s->gva, entry, addr, ever ? ", and the page is not one to balance" : "");
}

/** K1 of guestmm/mm/virt/pkey.c. */
static void check_pkey(struct audit *a, struct space *s, uint64_t addr, uint64_t entry)
{
	uint64_t key = entry >> MMVM_PTE_PKEY_SHIFT & MMVM_PKEY_BITS, wanted;

	if (!in_vma(a, s, addr))
		return;
	wanted = a->vma[s->vma].flags >> MMVM_VM_PKEY_SHIFT & MMVM_PKEY_BITS;
	if (key != wanted)
		audit_find(a, AUDIT_PKEY,
			   "mm %#" PRIx64 ": entry %#" PRIx64 " at %#" PRIx64
			   " has protection key %" PRIu64 ", its mapping %" PRIu64,
			   s->gva, entry, addr, key, wanted);
}

static void user_leaf(struct audit *a, struct space *s, uint64_t addr, uint64_t entry,
		      unsigned int level)
{
	uint64_t pfn = (entry & GUEST_PTE_ADDR) >> MMVM_PAGE_SHIFT,
		 pages = guest_level_size(level) >> MMVM_PAGE_SHIFT;
	uint32_t i = frame_index(a, pfn);
	struct frame *f;

	check_in_vma(a, s, addr, entry);
	check_uffd_wp(a, s, addr, entry);
	check_hint(a, s, addr, entry, i != NO_FRAME && a->frame[i].state == PAGE_HUGETLB);
	check_pkey(a, s, addr, entry);
	if (audit_pmem_leaf(a, s->gva, in_vma(a, s, addr) ? &a->vma[s->vma] : NULL, addr, entry,
			    level))
		return;
	if (i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM)) {
		audit_find(a, AUDIT_PGTABLE,
			   "mm %#" PRIx64 ": %#" PRIx64 " is mapped to frame %#" PRIx64
			   ", which is not RAM",
			   s->gva, addr, pfn);
		return;
	}
	f = &a->frame[i];
	if (f->state != PAGE_HUGETLB)
		check_soft_dirty(a, s, addr, entry);
	if (entry & PTE_SPECIAL) {
		uint64_t huge_zero = 0;

		if (level && a->root.huge_zero_gva)
			audit_read(a, a->root.huge_zero_gva, &huge_zero, sizeof(huge_zero));
		s->huge += level != 0;
		if (huge_zero && huge_zero == a->root.vmemmap_gva + pfn * sizeof(struct page))
			return;
		if (audit_special_page(a, s->gva, in_vma(a, s, addr) ? &a->vma[s->vma] : NULL, addr,
				       entry))
			return;
		if (pfn != a->root.zero_page_pfn)
			audit_find(a, AUDIT_PGTABLE,
				   "mm %#" PRIx64 ": %#" PRIx64 " is special, but maps frame "
				   "%#" PRIx64 ", not the zero page",
				   s->gva, addr, pfn);
		return;
	}
	if (level && f->state != PAGE_HUGETLB) {
		s->huge++;
		f->pmd++;
	} else if (f->mapped != UINT32_MAX) {
		f->mapped++;
	}
	if (f->state == PAGE_KSM)
		audit_ksm_page(a, s->gva, in_vma(a, s, addr) ? &a->vma[s->vma] : NULL, addr, entry,
			       i);
	else if (type_is_user(f->state) && in_vma(a, s, addr))
		audit_rmap_page(a, s->gva, &a->vma[s->vma], addr, i);
	if (type_is_free(f->state)) {
		audit_find(a, AUDIT_FREE_MAPPED,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64
			   ", which is free (%s)",
			   s->gva, addr, pfn, type_name(f->state));
	} else if (f->state == PAGE_KSM) {
		s->anon += pages;
	} else if (f->state == PAGE_ANON) {
		s->anon += pages;
		if (in_vma(a, s, addr))
			audit_mempolicy_page(a, s->gva, &a->vma[s->vma], addr, i);
	} else if (f->state == PAGE_FILE) {
		s->file += pages;
	} else if (f->state == PAGE_SHMEM) {
		s->shmem += pages;
	} else if (f->state == PAGE_HUGETLB) {
		s->hugetlb += pages;
	} else {
		audit_find(a, AUDIT_PGTABLE,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64 ", a %s page",
			   s->gva, addr, pfn, type_name(f->state));
	}
}

/** T6: the entry of a page that moves: of a single page, of one of a large folio, or, where it is a PMD, of all of
 * one. It counts as those pages. */
static void migration_leaf(struct audit *a, struct space *s, uint64_t addr, uint64_t pfn,
			   unsigned int level)
{
	const uint64_t moving = 1ull << PG_locked | 1ull << PG_migrating;
	const uint64_t pages = guest_level_size(level) >> MMVM_PAGE_SHIFT;
	uint32_t i = frame_index(a, pfn);

	if (i != NO_FRAME && !level)
		i = frame_of_head(a, i);
	if (i == NO_FRAME || (a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
	    !type_is_user(a->frame[i].state) || (a->page[i].flags & moving) != moving ||
	    1ull << a->page[i].order < pages) {
		audit_find(a, AUDIT_MIGRATION,
			   "mm %#" PRIx64 ": %#" PRIx64 " waits for frame %#" PRIx64
			   " to move, but that is %s",
			   s->gva, addr, pfn,
			   i == NO_FRAME		      ? "no RAM"
			   : 1ull << a->page[i].order < pages ? "no huge page"
			   : type_is_user(a->frame[i].state)  ? "not being moved"
							      : type_name(a->frame[i].state));
		return;
	}
	s->huge += level != 0;
	if (a->frame[i].state == PAGE_ANON)
		s->anon += pages;
	else if (a->frame[i].state == PAGE_FILE)
		s->file += pages;
	else
		s->shmem += pages;
}

static void swap_leaf(struct audit *a, struct space *s, uint64_t addr, uint64_t entry)
{
	uint64_t type = entry >> MMVM_SWP_TYPE_SHIFT & ((1u << MMVM_SWP_TYPE_BITS) - 1);
	uint64_t slot = entry >> MMVM_SWP_OFFSET_SHIFT & ((1ull << MMVM_SWP_OFFSET_BITS) - 1);

	check_in_vma(a, s, addr, entry);
	check_uffd_wp(a, s, addr, entry);
	if (type >= MMVM_SWP_MIGRATION_READ) {
		migration_leaf(a, s, addr, slot & MMVM_MIGRATION_PFN, 0);
		return;
	}
	if (type == MMVM_SWP_GUARD && slot == MMVM_GUARD_UFFD_WP) {
		if (!(entry & MMVM_SWP_UFFD_WP))
			audit_find(a, AUDIT_UFFD_WP,
				   "mm %#" PRIx64 ": the marker at %#" PRIx64
				   " says that a write is asked about, and has not the bit",
				   s->gva, addr);
		return; /* the rest is check_uffd_wp()'s */
	}
	if (type == MMVM_SWP_GUARD) {
		/* Only where nothing is behind the memory, and fork() copies the entries (guestmm/mm/pgtable/guard.c, I1).
		 * A file's page may be lost: there the child asks the file. */
		if (in_vma(a, s, addr) && !(a->vma[s->vma].mapping && slot == MMVM_GUARD_POISON) &&
		    (a->vma[s->vma].mapping ||
		     (a->root.rmap.vma_chains_offset && !a->vma[s->vma].nr_anon_vma)))
			audit_find(a, AUDIT_PGTABLE,
				   "mm %#" PRIx64 ": %#" PRIx64
				   " is guarded, but its VMA is of a file or without an anon_vma",
				   s->gva, addr);
		return;
	}
	s->swap++;
	if (!audit_swap_use(a, type, slot))
		audit_find(a, AUDIT_SWAP_MAP,
			   "mm %#" PRIx64 ": %#" PRIx64 " names slot %" PRIu64 " of area %" PRIu64
			   ", which does not exist",
			   s->gva, addr, slot, type);
}

/** T1, before a table is entered. False: do not enter it. */
static bool enter_table(struct audit *a, struct space *s, uint64_t pfn, uint64_t addr)
{
	uint32_t i = frame_index(a, pfn);

	if (!audit_steps(a, STEPS_OF_A_TABLE))
		return false;
	if (i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM)) {
		audit_find(a, AUDIT_PGTABLE,
			   "mm %#" PRIx64 ": the table for %#" PRIx64 " is frame %#" PRIx64
			   ", which is not RAM",
			   s->gva, addr, pfn);
		return false;
	}
	if (a->frame[i].state == PAGE_PGTABLE && !(a->frame[i].seen & SEEN_TAIL)) {
		if (a->frame[i].seen & SEEN_TABLE) {
			audit_find(a, AUDIT_PGTABLE,
				   "mm %#" PRIx64 ": the table for %#" PRIx64 " is frame %#" PRIx64
				   ", reached before",
				   s->gva, addr, pfn);
			return false;
		}
		a->frame[i].seen |= SEEN_TABLE;
		s->tables++;
		return true;
	}
	if (!s->user && a->frame[i].state == PAGE_RESERVED)
		return true; /* made while booting */
	audit_find(a, AUDIT_PGTABLE,
		   "mm %#" PRIx64 ": the table for %#" PRIx64 " is frame %#" PRIx64 ", a %s page",
		   s->gva, addr, pfn, type_name(a->frame[i].state));
	return false;
}

/** Tables deposited with a table of PMDs, for the huge pages that it maps. */
static void walk_deposited(struct space *s, uint64_t addr, uint64_t gpa)
{
	struct audit *a = s->a;
	uint32_t i = frame_index(a, gpa >> MMVM_PAGE_SHIFT);
	uint64_t at = a->page[i].mapping;

	while (at && audit_step(a)) {
		uint64_t offset = at - a->root.vmemmap_gva;
		uint32_t d = offset % sizeof(struct page)
				     ? NO_FRAME
				     : frame_index(a, offset / sizeof(struct page));

		if (d == NO_FRAME || !enter_table(a, s, frame_pfn(a, d), addr))
			return;
		s->deposited++;
		at = a->page[d].private_;
	}
}

static int on_table(void *space, uint64_t addr, unsigned int level, uint64_t gpa)
{
	struct space *s = space;
	int ret = enter_table(s->a, s, gpa >> MMVM_PAGE_SHIFT, addr);

	if (ret && level == 1 && s->user)
		walk_deposited(s, addr, gpa);
	return ret;
}

static void on_entry(void *space, uint64_t addr, unsigned int level, uint64_t entry)
{
	struct space *s = space;
	bool leaf = entry & (GUEST_PTE_PRESENT | PTE_PROTNONE);

	if (level == 1 && s->user && !leaf && (entry & GUEST_PTE_LARGE)) {
		check_in_vma(s->a, s, addr, entry);
		migration_leaf(s->a, s, addr, (entry & GUEST_PTE_ADDR) >> MMVM_PAGE_SHIFT, level);
	} else if (level && !(leaf && level <= 2 && (entry & GUEST_PTE_LARGE)))
		audit_find(s->a, AUDIT_PGTABLE,
			   "mm %#" PRIx64 ": entry %#" PRIx64 " for %#" PRIx64
			   " at level %u is neither empty nor present",
			   s->gva, entry, addr, level);
	else if (!s->user)
		audit_kvirt_leaf(s->a, addr, level, entry);
	else if (leaf)
		user_leaf(s->a, s, addr, entry, level);
	else
		swap_leaf(s->a, s, addr, entry);
}

static const struct guest_walk_ops walk_ops = {.table = on_table, .entry = on_entry};

enum half { LOWER_HALF, UPPER_HALF };

/** One half of the tables whose top is frame `pfn`. */
static void walk_half(struct audit *a, struct space *s, uint64_t pfn, enum half half)
{
	const struct guest_tables t = {
		.ram = a->src->ram,
		.root = pfn << MMVM_PAGE_SHIFT,
		.levels = a->tables.levels,
	};
	unsigned int first = half == UPPER_HALF ? GUEST_TABLE_SIZE / 2 : 0;

	guest_tables_walk(&t, first, first + GUEST_TABLE_SIZE / 2 - 1, &walk_ops, s);
}

/** T5, and the VMAs into a->vma. */
static void load_vmas(struct audit *a, uint64_t mm)
{
	const struct mmvm_audit_mm_layout *l = &a->root.mm;
	uint64_t user_end = guest_level_size(a->tables.levels - 1) * (GUEST_TABLE_SIZE / 2);
	uint64_t node, before = 0;
	struct list_walk w;
	const char *why;
	int ret;

	a->nr_vma = 0;
	a->nr_anon_vma = 0;
	if (list_walk_start(a, &w, mm + l->vma_list_offset, MMVM_AUDIT_MAX_VMAS)) {
		audit_find(a, AUDIT_VMA, "mm %#" PRIx64 ": list of VMAs unreadable", mm);
		return;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
		uint64_t vma = node - l->vma_link_offset;
		struct vma_range *v = &a->vma[a->nr_vma];

		if (audit_read(a, vma + l->vma_start_offset, &v->start, 8) ||
		    audit_read(a, vma + l->vma_end_offset, &v->end, 8) ||
		    audit_read(a, vma + l->vma_flags_offset, &v->flags, 8)) {
			audit_find(a, AUDIT_VMA, "mm %#" PRIx64 ": VMA %#" PRIx64 " unreadable", mm,
				   vma);
			return;
		}
		if (v->start >= v->end || v->start < before || v->end > user_end ||
		    (v->start | v->end) & (MMVM_PAGE_SIZE - 1)) {
			audit_find(a, AUDIT_VMA,
				   "mm %#" PRIx64 ": VMA [%#" PRIx64 ", %#" PRIx64
				   ") after %#" PRIx64,
				   mm, v->start, v->end, before);
			continue;
		}
		before = v->end;
		a->nr_vma++;
		audit_hugetlb_vma(a, vma, v);
		audit_mempolicy_vma(a, vma, v);
		audit_rmap_vma(a, vma, v);
		audit_special_vma(a, vma, v);
		audit_commit_vma(a, v);
	}
	if (ret < 0)
		audit_find(a, AUDIT_VMA, "mm %#" PRIx64 ": list of VMAs, link %" PRIu64 ": %s", mm,
			   w.steps, why);
}

static void check_counter(struct audit *a, enum mmvm_audit_finding kind, uint64_t mm,
			  uint32_t offset, const char *name, uint64_t found, uint64_t unit)
{
	uint64_t claimed;

	if (audit_read(a, mm + offset, &claimed, sizeof(claimed)))
		audit_find(a, kind, "mm %#" PRIx64 ": %s unreadable", mm, name);
	else if (claimed != found * unit)
		audit_find(a, kind, "mm %#" PRIx64 ": %s is %" PRId64 "; found %" PRIu64, mm, name,
			   (int64_t)claimed, found * unit);
}

static void audit_mm(struct audit *a, uint64_t mm, uint64_t kernel_pgd_pfn)
{
	const struct mmvm_audit_mm_layout *l = &a->root.mm;
	struct space s = {.a = a, .gva = mm, .user = true};
	const uint8_t *user_half, *kernel_half;
	uint64_t pgd, pfn;
	uint32_t i;

	a->out->nr_mm++;
	load_vmas(a, mm);
	audit_commit_mm(a, mm);
	if (audit_read(a, mm + l->pgd_offset, &pgd, sizeof(pgd))) {
		audit_find(a, AUDIT_PGTABLE, "mm %#" PRIx64 " unreadable", mm);
		return;
	}
	i = frame_of_direct(a, pgd);
	if (i == NO_FRAME || pgd & (MMVM_PAGE_SIZE - 1)) {
		audit_find(a, AUDIT_PGTABLE, "mm %#" PRIx64 ": PGD %#" PRIx64 " is no page", mm,
			   pgd);
		return;
	}
	pfn = frame_pfn(a, i);
	/* The kernel's own address space has no user half. */
	if (pfn == kernel_pgd_pfn)
		return;
	if (!enter_table(a, &s, pfn, 0))
		return;
	walk_half(a, &s, pfn, LOWER_HALF);
	a->tables_user += s.tables;
	if (s.huge != s.deposited)
		audit_find(a, AUDIT_PGTABLE_COUNT,
			   "mm %#" PRIx64 ": %" PRIu64 " PMDs map huge pages; %" PRIu64
			   " tables are deposited for them",
			   mm, s.huge, s.deposited);
	check_counter(a, AUDIT_PGTABLE_COUNT, mm, l->pgtables_offset, "pgtables_bytes", s.tables,
		      MMVM_PAGE_SIZE);
	check_counter(a, AUDIT_RSS, mm, l->rss_anon_offset, "rss_anon", s.anon, 1);
	check_counter(a, AUDIT_RSS, mm, l->rss_file_offset, "rss_file", s.file, 1);
	check_counter(a, AUDIT_RSS, mm, l->rss_shmem_offset, "rss_shmem", s.shmem, 1);
	check_counter(a, AUDIT_RSS, mm, l->rss_swap_offset, "rss_swap", s.swap, 1);
	check_counter(a, AUDIT_RSS, mm, l->hugetlb_usage_offset, "hugetlb_usage", s.hugetlb, 1);

	/* The kernel's half is one for all. */
	user_half = frame_data(a, pfn);
	kernel_half = kernel_pgd_pfn ? frame_data(a, kernel_pgd_pfn) : NULL;
	for (unsigned int e = 256; user_half && kernel_half && e < 512; e++) {
		uint64_t mine, kernels;

		memcpy(&mine, user_half + e * 8, 8);
		memcpy(&kernels, kernel_half + e * 8, 8);
		if (mine && (mine ^ kernels) & ~PTE_AD)
			audit_find(a, AUDIT_PGTABLE,
				   "mm %#" PRIx64 ": PGD entry %u is %#" PRIx64
				   ", the kernel's %#" PRIx64,
				   mm, e, mine, kernels);
	}
}

/** The kernel's half: its tables. Returns the frame of its top table, 0 when there is none. */
static uint64_t audit_kernel_half(struct audit *a)
{
	struct space s = {.a = a};
	const uint8_t *host = audit_page_at(a, a->root.kernel_pgd_gva);
	uint64_t claimed, pfn = 0;
	uint32_t i;

	for (unsigned int r = 0; host && r < a->src->ram->nr; r++) {
		const struct guest_ram_region *g = &a->src->ram->region[r];

		if (host >= g->hva && host < g->hva + g->size)
			pfn = (g->gpa + (uint64_t)(host - g->hva)) >> MMVM_PAGE_SHIFT;
	}
	i = frame_index(a, pfn);
	if (!host || i == NO_FRAME || !enter_table(a, &s, pfn, 1ull << 47)) {
		audit_find(a, AUDIT_PGTABLE, "the kernel's PGD %#" PRIx64 " is no page table",
			   a->root.kernel_pgd_gva);
		return 0;
	}
	walk_half(a, &s, pfn, UPPER_HALF);
	a->tables_kernel = s.tables;
	if (a->root.kernel_pgtables_gva) {
		if (audit_read(a, a->root.kernel_pgtables_gva, &claimed, 8))
			audit_find(a, AUDIT_PGTABLE_COUNT, "kernel's count of tables unreadable");
		else if (claimed != s.tables)
			audit_find(a, AUDIT_PGTABLE_COUNT,
				   "the kernel counts %" PRId64
				   " tables of its own; found %" PRIu64,
				   (int64_t)claimed, s.tables);
	}
	return pfn;
}

int audit_address_spaces(struct audit *a)
{
	struct list_walk w;
	const char *why;
	uint64_t kernel_pgd, node;
	int ret;

	a->vma = calloc(MMVM_AUDIT_MAX_VMAS + 1, sizeof(*a->vma));
	if (!a->vma)
		return -ENOMEM;
	kernel_pgd = audit_kernel_half(a);
	if (list_walk_start(a, &w, a->root.mm_list_gva, a->nr_frames)) {
		audit_find(a, AUDIT_ROOT, "list of address spaces unreadable");
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0)
		audit_mm(a, node - a->root.mm.list_offset, kernel_pgd);
	if (ret < 0)
		audit_find(a, AUDIT_ROOT, "list of address spaces: link %" PRIu64 " %s", w.steps,
			   why);
	for (uint32_t i = 0; i < a->nr_frames; i++)
		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL | SEEN_TABLE)) == SEEN_IN_RAM &&
		    a->frame[i].state == PAGE_PGTABLE)
			audit_find(a, AUDIT_PGTABLE_COUNT,
				   "frame %#" PRIx64 " is a page table that nothing points at",
				   frame_pfn(a, i));
	return a->no_memory ? -ENOMEM : 0;
}

void audit_address_spaces_free(struct audit *a)
{
	free(a->vma);
	free(a->anon_vma);
}
