/*
 * What the files of this folder share: the records of KSM and how they refer to each other.
 *
 * Locks: ksm_mutex for everything except ksm_slot.mm and the list of slots, which ksm_list_lock guards.
 */
#ifndef MM_KSM_INTERNAL_H
#define MM_KSM_INTERNAL_H
#include "lib/rbtree.h"
#include "mm/ksm/ksm.h"
#include "mm/phys/alloc.h"
#include "mm/phys/folio.h"
#include "mm/virt/vma.h"

/** An address space with memory that may be merged. The slot outlives the mm until ksm_reap(). */
struct ksm_slot {
	struct list_head link;	/* ksm_list_lock: all of them, in order of arrival */
	struct mm_struct *mm;	/* ksm_list_lock: NULL once it has ended */
	struct list_head items; /* by address */
	u64 nr_items, nr_merged;
};

enum ksm_item_state {
	KSM_IDLE,     /* in no tree */
	KSM_UNSTABLE, /* in the unstable tree of pass `seq` */
	KSM_STABLE,   /* when it was last looked at, the place mapped the page of `node` */
};

/** A place, that is, an mm and an address, that the scanner has looked at. */
struct ksm_item {
	struct list_head link; /* in its slot */
	struct ksm_slot *slot;
	unsigned long addr;
	u64 hash; /* of the contents when they were last looked at; 0: never */
	u32 seq;
	u8 state;
	u8 nid; /* whose unstable tree */
	union {
		struct rb_node rb;     /* UNSTABLE */
		struct ksm_node *node; /* STABLE */
	};
};

/** A merged page. The node lives at least as long as the page is mapped, so page->mapping stays valid. */
struct ksm_node {
	struct list_head all; /* ksm_nodes */
	struct list_head dup; /* in its value's pages */
	struct ksm_value *value;
	struct page *page; /* no reference: see ksm_node_get() */
	u64 hash;	   /* of the contents, which never change */
	u64 nr;		   /* items that name it */
};

/** All merged pages with the same contents: the element of the stable tree. */
struct ksm_value {
	struct rb_node rb;
	struct list_head pages; /* its nodes, the newest first; never empty */
	u32 nr_pages;
	u32 nid;
};

extern struct ksm_counts ksm_counts;
extern struct list_head ksm_nodes;
extern spinlock_t ksm_list_lock;

extern struct mutex ksm_mutex;
extern u64 ksm_hash_of_zeroes; /* of a page of zeroes; set before the first slot */

/* Slots (ksm.c). ksm_mutex held. */
/** The slot after this one, or the first for NULL. It is not freed while ksm_mutex is held. Returns NULL at the
 * end. */
struct ksm_slot *ksm_slot_after(struct ksm_slot *slot);
bool ksm_has_slots(void); /* read without ksm_mutex */
/** Free the slots and items of address spaces that have ended, so that the counts are right. */
void ksm_reap(void);
/** A new item of the slot, in its list after `after`. NULL: no memory. */
struct ksm_item *ksm_item_alloc(struct ksm_slot *slot, unsigned long addr, struct list_head *after);
/** Remove an item from the tree and list that it is in, and free it. */
void ksm_item_free(struct ksm_item *item);

/* The pass (ksm_scan.c). ksm_mutex held. */
/** The slot is about to be freed: the pass continues with the one after it. */
void ksm_scan_leave(struct ksm_slot *slot);
/** The next scan begins a new pass. */
void ksm_scan_restart(void);

/** -1, 0, 1: the order of the trees. */
int ksm_compare(const struct page *a, const struct page *b);
/** The hash of the page's contents. */
u64 ksm_hash_page(const struct page *page);
/** Which tree a page belongs to. */
static inline u32 ksm_tree_of(const struct page *page)
{
	return ksm.merge_across_nodes ? 0 : page_node_id(page);
}

/* Trees (ksm_tree.c) */
void ksm_tree_init(void);
/** The node's page with a reference, or NULL: it has been freed, and the node is stale. */
struct page *ksm_node_get(const struct ksm_node *node);
/** A node for a page that is about to be merged, in no tree. NULL: no memory. */
struct ksm_node *ksm_node_alloc(struct page *page);
/** Free the node if its page has been freed and no item names it. */
void ksm_node_prune(struct ksm_node *node);
/** A merged page with the contents of `page` and room for one more place, or NULL. The caller gets a reference on
 * its page. */
struct ksm_node *ksm_stable_search(const struct page *page);
/** Put a node into the stable tree. 0 or -ENOMEM. */
int ksm_stable_insert(struct ksm_node *node);
/** ksm_node_prune() of all nodes. */
void ksm_prune(void);
/** Record that the item's place maps the node's page now. */
void ksm_item_join(struct ksm_item *item, struct ksm_node *node);
/** Remove an item from the tree that it is in. */
void ksm_item_untree(struct ksm_item *item);
/** Search the unstable tree for a page with the contents of `page`. If there is none, add the item to the tree.
 * *twin is the page found, with a reference. */
struct ksm_item *ksm_unstable_search(struct ksm_item *item, struct page *page, struct page **twin);
/** A new pass begins: empty the unstable trees. */
void ksm_unstable_reset(void);

/* Page tables (ksm_merge.c). They take mmap_lock for reading. */
/** The address space with a reference, or NULL: it has ended. */
struct mm_struct *ksm_slot_mm(struct ksm_slot *slot);
/** May the page at a PTE be merged? It is anonymous and small. */
bool ksm_candidate(pte_t e);
/** The page that the item's place maps, with a reference, or NULL. */
struct page *ksm_item_page(struct ksm_item *item);
/** Map `kpage` (merged, or the zero page) in the place of `page` if their contents are equal. 0; -EAGAIN: they
 * differ, or somebody uses the page; -ENOENT: the place does not map `page` any more. */
int ksm_merge_one(struct ksm_item *item, struct page *page, struct page *kpage);
/** Make a merged page, with a node, that has the contents of `page`. NULL: no memory. */
struct page *ksm_new_page(struct ksm_item *item, const struct page *page, struct ksm_node **node);
/** Give the item's place a page of its own. */
void ksm_break(struct ksm_item *item);
/** The same for [start, end) of a VMA. mmap_lock held. 0 or -ENOMEM. */
int ksm_break_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);
#endif
