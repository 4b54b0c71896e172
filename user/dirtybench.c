/*
 * The load for `mmvm bench dirty`: write every page of a region, pass after pass, and tell the VMM
 * how long each pass took. The VMM turns its dirty log on and off, and reads it, between the passes
 * (vmm/bench/dirty.c).
 *
 * dirtybench --mb N --iterations K
 *
 *   start, populate, populated | pass, plain | pass, plain | enable | K x (pass, pass) | disable |
 *   pass, plain
 *
 * A record MMVM_REC_ROUND announces a phase; `number` is the pass, `written` its nanoseconds.
 * Exit status: 0, 1 when the VMM does not answer, 2 usage or no memory.
 */
#include "mmvm/testchan.h"
#include "rt.h"

static struct mmvm_round round __attribute__((aligned(64)));

static void tell(const char *phase)
{
	if (syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)phase, (long)&round, 0, 0, 0) < 0) {
		print("dirtybench: nobody listens to \"%s\"\n", phase);
		exit(1);
	}
}

static void pass(const char *phase)
{
	volatile uint64_t *base = (volatile uint64_t *)round.base;
	uint64_t start = now_ns();

	for (uint64_t p = 0; p < round.pages; p++)
		base[p * PAGE_SIZE / sizeof(*base)] = p;
	round.written = now_ns() - start;
	round.number++;
	tell(phase);
}

int main(int argc, char **argv)
{
	uint64_t mb = 8, iterations = 2;
	long base;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")		  ? &mb
			       : !strcmp(argv[i], "--iterations") ? &iterations
								  : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to) || !*to) {
			print("usage: dirtybench [--mb N] [--iterations K]\n");
			return 2;
		}
	}
	base = map_memory(mb << 20);
	if (is_error(base)) {
		print("dirtybench: cannot map %lu MiB\n", mb);
		return 2;
	}
	round.base = (uint64_t)base;
	round.pages = (mb << 20) / PAGE_SIZE;
	tell("start");
	pass("populated");
	pass("plain");
	pass("plain");
	tell("enable");
	for (uint64_t i = 0; i < iterations; i++)
		pass("pass");
	tell("disable");
	pass("plain");
	return 0;
}
