/*
 * Creates mappings until the kernel refuses, each of one page that cannot be merged with a neighbour. Then
 * it unmaps all of them.
 *
 * maphog [--most N]   at most N mappings (1048576)
 * maphog --handler    another test: a handler of SIGSEGV that faults itself, which must end the program
 *
 * Exits with 0 if mmap failed with ENOMEM (or N was reached), and everything could be unmapped.
 */
#include "rt.h"

#define BASE 0x10000000ul

static volatile int *volatile nowhere = (volatile int *)8;

static void restorer(void)
{
	exit(3); /* never reached: the handler does not return */
}

static void faulting_handler(int sig)
{
	*nowhere = sig;
}

static int fault_in_handler(void)
{
	/* Linux's struct sigaction: handler, flags (SA_RESTORER), restorer, mask. */
	uint64_t act[4] = {(uint64_t)faulting_handler, 0x4000000, (uint64_t)restorer, 0};

	if (syscall6(13, 11, (long)act, 0, 8, 0, 0))
		return 1;
	*nowhere = 0;
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t most = 1 << 20, n;
	long ret = 0;

	if (argc == 2 && !strcmp(argv[1], "--handler"))
		return fault_in_handler();
	if (argc == 3 && !strcmp(argv[1], "--most") && !parse_size(argv[2], &most))
		return 2;
	for (n = 0; n < most; n++) {
		ret = sys_mmap(BASE + n * 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
		if (is_error(ret))
			break;
	}
	if (n < most && ret != -ENOMEM) {
		print("maphog: mapping %lu: error %ld\n", n, -ret);
		return 1;
	}
	print("maphog: %lu mappings, then error %ld\n", n, n < most ? -ret : 0);
	ret = sys_munmap(BASE, (n + 1) * 2 * PAGE_SIZE);
	if (ret) {
		print("maphog: munmap: error %ld\n", -ret);
		return 1;
	}
	return 0;
}
