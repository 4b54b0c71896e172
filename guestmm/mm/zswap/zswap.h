/*
 * zswap: pages that are swapped out are compressed and kept in memory; only those for which the pool has no room
 * are written to the disk.
 *
 *   zswap.c             store, load, forget       lib/lz4.h       the compression
 *   zswap_writeback.c   the coldest to the disk   zs_pool.h       where the objects lie
 *   zswap_param.c       switches and limits
 *
 * A slot whose contents are in the pool has SWAP_MAP_NO_DISK in its byte and an entry in
 * swap_info.zswap[]. Everything else about the slot is as without zswap.
 *
 * Locks: page lock > swap_info->lock > zswap_lru_lock, zs_lock. A slot's entry is made, read and removed only by a
 * thread that has the slot's page in the swap cache and locked. It is also removed when the slot is freed, which is
 * impossible while a page is cached for it.
 */
#ifndef MM_ZSWAP_H
#define MM_ZSWAP_H
#include "lib/format.h"
#include "mm/swap/swapcache.h"
#include "mm/zswap/zs_pool.h"

/** The compressed page of a slot. */
struct zswap_entry {
	swp_entry_t e;	      /* C */
	struct list_head lru; /* zswap_lru_lock: coldest last; not of same-filled pages */
	union {
		struct zs_ref ref;
		u64 value; /* C: length 0: the eight bytes that the page is filled with */
	};
	u16 length;	 /* C: bytes in the pool */
	u16 memcg;	 /* C: id of the group it is charged to, with a reference; 0: none */
	bool referenced; /* zswap_lru_lock: writeback has not passed it yet */
};

/* Counts since boot, as in Linux's debugfs. stored and same_filled go up and down. All A. */
#define ZSWAP_COUNTS(X)          \
	X(stored_pages)          \
	X(same_filled_pages)     \
	X(pool_limit_hit)        \
	X(written_back_pages)    \
	X(reject_reclaim_fail)   \
	X(reject_alloc_fail)     \
	X(reject_kmemcache_fail) \
	X(reject_compress_poor)  \
	X(decompress_fail)
#define X(name) u64 name;
struct zswap_counts {
	ZSWAP_COUNTS(X)
};
#undef X
extern struct zswap_counts zswap_counts;

/* ---- switches (zswap_param.c) ---- */
extern bool zswap_enabled;	    /* new pages are taken */
extern bool zswap_shrinker_enabled; /* reclaim may write the coldest to the disk */
extern unsigned int zswap_max_pool_percent, zswap_accept_threshold_percent;
/** Read zswap.NAME=VALUE from the command line; `get` finds an option. Early boot. */
void zswap_boot_options(const char *cmdline,
			bool (*get)(const char *cmdline, const char *name, char *buf, size_t size));
/** Put the options into effect. Called once, from a thread, when the allocators work. */
void zswap_init(void);
/** 0, -EINVAL (no boolean: y, n, 1, 0, on, off), -ENOMEM. May sleep. */
int zswap_set_enabled(const char *text);
/** zswap has been enabled once, so swap areas have their arrays. */
extern bool zswap_prepared;

/* ---- pages (zswap.c) ---- */
/** Store a locked, unmapped swap-cache page that has no entry. True: it is clean now. False: the caller has to
 * write it to the disk. */
bool zswap_store(struct page *page);
/** Fill a new, locked page of the swap cache. 0: the page is dirty now, and the entry was freed. -ENOENT: its slot
 * has no entry. -EIO: the compressed data are damaged. */
int zswap_load(struct page *page);
/** Free the slot's entry: its contents are not needed any more. si->lock held. */
void zswap_forget(struct swap_info *si, u64 offset);
/** A new swap area, before it is used: 0 or -ENOMEM. May sleep. */
int zswap_area_prepare(struct swap_info *si);
/** The same for the areas in use, swapon_mutex held. */
int zswap_prepare(void);
/** Does the page repeat one value of eight bytes? [pure] */
bool zswap_same_filled(const void *page, u64 *value);
/** May the pool grow? After it was full, only once it is below the accept threshold. */
bool zswap_has_room(void);
/** The pool's limit, and the size below which it takes pages again, in pages. */
u64 zswap_limit(void);
u64 zswap_accept_limit(void);
static inline bool zswap_in_pool(const struct swap_info *si, u64 offset)
{
	return si->zswap && READ_ONCE(si->zswap[offset]);
}

/* ---- to the disk (zswap_writeback.c) ---- */
extern spinlock_t zswap_lru_lock;
void zswap_lru_add(struct zswap_entry *entry);
void zswap_lru_del(struct zswap_entry *entry);
/** Write up to `nr` of the coldest pages. Returns how many. May sleep. */
u64 zswap_writeback(u64 nr);
/** The pool is full: wake the thread, which writes pages until the pool accepts pages again. Any context. */
void zswap_wake_writeback(void);
/** Start the thread and register the shrinkers. 0 or -ENOMEM. */
int zswap_writeback_init(void);
/** All slots of the area are free and it is about to be removed: wait until no writeback uses it. */
void zswap_wait_writeback(void);
#endif
