/* Where a new program's memory begins: by rule, or at random (ASLR). */
#ifndef MM_ASLR_H
#define MM_ASLR_H
#include "lib/types.h"

/** Places of a new address space. */
struct mm_layout {
	unsigned long stack_top;  /* page aligned; the stack grows down from here */
	unsigned long stack_skew; /* bytes below it where its contents begin: a multiple of 16 */
	unsigned long mmap_base;  /* mappings grow down from here */
	unsigned long pie_base;	  /* of a position-independent program */
	unsigned long brk_gap;	  /* pages between the program and its heap, in bytes */
	u64 vdso_random;	  /* says where above the stack the vDSO is; 0: not there */
};
#define NR_LAYOUT_RANDOM 6

/** /proc/sys/kernel/randomize_va_space: 0 nothing, 1 all but the heap, 2 all. */
extern int sysctl_randomize_va_space;

/** The layout for a stack limited to `stack_limit` bytes; `randomize` as the sysctl. [pure] */
void mm_pick_layout(struct mm_layout *layout, u64 stack_limit, int randomize,
		    const u64 random[NR_LAYOUT_RANDOM]);
#endif
