/*
 * The fake machine's memory.
 *
 *   memfd, HOST_PHYS_SIZE, sparse      = physical memory
 *   host_page_offset  + pa             = direct map (RAM regions accessible, the rest PROT_NONE)
 *   host_vmalloc      + ...            = vmalloc area, PROT_NONE until touched
 *   host_kmap         + ...            = windows onto high memory, likewise; their host mappings go with their entries' flushes
 *   host_vmemmap      + 64 * pfn       = struct pages, zero until written
 *
 * The vmalloc area has a software MMU: a touch faults into SIGSEGV, the handler walks kernel_pgd()
 * as the CPU would and maps the frame there with the entry's access rights. Those host mappings are
 * the TLB: they stay, stale or not, until flush_tlb_kernel_range() drops them. So a missing flush,
 * a write to a read-only mapping and a touch of a guard page behave as on the real machine.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "host.h"
#include "race.h"
#include "arch/clear.h"
#include "arch/device_map.h"
#include "arch/direct_map.h"
#include "arch/pgtable.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/init.h"
#include "mm/kvirt/percpu.h"
#include "mm/phys/highmem.h"
#include "mm/phys/memblock.h"
#include "mm/phys/zone.h"

unsigned long host_page_offset, host_vmemmap, host_vmalloc, host_kmap, host_ram_base;

static struct mmvm_shared shared_window;
static int phys_fd = -1;
static int map_flags = MAP_SHARED;
static pte_t *top_table;
static struct host_region ram[MMVM_MAX_RAM_REGIONS];
static unsigned int nr_ram;

static void die(const char *what)
{
	perror(what);
	abort();
}

static unsigned long reserve(u64 size, unsigned long align)
{
	void *p = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return ALIGN_UP((unsigned long)p, align);
}

/* Leaf entry for a vmalloc address, or an empty one. */
static pte_t walk(unsigned long addr)
{
	pte_t *table = top_table;

	for (int level = 3;; level--) {
		pte_t entry = table[pt_index(addr, level)];

		if (level == 0 || !(entry.v & _PAGE_PRESENT))
			return entry;
		table = __va(entry.v & PTE_PFN_MASK);
	}
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	unsigned long addr = (unsigned long)info->si_addr & PAGE_MASK;
	bool write = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2;

	if (top_table && (addr - host_vmalloc < HOST_VMALLOC_SIZE ||
			  addr - KMAP_START < KMAP_END - KMAP_START)) {
		pte_t pte = walk(addr);

		if ((pte.v & _PAGE_PRESENT) && (pte_write(pte) || !write)) {
			int prot = PROT_READ | (pte_write(pte) ? PROT_WRITE : 0);

			if (mmap((void *)addr, PAGE_SIZE, prot, map_flags | MAP_FIXED, phys_fd,
				 pte.v & PTE_PFN_MASK) == MAP_FAILED)
				_exit(98);
			return;
		}
	}
	/* Not ours: let the instruction fault again and be reported the usual way. */
	fprintf(stderr, "fault at %#lx\n", (unsigned long)info->si_addr);
	host_race_say();
	signal(sig, SIG_DFL);
}

bool arch_has_gbpages(void)
{
	return true;
}

static void map_ram(void)
{
	for (unsigned int i = 0; i < nr_ram; i++) {
		phys_addr_t end = ram[i].base + ram[i].size;

		if (highmem_start)
			end = min(end, highmem_start);
		if (end > ram[i].base &&
		    mmap(__va(ram[i].base), end - ram[i].base, PROT_READ | PROT_WRITE,
			 map_flags | MAP_FIXED, phys_fd, ram[i].base) == MAP_FAILED)
			die("mmap of fake RAM");
		if (highmem_start &&
		    mmap(host_ram(ram[i].base), ram[i].size, PROT_READ | PROT_WRITE,
			 map_flags | MAP_FIXED, phys_fd, ram[i].base) == MAP_FAILED)
			die("mmap of fake RAM");
	}
}

static void forget(unsigned long start, unsigned long end)
{
	if (mmap((void *)start, end - start, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		die("mmap of kernel addresses");
}

static void forget_vmalloc(unsigned long start, unsigned long end)
{
	start = max(start, host_vmalloc);
	end = min(end, (unsigned long)(host_vmalloc + HOST_VMALLOC_SIZE));
	if (start < end)
		forget(start, end);
}

void flush_tlb_kernel_page_here(unsigned long addr)
{
	host_tlb.kernel_page++;
	forget(addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
}

/* HIGHMEM=SIZE in the environment: any program runs with so much memory out of the direct map. */
static void highmem_from_environment(void)
{
	const char *size = getenv("HIGHMEM");
	char why[64];

	if (!size)
		return;
	highmem_reserve(size, why, sizeof(why));
	if (why[0])
		panic("HIGHMEM=%s: %s", size, why);
}

/* An area of per-CPU variables for every CPU there can be, outside the machine's memory. */
static void make_areas(void)
{
	extern char __start_percpu[], __stop_percpu[];
	const u64 statics = (u64)(__stop_percpu - __start_percpu);
	const u64 unit = percpu_unit_size(statics);
	char *areas = aligned_alloc(PAGE_SIZE, unit * MMVM_MAX_CPUS);

	if (!areas)
		die("the CPUs' areas");
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++) {
		memcpy(areas + cpu * unit, __start_percpu, statics);
		__per_cpu_offset[cpu] =
			(unsigned long)(areas + cpu * unit) - (unsigned long)__start_percpu;
	}
	percpu_first_chunk((unsigned long)areas, unit, statics, MMVM_MAX_CPUS, 0);
}

void host_arena_init(const struct host_region *region, unsigned int n)
{
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
	u64 nr_frames = HOST_PHYS_SIZE >> PAGE_SHIFT;

	BUG_ON(phys_fd >= 0 || n > MMVM_MAX_RAM_REGIONS);
	phys_fd = memfd_create("fake physical memory", MFD_CLOEXEC);
	if (phys_fd < 0 || ftruncate(phys_fd, HOST_PHYS_SIZE))
		die("memfd");
	host_page_offset = reserve(HOST_PHYS_SIZE, PMD_SIZE);
	host_vmalloc = reserve(HOST_VMALLOC_SIZE, 1ul << PUD_SHIFT);
	host_kmap = reserve(KMAP_END - KMAP_START, 1ul << PUD_SHIFT);
	host_vmemmap = reserve(nr_frames * sizeof(struct page), PMD_SIZE);
	if (mprotect((void *)host_vmemmap, nr_frames * sizeof(struct page), PROT_READ | PROT_WRITE))
		die("mprotect");
	make_areas();
	mmvm_shared = &shared_window;
	shared_window.magic = MMVM_SHARED_MAGIC;
	shared_window.version = MMVM_CONTRACT_VERSION;
	shared_window.nr_cpus = host_nr_cpus;

	for (nr_ram = 0; nr_ram < n; nr_ram++) {
		ram[nr_ram] = region[nr_ram];
		BUG_ON(region[nr_ram].base + region[nr_ram].size > HOST_PHYS_SIZE);
		if (memblock_add(region[nr_ram].base, region[nr_ram].size, region[nr_ram].node))
			panic("memblock_add failed");
	}
	host_ram_base = host_page_offset;
	highmem_from_environment();
	if (highmem_start)
		host_ram_base = reserve(HOST_PHYS_SIZE, PMD_SIZE);
	map_ram();
	if (sigaction(SIGSEGV, &sa, NULL) || sigaction(SIGBUS, &sa, NULL))
		die("sigaction");
}

/* The table of a level for an address; those above it are there. */
static pte_t *table_at(unsigned long addr, int level)
{
	pte_t *table = top_table;

	for (int l = 3; l > level; l--)
		table = __va(table[pt_index(addr, l)].v & PTE_PFN_MASK);
	return table;
}

/* As arch/ does in the guest: a top-level table whose entries for the vmalloc area are all there.
 */
static void make_kernel_pgd(void)
{
	phys_addr_t pa = memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, 0, 0);
	unsigned long addr = VMALLOC_START & ~((1ul << PGDIR_SHIFT) - 1);

	BUG_ON(!pa);
	top_table = __va(pa);
	for (; addr < VMALLOC_END; addr += 1ul << PGDIR_SHIFT) {
		pa = memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, 0, 0);
		BUG_ON(!pa);
		top_table[pt_index(addr, 3)] = __pte(pa | _PAGE_TABLE);
	}
	for (int level = 3; highmem_start && level > 0; level--) {
		pte_t *entry = table_at(KMAP_BOOT_START, level) + pt_index(KMAP_BOOT_START, level);

		if (entry->v & _PAGE_PRESENT)
			continue;
		pa = memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, 0, 0);
		BUG_ON(!pa);
		*entry = __pte(pa | _PAGE_TABLE);
	}
}

void host_boot(const struct host_region *region, unsigned int n, const char *cmdline)
{
	host_arena_init(region, n);
	if (memblock_reserve(0, 65536))
		panic("memblock_reserve failed");
	make_kernel_pgd();
	mm_boot_init(cmdline);
	mmvm_shared->booted = 1;
}

void host_boot_default(const char *cmdline)
{
	static const struct host_region region[] = {
		{0, 40ull << 20, 0},
		{MMVM_RAM_HIGH_BASE, 8ull << 20, 0},
	};

	host_boot(region, ARRAY_SIZE(region), cmdline);
}

void *kernel_pgd(void)
{
	return top_table;
}

void arch_pgd_init(void *pgd)
{
	memcpy((pte_t *)pgd + 256, top_table + 256, 256 * sizeof(pte_t));
}

void arch_switch_mm(struct mm_struct *mm) {}
void arch_release_mm(struct mm_struct *mm) {}

void clear_pages(void *kaddr, unsigned long pages)
{
	memset(kaddr, 0, pages * PAGE_SIZE);
}
void copy_pages(void *dst, const void *src, unsigned long pages)
{
	memcpy(dst, src, pages * PAGE_SIZE);
}
void clear_page(void *kaddr)
{
	memset(kaddr, 0, PAGE_SIZE);
}

void copy_page(void *dst, const void *src)
{
	memcpy(dst, src, PAGE_SIZE);
}

void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	host_tlb.kernel_range++;
	count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	forget_vmalloc(start, end);
}

/*
 * Panics expected by a test. The child sees the machine as it was at the fork: its RAM becomes a
 * private copy of the memfd, everything else is private anyway.
 */
int host_panic_fd = -1;

static void copy_ram(void)
{
	int fd = memfd_create("copy of the fake physical memory", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, HOST_PHYS_SIZE))
		die("memfd");
	for (unsigned int i = 0; i < nr_ram; i++)
		for (u64 at = 0; at < ram[i].size; at += PMD_SIZE)
			if (pwrite(fd, host_ram(ram[i].base + at),
				   min(ram[i].size - at, (u64)PMD_SIZE), ram[i].base + at) < 0)
				die("pwrite");
	phys_fd = fd;
}

bool host_panics(void (*fn)(void *arg), void *arg, const char *needle)
{
	char message[512];
	ssize_t len;
	int fds[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(fds))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(fds[0]);
		alarm(60); /* a child that hangs is a failure as well */
		host_panic_fd = fds[1];
		if (highmem_start)
			copy_ram(); /* private copies of one page at two addresses would differ */
		else
			map_flags = MAP_PRIVATE;
		map_ram();
		forget_vmalloc(host_vmalloc, host_vmalloc + HOST_VMALLOC_SIZE);
		forget(KMAP_START, KMAP_END);
		fn(arg);
		_exit(0);
	}
	close(fds[1]);
	len = read(fds[0], message, sizeof(message) - 1);
	close(fds[0]);
	waitpid(pid, &status, 0);
	message[len > 0 ? len : 0] = 0;
	if (len > 0 && strstr(message, needle))
		return true;
	fprintf(stderr, "expected a panic with \"%s\", got \"%s\" (status %#x)\n", needle, message,
		status);
	return false;
}

/* Struct pages of all of the fake machine's frames are there. */
int arch_map_device(phys_addr_t start, u64 size)
{
	if (start + size > HOST_PHYS_SIZE ||
	    mmap(__va(start), size, PROT_READ | PROT_WRITE, map_flags | MAP_FIXED, phys_fd,
		 (off_t)start) == MAP_FAILED)
		return -ENOMEM;
	return 0;
}

/* The page is where it was, and a touch by its kernel address ends the test. */
int direct_map_hide(const struct page *page)
{
	return mprotect(page_address(page), PAGE_SIZE, PROT_NONE) ? -ENOMEM : 0;
}

void direct_map_show(const struct page *page)
{
	if (mprotect(page_address(page), PAGE_SIZE, PROT_READ | PROT_WRITE))
		die("mprotect");
}
