/*
 * Two who clear entries of one address space at a time, under mmap_lock for reading or under a lock of a
 * file, and flush later than they give up the page_table_lock:
 *
 *   A: clears an entry
 *                          B: finds the entry empty, returns
 *                          B's caller still reads the page through the TLB
 *   A: flushes
 *
 * B has promised that nobody uses the old translation, so it must flush even though it has cleared
 * nothing. So whoever flushes late is counted:
 *
 *   inc, look at entries and clear some, nested: flush all, else flush what was cleared, dec
 *
 * B sees an entry that A has cleared only after A was counted; if A is not counted any more, it has
 * flushed. Whoever holds mmap_lock for writing, or flushes before it gives up the page_table_lock,
 * need not be counted.
 */
#ifndef MM_TLB_PENDING_H
#define MM_TLB_PENDING_H
#include "arch/static_key.h"
#include "mm/virt/mm_types.h"

/** Entries of `mm` were cleared, by an exchange, and a batch will flush them: CPUs that load it from now on do not use
 * the old ones. Returns those that may have it loaded, for tlb_batch_add(). */
static inline u32 tlb_changed(struct mm_struct *mm)
{
	if (static_key(KEY_PCID))
		(void)atomic_add_return(&mm->tlb_gen, 1);
	return READ_ONCE(mm->cpumask);
}

/** Before the first entry is looked at. Full barrier. */
static inline void inc_tlb_flush_pending(struct mm_struct *mm)
{
	(void)atomic_add_return(&mm->tlb_flush_pending, 1);
}

/** After the flush. Full barrier. */
static inline void dec_tlb_flush_pending(struct mm_struct *mm)
{
	(void)atomic_sub_return(&mm->tlb_flush_pending, 1);
}

/** For a thread that is not counted, after it has looked at its last entry. True: it must flush all of mm. */
static inline bool mm_tlb_flush_pending(const struct mm_struct *mm)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the entries were read before */
	return READ_ONCE(mm->tlb_flush_pending) > 0;
}

/** For a thread that is counted, after it has looked at its last entry. True: another one is counted, too, and it must
 * flush all of mm. */
static inline bool mm_tlb_flush_nested(const struct mm_struct *mm)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the entries were read before */
	return READ_ONCE(mm->tlb_flush_pending) > 1;
}
#endif
