/*
 * The guest's reclaim policies on the host: mm/reclaim/policy_*.c, lru.c, lruvec.c and workingset.c
 * as the guest has them, in a machine that has nothing but pages.
 *
 *   reference ──in memory──> accessed bit
 *             └─not───────> [memory full: reclaim 32] ─> page onto the lists
 *
 * Reclaim here is vmscan.c's loop with the disk taken out: a page that the policy evicts is freed at once. The
 * policy's files do not know the difference: page_referenced() gives and clears the accessed bit, shadows are kept
 * by page.
 *
 * What of the real kernel is missing: swap read-around, writes that take their time, kswapd's
 * watermarks (memory here is full or not), several processes mapping a page, pages of files.
 *
 * This file is compiled as the guest is (see the Makefile), and all but policy_guest_*() is local to
 * the object.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/huge/thp.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/mglru.h"
#include "mm/reclaim/vmscan.h"
#include "mm/reclaim/workingset.h"
#include "mm/rmap/rmap.h"
#include "policy/policy.h"

void *calloc(size_t n, size_t size);
void free(void *p);
_Noreturn void abort(void);

_Static_assert(SIM_BATCH == SWAP_CLUSTER_MAX, "a batch of the guest's");

static struct sim {
	struct page *page; /* by number */
	u8 *young, *seen;
	u32 *shadow;
	u64 resident, memory;
	u32 nr; /* pages */
	struct policy_result *out;
} sim;

/* ---- what the policies stand on -------------------------------------------------------------- */

pg_data_t node_data[MMVM_MAX_NODES];
struct zone *zone_table[MMVM_MAX_ZONES];
unsigned int nr_zones = 1;
static struct mmvm_shared window;
struct mmvm_shared *mmvm_shared = &window;
unsigned long host_vmemmap;
struct thread_info host_thread_info;
bool debug_vm, host_irqs_off;
u8 trace_on;

void host_spin_wait(void)
{
	abort(); /* one CPU: nobody would release the lock */
}
void panic(const char *fmt, ...)
{
	abort();
}
void printk(const char *fmt, ...) {}
void __trace(enum mmvm_trace_event event, u64 addr, struct trace_page p) {}
void preempt_schedule(void) {}
void on_each_cpu(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}
u64 swap_free_pages(void)
{
	return 1ull << 40; /* swap never fills */
}
bool get_page_unless_zero(struct page *p)
{
	if (!p->refcount)
		return false;
	p->refcount++;
	return true;
}
bool trylock_page(struct page *p)
{
	return !TestSetPageLocked(p);
}
void unlock_page(struct page *p)
{
	ClearPageLocked(p);
}

void report_printf(struct report *r, const char *fmt, ...) {}

void cond_resched(void) {}

u64 ktime_ns(void)
{
	return 0;
}

/* mglru.h: a walk finds all that were used, as the guest's does by their page tables. */
void mglru_walk(struct lruvec *lv, u64 seq)
{
	for (u32 n = 0; n < sim.nr; n++) {
		if (!sim.page[n].refcount || !sim.young[n])
			continue;
		sim.young[n] = 0;
		mglru_page_young(&sim.page[n]);
	}
}

void mglru_look_around(struct vm_area_struct *vma, unsigned long addr, pte_t *pte) {}

unsigned int page_referenced(struct page *page, unsigned long *vm_flags)
{
	u8 *young = &sim.young[page - sim.page], was = *young;

	*young = 0;
	*vm_flags = 0;
	return was;
}

/* Pages whose last reference was dropped: they leave memory. */
void free_unref_page_list(struct list_head *pages)
{
	struct page *page, *n;

	list_for_each_entry_safe (page, n, pages, lru) {
		list_del(&page->lru);
		sim.resident--;
	}
}

/* All of the simulator's pages are small. */
void free_dead_block(struct page *page)
{
	BUG_ON(page);
}
void thp_undefer(struct folio *folio)
{
	BUG_ON(folio);
}

/* ---- reclaim --------------------------------------------------------------------------------- */

static u64 evict(struct isolated *iso)
{
	const struct reclaim_policy *policy = iso->lruvec->policy;
	LIST_HEAD(keep);
	u64 freed = 0;

	while (!list_empty(&iso->pages)) {
		struct page *page = list_last_entry(&iso->pages, struct page, lru);
		unsigned long vm_flags;
		struct page_use use = {.ptes = page_referenced(page, &vm_flags),
				       .referenced = TestClearPageReferenced(page),
				       .active = PageActive(page),
				       .policy =
					       page->flags >> PAGE_POLICY_SHIFT & PAGE_POLICY_MASK};

		list_del(&page->lru);
		sim.out->looked_at++;
		switch (policy->judge(&use)) {
		case PAGE_RECLAIM:
			sim.shadow[page - sim.page] = workingset_eviction(page);
			page->refcount = 0;
			page->flags &= ~0ull << PAGE_ZONE_SHIFT;
			sim.resident--;
			sim.out->evictions++;
			freed++;
			continue;
		case PAGE_KEEP:
			SetPageReferenced(page);
			break;
		case PAGE_ACTIVATE:
			SetPageActive(page);
			break;
		}
		list_add(&page->lru, &keep);
	}
	list_splice_init(&keep, &iso->pages);
	return freed;
}

/* vmscan.c's shrink_lruvec() for anonymous memory. */
static u64 shrink(struct lruvec *lv, struct scan_control *sc)
{
	const struct reclaim_pressure p = {
		.priority = sc->priority, .swappiness = 60, .can_swap = true};
	u64 target[2], freed = 0;

	lv->policy->plan(lv, &p, target);
	while (target[0] && freed < sc->nr_to_reclaim) {
		unsigned int nr = min(target[0], (u64)SWAP_CLUSTER_MAX);
		struct isolated iso = ISOLATED_INIT(iso, lv, 0);
		u64 taken;

		if (lv->policy->age)
			lv->policy->age(lv, 0, nr, sc);
		taken = lv->policy->isolate(&iso, nr, sc);
		freed += evict(&iso);
		lv->policy->put_back(&iso);
		if (!taken && !lruvec_level(lv, NR_ACTIVE_ANON))
			break;
		target[0] -= nr;
	}
	return freed;
}

static bool make_room(void)
{
	struct lruvec *lv = &root_lruvec[0];
	u64 freed = 0;

	lru_add_drain();
	for (int priority = DEF_PRIORITY; priority >= 0 && !freed; priority--) {
		struct scan_control sc = {.highest = MAX_NR_ZONES - 1,
					  .priority = priority,
					  .kswapd = true,
					  .nr_to_reclaim = min(sim.memory, (u64)SWAP_CLUSTER_MAX)};

		freed = shrink(lv, &sc);
	}
	/* All pages were in use: the last resort of a test, as the OOM killer's would be. */
	for (int again = 0; again < 4 && !freed; again++) {
		struct scan_control sc = {.highest = MAX_NR_ZONES - 1,
					  .priority = 0,
					  .kswapd = true,
					  .nr_to_reclaim = 1};

		freed = shrink(lv, &sc);
	}
	return freed;
}

static bool touch(u32 n)
{
	struct page *page = &sim.page[n];

	if (page->refcount) {
		sim.young[n] = 1;
		return true;
	}
	if (sim.resident >= sim.memory && !make_room())
		return false;
	*page = (struct page){.mapping = (void *)PAGE_MAPPING_ANON,
			      .refcount = 1,
			      .type = PAGE_ANON,
			      .flags = 1ull << PG_swapbacked | 1ull << PG_uptodate};
	sim.resident++;
	if (!sim.seen[n]) {
		sim.out->cold++;
	} else {
		sim.out->misses++;
		sim.out->refaults += sim.shadow[n] != 0;
		workingset_refault(page, sim.shadow[n]);
	}
	sim.seen[n] = 1;
	sim.young[n] = 1;
	__lru_add(page);
	return true;
}

static void give_up(u32 n)
{
	lru_add_drain();
	if (sim.page[n].refcount)
		release_page(&sim.page[n]);
	sim.seen[n] = sim.young[n] = 0;
	sim.shadow[n] = 0;
}

/* ---- from outside ---------------------------------------------------------------------------- */

const char *policy_guest_name(unsigned int i)
{
	unsigned int n = 0;

	while (reclaim_policies[n])
		n++;
	return i < n ? reclaim_policies[i]->name : NULL;
}

/* One node of one zone, and an empty lruvec of that policy. */
static void boot(const char *policy, u64 pages)
{
	struct zone *zone = &node_data[0].zones[ZONE_NORMAL];

	while (!list_empty(&lruvec_list))
		lruvec_destroy(list_first_entry(&lruvec_list, struct lruvec, link));
	memset(&window, 0, sizeof(window));
	memset(&lru_batches, 0, sizeof(lru_batches)); /* one CPU, whose area is the linker's copy */
	host_vmemmap = (unsigned long)sim.page;
	node_data[0] = (pg_data_t){.present = true};
	zone->node = &node_data[0];
	zone->type = ZONE_NORMAL;
	zone->managed = pages;
	zone->shared = &window.zone[0];
	zone_table[0] = zone;
	lruvecs_init(policy);
}

int policy_guest_run(const char *name, const struct ref_string *r, uint32_t memory,
		     struct policy_result *out)
{
	size_t n = (size_t)r->nr_pages + 1;
	int err = -ENOMEM;

	if (reclaim_policy_row(name) < 0)
		return -EINVAL;
	sim = (struct sim){.nr = n,
			   .page = calloc(n, sizeof(struct page)),
			   .young = calloc(n, 1),
			   .seen = calloc(n, 1),
			   .shadow = calloc(n, sizeof(u32)),
			   .memory = memory,
			   .out = out};
	if (sim.page && sim.young && sim.seen && sim.shadow) {
		boot(name, memory);
		err = 0;
		for (size_t i = 0; i < r->nr && !err; i++) {
			if (r->ref[i] & REF_GONE)
				give_up(r->ref[i] & ~REF_GONE);
			else if (!touch(r->ref[i]))
				err = -ENOMEM;
		}
	}
	free(sim.shadow);
	free(sim.seen);
	free(sim.young);
	free(sim.page);
	return err;
}
