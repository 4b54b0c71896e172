/* The audit of a policy with generations: damage to its lists and to the generations themselves.
 *
 * The usual image, with mglru's lists: generations 5 to 7 of anonymous memory and 6 to 7 of files. Anonymous
 * pages are in turn in generation 5, 6, 7; the file's page is in 6, shared memory's in 7. Lists of
 * generation 8 (of files: 5 and 8) have to be empty. */
#include "audit_plant.h"

#define GENS  4u
#define ANON  0u
#define FILES 1u
#define NR(a) (sizeof(a) / sizeof((a)[0]))

static unsigned int list_of(unsigned int kind, uint64_t seq)
{
	return 1 + kind * GENS + seq % GENS;
}

static void enter(uint32_t pfn, unsigned int list)
{
	page(pfn)->flags &= ~(PAGE_LIST_MASK << PAGE_LIST_SHIFT);
	page(pfn)->flags |= (uint64_t)list << PAGE_LIST_SHIFT;
	list_add_tail(GVA(lruvec.list[0]) + list * sizeof(struct mmvm_list), lru_gva(pfn));
	im.g->lruvec.nr[list]++;
}

/* A page moves; its old list's count is kept right. */
static void move(uint32_t pfn, unsigned int list)
{
	im.g->lruvec.nr[page(pfn)->flags >> PAGE_LIST_SHIFT & PAGE_LIST_MASK]--;
	list_del(lru_gva(pfn));
	enter(pfn, list);
}

static void make_generations(void)
{
	struct mmvm_audit_policy *p = &im.g->root.policy[0];
	const uint64_t active[2] = {im.g->lruvec.nr[2], im.g->lruvec.nr[4]};
	uint64_t held = 0;

	for (unsigned int l = 1; l <= 4; l++) {
		held += im.g->lruvec.nr[l];
		im.g->lruvec.nr[l] = 0;
		list_init(GVA(lruvec.list[0]) + l * sizeof(struct mmvm_list));
	}
	CU_ASSERT_EQUAL_FATAL(held, NR(im.anon) + 2);
	for (unsigned int kind = 0; kind < 2; kind++) {
		level_add(0, NR_ACTIVE_ANON + 2 * kind, -(int64_t)active[kind]);
		level_add(0, NR_INACTIVE_ANON + 2 * kind, (int64_t)active[kind]);
	}
	p->nr_lists = 2 * GENS;
	for (unsigned int l = 0; l < 2 * GENS; l++)
		p->list[l] = (struct mmvm_audit_lru_list){
			.flags_mask = 1ull << PG_unevictable,
			.level = l < GENS ? NR_INACTIVE_ANON : NR_INACTIVE_FILE,
			.kind = l < GENS ? MMVM_LRU_ANON : MMVM_LRU_FILE};
	p->gens = (struct mmvm_audit_gens){.max_gens = GENS,
					   .min_gens = 2,
					   .max_seq_offset = offsetof(struct lruvec, max_seq),
					   .min_seq_offset = offsetof(struct lruvec, min_seq)};
	im.g->lruvec.max_seq = 7;
	im.g->lruvec.min_seq[ANON] = 5;
	im.g->lruvec.min_seq[FILES] = 6;
	for (unsigned int i = 0; i < NR(im.anon); i++)
		enter(im.anon[i], list_of(ANON, 5 + i % 3));
	enter(im.file, list_of(FILES, 6));
	enter(im.shmem, list_of(ANON, 7));
}

static void d_link(void)
{
	make_generations();
	page(im.anon[0])->lru.prev = 0;
}
static void d_head(void)
{
	make_generations();
	im.g->lruvec.list[list_of(ANON, 6)].next = 8;
}
static void d_loop(void)
{
	make_generations();
	page(im.anon[1])->lru.next = lru_gva(im.anon[1]);
}
static void d_wrong_number(void)
{
	make_generations();
	page(im.anon[0])->flags ^= (uint64_t)(list_of(ANON, 5) ^ list_of(ANON, 7))
				   << PAGE_LIST_SHIFT;
}
static void d_file_among_anon(void)
{
	make_generations();
	move(im.file, list_of(ANON, 6));
}
static void d_anon_among_files(void)
{
	make_generations();
	move(im.anon[1], list_of(FILES, 7));
}
static void d_unevictable(void)
{
	make_generations();
	page(im.anon[2])->flags |= 1ull << PG_unevictable;
}
static void d_other_node(void)
{
	make_generations();
	page(im.anon[2])->flags |= 1ull << PAGE_NODE_SHIFT;
}
static void d_not_on_lru(void)
{
	make_generations();
	page(im.anon[2])->flags &= ~(1ull << PG_lru);
}
static void d_on_none(void)
{
	make_generations();
	list_del(lru_gva(im.file));
	im.g->lruvec.nr[list_of(FILES, 6)]--;
	level_add(0, NR_INACTIVE_FILE, -1);
}
static void d_free_page(void)
{
	make_generations();
	enter(im.pcp0, list_of(ANON, 7));
}
static void d_count_of_a_generation(void)
{
	make_generations();
	im.g->lruvec.nr[list_of(ANON, 6)]++;
	im.g->lruvec.nr[list_of(ANON, 7)]--; /* the sum is right */
}
static void d_level(void)
{
	make_generations();
	level_add(0, NR_INACTIVE_FILE, 1);
}
static void d_too_many(void)
{
	make_generations();
	im.g->lruvec.min_seq[ANON] = 3;
}
static void d_too_few(void)
{
	make_generations();
	im.g->lruvec.min_seq[FILES] = 7;
}
static void d_from_the_future(void)
{
	make_generations();
	im.g->lruvec.min_seq[ANON] = 9;
}
static void d_left_behind(void)
{
	make_generations();
	im.g->lruvec.min_seq[ANON] = 6; /* pages of 5 are still there */
}
static void d_file_left_behind(void)
{
	make_generations();
	move(im.file, list_of(FILES, 5));
}
static void d_not_begun(void)
{
	make_generations();
	move(im.anon[0], list_of(ANON, 8));
}
static void d_unreadable(void)
{
	make_generations();
	im.g->root.policy[0].gens.max_seq_offset = 0x7fffff00;
}

static const struct damage damages[] = {
	PLANT(d_link, AUDIT_LRU_LIST),
	PLANT(d_head, AUDIT_LRU_LIST),
	PLANT(d_loop, AUDIT_LRU_LIST),
	PLANT(d_wrong_number, AUDIT_LRU_LIST),
	PLANT(d_file_among_anon, AUDIT_LRU_LIST),
	PLANT(d_anon_among_files, AUDIT_LRU_LIST),
	PLANT(d_unevictable, AUDIT_LRU_LIST),
	PLANT(d_other_node, AUDIT_LRU_LIST),
	PLANT(d_not_on_lru, AUDIT_LRU_LIST),
	PLANT(d_on_none, AUDIT_LRU_LIST),
	PLANT(d_free_page, AUDIT_LRU_LIST),
	PLANT(d_count_of_a_generation, AUDIT_LRU_COUNT),
	PLANT(d_level, AUDIT_LRU_COUNT),
	PLANT(d_too_many, AUDIT_LRU_GEN),
	PLANT(d_too_few, AUDIT_LRU_GEN),
	PLANT(d_from_the_future, AUDIT_LRU_GEN),
	PLANT(d_left_behind, AUDIT_LRU_GEN),
	PLANT(d_file_left_behind, AUDIT_LRU_GEN),
	PLANT(d_not_begun, AUDIT_LRU_GEN),
	PLANT(d_unreadable, AUDIT_LRU_GEN),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void whole_generations_are_no_finding(void)
{
	build();
	make_generations();
	CU_ASSERT_EQUAL(run(), 0);
	/* Four of them: each list is one's. */
	build();
	make_generations();
	im.g->lruvec.min_seq[ANON] = 4;
	move(im.anon[0], list_of(ANON, 4));
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"whole generations are no finding", whole_generations_are_no_finding},
	};

	return plant_run("audit: generations", cases, sizeof(cases) / sizeof(cases[0]));
}
