/*
 * Pools of huge pages.
 *
 *   buddy, memblock ──> pool: free list ──take──> file or private mapping ──last reference──> pool
 *                          │                                                     └─ surplus ──> buddy
 *                          └ `resv` of the free pages are promised to mappings that have not touched
 *                            them yet
 *
 * H1  resv <= free, so every promise can be kept. A caller without a promise gets a page only while free > resv.
 * H2  nr = free + pages in use; surplus of them came from the buddy on demand and return there when
 *     they are freed; nr - surplus is what nr_hugepages says.
 *     nr, free and surplus are the sums of the nodes' counts.
 * H3  A free page of the pool is PAGE_HUGETLB, has no reference, and is on the free list of its
 *     hstate; one in use has references and is on none.
 *
 * Locks: hugetlb_lock for counts and lists; pool_mutex while a pool changes its size.
 */
#include "mm/huge/hugetlb.h"
#include "mmvm/audit.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/init.h"
#include "mm/phys/alloc.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"
#include "mm/phys/zone.h"

struct hstate hstates[MAX_HSTATES] = {
	{.order = 9, .name = "hugepages-2048kB", .free_list = LIST_HEAD_INIT(hstates[0].free_list)},
	{.order = 18,
	 .name = "hugepages-1048576kB",
	 .free_list = LIST_HEAD_INIT(hstates[1].free_list)},
};
unsigned int nr_hstates = 1;
struct hstate *default_hstate = &hstates[0];

static spinlock_t hugetlb_lock = SPINLOCK_INIT;
static struct mutex pool_mutex = MUTEX_INIT(pool_mutex);

struct hstate *size_to_hstate(u64 bytes)
{
	for (unsigned int i = 0; i < nr_hstates; i++)
		if (hstate_size(&hstates[i]) == bytes)
			return &hstates[i];
	return NULL;
}

struct hstate *hstate_of_log(unsigned int log2_bytes)
{
	if (!log2_bytes)
		return default_hstate;
	return log2_bytes < 64 ? size_to_hstate(1ull << log2_bytes) : NULL;
}

struct hstate *page_hstate(const struct page *head)
{
	return head->order == hstates[0].order ? &hstates[0] : &hstates[1];
}

static bool gigantic(const struct hstate *h)
{
	return h->order > MAX_ORDER;
}

/* ---- pages from elsewhere, and back ---- */

/* A new page for the pool, with no reference; NULL if there is none. May sleep. */
static struct page *fresh_page(struct hstate *h, gfp_t how, unsigned int nid, u32 nodes)
{
	struct page *page;

	if (gigantic(h))
		return hugetlb_alloc_gigantic(h->order);
	page = alloc_pages_where(GFP_HIGHUSER | __GFP_COMP | __GFP_NOWARN | how, h->order,
				 PAGE_HUGETLB, nid, nodes);
	if (page)
		page->refcount = 0;
	return page;
}

/* Return a page to the buddy. It has no reference and is on no list. */
static void release_page_of(struct hstate *h, struct page *head)
{
	head->private_ = 0;
	head->mapping = NULL;
	if (!gigantic(h)) {
		head->refcount = 1;
		head->type = PAGE_OTHER;
		__free_pages(head, h->order);
		return;
	}
	hugetlb_free_gigantic(head, h->order);
}

/* hugetlb_lock held. */
static void enqueue(struct hstate *h, struct page *head)
{
	head->private_ = 0;
	head->mapping = NULL;
	list_add(&head->lru, &h->free_list);
	h->free++;
	h->free_node[page_node_id(head)]++;
}

/* hugetlb_lock held: the pool has n pages more on the node, of which `surplus` are surplus. */
static void count_pages(struct hstate *h, unsigned int nid, s64 n, s64 surplus)
{
	h->nr += n;
	h->nr_node[nid] += n;
	h->surplus += surplus;
	h->surplus_node[nid] += surplus;
}

void hugetlb_add_to_pool(struct hstate *h, struct page *head)
{
	spin_lock(&hugetlb_lock);
	count_pages(h, page_node_id(head), 1, 0);
	enqueue(h, head);
	spin_unlock(&hugetlb_lock);
}

/* The reverse of enqueue(). */
static void take_off(struct hstate *h, struct page *head)
{
	list_del(&head->lru);
	h->free--;
	h->free_node[page_node_id(head)]--;
}

/* Take a free page of a node of the set off its list. NULL: there is none. hugetlb_lock held. */
static struct page *dequeue(struct hstate *h, u32 nodes)
{
	struct page *head;

	list_for_each_entry (head, &h->free_list, lru) {
		if (!(nodes & 1u << page_node_id(head)))
			continue;
		take_off(h, head);
		return head;
	}
	return NULL;
}

static struct page *dequeue_near(struct hstate *h, unsigned int nid, u32 nodes)
{
	struct page *head = h->free_node[nid] ? dequeue(h, nodes & 1u << nid) : NULL;

	return head ? head : dequeue(h, nodes);
}

/* ---- taking and giving back ---- */

/* Allocate a surplus page, if nr_overcommit allows one. It is counted, and on no list. */
static struct page *alloc_surplus(struct hstate *h, unsigned int nid, u32 nodes)
{
	struct page *head;

	spin_lock(&hugetlb_lock);
	if (gigantic(h) || h->surplus >= h->nr_overcommit) {
		spin_unlock(&hugetlb_lock);
		return NULL;
	}
	spin_unlock(&hugetlb_lock);
	head = fresh_page(h, __GFP_RETRY_MAYFAIL, nid, nodes);
	if (!head)
		return NULL;
	spin_lock(&hugetlb_lock);
	if (h->surplus >= h->nr_overcommit) {
		/* Other threads have used up nr_overcommit in the meantime. */
		spin_unlock(&hugetlb_lock);
		release_page_of(h, head);
		return NULL;
	}
	count_pages(h, page_node_id(head), 1, 1);
	spin_unlock(&hugetlb_lock);
	return head;
}

struct page *hugetlb_take_page(struct hstate *h, bool reserved, unsigned int nid, u32 nodes)
{
	struct page *head = NULL;

	spin_lock(&hugetlb_lock);
	if (reserved || h->free > h->resv)
		head = dequeue_near(h, nid, nodes);
	VM_BUG_ON(reserved && !head && nodes == ~0u); /* H1 */
	if (head && reserved)
		h->resv--;
	spin_unlock(&hugetlb_lock);
	if (!head) {
		head = alloc_surplus(h, nid, nodes);
		if (!head)
			return NULL;
		/* The page is promised, but these nodes have no free one: a surplus page keeps the promise. */
		if (reserved) {
			spin_lock(&hugetlb_lock);
			h->resv--;
			spin_unlock(&hugetlb_lock);
		}
	}
	WRITE_ONCE(head->refcount, 1);
	return head;
}

struct page *hugetlb_take_target(struct hstate *h, int nid, bool *fresh)
{
	struct page *head = NULL;

	*fresh = false;
	spin_lock(&hugetlb_lock);
	if (h->free > h->resv)
		head = dequeue(h, 1u << nid);
	spin_unlock(&hugetlb_lock);
	/* A block larger than the buddy's is made where memory can be moved away, whatever the node. */
	if (!head && !gigantic(h)) {
		*fresh = true;
		head = fresh_page(h, __GFP_THISNODE | __GFP_RETRY_MAYFAIL, nid, 1u << nid);
		if (head)
			head->private_ = 0;
	}
	if (head)
		WRITE_ONCE(head->refcount, 1);
	return head;
}

struct page *hugetlb_new_frame(struct hstate *h, int nid)
{
	struct page *head = fresh_page(h, __GFP_RETRY_MAYFAIL, nid, ~0u);

	if (head) {
		head->private_ = 0;
		WRITE_ONCE(head->refcount, 1);
	}
	return head;
}

/* hugetlb_lock held: the pool has a page of node `to` instead of one of `from`. */
static void count_exchange(struct hstate *h, unsigned int from, unsigned int to)
{
	/* Any page of the node may stand for its surplus (hugetlb_free_page()). */
	const s64 surplus = h->surplus_node[from] ? 1 : 0;

	count_pages(h, to, 1, surplus);
	count_pages(h, from, -1, -surplus);
}

void hugetlb_drop_frame(struct hstate *h, struct page *head, const struct page *instead)
{
	if (instead) {
		spin_lock(&hugetlb_lock);
		count_exchange(h, page_node_id(head), page_node_id(instead));
		spin_unlock(&hugetlb_lock);
	}
	WRITE_ONCE(head->refcount, 0);
	release_page_of(h, head);
}

/* Is the page on a free list? A page that is being given out has no reference yet either, but is on no list.
 * hugetlb_lock held. */
static bool is_free(const struct hstate *h, const struct page *head)
{
	const struct page *p;

	list_for_each_entry (p, &h->free_list, lru)
		if (p == head)
			return true;
	return false;
}

void hugetlb_replace_free(struct page *head, pfn_t start, pfn_t end)
{
	struct hstate *h = &hstates[0];
	struct page *new = fresh_page(h, __GFP_RETRY_MAYFAIL, page_node_id(head), ~0u), *gone = new;

	if (!new)
		return;
	spin_lock(&hugetlb_lock);
	if ((page_to_pfn(new) < start || page_to_pfn(new) >= end) && is_free(h, head)) {
		take_off(h, head);
		count_exchange(h, page_node_id(head), page_node_id(new));
		enqueue(h, new);
		gone = head;
	}
	spin_unlock(&hugetlb_lock);
	release_page_of(h, gone);
}

void hugetlb_free_page(struct page *head)
{
	struct hstate *h = page_hstate(head);
	struct hugepage_subpool *spool = (void *)(head->private_ & ~HUGETLB_RESTORE_RESERVE);
	bool restore = hugetlb_page_restores(head), gone;
	unsigned int nid = page_node_id(head);

	if (unlikely(hugetlb_mapcount(head)))
		bad_page(head, "huge page freed while mapped");
	/* A mount with min_size keeps the promise. */
	if (!restore && spool)
		restore = !hugepage_subpool_return(spool, 1);
	spin_lock(&hugetlb_lock);
	/* Any page of the node may stand for its surplus: what counts is the number. A page that a promise needs
	 * stays in the pool. */
	gone = h->surplus_node[nid] && !restore;
	if (gone) {
		count_pages(h, nid, -1, -1);
	} else {
		h->resv += restore;
		enqueue(h, head);
	}
	spin_unlock(&hugetlb_lock);
	if (gone)
		release_page_of(h, head);
	if (spool)
		hugepage_subpool_put(spool);
}

/* ---- promises ---- */

/* Make free - resv at least `delta`. hugetlb_lock held, dropped and taken again. */
static int gather_surplus(struct hstate *h, u64 delta)
{
	while (h->free < h->resv + delta) {
		struct page *head;

		spin_unlock(&hugetlb_lock);
		head = alloc_surplus(h, numa_node_id(), ~0u);
		spin_lock(&hugetlb_lock);
		if (!head)
			return -ENOMEM;
		enqueue(h, head);
	}
	return 0;
}

static u32 nodes_with_surplus(const struct hstate *h)
{
	u32 nodes = 0;

	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		nodes |= h->surplus_node[nid] ? 1u << nid : 0;
	return nodes;
}

/* Move the free surplus pages that are not promised to `out`. hugetlb_lock held. */
static void trim_surplus(struct hstate *h, struct list_head *out)
{
	while (h->surplus && h->free > h->resv) {
		struct page *head = dequeue(h, nodes_with_surplus(h));

		if (!head)
			break;
		count_pages(h, page_node_id(head), -1, -1);
		list_add(&head->lru, out);
	}
}

static void release_list(struct hstate *h, struct list_head *pages)
{
	struct page *head, *n;

	list_for_each_entry_safe (head, n, pages, lru) {
		list_del(&head->lru);
		release_page_of(h, head);
	}
}

int hugetlb_acct_memory(struct hstate *h, s64 delta)
{
	LIST_HEAD(gone);
	int err = 0;

	if (!delta)
		return 0;
	spin_lock(&hugetlb_lock);
	if (delta > 0) {
		err = gather_surplus(h, delta);
		if (!err)
			h->resv += delta;
	} else {
		VM_BUG_ON(h->resv < (u64)-delta);
		h->resv += delta;
	}
	if (err || delta < 0)
		trim_surplus(h, &gone);
	spin_unlock(&hugetlb_lock);
	release_list(h, &gone);
	return err;
}

/* ---- the size of the pool ---- */

/* Pages of these nodes without their surplus: what nr_hugepages says. */
static u64 persistent(const struct hstate *h, u32 nodes)
{
	u64 n = 0;

	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		if (nodes & 1u << nid)
			n += h->nr_node[nid] - h->surplus_node[nid];
	return n;
}

/* A new page, from the nodes with memory in turn. NULL: no node has one. */
static struct page *fresh_page_in_turn(struct hstate *h, u32 nodes)
{
	static unsigned int turn; /* pool_mutex */

	nodes &= memory_nodes;
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		unsigned int nid = turn++ % MMVM_MAX_NODES;
		struct page *head;

		if (!(nodes & 1u << nid))
			continue;
		head = fresh_page(h, __GFP_RETRY_MAYFAIL, nid, 1u << nid);
		if (!head)
			continue;
		if (nodes & 1u << page_node_id(head))
			return head;
		release_page_of(h, head); /* a gigantic page may come from another node */
	}
	return NULL;
}

static void grow(struct hstate *h, u64 count, u32 nodes)
{
	spin_lock(&hugetlb_lock);
	/* First surplus pages become permanent pages of the pool. */
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		while (nodes & 1u << nid && h->surplus_node[nid] && persistent(h, nodes) < count)
			count_pages(h, nid, 0, -1);
	while (persistent(h, nodes) < count) {
		struct page *head;

		spin_unlock(&hugetlb_lock);
		head = current_thread_info()->flags & TIF_KILLED ? NULL
								 : fresh_page_in_turn(h, nodes);
		spin_lock(&hugetlb_lock);
		if (!head)
			break;
		count_pages(h, page_node_id(head), 1, 0);
		enqueue(h, head);
	}
	spin_unlock(&hugetlb_lock);
}

static void shrink(struct hstate *h, u64 count, u32 nodes)
{
	LIST_HEAD(gone);

	spin_lock(&hugetlb_lock);
	/* Pages that are in use or promised cannot be freed now. They become surplus and leave the pool when they
	 * are freed. */
	while (persistent(h, nodes) > count && h->free > h->resv + h->surplus) {
		struct page *head = dequeue(h, nodes);

		if (!head)
			break;
		count_pages(h, page_node_id(head), -1, 0);
		list_add(&head->lru, &gone);
	}
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		while (nodes & 1u << nid && h->nr_node[nid] > h->surplus_node[nid] &&
		       persistent(h, nodes) > count)
			count_pages(h, nid, 0, 1);
	spin_unlock(&hugetlb_lock);
	release_list(h, &gone);
}

static int set_pool(struct hstate *h, u64 count, u32 nodes)
{
	mutex_lock(&pool_mutex);
	if (count > persistent(h, nodes))
		grow(h, count, nodes);
	else
		shrink(h, count, nodes);
	h->max_huge_pages = persistent(h, ~0u);
	mutex_unlock(&pool_mutex);
	return 0;
}

int hugetlb_set_pool(struct hstate *h, u64 count)
{
	return set_pool(h, count, ~0u);
}

int hugetlb_set_pool_node(struct hstate *h, unsigned int nid, u64 count)
{
	return set_pool(h, count, 1u << nid);
}

int hugetlb_set_overcommit(struct hstate *h, u64 count)
{
	if (gigantic(h))
		return -EINVAL;
	spin_lock(&hugetlb_lock);
	h->nr_overcommit = count;
	spin_unlock(&hugetlb_lock);
	return 0;
}

/* ---- for the audit ---------------------------------------------------------------------------- */

LIST_HEAD(hugetlb_files);    /* hugetlb_lock */
LIST_HEAD(hugetlb_subpools); /* hugetlb_lock */

void hugetlb_list_add(struct list_head *link, struct list_head *list)
{
	spin_lock(&hugetlb_lock);
	list_add_tail(link, list);
	spin_unlock(&hugetlb_lock);
}

void hugetlb_list_del(struct list_head *link)
{
	spin_lock(&hugetlb_lock);
	list_del(link);
	spin_unlock(&hugetlb_lock);
}

void hugetlb_audit_layout(struct mmvm_audit_hugetlb_layout *l)
{
	*l = (struct mmvm_audit_hugetlb_layout){
		.hstates_gva = (u64)(unsigned long)hstates,
		.nr_hstates = nr_hstates,
		.hstate_stride = sizeof(struct hstate),
		.order_offset = offsetof(struct hstate, order),
		.free_list_offset = offsetof(struct hstate, free_list),
		.nr_offset = offsetof(struct hstate, nr),
		.free_offset = offsetof(struct hstate, free),
		.resv_offset = offsetof(struct hstate, resv),
		.surplus_offset = offsetof(struct hstate, surplus),
		.nr_node_offset = offsetof(struct hstate, nr_node),
		.free_node_offset = offsetof(struct hstate, free_node),
		.surplus_node_offset = offsetof(struct hstate, surplus_node),
		.files_gva = (u64)(unsigned long)&hugetlb_files,
		.subpools_gva = (u64)(unsigned long)&hugetlb_subpools,
		.file_link_offset = offsetof(struct hugetlb_file, link),
		.file_hstate_offset = offsetof(struct hugetlb_file, h),
		.file_resv_offset = offsetof(struct hugetlb_file, resv),
		.file_mapping_offset = offsetof(struct hugetlb_file, mapping),
		.subpool_link_offset = offsetof(struct hugepage_subpool, link),
		.subpool_hstate_offset = offsetof(struct hugepage_subpool, h),
		.subpool_reserved_offset = offsetof(struct hugepage_subpool, reserved),
		.vma_resv_offset = offsetof(struct vm_area_struct, resv),
		.vma_mapping_offset = offsetof(struct vm_area_struct, mapping),
		.vma_pgoff_offset = offsetof(struct vm_area_struct, pgoff),
		.mapping_file_offset = offsetof(struct address_space, private_),
	};
	hugetlb_audit_resv_layout(l);
}

/* ---- reports ---------------------------------------------------------------------------------- */

u64 hugetlb_total_pages(void)
{
	u64 pages = 0;

	for (unsigned int i = 0; i < nr_hstates; i++)
		pages += READ_ONCE(hstates[i].nr) << hstates[i].order;
	return pages;
}

void hugetlb_report_meminfo(struct report *r)
{
	const struct hstate *d = default_hstate;
	u64 kb = 0;

	for (unsigned int i = 0; i < nr_hstates; i++)
		kb += hstates[i].nr * (hstate_size(&hstates[i]) >> 10);
	report_printf(r, "HugePages_Total:   %5lu\n", (unsigned long)d->nr);
	report_printf(r, "HugePages_Free:    %5lu\n", (unsigned long)d->free);
	report_printf(r, "HugePages_Rsvd:    %5lu\n", (unsigned long)d->resv);
	report_printf(r, "HugePages_Surp:    %5lu\n", (unsigned long)d->surplus);
	report_printf(r, "Hugepagesize:   %8lu kB\n", (unsigned long)(hstate_size(d) >> 10));
	report_printf(r, "Hugetlb:        %8lu kB\n", (unsigned long)kb);
}
