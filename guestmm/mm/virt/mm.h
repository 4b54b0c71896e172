/* Address-space calls and faults: what kernel/ uses of the virtual half of the memory manager. */
#ifndef MM_MM_H
#define MM_MM_H
#include "mm/virt/mm_types.h"
#include "lib/format.h"

/** New empty address space (kernel half shared), users = 1; NULL if no memory. */
struct mm_struct *mm_alloc(void);
void mmget(struct mm_struct *mm);

/* mm->dumpable: prctl(PR_SET_DUMPABLE) */
#define MM_DUMP_DISABLE 0 /* no core; only CAP_SYS_PTRACE looks into it */
#define MM_DUMP_USER	1
#define MM_DUMP_ROOT	2 /* by suid_dumpable only: a core of root's; looked into as with 0 */
/* mm->dump_filter: bits of /proc/PID/coredump_filter (core(5)) */
#define DUMP_ANON_PRIVATE    0x1u
#define DUMP_ANON_SHARED     0x2u
#define DUMP_MAPPED_PRIVATE  0x4u
#define DUMP_MAPPED_SHARED   0x8u
#define DUMP_ELF_HEADERS     0x10u
#define DUMP_HUGETLB_PRIVATE 0x20u
#define DUMP_HUGETLB_SHARED  0x40u
#define DUMP_FILTER_ALL	     0x1ffu /* those of DAX, too, of which there is nothing */
#define DUMP_FILTER_DEFAULT \
	(DUMP_ANON_PRIVATE | DUMP_ANON_SHARED | DUMP_ELF_HEADERS | DUMP_HUGETLB_PRIVATE)
/** A copy of the address space for fork(): pages are shared until one side writes. The caller is
 * not holding any of its locks. NULL if no memory, or none may be promised. May sleep. */
struct mm_struct *dup_mm(struct mm_struct *oldmm);
/** The program that runs in it, held by exe_file_get() on behalf of mm, or NULL. By the only task that
 * uses mm. */
void mm_set_exe_file(struct mm_struct *mm, struct file *f);
/** Take a reference unless the last one was dropped. */
bool mmget_not_zero(struct mm_struct *mm);
/** The address space after `mm` (NULL: the first) on mm_list, with a reference; that on `mm` is dropped. NULL:
 * there is no other. The one that is held keeps its place in the list, so a loop sees all that live throughout.
 * May sleep. */
struct mm_struct *mm_next(struct mm_struct *mm);
/** Drop a user; the last one unmaps everything and frees. May sleep. */
void mmput(struct mm_struct *mm);
/** Unmap everything now (exit, OOM reaper); the mm stays valid and empty. */
void exit_mmap(struct mm_struct *mm);

/** What is to be mapped, as the caller's open file has it. */
struct map_source {
	struct file *file;	       /* the caller's reference stays the caller's */
	struct address_space *mapping; /* its pages; NULL: it has none */
	bool readable, writable;       /* as it was opened */
	bool noexec;		       /* the file system's mount says so: never executable */
	/** All else is right: may it be mapped with these VM_* flags? May put other pages into its
	 * place. -ENODEV... NULL: it may not. Called with mmap_lock held. */
	int (*prepare)(struct map_source *src, unsigned long vm_flags);
};

/* System calls: take and release mmap_lock themselves. Results as Linux: address or -errno. prot
 * and flags are the Linux UAPI values (PROT_*, MAP_*), below. */
/** mmap(2) of anonymous memory. */
long do_mmap(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot, int flags,
	     unsigned long pgoff);
/** The same of a file; src NULL: anonymous memory. */
long do_mmap_file(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot, int flags,
		  unsigned long pgoff, struct map_source *src);
int do_munmap(struct mm_struct *mm, unsigned long addr, unsigned long len);
/** shmdt(2): unmap what one attachment at addr has mapped. `attached` says whether a file is one, and the
 * bytes of its segment. 0 or -EINVAL: there is none. */
int do_munmap_attached(struct mm_struct *mm, unsigned long addr,
		       bool (*attached)(const struct file *f, u64 *size));
int do_mprotect(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot);
/** pkey_mprotect(2); key -1: as mprotect(2). */
int do_pkey_mprotect(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot,
		     int pkey);
unsigned long do_brk(struct mm_struct *mm,
		     unsigned long brk); /* as the system call: new or old break */
int do_madvise(struct mm_struct *mm, unsigned long addr, unsigned long len, int advice);
long do_mremap(struct mm_struct *mm, unsigned long addr, unsigned long old_len,
	       unsigned long new_len, unsigned long flags, unsigned long new_addr);
/** mseal(2). */
int do_mseal(struct mm_struct *mm, unsigned long start, unsigned long len, unsigned long flags);
/** remap_file_pages(2), as Linux has it since 4.0: a mapping of other pages in the place of a part of a shared one. */
int do_remap_file_pages(struct mm_struct *mm, unsigned long start, unsigned long size, int prot,
			unsigned long pgoff, int flags);
/** mlock(2) and, with flags, mlock2(2). */
int do_mlock(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags);
int do_munlock(struct mm_struct *mm, unsigned long addr, unsigned long len);
int do_mlockall(struct mm_struct *mm, int flags);
int do_munlockall(struct mm_struct *mm);
int do_msync(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags);
/** For mincore(2): bytes of `vec`, one a page from `addr` on, 1 = resident. At most `pages`, and
 * never past the end of a VMA; returns how many, or -ENOMEM where nothing is mapped. */
long mincore_pages(struct mm_struct *mm, unsigned long addr, unsigned long pages, u8 *vec);
/** Stack VMA at the top for exec: [top - initial, top), growing down. Returns 0 or -ENOMEM. */
int mm_setup_stack(struct mm_struct *mm, unsigned long top, unsigned long initial);
/** Fault in [addr, addr+len) as if touched (MAP_POPULATE). Returns 0, -ENOMEM or -EFAULT. */
int mm_populate(struct mm_struct *mm, unsigned long addr, unsigned long len);
/** The same as if all were read, or all written. */
enum populate { POPULATE_READ, POPULATE_WRITE, POPULATE_AS_MAPPED };
int mm_populate_as(struct mm_struct *mm, unsigned long addr, unsigned long len, enum populate how);
/** Clear the dirty bits of the PTEs in [start, end), page aligned (clean.c). Returns how many were
 * set. */
unsigned long mm_clean_range(struct mm_struct *mm, unsigned long start, unsigned long end);

#define PROT_READ	     1
#define PROT_WRITE	     2
#define PROT_EXEC	     4
#define PROT_NONE	     0
#define PROT_SEM	     8
#define PROT_GROWSDOWN	     0x01000000
#define PROT_GROWSUP	     0x02000000
#define MAP_SHARED	     1
#define MAP_PRIVATE	     2
#define MAP_SHARED_VALIDATE  3
#define MAP_SYNC	     0x80000
#define MAP_TYPE	     0xf
#define MAP_FIXED	     0x10
#define MAP_ANONYMOUS	     0x20
#define MAP_32BIT	     0x40
#define MAP_GROWSDOWN	     0x100
#define MAP_DENYWRITE	     0x800
#define MAP_EXECUTABLE	     0x1000
#define MAP_LOCKED	     0x2000
#define MAP_NORESERVE	     0x4000
#define MAP_POPULATE	     0x8000
#define MAP_NONBLOCK	     0x10000
#define MAP_STACK	     0x20000
#define MAP_HUGETLB	     0x40000
#define MAP_FIXED_NOREPLACE  0x100000
#define MAP_UNINITIALIZED    0x4000000
#define MAP_HUGE_SHIFT	     26 /* above: log2 of the page size, 0: the default */
#define MAP_HUGE_MASK	     0x3fu
#define MADV_NORMAL	     0
#define MADV_RANDOM	     1
#define MADV_SEQUENTIAL	     2
#define MADV_WILLNEED	     3
#define MADV_DONTNEED	     4
#define MADV_FREE	     8
#define MADV_REMOVE	     9
#define MADV_DONTFORK	     10
#define MADV_DOFORK	     11
#define MADV_MERGEABLE	     12
#define MADV_UNMERGEABLE     13
#define MADV_HUGEPAGE	     14
#define MADV_NOHUGEPAGE	     15
#define MADV_DONTDUMP	     16
#define MADV_DODUMP	     17
#define MADV_WIPEONFORK	     18
#define MADV_KEEPONFORK	     19
#define MADV_COLD	     20
#define MADV_PAGEOUT	     21
#define MADV_POPULATE_READ   22
#define MADV_POPULATE_WRITE  23
#define MADV_DONTNEED_LOCKED 24
#define MADV_COLLAPSE	     25
#define MADV_HWPOISON	     100
#define MADV_SOFT_OFFLINE    101
#define MADV_GUARD_INSTALL   102
#define MADV_GUARD_REMOVE    103
#define MREMAP_MAYMOVE	     1
#define MREMAP_FIXED	     2
#define MREMAP_DONTUNMAP     4
#define MLOCK_ONFAULT	     1
#define MCL_CURRENT	     1
#define MCL_FUTURE	     2
#define MCL_ONFAULT	     4
#define MS_ASYNC	     1
#define MS_INVALIDATE	     2
#define MS_SYNC		     4

/* Faults */
/* The bits of x86's page-fault error code, so that arch/ passes it on with one mask. */
#define FAULT_FLAG_WRITE	 0x2u
#define FAULT_FLAG_USER		 0x4u
#define FAULT_FLAG_EXEC		 0x10u
#define FAULT_FLAG_KERNEL	 0x100u /* the kernel's access for a program: it cannot be broken off */
#define VM_FAULT_MAJOR		 1u
#define VM_FAULT_OOM		 2u /* no memory: the OOM killer has run; retry or die if we are the victim */
#define VM_FAULT_SIGSEGV_MAPERR	 4u
#define VM_FAULT_SIGSEGV_ACCERR	 8u
#define VM_FAULT_FALLBACK	 32u /* thp_fault() alone: fill a PTE instead */
#define VM_FAULT_USERFAULT	 64u /* only inside of virt/: the user answers it */
#define VM_FAULT_USERFAULT_MINOR 128u
#define VM_FAULT_USERFAULT_WP	 256u
#define VM_FAULT_SIGBUS		 16u  /* beyond the file's end, or it cannot be read */
#define VM_FAULT_HWPOISON	 512u /* the page is lost (mm/move/memory_failure.h) */
#define VM_FAULT_ERROR                                                                        \
	(VM_FAULT_OOM | VM_FAULT_SIGSEGV_MAPERR | VM_FAULT_SIGSEGV_ACCERR | VM_FAULT_SIGBUS | \
	 VM_FAULT_HWPOISON)
/** Resolve a fault at `addr`: find the VMA (growing the stack), check access, fill the PTE. Takes
 * mmap_lock for reading itself. Counts pgfault/pgmajfault. May sleep. Returns VM_FAULT_* bits, 0 =
 * minor and done. */
unsigned int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned int flags);

/** VMA that contains or follows addr. M held. */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr);
/** Leaf PTE for addr or NULL; no lock taken, result stable only under page_table_lock. */
pte_t *walk_pte(pte_t *pgd, unsigned long addr);
/** As walk_pte, making missing tables. NULL if no memory. */
pte_t *walk_pte_alloc(struct mm_struct *mm, unsigned long addr);

void mm_init(void); /* caches, zero page, rmap, swap; after slab */
extern struct page *zero_page;
/* Overcommit */
extern int sysctl_overcommit_memory; /* 0 heuristic, 1 always, 2 never beyond the limit */
/* For mode 2, of RAM: a part in per cent, or an amount in KiB. The one that was written last counts, the other is 0. */
extern int sysctl_overcommit_ratio;
extern u64 sysctl_overcommit_kbytes;
/* For mode 2, in KiB: what one process leaves for others, and what all leave for CAP_SYS_ADMIN. */
extern u64 sysctl_user_reserve_kbytes, sysctl_admin_reserve_kbytes;
/** Set the reserves by the memory that is free. */
void overcommit_init(void);
u64 vm_committed(void);
u64 vm_commit_limit(void);
extern u32 sysctl_max_map_count;

void report_maps(struct report *r, struct mm_struct *mm); /* /proc/PID/maps */
/** One line of it. mmap_lock held. */
void report_vma(struct report *r, const struct vm_area_struct *vma);
#endif
