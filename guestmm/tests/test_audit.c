/*
 * Planted corruptions: each case damages one thing in the memory manager's own data and names what
 * the host's audit must find. The machine is not used any further: the harness asks for the audit
 * at once and stops.
 *
 * One case a finding of mmvm/audit.h, but "total": frames are counted by their types, one type
 * each, and RAM's size is the host's, so nothing inside the guest can make that sum wrong.
 */
#include "mm/phys/folio.h"
#include "mm/rmap/migrate_entry.h"
#include "mmvm/audit.h"
#include "tests/tests.h"

#define MEM	 "memory=16M,high=4M"
#define MEM_SWAP "memory=16M,high=4M swap=16M"
#define PLANTED	 MMVM_TESTF_EXPECT_AUDIT

extern struct mmvm_audit_root mmvm_audit_root;

static struct zone *some_zone(void)
{
	for (unsigned int i = 0; i < nr_zones; i++)
		if (zone_table[i]->managed > 1000)
			return zone_table[i];
	return zone_table[0];
}

/** A free block on a buddy list, of at least `order`. */
static struct page *free_block(unsigned int order)
{
	drain_all_pages();
	for (unsigned int o = order; o < NR_ORDERS; o++) {
		for (unsigned int i = 0; i < nr_zones; i++) {
			struct free_area *area = &zone_table[i]->free_area[o];

			for (int type = 0; type < NR_MIGRATETYPES; type++)
				if (!list_empty(&area->free_list[type]))
					return list_first_entry(&area->free_list[type], struct page,
								lru);
		}
	}
	return NULL;
}

/** An address space with `pages` written pages at *addr. */
static struct mm_struct *planted_mm(struct test *t, unsigned long pages, unsigned long *addr)
{
	struct mm_struct *mm = testmm_create(t);

	if (!mm)
		return NULL;
	*addr = testmm_map(t, mm, pages * PAGE_SIZE);
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_touch(mm, *addr + i * PAGE_SIZE, TOUCH_WRITE), 0);
	return mm;
}

GUEST_TEST(audit, magic_of_the_root, PLANTED, 0, MEM)
{
	mmvm_audit_root.magic ^= 1;
	test_expect_audit(t, "root");
}

GUEST_TEST(audit, type_of_a_page, PLANTED, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(p);
	p->type = 200;
	test_expect_audit(t, "page_state");
}

GUEST_TEST(audit, block_that_covers_another, PLANTED, 0, MEM)
{
	struct page *p = alloc_pages(GFP_KERNEL, 5);

	REQUIRE(p);
	/* Free the upper half: it becomes a buddy block. Then claim the whole again. */
	split_page(p, 5);
	for (int i = 16; i < 32; i++)
		__free_page(p + i);
	drain_all_pages();
	REQUIRE(p[16].type == PAGE_BUDDY);
	p->order = 5;
	test_expect_audit(t, "page_overlap");
}

GUEST_TEST(audit, reference_to_a_free_page, PLANTED, 0, MEM)
{
	struct page *p = free_block(0);

	REQUIRE(p);
	p->refcount = 1;
	test_expect_audit(t, "free_refcount");
}

GUEST_TEST(audit, page_in_use_without_reference, PLANTED, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(p);
	p->refcount = 0;
	test_expect_audit(t, "used_refcount");
}

GUEST_TEST(audit, mapped_page_with_too_many_references, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 40, &a);

	REQUIRE(mm);
	testmm_page(mm, a)->refcount += 7;
	test_expect_audit(t, "used_refcount");
}

GUEST_TEST(audit, broken_link_in_a_buddy_list, PLANTED, 0, MEM)
{
	struct page *p = free_block(3);

	REQUIRE(p);
	p->lru.next = (struct list_head *)((u8 *)p->lru.next + 8);
	test_expect_audit(t, "buddy_list");
}

GUEST_TEST(audit, free_page_that_no_list_holds, PLANTED, 0, MEM)
{
	struct page *p = free_block(0);

	REQUIRE(p);
	__list_del(p->lru.prev, p->lru.next);
	test_expect_audit(t, "buddy_list");
}

GUEST_TEST(audit, count_of_a_buddy_list, PLANTED, 0, MEM)
{
	some_zone()->free_area[0].nr_free++;
	test_expect_audit(t, "buddy_count");
}

GUEST_TEST(audit, buddies_that_were_not_merged, PLANTED, 0, MEM)
{
	struct page *p = free_block(1);
	unsigned int order;
	struct zone *z;

	REQUIRE(p);
	/* One block becomes its two halves, with all counts right. */
	z = page_zone(p);
	order = p->order;
	list_del(&p->lru);
	z->free_area[order].nr_free--;
	order--;
	for (int half = 0; half < 2; half++) {
		struct page *q = p + ((unsigned long)half << order);

		q->flags = p->flags;
		q->type = PAGE_BUDDY;
		q->order = order;
		q->migratetype = p->migratetype;
		q->refcount = 0;
		q->mapcount = -1;
		list_add(&q->lru, &z->free_area[order].free_list[q->migratetype]);
		z->free_area[order].nr_free++;
	}
	test_expect_audit(t, "buddy_unmerged");
}

GUEST_TEST(audit, level_of_free_pages, PLANTED, 0, MEM)
{
	zone_stat_add(some_zone(), NR_FREE_PAGES, 3);
	test_expect_audit(t, "free_pages");
}

/** A page on this CPU's list. */
static struct page *pcp_page(void)
{
	struct page *p = alloc_page(GFP_KERNEL);

	if (p)
		__free_page(p);
	return p;
}

GUEST_TEST(audit, page_in_use_on_a_pcp_list, PLANTED, 0, MEM)
{
	struct page *p = pcp_page();

	REQUIRE(p && p->type == PAGE_PCP);
	p->type = PAGE_OTHER;
	p->refcount = 1;
	test_expect_audit(t, "pcp_list");
}

GUEST_TEST(audit, count_of_a_pcp_list, PLANTED, 0, MEM)
{
	struct page *p = pcp_page();

	REQUIRE(p);
	this_cpu_ptr(page_zone(p)->pcp)->count++;
	test_expect_audit(t, "pcp_count");
}

/** A slab with free objects on its list. */
static struct page *some_slab(struct test *t)
{
	struct kmem_cache *c = kmem_cache_create("planted", 200, 8, 0, NULL);
	void *obj = c ? kmem_cache_alloc(c, GFP_KERNEL) : NULL;
	struct page *p;

	if (!obj)
		return NULL;
	p = virt_to_page(obj);
	p = pfn_to_page(ALIGN_DOWN(page_to_pfn(p), 1ul << p->order));
	CHECK_EQ(p->type, PAGE_SLAB);
	return p->index ? p : NULL;
}

GUEST_TEST(audit, free_list_that_leaves_its_slab, PLANTED, 0, MEM)
{
	struct page *p = some_slab(t);

	REQUIRE(p);
	p->index += PAGE_SIZE << p->order;
	test_expect_audit(t, "slab_freelist");
}

GUEST_TEST(audit, free_list_that_misses_the_objects, PLANTED, 0, MEM)
{
	struct page *p = some_slab(t);

	REQUIRE(p);
	p->index += 8;
	test_expect_audit(t, "slab_freelist");
}

GUEST_TEST(audit, count_of_a_slab, PLANTED, 0, MEM)
{
	struct page *p = some_slab(t);

	REQUIRE(p);
	p->private_++;
	test_expect_audit(t, "slab_count");
}

GUEST_TEST(audit, tail_without_its_head, PLANTED, 0, MEM)
{
	struct folio *f = folio_alloc(GFP_KERNEL, 3);

	REQUIRE(f);
	folio_page(f, 5)->lru.next = NULL;
	test_expect_audit(t, "folio_tail");
}

GUEST_TEST(audit, tail_that_is_used_by_itself, PLANTED, 0, MEM)
{
	struct folio *f = folio_alloc(GFP_KERNEL, 3);

	REQUIRE(f);
	get_page(folio_page(f, 7));
	test_expect_audit(t, "folio_tail");
}

GUEST_TEST(audit, tail_mark_on_a_free_page, PLANTED, 0, MEM)
{
	struct page *p = free_block(1);

	REQUIRE(p);
	p[1].lru.next = (struct list_head *)((unsigned long)p | 1);
	test_expect_audit(t, "stray_tail");
}

GUEST_TEST(audit, table_that_is_no_table, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 2, &a);
	struct page *wrong = alloc_page(GFP_KERNEL | __GFP_ZERO);
	pte_t *pgd;

	REQUIRE(mm && wrong);
	pgd = mm->pgd + pt_index(a, 3);
	pte_set(pgd, __pte((pte_val(pte_read(pgd)) & ~PTE_PFN_MASK) | page_to_phys(wrong)));
	test_expect_audit(t, "pgtable");
}

GUEST_TEST(audit, leaf_that_points_outside_ram, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 2, &a);
	pte_t *ptep = mm ? walk_pte(mm->pgd, a) : NULL;

	REQUIRE(ptep);
	pte_set(ptep,
		mk_pte(MMVM_RAM_LOW_MAX >> PAGE_SHIFT, pte_val(pte_read(ptep)) & ~PTE_PFN_MASK));
	test_expect_audit(t, "pgtable");
}

GUEST_TEST(audit, count_of_page_tables, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 2, &a);

	REQUIRE(mm);
	mm->pgtables_bytes += PAGE_SIZE;
	test_expect_audit(t, "pgtable_count");
}

GUEST_TEST(audit, mapcount_of_a_page, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 40, &a);

	REQUIRE(mm);
	testmm_page(mm, a)->mapcount++;
	test_expect_audit(t, "mapcount");
}

GUEST_TEST(audit, second_mapping_that_nobody_counted, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 40, &a);

	REQUIRE(mm);
	pte_set(walk_pte(mm->pgd, a), testmm_pte(mm, a + PAGE_SIZE));
	test_expect_audit(t, "mapcount");
}

GUEST_TEST(audit, user_mapping_of_a_free_page, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 2, &a);
	struct page *p = free_block(0);
	pte_t *ptep = mm ? walk_pte(mm->pgd, a) : NULL;

	REQUIRE(ptep && p);
	pte_set(ptep, mk_pte(page_to_pfn(p), pte_val(pte_read(ptep)) & ~PTE_PFN_MASK));
	test_expect_audit(t, "free_mapped");
}

/** A page of the test mm that has reached an LRU list (new pages wait in per-CPU batches). */
static struct page *lru_page(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++) {
		struct page *p = testmm_page(mm, a + i * PAGE_SIZE);

		if (p && PageLRU(p))
			return p;
	}
	return NULL;
}

GUEST_TEST(audit, page_on_the_lru_that_says_it_is_not, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 80, &a);
	struct page *p = mm ? lru_page(mm, a, 80) : NULL;

	REQUIRE(p);
	ClearPageLRU(p);
	test_expect_audit(t, "lru_list");
}

GUEST_TEST(audit, broken_link_in_an_lru_list, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 80, &a);
	struct page *p = mm ? lru_page(mm, a, 80) : NULL;

	REQUIRE(p);
	p->lru.prev = NULL;
	test_expect_audit(t, "lru_list");
}

GUEST_TEST(audit, level_of_an_lru_list, PLANTED, 0, MEM)
{
	zone_stat_add(some_zone(), NR_INACTIVE_ANON, 2);
	test_expect_audit(t, "lru_count");
}

/** Reclaim until a page of the region is in swap; returns its PTE. */
static pte_t swapped_pte(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	for (int turn = 0; turn < 300; turn++) {
		for (unsigned long i = 0; i < pages; i++)
			if (pte_is_swap(testmm_pte(mm, a + i * PAGE_SIZE)) &&
			    !global_stat(NR_WRITEBACK))
				return testmm_pte(mm, a + i * PAGE_SIZE);
		try_to_free_pages(GFP_KERNEL, 0);
		sleep_ms(1);
	}
	return __pte(0);
}

GUEST_TEST(audit, users_of_a_swap_slot, PLANTED, 0, MEM_SWAP)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 64, &a);
	swp_entry_t e;
	pte_t pte;

	REQUIRE(mm);
	pte = swapped_pte(mm, a, 64);
	REQUIRE(pte_is_swap(pte));
	e = pte_to_swp_entry(pte);
	REQUIRE(mmvm_audit_root.swap[swp_type(e)].present);
	((u8 *)mmvm_audit_root.swap[swp_type(e)].map_gva)[swp_offset(e)]++;
	test_expect_audit(t, "swap_map");
}

GUEST_TEST(audit, swap_entry_that_nobody_counted, PLANTED, 0, MEM_SWAP)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 64, &a);
	pte_t pte, *ptep;

	REQUIRE(mm);
	pte = swapped_pte(mm, a, 64);
	REQUIRE(pte_is_swap(pte));
	/* Another page of the region now claims the same slot. */
	ptep = walk_pte(mm->pgd, testmm_map(t, mm, PAGE_SIZE));
	if (!ptep)
		ptep = walk_pte_alloc(mm, a + 63 * PAGE_SIZE);
	REQUIRE(ptep);
	pte_set(ptep, pte);
	test_expect_audit(t, "swap_map");
}

GUEST_TEST(audit, count_of_used_swap_slots, PLANTED, 0, MEM_SWAP)
{
	REQUIRE(mmvm_audit_root.swap[0].present);
	++*(u64 *)mmvm_audit_root.swap[0].inuse_gva;
	test_expect_audit(t, "swap_count");
}

GUEST_TEST(audit, resident_pages_of_an_address_space, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 4, &a);

	REQUIRE(mm);
	mm->rss_anon++;
	test_expect_audit(t, "rss");
}

GUEST_TEST(audit, migration_entry_left_behind, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 4, &a);
	pte_t *pte;

	REQUIRE(mm);
	pte = walk_pte(mm->pgd, a);
	pte_set(pte, swp_entry_to_pte(make_migration_entry(pte_read(pte))));
	test_expect_audit(t, "migration");
}

GUEST_TEST(audit, page_outside_every_vma, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 4, &a);

	REQUIRE(mm);
	find_vma(mm, a)->vm_end -= PAGE_SIZE;
	test_expect_audit(t, "vma");
}

GUEST_TEST(audit, vmas_that_overlap, PLANTED, 0, MEM)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 8, &a);

	REQUIRE(mm);
	REQUIRE(!do_mprotect(mm, a, 4 * PAGE_SIZE, PROT_READ)); /* two VMAs now */
	find_vma(mm, a)->vm_end += PAGE_SIZE;
	test_expect_audit(t, "vma");
}

GUEST_TEST(audit, level_of_page_tables, PLANTED, 0, MEM)
{
	zone_stat_add(some_zone(), NR_PAGETABLE, 1);
	test_expect_audit(t, "vmstat");
}

GUEST_TEST(audit, level_of_anonymous_pages, PLANTED, 0, MEM)
{
	zone_stat_add(some_zone(), NR_ANON_MAPPED, -1);
	test_expect_audit(t, "vmstat");
}

GUEST_TEST(audit, busy_memory_is_clean, 0, 0, MEM_SWAP)
{
	unsigned long a;
	struct mm_struct *mm = planted_mm(t, 100, &a);

	REQUIRE(mm);
	CHECK_EQ(settled_audit(), 0);
	CHECK(pte_is_swap(swapped_pte(mm, a, 100)));
	sleep_ms(50);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_munmap(mm, a, 50 * PAGE_SIZE), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
