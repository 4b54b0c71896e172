/*
 * Splitting huge pages: first the PMD that maps one, later the page itself.
 *
 *   PMD ─> folio of 512 pages      thp_split_pmd()    512 PTEs ─> the same folio     cannot fail
 *   512 PTEs ─> folio              split_folio()      PTEs ─> 512 single pages       may fail: try later
 *
 * A folio is split where it lies, with its mappings in place. All page_table_locks of the address
 * spaces that map it are held, and its reference count is what the mappings explain: then nobody can
 * add or drop a mapping or a reference, the count is frozen at 0, and head and tails become pages of
 * their own with the references their PTEs hold. No PTE changes, so no TLB is flushed, and no fault
 * waits for a migration entry.
 *
 * Several address spaces map it after a fork. Their locks are taken in the order in which they are found. The first
 * is waited for; the others are only tried, because a fork nests these locks in another order.
 *
 * While it moves (migrate.c) a PMD that stood for it becomes 512 migration entries. The folio itself is not
 * split then: its lock is held.
 *
 * S1  A folio is on the deferred list only while some of its pages are mapped and some are not; it
 *     holds no reference there: who frees it takes it off.
 *
 * Locks: page lock > anon_vma root->lock > page_table_lock (several) > deferred_lock > lruvec->lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

/* ---- the PMD ---------------------------------------------------------------------------------- */

/* The bits of a PTE that maps a part of what the PMD maps. */
static u64 pte_bits(pte_t pmd)
{
	return pmd.v & ~(PTE_PFN_MASK | _PAGE_PSE);
}

static void fill_table(pte_t *ptes, pte_t old)
{
	u64 bits = pte_bits(old);

	if (pte_special(old)) {
		for (unsigned int i = 0; i < HPAGE_PMD_NR; i++)
			pte_set(&ptes[i], mk_pte(page_to_pfn(zero_page), bits));
		return;
	}
	/* Two loops: a test in each of 512 turns would be a seventh of the cost of the benchmark row thp_split. */
	if (pmd_is_migration(old)) {
		for (unsigned int i = 0; i < HPAGE_PMD_NR; i++)
			pte_set(&ptes[i], pmd_migration_part(old, i));
		return;
	}
	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++)
		pte_set(&ptes[i], mk_pte(pte_pfn(old) + i, bits));
}

void thp_split_pmd(struct mm_struct *mm, pte_t *pmd, unsigned long haddr)
{
	struct page *table = thp_withdraw(pmd);
	pte_t old = pte_get_and_clear(pmd);

	/* Flush before the table is set: no CPU may hold 4 KiB and 2 MiB translations of one address at a time (SDM
	 * vol. 3, 4.10.2). */
	flush_tlb_page(mm, haddr);
	fill_table(page_address(table), old);
	if (!pte_special(old) && !pmd_is_migration(old)) {
		struct folio *folio = pfn_folio(pte_pfn(old));

		folio_ref_add(folio, HPAGE_PMD_NR - 1);
		for (unsigned int i = 0; i < HPAGE_PMD_NR; i++)
			folio_add_rmap_pte(folio, folio_page(folio, i));
		folio_remove_rmap_pmd(folio);
	}
	atomic_store_release(&pmd->v, page_to_phys(table) | _PAGE_TABLE);
	count_vm_event(THP_SPLIT_PMD);
}

void __thp_split_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pmd = walk_level(mm->pgd, addr, PT_LEVEL_PMD);

	if (!pmd || !pte_huge(pte_read(pmd)))
		return;
	spin_lock(&mm->page_table_lock);
	if (pte_huge(pte_read(pmd)))
		thp_split_pmd(mm, pmd, addr & PMD_MASK);
	spin_unlock(&mm->page_table_lock);
}

/* ---- the folio -------------------------------------------------------------------------------- */

#define MAX_MMS 16u

struct split {
	struct folio *folio;
	struct mm_struct *mm[MAX_MMS]; /* locked */
	unsigned int nr_mms;
	int err;
};

static bool lock_mm(struct split *s, struct mm_struct *mm)
{
	for (unsigned int i = 0; i < s->nr_mms; i++)
		if (s->mm[i] == mm)
			return true;
	if (s->nr_mms == MAX_MMS) {
		s->err = -EBUSY;
		return false;
	}
	if (!s->nr_mms) {
		spin_lock(&mm->page_table_lock);
	} else if (!spin_trylock(&mm->page_table_lock)) {
		s->err = -EAGAIN;
		return false;
	}
	s->mm[s->nr_mms++] = mm;
	return true;
}

/* Lock the tables of a VMA that may map a part of the folio, and split the PMD that maps it. */
static bool prepare_vma(struct page *head, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	struct split *s = arg;
	unsigned int level;
	unsigned long next;
	pte_t *leaf;

	if (!lock_mm(s, vma->mm))
		return false;
	/* Where in the VMA the folio begins, or the VMA itself. */
	leaf = walk_leaf(vma->mm->pgd, max(addr, vma->vm_start), &level, &next);
	if (leaf && level && pte_pfn(pte_read(leaf)) == page_to_pfn(head))
		thp_split_pmd(vma->mm, leaf, addr & PMD_MASK);
	return true;
}

static void unlock_mms(struct split *s)
{
	while (s->nr_mms)
		spin_unlock(&s->mm[--s->nr_mms]->page_table_lock);
}

#define SPLIT_FLAGS                                                                               \
	(1ull << PG_uptodate | 1ull << PG_swapbacked | 1ull << PG_dirty | 1ull << PG_active |     \
	 1ull << PG_referenced | 1ull << PG_unevictable | 1ull << PG_mlocked | 1ull << PG_young | \
	 1ull << PG_workingset)

void thp_make_pages(struct folio *folio, int cached)
{
	struct page *head = &folio->page;
	u64 flags = (head->flags & SPLIT_FLAGS) | (head->flags & PAGE_FLAGS_KEPT);
	const u32 state = PAGE_STATE(head->type, 0, 0, 0);
	const u16 memcg = head->memcg_id;

	for (unsigned int i = HPAGE_PMD_NR - 1; i > 0; i--) {
		struct page *p = head + i;

		p->flags = flags;
		p->lru.next = NULL;
		p->mapping = head->mapping;
		p->index = head->index + i;
		p->private_ = 0;
		p->memcg_id = memcg;
		page_set_state(p, state);
		WRITE_ONCE(p->refcount, page_mapcount(p) + cached + 1);
	}
	head->flags &= ~(1ull << PG_head);
	page_set_state(head, state);
	WRITE_ONCE(head->refcount, page_mapcount(head) + cached + 1);
}

static bool wanted(const struct page *page)
{
	return page_mapped(page) || page_mapping_file(page);
}

/* Each tail still has one reference too many: that of the split. */
void thp_place_tails(struct page *head, struct list_head *to)
{
	for (unsigned int i = 1; i < HPAGE_PMD_NR; i++) {
		struct page *p = head + i;

		if (to && wanted(p)) {
			list_add_tail(&p->lru, to);
			continue;
		}
		if (wanted(p))
			lru_add(p);
		release_page(p);
	}
}

int split_folio(struct folio *folio, struct list_head *to)
{
	struct split s = {.folio = folio};
	struct page *head = &folio->page;
	struct anon_vma *root;
	bool listed = false;
	int refs;

	if (!folio_test_large(folio))
		return -EBUSY;
	if (!PageAnon(head))
		return split_shmem_folio(folio, to);
	lru_add_drain(); /* a batch holds a reference */
	root = rmap_lock_anon(head);
	if (!root)
		return -EBUSY;
	rmap_for_each_vma(head, HPAGE_PMD_NR, prepare_vma, &s);
	refs = folio_mapcount(folio) + 1;
	if (!s.err && atomic_cmpxchg(&head->refcount, refs, 0) != refs)
		s.err = -EAGAIN;
	if (s.err)
		goto out;
	thp_undefer(folio);
	/* The count is frozen and the locks of all that maps it are held: only the LRU still reaches it. */
	listed = PageLRU(head);
	if (listed)
		lru_del(head);
	if (PageLazyfree(head))
		page_clear_lazyfree(head);
	thp_make_pages(folio, 0);
	mem_cgroup_split(head, HPAGE_PMD_ORDER);
	count_vm_event(THP_SPLIT_PAGE);
out:
	unlock_mms(&s);
	rmap_unlock_anon(root);
	if (s.err) {
		count_vm_event(THP_SPLIT_PAGE_FAILED);
		return s.err;
	}
	thp_place_tails(head, to);
	if (listed)
		lru_add(head);
	return 0;
}

/* ---- later ------------------------------------------------------------------------------------ */

static spinlock_t deferred_lock = SPINLOCK_INIT;
LIST_HEAD(thp_deferred); /* deferred_lock */
u64 thp_nr_deferred;	 /* deferred_lock */

static struct list_head *link_of(struct folio *folio)
{
	return &folio_links(folio)->deferred;
}

void deferred_split_folio(struct folio *folio)
{
	unsigned long flags = spin_lock_irqsave(&deferred_lock);

	if (!link_of(folio)->next) {
		list_add_tail(link_of(folio), &thp_deferred);
		thp_nr_deferred++;
		count_vm_event(THP_DEFERRED_SPLIT_PAGE);
	}
	spin_unlock_irqrestore(&deferred_lock, flags);
}

void thp_undefer(struct folio *folio)
{
	unsigned long flags;

	if (!READ_ONCE(link_of(folio)->next))
		return;
	flags = spin_lock_irqsave(&deferred_lock);
	if (link_of(folio)->next) {
		list_del(link_of(folio));
		link_of(folio)->next = link_of(folio)->prev = NULL;
		thp_nr_deferred--;
	}
	spin_unlock_irqrestore(&deferred_lock, flags);
}

/* The first on the list, with a reference, moved to its end; NULL: none. */
static struct folio *next_deferred(void)
{
	unsigned long flags = spin_lock_irqsave(&deferred_lock);
	struct folio *folio = NULL;

	if (!list_empty(&thp_deferred)) {
		struct folio_links *l =
			list_first_entry(&thp_deferred, struct folio_links, deferred);

		list_move_tail(&l->deferred, &thp_deferred);
		folio = (struct folio *)l - 2;
		if (!folio_try_get(folio))
			folio = NULL; /* it is being freed, by somebody who waits for deferred_lock */
	}
	spin_unlock_irqrestore(&deferred_lock, flags);
	return folio;
}

static unsigned long deferred_count(struct shrinker *s, struct shrink_control *sc)
{
	return READ_ONCE(thp_nr_deferred);
}

static unsigned long deferred_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long done = 0,
		      most = min(sc->nr_to_scan, (unsigned long)READ_ONCE(thp_nr_deferred));

	for (unsigned long i = 0; i < most; i++) {
		struct folio *folio = next_deferred();

		if (!folio)
			break;
		if (folio_trylock(folio)) {
			done += !split_folio(folio, NULL);
			folio_unlock(folio);
		}
		release_page(&folio->page);
	}
	return done;
}

static struct shrinker deferred_shrinker = {
	.count = deferred_count, .scan = deferred_scan, .name = "thp-deferred_split"};

void thp_split_init(void)
{
	register_shrinker(&deferred_shrinker);
}
