/* Areas of the vmalloc range: which addresses are taken, by whom, and when they may be used again. Only
 * for the files of this room. */
#ifndef MM_VMAP_AREA_H
#define MM_VMAP_AREA_H
#include "lib/spinlock.h"
#include "lib/rbtree.h"
#include "mm/phys/page.h"

enum vmap_kind { VMAP_ALLOC, VMAP_MAP, VMAP_IOREMAP };

struct vmap_area {
	struct rb_node rb;		/* vmap_lock */
	unsigned long start, end;	/* C: with guards */
	unsigned long gap, subtree_gap; /* vmap_lock */
	unsigned long addr;		/* C: first mapped byte */
	unsigned int nr_pages;		/* the owner's, until it is lazy */
	enum vmap_kind kind;		/* C */
	enum mmvm_page_type type;	/* C. VMAP_ALLOC: of the pages */
	bool lazy;			/* vmap_lock */
	struct list_head lazy_node;	/* vmap_lock */
	const char *who;		/* C */
	phys_addr_t phys;		/* C. VMAP_IOREMAP: of the registers */
};

/** Tree, lazy list, and the entries of tables above the leaves. Innermost but for the slab's locks. */
extern spinlock_t vmap_lock;

/** Take addresses for `size` bytes (whole pages) and a guard page behind; in front as well when `align`, a power of
 * 2, is larger than a page. If there is no room, a purge is done first. NULL: no room, or no memory. May sleep. */
struct vmap_area *vmap_area_alloc(size_t size, size_t align, enum vmap_kind kind, const char *who);
/** The area of that kind which starts at `p`, marked so that nobody else finds it. Panics when there is none:
 * `what` names the call. */
struct vmap_area *vmap_area_claim(const void *p, enum vmap_kind kind, const char *what);
/** The area's entries are clear: the next purge frees its addresses and the area. */
void vmap_area_retire(struct vmap_area *a);
void vmap_area_init(void);
#endif
