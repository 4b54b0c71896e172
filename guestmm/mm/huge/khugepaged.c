/*
 * Collapse: 512 small pages become one huge page. Anonymous memory here; shared memory, which khugepaged
 * collapses as well, in collapse_shmem.c.
 *
 *   look       PTEs of an aligned 2 MiB range: enough of them present, not too many shared or in swap
 *   swap in    what is in swap (mmap_lock for reading)
 *   take       mmap_lock for writing, so no fault comes; each page locked, off the LRU, and with no
 *              references but its PTE's, the LRU's taker's and ours; then the PMD is cleared
 *   copy       nobody can write: the translations are flushed
 *   map        the PMD maps the copy; the old table is deposited; the old pages are freed
 *
 * If anybody else holds a reference on one of the pages (a reader through /proc/PID/mem, a DMA, a batch), the
 * collapse fails and is tried again later.
 *
 * khugepaged does this by itself, slowly, where huge pages are enabled; madvise(MADV_COLLAPSE) at once,
 * also where they are "never".
 *
 * Locks: mmap_lock > page locks (trylock) > anon_vma root->lock > page_table_lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/highmem.h"
#include "mm/memcg/memcg.h"
#include "mm/huge/thp.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/pgtable/guard.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

struct khugepaged_settings khugepaged = {
	.pages_to_scan = 4096,
	.scan_sleep_millisecs = 10000,
	.alloc_sleep_millisecs = 60000,
	.max_ptes_none = HPAGE_PMD_NR - 1,
	.max_ptes_swap = HPAGE_PMD_NR / 8,
	.max_ptes_shared = HPAGE_PMD_NR / 2,
	.defrag = 1,
};

struct collapse {
	struct mm_struct *mm;
	unsigned long haddr;
	enum thp_asker asker; /* THP_BY_ADVICE: khugepaged's limits do not apply */
	struct folio *folio;
	unsigned int none, swapped, shared;
	bool writable;	     /* some PTE is */
	struct folio *large; /* the range maps a part of it; with a reference */
	pte_t *pmd;
	struct page *table;
	struct list_head pages; /* taken: locked, isolated */
};

/* The VMA, if the range may still become huge. mmap_lock held. NULL: no. */
static struct vm_area_struct *find_range(const struct collapse *c)
{
	struct vm_area_struct *vma = find_vma(c->mm, c->haddr);

	if (!vma || !thp_fits(vma, c->haddr) || !thp_vma_allowed(vma, c->asker))
		return NULL;
	return vma;
}

static bool is_zero_pte(pte_t e)
{
	return pte_none(e) || (pte_present(e) && pte_special(e));
}

bool khugepaged_exceeds(unsigned int n, u64 limit, enum vm_event_item event)
{
	if (n <= limit)
		return false;
	count_vm_event(event);
	return true;
}

/* Count the entry. Are there more entries of its kind now than khugepaged's limits allow? P held. */
static bool exceeds(const struct collapse *c, pte_t e)
{
	if (c->asker == THP_BY_ADVICE)
		return false;
	if (is_zero_pte(e))
		return khugepaged_exceeds(c->none, khugepaged.max_ptes_none,
					  THP_SCAN_EXCEED_NONE_PTE);
	if (!pte_present(e))
		return khugepaged_exceeds(c->swapped, khugepaged.max_ptes_swap,
					  THP_SCAN_EXCEED_SWAP_PTE);
	return page_mapcount(pfn_to_page(pte_pfn(e))) > 1 &&
	       khugepaged_exceeds(c->shared, khugepaged.max_ptes_shared,
				  THP_SCAN_EXCEED_SHARED_PTE);
}

/* Count the pages of the range. mmap_lock held for reading. 0, -EINVAL (nothing to do), -EAGAIN, -EEXIST: huge
 * already. Memory without a writable page, for example a child's, is not collapsed: it would no longer be
 * shared. */
static int look(struct collapse *c)
{
	pte_t *pmd = walk_level(c->mm->pgd, c->haddr, PT_LEVEL_PMD), *pte;
	int err = 0;

	c->none = c->swapped = c->shared = 0;
	c->writable = false;
	if (!pmd || !pte_read(pmd).v)
		return -EINVAL;
	spin_lock(&c->mm->page_table_lock);
	if (pte_huge(pte_read(pmd))) {
		err = -EEXIST;
		goto out;
	}
	pte = pte_table(pte_read(pmd));
	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++, pte++) {
		pte_t e = pte_read(pte);

		if (is_zero_pte(e)) {
			c->none++;
		} else if (pte_is_guard(e)) {
			err = -EINVAL;
			goto out;
		} else if (!pte_present(e)) {
			c->swapped++;
		} else {
			const struct page *page = pfn_to_page(pte_pfn(e));

			if (page_in_thp(page)) {
				c->large = page_folio(page);
				folio_get(c->large);
				err = -EAGAIN;
				goto out;
			}
			if (!PageAnon(page)) {
				err = -EAGAIN;
				goto out;
			}
			c->writable |= pte_write(e);
			c->shared += page_mapcount(page) > 1;
		}
		if (exceeds(c, e)) {
			err = -EAGAIN;
			goto out;
		}
	}
	if (c->none == HPAGE_PMD_NR || (!c->writable && !c->swapped))
		err = -EINVAL;
out:
	spin_unlock(&c->mm->page_table_lock);
	return err;
}

/* Split the large folio that look() has found into single pages. 0: look again. */
static int split_found(struct collapse *c)
{
	int err = -EAGAIN;

	if (folio_trylock(c->large)) {
		err = split_folio(c->large, NULL);
		folio_unlock(c->large);
	}
	release_page(&c->large->page);
	c->large = NULL;
	return err;
}

/* mmap_lock for reading. */
static int swap_in(struct collapse *c, struct vm_area_struct *vma)
{
	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++) {
		unsigned long addr = c->haddr + ((unsigned long)i << PAGE_SHIFT);
		pte_t *pte = walk_pte(c->mm->pgd, addr);
		int err = pte && pte_is_swap(pte_read(pte)) ? swap_in_pte(vma, addr, pte) : 0;

		if (err)
			return err;
	}
	return 0;
}

/* ---- with mmap_lock for writing ---------------------------------------------------------------- */

void collapse_give_back(struct list_head *pages)
{
	struct page *page;

	list_for_each_entry (page, pages, lru)
		unlock_page(page);
	lru_putback(pages);
}

/* Lock one page, take it off its LRU list, and check that nobody else holds a reference. P held. */
static int take_page(struct collapse *c, pte_t e)
{
	struct page *page = pfn_to_page(pte_pfn(e));

	if (page_in_thp(page) || !PageAnon(page) || PageUnevictable(page))
		return -EAGAIN;
	if (!trylock_page(page))
		return -EAGAIN;
	if (!lru_isolate(page)) {
		unlock_page(page);
		return -EAGAIN;
	}
	list_add_tail(&page->lru, &c->pages);
	/* The only references may be those of its PTEs, of the swap cache, and ours. */
	if (page_ref_count(page) != page_mapcount(page) + PageSwapCache(page) + 1)
		return -EAGAIN;
	return 0;
}

static int take_pages(struct collapse *c)
{
	pte_t *pte = page_address(c->table);

	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++, pte++) {
		pte_t e = pte_read(pte);
		int err;

		if (is_zero_pte(e))
			continue;
		if (!pte_present(e))
			return -EAGAIN; /* it was swapped out again */
		err = take_page(c, e);
		if (err)
			return err;
	}
	return 0;
}

/* Clear the PMD, so that no CPU can use the table. 0, or an error with everything as before. */
static int detach(struct collapse *c, struct vm_area_struct *vma)
{
	struct mm_struct *mm = c->mm;
	struct anon_vma *root = vma->anon_vma->root;
	int err = -EAGAIN;
	pte_t e;

	c->pmd = walk_level(mm->pgd, c->haddr, PT_LEVEL_PMD);
	if (!c->pmd || !pte_read(c->pmd).v || pte_huge(pte_read(c->pmd)))
		return -EAGAIN;
	spin_lock(&root->lock);
	spin_lock(&mm->page_table_lock);
	e = pte_read(c->pmd);
	c->table = pfn_to_page(pte_pfn(e));
	err = take_pages(c);
	if (!err) {
		pte_set(c->pmd, __pte(0));
		flush_tlb_mm(mm); /* also the paging-structure caches: from here on nobody writes */
	}
	spin_unlock(&mm->page_table_lock);
	spin_unlock(&root->lock);
	if (err)
		collapse_give_back(&c->pages);
	return err;
}

static void copy_one(void *to, pte_t e)
{
	const void *from;

	if (is_zero_pte(e)) {
		clear_page(to);
		return;
	}
	from = kmap_local_page(pfn_to_page(pte_pfn(e)));
	copy_page(to, from);
	kunmap_local(from);
}

/* Without high memory the copy is 2 MiB in one piece, whose address is asked once. */
static void copy(struct collapse *c)
{
	const bool mapped = !static_key(KEY_HIGHMEM);
	char *whole = mapped ? folio_address(c->folio) : NULL;
	pte_t *pte = page_address(c->table);

	for (unsigned long i = 0; i < HPAGE_PMD_NR; i++, pte++) {
		void *to = mapped ? whole + (i << PAGE_SHIFT)
				  : kmap_local_page(folio_page(c->folio, i));

		copy_one(to, pte_read(pte));
		if (!mapped)
			kunmap_local(to);
	}
}

/* Pages of one zone that no PTE maps any more, and that are not yet counted so. */
struct unmapped {
	struct zone *zone;
	s64 n;
};

static void count_unmapped(struct unmapped *u)
{
	if (u->n)
		zone_stat_add(u->zone, NR_ANON_MAPPED, -u->n);
	u->n = 0;
}

/* P held. A page loses its PTE, and the PTE's reference; the caller has one. */
static void unmap_one(struct page *page, struct unmapped *u)
{
	if (atomic_sub_return(&page->mapcount, 1) < 0) {
		if (unlikely(PageCharged(page))) {
			page_stat_add(page, NR_ANON_MAPPED, -1); /* its group counts it, too */
		} else {
			if (unlikely(page_zone(page) != u->zone)) {
				count_unmapped(u);
				u->zone = page_zone(page);
			}
			u->n++;
		}
	}
	atomic_sub(&page->refcount, 1);
}

/* The old pages, which are locked and isolated, after they were copied. Those that nobody else holds are freed without
 * a way over an LRU list. */
static void drop_pages(struct collapse *c)
{
	struct lruvec *lv = NULL;
	struct page *page, *n;
	LIST_HEAD(dead);
	u64 gone = 0;

	list_for_each_entry_safe (page, n, &c->pages, lru) {
		if (unlikely(PageSwapCache(page)))
			try_to_free_swap(page);
		if (unlikely(PageSwapCache(page)) || atomic_cmpxchg(&page->refcount, 1, 0) != 1) {
			unlock_page(page);
			continue;
		}
		/* Nobody can find it, so nobody waits for its lock. It is charged, and so keeps its lruvec's group,
		 * until it is freed. */
		ClearPageLocked(page);
		if (unlikely(page_lruvec(page) != lv)) {
			if (gone)
				lru_unisolate(lv, gone);
			lv = page_lruvec(page);
			gone = 0;
		}
		gone++;
		list_move_tail(&page->lru, &dead);
	}
	if (gone)
		lru_unisolate(lv, gone);
	free_dead_pages(&dead);
	lru_putback(&c->pages);
}

/* Map the copy; the old pages lose these PTEs. */
static void attach(struct collapse *c, struct vm_area_struct *vma)
{
	struct mm_struct *mm = c->mm;
	pte_t *pte = page_address(c->table);
	struct unmapped unmapped = {0};
	s64 had = 0;

	spin_lock(&mm->page_table_lock);
	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++, pte++) {
		pte_t e = pte_read(pte);

		pte_set(pte, __pte(0));
		if (is_zero_pte(e))
			continue;
		had++;
		unmap_one(pfn_to_page(pte_pfn(e)), &unmapped);
	}
	count_unmapped(&unmapped);
	thp_map_new(vma, c->pmd, c->haddr, c->folio, c->table,
		    _PAGE_ACCESSED | _PAGE_WRITTEN | (vma->flags & VM_WRITE ? _PAGE_RW : 0));
	atomic_sub(&mm->rss_anon, had);
	spin_unlock(&mm->page_table_lock);
	c->folio = NULL;
	drop_pages(c);
}

static int collapse_locked(struct collapse *c)
{
	struct vm_area_struct *vma = find_range(c);
	int err;

	if (!vma || !vma->anon_vma)
		return -EINVAL;
	err = detach(c, vma);
	if (err)
		return err;
	copy(c);
	attach(c, vma);
	return 0;
}

/* ---- one range -------------------------------------------------------------------------------- */

/* Decide whether to collapse the range, and read its pages from swap. Takes mmap_lock for reading. */
static int prepare(struct collapse *c)
{
	struct vm_area_struct *vma;
	int err = -EINVAL;

	down_read(&c->mm->mmap_lock);
	vma = find_range(c);
	if (vma && vma->anon_vma)
		err = look(c);
	if (!err && c->swapped)
		err = swap_in(c, vma);
	up_read(&c->mm->mmap_lock);
	return err;
}

#define MAX_SPLITS 16 /* large pages of which a part is mapped in the range */

gfp_t collapse_gfp(enum thp_asker asker)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN;

	return asker == THP_BY_ADVICE || khugepaged.defrag ? gfp & ~__GFP_KSWAPD_RECLAIM
							   : gfp & ~__GFP_RECLAIM;
}

/* mmap_lock not held. */
static int collapse_range(struct mm_struct *mm, unsigned long haddr, enum thp_asker asker)
{
	struct collapse c = {.mm = mm, .haddr = haddr, .asker = asker};
	int err = prepare(&c);

	INIT_LIST_HEAD(&c.pages);
	for (int i = 0; c.large && i < MAX_SPLITS; i++) {
		err = split_found(&c);
		if (err)
			return err;
		err = prepare(&c);
	}
	if (c.large) {
		release_page(&c.large->page);
		return -EAGAIN;
	}
	if (err)
		return err;
	c.folio = (struct folio *)alloc_pages_type(collapse_gfp(asker), HPAGE_PMD_ORDER, PAGE_ANON);
	if (!c.folio) {
		count_vm_event(THP_COLLAPSE_ALLOC_FAILED);
		return -ENOMEM;
	}
	if (mem_cgroup_charge(&c.folio->page, mm, GFP_KERNEL)) {
		folio_put(c.folio);
		return -EBUSY;
	}
	count_vm_event(THP_COLLAPSE_ALLOC);
	mem_cgroup_count_page(&c.folio->page, THP_COLLAPSE_ALLOC);
	lru_add_drain_all();
	down_write(&mm->mmap_lock);
	err = collapse_locked(&c);
	up_write(&mm->mmap_lock);
	if (c.folio)
		folio_put(c.folio);
	return err;
}

/* Shared or anonymous memory. mmap_lock not held. */
static int collapse_any(struct mm_struct *mm, unsigned long haddr, enum thp_asker asker)
{
	int err = shmem_collapse(mm, haddr, asker);

	return err == -EOPNOTSUPP ? collapse_range(mm, haddr, asker) : err;
}

int thp_collapse_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long addr = ALIGN_UP(start, PMD_SIZE), last = end & PMD_MASK;
	int err = 0, e;

	lru_add_drain_all(); /* a batch holds references */
	for (; addr < last; addr += PMD_SIZE) {
		up_read(&mm->mmap_lock);
		for (int tries = 0; tries < 3; tries++) {
			e = collapse_any(mm, addr, THP_BY_ADVICE);
			if (e != -EAGAIN)
				break;
		}
		down_read(&mm->mmap_lock);
		/* As Linux: a range that is huge already is not an error. After an error the other ranges are still
		 * tried, unless a huge page could not be allocated or charged. */
		if (e && e != -EEXIST)
			err = e;
		if (e == -ENOMEM || e == -EBUSY)
			break;
	}
	return err;
}

/* ---- the thread ------------------------------------------------------------------------------- */

static u32 pass = 1;
static struct wait_queue khugepaged_wait = WAIT_QUEUE_INIT(khugepaged_wait);
static bool wanted;
bool khugepaged_has_work;
static bool in_pass; /* khugepaged alone */

/* The next range at or after mm->khugepaged_addr that may become huge, or 0. */
static unsigned long next_range(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	unsigned long found = 0;

	down_read(&mm->mmap_lock);
	for (vma = find_vma(mm, mm->khugepaged_addr); vma && !found; vma = vma_next(vma)) {
		unsigned long first = max(vma->vm_start, mm->khugepaged_addr);
		unsigned long haddr = ALIGN_UP(first, PMD_SIZE);

		if (thp_vma_eligible(vma) && thp_fits(vma, haddr))
			found = haddr;
	}
	up_read(&mm->mmap_lock);
	return found;
}

/* The next address space of this pass, with a reference. NULL: all have been looked at. */
static struct mm_struct *next_mm(void)
{
	struct mm_struct *mm;

	spin_lock(&mm_list_lock);
	list_for_each_entry (mm, &mm_list, mm_list) {
		if (mm->khugepaged_pass != pass && mmget_not_zero(mm)) {
			spin_unlock(&mm_list_lock);
			return mm;
		}
	}
	spin_unlock(&mm_list_lock);
	return NULL;
}

int khugepaged_scan(unsigned long pages)
{
	u64 left = pages;

	/* It is set again when this pass finds memory, and when an mm is added during the pass. */
	if (!in_pass) {
		in_pass = true;
		WRITE_ONCE(khugepaged_has_work, false);
		smp_mb();
	}
	while (left) {
		struct mm_struct *mm = next_mm();
		unsigned long haddr;

		if (!mm) {
			pass++;
			khugepaged.full_scans++;
			in_pass = false;
			return 0;
		}
		while (left && (haddr = next_range(mm))) {
			int err = collapse_any(mm, haddr, THP_BY_KERNEL);

			WRITE_ONCE(khugepaged_has_work, true);
			if (!err)
				khugepaged.pages_collapsed++;
			if (err == -ENOMEM) {
				mmput(mm);
				return err; /* this range is tried again later */
			}
			mm->khugepaged_addr = haddr + PMD_SIZE;
			left -= min(left, (u64)HPAGE_PMD_NR);
			cond_resched();
		}
		if (left) {
			mm->khugepaged_pass = pass;
			mm->khugepaged_addr = 0;
		}
		mmput(mm);
	}
	return 0;
}

void khugepaged_wake(void)
{
	/* Under the new setting there may be work that an earlier pass skipped. */
	WRITE_ONCE(khugepaged_has_work, true);
	WRITE_ONCE(wanted, true);
	wake_up(&khugepaged_wait);
}

void __khugepaged_enter(void)
{
	WRITE_ONCE(khugepaged_has_work, true);
	wake_up(&khugepaged_wait);
}

/* No huge page could be allocated: sleep for alloc_sleep_millisecs, or until a setting changes. */
static void sleep_without_memory(void)
{
	struct wait_entry we;

	prepare_to_wait(&khugepaged_wait, &we);
	if (!READ_ONCE(wanted))
		schedule_timeout(khugepaged.alloc_sleep_millisecs * 1000000ull);
	finish_wait(&khugepaged_wait, &we);
}

/* Some memory may become huge without having been asked for. */
static bool enabled(void)
{
	const u32 shmem = READ_ONCE(shmem_enabled);

	return thp_enabled != THP_NEVER || (shmem != SHMEM_HUGE_NEVER && shmem != SHMEM_HUGE_DENY);
}

static int khugepaged_thread(void *arg)
{
	for (;;) {
		struct wait_entry we;
		bool scan = true;

		prepare_to_wait(&khugepaged_wait, &we);
		if (!READ_ONCE(wanted)) {
			/* With "never", or with nothing to look at, sleep until a setting changes or an address
			 * space enters; then wait a while as well. */
			scan = enabled() && READ_ONCE(khugepaged_has_work);
			if (scan)
				schedule_timeout(khugepaged.scan_sleep_millisecs * 1000000ull);
			else
				schedule();
		}
		finish_wait(&khugepaged_wait, &we);
		WRITE_ONCE(wanted, false);
		if (scan && enabled() && khugepaged_scan(khugepaged.pages_to_scan) == -ENOMEM)
			sleep_without_memory();
	}
	return 0;
}

void khugepaged_start(void)
{
	if (kthread_run(khugepaged_thread, NULL, "khugepaged"))
		printk("khugepaged: no memory for its thread\n");
}
