/*
 * Address spaces and their areas.
 *
 * Lock letters: M mmap_lock (write to change, read to look), P page_table_lock, L mm_list_lock, A
 * atomic, C constant after the mm or VMA is made, X changed by exec only, while one task has the mm, R relaxed:
 * written without a lock, a stale value does no harm.
 */
#ifndef MM_MM_TYPES_H
#define MM_MM_TYPES_H
#include "arch/pgtable.h"
#include "lib/env.h"
#include "lib/rbtree.h"

#define VM_READ		0x1ul
#define VM_WRITE	0x2ul
#define VM_EXEC		0x4ul
#define VM_SHARED	0x8ul
#define VM_MAYREAD	0x10ul
#define VM_MAYWRITE	0x20ul
#define VM_MAYEXEC	0x40ul
#define VM_MAYSHARE	0x80ul
#define VM_GROWSDOWN	0x100ul
#define VM_UFFD_MISSING 0x200ul /* userfault.h */
#define VM_UFFD_MINOR	0x400ul
#define VM_UFFD_WP	0x1000ul
#define VM_UFFD		(VM_UFFD_MISSING | VM_UFFD_MINOR | VM_UFFD_WP)
#define VM_LOCKED	0x2000ul
#define VM_IO		0x4000ul /* not the program's own memory: [vvar] */
#define VM_SEQ_READ	0x8000ul
#define VM_RAND_READ	0x10000ul
#define VM_DONTCOPY	0x20000ul
#define VM_DONTEXPAND	0x40000ul /* a special mapping (special.h) */
#define VM_LOCKONFAULT	0x80000ul
#define VM_NORESERVE	0x200000ul
#define VM_HUGETLB	0x400000ul
#define VM_WIPEONFORK	0x2000000ul
#define VM_DONTDUMP	0x4000000ul
#define VM_ACCOUNT	0x100000ul
/* New since the last "4" to clear_refs: all its pages count as soft-dirty. Mappings that differ only in it are
 * joined, and the result has it (soft_dirty.c). */
#define VM_SOFTDIRTY	0x8000000ul
#define VM_MERGEABLE	0x80000000ul /* mm/ksm */
#define VM_HUGEPAGE	0x20000000ul
#define VM_NOHUGEPAGE	0x40000000ul
#define VM_PKEY_SHIFT	32 /* its pages' protection key: four bits (pkey.h) */
#define VM_PKEY_MASK	(0xful << VM_PKEY_SHIFT)
#define VM_PFNMAP	(1ul << 40) /* pages that no list of the memory manager has: [vvar] */
#define VM_SPECIAL	(VM_IO | VM_DONTEXPAND | VM_PFNMAP)
#define VM_SEALED	(1ul << 63) /* mseal.c */
#define VM_ACCESS_FLAGS (VM_READ | VM_WRITE | VM_EXEC)

struct anon_vma;
struct uffd_ctx;
struct uffd_change;
struct ksm_slot;
struct file;
struct address_space;
struct mem_cgroup;
struct mempolicy;

struct vm_area_struct {
	unsigned long vm_start, vm_end; /* M: [start, end), page aligned */
	struct rb_node rb;		/* M: in mm->mm_rb */
	unsigned long rb_subtree_gap;	/* M: largest free gap before any VMA of this subtree */
	struct list_head link;		/* M: in mm->mmap, address order */
	struct mm_struct *mm;		/* C */
	unsigned long flags;		/* M: VM_* */
	pgprot_t prot;			/* M: PTE bits for flags */
	unsigned long pgoff; /* M: offset in pages; for anonymous memory vm_start >> 12 at birth */
	struct anon_vma *anon_vma;	 /* P to set, then constant */
	struct list_head anon_vma_chain; /* M + anon_vma lock: links to every anon_vma this VMA
					    takes part in */
	const char *name;		 /* C: "[heap]", "[stack]" or NULL */
	struct file *file; /* C: with a reference, or NULL: for the name and to keep it open */
	/* C: the file's pages (pagecache.h), or NULL: anonymous. Without a file it is a shmem_object's, with a
	 * reference. */
	struct address_space *mapping;
	struct mempolicy *policy; /* M: with a reference, or NULL (mm/numa/mempolicy.h) */
	bool policy_held; /* with a bind: see mm/numa/mbind.c. M to set, P or the page's lock to clear */
	struct uffd_ctx *uffd; /* M: with VM_UFFD: its context, with a reference; else NULL */
	unsigned long resv;    /* M: private hugetlb: its promise (huge/hugetlb_resv.c), else 0 */
	struct rb_node shared_rb;	   /* i_mmap_lock: in mapping->i_mmap, by page offset */
	unsigned long shared_subtree_last; /* i_mmap_lock: highest page offset of the subtree */
};

struct mm_struct {
	struct list_head mm_list;		     /* L: all address spaces */
	pte_t *pgd;				     /* C: kernel address of the top table */
	struct rw_semaphore mmap_lock;		     /* its own */
	struct rb_root mm_rb;			     /* M */
	struct list_head mmap;			     /* M */
	struct vm_area_struct *mmap_cache;	     /* R: last hit; any holder of M may set it */
	u32 map_count;				     /* M */
	s32 users;				     /* A: references; the last tears down */
	spinlock_t page_table_lock;		     /* its own */
	s64 rss_anon, rss_file, rss_shmem, rss_swap; /* A: pages */
	s64 hugetlb_usage;			     /* A: pages of 4 KiB mapped by hugetlb */
	s64 hiwater_rss;			     /* A */
	s64 pgtables_bytes;			     /* A */
	u64 hiwater_vm;				     /* M: highest total_vm before it last fell */
	u64 total_vm, locked_vm, stack_vm, data_vm;  /* M: pages */
	u64 exec_vm;		 /* M: pages of mappings that run and cannot be written */
	u64 committed;		 /* M: pages charged to overcommit */
	unsigned long def_flags; /* M: VM_LOCKED, VM_LOCKONFAULT for new mappings (mlockall) */
	unsigned long brk, start_stack;					     /* M */
	unsigned long start_code, end_code, start_data, end_data, start_brk; /* X */
	unsigned long arg_start, arg_end, env_start, env_end;		     /* X */
	struct file *exe_file;	 /* X: the program, with a reference, or NULL */
	unsigned long mmap_base; /* C: top-down from here */
	u32 cpumask;		 /* A: CPUs that may hold its TLB entries */
	u64 tlb_gen, tlb_id;	 /* A: where entries are tagged (PCIDs, arch/x86/tlb.c) */
	u32 access_cpus;	 /* A: that have loaded it since accesses were sampled, where there
				  are nodes and accesses are sampled (mm/report/access.c) */
	u32 tlb_flush_batched;	 /* P: reclaim has cleared entries that a batch has yet to flush, or
				  has flushed: see flush_tlb_batched_pending() */
	u32 tlb_flush_pending;	 /* A: threads that have yet to flush (tlb_pending.h) */
	u64 min_flt, maj_flt;	 /* A */
	unsigned long khugepaged_addr; /* khugepaged alone: where it continues, */
	u32 khugepaged_pass;	       /* khugepaged alone: the last pass that ended here */
	unsigned long numa_scan_addr;  /* R, M: where balancing continues */
	struct uffd_change
		*uffd_changes;	       /* M: a monitor waits to read of them (userfault_event.c) */
	struct ksm_slot *ksm;	       /* M + ksm_list_lock: scanned for equal pages, or NULL */
	u32 swap_ra_win, swap_ra_hits; /* R: state of the swap read-around */
	unsigned long swap_ra_last;    /* R: its last address */
	struct mem_cgroup *memcg;      /* A: charged for its memory: mm/memcg/memcg.c, I3 */
	struct psi_group *psi;	       /* A: in which its threads wait: kernel/psi.c, I5 */
	bool oom_victim;	       /* R: reaped, or given up; never cleared */
	u8 oom_reap_attempts;	       /* oom_lock */
	u16 pkey_map;		       /* M: protection keys that are allocated; inherited */
	u8 exec_pkey;		       /* M: that of what may only be executed, or 0; inherited */
	bool sealed;		       /* M: has had a VMA with VM_SEALED; inherited */
	bool merge_any;		       /* M: prctl(PR_SET_MEMORY_MERGE); inherited */
	bool thp_disabled;  /* M, read without it: prctl(PR_SET_THP_DISABLE); inherited */
	u8 dumpable;	    /* R: MM_DUMP_*; inherited */
	u16 dump_filter;    /* R: /proc/PID/coredump_filter; inherited, by execve(2) too */
	u64 saved_auxv[48]; /* X: pairs, up to AT_NULL: what the program started with */
};
extern struct list_head mm_list;
extern spinlock_t mm_list_lock;
#endif
