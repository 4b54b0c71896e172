/*
 * Files of huge pages: an address_space whose tree holds heads of huge pages, by index in huge pages.
 *
 *   address_space ──private_──> hugetlb_file (size of its pages, promises, mutex)
 *        └── pages: index ─> head (PAGE_HUGETLB, mapping set, one reference of the file)
 *
 * A page of the file names it in page->mapping; a private copy names its anon_vma there (bit 0), or
 * nothing. Neither is on an LRU list: pages of hugetlb are not reclaimed.
 *
 * Anonymous memory with MAP_HUGETLB has a file, too, without a name: a hugetlb_object, held by the
 * VMAs that map it. A private mapping uses only its promises.
 *
 * Locks: the file's mutex around everything that adds or removes pages; address_space lock for the
 * tree.
 */
#include "arch/clear.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/highmem.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"

static const struct address_space_ops hugetlb_aops; /* nothing is ever read or written */

struct hugetlb_object {
	struct address_space mapping;
	s32 refs; /* A: VMAs */
	u64 ino;  /* C: for /proc/PID/maps */
};
static u64 next_ino = 1; /* A */

int hugetlb_file_init(struct address_space *mapping, struct hstate *h,
		      struct hugepage_subpool *spool)
{
	struct hugetlb_file *hf = kzalloc(sizeof(*hf), GFP_KERNEL_ACCOUNT);

	if (!hf)
		return -ENOMEM;
	hf->resv = resv_map_alloc();
	if (!hf->resv) {
		kfree(hf);
		return -ENOMEM;
	}
	hf->h = h;
	hf->spool = spool;
	if (spool)
		hugepage_subpool_get(spool);
	mutex_init(&hf->mutex);
	hf->mapping = mapping;
	mapping->private_ = hf;
	hugetlb_list_add(&hf->link, &hugetlb_files);
	mapping->ops = &hugetlb_aops;
	return 0;
}

struct page *hugetlb_find_page(struct address_space *mapping, unsigned long index)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	struct page *head = radix_lookup(&mapping->pages, index);

	if (head)
		get_page(head);
	spin_unlock_irqrestore(&mapping->lock, flags);
	return head;
}

int hugetlb_add_page(struct address_space *mapping, struct page *head, unsigned long index)
{
	struct radix_preload preload = {0};
	unsigned long flags;
	int err = radix_preload(&preload, &mapping->pages, index, GFP_KERNEL);

	if (err)
		return err;
	flags = spin_lock_irqsave(&mapping->lock);
	err = radix_insert(&mapping->pages, index, head, &preload);
	if (!err) {
		get_page(head);
		head->mapping = mapping;
		head->index = index;
		mapping->nrpages++;
		hugetlb_clear_restore(head);
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	radix_preload_end(&preload);
	return err;
}

/* Remove the pages of [start, end), none of which is mapped. Returns how many. The file's mutex is held. */
static u64 remove_pages(struct address_space *mapping, unsigned long start, unsigned long end)
{
	unsigned long at = start;
	u64 freed = 0;

	for (;;) {
		unsigned long flags = spin_lock_irqsave(&mapping->lock);
		struct page *head = radix_next(&mapping->pages, &at);

		if (head && at >= end)
			head = NULL;
		if (head) {
			radix_delete(&mapping->pages, at);
			mapping->nrpages--;
			head->mapping = NULL;
		}
		spin_unlock_irqrestore(&mapping->lock, flags);
		if (!head)
			return freed;
		put_page(head);
		freed++;
		at++;
		cond_resched();
	}
}

static void unmap_pages(struct address_space *mapping, unsigned long start, unsigned long end,
			enum unmap_copies copies)
{
	unsigned int order = hugetlb_file(mapping)->h->order;

	unmap_mapping_range(mapping, start << order, end == ~0ul ? ~0ul : end << order, copies);
}

void hugetlb_truncate(struct address_space *mapping, unsigned long start)
{
	struct hugetlb_file *hf = hugetlb_file(mapping);

	mutex_lock(&hf->mutex);
	unmap_pages(mapping, start, ~0ul, UNMAP_COPIES);
	hugetlb_unreserve_file(mapping, start, ~0ul, remove_pages(mapping, start, ~0ul));
	mutex_unlock(&hf->mutex);
}

static u64 pages_in(struct address_space *mapping, unsigned long start, unsigned long end)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	u64 n = 0;

	for (unsigned long at = start; radix_next(&mapping->pages, &at) && at < end; at++)
		n++;
	spin_unlock_irqrestore(&mapping->lock, flags);
	return n;
}

int hugetlb_punch_hole(struct address_space *mapping, unsigned long start, unsigned long end)
{
	struct hugetlb_file *hf = hugetlb_file(mapping);
	int err;

	mutex_lock(&hf->mutex);
	/* The promises first, because only this step can fail. The promises that pages in memory use are returned
	 * when those pages are freed. */
	err = hugetlb_unreserve_file(mapping, start, end, pages_in(mapping, start, end));
	if (!err) {
		unmap_pages(mapping, start, end, LEAVE_COPIES);
		remove_pages(mapping, start, end);
	}
	mutex_unlock(&hf->mutex);
	return err;
}

/* Zero bytes [from, to), which lie within one page, if that page is in memory. The file's mutex is held. */
static void zero_part(struct address_space *mapping, u64 from, u64 to)
{
	u64 size = hstate_size(hugetlb_file(mapping)->h);
	struct page *head = from < to ? hugetlb_find_page(mapping, from / size) : NULL;

	if (!head)
		return;
	for (u64 n; from < to; from += n) {
		const u64 at = from & (size - 1), offset = at & ~PAGE_MASK;

		n = min(to - from, PAGE_SIZE - offset);
		memzero_page(head + (at >> PAGE_SHIFT), offset, n);
	}
	put_page(head);
}

int hugetlb_punch_hole_bytes(struct address_space *mapping, u64 start, u64 end)
{
	struct hugetlb_file *hf = hugetlb_file(mapping);
	u64 size = hstate_size(hf->h);
	u64 first = ALIGN_UP(start, size), last = ALIGN_DOWN(end, size);
	int err = first < last ? hugetlb_punch_hole(mapping, first / size, last / size) : 0;

	if (err)
		return err;
	mutex_lock(&hf->mutex);
	if (first > last) { /* within one page */
		zero_part(mapping, start, end);
	} else {
		zero_part(mapping, start, first);
		zero_part(mapping, last, end);
	}
	mutex_unlock(&hf->mutex);
	return 0;
}

int hugetlb_fallocate(struct address_space *mapping, unsigned long start, unsigned long end)
{
	struct hugetlb_file *hf = hugetlb_file(mapping);
	int err = 0;

	for (unsigned long at = start; at < end && !err; at++) {
		struct page *head;

		if (current_thread_info()->flags & TIF_KILLED)
			return -EINTR;
		mutex_lock(&hf->mutex);
		head = hugetlb_find_page(mapping, at);
		if (!head) {
			head = hugetlb_alloc_file_page(mapping, at, &err);
			if (head) {
				hugetlb_clear_page(head);
				err = hugetlb_add_page(mapping, head, at);
				if (err) {
					hugetlb_undo_alloc_file(mapping, at, head);
					head = NULL;
				}
			}
		}
		if (head)
			put_page(head);
		mutex_unlock(&hf->mutex);
		cond_resched();
	}
	return err;
}

void hugetlb_file_destroy(struct address_space *mapping)
{
	struct hugetlb_file *hf = hugetlb_file(mapping);

	if (!hf)
		return;
	hugetlb_unreserve_file(mapping, 0, ~0ul, remove_pages(mapping, 0, ~0ul));
	hugetlb_list_del(&hf->link);
	resv_map_put(hf->resv);
	if (hf->spool)
		hugepage_subpool_put(hf->spool);
	kfree(hf);
	mapping->private_ = NULL;
}

/* Pages that one request clears or copies. */
static unsigned long step(const struct page *head)
{
	return min(1ul << head->order, PMD_SIZE / PAGE_SIZE);
}

void hugetlb_clear_page(struct page *head)
{
	for (unsigned long i = 0; i < 1ul << head->order; i += step(head)) {
		clear_highpages(head + i, step(head));
		cond_resched();
	}
}

void hugetlb_copy_page(struct page *to, const struct page *from)
{
	for (unsigned long i = 0; i < 1ul << to->order; i += step(to)) {
		copy_highpages(to + i, from + i, step(to));
		cond_resched();
	}
}

/* ---- without a name --------------------------------------------------------------------------- */

static struct hugetlb_object *to_object(struct address_space *mapping)
{
	return container_of(mapping, struct hugetlb_object, mapping);
}

int hugetlb_object_create(struct hstate *h, u64 size, struct address_space **mapping)
{
	struct hugetlb_object *o = kzalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	int err;

	if (!o)
		return -ENOMEM;
	address_space_init(&o->mapping, NULL, &hugetlb_aops, AS_HUGETLB | AS_OBJECT);
	err = hugetlb_file_init(&o->mapping, h, NULL);
	if (err) {
		kfree(o);
		return err;
	}
	o->mapping.size = size;
	o->refs = 1;
	o->ino = atomic_add_return(&next_ino, 1ull);
	*mapping = &o->mapping;
	return 0;
}

void hugetlb_object_get(struct address_space *mapping)
{
	atomic_add(&to_object(mapping)->refs, 1);
}

void hugetlb_object_put(struct address_space *mapping)
{
	struct hugetlb_object *o = to_object(mapping);

	if (!atomic_dec_and_test(&o->refs))
		return;
	hugetlb_file_destroy(mapping);
	kfree(o);
}

u64 hugetlb_object_ino(struct address_space *mapping)
{
	return to_object(mapping)->ino;
}
