/*
 * Page faults as a program sees them, counted by the kernel: each step touches memory in one way and checks
 * which counters rose. Without the private call (on Linux) there are no counters, and only contents
 * are checked.
 *
 * Exit status: 0 all as expected, 1 not.
 */
#include "rt.h"

#define N 32

static int different;

struct counts {
	long pgfault, zero, anon, cow, stack;
};

static struct counts now(void)
{
	return (struct counts){vm_event("pgfault"), vm_event("mmvm_fault_zero"),
			       vm_event("mmvm_fault_anon"), vm_event("mmvm_fault_cow"),
			       vm_event("mmvm_fault_stack")};
}

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	print("faults: %s: got %ld, expected %ld\n", what, got, want);
	different++;
}

static bool counting;

static void expect_counts(const char *what, struct counts before, long zero, long anon, long cow)
{
	struct counts c = now();

	if (!counting)
		return;
	print("faults: %s: zero %ld, anon %ld, copied %ld\n", what, c.zero - before.zero,
	      c.anon - before.anon, c.cow - before.cow);
	expect("zero-page faults", c.zero - before.zero, zero);
	expect("anonymous faults", c.anon - before.anon, anon);
	expect("copies", c.cow - before.cow, cow);
	expect("faults in all", c.pgfault - before.pgfault, zero + anon + cow);
}

int main(int argc, char **argv)
{
	volatile char *p = (volatile char *)map_memory(4 * N * PAGE_SIZE);
	struct counts c;
	long sum = 0, r;

	if (is_error((long)p))
		return 1;
	/* Ask and tell once, so that our own stack and data have been touched before we count. */
	counting = now().pgfault >= 0;
	print("faults: %s\n", counting ? "counted by the kernel" : "not counted, contents only");
	c = now();
	expect_counts("nothing", c, 0, 0, 0);

	c = now();
	for (int i = 0; i < N; i++)
		sum += p[i * PAGE_SIZE];
	expect_counts("reading fresh memory", c, N, 0, 0);
	expect("its contents", sum, 0);

	c = now();
	for (int i = 0; i < N; i++)
		p[i * PAGE_SIZE + 1] = 1;
	expect_counts("writing what was read", c, 0, 0, N);

	c = now();
	for (int i = N; i < 2 * N; i++)
		p[i * PAGE_SIZE + 1] = 2;
	expect_counts("writing fresh memory", c, 0, N, 0);

	c = now();
	for (int i = 0; i < 2 * N; i++)
		sum += p[i * PAGE_SIZE + 1]++;
	expect_counts("using it again", c, 0, 0, 0);
	expect("its contents", sum, N + 2 * N);

	r = sys_mmap((unsigned long)p + 2 * N * PAGE_SIZE, N * PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE);
	expect("populate", r, (long)p + 2 * N * PAGE_SIZE);
	c = now();
	for (int i = 2 * N; i < 3 * N; i++)
		p[i * PAGE_SIZE] = 3;
	expect_counts("using populated memory", c, 0, 0, 0);

	sys_madvise((unsigned long)p, N * PAGE_SIZE, MADV_DONTNEED);
	c = now();
	/* Plain stores: adding to memory faults once, for writing, on hardware, but twice where an
	 * emulator loads and stores. */
	for (int i = 0; i < N; i++)
		p[i * PAGE_SIZE + 1] = 5;
	expect_counts("after DONTNEED", c, 0, N, 0);
	expect("its contents", p[1], 5);

	sys_munmap((unsigned long)p, 4 * N * PAGE_SIZE);
	print("faults: %s\n", different ? "DIFFERENT" : "all as expected");
	return different ? 1 : 0;
}
