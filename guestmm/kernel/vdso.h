/* The vDSO: an ELF image in every program that reads the clock without a system call. */
#ifndef KERNEL_VDSO_H
#define KERNEL_VDSO_H
#include "lib/types.h"

struct mm_struct;

/** Create the vDSO's pages, unless the option vdso=0 is given. At boot, after the memory manager was started. */
void vdso_init(void);
/** Map the vDSO into a new program whose stack ends at stack_top. If `random` is not 0, it selects an address near the
 * stack's top. *addr receives the image's address for AT_SYSINFO_EHDR, or 0: there is no vDSO. 0 or -ENOMEM. */
int vdso_map(struct mm_struct *mm, unsigned long stack_top, u64 random, unsigned long *addr);
struct vdso_data;
/** Write the clock's numbers to *d (kernel/time.c). */
void vdso_describe_clock(struct vdso_data *d);
/** Choose whether programs read the TSC themselves or call the kernel (VDSO_CLOCK_* of arch/vdso.h). A reader on
 * another CPU sees the old or the new setting. One caller at a time. */
void vdso_set_clock(u32 clock);
/** The data that user mode sees in [vvar]. NULL: there is no vDSO. */
const struct vdso_data *vdso_data(void);
#endif
