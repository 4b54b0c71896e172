/* The vDSO: an ELF image in every program that reads the clock without a system call. */
#ifndef KERNEL_VDSO_H
#define KERNEL_VDSO_H
#include "lib/types.h"

struct mm_struct;

/** Boot, with the memory manager up: make the pages, unless the option vdso=0 is given. */
void vdso_init(void);
/** Map it into a new program, whose stack ends at stack_top; near to it if `random` is not 0, which then
 * says where. *addr: AT_SYSINFO_EHDR, or 0 when there is no vDSO. 0 or -ENOMEM. */
int vdso_map(struct mm_struct *mm, unsigned long stack_top, u64 random, unsigned long *addr);
struct vdso_data;
/** The clock's numbers (kernel/time.c). */
void vdso_describe_clock(struct vdso_data *d);
/** Let programs read the TSC themselves, or make them call the kernel (VDSO_CLOCK_* of arch/vdso.h). Readers on
 * other CPUs see either setting. One caller at a time. */
void vdso_set_clock(u32 clock);
/** What user mode sees in [vvar]; NULL: no vDSO. */
const struct vdso_data *vdso_data(void);
#endif
