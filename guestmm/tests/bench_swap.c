/*
 * What swapping and moving pages cost, by the same user program (user/bench_mem swap, zswap, move) that
 * runs under Linux, with a swap area on a RAM disk, or two nodes, in both.
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

GUEST_TEST(bench, move, MMVM_TESTF_BENCH | MMVM_TESTF_USER, 120, "memory=192M,high=64M nodes=2")
{
	s64 moved = ev(PGMIGRATE_SUCCESS), compacted = ev(COMPACTMIGRATE_SCANNED);

	CHECK_EQ(run_program("user/bench_mem", "move"), 0);
	CHECK(ev(PGMIGRATE_SUCCESS) > moved);
	CHECK(ev(COMPACTMIGRATE_SCANNED) > compacted);
}
