/*
 * Bringing the physical half up, in the only order that works: zones and pages, then slab (which
 * needs pages), then vmalloc (which needs slab). Options come first, since zones and caches are
 * made by them.
 */
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/init.h"
#include "mm/memcg/memcg.h"
#include "mm/virt/aslr.h"
#include "mm/dma/swiotlb.h"
#include "mm/move/contig.h"
#include "mm/phys/highmem.h"
#include "mm/phys/memblock.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lruvec.h"
#include "mm/slab/slab.h"
#include "mm/zswap/zswap.h"
#include "mm/kvirt/vmalloc.h"
#include "lib/format.h"
#include "lib/string.h"

bool debug_vm;

/* Value of a word "name" or "name=value" of the command line, cut to the buffer. */
static bool get_option(const char *cmdline, const char *name, char *buf, size_t size)
{
	size_t len = strlen(name);

	boot_option_asked(name);

	for (const char *s = cmdline; *s;) {
		size_t word = 0;

		while (s[word] && s[word] != ' ')
			word++;
		if (word >= len && !strncmp(s, name, len) && (word == len || s[len] == '=')) {
			size_t n = word == len ? 0 : word - len - 1;

			n = min(n, size - 1);
			memcpy(buf, s + word - (word == len ? 0 : word - len - 1), n);
			buf[n] = 0;
			return true;
		}
		s += word;
		while (*s == ' ')
			s++;
	}
	return false;
}

static u64 size_option(const char *cmdline, const char *name)
{
	char value[32];
	u64 size;

	if (!get_option(cmdline, name, value, sizeof(value)))
		return 0;
	if (parse_size(value, &size)) {
		printk("%s=%s: not a size, ignored\n", name, value);
		return 0;
	}
	return size;
}

/* SIZE or N%. False: not there, or no such value (one line). */
static bool core_option(const char *cmdline, const char *name, u64 total, u64 *bytes)
{
	char value[32];
	u64 percent = 0;
	size_t n = 0;

	if (!get_option(cmdline, name, value, sizeof(value)))
		return false;
	for (; value[n] >= '0' && value[n] <= '9' && percent <= 100; n++)
		percent = percent * 10 + (u64)(value[n] - '0');
	if (n && value[n] == '%' && !value[n + 1] && percent <= 100) {
		*bytes = total / 100 * percent;
		return true;
	}
	if (!parse_size(value, bytes))
		return true;
	printk("%s=%s: neither a size nor a percentage, ignored\n", name, value);
	return false;
}

/* Pages for ZONE_MOVABLE. movablecore= gives their number, kernelcore= the number of the others; if both are
 * given, the one that leaves more to the kernel counts, as in Linux. */
static u64 movable_pages(const char *cmdline)
{
	const u64 total = memblock_total();
	u64 movable = 0, kernel;
	bool asked = core_option(cmdline, "movablecore", total, &movable);

	movable = min(movable, total);
	if (core_option(cmdline, "kernelcore", total, &kernel)) {
		kernel = total - min(kernel, total);
		movable = asked ? min(movable, kernel) : kernel;
	}
	return movable >> PAGE_SHIFT;
}

void mm_boot_init(const char *cmdline)
{
	char value[256];

	if (!cmdline)
		cmdline = "";
	debug_vm = get_option(cmdline, "debug_vm", value, sizeof(value));
	min_free_kbytes = size_option(cmdline, "min_free_kbytes");
	if (get_option(cmdline, "norandmaps", value, sizeof(value)))
		sysctl_randomize_va_space = 0;
	/* The second is Linux's older name. */
	if (get_option(cmdline, "slab_debug", value, sizeof(value)) ||
	    get_option(cmdline, "slub_debug", value, sizeof(value)))
		slab_debug_setup(value);
	boot_option_asked("slub_debug");
	hugetlb_boot_options(cmdline);
	if (get_option(cmdline, "cma", value, sizeof(value))) {
		char why[64];

		cma_reserve(value, why, sizeof(why));
		if (why[0])
			printk("cma=%s: %s, ignored\n", value, why);
	}
	zswap_boot_options(cmdline, get_option);
	mem_cgroup_boot_options(cmdline, get_option);
	if (get_option(cmdline, "swiotlb", value, sizeof(value))) {
		char why[64];

		swiotlb_reserve(value, why, sizeof(why));
		if (why[0])
			printk("swiotlb=%s: %s, ignored\n", value, why);
	}
	if (highmem_start)
		kmap_init(); /* zones may look into their pages (page_poison) */
	zones_init(movable_pages(cmdline));
	lruvecs_init(get_option(cmdline, "reclaim_policy", value, sizeof(value)) ? value : NULL);
	kmem_cache_init();
	cma_activate();
	swiotlb_init();
	vmalloc_init();
	hugetlb_init();
	thp_init(cmdline);
}

void free_reserved_area(phys_addr_t start, phys_addr_t end, const char *what)
{
	pfn_t pfn = DIV_ROUND_UP(start, PAGE_SIZE), last = end >> PAGE_SHIFT;
	unsigned long freed = 0;

	for (; pfn < last; pfn++, freed++) {
		if (!pfn_valid(pfn))
			panic("%s: frame 0x%lx is no RAM", what, (unsigned long)pfn);
		free_reserved_frame(pfn_to_page(pfn));
	}
	if (freed)
		printk("Freeing %s memory: %luK\n", what, freed << (PAGE_SHIFT - 10));
}
