/*
 * A context of userfaultfd, for userfault*.c alone. userfault.c states its invariants and locks.
 */
#ifndef MM_USERFAULT_INTERNAL_H
#define MM_USERFAULT_INTERNAL_H
#include "mm/fault/userfault.h"

struct uffd_ctx {
	s32 refs;	      /* A: the file, VMAs, who waits */
	struct mm_struct *mm; /* uffd_lock: I2 */
	struct list_head all; /* uffd_lock */
	bool user_only;	      /* C */
	u32 features;	      /* A: UFFD_FEATURE_* */
	s32 changing;	      /* A: events that were caused and not read */
	bool released;	      /* lock */
	spinlock_t lock;
	struct list_head pending, delivered; /* lock: struct waiter */
	struct list_head events;	     /* lock: struct cause */
	u64 last_event;			     /* lock */
	struct wait_queue faulters, readers, causers;
};

/** Is there an event that nobody has read? */
bool uffd_event_pending(struct uffd_ctx *ctx);
#endif
