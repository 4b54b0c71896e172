/*
 * NUMA policies on the host: which are accepted, where pages come from under each mode, mbind() on VMAs that
 * split and merge, and moves between nodes. There are three nodes; CPU 0 is on node 0.
 */
#include "unit.h"
#include "mm_user.h"
#include "mm/numa/mempolicy.h"

#define N 32ul

static struct nodemask set(u64 nodes)
{
	return (struct nodemask){.bits = {nodes}};
}

static int try_new(u16 mode, u16 flags, u64 nodes, struct mempolicy **pol)
{
	struct nodemask mask = set(nodes);

	return mpol_new(mode, flags, &mask, pol);
}

static int outcome(u16 mode, u16 flags, u64 nodes)
{
	struct mempolicy *pol;
	int err = try_new(mode, flags, nodes, &pol);

	CU_ASSERT(!err || !pol);
	mpol_put(pol);
	return err;
}

static void what_is_accepted(void)
{
	struct mempolicy *pol, *other;
	struct nodemask far = {.bits = {[15] = 1ull << 63}};
	char text[96];
	u16 mode, flags;

	CU_ASSERT_EQUAL(outcome(MPOL_DEFAULT, 0, 0), 0);
	CU_ASSERT_EQUAL(outcome(MPOL_DEFAULT, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(outcome(MPOL_BIND, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(outcome(MPOL_BIND, 0, 8), -EINVAL); /* no such node */
	CU_ASSERT_EQUAL(outcome(MPOL_BIND, 0, 9), 0);	    /* one of them is there */
	CU_ASSERT_EQUAL(outcome(MPOL_LOCAL, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(outcome(MPOL_PREFERRED, MPOL_F_STATIC_NODES, 0), -EINVAL);
	CU_ASSERT_EQUAL(mpol_parse_mode(MPOL_MAX, &mode, &flags), -EINVAL);
	CU_ASSERT_EQUAL(mpol_parse_mode(MPOL_BIND | MPOL_MODE_FLAGS, &mode, &flags), -EINVAL);
	CU_ASSERT_EQUAL(mpol_parse_mode(MPOL_INTERLEAVE | MPOL_F_NUMA_BALANCING, &mode, &flags),
			-EINVAL);
	/* The last bit of the largest set counts round the nodes that there are: 1023 % 3 = 0. */
	CU_ASSERT_EQUAL(mpol_new(MPOL_BIND, MPOL_F_RELATIVE_NODES, &far, &pol), 0);
	CU_ASSERT_EQUAL(pol->nodes, 1);
	mpol_put(pol);
	CU_ASSERT_EQUAL(try_new(MPOL_BIND, MPOL_F_STATIC_NODES, 0xd, &pol), 0);
	CU_ASSERT_EQUAL(pol->nodes, 5);
	CU_ASSERT_EQUAL(mpol_shown_nodes(pol), 0xd);
	mpol_to_text(text, sizeof(text), pol);
	CU_ASSERT_STRING_EQUAL(text, "bind=static:0,2");
	CU_ASSERT_EQUAL(try_new(MPOL_BIND, MPOL_F_STATIC_NODES, 0x5, &other), 0);
	CU_ASSERT(!mpol_equal(pol, other));
	mpol_put(other);
	CU_ASSERT_EQUAL(try_new(MPOL_BIND, MPOL_F_STATIC_NODES, 0xd, &other), 0);
	CU_ASSERT(mpol_equal(pol, other));
	mpol_put(other);
	mpol_put(pol);
	mpol_to_text(text, sizeof(text), NULL);
	CU_ASSERT_STRING_EQUAL(text, "default");
}

static unsigned int take(void)
{
	struct page *p = alloc_page(GFP_KERNEL);
	unsigned int nid = page_node_id(p);

	__free_page(p);
	return nid;
}

static void a_threads_policy(void)
{
	struct mempolicy *pol;

	CU_ASSERT_EQUAL(try_new(MPOL_INTERLEAVE, 0, 7, &pol), 0);
	mempolicy_set_task(pol);
	for (unsigned int i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(mempolicy_next_node(pol), i % 3);
		CU_ASSERT_EQUAL(take(), i % 3);
	}
	mempolicy_set_weight(1, 3);
	CU_ASSERT_EQUAL(try_new(MPOL_WEIGHTED_INTERLEAVE, 0, 6, &pol), 0);
	mempolicy_set_task(pol);
	for (unsigned int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(take(), i % 4 == 3 ? 2 : 1);
	mempolicy_set_weight(1, 0);
	CU_ASSERT_EQUAL(try_new(MPOL_BIND, 0, 4, &pol), 0);
	mempolicy_set_task(pol);
	CU_ASSERT_EQUAL(take(), 2);
	/* Not for who may not sleep, nor where only the named node will do. */
	{
		struct page *p = alloc_page(GFP_ATOMIC);

		CU_ASSERT_EQUAL(page_node_id(p), 0);
		__free_page(p);
		p = alloc_pages_node(1, GFP_KERNEL | __GFP_THISNODE, 0);
		CU_ASSERT_EQUAL(page_node_id(p), 1);
		__free_page(p);
		/* The zone is not on the nodes that are allowed: the policy does not hold. */
		p = alloc_page(GFP_KERNEL | GFP_DMA);
		CU_ASSERT_EQUAL(page_node_id(p), 0);
		__free_page(p);
	}
	/* Also where nothing is counted, and the short way is open. */
	numa_stat = 0;
	numa_stat_changed();
	CU_ASSERT_EQUAL(take(), 2);
	numa_stat = 1;
	numa_stat_changed();
	mempolicy_set_task(NULL);
	CU_ASSERT_EQUAL(take(), 0);
}

static unsigned long on(struct mm_struct *mm, unsigned long at, unsigned long pages, int nid)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < pages; i++)
		n += page_node_at(mm, at + i * PAGE_SIZE) == nid;
	return n;
}

static long bind(struct mm_struct *mm, unsigned long at, unsigned long pages, u16 mode, u64 nodes,
		 unsigned int move)
{
	struct nodemask mask = set(nodes);

	return do_mbind(mm, at, pages * PAGE_SIZE, mode, 0, &mask, move);
}

static void a_mappings_policy(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = do_mmap(mm, 0, N * PAGE_SIZE, RW, PRIVATE, 0);
	u64 v;

	CU_ASSERT_EQUAL(bind(mm, at, N, MPOL_BIND, 4, 0), 0);
	CU_ASSERT(find_vma(mm, at)->policy_held);
	for (unsigned long i = 0; i < N; i++)
		CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE, i));
	CU_ASSERT_EQUAL(on(mm, at, N, 2), N);
	/* Cut in the middle: one page elsewhere, and back. */
	CU_ASSERT_EQUAL(bind(mm, at + 5 * PAGE_SIZE, 1, MPOL_BIND, 2, MPOL_MF_MOVE), 0);
	CU_ASSERT_EQUAL(page_node_at(mm, at + 5 * PAGE_SIZE), 1);
	CU_ASSERT_EQUAL(mm->map_count, 3);
	CU_ASSERT_EQUAL(bind(mm, at, N, MPOL_BIND, 4, MPOL_MF_STRICT), -EIO);
	child = dup_mm(mm);
	CU_ASSERT(mpol_equal(find_vma(child, at)->policy, find_vma(mm, at)->policy));
	/* What two map stays, unless all is asked for. */
	CU_ASSERT_EQUAL(bind(mm, at, N, MPOL_BIND, 4, MPOL_MF_MOVE), 0);
	CU_ASSERT_EQUAL(page_node_at(mm, at + 5 * PAGE_SIZE), 1);
	CU_ASSERT(!find_vma(mm, at)->policy_held);
	CU_ASSERT_EQUAL(bind(mm, at, N, MPOL_BIND, 4, MPOL_MF_MOVE_ALL | MPOL_MF_STRICT), 0);
	CU_ASSERT_EQUAL(on(mm, at, N, 2), N);
	CU_ASSERT(find_vma(mm, at)->policy_held);
	CU_ASSERT_EQUAL(mm->map_count, 1);
	mmput(child);
	for (unsigned long i = 0; i < N; i++)
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i);
	CU_ASSERT_EQUAL(do_migrate_pages(mm, 4, 1, MIGRATE_OWN), 0);
	CU_ASSERT_EQUAL(on(mm, at, N, 0), N);
	CU_ASSERT(!find_vma(mm, at)->policy_held);
	mmput(mm);
	check_all();
}

static void errors(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, N * PAGE_SIZE, RW, PRIVATE, 0);
	struct mempolicy *pol;

	CU_ASSERT_EQUAL(bind(mm, at + 1, 1, MPOL_BIND, 1, 0), -EINVAL);
	CU_ASSERT_EQUAL(bind(mm, at + N * PAGE_SIZE, 1, MPOL_BIND, 1, 0), -EFAULT);
	CU_ASSERT_EQUAL(bind(mm, at, N + 1, MPOL_BIND, 1, 0), -EFAULT);
	CU_ASSERT_EQUAL(do_set_home_node(mm, at, PAGE_SIZE, 1), -ENOENT);
	CU_ASSERT_EQUAL(do_set_home_node(mm, at, PAGE_SIZE, 3), -EINVAL);
	CU_ASSERT_EQUAL(bind(mm, at, N, MPOL_PREFERRED, 1, 0), 0);
	CU_ASSERT_EQUAL(do_set_home_node(mm, at, PAGE_SIZE, 1), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(mempolicy_at(mm, 0, &pol), -EFAULT);
	CU_ASSERT_EQUAL(page_node_at(mm, at), -EFAULT);
	/* Every allocation of a call may fail. */
	for (u64 k = 1; k < 8; k++) {
		alloc_fail_nth(k);
		bind(mm, at + k * PAGE_SIZE, 1, MPOL_BIND, 2, MPOL_MF_MOVE);
		alloc_fail_nth(0);
	}
	mmput(mm);
	check_all();
}

int main(void)
{
	static const struct host_region region[] = {
		{0, 24 * MIB, 0}, {24 * MIB, 16 * MIB, 1}, {40 * MIB, 16 * MIB, 2}};
	static const struct unit_case cases[] = {
		{"what_is_accepted", what_is_accepted},
		{"a_threads_policy", a_threads_policy},
		{"a_mappings_policy", a_mappings_policy},
		{"errors", errors},
	};

	host_boot(region, 3, "debug_vm");
	mm_init();
	return unit_run("numa", cases, sizeof(cases) / sizeof(cases[0]));
}
