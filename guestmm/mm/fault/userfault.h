/*
 * Faults that a program answers: the memory manager's half of userfaultfd(2). What is a file there is in
 * fs/event/userfaultfd.c.
 */
#ifndef MM_USERFAULT_H
#define MM_USERFAULT_H
#include "mm/fault/fault.h"

struct uffd_ctx;
struct uffd_change;
struct uffd_fork;

/* Features of a context: Linux's bits of UFFDIO_API. */
#define UFFD_FEATURE_EVENT_FORK	    (1u << 1)
#define UFFD_FEATURE_EVENT_REMAP    (1u << 2)
#define UFFD_FEATURE_EVENT_REMOVE   (1u << 3)
#define UFFD_FEATURE_EVENT_UNMAP    (1u << 6)
#define UFFD_FEATURE_SIGBUS	    (1u << 7)
#define UFFD_FEATURE_WP_UNPOPULATED (1u << 13)

#define UFFD_MODE_MISSING 1u /* nothing is there yet */
#define UFFD_MODE_WP	  2u /* it is protected against writing */
#define UFFD_MODE_MINOR	  4u /* the file has the page, the mapping does not */
#define UFFD_FLAG_WRITE	  1u /* of a message */
#define UFFD_FLAG_WP	  2u
#define UFFD_FLAG_MINOR	  4u

/** What a reader learns of a fault. */
struct uffd_fault {
	u64 addr; /* page aligned */
	u32 flags;
};

/** A context for an address space, with one reference; NULL: no memory. UFFD_USER_FAULTS: faults of the kernel
 * are not answered, and fail. */
enum uffd_faults { UFFD_ALL_FAULTS, UFFD_USER_FAULTS };
struct uffd_ctx *uffd_create(struct mm_struct *mm, enum uffd_faults whose);
void uffd_put(struct uffd_ctx *ctx);
/** The file is closed: its areas are as others, and everybody who waits looks again. May sleep. */
void uffd_release(struct uffd_ctx *ctx);
/** What the context was asked for, once. UFFD_FEATURE_SIGBUS: who touches what is missing gets SIGBUS instead of
 * waiting. UFFD_FEATURE_EVENT_*: who does such a thing waits until it was read of. */
void uffd_set_features(struct uffd_ctx *ctx, u32 features);
/** The next fault that nobody has been told of. False: there is none. */
bool uffd_take(struct uffd_ctx *ctx, struct uffd_fault *out);
/** Is there a fault or an event to be read of? */
bool uffd_has_pending(struct uffd_ctx *ctx);
/** Faults that wait: not told of, and in all. */
void uffd_count(struct uffd_ctx *ctx, u64 *pending, u64 *total);

/* ---- events: what happened to the areas of a context (userfault_event.c) ---- */
/** Numbers of Linux's messages. */
#define UFFD_EVENT_FORK	  0x13
#define UFFD_EVENT_REMAP  0x14
#define UFFD_EVENT_REMOVE 0x15
#define UFFD_EVENT_UNMAP  0x16
struct uffd_event {
	u32 event;
	u64 arg[3];		/* REMAP: from, to, length; REMOVE, UNMAP: start, end */
	struct uffd_ctx *child; /* FORK: the copy's context, with a reference for its file */
	u64 id;			/* FORK: for uffd_fork_read() */
};
/** The next event that nobody has read. Who caused it goes on, except with FORK. False: there is none. */
bool uffd_take_event(struct uffd_ctx *ctx, struct uffd_event *out);
/** FORK: the reader has a file for the child, or (UFFD_FORK_AGAIN) could not make one: the event is read again. */
enum uffd_fork_result { UFFD_FORK_DONE, UFFD_FORK_AGAIN };
void uffd_fork_read(struct uffd_ctx *ctx, u64 id, enum uffd_fork_result how);
/** An event was caused and not read yet: what is asked of the areas now is -EAGAIN. */
bool uffd_changing(const struct uffd_ctx *ctx);

/** Woken when there is a fault or an event to be read of. */
struct wait_queue *uffd_readers(struct uffd_ctx *ctx);

/* [start, end), page aligned, in user space. All may sleep. -ESRCH: the address space is gone. */
/** Register areas: modes UFFD_MODE_*. -EINVAL: nothing mapped, or of a kind that cannot be; -EPERM: never
 * writable; -EBUSY: another context has it; -ENOMEM. */
int uffd_register(struct uffd_ctx *ctx, unsigned long start, unsigned long end, u32 modes);
int uffd_unregister(struct uffd_ctx *ctx, unsigned long start, unsigned long end);
/** Who waits for a page there looks again. */
void uffd_wake(struct uffd_ctx *ctx, unsigned long start, unsigned long end);
/** Is [addr, end) of one registered VMA? 0, -ENOENT, -ESRCH. */
int uffd_may_fill(struct uffd_ctx *ctx, unsigned long addr, unsigned long end);
/** Answer a fault at addr; the whole answer ends at `end`. 0; -EEXIST: a page is there; -ENOENT: not registered up to
 * `end`; -EINVAL: the area cannot have this answer; -ENOMEM; -EFAULT: the file ends before addr, or has no page. */
enum uffd_fill {
	UFFD_FILL,	  /* with a page of these contents (NULL: zeroes) */
	UFFD_FILL_WP,	  /* the same, and ask before it is written; for UFFD_MODE_WP */
	UFFD_MAP_PRESENT, /* a minor fault: map the page that the file has; contents is NULL */
	UFFD_POISON, /* with nothing: who touches it gets SIGBUS, as if the page were lost; contents is NULL */
};
int uffd_fill(struct uffd_ctx *ctx, unsigned long addr, unsigned long end, const void *contents,
	      enum uffd_fill how);
/** UFFD_PROTECT: ask before [start, end) is written. UFFD_UNPROTECT: no longer. Private memory that is not there is
 * protected with UFFD_FEATURE_WP_UNPOPULATED only. 0, -ENOENT: it is not of one VMA registered with UFFD_MODE_WP;
 * -ENOMEM: a part may be done. */
enum uffd_wp { UFFD_PROTECT, UFFD_UNPROTECT };
int uffd_writeprotect(struct uffd_ctx *ctx, unsigned long start, unsigned long end,
		      enum uffd_wp wp);

/* For userfault_fill.c. */
/** The address space, with a reference, or NULL: it has ended. */
struct mm_struct *uffd_get_mm(struct uffd_ctx *ctx);
/** mmap_lock held: the VMA to answer in, or NULL: not registered up to `end`. */
struct vm_area_struct *uffd_find_registered(struct mm_struct *mm, unsigned long addr,
					    unsigned long end);
bool uffd_is_shmem(const struct vm_area_struct *vma);

/* ---- the hooks ---- */
/** Nothing is mapped at vmf->addr, in a VMA with VM_UFFD. 0: an ordinary fault. VM_FAULT_USERFAULT: one to
 * be answered; vmf->uffd has a reference. VM_FAULT_SIGBUS. */
unsigned int userfault_check(struct vm_fault *vmf);
/** A write to what UFFD_MODE_WP protects: the same. */
unsigned int userfault_check_wp(struct vm_fault *vmf);
/** vmf->orig is uffd_wp_marker(): a question, or what is missing is mapped, protected. VM_FAULT_* bits; 0: look again
 * if it was a write. */
unsigned int userfault_marker(struct vm_fault *vmf);
/** Without mmap_lock: wait for the answer. 0: look again; VM_FAULT_SIGBUS: the kernel's access fails. */
unsigned int userfault_wait(struct vm_fault *vmf, unsigned int ret);
/** `high` has been split off `low`. */
void uffd_vma_share(struct vm_area_struct *high, const struct vm_area_struct *low);
/** A VMA with VM_UFFD is being unmapped. */
void uffd_vma_drop(struct vm_area_struct *vma);
/** The address space is being torn down. */
void uffd_mm_gone(struct mm_struct *mm);

/** fork(2): `child` is the copy of `old`, a VMA with VM_UFFD. Registers it with a context of its own where the old one
 * has UFFD_FEATURE_EVENT_FORK. *forks: those of this fork. 0 or -ENOMEM. */
int uffd_vma_fork(struct vm_area_struct *child, const struct vm_area_struct *old,
		  struct uffd_fork **forks);
/** The copy is whole, without locks: wait until each context's reader has the child's. */
void uffd_fork_complete(struct uffd_fork *forks);
/** It failed, and its address space is gone. */
void uffd_fork_abort(struct uffd_fork *forks);
/** mremap(2): the context that the new place has, too, or NULL. */
struct uffd_ctx *uffd_follows(const struct vm_area_struct *vma);
/** mmap_lock held, and then without locks: `len` bytes were moved. */
void uffd_remap_begin(struct uffd_ctx *ctx);
void uffd_remap_complete(struct uffd_ctx *ctx, unsigned long from, unsigned long to,
			 unsigned long len);
/** mmap_lock for writing: [start, end) is about to be unmapped, `first` is the first VMA of it. 0 or -ENOMEM. */
int uffd_unmap_begin(struct mm_struct *mm, struct vm_area_struct *first, unsigned long start,
		     unsigned long end);
/** mmap_lock for writing: what uffd_unmap_begin() has noted since. */
static inline struct uffd_change *uffd_take_changes(struct mm_struct *mm)
{
	struct uffd_change *c = mm->uffd_changes;

	if (unlikely(c))
		mm->uffd_changes = NULL;
	return c;
}
/** Without locks: wait until they were read of. */
void uffd_unmap_complete(struct uffd_change *changes);
/** mmap_lock for reading: [start, end) of the VMA is about to be emptied. True: somebody waited to read of it, and
 * mmap_lock was dropped and taken again meanwhile. */
bool uffd_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end);
/** Contexts with UFFD_FEATURE_EVENT_UNMAP (A). */
extern s32 nr_uffd_unmap;
/** Contexts there are (A). */
extern s32 nr_uffd;
/** May who has no CAP_SYS_PTRACE answer faults of the kernel? */
extern int sysctl_unprivileged_userfaultfd;
#endif
