/*
 * Frames by number: /proc/kpagecount, /proc/kpageflags, /proc/kpagecgroup. Each frame has 64 bits, at offset 8 times
 * its number.
 *
 * Source: Documentation/admin-guide/mm/pagemap.rst; bits of include/uapi/linux/kernel-page-flags.h and, for
 * RESERVED and MLOCKED, include/linux/kernel-page-flags.h. They are read without a lock, as in Linux.
 */
#include "fs/proc/proc.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/folio.h"
#include "mm/phys/page.h"
#include "mm/phys/zone.h"
#include "mm/rmap/rmap.h"

enum kpf {
	KPF_LOCKED = 0,
	KPF_ERROR = 1,
	KPF_REFERENCED = 2,
	KPF_UPTODATE = 3,
	KPF_DIRTY = 4,
	KPF_LRU = 5,
	KPF_ACTIVE = 6,
	KPF_SLAB = 7,
	KPF_WRITEBACK = 8,
	KPF_RECLAIM = 9,
	KPF_BUDDY = 10,
	KPF_MMAP = 11,
	KPF_ANON = 12,
	KPF_SWAPCACHE = 13,
	KPF_SWAPBACKED = 14,
	KPF_COMPOUND_HEAD = 15,
	KPF_COMPOUND_TAIL = 16,
	KPF_HUGE = 17,
	KPF_UNEVICTABLE = 18,
	KPF_NOPAGE = 20,
	KPF_KSM = 21,
	KPF_THP = 22,
	KPF_OFFLINE = 23,
	KPF_ZERO_PAGE = 24,
	KPF_PGTABLE = 26,
	KPF_RESERVED = 32,
	KPF_MLOCKED = 33,
};

static u64 bit(enum kpf k, bool on)
{
	return (u64)on << k;
}

/* As in Linux, the huge zero page has both flags. */
static u64 large_flags(const struct folio *folio)
{
	const enum mmvm_page_type type = folio->page.type;
	const bool zero = folio == READ_ONCE(thp_huge_zero);

	return bit(KPF_HUGE, type == PAGE_HUGETLB) |
	       bit(KPF_THP, type == PAGE_ANON || type == PAGE_SHMEM || zero) |
	       bit(KPF_ZERO_PAGE, zero);
}

/* Number of mappings of the frame, by itself and as a part of a large page. */
static int frame_maps(const struct page *page)
{
	const struct folio *folio = page_folio(page);

	if (page->type == PAGE_SLAB)
		return 0;
	if (folio->page.type == PAGE_HUGETLB)
		return hugetlb_mapcount(&folio->page);
	return page_mapcount(page) + folio_entire_mapcount(folio);
}

static u64 frame_flags(pfn_t pfn)
{
	const struct page *page;
	u64 flags;

	if (!pfn_valid(pfn))
		return 1ull << KPF_NOPAGE;
	page = pfn_to_page(pfn);
	if (PageTail(page))
		return bit(KPF_COMPOUND_TAIL, true) | large_flags(page_folio(page)) |
		       bit(KPF_MMAP, frame_maps(page) > 0);
	flags = page->flags;
	return bit(KPF_LOCKED, PageLocked(page)) | bit(KPF_ERROR, flags >> PG_error & 1) |
	       bit(KPF_REFERENCED, PageReferenced(page)) | bit(KPF_UPTODATE, PageUptodate(page)) |
	       bit(KPF_DIRTY, PageDirty(page)) | bit(KPF_LRU, PageLRU(page)) |
	       bit(KPF_ACTIVE, PageActive(page)) | bit(KPF_SLAB, page->type == PAGE_SLAB) |
	       bit(KPF_WRITEBACK, PageWriteback(page)) | bit(KPF_RECLAIM, flags >> PG_reclaim & 1) |
	       bit(KPF_BUDDY, page->type == PAGE_BUDDY) | bit(KPF_MMAP, frame_maps(page) > 0) |
	       bit(KPF_ANON, PageAnon(page)) | bit(KPF_SWAPCACHE, PageSwapCache(page)) |
	       bit(KPF_SWAPBACKED, flags >> PG_swapbacked & 1) |
	       bit(KPF_COMPOUND_HEAD, PageHead(page)) |
	       (PageHead(page) ? large_flags(page_folio(page)) : 0) |
	       bit(KPF_OFFLINE, page->type == PAGE_BALLOON) |
	       bit(KPF_UNEVICTABLE, PageUnevictable(page)) | bit(KPF_KSM, flags >> PG_ksm & 1) |
	       bit(KPF_ZERO_PAGE, page->type == PAGE_ZERO) |
	       bit(KPF_PGTABLE, page->type == PAGE_PGTABLE) |
	       bit(KPF_RESERVED, page->type == PAGE_RESERVED) | bit(KPF_MLOCKED, PageMlocked(page));
}

static u64 frame_mapcount(pfn_t pfn)
{
	int n = pfn_valid(pfn) ? frame_maps(pfn_to_page(pfn)) : 0;

	return n > 0 ? (u64)n : 0;
}

/* Frame after the last one that there is. */
static pfn_t end_of_frames(void)
{
	pfn_t end = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		end = max(end, zone_table[i]->start_pfn + zone_table[i]->spanned);
	return end;
}

static long read_frames(unsigned long buf, size_t len, u64 *pos, u64 (*value)(pfn_t pfn))
{
	const pfn_t end = end_of_frames();
	u64 chunk[64];
	long done = 0;

	if ((*pos | len) & 7)
		return -EINVAL;
	while (len && *pos / 8 < end) {
		const u64 first = *pos / 8;
		const u64 left = min(len / 8, end - first);
		const u32 n = min(left, ARRAY_SIZE(chunk));

		for (u32 i = 0; i < n; i++)
			chunk[i] = value(first + i);
		if (copy_to_user(buf + done, chunk, n * 8))
			return done ? done : -EFAULT;
		*pos += n * 8;
		len -= n * 8;
		done += n * 8;
		cond_resched();
	}
	return done;
}

long proc_read_kpageflags(struct file *f, unsigned long buf, size_t len, u64 *pos,
			  const struct proc_ctx *ctx)
{
	return read_frames(buf, len, pos, frame_flags);
}

long proc_read_kpagecount(struct file *f, unsigned long buf, size_t len, u64 *pos,
			  const struct proc_ctx *ctx)
{
	return read_frames(buf, len, pos, frame_mapcount);
}

/* As in Linux, 0 for the tail pages of a large page. */
static u64 frame_cgroup(pfn_t pfn)
{
	const struct page *page = pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;

	return page && !PageTail(page) ? mem_cgroup_frame_ino(page) : 0;
}

long proc_read_kpagecgroup(struct file *f, unsigned long buf, size_t len, u64 *pos,
			   const struct proc_ctx *ctx)
{
	return read_frames(buf, len, pos, frame_cgroup);
}
