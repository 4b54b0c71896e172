/*
 * Automatic balancing: pages follow the CPUs that use them.
 *
 *   scanner ──hint──> entry without access ──touched──> hint fault ──other node──> migrate_pages()
 *      every second,      _PAGE_PROTNONE instead            │                           │
 *      each mm            of _PAGE_PRESENT                  └── same node, or it may    └── did not work:
 *                                                               not move: access again      access again
 *
 * A hint differs from the original entry only in those two bits, so removing it restores all permissions. An entry
 * without access means PROT_NONE in a mapping that allows no access, and a hint in any other mapping.
 *
 * The target is the node of the CPU that faults, unless a policy says otherwise. A mapping or thread whose policy
 * names nodes is not balanced, except for a bind with MPOL_F_NUMA_BALANCING, which allows moves between its nodes.
 * A page that several tasks use moves only after two faults in a row from the same node (struct page's `spare`
 * records the last one), so that it does not move back and forth.
 *
 * A huge page has one hint for all of it, and moves as a whole or not at all. It counts as 512 entries in
 * numa_pte_updates and as one in numa_huge_pte_updates, as one fault, and as 512 pages that move, as on Linux.
 *
 * N1  Hints are only made in mappings that allow access, of pages of 4 KiB that are on their own and of PMDs of
 *     huge pages; never of hugetlb or of a zero page. Where such a PMD is split, its 512 entries are hints that
 *     move nothing.
 * N2  On a machine with one node there are no hints, and the fault handler's check for them is a no-op.
 *
 * Locks: mmap_lock for reading, page_table_lock for the entries.
 * Source: Documentation/admin-guide/sysctl/kernel.rst (numa_balancing); kernel/sched/fair.c, mm/mprotect.c and
 * mm/memory.c of Linux 6.1.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/thp.h"
#include "mm/numa/balancing.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/alloc.h"
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/vmscan.h"
#include "mm/fault/fault.h"
#include "mm/pgtable/pgtable.h"

#define SCAN_PERIOD_NS 1000000000ull /* Linux's scan_period_min_ms */
#define SCAN_PAGES     65536ul /* of an address space in a period: Linux's scan_size_mb, 256 */

unsigned int sysctl_numa_balancing; /* NUMA_BALANCING_*; R */
u32 numa_hints_ever;		    /* there may be hints; R, never cleared */
static struct wait_queue scan_wait = WAIT_QUEUE_INIT(scan_wait);
static bool scanner_runs; /* set once, when it is first turned on; scan_lock */
static struct mutex scan_lock = MUTEX_INIT(scan_lock);

/* ---- hints ------------------------------------------------------------------------------------ */

static pte_t make_hint(pte_t e)
{
	return __pte((e.v & ~_PAGE_PRESENT) | _PAGE_PROTNONE);
}
static pte_t take_hint_back(pte_t e)
{
	return __pte((e.v & ~_PAGE_PROTNONE) | _PAGE_PRESENT);
}

/* Does the policy allow balancing to move pages? */
static bool policy_lets_move(const struct mempolicy *pol)
{
	return !pol || (pol->mode == MPOL_BIND && (pol->flags & MPOL_F_NUMA_BALANCING));
}

static bool scans_vma(const struct vm_area_struct *vma)
{
	if (!(vma->flags & VM_ACCESS_FLAGS) || (vma->flags & VM_HUGETLB) ||
	    !policy_lets_move(vma->policy))
		return false;
	/* As Linux: a read-only file mapping is probably a library that all nodes use. */
	return !(vma->file && (vma->flags & (VM_READ | VM_WRITE)) == VM_READ);
}

/* P held. Of pages that other processes share after a fork, and of dirty pages of files, which would have to wait
 * for the disk, Linux makes no hints either. */
static bool wants_hint(const struct vm_area_struct *vma, pte_t e)
{
	const struct page *page;

	if (!(e.v & _PAGE_PRESENT) || pte_special(e))
		return false;
	page = pfn_to_page(pte_pfn(e));
	if (PageTail(page) || PageHead(page) || !page_is_movable(page))
		return false;
	if (!(vma->flags & VM_SHARED) && page_mapcount(page) != 1)
		return false;
	/* If only tiers are balanced, only pages in slow memory get hints. */
	if (!(sysctl_numa_balancing & NUMA_BALANCING_NORMAL) && node_is_toptier(page_node_id(page)))
		return false;
	return page->type != PAGE_FILE || !PageDirty(page);
}

/* The same for a PMD. As in Linux, it does not matter who else maps the huge page. */
static bool wants_huge_hint(pte_t e)
{
	const struct page *page;

	if (!(e.v & _PAGE_PRESENT) || pte_special(e))
		return false;
	page = pfn_to_page(pte_pfn(e));
	return page_is_movable(page) && ((sysctl_numa_balancing & NUMA_BALANCING_NORMAL) ||
					 !node_is_toptier(page_node_id(page)));
}

static unsigned long hint_pmd(pte_t *pmd)
{
	if (!wants_huge_hint(pte_read(pmd)))
		return 0;
	pte_set(pmd, make_hint(pte_get_and_clear(pmd)));
	count_vm_event(NUMA_HUGE_PTE_UPDATES);
	return HPAGE_PMD_NR;
}

static unsigned long hint_ptes(const struct vm_area_struct *vma, pte_t *pte, unsigned long n)
{
	unsigned long made = 0;

	for (; n; n--, pte++) {
		if (!wants_hint(vma, pte_read(pte)))
			continue;
		/* Exchange, so that no A or D bit that a CPU sets meanwhile is lost. */
		pte_set(pte, make_hint(pte_get_and_clear(pte)));
		made++;
	}
	return made;
}

/* Make hints in [addr, end) of the VMA and flush the TLBs. Returns the number of pages that got hints. mmap_lock
 * held. */
static unsigned long hint_range(struct vm_area_struct *vma, unsigned long addr, unsigned long end)
{
	unsigned long start = addr, made = 0, next, stop;
	struct mm_struct *mm = vma->mm;

	for (; addr < end; addr = stop) {
		unsigned int level;
		pte_t *leaf;

		spin_lock(&mm->page_table_lock);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, end);
		if (leaf && !level) {
			flush_tlb_batched_pending(mm);
			made += hint_ptes(vma, leaf, (stop - addr) >> PAGE_SHIFT);
		} else if (leaf && level == PT_LEVEL_PMD) {
			made += hint_pmd(leaf);
		}
		spin_unlock(&mm->page_table_lock);
		cond_resched();
	}
	/* If the range covers a part of a huge page, a TLB may hold a translation for any part of that page. */
	if (made)
		flush_tlb_range(mm, start & PMD_MASK, ALIGN_UP(end, PMD_SIZE));
	return made;
}

unsigned long numa_scan_mm(struct mm_struct *mm, unsigned long pages)
{
	unsigned long addr, made = 0;
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, mm->numa_scan_addr);
	if (!vma) {
		mm->numa_scan_addr = 0; /* begin again */
		vma = find_vma(mm, 0);
	}
	for (; vma && pages; vma = vma_next(vma)) {
		unsigned long end;

		if (!scans_vma(vma))
			continue;
		addr = max(mm->numa_scan_addr, vma->vm_start);
		end = addr + min(pages << PAGE_SHIFT, vma->vm_end - addr);
		made += hint_range(vma, addr, end);
		pages -= min(pages, (end - addr) >> PAGE_SHIFT);
		mm->numa_scan_addr = end;
	}
	if (pages)
		mm->numa_scan_addr = 0; /* the whole address space was scanned */
	up_read(&mm->mmap_lock);
	count_vm_events(NUMA_PTE_UPDATES, made);
	return made;
}

static void scan_all(void)
{
	for (struct mm_struct *mm = mm_next(NULL); mm; mm = mm_next(mm))
		numa_scan_mm(mm, SCAN_PAGES);
}

static int scanner(void *arg)
{
	for (;;) {
		wait_event(&scan_wait, READ_ONCE(sysctl_numa_balancing));
		scan_all();
		sleep_ns(SCAN_PERIOD_NS);
	}
	return 0;
}

int numa_balancing_set(unsigned int mode)
{
	int err = 0;

	/* With one node balancing has no effect: fail as a kernel that is built without it. */
	if (mode > (NUMA_BALANCING_NORMAL | NUMA_BALANCING_TIERING) ||
	    (mode && nr_online_nodes == 1))
		return -EINVAL;
	mutex_lock(&scan_lock);
	if (mode && !scanner_runs) {
		err = kthread_run(scanner, NULL, "numa_scan");
		scanner_runs = !err;
	}
	if (!err) {
		if (mode)
			WRITE_ONCE(numa_hints_ever, 1);
		WRITE_ONCE(sysctl_numa_balancing, mode);
		wake_up(&scan_wait);
	}
	mutex_unlock(&scan_lock);
	return err;
}

/* ---- the fault -------------------------------------------------------------------------------- */

/* The last access to a page, in struct page's spare bits: the node + 1, and a few bits each of the task and of the
 * page's identity, so that bits left by an earlier use of the frame are not mistaken for this page's. */
static u16 last_use(const struct page *page, int nid)
{
	u64 what = ((u64)page->mapping >> 6) + page->index;
	u64 who = (u64)current_thread_info() >> 12;

	return (u16)((nid + 1) << 12 | (what * 0x9e3779b97f4a7c15ull >> 58) << 6 |
		     who * 0x9e3779b97f4a7c15ull >> 58);
}

/* May the page follow the CPU to node nid now? */
static bool use_is_settled(struct page *page, int nid)
{
	const u16 now = last_use(page, nid), last = READ_ONCE(page->spare);
	const bool known = last && !((last ^ now) & 0xfc0), same_task = !((last ^ now) & 0x3f);

	WRITE_ONCE(page->spare, now);
	return !known || same_task || (last ^ now) >> 12 == 0;
}

/* The node that the page should be on by the policies in force. NUMA_NO_NODE: it should stay. */
static int wanted_node(const struct vm_fault *vmf, struct page *page)
{
	const struct mempolicy *pol = vmf->vma->policy;
	const int here = (int)numa_node_id();

	if (!pol)
		pol = current_thread_info()->mempolicy;
	if (!policy_lets_move(pol) || (pol && !(pol->nodes & 1u << here)))
		return NUMA_NO_NODE;
	if (!use_is_settled(page, here) || (int)page_node_id(page) == here)
		return NUMA_NO_NODE;
	/* As Linux: neither dirty pages of files nor program text that several processes map is moved. */
	if (page->type == PAGE_FILE &&
	    (PageDirty(page) || (page_mapcount(page) != 1 && (vmf->vma->flags & VM_EXEC))))
		return NUMA_NO_NODE;
	return here;
}

/* Allocate without reclaim: a better place is not worth evicting another page. */
static struct folio *misplaced_target(struct folio *src, void *private)
{
	const gfp_t gfp = (GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOMEMALLOC |
			   __GFP_NORETRY | __GFP_NOWARN) &
			  ~__GFP_RECLAIM;

	return (struct folio *)__alloc_pages_node(*(int *)private, migration_gfp(src, gfp),
						  folio_order(src), PAGE_OTHER);
}

/* Move the isolated page to node nid. */
static void migrate_misplaced(struct page *page, int nid)
{
	const int from = (int)page_node_id(page);
	unsigned int moved = 0;
	LIST_HEAD(list);

	list_add_tail(&page->lru, &list);
	migrate_pages(&list, misplaced_target, NULL, &nid, MIGRATE_ASYNC, MR_NUMA_MISPLACED,
		      &moved);
	putback_movable_pages(&list);
	count_vm_events(NUMA_PAGE_MIGRATE, moved);
	if (!node_is_toptier(from) && node_is_toptier(nid))
		count_vm_events(PGPROMOTE_SUCCESS, moved);
}

/* Do not move pages to a node that is nearly full. With tiers its reclaim demotes colder pages to make room. */
static bool has_room(int nid)
{
	pg_data_t *node = &node_data[nid];

	if (pgdat_balanced(node, 0, MAX_NR_ZONES - 1))
		return true;
	if (sysctl_numa_balancing & NUMA_BALANCING_TIERING)
		for (unsigned int i = 0; i < MAX_NR_ZONES; i++)
			if (node->zones[i].managed)
				wakeup_kswapd(&node->zones[i], GFP_KERNEL, 0, MAX_NR_ZONES - 1);
	return false;
}

void numa_hint_fault(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->mm;
	int nid = NUMA_NO_NODE, from;
	struct page *page;

	spin_lock(&mm->page_table_lock);
	if (pte_read(vmf->pte).v != vmf->orig.v)
		goto out; /* another thread has changed the entry */
	page = pfn_to_page(pte_pfn(vmf->orig));
	from = (int)page_node_id(page);
	count_vm_event(NUMA_HINT_FAULTS);
	if (from == (int)numa_node_id())
		count_vm_event(NUMA_HINT_FAULTS_LOCAL);
	nid = wanted_node(vmf, page);
	trace_point(NUMA_HINT, vmf->addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
		    .arg = from << 8 | (nid == NUMA_NO_NODE ? from : nid));
	if (nid != NUMA_NO_NODE && has_room(nid) && isolate_movable_page(page)) {
		spin_unlock(&mm->page_table_lock);
		migrate_misplaced(page, nid);
		spin_lock(&mm->page_table_lock);
	}
	/* If the page was moved, the PTE has all its permissions again. Else restore them here. No CPU holds a
	 * translation of a hint, so no flush is needed. */
	vmf->orig = pte_read(vmf->pte);
	if (pte_protnone(vmf->orig))
		pte_set(vmf->pte, pte_mkyoung(take_hint_back(vmf->orig)));
out:
	spin_unlock(&mm->page_table_lock);
}
