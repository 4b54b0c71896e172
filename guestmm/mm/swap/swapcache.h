/* Swap, the interface within mm/: areas, slots, the swap cache, and swap I/O. */
#ifndef MM_SWAPCACHE_H
#define MM_SWAPCACHE_H
#include "mm/phys/folio.h"
#include "mm/swap/swap.h"

#define MAX_SWAP_AREAS	 MMVM_AUDIT_MAX_SWAP
#define SWAP_TYPES	 (1u << MMVM_SWP_TYPE_BITS)
#define SWAP_TURN	 64u  /* slots from an area before its equals have their turn; as Linux */
#define SWAP_CLUSTER	 256u /* slots that are handed out in sequence */
#define SWAP_CLUSTER_MAX 32u  /* pages reclaim looks at in one go, and pages in one write */
#define SWAP_RA_ORDER	 4u
#define SWAP_RA_MAX	 (1u << SWAP_RA_ORDER) /* pages in one read */
#define SECTORS_PER_SLOT (PAGE_SIZE / 512)

/* A slot's byte: number of PTEs and shared-memory tree slots that hold its entry, and two flags. */
#define SWAP_MAP_COUNT	   0x3f
#define SWAP_MAP_MAX	   0x3e
#define SWAP_MAP_BAD	   0x3f /* header, or bad by mkswap's list: never used */
#define SWAP_MAP_HAS_CACHE 0x40 /* a page of the swap cache owns the slot, too */
#define SWAP_MAP_NO_DISK   0x80 /* the contents are not on the disk: in zswap, or all zero */

struct zswap_entry;
/** Slots [first, first + nr) of an area are contiguous on the disk, from `sector` on. */
struct swap_extent {
	u64 first, nr, sector;
};

/** A swap area. */
struct swap_info {
	spinlock_t lock;
	struct block_device *bdev; /* C; NULL = not in use */
	unsigned int type;	   /* C: index in swap_areas */
	int prio;		   /* C: higher is used first */
	bool writable;		   /* lock: slots may be handed out */
	u64 nr_slots;		   /* C: header included */
	u64 usable;		   /* lock: slots that may hold a page */
	struct swap_extent
		*extent;   /* C: by rising `first`; NULL: slot n is the n-th page of the disk */
	u32 nr_extents;	   /* C */
	void *file;	   /* C: whose file it is (fs/swap_calls.c), or NULL */
	char *name;	   /* C: path, or NULL: the disk's */
	u64 inuse;	   /* lock: slots whose byte is not 0, bad ones excepted */
	u8 *map;	   /* lock to change */
	u32 *cache;	   /* lock: per slot 0, frame + 1 of the cached page, or a shadow */
	u16 *cluster_free; /* lock: free slots of each cluster */
	u16 *memcg; /* lock: per slot the memory cgroup it is charged to, 0 = none; NULL: no groups */
	struct zswap_entry **zswap; /* lock, page lock: per slot, NULL = none; NULL: no zswap */
	bool has_records;	    /* lock: a slot that is freed is in one of these two */
	/* A bit per slot: writing to it failed. Such a slot becomes bad when nobody uses it any more. Set by
	 * interrupts (A). */
	u64 *failed;
	/* swapon_mutex to change: areas of the same priority that follow this one in swap_order, with
	 * itself. */
	u32 nr_equal;
	u32 nr_clusters; /* C */
	u64 cursor;	 /* lock: where the next slot is looked for */
	u64 *to_discard; /* lock: a bit per cluster that was freed; NULL: nothing is discarded */
};
extern struct swap_info swap_areas[SWAP_TYPES]; /* those from MAX_SWAP_AREAS on are never in use */
/** Areas that may give out slots, by falling priority, then NULL; changed by swapon and swapoff. */
extern struct swap_info *swap_order[MAX_SWAP_AREAS + 1];
/** Free and usable slots over all writable areas. */
extern s64 nr_swap_pages; /* A */
/** Slots in use whose write failed, in all areas. While it is 0, failed[] is not looked at. */
extern u32 swap_nr_failed; /* A */
extern u64 total_swap_pages;

static inline struct swap_info *swap_area(swp_entry_t e)
{
	return &swap_areas[swp_type(e) % SWAP_TYPES];
}
/** The sector of a slot on the area's disk. A slot outside of all extents is marked bad, and no caller asks for
 * it. */
u64 swap_extent_sector(const struct swap_info *si, u64 slot);
static inline u64 swap_sector(const struct swap_info *si, u64 slot)
{
	return likely(!si->extent) ? slot * SECTORS_PER_SLOT : swap_extent_sector(si, slot);
}
/** Has writing to the slot failed? Then its page stays in memory until it gets another slot. */
static inline bool swap_slot_failed(swp_entry_t e)
{
	return unlikely(READ_ONCE(swap_nr_failed)) &&
	       test_bit(swp_offset(e) % 64, &swap_area(e)->failed[swp_offset(e) / 64]);
}
/** A write to the slot of a page under writeback has failed. Interrupt context. */
void swap_slot_fail(swp_entry_t e);
/** PTEs that hold the entry. */
static inline unsigned int swap_users(swp_entry_t e)
{
	return READ_ONCE(swap_area(e)->map[swp_offset(e)]) & SWAP_MAP_COUNT;
}
/** How many of the `max` slots from this one on are contiguous on the disk; 0: this one lies in no extent. */
u64 swap_run_length(const struct swap_info *si, u64 slot, u64 max);

extern struct mutex swapon_mutex;
/* Discard (swap_discard.c) */
/** lock held: all slots of the cluster are free now, and to_discard is not NULL. */
void swap_discard_cluster(struct swap_info *si, u32 c);
/** All of a new area but its header. Errors are logged. swapon_mutex held. */
void swap_discard_area(const struct swap_info *si, struct block_device *bdev);
/** Discard the clusters that were freed. May sleep. */
void swap_discard_work(void);
/** The thread that does so. 0 or -ENOMEM. swapon_mutex held. */
int swap_discard_start(void);

/** Does only one PTE, and no swap entry, refer to this mapped anonymous page? Then a write needs
 * no copy. */
static inline bool anon_page_exclusive(const struct page *page)
{
	swp_entry_t e = {READ_ONCE(page->private_)};

	if (page_mapcount(page) != 1)
		return false;
	if (likely(!(READ_ONCE(page->flags) & (1ull << PG_swapcache | 1ull << PG_migrating |
					       1ull << PG_head | 1ull << PG_ksm))))
		return true;
	if (PageKsm(page))
		return false; /* KSM: the stable tree finds it by its contents, so it is never written */
	/* The head of a large folio, mapped by a PTE. */
	if (PageHead(page))
		return !folio_entire_mapcount((const struct folio *)page) && !PageMigrating(page);
	/* While the page moves, some of its PTEs are not counted. e.v = 0: no longer in the swap cache. */
	return !PageMigrating(page) && (!e.v || !swap_users(e));
}

/* Slots (swap_slots.c) */
/** A free slot, marked as owned by the cache. v = 0: swap is full. */
swp_entry_t swap_slot_alloc(void);
/** Does the entry name an area in use and one of its slots? */
bool swap_entry_valid(swp_entry_t e);
/** Drop a PTE's use of the slot. Returns the cached page with a reference if only the swap cache uses the slot now,
 * else NULL. */
struct page *swap_free_and_get_cached(swp_entry_t e);
/** Slots of all areas that may give some out have changed: total_swap_pages and the shared window. */
void swap_total_publish(void);
/** lock held: the slot's byte has become 0. */
void __swap_slot_freed(struct swap_info *si, u64 offset);

/* The swap cache (swap_cache.c). A cached page is SwapCache, private_ is its entry, and the cache
 * holds a reference. */
/** Cached page with a reference, or NULL. */
struct page *swap_cache_lookup(swp_entry_t e);
/** Give a locked anonymous page a slot and put it into the cache, dirty. False: swap is full. */
bool add_to_swap(struct page *page);
/** Cache a new page for a slot in use; the page becomes locked. *shadow: what eviction left there.
 * False: the slot is free, or cached already. */
bool swap_cache_insert_new(struct page *page, swp_entry_t e, u32 *shadow);
/** Take a locked page out of the cache. The caller holds a reference besides the cache's. */
void delete_from_swap_cache(struct page *page);
/** Locked page: give up its slot if no PTE needs it and no write is under way. */
bool try_to_free_swap(struct page *page);
/** The same for pages to which the caller holds a reference. Pages that others have locked are skipped. */
void free_swap_cache(struct page **pages, unsigned int nr);
/* Slots that only the cache holds (swap_stale.c) */
/** A page could not be freed with its slot, because it is locked or being written: have the thread free it later.
 * Any context. */
void swap_note_stale(void);
/** Free all pages of the cache that are not mapped and whose slot nobody uses; waits for I/O. The thread calls it;
 * tests may. */
void swap_stale_work(void);
/** The thread. swapon_mutex held. */
void swap_stale_start(void);
/** Locked, clean, unmapped page to which the cache and the caller hold the only references: remove it from the
 * cache; its reference count becomes 0. False: somebody else took a reference. */
bool swap_cache_evict(struct page *page);

/** zswap comes into use: every area gets its array. 0 or -ENOMEM. May sleep. swapon.c */
int swap_zswap_prepare(void);
/* Memory cgroups (swapon.c) */
/** Groups come into use: every area gets its record. 0 or -ENOMEM. May sleep. */
int swap_memcg_prepare(void);
/** The slot is charged to this group from now on. */
void swap_slot_set_memcg(swp_entry_t e, u16 id);
/** The group that the slot is charged to, with a reference, or NULL. */
struct mem_cgroup *swap_slot_memcg(swp_entry_t e);

/* I/O (swap_io.c) */
struct swap_write_batch {
	struct bio *bio; /* being filled */
};
/** Write a locked, unmapped, dirty swap-cache page; unlocks it. Neighbouring slots share a
 * request. */
void swap_write_page(struct swap_write_batch *b, struct page *page);
void swap_write_flush(struct swap_write_batch *b);
/** Writes under way, in pages. */
u64 swap_writes_in_flight(void);
/** Sleep until some write has completed or none is under way. */
void swap_wait_for_write(void);
/** Read `n` locked cached pages of neighbouring slots; completion unlocks them. */
void swap_read_pages(struct page **pages, unsigned int n);
void swap_io_init(void);

/* Reading (swap_readahead.c) */
/** Read the neighbours of a slot as well, or this one page only. */
enum swapin_how { SWAPIN_AROUND, SWAPIN_ALONE };
/** Cached page for the entry with a reference, read around it if missing; NULL: no memory, or the entry was freed.
 * The page may still be locked by the read. *major is set when a read was started. mm NULL: shared memory's. */
struct page *swapin_readahead(swp_entry_t e, struct mm_struct *mm, enum swapin_how how,
			      bool *major);
/** Swap in the page of one PTE without an access to it (fault.c). mmap_lock for reading. Returns 0 (done, or it
 * changed meanwhile), -ENOMEM or -EIO. */
int swap_in_pte(struct vm_area_struct *vma, unsigned long addr, pte_t *pte);
/** Pages to read for a miss [pure]: `hits` read-ahead pages were used since the last miss, `last`
 * window then, `near` = the slot is next to the last miss. 1..SWAP_RA_MAX. */
unsigned int swap_ra_window(unsigned int hits, unsigned int last, bool near);
/** Keep the slot of a page just read, so that it may be dropped without a write? [pure] */
bool swap_keep_slot(u64 free, u64 total);

/** Lines of swap use that change: shared window. */
static inline void swap_levels_publish(void)
{
	mmvm_shared->swap_free = atomic_load(&nr_swap_pages);
}
#endif
