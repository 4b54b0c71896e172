/*
 * The vDSO's pages, and where they are mapped in a program.
 *
 *   [vvar]  one page: struct vdso_data, which the kernel writes      r--p
 *   [vdso]  one page: the ELF image of arch/x86/vdso                 r-xp
 *
 * All programs share these pages (mm/fault/special.c), and find the image by AT_SYSINFO_EHDR. As in Linux, it is mapped
 * above the stack, in the same 2 MiB as the stack's top, so that it needs no further page table. Without
 * randomness it is placed like any other mapping.
 *
 * The image computes the time from the same numbers as kernel/time.c, so times read in user mode and times returned by
 * system calls never go backwards relative to each other. With KVM-PVM user mode runs natively, without the guest's
 * offset of the TSC; there the image calls the kernel instead.
 *
 * I1  data->seq is odd while another field of *data changes. After boot only vdso_set_clock() changes one.
 *
 * Boot option vdso=0: there is no vDSO.
 */
#include "kernel/vdso.h"
#include "arch/switch.h"
#include "arch/vdso.h"
#include "kernel/boot_info.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/phys/zone.h"
#include "mm/fault/special.h"

extern const char vdso_image[], vdso_image_end[];

static struct page *vvar_page, *image_page;
static struct special_mapping vvar = {
	.name = "[vvar]",
	.flags = VM_READ | VM_MAYREAD | VM_IO | VM_PFNMAP | VM_DONTDUMP,
	.pages = &vvar_page,
	.nr_pages = 1,
};
static struct special_mapping image = {
	.name = "[vdso]",
	.flags = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
	.pages = &image_page,
	.nr_pages = 1,
};
static struct vdso_data *data; /* NULL: no vDSO */

#define VDSO_BYTES (2 * PAGE_SIZE)

void vdso_init(void)
{
	size_t size = vdso_image_end - vdso_image;
	char word[4];

	/* As Linux: parse a number; anything else is 0. */
	if (cmdline_get("vdso", word, sizeof(word)) && word[0] && (word[0] < '1' || word[0] > '9'))
		return;
	if (size > PAGE_SIZE)
		panic("the vDSO is longer than its page");
	vvar_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	image_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!vvar_page || !image_page)
		panic("no memory for the vDSO");
	memcpy(page_address(image_page), vdso_image, size);
	data = page_address(vvar_page);
	vdso_describe_clock(data);
	if (!(boot_info.quirks & MMVM_QUIRK_SYSCALL_UD)) {
		for (unsigned int cpu = 0; cpu < boot_info.nr_cpus; cpu++)
			arch_set_cpunode(cpu, cpu_node[cpu]);
		data->getcpu = 1;
		vdso_set_clock(VDSO_CLOCK_TSC);
	}
	special_mapping_register(&vvar);
	special_mapping_register(&image);
}

const struct vdso_data *vdso_data(void)
{
	return data;
}

void vdso_set_clock(u32 clock)
{
	u32 seq = data->seq;

	atomic_store_release(&data->seq, seq + 1);
	WRITE_ONCE(data->clock, clock);
	atomic_store_release(&data->seq, seq + 2);
}

/* Choose an address above the stack, within the same 2 MiB. 0: there is no room. */
static unsigned long above_stack(unsigned long stack_top, u64 random)
{
	unsigned long start = ALIGN_UP(stack_top, PAGE_SIZE);
	unsigned long end = min(ALIGN_UP(start + 1, PMD_SIZE), DEFAULT_MAP_WINDOW);

	if (end - start < VDSO_BYTES)
		return 0;
	return start + (random % ((end - start - VDSO_BYTES) / PAGE_SIZE + 1)) * PAGE_SIZE;
}

int vdso_map(struct mm_struct *mm, unsigned long stack_top, u64 random, unsigned long *addr)
{
	long at;
	int err;

	*addr = 0;
	if (!data)
		return 0;
	down_write(&mm->mmap_lock);
	at = find_free_range(mm, random ? above_stack(stack_top, random) : 0, VDSO_BYTES, 0);
	err = IS_ERR((void *)at) ? (int)at : install_special_mapping(mm, at, &vvar);
	if (!err)
		err = install_special_mapping(mm, at + PAGE_SIZE, &image);
	up_write(&mm->mmap_lock);
	if (!err)
		*addr = at + PAGE_SIZE;
	return err; /* the mapping is freed with the address space, because exec has failed */
}
