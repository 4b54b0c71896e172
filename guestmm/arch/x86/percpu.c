/*
 * The CPUs' areas (arch/percpu.h): made at boot, one after the other, each from memory of its CPU's node.
 *
 * Until percpu_areas_init() the only CPU uses the variables where the linker put them, with GS's base
 * 0. They are in the init part of the image: an access that comes without an area later on faults.
 */
#include "arch/boot.h"
#include "arch/pgtable.h"
#include "arch/percpu.h"
#include "arch/processor.h"
#include "kernel/boot_info.h"
#include "kernel/task.h"
#include "lib/string.h"
#include "mm/kvirt/percpu.h"
#include "mm/phys/memblock.h"
#include "mm/phys/zone.h"
#include "mmvm/audit.h"

extern char boot_stack[];

DEFINE_PER_CPU(unsigned long, this_cpu_off);
DEFINE_PER_CPU(unsigned int, cpu_number);
DEFINE_PER_CPU(struct thread_info *, current_ti) = (struct thread_info *)boot_stack;
DEFINE_PER_CPU(struct task *, current_task_ptr);
u64 vm_event_row[MMVM_MAX_EVENTS] __attribute__((section(".data..percpu..page"), aligned(4096)));

struct search {
	int node;
	u64 size;
	phys_addr_t found;
};

/* Above the memory that old devices reach, if the node has some. */
static void find_on_node(phys_addr_t base, u64 size, int node, void *arg)
{
	struct search *s = arg;
	const phys_addr_t dma_end = 16ull << 20;

	if (node != s->node || s->found)
		return;
	s->found = memblock_phys_alloc(s->size, PAGE_SIZE, max(base, dma_end), base + size);
	if (!s->found)
		s->found = memblock_phys_alloc(s->size, PAGE_SIZE, base, base + size);
}

static __init void make_area(unsigned int cpu, unsigned long va, u64 unit)
{
	const u64 statics = (u64)(__per_cpu_end - __per_cpu_start);
	struct search s = {.node = boot_info.cpu_node[cpu], .size = unit - PAGE_SIZE};
	phys_addr_t row = MMVM_SHARED_BASE + offsetof(struct mmvm_shared, event[cpu]);

	memblock_for_each(find_on_node, &s);
	if (!s.found)
		s.found = memblock_phys_alloc(s.size, PAGE_SIZE, 0, 0);
	if (!s.found)
		panic("no memory for the area of CPU %u", cpu);
	boot_map_range(va, row, PAGE_SIZE, PAGE_KERNEL);
	boot_map_range(va + PAGE_SIZE, s.found, s.size, PAGE_KERNEL);
	memcpy((char *)va + PAGE_SIZE, __per_cpu_start + PAGE_SIZE, statics - PAGE_SIZE);
	__per_cpu_offset[cpu] = va - (unsigned long)__per_cpu_start;
	per_cpu(this_cpu_off, cpu) = __per_cpu_offset[cpu];
	per_cpu(cpu_number, cpu) = cpu;
}

void arch_percpu_audit_layout(struct mmvm_audit_percpu *l)
{
	l->first_gva = (u64)__per_cpu_start;
	l->own_offset_gva = (u64)&this_cpu_off;
	l->number_gva = (u64)&cpu_number;
}

__init void percpu_areas_init(void)
{
	const u64 statics = (u64)(__per_cpu_end - __per_cpu_start);
	const u64 unit = percpu_unit_size(statics);
	const unsigned int n = min(boot_info.nr_cpus, (u32)MMVM_MAX_CPUS);

	if (unit * n > PERCPU_END - PERCPU_START)
		panic("per-CPU variables of %lu bytes do not fit", (unsigned long)statics);
	for (unsigned int cpu = n; cpu-- > 0;)
		make_area(cpu, PERCPU_START + cpu * unit, unit);
	cpu_move_to_area();
	percpu_first_chunk(PERCPU_START, unit, statics, n, (unit >> PAGE_SHIFT) - 1);
}
