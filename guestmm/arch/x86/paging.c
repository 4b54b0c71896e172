/*
 * The kernel's own page tables.
 *
 *   PML4 (swapper_pg_dir); with five levels, entry 511 of the PML5 (top_pg_dir) is the way to it
 *    [273]      direct map: every RAM range below highmem_start, read-write, no execute; 2 MiB pages where a whole one
 *               is RAM, 4 KiB at the ends. Its alias of the kernel's text and constants is
 *               read-only.
 *    [402,403]  vmalloc area: tables of the second level made now, so that every address space
 *               shares them and vmalloc never has to touch another top-level table (I2)
 *    [404..412] windows onto high memory, if there is any: likewise
 *    [468]      vmemmap: struct pages of each RAM range, behind each other as their frames are
 *    [511]      kernel image, with W^X at 4 KiB; the fixmap; the CPUs' areas (percpu.c)
 *
 * I1  No page is writable and executable, through any mapping.
 * I2  The top-level entries above are complete before the first address space exists, and never
 *     change: arch_pgd_init() copies them once.
 * I3  The page below the boot stack is mapped nowhere in the image mapping.
 *
 * Tables come from a small pool in the image until memblock's memory is reachable, then from
 * memblock, which may hand out only what is mapped already: the direct map of the first GiB at most
 * is built from the pool (POOL_PAGES says why it is enough), the rest from memory in that first
 * part.
 */
#include "arch/boot.h"
#include "arch/pgtable.h"
#include "arch/processor.h"
#include "arch/tlb.h"
#include "kernel/boot_info.h"
#include "kernel/task.h"
#include "mm/init.h"
#include "mm/phys/highmem.h"
#include "mm/phys/memblock.h"
#include "mm/virt/mm.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/zone.h"
#include "mm/pgtable/pgtable.h"

/* Where count_vm_event() and the zones write: mapped for ever. */
struct mmvm_shared *mmvm_shared = (struct mmvm_shared *)FIX_SHARED;

static pte_t swapper_pg_dir[PTRS_PER_PTE] __attribute__((aligned(4096)));
static pte_t *top_pg_dir = swapper_pg_dir; /* image address */
u64 kernel_cr3;

/* Image: PDPT, PD, and 2 PTs for an image of up to 3 MiB from 1 MiB. Fixmap: PD, PT. Direct map:
 * PDPT, PD, PT of the first 2 MiB, of the image's other 2 MiB, and of the odd end. vmalloc: 2. PML5. */
#define POOL_PAGES 17
static pte_t pool[POOL_PAGES][PTRS_PER_PTE] __attribute__((aligned(4096)));
static unsigned int pool_used;
static phys_addr_t mapped_end __initdata; /* memblock memory is reachable up to here; 0 = not yet */

/* While on the VMM's tables, and for the pool always: image addresses. Later the direct map. */
static __init pte_t *table_va(phys_addr_t pa)
{
	if (pa >= image_pa(_image_start) && pa < image_pa(_image_end))
		return (pte_t *)(MMVM_KERNEL_VIRT + pa);
	return __va(pa);
}

static __init phys_addr_t table_alloc(void)
{
	phys_addr_t pa;

	if (pool_used < POOL_PAGES)
		return image_pa(pool[pool_used++]);
	if (!mapped_end)
		panic("no boot page table: image of %ld KiB",
		      (long)(_image_end - _image_start) >> 10);
	pa = memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, 0, mapped_end);
	if (!pa)
		panic("no memory for boot page tables");
	return pa;
}

/* Entry for `addr` at `level`, with the tables above it made. */
static __init pte_t *map_entry(unsigned long addr, int level)
{
	pte_t *table = swapper_pg_dir;

	for (int l = 3; l > level; l--) {
		pte_t *e = table + pt_index(addr, l);

		if (pte_none(*e))
			pte_set(e, __pte(table_alloc() | _PAGE_TABLE));
		table = table_va(pte_val(*e) & PTE_PFN_MASK);
	}
	return table + pt_index(addr, level);
}

/* Map [va, va + size) to pa: 2 MiB pages where both sides and the rest allow. Page aligned. */
static __init void map_range(unsigned long va, phys_addr_t pa, u64 size, pgprot_t prot)
{
	while (size) {
		bool huge = IS_ALIGNED(va | pa, PMD_SIZE) && size >= PMD_SIZE;
		u64 step = huge ? PMD_SIZE : PAGE_SIZE;
		pte_t *e = map_entry(va, huge ? 1 : 0);

		/* The rest of this table is filled without walking again. */
		do {
			pte_set(e++, __pte(pa | prot | (huge ? _PAGE_PSE : 0)));
			va += step;
			pa += step;
			size -= step;
		} while (size >= step && (unsigned long)e & ~PAGE_MASK);
	}
}

static __init void map_image(const char *start, const char *end, pgprot_t prot)
{
	map_range((unsigned long)start, image_pa(start), end - start, prot);
}

__init void boot_map_range(unsigned long va, phys_addr_t pa, u64 size, u64 prot)
{
	map_range(va, pa, size, prot);
}

/* ---- direct map ---- */

/* Map RAM [base, end), with the kernel's text and constants read-only. */
static __init void map_direct(phys_addr_t base, phys_addr_t end)
{
	phys_addr_t ro = image_pa(_text_start), rw = image_pa(_init_start);

	if (base < ro && end > rw) {
		map_range((unsigned long)__va(base), base, ro - base, PAGE_KERNEL);
		map_range((unsigned long)__va(ro), ro, rw - ro, PAGE_KERNEL_RO);
		base = rw;
	}
	map_range((unsigned long)__va(base), base, end - base, PAGE_KERNEL);
}

/* High memory is not mapped here. */
static __init phys_addr_t low_end(phys_addr_t end)
{
	return highmem_start ? min(end, highmem_start) : end;
}

/* The part that holds the image, at most to the end of the first GiB. */
static __init void map_direct_first(phys_addr_t base, u64 size, int node, void *arg)
{
	phys_addr_t end = min(low_end(base + size), (phys_addr_t)1 << PUD_SHIFT);

	if (base > image_pa(_image_start) || end < image_pa(_image_end))
		return;
	map_direct(base, end);
	mapped_end = end;
}

static __init void map_direct_rest(phys_addr_t base, u64 size, int node, void *arg)
{
	phys_addr_t end = low_end(base + size);

	if (base < mapped_end)
		base = min(mapped_end, end);
	if (base < end)
		map_direct(base, end);
}

/* Tables for the windows onto high memory: all of those of the threads that CPUs start with. */
static __init void map_windows(void)
{
	for (unsigned long va = KMAP_START; va < KMAP_END; va += 1ul << PGDIR_SHIFT)
		map_entry(va, 2);
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		map_entry(KMAP_BOOT_START + cpu * KMAP_SLOTS * PAGE_SIZE, 0);
}

__init void paging_init(void)
{
	map_image(_text_start, _text_end, PAGE_KERNEL_EXEC);
	map_image(_rodata_start, _rodata_end, PAGE_KERNEL_RO);
	map_image(_init_start, _init_text_end, PAGE_KERNEL_EXEC);
	map_image(_init_text_end, _boot_stack_guard, PAGE_KERNEL);
	map_image(_boot_stack_guard + PAGE_SIZE, _data_end, PAGE_KERNEL);

	map_range(FIX_LAPIC, MMVM_LAPIC_BASE, PAGE_SIZE, PAGE_KERNEL_NOCACHE);
	map_range(FIX_IOAPIC, MMVM_IOAPIC_BASE, PAGE_SIZE, PAGE_KERNEL_NOCACHE);
	map_range(FIX_SHARED, MMVM_SHARED_BASE, MMVM_SHARED_SIZE, PAGE_KERNEL);
	if (boot_info.quirks & MMVM_QUIRK_SYSCALL_UD)
		map_range(FIX_SYSCALL_UD, image_pa(_syscall_ud_page), PAGE_SIZE,
			  (PAGE_KERNEL_EXEC | _PAGE_USER) & ~_PAGE_GLOBAL);

	for (unsigned long va = VMALLOC_START; va < VMALLOC_END; va += 1ul << PGDIR_SHIFT)
		map_entry(va, 2);

	memblock_for_each(map_direct_first, NULL);
	if (!mapped_end)
		panic("the device tree's memory does not hold the kernel");
	boot_option_asked("la57"); /* the VMM acts on it */
	if (READ_CR(4) & CR4_LA57) {
		phys_addr_t pa = table_alloc();

		top_pg_dir = (pte_t *)(MMVM_KERNEL_VIRT + pa);
		pte_set(&top_pg_dir[PTRS_PER_PTE - 1],
			__pte(image_pa(swapper_pg_dir) | _PAGE_TABLE));
		pt_top_level = 4;
		task_size = (1ul << 56) - PAGE_SIZE;
	}
	kernel_cr3 = image_pa(top_pg_dir);
	WRITE_CR(3, kernel_cr3);
	memblock_free(MMVM_BOOT_GDT,
		      MMVM_BOOT_PML4 - MMVM_BOOT_GDT + MMVM_BOOT_PT_PAGES * PAGE_SIZE);
	memblock_for_each(map_direct_rest, NULL);
	if (highmem_start)
		map_windows();
}

/* ---- vmemmap ---- */

/*
 * Struct pages of one RAM range. They are taken from the range itself, above the DMA zone if that
 * has room, so that each node's are local and the 16 MiB that old devices reach stay free.
 */
static __init void map_vmemmap(phys_addr_t base, u64 size, int node, void *arg)
{
	unsigned long first = (unsigned long)(vmemmap + (base >> PAGE_SHIFT)) & PAGE_MASK;
	unsigned long last = (unsigned long)(vmemmap + ((base + size) >> PAGE_SHIFT));
	const phys_addr_t dma_end = 16ull << 20;

	for (unsigned long va = first; va < last;) {
		bool huge = IS_ALIGNED(va, PMD_SIZE) && last - va >= PMD_SIZE;
		u64 bytes = huge ? PMD_SIZE
				 : min(ALIGN_UP(last, PAGE_SIZE), ALIGN_UP(va + 1, PMD_SIZE)) - va;
		phys_addr_t pa;

		/* Two ranges may meet within one page of struct pages. */
		if (!huge && pte_present(*map_entry(va, 0))) {
			va += PAGE_SIZE;
			continue;
		}
		pa = memblock_phys_alloc(bytes, huge ? PMD_SIZE : PAGE_SIZE, max(base, dma_end),
					 base + size);
		if (!pa)
			pa = memblock_phys_alloc(bytes, huge ? PMD_SIZE : PAGE_SIZE, base,
						 base + size);
		if (!pa)
			pa = memblock_phys_alloc(bytes, PAGE_SIZE, 0, 0);
		if (!pa)
			panic("no memory for struct pages of %lx-%lx", (unsigned long)base,
			      (unsigned long)(base + size));
		map_range(va, pa, bytes, PAGE_KERNEL);
		va += bytes;
	}
}

__init void vmemmap_init(void)
{
	memblock_for_each(map_vmemmap, NULL);
}

/* ---- the rest of the kernel's life
 * --------------------------------------------------------------- */

bool arch_has_gbpages(void)
{
	u32 a, b, c, d;

	cpuid(0x80000001, 0, &a, &b, &c, &d);
	return d & 1u << 26; /* Page1GB */
}

void *kernel_pgd(void)
{
	return __va(image_pa(top_pg_dir));
}

void arch_pgd_init(void *pgd)
{
	u64 *dst = (u64 *)pgd + PTRS_PER_PTE / 2;
	const u64 *src = (const u64 *)top_pg_dir + PTRS_PER_PTE / 2;
	unsigned long n = PTRS_PER_PTE / 2;

	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
}

/* Free frames of the image [start, end) to the buddy. Afterwards only the direct map reaches them. */
static void free_image_range(const void *start, const void *end, const char *what)
{
	unsigned long from = (unsigned long)start, to = (unsigned long)end;

	if (from == to)
		return;
	for (unsigned long va = from; va < to; va += PAGE_SIZE)
		pte_set(walk_pte(kernel_pgd(), va), __pte(0));
	flush_tlb_kernel_range(from, to);
	free_reserved_area(image_pa(start), image_pa(end), what);
}

void free_initmem(void)
{
	free_image_range(_init_start, _init_end, "init");
	free_image_range(pool + pool_used, pool + POOL_PAGES, "boot page tables");
}
