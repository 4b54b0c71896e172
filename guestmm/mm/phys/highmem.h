/*
 * High memory: RAM that is not in the direct map (`highmem=SIZE`). Names and meaning as in Linux's highmem.h, for a
 * machine that would not need it.
 *
 *   low memory      page_address() is where it is, always
 *   high memory     has no address; kmap_local_page() lends one to the thread that asks
 *
 * Only pages of programs and of their files are high (__GFP_HIGHMEM), and vmalloc's. So whoever looks into such a page
 * uses what is declared here. For low pages this is page_address(), and a no-op while there is no high memory.
 */
#ifndef MM_HIGHMEM_H
#define MM_HIGHMEM_H
#include "arch/clear.h"
#include "arch/uaccess.h"
#include "lib/env.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/phys/page.h"

/** The struct pages of high memory, as addresses. C after highmem_init(). */
extern unsigned long highmem_map, highmem_map_bytes;
/** Where high memory begins; 0: there is none. C after highmem_reserve(). */
extern phys_addr_t highmem_start;

/** Is the page out of the direct map? */
static inline bool page_is_high(const struct page *page)
{
	return static_key(KEY_HIGHMEM) && (unsigned long)page - highmem_map < highmem_map_bytes;
}

/** Before the direct map is made: keep `option` bytes (a size) at the end of RAM out of it. On failure there is no
 * high memory, and `why` says so; otherwise `why` is empty. Takes effect with KEY_HIGHMEM. */
void highmem_reserve(const char *option, char *why, size_t why_size);
/** When there are struct pages, before the zones. */
void highmem_init(void);

/* kmap.c */
void *kmap_high(const struct page *page);
void kunmap_high(const void *addr);

/**
 * An address for the page's contents, for this thread, until kunmap_local(): those nest, last first. The thread may
 * sleep and change CPUs meanwhile. At most KMAP_SLOTS at a time. Also from interrupts.
 */
static inline void *kmap_local_page(const struct page *page)
{
	return unlikely(page_is_high(page)) ? kmap_high(page) : page_address(page);
}
/** `addr`: anywhere in the page. */
static inline void kunmap_local(const void *addr)
{
	if (static_key(KEY_HIGHMEM))
		kunmap_high(addr);
}

static inline void clear_highpage(struct page *page)
{
	void *p = kmap_local_page(page);

	clear_page(p);
	kunmap_local(p);
}

static inline void copy_highpage(struct page *to, const struct page *from)
{
	void *dst = kmap_local_page(to), *src = kmap_local_page(from);

	copy_page(dst, src);
	kunmap_local(src);
	kunmap_local(dst);
}

/** Bytes [offset, offset + len) of one page. */
static inline void memcpy_from_page(void *to, const struct page *page, size_t offset, size_t len)
{
	const char *p = kmap_local_page(page);

	memcpy(to, p + offset, len);
	kunmap_local(p);
}

static inline void memcpy_to_page(struct page *page, size_t offset, const void *from, size_t len)
{
	char *p = kmap_local_page(page);

	memcpy(p + offset, from, len);
	kunmap_local(p);
}

/** copy_to_user() from one page: the number of bytes that were not copied. May sleep. */
static inline size_t copy_page_to_user(unsigned long to, const struct page *page, size_t offset,
				       size_t len)
{
	const char *p = kmap_local_page(page);
	size_t left = copy_to_user(to, p + offset, len);

	kunmap_local(p);
	return left;
}

static inline void memzero_page(struct page *page, size_t offset, size_t len)
{
	char *p = kmap_local_page(page);

	memset(p + offset, 0, len);
	kunmap_local(p);
}

/** Are the bytes [offset, offset + len) of one page, whole words, all zero? */
static inline bool page_range_is_zero(const struct page *page, size_t offset, size_t len)
{
	const char *p = kmap_local_page(page);
	const u64 *word = (const u64 *)(p + offset);
	size_t i = 0;

	while (i < len / sizeof(*word) && !word[i])
		i++;
	kunmap_local(p);
	return i == len / sizeof(*word);
}

/** Pages of high memory that the allocator manages, and those that are free. A zone is high as a whole or not at all, but
 * for ZONE_MOVABLE where it begins below high memory: it counts as low then. */
u64 highmem_pages(void);
u64 highmem_free_pages(void);

/** `nr` pages whose frames lie behind each other, at most 2 MiB. */
void clear_highpages(struct page *page, unsigned long nr);
void copy_highpages(struct page *to, const struct page *from, unsigned long nr);

/* Threads' windows (kmap.c) */
#define KMAP_SLOTS 16
struct thread_info;
/** Before the zones: the window of the thread that runs. */
void kmap_init(void);
/** The window of a new thread, whose stack `ti` is vmalloc's. 0 or -ENOMEM. May sleep. Nothing to undo. */
int kmap_thread_init(struct thread_info *ti);
/** The window of the thread that a CPU starts with, whose stack is not vmalloc's. */
void kmap_boot_thread_init(struct thread_info *ti, unsigned int cpu);
/** A CPU switches to the thread. Interrupts off. */
void kmap_switch_to(struct thread_info *ti);

struct mmvm_audit_kvirt;
void kmap_audit_layout(struct mmvm_audit_kvirt *l);
#endif
