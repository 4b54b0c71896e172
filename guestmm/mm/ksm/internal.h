/* What the files of this folder share: the records, and who holds which. All under ksm_mutex, but for
 * ksm_slot.mm and the list of slots: ksm_list_lock. */
#ifndef MM_KSM_INTERNAL_H
#define MM_KSM_INTERNAL_H
#include "lib/rbtree.h"
#include "mm/ksm/ksm.h"
#include "mm/phys/alloc.h"
#include "mm/phys/folio.h"
#include "mm/virt/vma.h"

/** One address space that has named memory. It outlives the mm until ksm_reap(). */
struct ksm_slot {
	struct list_head link;	/* ksm_list_lock: all of them, in order of arrival */
	struct mm_struct *mm;	/* ksm_list_lock: NULL once it has ended */
	struct list_head items; /* by address */
	u64 nr_items, nr_merged;
};

enum ksm_item_state {
	KSM_IDLE,     /* in no tree */
	KSM_UNSTABLE, /* in the unstable tree of pass `seq` */
	KSM_STABLE,   /* the place maps, as far as is known, the page of `node` */
};

/** One place, mm and address, that was looked at. */
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

/** One merged page. It lives at least as long as the page is mapped, so page->mapping is good. */
struct ksm_node {
	struct list_head all; /* ksm_nodes */
	struct list_head dup; /* in its value's pages */
	struct ksm_value *value;
	struct page *page; /* no reference: see ksm_node_get() */
	u64 hash;	   /* of the contents, which never change */
	u64 nr;		   /* items that name it */
};

/** One contents: what the stable tree is made of. */
struct ksm_value {
	struct rb_node rb;
	struct list_head pages; /* its nodes, the newest first; never empty */
	u32 nr_pages;
	u32 nid;
};

extern struct list_head ksm_nodes;
extern spinlock_t ksm_list_lock;

/** -1, 0, 1: the order of the trees. */
int ksm_compare(const struct page *a, const struct page *b);
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
/** Free a node that is stale or was never used. */
void ksm_node_free(struct ksm_node *node);
/** A merged page with the contents of `page` that may have one more place, or NULL. Its page has a reference. */
struct ksm_node *ksm_stable_search(const struct page *page);
/** Put a node into the stable tree. 0 or -ENOMEM. */
int ksm_stable_insert(struct ksm_node *node);
/** Drop the nodes whose page has been freed. */
void ksm_prune(void);
/** The item maps the node's page now. */
void ksm_item_join(struct ksm_item *item, struct ksm_node *node);
/** Take an item out of whatever tree it is in. */
void ksm_item_untree(struct ksm_item *item);
/** The same, and free it. */
void ksm_item_free(struct ksm_item *item);
/** Look in the unstable tree for a page of the contents of `page`; if there is none, the item joins the
 * tree. *twin is the page found, with a reference. */
struct ksm_item *ksm_unstable_search(struct ksm_item *item, struct page *page, struct page **twin);
/** A new pass: what is in the unstable trees is forgotten. */
void ksm_unstable_reset(void);

/* Page tables (ksm_merge.c). They take mmap_lock for reading. */
/** The address space with a reference, or NULL: it has ended. */
struct mm_struct *ksm_slot_mm(struct ksm_slot *slot);
/** May the page at a PTE be merged? It is anonymous and small. */
bool ksm_candidate(pte_t e);
/** The page that the item's place maps, with a reference, or NULL. */
struct page *ksm_item_page(struct ksm_item *item);
/** Map `kpage` (merged, or the zero page) in the place of `page` if their contents are equal. 0; -EAGAIN: they are
 * not, or somebody uses it; -ENOENT: it is not there any more. */
int ksm_merge_one(struct ksm_item *item, struct page *page, struct page *kpage);
/** A copy of the page to be merged with, with a node. NULL: no memory. */
struct page *ksm_new_page(struct ksm_item *item, const struct page *page, struct ksm_node **node);
/** Give the item's place a page of its own. */
void ksm_break(struct ksm_item *item);
/** The same for [start, end) of a VMA. mmap_lock held. 0 or -ENOMEM. */
int ksm_break_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);
#endif
