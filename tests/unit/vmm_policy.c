/*
 * The simulator of policies: strings whose misses are known, the bounds that OPT sets, and that the
 * guest's own policies run over any string and memory.
 */
#include <stdlib.h>
#include "../host/unit.h"
#include "policy/policy.h"

static struct ref_string refs;

static uint64_t misses(const char *policy, uint32_t memory)
{
	struct policy_result r;

	CU_ASSERT_EQUAL(policy_run(policy, &refs, memory, &r), 0);
	CU_ASSERT(r.evictions >= r.misses);
	return r.misses;
}

static void begin(uint32_t pages)
{
	refs_free(&refs);
	refs.nr_pages = pages;
}

/* Silberschatz's string: 7 0 1 2 0 3 0 4 2 3 0 3 2 1 2 0 1 7 0 1, three frames: 15 faults with FIFO,
 * 12 with LRU, 9 with OPT; six of each are first touches. */
static void textbook(void)
{
	static const uint32_t s[] = {7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1};

	begin(8);
	for (unsigned int i = 0; i < sizeof(s) / sizeof(s[0]); i++)
		CU_ASSERT_EQUAL(refs_add(&refs, s[i]), 0);
	CU_ASSERT_EQUAL(misses("fifo", 3), 15 - 6);
	CU_ASSERT_EQUAL(misses("lru", 3), 12 - 6);
	CU_ASSERT_EQUAL(misses("opt", 3), 9 - 6);
	CU_ASSERT(misses("arc", 3) >= 3 && misses("clock", 3) >= 3);
	for (unsigned int i = 0; policy_name(i); i++)
		CU_ASSERT_EQUAL(misses(policy_name(i), 64), 0);
}

/* More memory, more misses: FIFO's anomaly (Belady, Nelson, Shedler 1969). */
static void anomaly(void)
{
	static const uint32_t s[] = {1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5};

	begin(6);
	for (unsigned int i = 0; i < sizeof(s) / sizeof(s[0]); i++)
		refs_add(&refs, s[i]);
	CU_ASSERT_EQUAL(misses("fifo", 3), 9 - 5);
	CU_ASSERT_EQUAL(misses("fifo", 4), 10 - 5);
}

/* A loop one page longer than memory: LRU misses always, OPT once in `memory` references. */
static void loop(void)
{
	begin(101);
	for (unsigned int i = 0; i < 1010; i++)
		refs_add(&refs, i % 101);
	CU_ASSERT_EQUAL(misses("lru", 100), 1010 - 101);
	CU_ASSERT_EQUAL(misses("opt", 100), 9);
}

/* What was given up is new when it comes again, and makes room. */
static void given_up(void)
{
	begin(4);
	for (unsigned int round = 0; round < 8; round++)
		for (uint32_t p = 0; p < 4; p++) {
			refs_add(&refs, p);
			refs_add(&refs, p | REF_GONE);
		}
	for (unsigned int i = 0; policy_name(i); i++) {
		struct policy_result r;

		CU_ASSERT_EQUAL(policy_run(policy_name(i), &refs, 1, &r), 0);
		CU_ASSERT(r.cold == 32 && !r.misses && !r.evictions);
	}
}

static uint32_t random_page(uint64_t *s, uint32_t n)
{
	uint64_t p = n;

	for (int k = 0; k < 3; k++) {
		*s ^= *s << 13;
		*s ^= *s >> 7;
		*s ^= *s << 17;
		p = p * (*s >> 44) >> 20;
	}
	return (uint32_t)p;
}

/* Any string, any memory: all end, none beats OPT, and the guest's policies know what is hot. */
static void random_strings(void)
{
	uint64_t seed = 88172645463325252ull;

	begin(2000);
	for (unsigned int i = 0; i < 40000; i++) {
		uint32_t p = random_page(&seed, 2000);

		refs_add(&refs, i % 97 ? p : p | REF_GONE);
	}
	for (uint32_t memory = 1; memory < 2000; memory = memory * 3 + 1) {
		uint64_t opt = misses("opt", memory);

		for (unsigned int i = 0; policy_name(i); i++)
			CU_ASSERT(misses(policy_name(i), memory) >= opt);
	}
	CU_ASSERT(misses("twolist", 300) < misses("fifo", 300));
	CU_ASSERT(misses("s3fifo", 300) < misses("fifo", 300));
}

static void refused(void)
{
	struct policy_result r;

	CU_ASSERT(policy_run("lifo", &refs, 10, &r) < 0);
	CU_ASSERT(policy_run("lru", &refs, 0, &r) < 0);
	CU_ASSERT(!policy_exists("lifo") && policy_exists("opt") && policy_exists("twolist"));
}

int main(void)
{
	int status;
	static const struct unit_case cases[] = {
		{"textbook", textbook},
		{"anomaly", anomaly},
		{"loop", loop},
		{"given_up", given_up},
		{"random_strings", random_strings},
		{"refused", refused},
	};

	status = unit_run("policy", cases, sizeof(cases) / sizeof(cases[0]));
	refs_free(&refs);
	return status;
}
