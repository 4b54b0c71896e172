/*
 * libFuzzer target: the device tree as the guest reads it at boot (guestmm/kernel/fdt.c). A malformed tree
 * stops the boot (panic); any other fills boot_info. Nothing is read outside of the largest tree that is
 * allowed.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "kernel/boot.h"
#include "kernel/console.h"
#include "lib/errno.h"
#include "mm/phys/memblock.h"

static jmp_buf stopped;
static unsigned int nr_memory;

static void __noreturn stop(void)
{
	longjmp(stopped, 1);
}

static int add(phys_addr_t base, u64 size, int node)
{
	nr_memory++;
	return size && base + size > base && node < MMVM_MAX_NODES ? 0 : -EINVAL;
}

#define panic(...)		       stop()
#define memblock_add(base, size, node) add(base, size, node)
#define memblock_reserve(base, size)   ((void)(base), (void)(size))
#define console_use_testchan()	       ((void)0)
#undef __init
#define __init
#undef __initdata
#define __initdata
#include "../../guestmm/kernel/fdt.c"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len)
{
	static const char magic[] = {(char)0xd0, 0x0d, (char)0xfe, (char)0xed};
	u8 *tree;
	char word[64];

	if (len > MMVM_FDT_MAX || len < sizeof(struct fdt_header))
		return 0;
	tree = calloc(1, MMVM_FDT_MAX);
	if (!tree)
		abort();
	memcpy(tree, bytes, len);
	memcpy(tree, magic, 4);
	memset(&boot_info, 0, sizeof(boot_info));
	nr_memory = 0;
	if (!setjmp(stopped)) {
		fdt_scan((phys_addr_t)tree - MMVM_KERNEL_VIRT);
		if (boot_info.nr_devices > ARRAY_SIZE(boot_info.device) || !boot_info.tsc_hz)
			abort();
		for (unsigned int i = 0; i < boot_info.nr_devices; i++)
			if (!memchr(boot_info.device[i].compatible, 0,
				    sizeof(boot_info.device[i].compatible)) ||
			    !memchr(boot_info.device[i].role, 0, sizeof(boot_info.device[i].role)))
				abort();
		boot_info.cmdline = "";
		cmdline_get("x", word, sizeof(word));
	}
	free(tree);
	return 0;
}
