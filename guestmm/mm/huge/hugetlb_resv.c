/*
 * Promises of huge pages: a promised page can be touched later without a SIGBUS.
 *
 *   shared mapping    the file's resv_map holds the indices that are promised to the file; they stay
 *                     until the file is truncated, whoever maps it
 *   private mapping   made with all of it promised; the VMA's own resv_map holds the indices whose
 *                     promise has been used. Promises that are not in it are released when the VMA is freed.
 *   child of a fork   has no promise: a page that it needs comes from what nobody was promised, or
 *                     it gets SIGBUS
 *   MAP_NORESERVE     no promise at mmap; a shared page is entered in the map when it is allocated
 *
 *   mmap ──reserve──> subpool (size=, min_size= of the mount) ──> pool's resv (hugetlb_acct_memory)
 *
 * R1  Sum over all: the pool's resv = promised to shared files and not in memory + promised to
 *     private owners and not used + what subpools keep of their min.
 * R2  A subpool's used + what may still be taken = max_pages; its reserved = min_pages less what is
 *     in use, at least 0.
 *
 * Locks: resv_mutex guards every resv_map; no memory is allocated for a map while it is held. A
 * subpool has a spinlock of its own, because freeing a page returns it there.
 */
#include "mm/huge/hugetlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/numa/mempolicy.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"
#include "mmvm/audit.h"

static struct mutex resv_mutex = MUTEX_INIT(resv_mutex);

/* ---- sets of indices -------------------------------------------------------------------------- */

struct region {
	struct list_head link;
	unsigned long from, to; /* [from, to) */
};

struct resv_map {
	s32 refs;		  /* A */
	struct list_head regions; /* resv_mutex: rising, neither touching nor overlapping */
	struct region *spare;	  /* resv_mutex: for a removal, which may have to cut one in two */
};

struct resv_map *resv_map_alloc(void)
{
	struct resv_map *map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);

	if (!map)
		return NULL;
	map->spare = kmalloc(sizeof(*map->spare), GFP_KERNEL_ACCOUNT);
	if (!map->spare) {
		kfree(map);
		return NULL;
	}
	map->refs = 1;
	INIT_LIST_HEAD(&map->regions);
	return map;
}

void resv_map_get(struct resv_map *map)
{
	atomic_add(&map->refs, 1);
}

void resv_map_put(struct resv_map *map)
{
	struct region *r, *n;

	if (!atomic_dec_and_test(&map->refs))
		return;
	list_for_each_entry_safe (r, n, &map->regions, link)
		kfree(r);
	kfree(map->spare);
	kfree(map);
}

void hugetlb_audit_resv_layout(struct mmvm_audit_hugetlb_layout *l)
{
	_Static_assert(offsetof(struct region, link) == 0, "as the host knows it");
	l->map_regions_offset = offsetof(struct resv_map, regions);
	l->region_from_offset = offsetof(struct region, from);
	l->region_to_offset = offsetof(struct region, to);
}

/* How many of [from, to) are in the set. */
static u64 region_count(const struct resv_map *map, unsigned long from, unsigned long to)
{
	const struct region *r;
	u64 n = 0;

	list_for_each_entry (r, &map->regions, link) {
		unsigned long lo = max(from, r->from), hi = min(to, r->to);

		if (lo < hi)
			n += hi - lo;
	}
	return n;
}

/* Memory for one more region and for the spare, allocated before resv_mutex is taken. */
struct room {
	struct region *fresh, *spare;
};

static int room_get(struct room *room, const struct resv_map *map)
{
	room->spare = NULL;
	room->fresh = kmalloc(sizeof(*room->fresh), GFP_KERNEL_ACCOUNT);
	if (!READ_ONCE(map->spare))
		room->spare = kmalloc(sizeof(*room->spare), GFP_KERNEL_ACCOUNT);
	if (room->fresh && (room->spare || READ_ONCE(map->spare)))
		return 0;
	kfree(room->fresh);
	kfree(room->spare);
	return -ENOMEM;
}

/* resv_mutex held. False: another has used the spare meanwhile; get room again. */
static bool room_fill_spare(struct room *room, struct resv_map *map)
{
	if (!map->spare) {
		map->spare = room->spare;
		room->spare = NULL;
	}
	return map->spare;
}

static void room_put(struct room *room)
{
	kfree(room->fresh);
	kfree(room->spare);
}

/* Add [from, to): room->fresh becomes the region, and regions that it touches are merged into it. Cannot fail. */
static void region_add(struct resv_map *map, unsigned long from, unsigned long to,
		       struct room *room)
{
	struct region *r, *n, *fresh = room->fresh;
	struct list_head *at = &map->regions;

	list_for_each_entry_safe (r, n, &map->regions, link) {
		if (r->to < from)
			continue;
		if (r->from > to) {
			at = &r->link;
			break;
		}
		from = min(from, r->from);
		to = max(to, r->to);
		list_del(&r->link);
		kfree(r);
	}
	fresh->from = from;
	fresh->to = to;
	list_add_tail(&fresh->link, at);
	room->fresh = NULL;
}

/* Remove [from, to). Returns how many indices the set held. One region may have to be cut in two: the caller has
 * made sure that there is a spare for it. */
static u64 region_del(struct resv_map *map, unsigned long from, unsigned long to)
{
	struct region *r, *n;
	u64 gone = 0;

	list_for_each_entry_safe (r, n, &map->regions, link) {
		unsigned long lo = max(from, r->from), hi = min(to, r->to);

		if (lo >= hi)
			continue;
		if (lo > r->from && hi < r->to) {
			struct region *high = map->spare;

			BUG_ON(!high);
			map->spare = NULL;
			high->from = hi;
			high->to = r->to;
			r->to = lo;
			list_add(&high->link, &r->link);
		} else if (lo > r->from) {
			r->to = lo;
		} else if (hi < r->to) {
			r->from = hi;
		} else {
			list_del(&r->link);
			kfree(r);
		}
		gone += hi - lo;
	}
	return gone;
}

/* ---- subpools --------------------------------------------------------------------------------- */

struct hugepage_subpool *hugepage_subpool_create(struct hstate *h, s64 max_pages, s64 min_pages,
						 int *err)
{
	struct hugepage_subpool *spool = kzalloc(sizeof(*spool), GFP_KERNEL);

	*err = -ENOMEM;
	if (!spool)
		return NULL;
	if (min_pages > 0 && hugetlb_acct_memory(h, min_pages)) {
		kfree(spool);
		return NULL;
	}
	spool->h = h;
	spool->max_pages = max_pages;
	spool->min_pages = min_pages;
	spool->reserved = min_pages > 0 ? min_pages : 0;
	spool->refs = 1;
	spin_lock_init(&spool->lock);
	hugetlb_list_add(&spool->link, &hugetlb_subpools);
	*err = 0;
	return spool;
}

void hugepage_subpool_get(struct hugepage_subpool *spool)
{
	atomic_add(&spool->refs, 1);
}

void hugepage_subpool_put(struct hugepage_subpool *spool)
{
	if (!atomic_dec_and_test(&spool->refs))
		return;
	hugetlb_list_del(&spool->link);
	hugetlb_acct_memory(spool->h, -spool->reserved);
	kfree(spool);
}

s64 hugepage_subpool_free(const struct hugepage_subpool *spool)
{
	return spool && spool->max_pages >= 0 ? spool->max_pages - READ_ONCE(spool->used) : -1;
}

s64 hugepage_subpool_take(struct hugepage_subpool *spool, s64 delta)
{
	s64 from_min;

	if (!spool)
		return delta;
	spin_lock(&spool->lock);
	if (spool->max_pages >= 0 && spool->used + delta > spool->max_pages) {
		spin_unlock(&spool->lock);
		return -ENOMEM;
	}
	spool->used += delta;
	from_min = min(delta, spool->reserved);
	spool->reserved -= from_min;
	spin_unlock(&spool->lock);
	return delta - from_min;
}

s64 hugepage_subpool_return(struct hugepage_subpool *spool, s64 delta)
{
	s64 room = 0;

	if (!spool)
		return delta;
	spin_lock(&spool->lock);
	spool->used -= delta;
	if (spool->min_pages > spool->reserved + spool->used)
		room = min(spool->min_pages - spool->reserved - spool->used, delta);
	spool->reserved += room;
	spin_unlock(&spool->lock);
	return delta - room;
}

/* Promise `n` pages to a file of the subpool. */
static int promise(struct hugetlb_file *hf, s64 n)
{
	s64 from_pool = hugepage_subpool_take(hf->spool, n);
	int err;

	if (from_pool < 0)
		return -ENOMEM;
	err = hugetlb_acct_memory(hf->h, from_pool);
	if (err)
		hugepage_subpool_return(hf->spool, n);
	return err;
}

static void release_promise(struct hugetlb_file *hf, s64 n)
{
	hugetlb_acct_memory(hf->h, -hugepage_subpool_return(hf->spool, n));
}

/* ---- of a VMA --------------------------------------------------------------------------------- */

#define RESV_OWNER    1ul /* this process made the private mapping */
#define RESV_UNMAPPED 2ul /* its pages were taken away by the owner */
#define RESV_BITS     3ul

static struct resv_map *vma_resv(const struct vm_area_struct *vma)
{
	return (struct resv_map *)(vma->resv & ~RESV_BITS);
}

bool vma_owns_reserve(const struct vm_area_struct *vma)
{
	return vma->resv & RESV_OWNER;
}

void vma_set_unmapped(struct vm_area_struct *vma)
{
	WRITE_ONCE(vma->resv, vma->resv | RESV_UNMAPPED);
}

bool vma_is_unmapped(const struct vm_area_struct *vma)
{
	return READ_ONCE(vma->resv) & RESV_UNMAPPED;
}

static bool vma_is_shared(const struct vm_area_struct *vma)
{
	return vma->flags & VM_MAYSHARE;
}

/* A private mapping: all of it is promised to the process that makes it. */
static int reserve_private(struct vm_area_struct *vma, struct hugetlb_file *hf, u64 pages)
{
	struct resv_map *map = resv_map_alloc();
	int err;

	if (!map)
		return -ENOMEM;
	err = promise(hf, pages);
	if (err)
		resv_map_put(map);
	else
		vma->resv = (unsigned long)map | RESV_OWNER;
	return err;
}

/* A shared mapping: promise the pages that the file was not promised before. */
static int reserve_shared(struct hugetlb_file *hf, unsigned long from, unsigned long to)
{
	struct resv_map *map = hf->resv;
	struct room room;
	int err = room_get(&room, map);

	if (err)
		return err;
	mutex_lock(&resv_mutex);
	err = promise(hf, (s64)(to - from) - (s64)region_count(map, from, to));
	if (!err)
		region_add(map, from, to, &room);
	mutex_unlock(&resv_mutex);
	room_put(&room);
	return err;
}

int hugetlb_reserve_file(struct address_space *mapping, unsigned long from, unsigned long to)
{
	return reserve_shared(hugetlb_file(mapping), from, to);
}

int hugetlb_reserve_vma(struct vm_area_struct *vma)
{
	struct hugetlb_file *hf = hugetlb_file(vma->mapping);
	unsigned long from = vma_huge_index(vma, vma->vm_start);
	unsigned long to = from + (vma_pages(vma) >> hf->h->order);

	if (vma->flags & VM_NORESERVE)
		return 0;
	return vma_is_shared(vma) ? reserve_shared(hf, from, to)
				  : reserve_private(vma, hf, to - from);
}

void hugetlb_unreserve_vma(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct hugetlb_file *hf = hugetlb_file(vma->mapping);
	unsigned long from = vma_huge_index(vma, start), to = vma_huge_index(vma, end);

	if (!vma_owns_reserve(vma))
		return;
	mutex_lock(&resv_mutex);
	release_promise(hf, (s64)(to - from) - (s64)region_count(vma_resv(vma), from, to));
	mutex_unlock(&resv_mutex);
}

void hugetlb_vma_share_resv(struct vm_area_struct *high, const struct vm_area_struct *low)
{
	high->resv = low->resv;
	if (vma_resv(high))
		resv_map_get(vma_resv(high));
}

void hugetlb_vma_drop_resv(struct vm_area_struct *vma)
{
	if (vma_resv(vma))
		resv_map_put(vma_resv(vma));
	vma->resv = 0;
}

/* ---- a page for an address -------------------------------------------------------------------- */

/* The book that an index of the file, or of the VMA, is kept in. */
struct book {
	struct resv_map *map; /* NULL: none: a child, or private without a promise */
	bool shared;	      /* entries are promises, not used promises */
};

static struct book book_of(const struct hugetlb_file *hf, const struct vm_area_struct *vma)
{
	if (!vma || vma_is_shared(vma))
		return (struct book){hf->resv, true};
	return (struct book){vma_owns_reserve(vma) ? vma_resv(vma) : NULL, false};
}

/* resv_mutex held. */
static struct page *take_page(struct hugetlb_file *hf, const struct vm_area_struct *vma,
			      const struct book *b, unsigned long index, struct room *room)
{
	u32 nodes = ~0u;
	unsigned int nid = mempolicy_place(vma ? vma->policy : NULL, index, &nodes);
	bool there = b->map && region_count(b->map, index, index + 1);
	bool reserved = b->map && there == b->shared;
	s64 need = reserved ? 0 : hugepage_subpool_take(hf->spool, 1);
	struct page *head;

	if (need < 0)
		return NULL;
	/* need 0: the page is promised already, to the caller or by the mount's min_size. */
	head = hugetlb_take_page(hf->h, !need, nid, nodes);
	if (!head) {
		if (!reserved)
			hugepage_subpool_return(hf->spool, 1);
		return NULL;
	}
	if (hf->spool)
		hugepage_subpool_get(hf->spool); /* the page's */
	hugetlb_page_set_owner(head, hf->spool, reserved);
	if (b->map && !there)
		region_add(b->map, index, index + 1, room);
	return head;
}

static struct page *alloc_for(struct hugetlb_file *hf, struct vm_area_struct *vma,
			      unsigned long index, int *err)
{
	const struct book b = book_of(hf, vma);
	struct room room = {0};
	struct page *head;

	for (;;) {
		*err = b.map ? room_get(&room, b.map) : 0;
		if (*err)
			return NULL;
		mutex_lock(&resv_mutex);
		if (!b.map || room_fill_spare(&room, b.map))
			break;
		mutex_unlock(&resv_mutex);
		room_put(&room);
	}
	head = take_page(hf, vma, &b, index, &room);
	mutex_unlock(&resv_mutex);
	room_put(&room);
	*err = head ? 0 : -ENOSPC;
	return head;
}

/* The page was never used. Remove its entry in the map if it was made for this page. For a private owner that makes
 * the promise valid again; a shared file's entry is removed only if it was not promised before. */
static void undo_for(struct hugetlb_file *hf, struct vm_area_struct *vma, unsigned long index,
		     struct page *head)
{
	const struct book b = book_of(hf, vma);

	mutex_lock(&resv_mutex);
	if (b.map && hugetlb_page_restores(head) != b.shared)
		region_del(b.map, index, index + 1);
	mutex_unlock(&resv_mutex);
	put_page(head);
}

struct page *hugetlb_alloc_page(struct vm_area_struct *vma, unsigned long addr, int *err)
{
	return alloc_for(hugetlb_file(vma->mapping), vma, vma_huge_index(vma, addr), err);
}

void hugetlb_undo_alloc(struct vm_area_struct *vma, unsigned long addr, struct page *head)
{
	undo_for(hugetlb_file(vma->mapping), vma, vma_huge_index(vma, addr), head);
}

struct page *hugetlb_alloc_file_page(struct address_space *mapping, unsigned long index, int *err)
{
	return alloc_for(hugetlb_file(mapping), NULL, index, err);
}

void hugetlb_undo_alloc_file(struct address_space *mapping, unsigned long index, struct page *head)
{
	undo_for(hugetlb_file(mapping), NULL, index, head);
}

int hugetlb_unreserve_file(struct address_space *mapping, unsigned long start, unsigned long end,
			   u64 freed)
{
	struct hugetlb_file *hf = hugetlb_file(mapping);
	struct room room;
	s64 was;

	/* Without an upper end no region is cut in two, so no spare is needed. */
	if (end != ~0ul) {
		int err = room_get(&room, hf->resv);

		if (err)
			return err;
	}
	mutex_lock(&resv_mutex);
	if (end != ~0ul)
		room_fill_spare(&room, hf->resv);
	was = region_del(hf->resv, start, end);
	mutex_unlock(&resv_mutex);
	if (end != ~0ul)
		room_put(&room);
	release_promise(hf, was - (s64)freed);
	return 0;
}
