/*
 * Faults that a program answers: the memory manager's half of userfaultfd(2). What is a file there is in
 * fs/event/userfaultfd.c.
 */
#ifndef MM_USERFAULT_H
#define MM_USERFAULT_H
#include "mm/virt/fault.h"

struct uffd_ctx;

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

/** A context for an address space, with one reference; NULL: no memory. `user_only`: faults of the kernel
 * are not answered, and fail. */
struct uffd_ctx *uffd_create(struct mm_struct *mm, bool user_only);
void uffd_put(struct uffd_ctx *ctx);
/** The file is closed: its areas are as others, and everybody who waits looks again. May sleep. */
void uffd_release(struct uffd_ctx *ctx);
/** From now on who touches what is missing gets SIGBUS instead of waiting. */
void uffd_set_sigbus(struct uffd_ctx *ctx);
/** The next fault that nobody has been told of. False: there is none. */
bool uffd_take(struct uffd_ctx *ctx, struct uffd_fault *out);
bool uffd_has_pending(struct uffd_ctx *ctx);
/** Faults that wait: not told of, and in all. */
void uffd_count(struct uffd_ctx *ctx, u64 *pending, u64 *total);
/** Woken when there is a fault to be told of. */
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
/** Answer: put a page with these contents (NULL: zeroes) at addr; the whole answer ends at `end`. UFFD_FILL_WP: and
 * ask before it is written. 0; -EEXIST: a page is there; -ENOENT: not registered up to `end`; -EINVAL: registered
 * without UFFD_MODE_WP; -ENOMEM; -EFAULT. */
enum uffd_fill { UFFD_FILL, UFFD_FILL_WP };
int uffd_fill(struct uffd_ctx *ctx, unsigned long addr, unsigned long end, const void *contents,
	      enum uffd_fill how);
/** Ask before what is there of [start, end) is written (true), or no longer. What is not there is not protected. 0,
 * -ENOENT: it is not of one VMA registered with UFFD_MODE_WP. */
int uffd_writeprotect(struct uffd_ctx *ctx, unsigned long start, unsigned long end, bool protect);
/** Answer a minor fault: map the page that the file has. The same, and -EFAULT: it has none. */
int uffd_continue(struct uffd_ctx *ctx, unsigned long addr, unsigned long end);

/* ---- the hooks ---- */
/** Nothing is mapped at vmf->addr, in a VMA with VM_UFFD. 0: an ordinary fault. VM_FAULT_USERFAULT: one to
 * be answered; vmf->uffd has a reference. VM_FAULT_SIGBUS. */
unsigned int userfault_check(struct vm_fault *vmf);
/** A write to what UFFD_MODE_WP protects: the same. */
unsigned int userfault_check_wp(struct vm_fault *vmf);
/** Without mmap_lock: wait for the answer. 0: look again; VM_FAULT_SIGBUS: the kernel's access fails. */
unsigned int userfault_wait(struct vm_fault *vmf, unsigned int ret);
/** `high` has been split off `low`. */
void uffd_vma_share(struct vm_area_struct *high, const struct vm_area_struct *low);
/** A VMA with VM_UFFD is being unmapped. */
void uffd_vma_drop(struct vm_area_struct *vma);
/** The address space is being torn down. */
void uffd_mm_gone(struct mm_struct *mm);
/** Contexts there are (A). */
extern s32 nr_uffd;
/** May who has no CAP_SYS_PTRACE answer faults of the kernel? */
extern int sysctl_unprivileged_userfaultfd;
#endif
