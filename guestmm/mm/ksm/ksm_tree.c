/*
 * The two trees of KSM, ordered by the contents of pages.
 *
 *   stable     value ──> node ──> merged page, which nobody can write: the order holds for ever
 *                └─────> node ──> another merged page of the same contents, once one has
 *                                 max_page_sharing places (a chain)
 *   unstable   item ──> page that its owner may write: the order may be wrong by the time it is used. So the
 *              tree is discarded after each pass, and a match in it is only a candidate.
 *
 * I1  A node is in ksm_nodes, and after ksm_stable_insert() in its value's list.
 * I2  pages_shared = nodes with an item; pages_shared + pages_sharing = items in state STABLE = sum of
 *     node->nr. pages_unshared = items in state UNSTABLE.
 * I3  A node is freed only when its page has been: a merged page's mapping is a node.
 *
 * Locks: ksm_mutex.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/ksm/internal.h"
#include "mm/phys/highmem.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"

LIST_HEAD(ksm_nodes);
static struct rb_root stable[MMVM_MAX_NODES], unstable[MMVM_MAX_NODES];
static u32 pass_seq = 1;
static struct kmem_cache *node_cache, *value_cache;

void ksm_tree_init(void)
{
	node_cache = kmem_cache_create("ksm_node", sizeof(struct ksm_node), 8,
				       SLAB_PANIC | SLAB_KEPT, NULL);
	value_cache = kmem_cache_create("ksm_value", sizeof(struct ksm_value), 8,
					SLAB_PANIC | SLAB_KEPT, NULL);
}

static int compare_words(const u64 *x, const u64 *y)
{
	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
		u64 v = READ_ONCE(x[i]), w = READ_ONCE(y[i]);

		if (v != w)
			return v < w ? -1 : 1;
	}
	return 0;
}

int ksm_compare(const struct page *a, const struct page *b)
{
	const u64 *x = kmap_local_page(a), *y = kmap_local_page(b);
	int order = compare_words(x, y);

	kunmap_local(y);
	kunmap_local(x);
	return order;
}

u64 ksm_hash_page(const struct page *page)
{
	const void *p = kmap_local_page(page);
	u64 hash = mmvm_ksm_hash(p);

	kunmap_local(p);
	return hash;
}

/* ---- nodes ------------------------------------------------------------------------------------ */

struct page *ksm_node_get(const struct ksm_node *node)
{
	struct page *page = node->page;

	if (!get_page_unless_zero(page))
		return NULL;
	/* The frame may be another page by now. */
	if ((unsigned long)READ_ONCE(page->mapping) == ((unsigned long)node | MMVM_MAPPING_KSM))
		return page;
	release_page(page);
	return NULL;
}

struct ksm_node *ksm_node_alloc(struct page *page)
{
	struct ksm_node *node = kmem_cache_alloc(node_cache, GFP_KERNEL | __GFP_NORETRY);

	if (!node)
		return NULL;
	*node = (struct ksm_node){.page = page, .hash = ksm_hash_page(page)};
	INIT_LIST_HEAD(&node->dup);
	list_add(&node->all, &ksm_nodes);
	return node;
}

static void value_drop_page(struct ksm_value *value, struct ksm_node *node)
{
	list_del(&node->dup);
	if (value->nr_pages > 1)
		ksm_counts.stable_node_dups--;
	if (--value->nr_pages == 1) {
		ksm_counts.stable_node_dups--;
		ksm_counts.stable_node_chains--;
	}
	if (!value->nr_pages) {
		rb_erase(&stable[value->nid], &value->rb, NULL);
		kmem_cache_free(value_cache, value);
	}
}

/* Items of a node whose page has been freed refer to it until they are scanned again; the last one frees the
 * node. */
void ksm_node_prune(struct ksm_node *node)
{
	struct page *page;

	if (node->nr)
		return;
	page = ksm_node_get(node);
	if (page) {
		release_page(page);
		return;
	}
	if (node->value)
		value_drop_page(node->value, node);
	list_del(&node->all);
	kmem_cache_free(node_cache, node);
}

/* ---- stable ----------------------------------------------------------------------------------- */

/* A page of the value with a reference, or NULL: all have been freed. */
static struct page *value_get(struct ksm_value *value)
{
	struct ksm_node *node;

	list_for_each_entry (node, &value->pages, dup) {
		struct page *page = ksm_node_get(node);

		if (page)
			return page;
	}
	return NULL;
}

void ksm_prune(void)
{
	struct ksm_node *node, *n;

	list_for_each_entry_safe (node, n, &ksm_nodes, all)
		ksm_node_prune(node);
}

/* Where a page of these contents is, or would be: the value, or NULL with *parent and *link. Stale values, whose
 * position in the order is not known any more, are removed from the tree; their nodes stay without a value. */
static struct ksm_value *find_value(const struct page *page, u32 nid, struct rb_node **parent,
				    struct rb_node ***link)
{
again:
	*parent = NULL;
	*link = &stable[nid].node;
	while (**link) {
		struct ksm_value *value = rb_entry(**link, struct ksm_value, rb);
		struct page *other = value_get(value);
		int order;

		if (!other) {
			struct ksm_node *node, *n;

			rb_erase(&stable[nid], &value->rb, NULL);
			if (value->nr_pages > 1) {
				ksm_counts.stable_node_chains--;
				ksm_counts.stable_node_dups -= value->nr_pages;
			}
			list_for_each_entry_safe (node, n, &value->pages, dup) {
				list_del(&node->dup);
				node->value = NULL;
				ksm_node_prune(node);
			}
			kmem_cache_free(value_cache, value);
			goto again;
		}
		order = ksm_compare(page, other);
		release_page(other);
		if (!order)
			return value;
		*parent = **link;
		*link = order < 0 ? &(*parent)->left : &(*parent)->right;
	}
	return NULL;
}

struct ksm_node *ksm_stable_search(const struct page *page)
{
	struct rb_node *parent, **link;
	struct ksm_value *value = find_value(page, ksm_tree_of(page), &parent, &link);
	struct ksm_node *node;

	if (!value)
		return NULL;
	list_for_each_entry (node, &value->pages, dup)
		if (node->nr < ksm.max_page_sharing && ksm_node_get(node))
			return node;
	return NULL;
}

int ksm_stable_insert(struct ksm_node *node)
{
	u32 nid = ksm_tree_of(node->page);
	struct rb_node *parent, **link;
	struct ksm_value *value = find_value(node->page, nid, &parent, &link);

	if (!value) {
		value = kmem_cache_alloc(value_cache, GFP_KERNEL | __GFP_NORETRY);
		if (!value)
			return -ENOMEM;
		value->nid = nid;
		value->nr_pages = 0;
		INIT_LIST_HEAD(&value->pages);
		rb_insert(&stable[nid], &value->rb, parent, link, NULL);
	}
	list_add(&node->dup, &value->pages);
	node->value = value;
	if (++value->nr_pages == 2) {
		ksm_counts.stable_node_chains++;
		ksm_counts.stable_node_dups++;
	}
	if (value->nr_pages > 1)
		ksm_counts.stable_node_dups++;
	return 0;
}

/* ---- items ------------------------------------------------------------------------------------ */

void ksm_item_join(struct ksm_item *item, struct ksm_node *node)
{
	item->state = KSM_STABLE;
	item->node = node;
	item->slot->nr_merged++;
	if (node->nr++)
		ksm_counts.pages_sharing++;
	else
		ksm_counts.pages_shared++;
}

void ksm_item_untree(struct ksm_item *item)
{
	struct ksm_node *node = item->node;

	if (item->state == KSM_STABLE) {
		item->slot->nr_merged--;
		if (--node->nr)
			ksm_counts.pages_sharing--;
		else
			ksm_counts.pages_shared--;
	} else if (item->state == KSM_UNSTABLE) {
		/* The tree of an older pass has been discarded already. */
		if (item->seq == pass_seq)
			rb_erase(&unstable[item->nid], &item->rb, NULL);
		ksm_counts.pages_unshared--;
	}
	item->state = KSM_IDLE;
}

void ksm_unstable_reset(void)
{
	pass_seq++;
	for (u32 i = 0; i < MMVM_MAX_NODES; i++)
		unstable[i].node = NULL;
}

struct ksm_item *ksm_unstable_search(struct ksm_item *item, struct page *page, struct page **twin)
{
	u32 nid = ksm_tree_of(page);
	struct rb_node *parent = NULL, **link = &unstable[nid].node;

	while (*link) {
		struct ksm_item *other = rb_entry(*link, struct ksm_item, rb);
		struct page *its = ksm_item_page(other);
		int order;

		/* The item's place no longer exists or shares the page already, so it cannot be compared. */
		if (!its)
			return NULL;
		if (its == page) {
			release_page(its);
			return NULL;
		}
		order = ksm_compare(page, its);
		if (!order && ksm_tree_of(its) == nid) {
			*twin = its;
			return other;
		}
		release_page(its);
		if (!order)
			return NULL; /* the page has moved to another node */
		parent = *link;
		link = order < 0 ? &parent->left : &parent->right;
	}
	item->state = KSM_UNSTABLE;
	item->seq = pass_seq;
	item->nid = nid;
	rb_insert(&unstable[nid], &item->rb, parent, link, NULL);
	ksm_counts.pages_unshared++;
	return NULL;
}
