/*
 * The pool of compressed pages.
 *
 * A zspage has one to four pages: the number that wastes least for its object size. Objects lie one after the other
 * and may cross from one page to the next, so copying an object takes up to two copies. The pages need not be
 * contiguous, and each can be migrated: private_ names a page's zspage, and index its position.
 *
 *   full ──free──> partly used ──free──> empty ──> freed, if nobody holds the lock of one of its pages
 *    ^───store────────┘  └──compact──> objects move to fuller zspages of the class
 *
 * I1  owner[i] of a zspage is the reference of object i, and that reference names the zspage and i; NULL:
 *     the object is free.
 * I2  inuse = owners that are not NULL; the zspage is on the list of its class that inuse names.
 * I3  class->nr_zspages, nr_used = zspages on its lists, and the sum of their inuse.
 * I4  A page of the pool is of type ZSMALLOC, has the pool's reference, and is movable. NR_ZSPAGES
 *     counts them.
 *
 * Locks: zs_pool.h. Page locks are tried, never waited for, under zs_lock.
 */
#include "mm/zswap/zs_pool.h"
#include "mm/phys/highmem.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/move/migrate.h"
#include "mm/phys/zone.h"
#include "mm/slab/slab.h"

struct zs_class zs_classes[ZS_MAX_CLASSES];
u32 zs_nr_classes;
static u8 class_of_step[ZS_MAX_CLASSES + 1]; /* C: size / ZS_STEP, rounded up */
static spinlock_t zs_lock = SPINLOCK_INIT;
static u64 pool_pages;		      /* zs_lock to change */
static u8 object_buffer[ZS_MAX_SIZE]; /* zs_lock: an object on its way to another zspage */

u32 zs_pages_for(u32 size)
{
	u32 best = 1, best_used = 0;

	for (u32 k = 1; k <= ZS_MAX_PAGES; k++) {
		u32 bytes = k * PAGE_SIZE, used = bytes / size * size * 100 / bytes;

		if (used > best_used) {
			best = k;
			best_used = used;
		}
	}
	return best;
}

void zs_init(void)
{
	spin_lock_init(&zs_lock);
	zs_nr_classes = 0;
	/* Sizes with the same number of objects per zspage share a class, that of the largest size. */
	for (u32 step = ZS_MAX_SIZE / ZS_STEP; step > 0; step--) {
		u32 size = step * ZS_STEP, pages = zs_pages_for(size);
		u32 objects = pages * PAGE_SIZE / size;
		struct zs_class *c = zs_nr_classes ? &zs_classes[zs_nr_classes - 1] : NULL;

		if (!c || c->pages != pages || c->objects != objects) {
			c = &zs_classes[zs_nr_classes++];
			*c = (struct zs_class){.size = size, .pages = pages, .objects = objects};
			for (u32 i = 0; i < ZS_FULLNESS; i++)
				INIT_LIST_HEAD(&c->list[i]);
		}
		class_of_step[step] = c - zs_classes;
	}
}

u64 zs_pages(void)
{
	return READ_ONCE(pool_pages);
}

/* ---- objects, zs_lock held -------------------------------------------------------------------- */

static u32 fullness(const struct zspage *z)
{
	if (!z->inuse)
		return 0;
	if (z->inuse == z->class->objects)
		return ZS_FULLNESS - 1;
	return 1 + z->inuse * (ZS_FULLNESS - 2) / z->class->objects;
}

static void add_inuse(struct zspage *z, int n)
{
	u32 before = fullness(z);

	z->inuse += n;
	z->class->nr_used += n;
	if (fullness(z) != before)
		list_move(&z->link, &z->class->list[fullness(z)]);
}

enum copy_dir { OUT_OF_POOL, INTO_POOL };

static void copy_object(const struct zspage *z, u32 index, void *buf, u32 size, enum copy_dir dir)
{
	u32 at = index * z->class->size;

	for (u32 done = 0; done < size;) {
		u32 offset = (at + done) % PAGE_SIZE;
		u32 n = min(size - done, (u32)PAGE_SIZE - offset);
		struct page *page = z->page[(at + done) / PAGE_SIZE];

		if (dir == INTO_POOL)
			memcpy_to_page(page, offset, (const u8 *)buf + done, n);
		else
			memcpy_from_page((u8 *)buf + done, page, offset, n);
		done += n;
	}
}

/* A free object of a zspage that has one. */
static u32 take_object(struct zspage *z, struct zs_ref *ref)
{
	while (z->owner[z->hint])
		z->hint++;
	z->owner[z->hint] = ref;
	ref->zspage = z;
	ref->index = z->hint;
	add_inuse(z, 1);
	return z->hint++;
}

static void drop_object(struct zspage *z, u32 index)
{
	z->owner[index] = NULL;
	z->hint = min(z->hint, index);
	add_inuse(z, -1);
}

/* ---- zspages ---------------------------------------------------------------------------------- */

static const struct movable_ops zs_movable_ops;

static struct zspage *new_zspage(struct zs_class *c, gfp_t gfp)
{
	struct zspage *z = kzalloc(sizeof(*z) + c->objects * sizeof(z->owner[0]),
				   gfp & ~(__GFP_HIGHMEM | __GFP_MOVABLE));
	u32 n;

	if (!z)
		return NULL;
	z->class = c;
	for (n = 0; n < c->pages; n++) {
		struct page *page = alloc_pages_type(gfp, 0, PAGE_ZSMALLOC);

		if (!page)
			goto out;
		page->private_ = (u64)(unsigned long)z;
		page->index = n;
		z->page[n] = page;
	}
	for (n = 0; n < c->pages; n++) {
		trylock_page(z->page[n]); /* succeeds: the page is new, and nobody else knows it */
		page_set_movable(z->page[n], &zs_movable_ops);
		page_stat_add(z->page[n], NR_ZSPAGES, 1);
		unlock_page(z->page[n]);
	}
	return z;
out:
	while (n-- > 0) {
		z->page[n]->private_ = 0;
		__free_page(z->page[n]);
	}
	kfree(z);
	return NULL;
}

/* zs_lock held. */
static void add_zspage(struct zspage *z)
{
	list_add(&z->link, &z->class->list[0]);
	z->class->nr_zspages++;
	pool_pages += z->class->pages;
}

/* Free an empty zspage. If one of its pages is locked, it stays on the list of empty zspages for the next store.
 * zs_lock held. */
static bool free_zspage(struct zspage *z)
{
	u32 n, pages = z->class->pages;

	for (n = 0; n < pages; n++)
		if (!trylock_page(z->page[n]))
			break;
	if (n < pages) {
		while (n-- > 0)
			unlock_page(z->page[n]);
		return false;
	}
	list_del(&z->link);
	z->class->nr_zspages--;
	pool_pages -= pages;
	for (n = 0; n < pages; n++) {
		struct page *page = z->page[n];

		page_stat_add(page, NR_ZSPAGES, -1);
		page_clear_movable(page);
		page->private_ = 0;
		page->index = 0;
		page->type = PAGE_OTHER; /* code that has isolated it may still hold a reference */
		unlock_page(page);
		put_page(page);
	}
	kfree(z);
	return true;
}

/* zs_lock held. A zspage with room, the fullest first; NULL: none. */
static struct zspage *find_room(const struct zs_class *c)
{
	for (u32 i = ZS_FULLNESS - 1; i-- > 0;)
		if (!list_empty(&c->list[i]))
			return list_first_entry(&c->list[i], struct zspage, link);
	return NULL;
}

int zs_store(const void *data, u32 size, gfp_t gfp, struct zs_ref *ref)
{
	struct zspage *z, *fresh = NULL;
	struct zs_class *c;

	if (!size || size > ZS_MAX_SIZE)
		return -ENOSPC;
	c = &zs_classes[class_of_step[DIV_ROUND_UP(size, ZS_STEP)]];
	spin_lock(&zs_lock);
	z = find_room(c);
	if (!z) {
		spin_unlock(&zs_lock);
		fresh = new_zspage(c, gfp);
		if (!fresh)
			return -ENOMEM;
		spin_lock(&zs_lock);
		add_zspage(fresh);
		z = fresh;
	}
	copy_object(z, take_object(z, ref), (void *)(unsigned long)data, size, INTO_POOL);
	spin_unlock(&zs_lock);
	return 0;
}

void zs_load(const struct zs_ref *ref, void *data, u32 size)
{
	spin_lock(&zs_lock);
	copy_object(ref->zspage, ref->index, data, size, OUT_OF_POOL);
	spin_unlock(&zs_lock);
}

void zs_free(struct zs_ref *ref)
{
	struct zspage *z;

	spin_lock(&zs_lock);
	z = ref->zspage;
	drop_object(z, ref->index);
	if (!z->inuse)
		free_zspage(z);
	spin_unlock(&zs_lock);
	ref->zspage = NULL;
}

/* ---- compaction ------------------------------------------------------------------------------- */

/* How many zspages could be freed if the others were full. The answer may be stale without zs_lock. */
static u64 spare_zspages(const struct zs_class *c)
{
	u64 room = READ_ONCE(c->nr_zspages) * c->objects, used = READ_ONCE(c->nr_used);

	return room > used ? (room - used) / c->objects : 0;
}

u64 zs_compactable(void)
{
	u64 pages = 0;

	for (u32 i = 0; i < zs_nr_classes; i++)
		pages += spare_zspages(&zs_classes[i]) * zs_classes[i].pages;
	return pages;
}

/* zs_lock held. The emptiest zspage that has objects. */
static struct zspage *emptiest(const struct zs_class *c)
{
	for (u32 i = 1; i < ZS_FULLNESS - 1; i++)
		if (!list_empty(&c->list[i]))
			return list_last_entry(&c->list[i], struct zspage, link);
	return NULL;
}

/* zs_lock held. Another one with room, the fullest first. */
static struct zspage *fullest_but(const struct zs_class *c, const struct zspage *not_this)
{
	for (u32 i = ZS_FULLNESS - 2; i > 0; i--) {
		struct zspage *z;

		list_for_each_entry (z, &c->list[i], link)
			if (z != not_this)
				return z;
	}
	return NULL;
}

/* zs_lock held. Empty one zspage of the class and free it. Returns pages freed. */
static u32 compact_class(struct zs_class *c)
{
	struct zspage *src, *dst;

	if (!list_empty(&c->list[0])) {
		src = list_first_entry(&c->list[0], struct zspage, link);
		return free_zspage(src) ? c->pages : 0;
	}
	src = spare_zspages(c) ? emptiest(c) : NULL;
	for (u32 i = 0; src && i < c->objects; i++) {
		struct zs_ref *ref = src->owner[i];

		if (!ref)
			continue;
		dst = fullest_but(c, src);
		if (!dst)
			return 0;
		copy_object(src, i, object_buffer, c->size, OUT_OF_POOL);
		copy_object(dst, take_object(dst, ref), object_buffer, c->size, INTO_POOL);
		drop_object(src, i);
	}
	return src && free_zspage(src) ? c->pages : 0;
}

u64 zs_compact(u64 nr)
{
	u64 freed = 0;

	for (u32 i = 0; i < zs_nr_classes && freed < nr; i++) {
		u32 got;

		do {
			spin_lock(&zs_lock);
			got = compact_class(&zs_classes[i]);
			spin_unlock(&zs_lock);
			freed += got;
			cond_resched();
		} while (got && freed < nr);
	}
	return freed;
}

/* ---- pages that move: all three with the page lock --------------------------------------------- */

static bool zs_isolate_page(struct page *page)
{
	return page->private_ != 0;
}

static int zs_migrate_page(struct page *dst, struct page *src, enum migrate_mode mode)
{
	struct zspage *z = (void *)(unsigned long)src->private_;

	spin_lock(&zs_lock);
	copy_highpage(dst, src);
	z->page[src->index] = dst;
	dst->private_ = src->private_;
	dst->index = src->index;
	get_page(dst);
	spin_unlock(&zs_lock);
	src->private_ = 0;
	src->index = 0;
	page_stat_add(dst, NR_ZSPAGES, 1);
	page_stat_add(src, NR_ZSPAGES, -1);
	put_page(src);
	return 0;
}

static void zs_putback_page(struct page *page) {}

static const struct movable_ops zs_movable_ops = {zs_isolate_page, zs_migrate_page,
						  zs_putback_page};
