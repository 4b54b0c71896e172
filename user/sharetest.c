/*
 * Shared memory between processes: counters that all of them increment, mappings that only one of them
 * creates and removes, private and shared mappings together. Each case has one correct answer, so the
 * program passes on Linux, too.
 *
 *   sharetest            all cases
 *   sharetest pressure   12 MiB shared by a family, while each fills 8 MiB of its own
 *
 * Exit status: 0 all as expected, 1 not (each difference is printed).
 */
#include "rt.h"

#define SYS_mremap     25
#define SYS_fork       57
#define SYS_wait4      61
#define MREMAP_MAYMOVE 1
#define MADV_REMOVE    9
#define MADV_DONTFORK  10
#define CHILDREN       4
#define ROUNDS	       1000
#define SHARED_PAGES   3072
#define OWN_PAGES      2048

static int different;

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	print("sharetest[%d]: %s: got %ld, expected %ld\n", (int)sys_getpid(), what, got, want);
	different++;
}

static long do_fork(void)
{
	return syscall3(SYS_fork, 0, 0, 0);
}

/* All children ended well? */
static void reap(int n)
{
	while (n-- > 0) {
		int status = -1;

		syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
		expect("a child's status", status, 0);
	}
}

static volatile unsigned long *map(unsigned long pages, int flags)
{
	long at = sys_mmap(0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS);

	if (is_error(at)) {
		print("sharetest: mmap: %ld\n", at);
		exit(1);
	}
	return (unsigned long *)at;
}

static volatile unsigned long *word(volatile unsigned long *at, unsigned long page)
{
	return at + page * (PAGE_SIZE / sizeof(*at));
}

static void all_raise_one_counter(void)
{
	volatile unsigned long *shared = map(2, MAP_SHARED), *own = map(1, MAP_PRIVATE);

	*own = 1;
	for (int i = 0; i < CHILDREN; i++) {
		if (do_fork())
			continue;
		for (int k = 0; k < ROUNDS; k++) {
			__atomic_fetch_add(shared, 1, __ATOMIC_RELAXED);
			if (k % 100 == 0)
				syscall3(SYS_sched_yield, 0, 0, 0);
		}
		*own += 1;
		*word(shared, 1) = *own; /* made by a child */
		exit(different);
	}
	reap(CHILDREN);
	expect("shared counter", *shared, CHILDREN * ROUNDS);
	expect("private word", *own, 1);
	expect("a child's private word", *word(shared, 1), 2);
	syscall3(SYS_munmap, (long)shared, 2 * PAGE_SIZE, 0);
	syscall3(SYS_munmap, (long)own, PAGE_SIZE, 0);
}

static void what_one_unmaps_others_keep(void)
{
	volatile unsigned long *shared = map(16, MAP_SHARED);

	for (int i = 0; i < 16; i++)
		*word(shared, i) = 100 + i;
	if (!do_fork()) {
		expect("munmap", syscall3(SYS_munmap, (long)shared, 8 * PAGE_SIZE, 0), 0);
		expect("dontneed",
		       syscall3(SYS_madvise, (long)word(shared, 8), 4 * PAGE_SIZE, MADV_DONTNEED),
		       0);
		expect("after dontneed", *word(shared, 9), 109);
		expect("remove",
		       syscall3(SYS_madvise, (long)word(shared, 12), 2 * PAGE_SIZE, MADV_REMOVE),
		       0);
		*word(shared, 15) = 7;
		exit(different);
	}
	reap(1);
	expect("kept", *word(shared, 3), 103);
	expect("removed", *word(shared, 12), 0);
	expect("behind the hole", *word(shared, 14), 114);
	expect("written by the child", *word(shared, 15), 7);
	syscall3(SYS_munmap, (long)shared, 16 * PAGE_SIZE, 0);
}

static void a_second_mapping_of_the_same(void)
{
	volatile unsigned long *one = map(4, MAP_SHARED), *two;
	long at = syscall6(SYS_mremap, (long)one, 0, 4 * PAGE_SIZE, MREMAP_MAYMOVE, 0, 0);

	expect("mremap", is_error(at), 0);
	if (is_error(at))
		return;
	two = (unsigned long *)at;
	*word(one, 1) = 11;
	expect("through the second", *word(two, 1), 11);
	*word(two, 2) = 12;
	expect("through the first", *word(one, 2), 12);
	syscall3(SYS_munmap, (long)one, 4 * PAGE_SIZE, 0);
	expect("when the first is gone", *word(two, 1), 11);
	syscall3(SYS_munmap, (long)two, 4 * PAGE_SIZE, 0);
}

static void grandchildren_share_too(void)
{
	volatile unsigned long *shared = map(1, MAP_SHARED);

	if (!do_fork()) {
		if (!do_fork()) {
			*shared = 5;
			exit(0);
		}
		reap(1);
		expect("in the middle", *shared, 5);
		exit(different);
	}
	reap(1);
	expect("from a grandchild", *shared, 5);
	syscall3(SYS_munmap, (long)shared, PAGE_SIZE, 0);
}

static void under_pressure(void)
{
	volatile unsigned long *shared = map(SHARED_PAGES, MAP_SHARED);

	for (unsigned long i = 0; i < SHARED_PAGES; i++)
		*word(shared, i) = i * 3 + 1;
	for (int c = 0; c < 2; c++) {
		volatile unsigned long *own;

		if (do_fork())
			continue;
		own = map(OWN_PAGES, MAP_PRIVATE);
		for (unsigned long i = 0; i < OWN_PAGES; i++)
			*word(own, i) = i + c;
		for (unsigned long i = 0; i < SHARED_PAGES; i++) {
			if (*word(shared, i) != i * 3 + 1)
				expect("shared page", *word(shared, i), i * 3 + 1);
			__atomic_fetch_add(word(shared, i) + 1 + c, 1, __ATOMIC_RELAXED);
		}
		for (unsigned long i = 0; i < OWN_PAGES; i++)
			if (*word(own, i) != i + c)
				expect("own page", *word(own, i), i + c);
		exit(different != 0);
	}
	reap(2);
	for (unsigned long i = 0; i < SHARED_PAGES; i++)
		if (word(shared, i)[1] != 1 || word(shared, i)[2] != 1)
			expect("counted by both", word(shared, i)[1] + word(shared, i)[2], 2);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "pressure")) {
		under_pressure();
		return different != 0;
	}
	all_raise_one_counter();
	what_one_unmaps_others_keep();
	a_second_mapping_of_the_same();
	grandchildren_share_too();
	return different != 0;
}
