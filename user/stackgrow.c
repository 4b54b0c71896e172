/*
 * Growth of the stack, and its limit.
 *
 * stackgrow [KIB]    use that much stack (default 1024), page by page, check it, exit 0
 * stackgrow forever  recurse until killed: by the limit, with SIGSEGV
 * stackgrow jump     touch far below the stack pointer, where nothing is: SIGSEGV
 */
#include "rt.h"

#define FRAME 4096

/* Each level fills a page, calls deeper, and looks whether its page is still what it was. */
static __attribute__((noinline)) uint64_t recurse(uint64_t depth, uint64_t levels)
{
	volatile uint64_t page[FRAME / sizeof(uint64_t)];
	uint64_t bad = 0;

	for (unsigned int i = 0; i < FRAME / sizeof(uint64_t); i += 64)
		page[i] = depth * 1000003 + i;
	if (depth < levels)
		bad = recurse(depth + 1, levels);
	for (unsigned int i = 0; i < FRAME / sizeof(uint64_t); i += 64)
		bad += page[i] != depth * 1000003 + i;
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t kib = 1024, bad;

	if (argc > 1 && !strcmp(argv[1], "forever")) {
		kib = UINT64_MAX / 1024;
	} else if (argc > 1 && !strcmp(argv[1], "jump")) {
		unsigned long sp;

		__asm__ volatile("movq %%rsp, %0" : "=r"(sp));
		__asm__ volatile("movb $1, (%0)" ::"r"(sp - (512ul << 20)) : "memory");
		return 3;
	} else if (argc > 1 && !parse_size(argv[1], &kib)) {
		print("usage: stackgrow [KIB|forever|jump]\n");
		return 2;
	}
	bad = recurse(0, kib * 1024 / FRAME);
	print("stackgrow: %lu KiB, %lu words wrong\n", kib, bad);
	return bad ? 1 : 0;
}
