/*
 * Huge pages of shared memory: tmpfs, memfd, SysV shm, and mappings that are shared and anonymous.
 *
 *   mapping->pages:  ... | page 512 | page 513 | ... | page 1023 | ...     512 slots, one folio of order 9
 *                             └ head      └ tail           └ tail
 *
 * Each slot names the page of its own index, as it does for small pages, and a tail finds its head in one load. So
 * a folio is split without a change to the tree. A folio begins at an index that is a multiple of 512.
 *
 * Where the mapping's memory is to be huge is set for each tmpfs (huge=), and for all memory without a
 * mounted file system by /sys/kernel/mm/transparent_hugepage/shmem_enabled, whose values "deny" and
 * "force" override every mount's.
 *
 * A folio is split while nothing maps it. First all entries that map it are removed; programs find their pages in
 * the tree again by a fault. Then the only references left are the cache's and the caller's, and the count is
 * frozen at 0. Meanwhile the mapping's lock keeps others from looking the folio up.
 *
 * H1  mapping->nr_thps = large folios in the tree. Code that finds a page in the tree first checks under the
 *     mapping's lock whether it is part of a large folio before it takes a reference: a tail has no count of its
 *     own.
 * H2  The cache holds one reference on a large folio.
 * H3  NR_SHMEM_THPS counts them. NR_SHMEM_PMDMAPPED counts those that a PMD maps.
 *
 * Locks: page lock > i_mmap_lock > page_table_lock; page lock > address_space lock > lruvec->lock.
 * Source: Documentation/admin-guide/mm/transhuge.rst, mm/shmem.c of Linux 6.12.
 */
#include "mm/huge/thp.h"
#include "mm/phys/highmem.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/cache/shmem.h"
#include "mm/huge/hugetlb.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/fault/fault.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

const char *const shmem_huge_names[NR_SHMEM_HUGE] = {"always", "within_size", "advise",
						     "never",  "deny",	      "force"};
u32 shmem_enabled = SHMEM_HUGE_NEVER;
static u32 unmounted = SHMEM_HUGE_NEVER; /* for memory that has no mounted file system */
bool shmem_huge_ever;

static unsigned long first_of(unsigned long index)
{
	return index & ~(HPAGE_PMD_NR - 1ul);
}

/* ---- where ------------------------------------------------------------------------------------- */

void shmem_huge_allow(void)
{
	WRITE_ONCE(shmem_huge_ever, true);
	WRITE_ONCE(thp_ever, true);
}

void shmem_set_enabled(u32 mode)
{
	WRITE_ONCE(shmem_enabled, mode);
	if (mode <= SHMEM_HUGE_NEVER)
		WRITE_ONCE(unmounted, mode);
	if (mode != SHMEM_HUGE_NEVER && mode != SHMEM_HUGE_DENY)
		shmem_huge_allow();
}

static u32 mode_of(const struct address_space *mapping)
{
	u32 huge =
		mapping && mapping->limit ? READ_ONCE(mapping->limit->huge) : SHMEM_HUGE_UNMOUNTED;

	return huge == SHMEM_HUGE_UNMOUNTED ? READ_ONCE(unmounted) : huge;
}

bool shmem_huge_mount(const struct address_space *mapping)
{
	u32 enabled = READ_ONCE(shmem_enabled);

	if (enabled == SHMEM_HUGE_DENY || (mapping && !(mapping->flags & AS_SHMEM)))
		return false;
	return enabled == SHMEM_HUGE_FORCE || mode_of(mapping) != SHMEM_HUGE_NEVER;
}

bool shmem_huge_wanted(const struct address_space *mapping, unsigned long index,
		       enum shmem_create how)
{
	unsigned long end = first_of(index) + HPAGE_PMD_NR;
	unsigned long size = DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE);

	if (how == SHMEM_CREATE_SMALL || READ_ONCE(shmem_enabled) == SHMEM_HUGE_DENY)
		return false;
	/* Memory beyond its size was not promised. */
	if ((mapping->flags & AS_CHARGED) && end > size)
		return false;
	if (READ_ONCE(shmem_enabled) == SHMEM_HUGE_FORCE)
		return true;
	switch (mode_of(mapping)) {
	case SHMEM_HUGE_ALWAYS:
		return true;
	case SHMEM_HUGE_WITHIN_SIZE:
		return end <= size || how == SHMEM_CREATE_ADVISED;
	case SHMEM_HUGE_ADVISE:
		return how == SHMEM_CREATE_ADVISED;
	default:
		return false;
	}
}

enum shmem_create shmem_create_for(const struct vm_area_struct *vma)
{
	if ((vma->flags & (VM_NOHUGEPAGE | VM_UFFD)) || vma->mm->thp_disabled)
		return SHMEM_CREATE_SMALL;
	return vma->flags & VM_HUGEPAGE ? SHMEM_CREATE_ADVISED : SHMEM_CREATE;
}

bool shmem_vma_collapsible(const struct vm_area_struct *vma)
{
	unsigned long last = (vma->vm_end - PMD_SIZE) & PMD_MASK;

	return vma->mapping->flags & AS_SHMEM && vma->vm_end - vma->vm_start >= PMD_SIZE &&
	       thp_fits(vma, last) && !(linear_page_index(vma, last) & (HPAGE_PMD_NR - 1)) &&
	       shmem_create_for(vma) != SHMEM_CREATE_SMALL;
}

bool thp_vma_eligible(const struct vm_area_struct *vma)
{
	if (!vma->mapping)
		return thp_vma_allowed(vma, THP_BY_KERNEL);
	return shmem_vma_collapsible(vma) &&
	       shmem_huge_wanted(vma->mapping, vma->pgoff, shmem_create_for(vma));
}

/* ---- into the tree and out of it ---------------------------------------------------------------- */

static void count_folio(struct folio *folio, s64 n)
{
	page_stat_add(&folio->page, NR_SHMEM, n * HPAGE_PMD_NR);
	page_stat_add(&folio->page, NR_FILE_PAGES, n * HPAGE_PMD_NR);
	page_stat_add(&folio->page, NR_SHMEM_THPS, n);
}

static bool range_empty(struct address_space *mapping, unsigned long first)
{
	unsigned long at = first, flags = spin_lock_irqsave(&mapping->lock);
	bool empty = !radix_next(&mapping->pages, &at) || at >= first + HPAGE_PMD_NR;

	spin_unlock_irqrestore(&mapping->lock, flags);
	return empty;
}

/* A cleared folio, charged to its group, or NULL. */
static struct folio *new_folio(enum shmem_create how)
{
	struct folio *folio = (struct folio *)alloc_pages_type(
		thp_gfp(how == SHMEM_CREATE_ADVISED ? THP_BY_ADVICE : THP_BY_KERNEL),
		HPAGE_PMD_ORDER, PAGE_SHMEM);

	if (!folio) {
		count_vm_event(THP_FILE_FALLBACK);
		return NULL;
	}
	if (mem_cgroup_charge(&folio->page, NULL, GFP_KERNEL)) {
		folio_put(folio);
		count_vm_event(THP_FILE_FALLBACK);
		count_vm_event(THP_FILE_FALLBACK_CHARGE);
		return NULL;
	}
	hugetlb_clear_page(&folio->page);
	return folio;
}

int shmem_insert_folio(struct address_space *mapping, struct folio *folio, unsigned long first,
		       struct radix_preload *nodes)
{
	int err = radix_insert_run(&mapping->pages, first, HPAGE_PMD_NR, folio, sizeof(struct page),
				   nodes);

	if (err)
		return err;
	mapping->nrpages += HPAGE_PMD_NR;
	mapping->nr_thps++;
	count_folio(folio, 1);
	return 0;
}

/* Insert a new folio, which nobody else knows yet. 0, -EEXIST or -ENOMEM. */
static int insert_folio(struct address_space *mapping, struct folio *folio, unsigned long first)
{
	struct radix_preload nodes;
	unsigned long flags;
	int err;

	do {
		err = radix_preload_run(&nodes, &mapping->pages, first, HPAGE_PMD_NR, GFP_KERNEL);
		if (err)
			return err;
		flags = spin_lock_irqsave(&mapping->lock);
		err = shmem_insert_folio(mapping, folio, first, &nodes);
		spin_unlock_irqrestore(&mapping->lock, flags);
		radix_preload_end(&nodes);
	} while (err == -ENOMEM); /* the tree has become higher meanwhile and needs more nodes */
	return err;
}

void shmem_prepare_folio(struct address_space *mapping, struct folio *folio, unsigned long first)
{
	struct page *head = &folio->page;

	head->flags |= SHMEM_PAGE_FLAGS | 1ull << PG_locked;
	if (mapping->flags & AS_UNEVICTABLE)
		head->flags |= 1ull << PG_unevictable;
	head->mapping = (void *)mapping;
	head->index = first;
	folio_get(folio);
}

void shmem_forget_folio(struct folio *folio)
{
	struct page *head = &folio->page;

	head->flags &= PAGE_FORGET_MASK | 1ull << PG_head;
	head->mapping = NULL;
	folio_ref_sub(folio, 1);
}

int shmem_add_huge(struct address_space *mapping, unsigned long index, enum shmem_create how,
		   struct page **pagep)
{
	unsigned long first = first_of(index);
	struct folio *folio;
	struct page *head;
	int err;

	if (!range_empty(mapping, first))
		return -EEXIST;
	if (!shmem_charge(mapping, HPAGE_PMD_NR))
		return -ENOSPC;
	err = -ENOMEM;
	folio = new_folio(how);
	if (!folio)
		goto uncharge;
	head = &folio->page;
	shmem_prepare_folio(mapping, folio, first); /* its second reference is the caller's */
	err = insert_folio(mapping, folio, first);
	if (err)
		goto free;
	lru_add(head);
	count_vm_event(THP_FILE_ALLOC);
	*pagep = folio_page(folio, index - first);
	return 0;
free:
	shmem_forget_folio(folio);
	folio_put(folio);
uncharge:
	shmem_uncharge(mapping, HPAGE_PMD_NR);
	return err;
}

/* Remove a locked, unmapped folio from the cache as a whole. The caller keeps a reference. */
static void remove_folio(struct address_space *mapping, struct folio *folio)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);

	radix_delete_run(&mapping->pages, folio->page.index, HPAGE_PMD_NR);
	folio->page.mapping = NULL;
	mapping->nrpages -= HPAGE_PMD_NR;
	mapping->nr_thps--;
	count_folio(folio, -1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	shmem_uncharge(mapping, HPAGE_PMD_NR);
	folio_ref_sub(folio, 1);
}

int shmem_migrate_folio(struct folio *dst, struct folio *src, int expected)
{
	struct address_space *mapping = page_mapping_file(&src->page);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	int err = -EAGAIN;

	if (atomic_cmpxchg(&src->page.refcount, expected, expected - 1) == expected) {
		folio_get(dst);
		for (unsigned int i = 0; i < HPAGE_PMD_NR; i++)
			radix_replace(&mapping->pages, src->page.index + i, folio_page(dst, i));
		count_folio(src, -1);
		mem_cgroup_migrate(&src->page, &dst->page);
		count_folio(dst, 1);
		err = 0;
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	return err;
}

/* ---- splitting ---------------------------------------------------------------------------------- */

/* The folio has just been split: remove its pages beyond the end of the file. Returns how many. mapping->lock
 * held. */
static unsigned long drop_beyond(struct address_space *mapping, struct page *head)
{
	unsigned long end = DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE), n = 0;

	for (unsigned int i = 1; i < HPAGE_PMD_NR; i++) {
		struct page *p = head + i;

		if (p->index < end)
			continue;
		radix_delete(&mapping->pages, p->index);
		p->mapping = NULL;
		atomic_sub(&p->refcount, 1);
		n++;
	}
	mapping->nrpages -= n;
	page_stat_add(head, NR_SHMEM, -(s64)n);
	page_stat_add(head, NR_FILE_PAGES, -(s64)n);
	return n;
}

int split_shmem_folio(struct folio *folio, struct list_head *to)
{
	struct page *head = &folio->page;
	struct address_space *mapping = page_mapping_file(head);
	unsigned long flags, dropped;
	bool listed;

	if (!mapping)
		return -EBUSY;
	lru_add_drain(); /* a batch holds a reference */
	unmap_mapping_range(mapping, head->index, head->index + HPAGE_PMD_NR, LEAVE_COPIES);
	flags = spin_lock_irqsave(&mapping->lock);
	/* 2: the cache's reference and the caller's. Nobody maps the folio, and the page lock keeps it so. */
	if (atomic_cmpxchg(&head->refcount, 2, 0) != 2) {
		spin_unlock_irqrestore(&mapping->lock, flags);
		count_vm_event(THP_SPLIT_PAGE_FAILED);
		return -EAGAIN;
	}
	listed = PageLRU(head);
	if (listed)
		lru_del(head);
	thp_make_pages(folio, 1);
	mem_cgroup_split(head, HPAGE_PMD_ORDER);
	mapping->nr_thps--;
	page_stat_add(head, NR_SHMEM_THPS, -1);
	dropped = drop_beyond(mapping, head);
	spin_unlock_irqrestore(&mapping->lock, flags);
	if (dropped)
		shmem_uncharge(mapping, dropped);
	count_vm_event(THP_SPLIT_PAGE);
	thp_place_tails(head, to);
	if (listed)
		lru_add(head);
	return 0;
}

/* Zero the part of the folio that lies in [start, end). */
static void zero_part(struct folio *folio, unsigned long start, unsigned long end)
{
	unsigned long first = max(start, (unsigned long)folio->page.index);
	unsigned long last = min(end, (unsigned long)folio->page.index + HPAGE_PMD_NR);

	for (unsigned long i = first; i < last; i++)
		clear_highpage(folio_page(folio, i - folio->page.index));
}

bool shmem_drop_huge(struct address_space *mapping, struct folio *folio, unsigned long start,
		     unsigned long end)
{
	unsigned long first = folio->page.index;

	if (start <= first && first + HPAGE_PMD_NR <= end) {
		unmap_mapping_range(mapping, first, first + HPAGE_PMD_NR, LEAVE_COPIES);
		remove_folio(mapping, folio);
		return false;
	}
	if (!split_folio(folio, NULL))
		return true;
	/* Somebody else holds a reference, so it cannot be split: the part is zeroed and stays. */
	zero_part(folio, start, end);
	return false;
}

/* ---- faults ------------------------------------------------------------------------------------- */

/* Does the whole of the folio lie where a PMD of the VMA can map it, and within the file? */
static bool pmd_suits(const struct vm_fault *vmf, const struct folio *folio, unsigned long haddr)
{
	const struct vm_area_struct *vma = vmf->vma;
	unsigned long size = DIV_ROUND_UP(READ_ONCE(vma->mapping->size), PAGE_SIZE);

	return folio_test_large(folio) && thp_fits(vma, haddr) &&
	       linear_page_index(vma, haddr) == folio->page.index &&
	       folio->page.index + HPAGE_PMD_NR <= size;
}

/* Map the locked folio; the mapping takes over the caller's reference. False: another thread has put a table
 * there. */
static bool map_pmd(struct vm_fault *vmf, struct folio *folio, pte_t *pmd, struct page *table)
{
	unsigned long haddr = vmf->addr & PMD_MASK;
	struct vm_area_struct *vma = vmf->vma;
	pgprot_t bits = _PAGE_PSE | _PAGE_ACCESSED;
	struct mm_struct *mm = vmf->mm;
	bool taken = false;

	if (vma_read_maps_writable(vma))
		bits |= _PAGE_RW;
	if (vmf->flags & FAULT_FLAG_WRITE)
		bits |= vma->flags & VM_SHARED ? _PAGE_WRITTEN | _PAGE_RW : _PAGE_WRITTEN;
	spin_lock(&mm->page_table_lock);
	if (likely(!pte_read(pmd).v)) {
		thp_deposit(pmd, table);
		folio_add_rmap_pmd(folio);
		if (unlikely(vma->flags & VM_LOCKED))
			mlock_page(&folio->page);
		pte_set(pmd, mk_pte(folio_pfn(folio), vma->prot | bits));
		atomic_add(&mm->rss_shmem, (s64)HPAGE_PMD_NR);
		trace_point(MAP, haddr, .pfn = folio_pfn(folio), .mm = trace_mm_id(mm),
			    .arg = TRACE_MAP_FILE, .order = HPAGE_PMD_ORDER);
		taken = true;
	}
	spin_unlock(&mm->page_table_lock);
	return taken;
}

unsigned int shmem_huge_fault(struct vm_fault *vmf)
{
	unsigned long haddr = vmf->addr & PMD_MASK;
	unsigned long index = linear_page_index(vmf->vma, vmf->addr);
	struct address_space *mapping = vmf->vma->mapping;
	enum shmem_create how = shmem_create_for(vmf->vma);
	unsigned int ret = VM_FAULT_FALLBACK;
	struct page *page, *table = NULL;
	struct folio *folio;
	bool major = false;
	pte_t *pmd;

	if (how == SHMEM_CREATE_SMALL || !thp_fits(vmf->vma, haddr) ||
	    index >= DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE))
		return VM_FAULT_FALLBACK;
	if (shmem_huge_wanted(mapping, index, how))
		khugepaged_enter();
	/* A write to a private mapping gets a small private page. */
	if ((vmf->flags & FAULT_FLAG_WRITE) && !(vmf->vma->flags & VM_SHARED))
		return VM_FAULT_FALLBACK;
	if (shmem_get_page(mapping, index, how, &page, &major))
		return VM_FAULT_FALLBACK; /* the small fault tries again and reports the error */
	folio = page_folio(page);
	if (!pmd_suits(vmf, folio, haddr))
		goto out;
	pmd = walk_level_alloc(vmf->mm, haddr, PT_LEVEL_PMD);
	table = pmd ? pgtable_alloc_spare(vmf->mm) : NULL;
	if (!table)
		goto out;
	if (map_pmd(vmf, folio, pmd, table)) {
		count_vm_event(THP_FILE_MAPPED);
		count_vm_event(MMVM_FAULT_FILE);
		folio_unlock(folio);
		return major ? VM_FAULT_MAJOR : 0;
	}
	ret = 0; /* another thread has changed the entry: fault again */
out:
	shmem_drop_beyond_end(mapping, page);
	shmem_put_page(page);
	if (table)
		pgtable_free(vmf->mm, table);
	return ret;
}
