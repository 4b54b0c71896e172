/*
 * Frames that may not be used any more: because their contents are lost, or because they are about to be.
 */
#ifndef MM_MEMORY_FAILURE_H
#define MM_MEMORY_FAILURE_H
#include "mm/phys/page.h"

struct mm_struct;

/** Pages of type hwpoison, as HardwareCorrupted of /proc/meminfo shows them. A. */
extern s64 num_poisoned_pages;

/** The contents of the page are lost: who touches it gets SIGBUS, the frame is never used again. A clean page of a file
 * is read again; a dirty one is lost, and fsync reports -EIO. Takes over the caller's reference. 0, or -EBUSY: a page of
 * another kind, or one that somebody holds; it is as before. Sleeps. */
int memory_failure(struct page *page);
/** The page moves to another frame, and its own is never used again. The same, and nobody notices. */
int soft_offline_page(struct page *page);
/** The caller's is the only reference of the frame, which is in no list and no cache: it is nobody's from now on. */
void page_withdraw(struct page *page);

/** madvise(MADV_HWPOISON), and MADV_SOFT_OFFLINE with `soft`: each page of [start, end), faulted in if need be. 0,
 * -EFAULT (nothing is mapped), -EBUSY, -EIO. */
enum inject_kind { INJECT_HWPOISON, INJECT_SOFT_OFFLINE };
int madvise_inject_error(struct mm_struct *mm, unsigned long start, unsigned long end,
			 enum inject_kind kind);
#endif
