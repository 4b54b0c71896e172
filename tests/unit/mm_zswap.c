/*
 * zswap on the host: the pool against a model, under compaction and migration; pages through swap, with a
 * disk that counts requests; and each way in which a page is refused, comes back, or is written to the disk.
 */
#include "unit.h"
#include "mm_user.h"
#include "mm/memcg/memcg.h"
#include "mm/move/migrate.h"
#include "mm/zswap/zswap.h"

static struct host_disk *disk;
static u64 rng = 88172645463325252ull;

static u64 next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

/* ---- the pool --------------------------------------------------------------------------------- */

/* I1 to I4 of zs_pool.c. */
static void check_pool(void)
{
	u64 pages = 0;

	for (u32 i = 0; i < zs_nr_classes; i++) {
		const struct zs_class *c = &zs_classes[i];
		u64 zspages = 0, used = 0;

		for (u32 f = 0; f < ZS_FULLNESS; f++) {
			const struct zspage *z;

			list_for_each_entry (z, &c->list[f], link) {
				u32 n = 0;

				for (u32 o = 0; o < c->objects; o++) {
					n += z->owner[o] != NULL;
					MUST(z->owner[o] || o >= z->hint, "free before the hint");
					MUST(!z->owner[o] || (z->owner[o]->zspage == z &&
							      z->owner[o]->index == o),
					     "owner of object %u", o);
				}
				for (u32 p = 0; p < c->pages; p++)
					MUST(z->page[p]->type == PAGE_ZSMALLOC &&
						     z->page[p]->private_ == (u64)z &&
						     z->page[p]->index == p &&
						     PageMovable(z->page[p]),
					     "page %u", p);
				MUST(n == z->inuse, "inuse %u, has %u", z->inuse, n);
				MUST((f == 0) == !n && (f == ZS_FULLNESS - 1) == (n == c->objects),
				     "list %u has a zspage with %u", f, n);
				used += n;
				zspages++;
			}
		}
		MUST(zspages == c->nr_zspages && used == c->nr_used, "class of %u", c->size);
		pages += zspages * c->pages;
	}
	MUST(pages == zs_pages() && global_stat(NR_ZSPAGES) == (s64)pages, "%lu pages",
	     (long)pages);
}

static void classes_waste_little(void)
{
	for (u32 size = ZS_STEP; size <= ZS_MAX_SIZE; size += ZS_STEP) {
		u32 bytes = zs_pages_for(size) * PAGE_SIZE;

		CU_ASSERT(bytes % size * 100 / bytes < 23); /* 1,760 bytes and their like */
	}
	CU_ASSERT_EQUAL(zs_pages_for(1360), 1);
	CU_ASSERT_EQUAL(zs_pages_for(2720), 2);
	CU_ASSERT_EQUAL(zs_pages_for(3264), 4);
	CU_ASSERT(zs_nr_classes > 30 && zs_nr_classes <= ZS_MAX_CLASSES);
}

#define NR_OBJECTS 3000u
static struct object {
	struct zs_ref ref;
	u32 size, seed;
} objects[NR_OBJECTS];

static void object_bytes(const struct object *o, u8 *buf)
{
	for (u32 i = 0; i < o->size; i++)
		buf[i] = (u8)(o->seed * (i + 3) + (i >> 8));
}

static bool object_is_right(const struct object *o)
{
	u8 want[ZS_MAX_SIZE], got[ZS_MAX_SIZE];

	object_bytes(o, want);
	zs_load(&o->ref, got, o->size);
	return !memcmp(want, got, o->size);
}

static void toggle_object(struct object *o)
{
	u8 buf[ZS_MAX_SIZE];

	if (o->size) {
		MUST(object_is_right(o), "object of %u bytes", o->size);
		zs_free(&o->ref);
		o->size = 0;
		return;
	}
	o->size = 1 + next_random() % ZS_MAX_SIZE;
	o->seed = (u32)next_random();
	object_bytes(o, buf);
	MUST(!zs_store(buf, o->size, GFP_KERNEL | __GFP_MOVABLE, &o->ref), "memory");
}

/* A page of the pool moves to another frame. 1: it did. */
static int move_page(struct page *page)
{
	unsigned int moved;
	LIST_HEAD(list);

	if (!isolate_movable_page(page))
		return -1;
	list_add(&page->lru, &list);
	migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_COMPACTION,
		      &moved);
	putback_movable_pages(&list);
	return moved;
}

static void the_pool_keeps_what_it_is_given(void)
{
	u64 moved = 0, compacted = 0, before;

	for (unsigned int step = 0; step < 60000; step++) {
		struct object *o = &objects[next_random() % NR_OBJECTS];

		/* Now fuller, now emptier. */
		if (!o->size == (next_random() % 8 < (step / 10000 % 2 ? 2 : 6)))
			toggle_object(o);
		if (o->size && step % 7 == 0)
			moved += move_page(o->ref.zspage->page[0]) == 1;
		if (step % 2000 == 0) {
			before = zs_compactable();
			check_pool();
			compacted += zs_compact(next_random() % 50);
			check_pool();
			CU_ASSERT(zs_compactable() <= before);
		}
	}
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		MUST(!objects[i].size || object_is_right(&objects[i]), "object %u", i);
	CU_ASSERT(moved > 3000);
	CU_ASSERT(compacted > 50);
	/* All that compaction can give back it does. */
	before = zs_compactable();
	CU_ASSERT_EQUAL(zs_compact(~0ull), before);
	CU_ASSERT_EQUAL(zs_compactable(), 0);
	check_pool();
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		if (objects[i].size)
			toggle_object(&objects[i]);
	check_pool();
	CU_ASSERT_EQUAL(zs_pages(), 0);
}

static void a_zspage_with_a_locked_page_is_freed_later(void)
{
	struct zs_ref ref, other;
	struct page *page;
	u8 byte = 7;

	CU_ASSERT(!zs_store(&byte, 1, GFP_KERNEL, &ref));
	page = ref.zspage->page[0];
	lock_page(page);
	zs_free(&ref);
	CU_ASSERT_EQUAL(zs_pages(), 1);
	unlock_page(page);
	check_pool();
	/* The next that is stored takes it. */
	CU_ASSERT(!zs_store(&byte, 1, GFP_KERNEL, &other));
	CU_ASSERT_PTR_EQUAL(other.zspage->page[0], page);
	zs_free(&other);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	CU_ASSERT_EQUAL(zs_store(&byte, ZS_MAX_SIZE + 1, GFP_KERNEL, &ref), -ENOSPC);
	CU_ASSERT_EQUAL(zs_store(&byte, 0, GFP_KERNEL, &ref), -ENOSPC);
}

static void an_isolated_page_of_a_freed_zspage(void)
{
	u64 free_before = (drain_all_pages(), nr_free_pages());
	struct page *page;
	struct zs_ref ref;
	LIST_HEAD(list);
	u8 byte = 9;

	CU_ASSERT(!zs_store(&byte, 1, GFP_KERNEL, &ref));
	page = ref.zspage->page[0];
	CU_ASSERT(isolate_movable_page(page));
	list_add(&page->lru, &list);
	zs_free(&ref);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	CU_ASSERT_EQUAL(page_ref_count(page), 1); /* the isolator's */
	putback_movable_pages(&list);
	drain_all_pages();
	CU_ASSERT(nr_free_pages() + 2 >= free_before); /* a slab's sheaf may keep the zspage */
	check_pool();
}

/* ---- through swap ----------------------------------------------------------------------------- */

static void complete_all(void)
{
	while (host_disk_complete(disk, 100))
		;
}

static void push_everything_out(struct mm_struct *mm)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	lru_add_drain();
	for (int i = 0; i < 30 && (mm->rss_anon || global_stat(NR_SWAPCACHE)); i++) {
		shrink_node(&node_data[0], &sc);
		complete_all();
	}
	CU_ASSERT_EQUAL_FATAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL_FATAL(global_stat(NR_SWAPCACHE), 0);
}

enum content { TEXT, VALUE, NOISE };

static u64 word_of(enum content what, u64 page, u64 i)
{
	switch (what) {
	case TEXT:
		return i % 5 ? page : (page * 512 + i + 1) * 0x9e3779b97f4a7c15ull;
	case VALUE:
		return (page + 1) * 0x0101010101010101ull;
	default:
		return (page * 512 + i + 1) * 0x9e3779b97f4a7c15ull ^ (i << 33) * (page + 77);
	}
}

static void put_page_of(struct mm_struct *mm, unsigned long at, enum content what, u64 page)
{
	unsigned int fault;
	u64 *w = user_touch(mm, at, true, &fault);

	MUST(w, "fault %#x", fault);
	for (u64 i = 0; i < PAGE_SIZE / 8; i++)
		w[i] = word_of(what, page, i);
}

static bool page_is(struct mm_struct *mm, unsigned long at, enum content what, u64 page)
{
	unsigned int fault;
	const u64 *w = user_touch(mm, at, false, &fault);

	for (u64 i = 0; w && i < PAGE_SIZE / 8; i++)
		if (w[i] != word_of(what, page, i))
			return false;
	return w;
}

static struct mm_struct *process_with(u64 pages, enum content what, unsigned long *at)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, PRIVATE, 0);
	for (u64 i = 0; i < pages; i++)
		put_page_of(mm, *at + i * PAGE_SIZE, what, i);
	return mm;
}

static void check_process(struct mm_struct *mm, unsigned long at, u64 pages, enum content what)
{
	for (u64 i = 0; i < pages; i++)
		MUST(page_is(mm, at + i * PAGE_SIZE, what, i), "page %lu", (long)i);
}

static void off_it_does_nothing(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(40, TEXT, &at);

	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	push_everything_out(mm);
	CU_ASSERT_EQUAL(event(ZSWPOUT), 0);
	CU_ASSERT(event(PSWPOUT) >= 40);
	CU_ASSERT_PTR_NULL(swap_areas[0].zswap);
	check_process(mm, at, 40, TEXT);
	mmput(mm);
	CU_ASSERT_EQUAL(zswap_set_enabled("maybe"), -EINVAL);
	CU_ASSERT_EQUAL(zswap_set_enabled("Y"), 0);
	CU_ASSERT_PTR_NOT_NULL(swap_areas[0].zswap);
	CU_ASSERT(zswap_enabled);
}

static void pages_in_the_pool_need_no_disk(void)
{
	u64 n = 1000, out = event(ZSWPOUT), in = event(ZSWPIN), pswpout = event(PSWPOUT);
	u64 reads = disk->pages_read, writes = disk->pages_written;
	unsigned long at;
	struct mm_struct *mm = process_with(n, TEXT, &at);

	push_everything_out(mm);
	CU_ASSERT_EQUAL(event(ZSWPOUT) - out, n);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, n);
	CU_ASSERT(zs_pages() > n / 10 && zs_pages() < n / 2);
	check_pool();
	check_all();
	check_process(mm, at, n, TEXT);
	CU_ASSERT_EQUAL(event(ZSWPIN) - in, n);
	/* The contents moved back: nothing is kept twice. */
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	/* And again: they were not lost. */
	push_everything_out(mm);
	CU_ASSERT_EQUAL(event(ZSWPOUT) - out, 2 * n);
	check_process(mm, at, n / 2, TEXT);
	mmput(mm);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	CU_ASSERT_EQUAL(disk->pages_read, reads);
	CU_ASSERT_EQUAL(disk->pages_written, writes);
	CU_ASSERT_EQUAL(event(PSWPOUT), pswpout);
	check_pool();
	check_all();
}

static void same_filled_pages_need_no_memory(void)
{
	u64 n = 300, writes = disk->pages_written, value;
	unsigned long at;
	struct mm_struct *mm = process_with(n, VALUE, &at);
	u64 *page = (u64 *)__get_free_pages(GFP_KERNEL, 0);

	push_everything_out(mm);
	CU_ASSERT_EQUAL(zswap_counts.same_filled_pages, n);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	check_process(mm, at, n, VALUE);
	CU_ASSERT_EQUAL(zswap_counts.same_filled_pages, 0);
	mmput(mm);
	CU_ASSERT_EQUAL(disk->pages_written, writes);
	/* One word that differs, anywhere. */
	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		page[i] = 42;
	CU_ASSERT(zswap_same_filled(page, &value) && value == 42);
	for (unsigned int i = 0; i < PAGE_SIZE / 8; i += 73) {
		page[i] = 41;
		CU_ASSERT(!zswap_same_filled(page, &value));
		page[i] = 42;
	}
	free_pages((unsigned long)page, 0);
}

static void incompressible_pages_go_to_the_disk(void)
{
	u64 n = 200, writes = disk->pages_written, poor = zswap_counts.reject_compress_poor;
	unsigned long at;
	struct mm_struct *mm = process_with(n, NOISE, &at);

	push_everything_out(mm);
	CU_ASSERT_EQUAL(zswap_counts.reject_compress_poor - poor, n);
	CU_ASSERT_EQUAL(disk->pages_written - writes, n);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	check_process(mm, at, n, NOISE);
	mmput(mm);
}

/* The slot's contents change their place: disk, pool, zeroes, and back. */
static void a_slot_has_its_latest_contents_only(void)
{
	static const enum content turns[] = {NOISE, TEXT, VALUE, NOISE, VALUE, TEXT};
	unsigned long at;
	struct mm_struct *mm = process_with(8, TEXT, &at);

	for (unsigned int turn = 0; turn < 40; turn++) {
		enum content what = turns[turn % ARRAY_SIZE(turns)];

		push_everything_out(mm);
		for (u64 i = 0; i < 8; i++) {
			unsigned int fault;

			/* A read keeps the slot; the write then finds it in the swap cache. */
			MUST(user_touch(mm, at + i * PAGE_SIZE, false, &fault), "fault");
			if (turn % 5 == 4)
				memset(user_touch(mm, at + i * PAGE_SIZE, true, &fault), 0,
				       PAGE_SIZE);
			else
				put_page_of(mm, at + i * PAGE_SIZE, what, i + turn);
		}
		push_everything_out(mm);
		for (u64 i = 0; i < 8; i++) {
			unsigned int fault;

			if (turn % 5 == 4)
				MUST(*(u64 *)user_touch(mm, at + i * PAGE_SIZE, false, &fault) == 0,
				     "zeroes");
			else
				MUST(page_is(mm, at + i * PAGE_SIZE, what, i + turn), "turn %u",
				     turn);
		}
		check_pool();
	}
	mmput(mm);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	CU_ASSERT_EQUAL(zs_pages(), 0);
}

static void a_forked_page_has_one_entry(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(50, TEXT, &at), *child = dup_mm(mm);

	push_everything_out(mm);
	CU_ASSERT_EQUAL(child->rss_anon, 0);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 50);
	check_process(child, at, 50, TEXT);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	put_page_of(child, at, NOISE, 1);
	push_everything_out(mm);
	push_everything_out(child);
	check_process(mm, at, 50, TEXT);
	CU_ASSERT(page_is(child, at, NOISE, 1));
	mmput(mm);
	mmput(child);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	check_all();
}

static void a_full_pool_writes_the_coldest_to_the_disk(void)
{
	u64 n = 4000, writes = disk->pages_written, wb = event(ZSWPWB), limit, hit;
	unsigned long at;
	struct mm_struct *mm;

	zswap_max_pool_percent = 3;
	limit = zswap_limit();
	hit = zswap_counts.pool_limit_hit;
	mm = process_with(n, TEXT, &at);
	push_everything_out(mm);
	/* There is no thread here: the rest went to the disk by itself. */
	CU_ASSERT(zswap_counts.pool_limit_hit > hit);
	CU_ASSERT(zs_pages() >= zswap_accept_limit() && zs_pages() <= limit + ZS_MAX_PAGES);
	CU_ASSERT_EQUAL(disk->pages_written - writes, n - zswap_counts.stored_pages);
	CU_ASSERT(!zswap_has_room());
	/* What the thread does, to a quarter of the pool. */
	while (zs_pages() > limit / 4) {
		u64 stored = zswap_counts.stored_pages, before = disk->pages_written;
		u64 done = zswap_writeback(16);

		complete_all();
		MUST(done, "nothing to write with %lu stored", (long)stored);
		CU_ASSERT_EQUAL(disk->pages_written - before, done);
		CU_ASSERT_EQUAL(stored - zswap_counts.stored_pages, done);
		zs_compact(~0ull);
		check_pool();
	}
	CU_ASSERT(event(ZSWPWB) - wb > 100);
	CU_ASSERT_EQUAL(event(ZSWPWB) - wb, zswap_counts.written_back_pages);
	CU_ASSERT(zswap_has_room());
	check_all();
	check_process(mm, at, n, TEXT);
	mmput(mm);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	zswap_max_pool_percent = 20;
	check_all();
}

static void writeback_leaves_cached_and_freed_slots_alone(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(30, TEXT, &at);
	u64 writes = disk->pages_written;

	push_everything_out(mm);
	check_process(mm, at, 30, TEXT); /* all come back: no entry is left */
	CU_ASSERT_EQUAL(zswap_writeback(30), 0);
	push_everything_out(mm);
	mmput(mm);
	CU_ASSERT_EQUAL(zswap_writeback(30), 0);
	CU_ASSERT_EQUAL(disk->pages_written, writes);
}

static void a_failed_writeback_loses_nothing(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(30, TEXT, &at);

	push_everything_out(mm);
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(zswap_writeback(30), 30);
	complete_all();
	CU_ASSERT_EQUAL(disk->fail_at, 0);
	check_process(mm, at, 30, TEXT);
	mmput(mm);
	check_all();
}

static void damaged_data_are_an_error_never_a_page(void)
{
	u64 fails = zswap_counts.decompress_fail;
	struct zswap_entry *entry = NULL;
	unsigned long at;
	struct mm_struct *mm = process_with(1, TEXT, &at);
	unsigned int fault;

	push_everything_out(mm);
	for (u64 i = 1; i < swap_areas[0].nr_slots && !entry; i++)
		entry = swap_areas[0].zswap[i];
	CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
	entry->length--;
	CU_ASSERT_PTR_NULL(user_touch(mm, at, false, &fault));
	CU_ASSERT(fault & VM_FAULT_SIGBUS);
	CU_ASSERT(zswap_counts.decompress_fail > fails);
	mmput(mm);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	check_all();
}

static void pool_pages_move_under_their_objects(void)
{
	u64 n = 500, moved = 0;
	unsigned long at;
	struct mm_struct *mm = process_with(n, TEXT, &at);

	push_everything_out(mm);
	for (u64 i = 1; i < swap_areas[0].nr_slots; i++) {
		struct zswap_entry *entry = swap_areas[0].zswap[i];

		if (entry && entry->length)
			moved += move_page(entry->ref.zspage->page[0]) == 1;
	}
	CU_ASSERT(moved >= n / 2);
	check_pool();
	check_process(mm, at, n, TEXT);
	mmput(mm);
}

static void swapoff_empties_the_pool(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(400, TEXT, &at);

	push_everything_out(mm);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 400);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	CU_ASSERT_EQUAL(zs_pages(), 0);
	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
	CU_ASSERT_PTR_NOT_NULL(swap_areas[0].zswap); /* a new area is prepared */
	check_process(mm, at, 400, TEXT);
	push_everything_out(mm);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 400);
	mmput(mm);
	check_all();
}

static void disabled_it_gives_back_what_it_has(void)
{
	u64 out;
	unsigned long at;
	struct mm_struct *mm = process_with(100, TEXT, &at);

	push_everything_out(mm);
	CU_ASSERT_EQUAL(zswap_set_enabled("n"), 0);
	out = event(ZSWPOUT);
	check_process(mm, at, 100, TEXT);
	push_everything_out(mm);
	CU_ASSERT_EQUAL(event(ZSWPOUT), out);
	CU_ASSERT_EQUAL(zswap_counts.stored_pages, 0);
	check_process(mm, at, 100, TEXT);
	mmput(mm);
	CU_ASSERT_EQUAL(zswap_set_enabled("1"), 0);
}

static int write_file(struct mem_cgroup *m, const char *name, const char *text)
{
	for (const struct memcg_file *f = memcg_files; f->name; f++)
		if (!strcmp(f->name, name))
			return f->write(m, text);
	MUST(false, "no file %s", name);
}

/* A page of a group counts in the group, in what it uses and against its limit; its group may keep it off
 * the disk. */
static void groups_pay_for_their_pages(void)
{
	struct mem_cgroup *top = mem_cgroup_create(&root_mem_cgroup), *m;
	u64 bytes, pages, writes = disk->pages_written, with;
	struct mm_struct *mm = mm_alloc();
	unsigned long at;

	CU_ASSERT_FATAL(!IS_ERR(top));
	m = mem_cgroup_create(top);
	CU_ASSERT_FATAL(!IS_ERR(m));
	mem_cgroup_get(m);
	mem_cgroup_set_mm(mm, m);
	at = do_mmap(mm, 0, 300 << PAGE_SHIFT, RW, PRIVATE, 0);
	for (u64 i = 0; i < 300; i++)
		put_page_of(mm, at + i * PAGE_SIZE, i % 3 ? TEXT : VALUE, i);
	push_everything_out(mm);
	mem_cgroup_zswap_usage(top, &bytes, &pages);
	CU_ASSERT_EQUAL(pages, 300);
	CU_ASSERT(bytes > 200 * 600 && bytes < 200 * 2000);
	/* What is left of its memory is what the pool has of it, and page tables. */
	with = page_counter_read(&m->memory);
	CU_ASSERT(with >= bytes / PAGE_SIZE && with <= bytes / PAGE_SIZE + 8);
	CU_ASSERT_EQUAL(page_counter_read(&top->memory), with);
	CU_ASSERT_EQUAL(mem_cgroup_vm_event(top, ZSWPOUT), 300);
	CU_ASSERT_EQUAL(page_counter_read(&m->swap), 300);
	for (u64 i = 0; i < 300; i++)
		MUST(page_is(mm, at + i * PAGE_SIZE, i % 3 ? TEXT : VALUE, i), "page %lu", (long)i);
	CU_ASSERT_EQUAL(mem_cgroup_vm_event(m, ZSWPIN), 300);
	mem_cgroup_zswap_usage(m, &bytes, &pages);
	CU_ASSERT(!bytes && !pages);
	/* A limit above it that is full: to the disk. */
	CU_ASSERT_EQUAL(write_file(top, "memory.zswap.max", "8K"), 0);
	push_everything_out(mm);
	mem_cgroup_zswap_usage(m, &bytes, &pages);
	CU_ASSERT(bytes >= 8192 && bytes < 8192 + PAGE_SIZE);
	CU_ASSERT(disk->pages_written > writes + 100);
	for (u64 i = 0; i < 300; i++)
		MUST(page_is(mm, at + i * PAGE_SIZE, i % 3 ? TEXT : VALUE, i), "page %lu", (long)i);
	/* No limit, and not to the disk: neither by the pool nor past it. */
	CU_ASSERT_EQUAL(write_file(top, "memory.zswap.max", "max"), 0);
	CU_ASSERT_EQUAL(write_file(top, "memory.zswap.writeback", "2"), -EINVAL);
	CU_ASSERT_EQUAL(write_file(top, "memory.zswap.writeback", "0"), 0);
	for (u64 i = 0; i < 300; i++)
		put_page_of(mm, at + i * PAGE_SIZE, i == 7 ? NOISE : TEXT, i);
	writes = disk->pages_written;
	for (int i = 0; i < 5; i++) {
		struct scan_control sc = {
			.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

		lru_add_drain();
		shrink_node(&node_data[0], &sc);
		complete_all();
	}
	CU_ASSERT_EQUAL(zswap_writeback(100), 0);
	complete_all();
	CU_ASSERT_EQUAL(disk->pages_written, writes);
	CU_ASSERT(page_is(mm, at + 7 * PAGE_SIZE, NOISE, 7));
	CU_ASSERT_EQUAL(write_file(top, "memory.zswap.writeback", "1"), 0);
	mmput(mm);
	CU_ASSERT_EQUAL(page_counter_read(&m->memory), 0);
	CU_ASSERT_EQUAL(m->zswap_bytes, 0);
	mem_cgroup_offline(m);
	mem_cgroup_offline(top);
	mem_cgroup_free_dead();
	check_all();
}

/* Everything at once, with more memory than there is. */
static void twice_the_memory(void)
{
	u64 n = 90 * MIB / PAGE_SIZE;
	unsigned long at;
	struct mm_struct *mm = mm_alloc();

	at = do_mmap(mm, 0, n << PAGE_SHIFT, RW, PRIVATE, 0);
	for (u64 i = 0; i < n; i++) {
		put_page_of(mm, at + i * PAGE_SIZE, i % 3 ? TEXT : i % 2 ? NOISE : VALUE, i);
		if (!zswap_has_room())
			zswap_writeback(8);
	}
	check_pool();
	check_all();
	for (u64 j = 0, i = 0; j < n; j++, i = (i + 7919) % n)
		MUST(page_is(mm, at + i * PAGE_SIZE,
			     i % 3   ? TEXT
			     : i % 2 ? NOISE
				     : VALUE,
			     i),
		     "page %lu", (long)i);
	check_pool();
	mmput(mm);
	complete_all();
	CU_ASSERT_EQUAL(zs_pages(), 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT_EQUAL(event(OOM_KILL), 0);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"off_it_does_nothing", off_it_does_nothing},
		{"classes_waste_little", classes_waste_little},
		{"the_pool_keeps_what_it_is_given", the_pool_keeps_what_it_is_given},
		{"a_zspage_with_a_locked_page_is_freed_later",
		 a_zspage_with_a_locked_page_is_freed_later},
		{"an_isolated_page_of_a_freed_zspage", an_isolated_page_of_a_freed_zspage},
		{"pages_in_the_pool_need_no_disk", pages_in_the_pool_need_no_disk},
		{"same_filled_pages_need_no_memory", same_filled_pages_need_no_memory},
		{"incompressible_pages_go_to_the_disk", incompressible_pages_go_to_the_disk},
		{"a_slot_has_its_latest_contents_only", a_slot_has_its_latest_contents_only},
		{"a_forked_page_has_one_entry", a_forked_page_has_one_entry},
		{"a_full_pool_writes_the_coldest_to_the_disk",
		 a_full_pool_writes_the_coldest_to_the_disk},
		{"writeback_leaves_cached_and_freed_slots_alone",
		 writeback_leaves_cached_and_freed_slots_alone},
		{"a_failed_writeback_loses_nothing", a_failed_writeback_loses_nothing},
		{"damaged_data_are_an_error_never_a_page", damaged_data_are_an_error_never_a_page},
		{"pool_pages_move_under_their_objects", pool_pages_move_under_their_objects},
		{"swapoff_empties_the_pool", swapoff_empties_the_pool},
		{"disabled_it_gives_back_what_it_has", disabled_it_gives_back_what_it_has},
		{"twice_the_memory", twice_the_memory},
		{"groups_pay_for_their_pages", groups_pay_for_their_pages},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 160 * MIB);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		abort();
	return unit_run("zswap", cases, sizeof(cases) / sizeof(cases[0]));
}
