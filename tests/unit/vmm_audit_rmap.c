/*
 * The audit of the reverse map and of promised memory: each way to be wrong is planted.
 *
 * To the image come, for its first VMA, chains to two anon_vmas; in the tree of the first there is another chain
 * above it. Its second VMA maps the image's file.
 */
#include "audit_plant.h"

#define ACCOUNT	  0x100000ull
#define PROMISED  8u
#define VMA_PAGES 6u
#define FILE_PTE  (8u + 3u) /* in the second VMA */

static uint64_t vma_gva(unsigned int v)
{
	return GVA(vma[0]) + v * sizeof(struct vma);
}

static uint64_t chain_gva(unsigned int c)
{
	return GVA(chain[0]) + c * sizeof(struct chain);
}

static uint64_t chain_rb(unsigned int c)
{
	return chain_gva(c) + offsetof(struct chain, rb);
}

static void lay_out(void)
{
	im.g->root.rmap = (struct mmvm_audit_rmap_layout){
		.vma_pgoff_offset = offsetof(struct vma, pgoff),
		.vma_mapping_offset = offsetof(struct vma, mapping),
		.vma_chains_offset = offsetof(struct vma, chains),
		.vma_node_offset = offsetof(struct vma, rb),
		.vma_last_offset = offsetof(struct vma, last),
		.chain_link_offset = offsetof(struct chain, link),
		.chain_vma_offset = offsetof(struct chain, vma),
		.chain_anon_vma_offset = offsetof(struct chain, anon_vma),
		.chain_node_offset = offsetof(struct chain, rb),
		.chain_last_offset = offsetof(struct chain, last),
		.mapping_root_offset = (uint32_t)(GVA(file_tree) - GVA(file_map)),
	};
	im.g->root.commit = (struct mmvm_audit_commit_layout){
		.total_gva = GVA(committed),
		.promises_gva = GVA(promises),
		.promise_link_offset = offsetof(struct promise, link),
		.promise_pages_offset = offsetof(struct promise, pages),
		.mm_committed_offset = offsetof(struct mm, committed),
		.mapping_promised_flag = PROMISED,
		.vm_account = ACCOUNT,
	};
}

static void add_chain(unsigned int c, unsigned int v, unsigned int anon_vma)
{
	struct guest *g = im.g;

	g->chain[c] = (struct chain){.vma = vma_gva(v),
				     .anon_vma = GVA(anon_vma_tree[0]) + anon_vma * 8,
				     .last = g->vma[v].pgoff + VMA_PAGES - 1};
	list_add_tail(vma_gva(v) + offsetof(struct vma, chains),
		      chain_gva(c) + offsetof(struct chain, link));
}

static void fill(void)
{
	struct guest *g;

	build();
	g = im.g;
	lay_out();
	for (unsigned int v = 0; v < 2; v++)
		list_init(vma_gva(v) + offsetof(struct vma, chains));
	/* Anonymous pages, the first three at their places; what the image has of a file is in the other VMA. */
	g->vma[0].pgoff = 400;
	g->vma[1].pgoff = 67;
	for (unsigned int i = 0; i < 4; i++) {
		page(im.anon[i])->mapping = GVA(anon_vma_tree[0]) | 1;
		page(im.anon[i])->index = 400 + i;
	}
	g->vma[1].mapping = GVA(file_map);
	*user_pte(FILE_PTE) = *user_pte(4);
	*user_pte(4) = 0;

	/* The tree of anon_vma 0: at its root the second VMA's chain, which begins earlier, and on its right ours. */
	add_chain(0, 0, 0);
	add_chain(1, 0, 1);
	add_chain(2, 1, 0);
	g->chain[2].last = g->chain[0].last;
	g->anon_vma_tree[0] = chain_rb(2);
	g->chain[2].rb.right = chain_rb(0);
	g->chain[2].rb.parent = 1; /* black */
	g->chain[0].rb.parent = chain_rb(2);
	g->anon_vma_tree[1] = chain_rb(1);
	g->vma[1].last = g->vma[1].pgoff + VMA_PAGES - 1;
	g->file_tree = vma_gva(1) + offsetof(struct vma, rb);

	/* Promises: the first VMA's six pages, an object of 40, one page of shared memory and one in swap. */
	g->vma[0].flags |= ACCOUNT;
	g->mm.committed = VMA_PAGES;
	list_init(GVA(promises));
	list_add_tail(GVA(promises), GVA(promise[0].link));
	g->promise[0].pages = 40;
	g->committed = VMA_PAGES + 40 + 2;
}

/* ---- the reverse map ---- */

static void d_page_of_another_family(void)
{
	fill();
	page(im.anon[1])->mapping = GVA(anon_vma_tree[1]) + 4096 + 1;
}
static void d_page_without_family(void)
{
	fill();
	page(im.anon[1])->mapping = 0;
}
static void d_chain_of_the_page_is_gone(void)
{
	fill();
	/* Only the second one is left on the VMA's list. */
	im.g->vma[0].chains.next = im.g->vma[0].chains.prev =
		chain_gva(1) + offsetof(struct chain, link);
	im.g->chain[1].link.next = im.g->chain[1].link.prev =
		vma_gva(0) + offsetof(struct vma, chains);
}
static void d_page_at_another_index(void)
{
	fill();
	page(im.anon[2])->index++;
}
static void d_vma_begins_elsewhere(void)
{
	fill();
	im.g->vma[0].pgoff++;
}
static void d_chain_names_another_vma(void)
{
	fill();
	im.g->chain[1].vma = vma_gva(1);
}
static void d_chain_left_its_tree(void)
{
	fill();
	im.g->chain[2].rb.right = 0;
}
static void d_tree_forgot_its_root(void)
{
	fill();
	im.g->anon_vma_tree[1] = 0;
}
static void d_tree_does_not_reach_so_far(void)
{
	fill();
	im.g->chain[2].last--;
}
static void d_chain_on_the_wrong_side(void)
{
	fill();
	im.g->chain[2].rb.left = im.g->chain[2].rb.right;
	im.g->chain[2].rb.right = 0;
}
static void d_chain_unreadable(void)
{
	fill();
	im.g->chain[0].rb.parent = 0xdead000000001000ull;
}
static void d_chains_broken(void)
{
	fill();
	im.g->chain[0].link.prev = 0;
}
static void d_loop_of_parents(void)
{
	fill();
	im.g->chain[2].rb.parent = chain_rb(0);
	im.g->chain[2].rb.left = chain_rb(0);
	im.g->chain[0].rb.left = chain_rb(2);
}
static void d_vma_not_in_its_file(void)
{
	fill();
	im.g->file_tree = 0;
}
static void d_page_of_another_file(void)
{
	fill();
	im.g->vma[1].mapping = GVA(shm_map);
}
static void d_file_page_at_another_place(void)
{
	fill();
	im.g->vma[1].pgoff--;
	im.g->vma[1].last--;
}

/* ---- promises ---- */

static void d_mm_promised_too_much(void)
{
	fill();
	im.g->mm.committed++;
}
static void d_vma_counts_for_nobody(void)
{
	fill();
	im.g->vma[1].flags |= ACCOUNT;
}
static void d_total_only_grows(void)
{
	fill();
	im.g->committed++;
}
static void d_promise_forgotten(void)
{
	fill();
	list_init(GVA(promises));
}
static void d_covered_pages_counted_twice(void)
{
	fill();
	im.g->shm_map.flags |= PROMISED;
}
static void d_promises_broken(void)
{
	fill();
	im.g->promise[0].link.prev = 0;
}
static void d_total_unreadable(void)
{
	fill();
	im.g->root.commit.total_gva = 0xdead000000001000ull;
}

static const struct damage damages[] = {
	PLANT(d_page_of_another_family, AUDIT_RMAP),
	PLANT(d_page_without_family, AUDIT_RMAP),
	PLANT(d_chain_of_the_page_is_gone, AUDIT_RMAP),
	PLANT(d_page_at_another_index, AUDIT_RMAP),
	PLANT(d_vma_begins_elsewhere, AUDIT_RMAP),
	PLANT(d_chain_names_another_vma, AUDIT_RMAP),
	PLANT(d_chain_left_its_tree, AUDIT_RMAP),
	PLANT(d_tree_forgot_its_root, AUDIT_RMAP),
	PLANT(d_tree_does_not_reach_so_far, AUDIT_RMAP),
	PLANT(d_chain_on_the_wrong_side, AUDIT_RMAP),
	PLANT(d_chain_unreadable, AUDIT_RMAP),
	PLANT(d_chains_broken, AUDIT_RMAP),
	PLANT(d_loop_of_parents, AUDIT_BUDGET),
	PLANT(d_vma_not_in_its_file, AUDIT_RMAP),
	PLANT(d_page_of_another_file, AUDIT_RMAP),
	PLANT(d_file_page_at_another_place, AUDIT_RMAP),
	PLANT(d_mm_promised_too_much, AUDIT_COMMITTED),
	PLANT(d_vma_counts_for_nobody, AUDIT_COMMITTED),
	PLANT(d_total_only_grows, AUDIT_COMMITTED),
	PLANT(d_promise_forgotten, AUDIT_COMMITTED),
	PLANT(d_covered_pages_counted_twice, AUDIT_COMMITTED),
	PLANT(d_promises_broken, AUDIT_COMMITTED),
	PLANT(d_total_unreadable, AUDIT_COMMITTED),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void what_is_right(void)
{
	fill();
	CU_ASSERT_EQUAL(run(), 0);
	audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"what is right", what_is_right},
		{"findings", findings},
	};

	return plant_run("audit: reverse map, promises", cases, sizeof(cases) / sizeof(cases[0]));
}
