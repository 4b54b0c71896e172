/*
 * Charging pages to memory cgroups.
 *
 *   charge: counters up the tree ──fits──> page->memcg_id, PG_charged, one reference a page
 *              │ full
 *              v
 *           reclaim from the group that is full, a few times ──> kill in it ──> -ENOMEM
 *
 * I1  A page has PG_charged exactly while its pages are counted in its group's `memory` counter and
 *     the group has one reference for each of them.
 * I2  A page is uncharged where it is freed, and nowhere else: the free path finds PG_charged among
 *     the flags that it tests anyway.
 * I3  Tasks that are being killed, and allocations that may not fail, are charged beyond the limit:
 *     refusing them would only keep memory from being freed.
 */
#include "mm/memcg/memcg.h"
#include "arch/thread_info.h"
#include "lib/errno.h"
#include "lib/fail.h"
#include "mm/swap/swapcache.h"

#define CHARGE_RETRIES 5 /* rounds of reclaim before somebody is killed */

static struct mem_cgroup *memcg_of_counter(struct page_counter *c)
{
	return container_of(c, struct mem_cgroup, memory);
}

/* If the group or an ancestor is above its `high`, the task reclaims and sleeps on its way back to user mode. */
static void note_high(struct mem_cgroup *memcg)
{
	for (; memcg; memcg = memcg->parent) {
		if (likely(page_counter_read(&memcg->memory) <= READ_ONCE(memcg->memory.high)))
			continue;
		if (current_thread_info()->mm)
			atomic_or(&current_thread_info()->flags, TIF_MEMCG_HIGH);
		return;
	}
}

/* May this allocation go beyond the limit? I3. */
static bool beyond_limit(gfp_t gfp)
{
	return (gfp & __GFP_NOFAIL) || (atomic_load(&current_thread_info()->flags) &
					(TIF_KILLED | TIF_OOM_VICTIM | TIF_MEMALLOC));
}

int mem_cgroup_try_charge(struct mem_cgroup *memcg, u64 nr, gfp_t gfp)
{
	struct page_counter *full;
	int retries = CHARGE_RETRIES;

	if (should_fail(FAIL_CHARGE) && !beyond_limit(gfp))
		return -ENOMEM;
	while (page_counter_try_charge(&memcg->memory, nr, &full)) {
		struct mem_cgroup *over = memcg_of_counter(full);
		u64 freed;

		if (beyond_limit(gfp)) {
			page_counter_charge(&memcg->memory, nr);
			break;
		}
		mem_cgroup_event(over, MEMCG_MAX);
		if (!(gfp & __GFP_DIRECT_RECLAIM))
			return -ENOMEM;
		freed = mem_cgroup_reclaim(over, nr, gfp);
		if (page_counter_read(&over->memory) + nr <= READ_ONCE(over->memory.max))
			continue;
		if (freed && retries-- > 0)
			continue;
		if (gfp & (__GFP_NORETRY | __GFP_RETRY_MAYFAIL))
			return -ENOMEM;
		if (!mem_cgroup_out_of_memory(over, gfp, 0))
			return -ENOMEM;
		if (atomic_load(&current_thread_info()->flags) & TIF_KILLED)
			continue; /* I3 */
		retries = CHARGE_RETRIES;
	}
	note_high(memcg);
	return 0;
}

static u64 nr_pages(const struct page *page)
{
	return 1ull << page->order;
}

static void commit(struct page *page, struct mem_cgroup *memcg, u64 nr)
{
	atomic_add(&memcg->refs, (s64)nr);
	page->memcg_id = memcg->id;
	set_bit(PG_charged, &page->flags);
}

static int charge(struct page *page, struct mem_cgroup *memcg, gfp_t gfp)
{
	u64 nr = nr_pages(page);
	int err = 0;

	if (!mem_cgroup_is_root(memcg))
		err = mem_cgroup_try_charge(memcg, nr, gfp);
	if (!err && !mem_cgroup_is_root(memcg))
		commit(page, memcg, nr);
	return err;
}

/* The usual case of a charge: it fits, and no group is above `high`. False: nothing is charged. Preemption is off
 * meanwhile, so the group cannot be freed (memcg.c, I3), and no reference is needed. */
static bool charge_below_high(struct page *page, const struct mm_struct *mm)
{
	struct mem_cgroup *memcg;
	bool done = true;

	if (static_key(KEY_FAIL))
		return false; /* mem_cgroup_try_charge() is where charges are made to fail */
	preempt_disable();
	memcg = READ_ONCE(mm->memcg);
	if (memcg) {
		done = page_counter_charge_below_high(&memcg->memory, nr_pages(page));
		if (likely(done))
			commit(page, memcg, nr_pages(page));
	}
	preempt_enable();
	return done;
}

int mem_cgroup_charge_mm(struct page *page, struct mm_struct *mm, gfp_t gfp)
{
	struct mem_cgroup *memcg;
	int err;

	if (!mm)
		mm = current_thread_info()->mm;
	if (!mm || likely(charge_below_high(page, mm)))
		return 0;
	memcg = mem_cgroup_get_from_mm(mm);
	err = charge(page, memcg, gfp);
	mem_cgroup_put(memcg);
	return err;
}

int mem_cgroup_charge_kernel_page(struct page *page, struct mm_struct *mm, gfp_t gfp)
{
	struct mem_cgroup *memcg;
	int err;

	/* Kernel threads and interrupts work for no group: the page is the root's. */
	if (!mm || !(gfp & __GFP_DIRECT_RECLAIM))
		return 0;
	memcg = mem_cgroup_get_from_mm(mm);
	err = charge(page, memcg, gfp);
	if (!err && test_bit(PG_charged, &page->flags))
		atomic_add(&memcg->kernel_pages, (s64)nr_pages(page));
	mem_cgroup_put(memcg);
	return err;
}

static bool is_kernel_page(const struct page *page)
{
	switch (page->type) {
	case PAGE_ANON:
	case PAGE_KSM:
	case PAGE_FILE:
	case PAGE_SHMEM:
		return false;
	}
	return true;
}

void mem_cgroup_uncharge(struct page *page)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(page->memcg_id);
	u64 nr = nr_pages(page);

	page->flags &= ~(1ull << PG_charged);
	page->memcg_id = 0;
	if (is_kernel_page(page))
		atomic_sub(&memcg->kernel_pages, (s64)nr);
	page_counter_uncharge(&memcg->memory, nr);
	mem_cgroup_put_many(memcg, (s64)nr);
}

void mem_cgroup_migrate(struct page *from, struct page *to)
{
	if (!test_bit(PG_charged, &from->flags))
		return;
	VM_BUG_ON(from->order != to->order);
	to->memcg_id = from->memcg_id;
	set_bit(PG_charged, &to->flags);
	clear_bit(PG_charged, &from->flags);
	from->memcg_id = 0;
}

void mem_cgroup_split(struct page *head, unsigned int order)
{
	if (!test_bit(PG_charged, &head->flags))
		return;
	for (unsigned long i = 1; i < 1ul << order; i++) {
		head[i].memcg_id = head->memcg_id;
		head[i].flags |= 1ull << PG_charged;
	}
}

/* ---- swap ------------------------------------------------------------------------------------- */

int mem_cgroup_charge_slot(struct page *page, struct mm_struct *mm, swp_entry_t e, gfp_t gfp)
{
	struct mem_cgroup *memcg = swap_slot_memcg(e);
	int err;

	if (memcg && !READ_ONCE(memcg->offline)) {
		err = charge(page, memcg, gfp);
		mem_cgroup_put(memcg);
		return err;
	}
	if (memcg)
		mem_cgroup_put(memcg);
	return mem_cgroup_charge_mm(page, mm, gfp);
}

int mem_cgroup_charge_swap(struct page *page, swp_entry_t e)
{
	struct mem_cgroup *memcg = mem_cgroup_of(page);
	struct page_counter *full;

	if (mem_cgroup_is_root(memcg) || !swap_area(e)->memcg)
		return 0;
	if (should_fail(FAIL_SWAP)) {
		mem_cgroup_swap_event(memcg, MEMCG_SWAP_FAIL);
		return -ENOMEM;
	}
	if (page_counter_try_charge(&memcg->swap, 1, &full)) {
		struct mem_cgroup *over = container_of(full, struct mem_cgroup, swap);

		mem_cgroup_swap_event(over, MEMCG_SWAP_MAX);
		mem_cgroup_swap_event(memcg, MEMCG_SWAP_FAIL);
		return -ENOMEM;
	}
	for (struct mem_cgroup *m = memcg; m; m = m->parent) {
		if (page_counter_read(&m->swap) > READ_ONCE(m->swap.high))
			mem_cgroup_swap_event(m, MEMCG_SWAP_HIGH);
	}
	mem_cgroup_get(memcg);
	swap_slot_set_memcg(e, memcg->id);
	return 0;
}

void mem_cgroup_uncharge_swap(u16 id)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(id);

	page_counter_uncharge(&memcg->swap, 1);
	mem_cgroup_put(memcg);
}

u64 mem_cgroup_swap_room(const struct mem_cgroup *memcg)
{
	u64 room = swap_free_pages();

	for (; memcg && !mem_cgroup_is_root(memcg); memcg = memcg->parent) {
		u64 max = READ_ONCE(memcg->swap.max), used = page_counter_read(&memcg->swap);

		room = min(room, max > used ? max - used : 0);
	}
	return room;
}
