/*
 * What swapping and moving pages cost, and what a memory cgroup costs, by the same user program (user/bench_mem swap,
 * zswap, move, group) that runs under Linux, with a swap area on a RAM disk, or two nodes, in both.
 */
#include "tests/ram_disk.h"
#include "mm/zswap/zswap.h"
#include "tests/tests.h"

GUEST_TEST(bench, swap, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 120, "memory=64M,high=8M")
{
	s64 out = ev(PSWPOUT), in = ev(PSWPIN);

	REQUIRE(ram_disk_swapon() == 0);
	REQUIRE(ram_disk_add_file() == 0);
	CHECK_EQ(run_program("user/bench_mem", "swap"), 0);
	CHECK(ev(PSWPOUT) > out);
	CHECK(ev(PSWPIN) > in);
	CHECK(ram_disk_requests() > 0);
	REQUIRE(zswap_set_enabled("1") == 0);
	CHECK_EQ(run_program("user/bench_mem", "zswap"), 0);
}

/* Faults on several CPUs, and clean pages unmapped that several CPUs have in their TLBs (user/bench_smp). */
static void run_smp(struct test *t, const char *cpus)
{
	s64 flushed = ev(NR_TLB_REMOTE_FLUSH);

	REQUIRE(ram_disk_swapon() == 0);
	REQUIRE(ram_disk_add_file() == 0);
	CHECK_EQ(run_program("user/bench_smp", cpus), 0);
	CHECK(ev(NR_TLB_REMOTE_FLUSH) > flushed);
}

GUEST_TEST(bench, smp_2, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 120, "memory=64M,high=8M cpus=2")
{
	run_smp(t, "2");
}

GUEST_TEST(bench, smp_4, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 120, "memory=64M,high=8M cpus=4")
{
	run_smp(t, "4");
}

GUEST_TEST(bench, move, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 120, "memory=192M,high=64M nodes=2")
{
	s64 moved = ev(PGMIGRATE_SUCCESS), compacted = ev(COMPACTMIGRATE_SCANNED);

	CHECK_EQ(run_program("user/bench_mem", "move"), 0);
	CHECK(ev(PGMIGRATE_SUCCESS) > moved);
	CHECK(ev(COMPACTMIGRATE_SCANNED) > compacted);
}

GUEST_TEST(bench, memcg, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 120, "memory=64M,high=8M")
{
	/* The program itself sees to it that its pages are charged. */
	CHECK_EQ(run_program("user/bench_mem", "group"), 0);
}
