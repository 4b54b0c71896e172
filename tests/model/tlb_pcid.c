/*
 * TLB maintenance with PCIDs (arch/x86/tlb.c) against a TLB that remembers everything it may: three CPUs load,
 * read, change, unmap in batches and end nine address spaces, which is more than a CPU has PCIDs. A CPU that is in
 * the middle of its operation has interrupts off: what others ask of it waits, and others go on in between, at each
 * change of CR3, of a count or of cpumask.
 *
 * A read gives the newest contents of the page, unless a flush for it has not come back yet. All of it once more
 * without PCIDs.
 *
 *   tlb_pcid [SEED [OPERATIONS]]
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "lib/atomic.h"
#include "mm/phys/alloc.h"
#include "mm/phys/zone.h"
#include "mm/virt/mm_types.h"

/* ---- the processor ---- */

#define CPUS  3u
#define PCIDS 16u
#define PAGES 4u
#define MMS   9u
#define BASE  0x400000ul

static unsigned long cr3[CPUS];
static u32 tlb[CPUS][PCIDS][PAGES]; /* contents that the CPU believes in; 0: no entry */
static bool with_pcid;
static u64 kept; /* loads of CR3 that kept entries */

static void others_run(void);
static void fill(void);

static void write_cr3(unsigned long v)
{
	others_run();
	if (v >> 63)
		kept++;
	else
		memset(tlb[cpu_id()][v % PCIDS], 0, sizeof(tlb[0][0]));
	cr3[cpu_id()] = v & ~(1ul << 63);
	fill();
	others_run();
}

static void forget_page(unsigned long addr)
{
	others_run();
	tlb[cpu_id()][cr3[cpu_id()] % PCIDS][(addr - BASE) >> PAGE_SHIFT] = 0;
	fill();
	others_run();
}

/* tlb.c with this processor under it. Its names are the hosted memory manager's, too. */
#define ARCH_PROCESSOR_H
#define READ_CR(n)     cr3[cpu_id()]
#define WRITE_CR(n, v) write_cr3(v)
#define CR4_PGE	       0
#define invlpg(addr)   forget_page(addr)
#define static_key(k)  ((k) == KEY_PCID ? with_pcid : (k) == KEY_SMP)
#undef atomic_add_return
#define atomic_add_return(p, n) (others_run(), __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST))
static void set_bits(u32 *p, u32 bits)
{
	others_run();
	*p |= bits;
	others_run();
}
#undef atomic_or
#define atomic_or(p, bits)	   set_bits(p, bits)
#define flush_tlb_page		   x86_flush_tlb_page
#define flush_tlb_range		   x86_flush_tlb_range
#define flush_tlb_mm		   x86_flush_tlb_mm
#define flush_tlb_kernel_range	   x86_flush_tlb_kernel_range
#define flush_tlb_kernel_page_here x86_flush_tlb_kernel_page_here
#define tlb_batch_flush		   x86_tlb_batch_flush
#define arch_switch_mm		   x86_arch_switch_mm
#define arch_release_mm		   x86_arch_release_mm
#include "../../guestmm/arch/x86/tlb.c"
#include "mm/pgtable/tlb_pending.h"

u64 kernel_cr3 = 0x1000;
u32 cpus_online = (1u << CPUS) - 1;

/* ---- the model ---- */

static struct mm_struct mm[MMS];
static struct page_state {
	u32 newest;
	u32 unflushed; /* flushes that have not come back */
} page[MMS][PAGES];
static u32 version;
static struct mm_struct *dying;		/* nobody loads it any more */
static struct mm_struct *running[CPUS]; /* the mm of the CPU's task; NULL: a kernel thread, lazy */
static bool busy[CPUS];
static unsigned int depth;
static unsigned long op;
static u64 reads, waited, ended;

/* What a busy CPU was asked, and the pages that wait for the answer. */
static struct request {
	void (*fn)(void *arg);
	union {
		struct flush flush;
		struct tlb_batch batch;
	} arg;
	unsigned char pages[MMS][PAGES];
} * waiting[CPUS];
static unsigned int nr_waiting[CPUS];
#define MAX_WAITING 64u
static unsigned char (*asking)[PAGES]; /* pages of the flush that smp_call() is part of */

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)(random() % n);
}

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "operation %lu: ", op);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void become(unsigned int cpu)
{
	host_set_cpu(cpu);
	host_thread_info.mm = running[cpu];
}

static void all_unflushed(unsigned char pages[MMS][PAGES], int sign)
{
	for (unsigned int m = 0; m < MMS; m++)
		for (unsigned int p = 0; p < PAGES; p++)
			page[m][p].unflushed += (u32)(sign * pages[m][p]);
}

static void answer(unsigned int cpu);

u32 smp_call(u32 mask, void (*fn)(void *arg), void *arg, enum smp_call_where where)
{
	unsigned int me = cpu_id();

	(void)where;
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		if (!(mask >> cpu & 1))
			continue;
		others_run();
		if (busy[cpu]) {
			struct request *r = &waiting[cpu][nr_waiting[cpu]++];

			if (nr_waiting[cpu] > MAX_WAITING)
				wrong("too much waits for CPU %u", cpu);
			waited++;
			r->fn = fn;
			if (fn == flush_remote)
				r->arg.flush = *(struct flush *)arg;
			else
				r->arg.batch = *(struct tlb_batch *)arg;
			memcpy(r->pages, asking, sizeof(r->pages));
			all_unflushed(r->pages, 1);
			continue;
		}
		become(cpu);
		busy[cpu] = true;
		fn(arg);
		answer(cpu);
		become(me);
	}
	return 0;
}

/* The end of an operation: interrupts on. Whose CPU we are. */
static void answer(unsigned int cpu)
{
	busy[cpu] = true;
	for (unsigned int i = 0; i < nr_waiting[cpu]; i++) {
		struct request *r = &waiting[cpu][i];

		r->fn(&r->arg);
		all_unflushed(r->pages, -1);
	}
	nr_waiting[cpu] = 0;
	busy[cpu] = false;
}

static void read_page(void)
{
	unsigned int cpu = cpu_id(), p = rnd(PAGES), m;
	struct mm_struct *now = running[cpu];
	u32 *entry = &tlb[cpu][cr3[cpu] % PCIDS][p];

	if (!now || cr3[cpu] - cr3[cpu] % PAGE_SIZE != __pa(now->pgd))
		return; /* in the middle of a switch: user pages are not read */
	m = (unsigned int)(now - mm);
	if (!*entry)
		*entry = page[m][p].newest;
	reads++;
	if (*entry != page[m][p].newest && !page[m][p].unflushed)
		wrong("CPU %u reads version %u of mm %u page %u, the newest is %u", cpu, *entry, m,
		      p, page[m][p].newest);
}

/* What a processor may do at any time: it walks the loaded tables for pages that nobody has read yet. */
static void fill(void)
{
	unsigned int cpu = cpu_id(), p = rnd(PAGES);
	u32 *entry = &tlb[cpu][cr3[cpu] % PCIDS][p];

	for (unsigned int m = 0; m < MMS; m++)
		if (cr3[cpu] - cr3[cpu] % PAGE_SIZE == __pa(mm[m].pgd) && !*entry)
			*entry = page[m][p].newest;
}

static void switch_to(unsigned int m)
{
	unsigned int cpu = cpu_id();
	unsigned long flags;

	if (m == MMS) {
		running[cpu] = host_thread_info.mm = NULL; /* lazy */
		return;
	}
	if (&mm[m] == dying)
		return;
	flags = arch_irq_save();
	running[cpu] = host_thread_info.mm = &mm[m];
	arch_switch_mm(&mm[m]);
	arch_irq_restore(flags);
}

/* One page or all of an mm change. */
static void change(unsigned int m, unsigned int first, unsigned int end)
{
	unsigned char pages[MMS][PAGES] = {0}, (*outer)[PAGES] = asking;

	for (unsigned int p = first; p < end; p++) {
		page[m][p].newest = ++version;
		pages[m][p] = 1;
	}
	all_unflushed(pages, 1);
	asking = pages;
	if (end - first == 1 && rnd(2))
		flush_tlb_page(&mm[m], BASE + first * PAGE_SIZE);
	else if (rnd(3))
		flush_tlb_range(&mm[m], BASE + first * PAGE_SIZE, BASE + end * PAGE_SIZE);
	else
		flush_tlb_mm(&mm[m]);
	asking = outer;
	all_unflushed(pages, -1);
}

/* Pages of several mms change, and one flush is for all of them. */
static void change_batch(void)
{
	unsigned char pages[MMS][PAGES] = {0}, (*outer)[PAGES] = asking;
	struct tlb_batch b = {.nr = 0};

	for (unsigned int i = rnd(8) ? 1 + rnd(5) : TLB_BATCH_MAX + 2; i--;) {
		unsigned int m = rnd(MMS), p = rnd(PAGES);

		page[m][p].newest = ++version;
		page[m][p].unflushed += !pages[m][p];
		pages[m][p] = 1;
		tlb_batch_add(&b, &mm[m], BASE + p * PAGE_SIZE, tlb_changed(&mm[m]));
		others_run();
	}
	asking = pages;
	tlb_batch_flush(&b);
	asking = outer;
	all_unflushed(pages, -1);
}

/* The mm ends, and a new one takes its place in memory, its tables, too. */
static void end_mm(unsigned int m)
{
	void *pgd = mm[m].pgd;

	for (unsigned int cpu = 0; cpu < CPUS; cpu++)
		if (running[cpu] == &mm[m] || nr_waiting[cpu] || (busy[cpu] && cpu != cpu_id()))
			return;
	for (unsigned int p = 0; p < PAGES; p++)
		if (page[m][p].unflushed)
			return;
	dying = &mm[m];
	arch_release_mm(&mm[m]);
	dying = NULL;
	if (mm[m].cpumask)
		wrong("mm %u has ended, and CPUs %x have it loaded", m, mm[m].cpumask);
	ended++;
	memset(&mm[m], 0, sizeof(mm[m]));
	mm[m].pgd = pgd;
	for (unsigned int p = 0; p < PAGES; p++)
		page[m][p].newest = ++version;
}

static void one_operation(void)
{
	unsigned int m = rnd(MMS), p = rnd(PAGES);

	switch (rnd(16)) {
	case 0 ... 4:
		switch_to(rnd(MMS + 1));
		break;
	case 5 ... 9:
		for (unsigned int i = 0; i < 2 * PAGES; i++)
			read_page();
		break;
	case 10 ... 12:
		change(m, p, p + 1 + rnd(PAGES - p));
		break;
	case 13:
		change_batch();
		break;
	default:
		if (depth == 1)
			end_mm(m);
		break;
	}
}

static void on_cpu(unsigned int cpu)
{
	unsigned int me = cpu_id();
	bool irqs_off = host_irqs_off;

	host_irqs_off = false;
	become(cpu);
	busy[cpu] = true;
	depth++;
	one_operation();
	depth--;
	answer(cpu);
	become(me);
	host_irqs_off = irqs_off;
}

static void others_run(void)
{
	unsigned int cpu = rnd(CPUS);

	if (depth && depth < CPUS && !rnd(3) && !busy[cpu])
		on_cpu(cpu);
}

static void run(unsigned long operations)
{
	kept = reads = waited = ended = 0;
	for (op = 0; op < operations; op++)
		on_cpu(rnd(CPUS));
	printf("%s PCIDs: %lu reads, %lu loads of CR3 kept entries, %lu requests waited\n",
	       with_pcid ? "with" : "without", (unsigned long)reads, (unsigned long)kept,
	       (unsigned long)waited);
	if (!reads || !waited || !ended || !kept != !with_pcid)
		wrong("a path was not taken");
}

int main(int argc, char **argv)
{
	unsigned int seed = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 1;
	unsigned long operations = argc > 2 ? strtoul(argv[2], NULL, 0) : 200000;

	host_nr_cpus = CPUS;
	host_boot_default("");
	srandom(seed);
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		waiting[cpu] = calloc(MAX_WAITING, sizeof(**waiting));
		if (!waiting[cpu])
			return 3;
		cr3[cpu] = kernel_cr3;
	}
	for (unsigned int m = 0; m < MMS; m++) {
		mm[m].pgd = (void *)__get_free_pages(GFP_KERNEL, 0);
		for (unsigned int p = 0; p < PAGES; p++)
			page[m][p].newest = ++version;
	}
	run(operations);
	with_pcid = true;
	/* As at boot: PCID 0 is loaded, nobody has another one. */
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		become(cpu);
		switch_to(MMS);
		if (this_cpu_read(loaded_mm))
			leave_mm(cpu);
	}
	memset(tlb, 0, sizeof(tlb));
	run(operations);
	return 0;
}
