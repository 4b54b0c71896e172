/*
 * The room mm/numa: which node a page should be on.
 *
 *   mempolicy.h, mempolicy.c   policies, and the one place where they are evaluated
 *   mbind.c                    policies of ranges of addresses
 *   move_pages.c               moving pages between nodes on request
 *   report.c                   /proc/PID/numa_maps
 *
 * A policy is immutable and counted. A thread has at most one (set_mempolicy(2)), a VMA has at most one (mbind(2)).
 * The VMA's policy applies to anonymous and shared memory that is faulted in there. The thread's policy applies to
 * all its other allocations that may sleep. NULL means the CPU's node.
 *
 * mempolicy_alloc() evaluates policies. The allocator calls it on its slow path, and only on machines with more
 * than one node (KEY_NUMA). So a machine with one node has no extra cost; a policy there is stored and shown, but
 * has no effect.
 *
 * Locks: mempolicy_lock guards thread_info->mempolicy. It is the innermost lock. vma->policy: mmap_lock.
 * Source: Linux, Documentation/admin-guide/mm/numa_memory_policy.rst; mm/mempolicy.c of 6.1 for the
 * order of the checks.
 */
#ifndef MM_MEMPOLICY_H
#define MM_MEMPOLICY_H
#include "mm/phys/gfp.h"
#include "mm/move/migrate.h"
#include "mm/virt/mm_types.h"
#include "mmvm/page.h"

struct page;
struct report;

enum mpol_mode {
	MPOL_DEFAULT,
	MPOL_PREFERRED,
	MPOL_BIND,
	MPOL_INTERLEAVE,
	MPOL_LOCAL,
	MPOL_PREFERRED_MANY,
	MPOL_WEIGHTED_INTERLEAVE,
	MPOL_MAX
};
/* Flags of a mode */
#define MPOL_F_STATIC_NODES   (1u << 15)
#define MPOL_F_RELATIVE_NODES (1u << 14)
#define MPOL_F_NUMA_BALANCING (1u << 13)
#define MPOL_MODE_FLAGS	      (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING)
/* Flags of get_mempolicy() */
#define MPOL_F_NODE	    1ul
#define MPOL_F_ADDR	    2ul
#define MPOL_F_MEMS_ALLOWED 4ul
/* Flags of mbind() and move_pages() */
#define MPOL_MF_STRICT	 1u
#define MPOL_MF_MOVE	 2u
#define MPOL_MF_MOVE_ALL 4u

/** A set of nodes as programs write it: as many bits as Linux has (CONFIG_NODES_SHIFT of 10). */
#define MAX_NUMNODES 1024u
struct nodemask {
	u64 bits[MAX_NUMNODES / 64];
};

/** Constant once made. */
struct mempolicy {
	s32 refs;	/* atomic */
	u16 mode;	/* enum mpol_mode, never MPOL_DEFAULT: that is no policy */
	u16 flags;	/* MPOL_F_* of the mode */
	u32 nodes;	/* the nodes it allows or prefers, a bit each, all of them with memory */
	s32 home;	/* set_mempolicy_home_node(2): where to look first; or NUMA_NO_NODE */
	u64 user_nodes; /* as the program wrote them; shown if the mode has a flag */
};

/** Some thread has had a policy, so allocations check for one, even if vm.numa_stat is off. */
extern bool mempolicy_in_use;

/** The mode's number as programs write it, with flags: split and checked. 0 or -EINVAL. */
int mpol_parse_mode(u32 word, u16 *mode, u16 *flags);
/** A new policy with one reference in *out, NULL for MPOL_DEFAULT. 0, -EINVAL or -ENOMEM. */
int mpol_new(u16 mode, u16 flags, const struct nodemask *nodes, struct mempolicy **out);
/** The same as `pol`, with this home node. NULL: no memory. */
struct mempolicy *mpol_with_home(const struct mempolicy *pol, int home);
/** NULL is allowed. */
struct mempolicy *mpol_get(struct mempolicy *pol);
void mpol_put(struct mempolicy *pol);
bool mpol_equal(const struct mempolicy *a, const struct mempolicy *b);
/** The node set that get_mempolicy(2) shows. */
u64 mpol_shown_nodes(const struct mempolicy *pol);
/** "prefer=static:1": for numa_maps. At least 64 bytes. */
void mpol_to_text(char *buf, size_t size, const struct mempolicy *pol);

/** Set the current thread's policy; takes over the reference. May sleep. */
void mempolicy_set_task(struct mempolicy *pol);
/** A thread's policy, with a reference. The caller keeps the thread. */
struct mempolicy *mempolicy_get_task(struct thread_info *ti);
/** Does the thread's policy allow memory on one of these nodes? Any context. */
bool mempolicy_reaches(struct thread_info *ti, u32 nodes);
/** A new thread, which does not run yet, inherits the policy of the thread that creates it. */
void mempolicy_fork(struct thread_info *child);
/** A thread ends: drop its policy. */
void mempolicy_exit(struct thread_info *ti);
/** The node that the current thread's interleaving policy takes next. */
unsigned int mempolicy_next_node(const struct mempolicy *pol);

/** Allocate under the policy in force. Only the page allocator calls this. Not traced. */
struct page *mempolicy_alloc(gfp_t gfp, unsigned int order, enum mmvm_page_type type);
/** Allocate under this policy (NULL: the CPU's node) for page `index` of its VMA. */
struct page *mempolicy_alloc_at(struct mempolicy *pol, unsigned long index, gfp_t gfp,
				unsigned int order, enum mmvm_page_type type);

/** Node for page `index` of a mapping, for an allocator with its own pages (hugetlb): the node to look at first,
 * and in *nodes those that the policy allows, ~0: any. The VMA's policy, or if that is NULL the thread's. */
unsigned int mempolicy_place(const struct mempolicy *vma_policy, unsigned long index, u32 *nodes);

/** `page` is being mapped by the VMA, which has a policy, but was not allocated for it. mmap_lock, or the
 * page's lock. */
void mempolicy_note_placement(struct vm_area_struct *vma, const struct page *page);

/** Weights of weighted interleaving, one a node, 1 .. 255. */
u8 mempolicy_weight(unsigned int nid);
void mempolicy_set_weight(unsigned int nid, u8 weight);

/* System calls. They return what Linux returns. */
long do_mbind(struct mm_struct *mm, unsigned long start, unsigned long len, u16 mode, u16 flags,
	      const struct nodemask *nodes, unsigned int move);
long do_set_home_node(struct mm_struct *mm, unsigned long start, unsigned long len,
		      unsigned long home);
/** The policy of the VMA at addr, with a reference, or NULL. 0 or -EFAULT. */
int mempolicy_at(struct mm_struct *mm, unsigned long addr, struct mempolicy **pol);
/** Node of the page at addr, which is faulted in. Or -EFAULT. */
int node_of_address(struct mm_struct *mm, unsigned long addr);

/* move_pages(2), page by page (move_pages.c) */
struct list_head;
/** Take the page at addr for a move to node nid. 1: it is on `list`; 0: it is on that node already; -EFAULT,
 * -ENOENT, -EACCES, -EBUSY. */
int move_page_isolate(struct mm_struct *mm, unsigned long addr, int nid, enum migrate_whose whose,
		      struct list_head *list);
#define MOVE_CHUNK 16ul
/** The same for addr[0], addr[1]..., at most n and MOVE_CHUNK of them, until one is not taken: returns how many were.
 * *err is what move_page_isolate() says of the one behind them; 1: there is none. */
unsigned long move_pages_isolate(struct mm_struct *mm, const unsigned long *addr, unsigned long n,
				 int nid, enum migrate_whose whose, struct list_head *list,
				 int *err);
/** Move the pages on `list`. 0, the number of pages that stayed, or -ENOMEM. Pages that stay are put back. */
int move_list_to_node(struct list_head *list, int nid);
/** Node of the page at addr, or -ENOENT, -EFAULT. No page is faulted in. */
int page_node_at(struct mm_struct *mm, unsigned long addr);
/** The node of the page that is mapped at addr, or -1. mmap_lock held. */
int node_of_leaf(struct mm_struct *mm, unsigned long addr);
/** migrate_pages(2): from the nodes of `from` to those of `to`, each to the one of the same rank. Number
 * of pages that stayed, or -ENOMEM. */
long do_migrate_pages(struct mm_struct *mm, u32 from, u32 to, enum migrate_whose whose);

/** /proc/PID/numa_maps; `task`: the policy of its thread. Takes mmap_lock. */
void report_numa_maps(struct report *r, struct mm_struct *mm, const struct mempolicy *task);
void mempolicy_init(void);
#endif
