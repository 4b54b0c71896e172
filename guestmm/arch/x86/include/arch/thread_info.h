/*
 * The part of a thread that lies at the bottom of its kernel stack. The CPU's area points to that of the
 * thread it runs (current_ti), which masking the stack pointer finds too: entry.S does so where GS may
 * still be the program's.
 */
#ifndef ARCH_THREAD_INFO_H
#define ARCH_THREAD_INFO_H
#include <stdint.h>
#include "arch/percpu.h"

#define THREAD_SIZE \
	16384ul /* kernel stack, aligned to its size, with an unmapped guard page below */

struct mempolicy;
struct mm_struct;
struct rlimit;
struct task;

/*
 * What a thread has read and written: /proc/PID/io, with Linux's names and meanings. Only the thread itself writes
 * them; a reader in another thread may see a count that is a moment old.
 */
/* clang-format off */
#define IO_COUNTS(X) \
	X(rchar)       /* bytes that read(2) and its relatives returned, from wherever */ \
	X(wchar)       /* bytes that write(2) and its relatives took */ \
	X(syscr)       /* such calls */ \
	X(syscw) \
	X(read_bytes)  /* bytes that it had a disk read */ \
	X(write_bytes) /* bytes of pages that it made dirty and that a disk is to write */ \
	X(cancelled_write_bytes) /* of pages that it truncated while they were dirty */
/* clang-format on */

struct io_counts {
#define X(name) uint64_t name;
	IO_COUNTS(X)
#undef X
};

static inline void io_counts_add(struct io_counts *to, const struct io_counts *from)
{
#define X(name) to->name += from->name;
	IO_COUNTS(X)
#undef X
}

struct thread_info {
	struct task *task;
	struct mm_struct *mm; /* user address space, NULL for kernel threads */
	uint32_t cpu;
	int32_t preempt_count; /* > 0: no preemption */
	uint32_t need_resched;
	uint32_t flags; /* TIF_*: atomic; others set KILLED, OOM_VICTIM and SIGPENDING */
	uint64_t
		stack_magic; /* overwritten by a stack that grew too far: checked on every switch */
	const struct rlimit *limits; /* of the process: rlimit() */
	/* Where its memory comes from (mm/numa/mempolicy.h). Written by the thread itself. */
	struct mempolicy
		*mempolicy; /* mempolicy_lock to change, and for others to read; NULL: default */
	struct mempolicy *vma_policy; /* during a fault in a VMA that has one */
	unsigned long vma_index;      /* the page of that VMA that is asked for */
	uint32_t il_prev, il_weight;  /* where interleaving is */
	uint64_t dirty_paid_until; /* ns: its pages of files are paid for with pauses (mm/cache) */
	/* Its window onto high memory (mm/kvirt/kmap.c); kmap_pte NULL: it has none. Written by the thread itself. */
	unsigned long kmap_addr; /* C */
	void *kmap_pte;		 /* C: the first of KMAP_SLOTS entries */
	uint32_t kmap_depth;	 /* pages mapped */
	uint32_t kmap_cpu;	 /* where no entry of the TLB is older than the window's */
	struct io_counts io; /* bytes it has read and written; only the thread itself writes this */
};
#define TIF_MEMALLOC   (1u << 0) /* in reclaim: may use all reserves, must not enter reclaim */
#define TIF_KILLED     (1u << 1) /* SIGKILL pending: waits and allocations may fail early */
#define TIF_OOM_VICTIM (1u << 2) /* may use all reserves */
#define TIF_SIGPENDING (1u << 3) /* look at the signals before user mode; interruptible waits end */
#define TIF_REGS_CALL  (1u << 4) /* a system call that needs all registers waits to be made */
#define TIF_MIGRATE    (1u << 6) /* may be on a CPU that it is not to run on: sched_migrate_self() */
#define TIF_FILES      (1u << 5) /* close files before the return to user mode */
#define TIF_MEMCG_HIGH (1u << 7) /* its memory cgroup is above `high`: pay before user mode */
#define TIF_RSEQ       (1u << 8) /* was switched to and has an area of rseq(2): rseq_resume() */
#define TIF_CPU_TIMER  (1u << 9) /* its process has a timer or limit on the time it runs: look */
#define STACK_MAGIC    0x57acce1157acce11ull

/** Written on every switch of threads, interrupts off (arch_switch_thread()). */
DECLARE_PER_CPU(struct thread_info *, current_ti);
DECLARE_PER_CPU(struct task *, current_task_ptr);

static inline struct thread_info *current_thread_info(void)
{
	return this_cpu_read_stable(current_ti);
}
#endif
