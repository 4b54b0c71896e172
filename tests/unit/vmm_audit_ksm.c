/*
 * The audit of merged pages: one page that two places share, and a node whose page has been freed; then each kind
 * of damage.
 */
#include "audit_plant.h"
#include "mmvm/ksm.h"

#define HERE  10 /* the PTEs of vma[1] that map it */
#define THERE 11

static void build_merged(void)
{
	struct guest *g = im.g;
	struct page *p = page(im.dma);

	memset(frame_ptr(im.dma), 0x5a, 4096);
	p->type = PAGE_KSM;
	p->flags |= 1ull << PG_ksm | 1ull << PG_swapbacked;
	p->mapping = GVA(knode[0]) | MMVM_MAPPING_KSM;
	p->mapcount = 1;
	p->refcount = 2;
	*user_pte(HERE) = *user_pte(THERE) = (uint64_t)im.dma << 12 | P | US;
	g->vma[1].flags |= MMVM_VM_MERGEABLE;
	g->mm.anon += 2;
	level_add(0, NR_ANON_MAPPED, 1);
	list_init(GVA(knodes));
	list_add_tail(GVA(knodes), GVA(knode[0].link));
	list_add_tail(GVA(knodes), GVA(knode[1].link));
	g->knode[0].page = VMEMMAP + im.dma * sizeof(struct page);
	g->knode[0].hash = mmvm_ksm_hash(frame_ptr(im.dma));
	g->knode[0].nr = 2;
	g->knode[1].page = VMEMMAP + im.stack * sizeof(struct page);
	g->knode[1].nr = 1; /* a place that is not known to have gone */
	g->kshared = 2;
	g->ksharing = 1;
	g->root.ksm = (struct mmvm_audit_ksm_layout){
		.nodes_gva = GVA(knodes),
		.shared_gva = GVA(kshared),
		.sharing_gva = GVA(ksharing),
		.link_offset = offsetof(struct knode, link),
		.page_offset = offsetof(struct knode, page),
		.hash_offset = offsetof(struct knode, hash),
		.nr_offset = offsetof(struct knode, nr),
	};
}

static void as_it_should_be(void)
{
	build();
	build_merged();
	CU_ASSERT_EQUAL(run(), 0);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_KSM], 1);
}

#define DAMAGE(name, code)      \
	static void name(void)  \
	{                       \
		build_merged(); \
		code;           \
	}

DAMAGE(d_writable, *user_pte(THERE) |= RW)
DAMAGE(d_not_asked_for, im.g->vma[1].flags &= ~MMVM_VM_MERGEABLE)
DAMAGE(d_changed, frame_ptr(im.dma)[4000] ^= 1)
DAMAGE(d_no_flag, page(im.dma)->flags &= ~(1ull << PG_ksm))
DAMAGE(d_flag_of_another, page(im.anon[1])->flags |= 1ull << PG_ksm)
DAMAGE(d_other_node, page(im.dma)->mapping = GVA(knode[1]) | MMVM_MAPPING_KSM)
DAMAGE(d_no_page, im.g->knode[1].page += 8)
DAMAGE(d_shared, im.g->kshared++)
DAMAGE(d_sharing, im.g->ksharing--)
DAMAGE(d_places, im.g->knode[0].nr++)
DAMAGE(d_list, im.g->knode[0].link.next = 0)
DAMAGE(d_mapcount, page(im.dma)->mapcount--)
DAMAGE(d_refcount, page(im.dma)->refcount = 1)
DAMAGE(d_rss, im.g->mm.anon--)

static const struct damage damages[] = {
	PLANT(d_writable, AUDIT_KSM_PAGE),	  PLANT(d_not_asked_for, AUDIT_KSM_PAGE),
	PLANT(d_changed, AUDIT_KSM_PAGE),	  PLANT(d_no_flag, AUDIT_KSM_PAGE),
	PLANT(d_flag_of_another, AUDIT_KSM_PAGE), PLANT(d_other_node, AUDIT_KSM_PAGE),
	PLANT(d_no_page, AUDIT_KSM_PAGE),	  PLANT(d_shared, AUDIT_KSM_COUNT),
	PLANT(d_sharing, AUDIT_KSM_COUNT),	  PLANT(d_places, AUDIT_KSM_COUNT),
	PLANT(d_list, AUDIT_KSM_COUNT),		  PLANT(d_mapcount, AUDIT_MAPCOUNT),
	PLANT(d_refcount, AUDIT_USED_REFCOUNT),	  PLANT(d_rss, AUDIT_RSS),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"as it should be", as_it_should_be},
		{"findings", findings},
	};

	return plant_run("audit: merged pages", cases, sizeof(cases) / sizeof(cases[0]));
}
