/* User programs: what they ask, what they must not do, and what is left when they end. */
#include "tests/tests.h"

#define MEM  "memory=24M,high=4M"
#define USER MMVM_TESTF_USER

GUEST_TEST(user, hello_gets_its_arguments, USER, 0, MEM)
{
	CHECK_EQ(run_program("/bin/hello", ""), 0);
	CHECK_EQ(run_program("/bin/hello", "a bc def"), 3 << 8);
	CHECK_EQ(run_program("/bin/no-such-program", ""), -ENOENT);
}

GUEST_TEST(user, programs_give_everything_back, USER, 0, MEM)
{
	u64 before;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(run_program("/bin/hello", ""), 0);
	before = free_pages_at_rest();
	for (int i = 0; i < 5; i++)
		CHECK_EQ(run_program("/bin/hello", ""), 0);
	CHECK(free_pages_reach(before - 4));
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/** Run segv in one way: it must die by `sig`, and the kernel must not care. */
static void expect_death(struct test *t, const char *how, int sig)
{
	s64 segv = ev(MMVM_FAULT_SEGV);
	int status = run_program("/bin/segv", how);

	CHECK_EQ(SIGNALLED(status), sig);
	/* Only page faults count here: general protection and others have no address. */
	CHECK(ev(MMVM_FAULT_SEGV) - segv <= 1);
}

GUEST_TEST(user, null_pointer_ends_the_program, USER, 0, MEM)
{
	s64 segv = ev(MMVM_FAULT_SEGV);

	expect_death(t, "null", 11);
	CHECK_EQ(ev(MMVM_FAULT_SEGV) - segv, 1);
	CHECK_EQ(run_program("/bin/hello", ""), 0); /* the next one is none the worse */
}

GUEST_TEST(user, every_forbidden_access_ends_the_program, USER, 0, MEM)
{
	expect_death(t, "text", 11);
	expect_death(t, "rodata", 11);
	expect_death(t, "noaccess", 11);
	expect_death(t, "kernel", 11);
	expect_death(t, "exec", 11);
	expect_death(t, "unmapped", 11);
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}

GUEST_TEST(user, every_forbidden_instruction_ends_the_program, USER, 0, MEM)
{
	expect_death(t, "noncanonical", 11);
	expect_death(t, "priv", 11);
	expect_death(t, "divide", 8);
	expect_death(t, "ill", 4);
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}

GUEST_TEST(user, stack_grows_as_it_is_used, USER, 0, MEM)
{
	s64 grown = ev(MMVM_FAULT_STACK);

	CHECK_EQ(run_program("/bin/stackgrow", "1024"), 0);
	CHECK(ev(MMVM_FAULT_STACK) - grown >= 200);
}

GUEST_TEST(user, stack_has_a_limit, USER, 0, MEM)
{
	CHECK_EQ(SIGNALLED(run_program("/bin/stackgrow", "forever")), 11);
	CHECK_EQ(SIGNALLED(run_program("/bin/stackgrow", "jump")), 11);
}

GUEST_TEST(user, system_calls_answer_as_linux_does, USER, 0, MEM)
{
	CHECK_EQ(run_program("/bin/calls", ""), 0);
}

GUEST_TEST(user, faults_are_of_the_kind_expected, USER, 0, MEM)
{
	s64 zero = ev(MMVM_FAULT_ZERO), anon = ev(MMVM_FAULT_ANON), cow = ev(MMVM_FAULT_COW);

	CHECK_EQ(run_program("/bin/faults", ""), 0);
	CHECK(ev(MMVM_FAULT_ZERO) - zero >= 32);
	CHECK(ev(MMVM_FAULT_ANON) - anon >= 64);
	CHECK(ev(MMVM_FAULT_COW) - cow >= 32);
}

GUEST_TEST(user, mapstress_agrees_with_its_model, USER, 120, MEM)
{
	CHECK_EQ(run_program("/bin/mapstress", "--ops 1500"), 0);
	CHECK_EQ(run_program("/bin/mapstress", "--ops 700 --pages 32 --seed 99"), 0);
}

GUEST_TEST(user, mapstress_long, USER | MMVM_TESTF_LAB_ONLY, 120, MEM)
{
	CHECK_EQ(run_program("/bin/mapstress", "--ops 20000 --pages 1024 --seed 7"), 0);
}

GUEST_TEST(user, two_programs_share_the_cpu, USER, 120, MEM)
{
	static const char a[] = "/bin/mapstress\0--ops\000400\0--seed\0003";
	static const char b[] = "/bin/mapstress\0--ops\000400\0--seed\0004";
	int pid_a = process_spawn("/bin/mapstress", a, sizeof(a));
	int pid_b = process_spawn("/bin/mapstress", b, sizeof(b));

	REQUIRE(pid_a > 0 && pid_b > 0);
	CHECK(pid_a != pid_b);
	CHECK_EQ(process_wait(pid_b), 0);
	CHECK_EQ(process_wait(pid_a), 0);
	CHECK(process_wait(pid_a) < 0); /* only once */
}

GUEST_TEST(user, killed_program_ends, USER, 0, MEM)
{
	static const char argv[] = "/bin/mapstress\0--ops\0001000000000";
	int pid = process_spawn("/bin/mapstress", argv, sizeof(argv));

	REQUIRE(pid > 0);
	sleep_ms(50);
	process_kill(pid);
	CHECK_EQ(SIGNALLED(process_wait(pid)), 9);
}
