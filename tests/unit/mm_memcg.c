/*
 * Memory cgroups: counters and their limits, protection, charges of pages and swap slots, and the life of a
 * group.
 */
#include <CUnit/Basic.h>
#include "mm/memcg/memcg.h"
#include "mm_user.h"
#include "unit.h"

static struct mm_struct *mm;

static struct mem_cgroup *group(struct mem_cgroup *parent)
{
	struct mem_cgroup *m = mem_cgroup_create(parent);

	CU_ASSERT_FATAL(!IS_ERR(m));
	return m;
}

static void enter(struct mem_cgroup *m)
{
	mem_cgroup_get(m);
	mem_cgroup_set_mm(mm, m);
}

static unsigned long map(unsigned long pages)
{
	long a = do_mmap(mm, 0, pages * PAGE_SIZE, RW, PRIVATE, 0);

	CU_ASSERT_FATAL(a > 0);
	return a;
}

static s64 usage(const struct mem_cgroup *m)
{
	return READ_ONCE(m->memory.usage);
}

static void a_charge_counts_in_every_ancestor(void)
{
	struct page_counter root, a, b, *full;

	page_counter_init(&root, NULL);
	page_counter_init(&a, &root);
	page_counter_init(&b, &a);
	CU_ASSERT_EQUAL(page_counter_try_charge(&b, 5, &full), 0);
	CU_ASSERT_EQUAL(page_counter_try_charge(&a, 2, &full), 0);
	CU_ASSERT_EQUAL(page_counter_read(&b), 5);
	CU_ASSERT_EQUAL(page_counter_read(&a), 7);
	CU_ASSERT_EQUAL(page_counter_read(&root), 7);
	page_counter_uncharge(&b, 5);
	CU_ASSERT_EQUAL(page_counter_read(&a), 2);
	CU_ASSERT_EQUAL(a.peak, 7);
	CU_ASSERT_EQUAL(b.peak, 5);
}

static void a_charge_that_does_not_fit_changes_nothing(void)
{
	struct page_counter root, a, b, *full = NULL;

	page_counter_init(&root, NULL);
	page_counter_init(&a, &root);
	page_counter_init(&b, &a);
	a.max = 10;
	CU_ASSERT_EQUAL(page_counter_try_charge(&b, 10, &full), 0);
	CU_ASSERT_EQUAL(page_counter_try_charge(&b, 1, &full), -ENOMEM);
	CU_ASSERT_PTR_EQUAL(full, &a);
	CU_ASSERT_EQUAL(page_counter_read(&b), 10);
	CU_ASSERT_EQUAL(page_counter_read(&a), 10);
	CU_ASSERT_EQUAL(page_counter_read(&root), 10);
	CU_ASSERT_EQUAL(a.failed, 1);
	CU_ASSERT_EQUAL(b.failed, 0);
	page_counter_charge(&b, 3); /* must */
	CU_ASSERT_EQUAL(page_counter_read(&a), 13);
}

/* The usual charge: below every `high` and `max`, or not at all. */
static void a_charge_stays_below_high_or_changes_nothing(void)
{
	struct page_counter a, b;

	page_counter_init(&a, NULL);
	page_counter_init(&b, &a);
	a.high = 8;
	a.max = 10;
	b.max = 6;
	CU_ASSERT(page_counter_charge_below_high(&b, 6));
	CU_ASSERT(a.usage == 6 && b.usage == 6 && a.peak == 6 && b.peak == 6);
	CU_ASSERT(!page_counter_charge_below_high(&b, 1)); /* beyond b's max */
	CU_ASSERT(a.usage == 6 && b.usage == 6);
	b.max = 20;
	CU_ASSERT(!page_counter_charge_below_high(&b, 3)); /* beyond a's high */
	CU_ASSERT(a.usage == 6 && b.usage == 6 && !a.failed && !b.failed);
	CU_ASSERT(page_counter_charge_below_high(&b, 2));
	CU_ASSERT(a.usage == 8 && b.usage == 8);
}

static void limits_are_read_as_linux_reads_them(void)
{
	static const struct {
		const char *text;
		u64 pages;
		int err;
	} cases[] = {
		{"max", PAGE_COUNTER_MAX, 0},
		{"0", 0, 0},
		{"4096", 1, 0},
		{"4095", 0, 0},
		{"8k", 2, 0},
		{"1M", 256, 0},
		{"2G", 524288, 0},
		{"1T", 1ull << 28, 0},
		{"99999999999999999999", PAGE_COUNTER_MAX, 0},
		{"-1", 0, -EINVAL},
		{"", 0, -EINVAL},
		{"maximum", 0, -EINVAL},
		{"1x", 0, -EINVAL},
		{"1kk", 0, -EINVAL},
		{"k", 0, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 pages = 0;

		CU_ASSERT_EQUAL(page_counter_parse(cases[i].text, &pages), cases[i].err);
		if (!cases[i].err)
			CU_ASSERT_EQUAL(pages, cases[i].pages);
	}
}

static u64 protected_pages(u64 use, u64 setting, u64 parent, u64 siblings)
{
	struct protection p = {use, setting, parent, siblings};

	return effective_protection(&p);
}

static void protection_is_shared_in_proportion(void)
{
	/* Alone, or the parent has enough: all of it, but no more than is used. */
	CU_ASSERT_EQUAL(protected_pages(100, 60, 200, 60), 60);
	CU_ASSERT_EQUAL(protected_pages(40, 60, 200, 40), 40);
	/* The parent has 90, the children claim 60 and 120. */
	CU_ASSERT_EQUAL(protected_pages(60, 60, 90, 180), 30);
	CU_ASSERT_EQUAL(protected_pages(200, 120, 90, 180), 60);
	/* No protection above, none below. */
	CU_ASSERT_EQUAL(protected_pages(100, 60, 0, 60), 0);
	CU_ASSERT_EQUAL(protected_pages(0, 60, 90, 0), 0);
	/* Sums that do not fit into 64 bits when multiplied. */
	CU_ASSERT_EQUAL(protected_pages(1ull << 40, 1ull << 40, 1ull << 40, 1ull << 41),
			1ull << 39);
}

/* Each opener of memory.peak has a beginning of his own; a charge is compared with one number. */
static void each_opener_resets_his_own_peak(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup);
	struct memcg_peak *one = NULL, *two = NULL, *never = NULL;

#define PEAK(slot) mem_cgroup_peak_read(&(slot), a, MEMCG_PEAK_MEMORY)
	page_counter_charge(&a->memory, 100);
	page_counter_uncharge(&a->memory, 60);
	CU_ASSERT(PEAK(one) == 100 && PEAK(never) == 100);
	CU_ASSERT_EQUAL(mem_cgroup_peak_reset(&one, a, MEMCG_PEAK_MEMORY), 0);
	CU_ASSERT(PEAK(one) == 40 && PEAK(two) == 100 && PEAK(never) == 100);
	page_counter_charge(&a->memory, 20);
	page_counter_uncharge(&a->memory, 30);
	CU_ASSERT(PEAK(one) == 60 && PEAK(never) == 100);
	CU_ASSERT_EQUAL(mem_cgroup_peak_reset(&two, a, MEMCG_PEAK_MEMORY), 0);
	CU_ASSERT(PEAK(one) == 60 && PEAK(two) == 30 && PEAK(never) == 100);
	page_counter_charge(&a->memory, 20);
	CU_ASSERT(PEAK(one) == 60 && PEAK(two) == 50 && PEAK(never) == 100);
	page_counter_charge(&a->memory, 100);
	page_counter_uncharge(&a->memory, 150);
	CU_ASSERT(PEAK(one) == 150 && PEAK(two) == 150 && PEAK(never) == 150);
	CU_ASSERT_EQUAL(mem_cgroup_peak_reset(&one, a, MEMCG_PEAK_MEMORY), 0);
	CU_ASSERT(PEAK(one) == 0 && PEAK(two) == 150 && PEAK(never) == 150);
	/* Swap has peaks of its own, and what an opener reset in a group that is gone counts for no other one. */
	CU_ASSERT_EQUAL(mem_cgroup_peak_read(&never, a, MEMCG_PEAK_SWAP), 0);
	CU_ASSERT_EQUAL(mem_cgroup_peak_read(&one, &root_mem_cgroup, MEMCG_PEAK_MEMORY),
			(u64)root_mem_cgroup.memory.peak);
#undef PEAK
	CU_ASSERT_EQUAL(a->refs, 3);
	mem_cgroup_peak_free(one);
	mem_cgroup_peak_free(two);
	mem_cgroup_peak_free(never);
	CU_ASSERT_EQUAL(a->refs, 1);
	CU_ASSERT(list_empty(&a->peaks[MEMCG_PEAK_MEMORY]));
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

/* What reclaim must and should leave: of a group that uses less, of one that uses more, and of the target itself. */
static void protection_says_what_reclaim_may_do(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a);

	page_counter_charge(&b->memory, 50);
	b->memory.min = 10;
	b->memory.low = 60;
	CU_ASSERT_EQUAL(mem_cgroup_update_protection(a, b), MEMCG_BELOW_LOW);
	CU_ASSERT(b->memory.effective_min == 10 && b->memory.effective_low == 60);
	b->memory.min = 50;
	CU_ASSERT_EQUAL(mem_cgroup_update_protection(a, b), MEMCG_BELOW_MIN);
	/* One that grows afterwards is protected as far as the setting says, not as far as it was used. */
	b->memory.min = 55;
	CU_ASSERT_EQUAL(mem_cgroup_update_protection(a, b), MEMCG_BELOW_MIN);
	CU_ASSERT_EQUAL(b->memory.effective_min, 55);
	b->memory.min = 49;
	b->memory.low = 49;
	CU_ASSERT_EQUAL(mem_cgroup_update_protection(a, b), MEMCG_UNPROTECTED);
	/* Not from reclaim for its own limit, and not below a parent that protects nothing. */
	b->memory.min = 60;
	CU_ASSERT_EQUAL(mem_cgroup_update_protection(b, b), MEMCG_UNPROTECTED);
	CU_ASSERT_EQUAL(b->memory.effective_min, 0);
	mem_cgroup_update_protection(&root_mem_cgroup, a);
	CU_ASSERT_EQUAL(mem_cgroup_update_protection(&root_mem_cgroup, b), MEMCG_UNPROTECTED);
	a->memory.min = 60;
	mem_cgroup_settle_protection();
	CU_ASSERT(b->memory.effective_min == 50 && b->settled_usage == 50 && b->settled_as_of);
	mem_cgroup_update_protection(&root_mem_cgroup, b);
	CU_ASSERT_EQUAL(b->settled_as_of, 0);
	page_counter_uncharge(&b->memory, 50);
	mem_cgroup_offline(b);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

static void sleeping_grows_with_the_excess(void)
{
	u64 last = 0;

	CU_ASSERT_EQUAL(mem_cgroup_high_sleep_ns(100, 100), 0);
	CU_ASSERT_EQUAL(mem_cgroup_high_sleep_ns(10100, 10000), 0); /* 1 %: not worth a switch */
	for (u64 excess = 1; excess < 2000; excess++) {
		u64 ns = mem_cgroup_high_sleep_ns(1000 + excess, 1000);

		CU_ASSERT(ns >= last && ns <= 2000000000ull);
		last = ns;
	}
	CU_ASSERT_EQUAL(last, 2000000000ull);
	CU_ASSERT_EQUAL(mem_cgroup_high_sleep_ns(50, 0), 2000000000ull);
}

static void pages_are_charged_to_the_group_that_touches_them(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a);
	unsigned long at = map(20);
	s64 before;

	enter(b);
	before = usage(b);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * PAGE_SIZE, i), 0);
	/* Ten pages, and at most three tables on the way. */
	CU_ASSERT(usage(b) >= before + 10 && usage(b) <= before + 13);
	CU_ASSERT_EQUAL(usage(a), usage(b));
	CU_ASSERT_EQUAL(b->stat[0][NR_ANON_MAPPED] + b->stat[1][NR_ANON_MAPPED], 10);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 10);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_PAGETABLE), b->kernel_pages);
	/* A page stays where it was charged. */
	enter(a);
	for (int i = 10; i < 20; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * PAGE_SIZE, i), 0);
	CU_ASSERT_EQUAL(mem_cgroup_stat(b, -1, NR_ANON_MAPPED), 10);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 20);
	CU_ASSERT_EQUAL(do_munmap(mm, at, 20 * PAGE_SIZE), 0);
	lru_add_drain();
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 0);
	CU_ASSERT_EQUAL(usage(a), 0);
	CU_ASSERT_EQUAL(usage(b), 0);
	enter(&root_mem_cgroup);
	mem_cgroup_offline(b);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

/* Objects of caches with SLAB_ACCOUNT, and kmalloc with __GFP_ACCOUNT, until they are freed, wherever the task is then.
 * Random sizes in random order: the bytes are the objects', the pages these rounded up. */
/* At random, of two caches and of kmalloc(); the group's counts after each. */
static void objects_come_and_go(struct mem_cgroup *a, struct kmem_cache *counted,
				struct kmem_cache *cached)
{
	void *many[300] = {NULL};
	s64 bytes = 0;
	u32 rnd = 7;

	for (int i = 0; i < 20000; i++) {
		unsigned int n = (rnd = rnd * 1664525 + 1013904223) >> 16,
			     at = n % ARRAY_SIZE(many);

		if (many[at]) {
			bytes -= at % 3 == 0 ? 200 : at % 3 == 1 ? 104 : ksize(many[at]);
			if (at % 3 == 0)
				kmem_cache_free(counted, many[at]);
			else if (at % 3 == 1)
				kmem_cache_free(cached, many[at]);
			else
				kfree(many[at]);
			many[at] = NULL;
			continue;
		}
		many[at] = at % 3 == 0	 ? kmem_cache_alloc(counted, GFP_KERNEL)
			   : at % 3 == 1 ? kmem_cache_alloc(cached, GFP_KERNEL)
					 : kmalloc(n % 5000 + 1, GFP_KERNEL_ACCOUNT);
		CU_ASSERT_FATAL(many[at] != NULL);
		bytes += at % 3 == 0 ? 200 : at % 3 == 1 ? 104 : ksize(many[at]);
		if (a->obj_bytes != bytes || usage(a) != (bytes + 4095) / 4096)
			break;
	}
	CU_ASSERT_EQUAL(a->obj_bytes, bytes);
	CU_ASSERT_EQUAL(usage(a), (bytes + 4095) / 4096);
	CU_ASSERT_EQUAL(a->kernel_pages, usage(a));
	CU_ASSERT(mem_cgroup_slab_bytes(a, -1, true) > 0);
	CU_ASSERT_EQUAL(mem_cgroup_slab_bytes(a, -1, true) + mem_cgroup_slab_bytes(a, -1, false),
			(u64)bytes);
	for (unsigned int at = 0; at < ARRAY_SIZE(many); at++) {
		if (!many[at])
			continue;
		if (at % 3 == 2)
			kfree(many[at]);
		else
			kmem_cache_free(at % 3 ? cached : counted, many[at]);
	}
}

static void objects_are_charged_until_they_are_freed(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a);
	struct kmem_cache *plain = kmem_cache_create("plain", 200, 8, 0, NULL);
	struct kmem_cache *counted = kmem_cache_create("counted", 200, 8, SLAB_ACCOUNT, NULL);
	struct kmem_cache *cached =
		kmem_cache_create("cached", 104, 8, SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, NULL);
	void *obj[3];

	CU_ASSERT_FATAL(plain && counted && cached);
	enter(b);
	current_thread_info()->mm = mm;
	obj[0] = kmem_cache_alloc(plain, GFP_KERNEL);
	obj[1] = kmalloc(100, GFP_KERNEL);
	obj[2] = kmem_cache_alloc(counted, GFP_NOWAIT); /* perhaps in an interrupt */
	CU_ASSERT_EQUAL(usage(b), 0);
	CU_ASSERT_EQUAL(b->obj_bytes, 0);
	kmem_cache_free(counted, obj[2]);
	obj[2] = kmem_cache_alloc(counted, GFP_KERNEL);
	CU_ASSERT_EQUAL(b->obj_bytes, 200);
	CU_ASSERT_EQUAL(usage(b), 1);
	CU_ASSERT_EQUAL(usage(a), 1);
	CU_ASSERT_EQUAL(b->kernel_pages, 1);
	CU_ASSERT_EQUAL(mem_cgroup_slab_bytes(a, -1, false), 200);
	enter(a); /* it stays b's */
	kmem_cache_free(counted, obj[2]);
	CU_ASSERT_EQUAL(b->obj_bytes, 0);
	CU_ASSERT_EQUAL(usage(a), 0);
	kmem_cache_free(plain, obj[0]);
	kfree(obj[1]);
	objects_come_and_go(a, counted, cached);
	CU_ASSERT_EQUAL(a->obj_bytes, 0);
	CU_ASSERT_EQUAL(usage(a), 0);
	CU_ASSERT_EQUAL(a->kernel_pages, 0);
	CU_ASSERT_EQUAL(mem_cgroup_slab_bytes(a, -1, true), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(plain), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(counted), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(cached), 0);
	current_thread_info()->mm = NULL;
	enter(&root_mem_cgroup);
	mem_cgroup_offline(b);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

/* A directory is removed while objects of its group are in use: the parent's they are then, and of the root nobody's. What
 * other groups have stays theirs. */
static void objects_pass_to_the_parent(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a), *other = group(a);
	struct kmem_cache *c = kmem_cache_create("passed", 200, 8, SLAB_ACCOUNT, NULL);
	struct kmem_cache *d =
		kmem_cache_create("passed too", 104, 8, SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, NULL);
	const u32 dying = mem_cgroup_nr_offline(&root_mem_cgroup);
	void *mine[100], *theirs[100];

	CU_ASSERT_FATAL(c && d);
	current_thread_info()->mm = mm;
	for (unsigned int i = 0; i < ARRAY_SIZE(mine); i++) {
		enter(b);
		mine[i] = kmem_cache_alloc(i & 1 ? c : d, GFP_KERNEL);
		enter(other);
		theirs[i] = kmem_cache_alloc(i & 1 ? c : d, GFP_KERNEL);
	}
	current_thread_info()->mm = NULL;
	enter(&root_mem_cgroup);
	CU_ASSERT_EQUAL(b->obj_bytes, 50 * (200 + 104));
	CU_ASSERT_EQUAL(a->obj_bytes, 0);
	mem_cgroup_offline(b);
	mem_cgroup_free_dead();
	CU_ASSERT_EQUAL(mem_cgroup_nr_offline(&root_mem_cgroup), dying);
	CU_ASSERT_EQUAL(a->obj_bytes, 50 * (200 + 104));
	CU_ASSERT_EQUAL(other->obj_bytes, 50 * (200 + 104));
	CU_ASSERT_EQUAL(usage(other), 4);
	CU_ASSERT_EQUAL(usage(a), 8);
	CU_ASSERT_EQUAL(a->kernel_pages, 4);
	CU_ASSERT_EQUAL(a->slab_bytes[0][0] + a->slab_bytes[1][0], 50 * 200);
	CU_ASSERT_EQUAL(a->slab_bytes[0][1] + a->slab_bytes[1][1], 50 * 104);
	for (unsigned int i = 0; i < ARRAY_SIZE(mine) / 2; i++)
		kmem_cache_free(i & 1 ? c : d, mine[i]);
	CU_ASSERT_EQUAL(a->obj_bytes, 25 * (200 + 104));
	/* To the root: charged to nobody. */
	mem_cgroup_offline(other);
	CU_ASSERT_EQUAL(a->obj_bytes, 75 * (200 + 104));
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
	CU_ASSERT_EQUAL(mem_cgroup_nr_offline(&root_mem_cgroup), dying);
	CU_ASSERT_EQUAL(mem_cgroup_slab_bytes(&root_mem_cgroup, -1, true), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(mine); i++) {
		if (i >= ARRAY_SIZE(mine) / 2)
			kmem_cache_free(i & 1 ? c : d, mine[i]);
		kmem_cache_free(i & 1 ? c : d, theirs[i]);
	}
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(d), 0);
}

/* At memory.max an object is refused, and nothing of it stays charged. */
static void objects_do_not_go_beyond_the_limit(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup);
	struct kmem_cache *c = kmem_cache_create("limited", 1000, 8, SLAB_ACCOUNT, NULL);
	void *obj[64];
	unsigned int n = 0;

	CU_ASSERT_FATAL(c != NULL);
	enter(a);
	current_thread_info()->mm = mm;
	a->memory.max = 4;
	while (n < ARRAY_SIZE(obj) &&
	       (obj[n] = kmem_cache_alloc(c, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)))
		n++;
	CU_ASSERT_EQUAL(n, 16); /* 16384 / 1000 */
	CU_ASSERT_EQUAL(a->obj_bytes, 16000);
	CU_ASSERT_EQUAL(usage(a), 4);
	CU_ASSERT_EQUAL(a->kernel_pages, 4);
	CU_ASSERT(a->events[MEMCG_MAX] > 0);
	while (n)
		kmem_cache_free(c, obj[--n]);
	CU_ASSERT_EQUAL(usage(a), 0);
	CU_ASSERT_EQUAL(a->kernel_pages, 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	current_thread_info()->mm = NULL;
	enter(&root_mem_cgroup);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

static void a_removed_group_lives_as_long_as_its_pages(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a);
	u16 id = b->id;
	unsigned long at = map(3);

	enter(b);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * PAGE_SIZE, i), 0);
	enter(&root_mem_cgroup);
	mem_cgroup_offline(b);
	CU_ASSERT_EQUAL(mem_cgroup_nr_offline(a), 1);
	CU_ASSERT_PTR_EQUAL(mem_cgroup_from_id(id), b);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 3);
	CU_ASSERT_EQUAL(do_munmap(mm, at, 3 * PAGE_SIZE), 0);
	lru_add_drain();
	CU_ASSERT_PTR_EQUAL(mem_cgroup_from_id(id), b);
	mem_cgroup_free_dead();
	CU_ASSERT_PTR_NULL(mem_cgroup_from_id(id));
	CU_ASSERT_EQUAL(mem_cgroup_nr_offline(a), 0);
	CU_ASSERT_EQUAL(usage(a), 0);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

/* Events of a group that has gone are its parent's, by node, too. */
static void events_of_the_working_set_are_passed_on(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a);
	u64 all = mem_cgroup_workingset(&root_mem_cgroup, 0, WORKINGSET_RESTORE_FILE);
	u64 machine = sum_vm_event(WORKINGSET_RESTORE_FILE);

	count_lruvec_events(b->lruvec[0], WORKINGSET_RESTORE_FILE, 3);
	count_lruvec_events(a->lruvec[0], WORKINGSET_RESTORE_FILE, 2);
	count_lruvec_events(&root_lruvec[0], WORKINGSET_RESTORE_FILE, 1);
	for (int removed = 0; removed < 2; removed++) {
		CU_ASSERT_EQUAL(mem_cgroup_workingset(a, 0, WORKINGSET_RESTORE_FILE), 5);
		CU_ASSERT_EQUAL(mem_cgroup_vm_event(a, WORKINGSET_RESTORE_FILE), 5);
		CU_ASSERT_EQUAL(mem_cgroup_workingset(&root_mem_cgroup, 0, WORKINGSET_RESTORE_FILE),
				all + 6);
		if (removed)
			break;
		mem_cgroup_offline(b);
		mem_cgroup_free_dead();
	}
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
	CU_ASSERT_EQUAL(mem_cgroup_workingset(&root_mem_cgroup, 0, WORKINGSET_RESTORE_FILE),
			all + 6);
	CU_ASSERT_EQUAL(sum_vm_event(WORKINGSET_RESTORE_FILE), machine + 6);
}

static void fork_and_copy_are_charged_to_who_writes(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(&root_mem_cgroup);
	unsigned long at = map(4);
	struct mm_struct *child, *parent = mm;

	enter(a);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * PAGE_SIZE, i), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	mm = child;
	enter(b);
	CU_ASSERT_EQUAL(mem_cgroup_stat(b, -1, NR_ANON_MAPPED), 0);
	CU_ASSERT_EQUAL(user_write(mm, at, 9), 0);
	CU_ASSERT_EQUAL(mem_cgroup_stat(b, -1, NR_ANON_MAPPED), 1);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 4);
	mm = parent;
	mmput(child);
	CU_ASSERT_EQUAL(do_munmap(mm, at, 4 * PAGE_SIZE), 0);
	lru_add_drain();
	enter(&root_mem_cgroup);
	CU_ASSERT_EQUAL(usage(b), 0);
	mem_cgroup_offline(b);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

static void the_tree_is_walked_parents_first(void)
{
	struct mem_cgroup *a = group(&root_mem_cgroup), *b = group(a), *c = group(b), *d = group(a);
	struct mem_cgroup *want[] = {a, b, c, d}, *m;
	unsigned int n = 0;

	for (m = mem_cgroup_iter(a, NULL); m; m = mem_cgroup_iter(a, m)) {
		CU_ASSERT_FATAL(n < ARRAY_SIZE(want));
		CU_ASSERT_PTR_EQUAL(m, want[n++]);
	}
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT(mem_cgroup_is_descendant(c, a) && !mem_cgroup_is_descendant(d, b));
	m = mem_cgroup_iter(a, NULL);
	mem_cgroup_iter_break(m);
	CU_ASSERT_EQUAL(a->refs, 3); /* its own, b's, d's */
	mem_cgroup_offline(d);
	mem_cgroup_offline(c);
	mem_cgroup_offline(b);
	mem_cgroup_offline(a);
	mem_cgroup_free_dead();
}

static void swap_slots_are_charged_and_come_home(void)
{
	struct host_disk *disk = host_disk_create("swap", 8 * MIB);
	struct mem_cgroup *a = group(&root_mem_cgroup);
	unsigned long at = map(64);
	u64 v;

	host_disk_mkswap(disk);
	CU_ASSERT_EQUAL_FATAL(do_swapon(&disk->bdev, 1), 0);
	enter(a);
	for (int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * PAGE_SIZE, i + 1), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at, 64 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CU_ASSERT_EQUAL(page_counter_read(&a->swap), 64);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 0);
	/* Back: to the group whose slots they are, though somebody else reads them. */
	enter(&root_mem_cgroup);
	for (int i = 0; i < 64; i++)
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == (u64)i + 1);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 64);
	CU_ASSERT_EQUAL(do_munmap(mm, at, 64 * PAGE_SIZE), 0);
	lru_add_drain();
	CU_ASSERT_EQUAL(page_counter_read(&a->swap), 0);
	CU_ASSERT_EQUAL(usage(a), 0);
	/* No room in the group's swap: the pages stay, and the event is counted. */
	a->swap.max = 3;
	at = map(16);
	enter(a);
	for (int i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * PAGE_SIZE, i + 1), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at, 16 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CU_ASSERT_EQUAL(page_counter_read(&a->swap), 3);
	CU_ASSERT_EQUAL(mem_cgroup_stat(a, -1, NR_ANON_MAPPED), 13);
	CU_ASSERT(a->swap_events[MEMCG_SWAP_MAX] >= 1);
	CU_ASSERT(a->swap_events[MEMCG_SWAP_FAIL] >= 1);
	CU_ASSERT_EQUAL(do_munmap(mm, at, 16 * PAGE_SIZE), 0);
	lru_add_drain();
	CU_ASSERT_EQUAL(page_counter_read(&a->swap), 0);
	enter(&root_mem_cgroup);
	mem_cgroup_offline(a);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
}

static const struct unit_case cases[] = {
	{"a charge counts in every ancestor", a_charge_counts_in_every_ancestor},
	{"a charge that does not fit changes nothing", a_charge_that_does_not_fit_changes_nothing},
	{"a charge stays below high or changes nothing",
	 a_charge_stays_below_high_or_changes_nothing},
	{"limits are read as Linux reads them", limits_are_read_as_linux_reads_them},
	{"protection is shared in proportion", protection_is_shared_in_proportion},
	{"protection says what reclaim may do", protection_says_what_reclaim_may_do},
	{"each opener resets his own peak", each_opener_resets_his_own_peak},
	{"sleeping grows with the excess", sleeping_grows_with_the_excess},
	{"pages are charged to the group that touches them",
	 pages_are_charged_to_the_group_that_touches_them},
	{"objects are charged until they are freed", objects_are_charged_until_they_are_freed},
	{"objects do not go beyond the limit", objects_do_not_go_beyond_the_limit},
	{"objects pass to the parent", objects_pass_to_the_parent},
	{"a removed group lives as long as its pages", a_removed_group_lives_as_long_as_its_pages},
	{"events of the working set are passed on", events_of_the_working_set_are_passed_on},
	{"fork and copy are charged to who writes", fork_and_copy_are_charged_to_who_writes},
	{"the tree is walked parents first", the_tree_is_walked_parents_first},
	{"swap slots are charged and come home", swap_slots_are_charged_and_come_home},
};

int main(void)
{
	host_boot_default("");
	mm_init();
	mm = mm_alloc();
	return unit_run("memory cgroups", cases, ARRAY_SIZE(cases));
}
