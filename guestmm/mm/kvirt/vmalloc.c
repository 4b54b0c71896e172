/*
 * Kernel virtual memory: contiguous addresses for pages that need not be contiguous. vmap_area.c manages the
 * addresses; this file the page-table entries and the pages.
 *
 * vfree clears the entries and frees the pages; the addresses stay taken until the next purge.
 *
 * I3  Tables of the vmalloc area are added, never freed, and the top-level entries are made by
 *     arch/ at boot: so a new mapping is seen by every address space at once and needs no flush.
 * I4  Only the entries record which pages an area maps; there is no second list of them.
 *
 * Locks: vmap_lock for new tables; the leaf entries of an area belong to its owner. Not called from interrupts.
 */
#include "mm/memcg/memcg.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/kvirt/vmap_area.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "arch/tlb.h"
#include "mm/pgtable/pgtable.h"

s64 kernel_pgtables;

/* ---- page tables ---- */

static pte_t *table_of(pte_t entry)
{
	return __va(entry.v & PTE_PFN_MASK);
}

/* Leaf table for `addr`, or NULL when it is missing or a large page is there. */
static pte_t *leaf_table(unsigned long addr)
{
	pte_t *table = kernel_pgd();

	for (int level = pt_top_level; level > 0; level--) {
		pte_t e = pte_read(&table[pt_index(addr, level)]);

		if (!pte_present(e) || pte_huge(e))
			return NULL;
		table = table_of(e);
	}
	return table;
}

/* As leaf_table, making what is missing. NULL: no memory. */
static pte_t *leaf_table_alloc(unsigned long addr)
{
	pte_t *table = kernel_pgd();

	for (int level = pt_top_level; level > 0; level--) {
		pte_t *slot = &table[pt_index(addr, level)];
		struct page *page;

		if (likely(pte_present(pte_read(slot)))) {
			table = table_of(pte_read(slot));
			continue;
		}
		page = alloc_pages_type(GFP_KERNEL | __GFP_ZERO, 0, PAGE_PGTABLE);
		if (!page)
			return NULL;
		spin_lock(&vmap_lock);
		if (!pte_present(pte_read(slot))) {
			page_stat_add(page, NR_PAGETABLE, 1);
			kernel_pgtables++;
			pte_set(slot, __pte(page_to_phys(page) | _PAGE_TABLE));
			page = NULL;
		}
		spin_unlock(&vmap_lock);
		if (page)
			__free_page(page);
		table = table_of(pte_read(slot));
	}
	return table;
}

pte_t *kernel_pte_alloc(unsigned long addr)
{
	pte_t *table = leaf_table_alloc(addr);

	return table ? table + pt_index(addr, 0) : NULL;
}

/* Pages of one type that areas gain or lose. They are counted per zone in runs, since most neighbours are in the
 * same zone. */
struct tally {
	enum mmvm_page_type type;
	unsigned int zone; /* index */
	s64 n;
};

static void tally_flush(struct tally *t)
{
	if (t->n && t->type == PAGE_STACK)
		zone_stat_add(zone_table[t->zone], NR_KERNEL_STACK_KB,
			      t->n * (s64)(PAGE_SIZE / 1024));
	else if (t->n && t->type == PAGE_VMALLOC)
		zone_stat_add(zone_table[t->zone], NR_VMALLOC, t->n);
	t->n = 0;
}

/* A stack's pages are also counted in their memory cgroup. Other pages here are not charged. */
static void count_charged(const struct page *page, s64 n)
{
	if (unlikely(PageCharged(page)))
		mem_cgroup_page_stat(page, NR_KERNEL_STACK_KB, n * (s64)(PAGE_SIZE / 1024));
}

static inline void tally_add(struct tally *t, const struct page *page, s64 n)
{
	unsigned int zone = page_zone_index(page);

	if (unlikely(t->zone != zone)) {
		tally_flush(t);
		t->zone = zone;
	}
	t->n += n;
}

/* Pages handled at a time, on the stack. */
#define HANDFUL 32u

/* How many of the `left` entries from `addr` on lie in one table, a handful at most. */
static unsigned int entries_here(unsigned long addr, unsigned int left)
{
	left = min(left, HANDFUL);
	return min(left, PTRS_PER_PTE - pt_index(addr, 0));
}

/* Clear the entries of an area; free the pages if the area owns them. */
static void unmap_area(struct vmap_area *a)
{
	struct tally tally = {.type = a->type};
	unsigned long addr = a->addr;
	struct page *dead[HANDFUL];

	for (unsigned int left = a->nr_pages, n; left; left -= n, addr += n << PAGE_SHIFT) {
		pte_t *pte = leaf_table(addr) + pt_index(addr, 0);
		unsigned int nr_dead = 0;

		n = entries_here(addr, left);
		for (pte_t *end = pte + n; pte < end; pte++) {
			struct page *page = pfn_to_page(pte_pfn(pte_read(pte)));

			pte_set(pte, __pte(0));
			if (a->kind != VMAP_ALLOC)
				continue;
			tally_add(&tally, page, -1);
			if (a->type == PAGE_STACK)
				count_charged(page, -1);
			if (likely(atomic_dec_and_test(&page->refcount)))
				dead[nr_dead++] = page;
		}
		free_unref_pages(dead, nr_dead);
	}
	tally_flush(&tally);
}

/* Unmap an area; its addresses stay taken until the next purge. */
static void release_area(struct vmap_area *a)
{
	unmap_area(a);
	vmap_area_retire(a);
}

static void release_addr(const void *p, enum vmap_kind kind, const char *what)
{
	if (p)
		release_area(vmap_area_claim(p, kind, what));
}

/* ---- vmalloc ---- */

/* Charge new pages to the current task's memory cgroup. Those from the first that cannot be charged
 * are freed. Returns how many are left. */
static unsigned int charge_pages(struct page **pages, unsigned int nr, gfp_t gfp)
{
	unsigned int n = 0;

	while (n < nr && !mem_cgroup_charge_kernel(pages[n], current_thread_info()->mm, gfp)) {
		count_charged(pages[n], 1);
		n++;
	}
	for (unsigned int i = n; i < nr; i++)
		__free_page(pages[i]);
	return n;
}

/* Pages behind the whole area, a handful at a time. False: no memory; a->nr_pages are mapped. */
static bool map_new_pages(struct vmap_area *a, unsigned int nr, gfp_t gfp)
{
	struct tally tally = {.type = a->type};
	unsigned long addr = a->addr;
	struct page *pages[HANDFUL];
	unsigned int n, got;

	for (; a->nr_pages < nr; addr += n << PAGE_SHIFT) {
		pte_t *pte = leaf_table_alloc(addr);

		if (!pte)
			break;
		pte += pt_index(addr, 0);
		n = entries_here(addr, nr - a->nr_pages);
		got = alloc_pages_bulk(gfp, n, a->type, pages);
		if (unlikely(gfp & __GFP_ACCOUNT))
			got = charge_pages(pages, got, gfp);
		for (unsigned int i = 0; i < got; i++, pte++) {
			tally_add(&tally, pages[i], 1);
			pte_set(pte, mk_pte(page_to_pfn(pages[i]), PAGE_KERNEL));
		}
		a->nr_pages += got;
		if (got < n)
			break;
	}
	tally_flush(&tally);
	return a->nr_pages == nr;
}

void *__vmalloc(size_t size, size_t align, gfp_t gfp, enum mmvm_page_type type, const char *who)
{
	unsigned int nr = DIV_ROUND_UP(size, PAGE_SIZE);
	struct vmap_area *a;

	if (size > totalram_pages() << PAGE_SHIFT)
		return NULL;
	a = vmap_area_alloc((size_t)nr << PAGE_SHIFT, max(align, (size_t)PAGE_SIZE), VMAP_ALLOC,
			    who);
	if (!a)
		return NULL;
	a->type = type;
	if (map_new_pages(a, nr, gfp))
		return (void *)a->addr;
	release_area(a);
	return NULL;
}

/* Pages of node `nid` behind the area until it has `nr`. False: no memory. */
static bool map_node_pages(struct vmap_area *a, unsigned int nr, gfp_t gfp, unsigned int nid)
{
	while (a->nr_pages < nr) {
		unsigned long addr = a->addr + ((unsigned long)a->nr_pages << PAGE_SHIFT);
		pte_t *table = leaf_table_alloc(addr);
		struct page *page;

		page = table ? __alloc_pages_node(nid, gfp | __GFP_ZERO, 0, a->type) : NULL;
		if (!page)
			return false;
		pte_set(&table[pt_index(addr, 0)], mk_pte(page_to_pfn(page), PAGE_KERNEL));
		a->nr_pages++;
	}
	return true;
}

void *vmalloc_percpu(size_t unit, unsigned int nr, gfp_t gfp)
{
	const unsigned int pages = unit >> PAGE_SHIFT;
	struct vmap_area *a;

	a = vmap_area_alloc(unit * nr, PAGE_SIZE, VMAP_ALLOC, "pcpu_get_vm_areas");
	if (!a)
		return NULL;
	a->type = PAGE_PERCPU;
	for (unsigned int cpu = 0; cpu < nr; cpu++) {
		if (!map_node_pages(a, (cpu + 1) * pages, gfp, cpu_node[cpu])) {
			release_area(a);
			return NULL;
		}
	}
	return (void *)a->addr;
}

void *vmalloc(size_t size)
{
	return __vmalloc(size, PAGE_SIZE, GFP_KERNEL, PAGE_VMALLOC, "vmalloc");
}

void *vzalloc(size_t size)
{
	return __vmalloc(size, PAGE_SIZE, GFP_KERNEL | __GFP_ZERO, PAGE_VMALLOC, "vzalloc");
}

void vfree(const void *p)
{
	release_addr(p, VMAP_ALLOC, "vfree");
}

/* ---- other people's pages ---- */

void *vmap(struct page **pages, unsigned int n, pgprot_t prot)
{
	struct vmap_area *a = vmap_area_alloc((size_t)n << PAGE_SHIFT, PAGE_SIZE, VMAP_MAP, "vmap");
	pte_t *table = NULL;
	unsigned long addr;

	if (!a)
		return NULL;
	addr = a->addr;
	for (unsigned int i = 0; i < n; i++, addr += PAGE_SIZE) {
		unsigned int index = pt_index(addr, 0);

		if (!table || !index)
			table = leaf_table_alloc(addr);
		if (!table) {
			release_area(a);
			return NULL;
		}
		pte_set(&table[index], mk_pte(page_to_pfn(pages[i]), prot));
		a->nr_pages = i + 1;
	}
	return (void *)a->addr;
}

void vunmap(const void *p)
{
	release_addr(p, VMAP_MAP, "vunmap");
}

void *ioremap(phys_addr_t pa, size_t size)
{
	unsigned long offset = pa & ~PAGE_MASK;
	unsigned int n = DIV_ROUND_UP(offset + size, PAGE_SIZE);
	struct vmap_area *a;
	pte_t *table = NULL;
	unsigned long addr;

	if (!size || pa + size < pa)
		return NULL;
	a = vmap_area_alloc((size_t)n << PAGE_SHIFT, PAGE_SIZE, VMAP_IOREMAP, "ioremap");
	if (!a)
		return NULL;
	a->phys = pa;
	addr = a->addr;
	for (unsigned int i = 0; i < n; i++, addr += PAGE_SIZE) {
		unsigned int index = pt_index(addr, 0);

		if (!table || !index)
			table = leaf_table_alloc(addr);
		if (!table) {
			release_area(a);
			return NULL;
		}
		pte_set(&table[index], mk_pte((pa >> PAGE_SHIFT) + i, PAGE_KERNEL_NOCACHE));
		a->nr_pages = i + 1;
	}
	return (void *)(a->addr + offset);
}

void iounmap(void *p)
{
	release_addr((void *)((unsigned long)p & PAGE_MASK), VMAP_IOREMAP, "iounmap");
}

/* ---- looking and changing ---- */

struct page *vmalloc_to_page(const void *p)
{
	unsigned long addr = (unsigned long)p;
	pte_t *table, e;

	if (addr < VMALLOC_START || addr >= VMALLOC_END)
		return NULL;
	table = leaf_table(addr);
	if (!table)
		return NULL;
	e = pte_read(&table[pt_index(addr, 0)]);
	return pte_present(e) && pfn_valid(pte_pfn(e)) ? pfn_to_page(pte_pfn(e)) : NULL;
}

static pte_t *kernel_pte(unsigned long addr)
{
	pte_t *table = leaf_table(addr);
	pte_t *pte = table ? &table[pt_index(addr, 0)] : NULL;

	return pte && pte_present(pte_read(pte)) ? pte : NULL;
}

int set_memory_prot(unsigned long start, unsigned int npages, pgprot_t prot)
{
	unsigned long end = start + ((unsigned long)npages << PAGE_SHIFT);

	if (start & ~PAGE_MASK)
		return -EINVAL;
	for (unsigned long addr = start; addr < end; addr += PAGE_SIZE)
		if (!kernel_pte(addr))
			return -EINVAL;
	for (unsigned long addr = start; addr < end; addr += PAGE_SIZE) {
		pte_t *pte = kernel_pte(addr);

		pte_set(pte, mk_pte(pte_pfn(pte_read(pte)), prot));
	}
	flush_tlb_kernel_range(start, end);
	return 0;
}

void vmalloc_init(void)
{
	vmap_area_init();
}
