/*
 * Fault injection (lib/fail.h): one scenario, in which pages are touched, swapped, forked, moved and written to a
 * disk, is run once for each disk request, each migration, each charge and each swap charge of it: that one
 * fails. Whatever fails, what was written is still there, and in the end nothing is left: objects of slabs,
 * frames, swap slots, charges and references of the group are as many as before.
 */
#include <CUnit/Basic.h>
#include "lib/fail.h"
#include "mm/cache/filemap.h"
#include "mm/memcg/memcg.h"
#include "mm/move/migrate.h"
#include "mm_user.h"
#include "unit.h"

#define PAGES	   40ul
#define SHARED	   8ul
#define FILE_PAGES 64ul
#define MOST	   2000

static struct host_disk *disk, *swap;
static struct address_space *dev;
static struct mem_cgroup *group;

/* What is counted before and after. */
struct counts {
	u64 objects, free, slots, used_swap, usage, refs;
};

static struct counts count_all(void)
{
	struct counts c;

	truncate_inode_pages(dev);
	writeback_pass(~0ull); /* nothing to write: off the list */
	lru_add_drain();
	c.objects = slab_objects_in_use();
	drain_all_pages();
	c.free = nr_free_pages();
	c.slots = swap_areas[0].inuse;
	c.used_swap = page_counter_read(&group->swap);
	c.usage = page_counter_read(&group->memory);
	c.refs = (u64)group->refs;
	check_all();
	return c;
}

struct run {
	struct mm_struct *mm, *child;
	unsigned long priv, shared;
	bool written[PAGES + SHARED];
	u32 failures; /* of operations: errors that the program gets */
};

static unsigned long address(const struct run *r, unsigned long i)
{
	return i < PAGES ? r->priv + i * PAGE_SIZE : r->shared + (i - PAGES) * PAGE_SIZE;
}

static void write_all(struct run *r)
{
	for (unsigned long i = 0; i < PAGES + SHARED; i++) {
		r->written[i] = !user_write(r->mm, address(r, i), i + 1);
		r->failures += !r->written[i];
	}
}

/* A read that fails says so, and finds its page the next time: only one request in all fails. */
static void expect_all(struct run *r, struct mm_struct *mm)
{
	for (unsigned long i = 0; i < PAGES + SHARED; i++) {
		u64 v = 0;

		if (user_read(mm, address(r, i), &v)) {
			r->failures++;
			MUST(!user_read(mm, address(r, i), &v), "page %lu fails twice", i);
		}
		MUST(v == (r->written[i] ? i + 1 : 0), "page %lu holds %lu", i, (unsigned long)v);
	}
}

static void swap_out(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	for (int i = 0; i < 10; i++) {
		lru_add_drain();
		shrink_node(&node_data[0], &sc);
		while (host_disk_complete(swap, 100))
			;
	}
}

static void fork_and_write(struct run *r)
{
	r->child = dup_mm(r->mm);
	r->failures += !r->child;
	for (unsigned long i = 0; r->child && i < PAGES; i += 3) {
		if (user_write(r->child, address(r, i), 1000 + i)) {
			r->failures++;
			MUST(!user_write(r->child, address(r, i), 1000 + i),
			     "page %lu of the child", i);
		}
	}
}

static void move_all(struct run *r)
{
	int nid = NUMA_NO_NODE;
	LIST_HEAD(list);

	lru_add_drain();
	for (unsigned long i = 0; i < PAGES + SHARED; i++) {
		pte_t *pte = walk_pte(r->mm->pgd, address(r, i));
		pte_t e = pte ? pte_read(pte) : __pte(0);

		if (pte_present(e) && !pte_special(e) &&
		    isolate_movable_page(pfn_to_page(pte_pfn(e))))
			list_add(&pfn_to_page(pte_pfn(e))->lru, &list);
	}
	r->failures += migrate_pages(&list, alloc_migration_target, NULL, &nid, MIGRATE_SYNC,
				     MR_SYSCALL, NULL) != 0;
	putback_movable_pages(&list);
}

/* -EIO to the write or to whoever waits for it; the disk holds it after the next try. */
static void write_disk(struct run *r)
{
	static u8 out[4 * PAGE_SIZE], in[sizeof(out)];
	struct file_ra_state ra;
	u64 at = 3 * PAGE_SIZE + 100;

	memset(out, 0x5a, sizeof(out));
	for (int i = 0; i < 2; i++) {
		u64 pos = at;
		long n = generic_file_write(dev, (unsigned long)out, sizeof(out), &pos, ~0ull);

		if (n == sizeof(out) && !filemap_write_and_wait_range(dev, 0, ~0ull >> 1))
			break;
		r->failures++;
		MUST(!i, "the disk fails twice");
	}
	MUST(!memcmp(disk->data + at, out, sizeof(out)), "not on the disk");
	file_ra_state_init(&ra);
	for (int i = 0; i < 2; i++) {
		u64 pos = 20 * PAGE_SIZE;
		long n = generic_file_read(dev, &ra, (unsigned long)in, sizeof(in), &pos);

		if (n == sizeof(in))
			break;
		r->failures++;
		MUST(!i || n > 0, "reading fails twice");
	}
}

/* Returns how many operations failed. */
static u32 scenario(void)
{
	struct run r = {.mm = mm_alloc()};
	long at;

	MUST(r.mm, "no mm");
	mem_cgroup_get(group);
	mem_cgroup_set_mm(r.mm, group);
	current_thread_info()->mm = r.mm; /* who is charged for shared memory */
	for (int i = 0; !r.priv || !r.shared; i++) {
		if (!r.priv && (at = do_mmap(r.mm, 0, PAGES << PAGE_SHIFT, RW, PRIVATE, 0)) > 0)
			r.priv = at;
		if (!r.shared && (at = do_mmap(r.mm, 0, SHARED << PAGE_SHIFT, RW,
					       MAP_SHARED | MAP_ANONYMOUS, 0)) > 0)
			r.shared = at;
		r.failures += !r.priv || !r.shared;
		MUST(i < 2, "mmap fails twice");
	}
	write_all(&r);
	swap_out();
	expect_all(&r, r.mm);
	fork_and_write(&r);
	swap_out();
	move_all(&r); /* nothing of it is in memory: only what swap could not take */
	expect_all(&r, r.mm);
	move_all(&r);
	expect_all(&r, r.mm);
	write_disk(&r);
	current_thread_info()->mm = NULL;
	if (r.child)
		mmput(r.child);
	mmput(r.mm);
	return r.failures;
}

/* Each of them fails once. Returns how many there are. */
static u64 sweep(enum fail_point point, bool must_be_seen)
{
	struct counts before, after;
	u64 seen = 0, k;

	MUST(!scenario(), "it fails with nothing injected");
	before = count_all();
	for (k = 1; k < MOST; k++) {
		u64 failed = fail_count(point);
		u32 failures;

		CU_ASSERT_FATAL(fail_nth(point, k));
		failures = scenario();
		fail_nth(point, 0);
		if (fail_count(point) == failed) {
			MUST(!failures, "a failure, and nothing was injected");
			break;
		}
		MUST(fail_count(point) == failed + 1, "more than one failed");
		seen += failures != 0;
		after = count_all();
		MUST(after.objects == before.objects, "%lu: %ld objects left", (unsigned long)k,
		     (long)(after.objects - before.objects));
		MUST(after.free == before.free, "%lu: %ld frames lost", (unsigned long)k,
		     (long)(before.free - after.free));
		MUST(after.slots == before.slots, "%lu: %ld slots left", (unsigned long)k,
		     (long)(after.slots - before.slots));
		MUST(after.used_swap == before.used_swap && after.usage == before.usage,
		     "%lu: %ld pages, %ld slots charged", (unsigned long)k,
		     (long)(after.usage - before.usage),
		     (long)(after.used_swap - before.used_swap));
		MUST(after.refs == before.refs, "%lu: %ld references", (unsigned long)k,
		     (long)(after.refs - before.refs));
	}
	CU_ASSERT(k > 1 && k < MOST);
	CU_ASSERT(!must_be_seen || seen);
	printf("point %d: %lu swept, %lu seen\n", point, (unsigned long)k - 1, (unsigned long)seen);
	return k - 1;
}

static void each_disk_request(void)
{
	CU_ASSERT(sweep(FAIL_BIO, true) >= 15);
}

static void each_migration(void)
{
	/* It is tried again, so that nobody sees it. */
	CU_ASSERT(sweep(FAIL_MIGRATE, false) >= SHARED);
}

static void each_charge(void)
{
	CU_ASSERT(sweep(FAIL_CHARGE, true) > PAGES);
}

static void each_swap_charge(void)
{
	/* The page stays in memory. */
	CU_ASSERT(sweep(FAIL_SWAP, false) > PAGES);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"each disk request fails", each_disk_request},
		{"each migration fails", each_migration},
		{"each charge fails", each_charge},
		{"each swap charge fails", each_swap_charge},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("data", FILE_PAGES * PAGE_SIZE);
	swap = host_disk_create("swap", 4 * MIB);
	host_disk_mkswap(swap);
	MUST(!do_swapon(&swap->bdev, -1), "swapon");
	dev = bdev_mapping(&disk->bdev);
	MUST(dev, "bdev_mapping");
	dev->size = FILE_PAGES * PAGE_SIZE;
	group = mem_cgroup_create(&root_mem_cgroup);
	MUST(!IS_ERR(group), "group");
	return unit_run("fault injection", cases, ARRAY_SIZE(cases));
}
