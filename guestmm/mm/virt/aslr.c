/*
 * The layout of an address space:
 *
 *   0 ... program  gap  heap ->    ... 2/3: PIE program, heap ->  ...   <- mappings | room | <- stack
 *                  ^                        ^                                       ^             ^
 *                  0..32 MiB                28 bits of pages                        28 bits       22 bits
 *
 * The ranges are those of Linux on x86-64. The room for the stack is what its limit asks for, between
 * 128 MiB and 5/6 of everything; a random stack top adds its own range to it, so that a stack may
 * always grow to its limit.
 */
#include "mm/virt/aslr.h"
#include "mm/virt/vma.h"

#define STACK_RANDOM_PAGES (1ul << 22)
#define MMAP_RANDOM_PAGES  (1ul << 28)
#define BRK_RANDOM_BYTES   0x02000000ul
#define STACK_SKEW_BYTES   8192ul
#define STACK_ROOM_MIN	   (128ul << 20)
#define STACK_ROOM_MAX	   (DEFAULT_MAP_WINDOW / 6 * 5)

int sysctl_randomize_va_space = 2;

static unsigned long random_pages(u64 random, unsigned long below)
{
	return (random & (below - 1)) << PAGE_SHIFT;
}

void mm_pick_layout(struct mm_layout *l, u64 stack_limit, int randomize,
		    const u64 random[NR_LAYOUT_RANDOM])
{
	unsigned long room = STACK_GUARD_GAP;

	l->stack_top = DEFAULT_MAP_WINDOW & PAGE_MASK;
	l->stack_skew = 0;
	l->pie_base = (DEFAULT_MAP_WINDOW / 3 * 2) & PAGE_MASK;
	l->brk_gap = 0;
	l->vdso_random = 0;
	if (randomize)
		room += STACK_RANDOM_PAGES << PAGE_SHIFT;
	room = stack_limit > STACK_ROOM_MAX - room ? STACK_ROOM_MAX : stack_limit + room;
	room = ALIGN_UP(max(room, STACK_ROOM_MIN + STACK_GUARD_GAP), PAGE_SIZE);
	l->mmap_base = (DEFAULT_MAP_WINDOW - room) & PAGE_MASK;
	if (!randomize)
		return;
	l->stack_top -= random_pages(random[0], STACK_RANDOM_PAGES);
	l->stack_skew = random[1] % STACK_SKEW_BYTES & ~15ul;
	l->mmap_base -= random_pages(random[2], MMAP_RANDOM_PAGES);
	l->vdso_random = random[5] | 1;
	l->pie_base += random_pages(random[3], MMAP_RANDOM_PAGES);
	if (randomize > 1)
		l->brk_gap = random_pages(random[4], BRK_RANDOM_BYTES >> PAGE_SHIFT);
}
