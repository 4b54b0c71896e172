/* Shrinkers of names and files: how many they look at, of which group and node, and what the counters
 * and vfs_cache_pressure say. */
#include "fs/internal.h"
#include "mm/memcg/memcg.h"
#include "mm/numa/mempolicy.h"
#include "tests/tests.h"

#define MEM "memory=48M,high=0M cpus=1"
#define TWO "memory=64M,high=0M cpus=1 nodes=2"

static struct list_lru *dentries_of(struct mem_cgroup *memcg, unsigned int node)
{
	return &memcg->slab_lru[LIST_LRU_DENTRY][node];
}

/* Look up names that do not exist: each leaves an unused dentry. */
static void look_up_missing(struct test *t, const char *prefix, unsigned int n)
{
	struct path path;
	char name[40];

	for (unsigned int i = 0; i < n; i++) {
		ksnprintf(name, sizeof(name), "/%s%u", prefix, i);
		CHECK_EQ(path_lookup(AT_FDCWD, name, 0, &path), -ENOENT);
	}
}

/* Nothing unused is left, and nothing put off. */
static void start_empty(struct test *t)
{
	drop_slab();
	drop_slab();
	for (unsigned int node = 0; node < MMVM_MAX_NODES; node++)
		for (unsigned int kind = 0; kind < NR_LIST_LRUS; kind++) {
			CHECK_EQ(root_mem_cgroup.slab_lru[kind][node].nr, 0);
			root_mem_cgroup.slab_lru[kind][node].deferred = 0;
		}
}

static unsigned long shrink(struct mem_cgroup *memcg, unsigned int node, int priority)
{
	struct shrink_control sc = {
		.gfp = GFP_KERNEL, .memcg = memcg, .node = node, .priority = priority};

	return shrink_slab_group(&sc);
}

GUEST_TEST(shrinker, dentries_are_scanned_in_proportion, 0, 60, MEM)
{
	struct list_lru *lru = dentries_of(&root_mem_cgroup, 0);
	s64 scanned;

	start_empty(t);
	look_up_missing(t, "none", 1024);
	CHECK_EQ(lru->nr, 1024);
	scanned = ev(SLABS_SCANNED);
	/* 1024 >> 4 is 64; 4 / seeks is 2: one batch of 128. */
	CHECK_EQ(shrink(NULL, 0, 4), 128);
	CHECK_EQ(lru->nr, 896);
	CHECK_EQ(ev(SLABS_SCANNED) - scanned, 128);
	CHECK_EQ(lru->deferred, 0);
	/* 56 are less than a batch: put off, twice; then (112 >> 5) + 56 still are. */
	CHECK_EQ(shrink(NULL, 0, 5), 0);
	CHECK_EQ(lru->deferred, 56);
	CHECK_EQ(shrink(NULL, 0, 5), 0);
	CHECK_EQ(lru->deferred, 112);
	/* More pressure: (112 >> 2) + 448 = 476: three batches, and 176 are put off. */
	CHECK_EQ(shrink(NULL, 0, 2), 384);
	CHECK_EQ(lru->nr, 512);
	CHECK_EQ(lru->deferred, 112 + 448 - 384);
	CHECK_EQ(ev(SLABS_SCANNED) - scanned, 512);
	CHECK_EQ(shrink(NULL, 0, 0), 512);
	CHECK_EQ(lru->nr, 0);
}

GUEST_TEST(shrinker, vfs_cache_pressure_acts, 0, 60, MEM)
{
	struct list_lru *lru = dentries_of(&root_mem_cgroup, 0);

	start_empty(t);
	look_up_missing(t, "none", 800);
	sysctl_vfs_cache_pressure = 0;
	CHECK_EQ(shrink(NULL, 0, 0), 0);
	drop_slab();
	CHECK_EQ(lru->nr, 800);
	CHECK_EQ(lru->deferred, 0);
	/* 800 >> 6 is 12, twice: less than a batch. */
	sysctl_vfs_cache_pressure = 100;
	CHECK_EQ(shrink(NULL, 0, 6), 0);
	CHECK_EQ(lru->deferred, 24);
	lru->deferred = 0;
	/* As if there were 8000: 125, twice, of which a batch is done. */
	sysctl_vfs_cache_pressure = 1000;
	CHECK_EQ(shrink(NULL, 0, 6), 128);
	CHECK_EQ(lru->nr, 672);
	CHECK_EQ(lru->deferred, 122);
	sysctl_vfs_cache_pressure = 100;
	drop_slab();
	CHECK_EQ(lru->nr, 0);
}

GUEST_TEST(shrinker, a_group_gives_its_own_names, 0, 60, MEM)
{
	struct mem_cgroup *a = mem_cgroup_create(&root_mem_cgroup);
	struct mm_struct *mm = testmm_create(t);
	struct list_lru *root = dentries_of(&root_mem_cgroup, 0), *lru;
	s64 scanned;
	u64 many;

	REQUIRE(!IS_ERR(a));
	lru = dentries_of(a, 0);
	start_empty(t);
	look_up_missing(t, "root", 300);
	mem_cgroup_get(a);
	mem_cgroup_set_mm(mm, a);
	kthread_use_mm(mm);
	look_up_missing(t, "group", 200);
	CHECK_EQ(root->nr, 300);
	CHECK_EQ(lru->nr, 200);
	scanned = ev(SLABS_SCANNED);
	CHECK_EQ(shrink(a, 0, 0), 200);
	CHECK_EQ(lru->nr, 0);
	CHECK_EQ(root->nr, 300);
	CHECK_EQ(ev(SLABS_SCANNED) - scanned, 200);

	/* More names than the group's limit has room for: it makes room among its own. */
	WRITE_ONCE(a->memory.max, page_counter_read(&a->memory) + 128);
	look_up_missing(t, "many", 8000);
	CHECK(lru->nr > 0);
	CHECK(lru->nr < 8000);
	CHECK(page_counter_read(&a->memory) <= a->memory.max);
	CHECK_EQ(root->nr, 300);
	CHECK_EQ(a->events[MEMCG_OOM], 0);

	kthread_unuse_mm();
	mmput(mm);
	/* The names outlive the group: its parent has them then. */
	many = lru->nr;
	mem_cgroup_offline(a);
	CHECK_EQ(root->nr, 300 + many);
	mem_cgroup_free_dead();
	CHECK_EQ(mem_cgroup_nr_offline(&root_mem_cgroup), 0);
	drop_slab();
	CHECK_EQ(root->nr, 0);
}

GUEST_TEST(shrinker, a_node_gives_its_own_names, 0, 60, TWO)
{
	struct list_lru *near = dentries_of(&root_mem_cgroup, 0);
	struct list_lru *far = dentries_of(&root_mem_cgroup, 1);
	struct nodemask mask = {.bits = {2}};
	struct mempolicy *pol;
	u64 n;

	start_empty(t);
	look_up_missing(t, "near", 400);
	CHECK_EQ(mpol_new(MPOL_BIND, 0, &mask, &pol), 0);
	mempolicy_set_task(pol);
	look_up_missing(t, "far", 400);
	CHECK_EQ(mpol_new(MPOL_DEFAULT, 0, &(struct nodemask){}, &pol), 0);
	mempolicy_set_task(pol);
	CHECK_EQ(near->nr + far->nr, 800);
	CHECK(near->nr >= 400);
	REQUIRE(far->nr);
	n = near->nr;
	CHECK_EQ(shrink(NULL, 1, 0), 800 - n);
	CHECK_EQ(far->nr, 0);
	CHECK_EQ(near->nr, n);
	CHECK_EQ(shrink(NULL, 0, 0), n);
}
