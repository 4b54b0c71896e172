/*
 * Kernel virtual memory, through the software MMU of the host build: what is mapped can be touched,
 * what is not faults, and a TLB entry lives until its flush.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "arch/tlb.h"
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "mm/kvirt/vmalloc.h"

static u8 *at;
static void read_byte(void)
{
	(void)READ_ONCE(*at);
}
static void write_byte(void)
{
	WRITE_ONCE(*at, 1);
}

/* Does the access fault? In a child, which dies of it. */
static bool faults(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static bool write_faults(void *p)
{
	at = p;
	return faults(write_byte);
}

static bool read_faults(void *p)
{
	at = p;
	return faults(read_byte);
}

static void memory_is_there_and_guarded(void)
{
	u64 free_before, tables;
	u8 *p;

	drain_all_pages();
	p = vmalloc(5 * PAGE_SIZE - 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	tables = kernel_pgtables;
	free_before = count_free();
	CU_ASSERT(tables > 0);
	CU_ASSERT_EQUAL(count_frames(PAGE_PGTABLE), tables);
	CU_ASSERT_EQUAL((u64)global_stat(NR_PAGETABLE), tables);
	CU_ASSERT_EQUAL(count_frames(PAGE_VMALLOC), 5);
	CU_ASSERT_EQUAL(global_stat(NR_VMALLOC), 5);
	for (unsigned int i = 0; i < 5; i++) {
		memset(p + i * PAGE_SIZE, i + 1, PAGE_SIZE);
		CU_ASSERT_EQUAL(*(u8 *)page_address(vmalloc_to_page(p + i * PAGE_SIZE)), i + 1);
	}
	CU_ASSERT(write_faults(p + 5 * PAGE_SIZE));
	CU_ASSERT(!write_faults(p + 5 * PAGE_SIZE - 1));
	CU_ASSERT_PTR_NULL(vmalloc_to_page(p + 5 * PAGE_SIZE));
	CU_ASSERT_PTR_NULL(vmalloc_to_page(&tables));
	vfree(p);
	CU_ASSERT_EQUAL(count_free(), free_before + 5);
	CU_ASSERT_EQUAL(global_stat(NR_VMALLOC), 0);
	vfree(NULL);
	CU_ASSERT_PTR_NULL(vmalloc(0));
	CU_ASSERT_PTR_NULL(vmalloc(1ul << 40));
	p = vzalloc(3 * PAGE_SIZE);
	CU_ASSERT(!p[0] && !memcmp(p, p + 1, 3 * PAGE_SIZE - 1));
	vfree(p);
}

/* vfree flushes nothing and reuses nothing; a purge flushes once, then the addresses come again. */
static void purge_is_lazy(void)
{
	u64 flushes;
	u8 *p, *q;

	purge_vmap_areas();
	p = vmalloc(PAGE_SIZE);
	memset(p, 1, PAGE_SIZE);
	flushes = host_tlb.kernel_range;
	vfree(p);
	q = vmalloc(PAGE_SIZE);
	CU_ASSERT_PTR_NOT_EQUAL(p, q);
	CU_ASSERT_EQUAL(host_tlb.kernel_range, flushes);
	CU_ASSERT(!read_faults(p)); /* the TLB still has it */
	purge_vmap_areas();
	CU_ASSERT_EQUAL(host_tlb.kernel_range, flushes + 1);
	CU_ASSERT(read_faults(p));
	vfree(q);
	purge_vmap_areas();
	q = vmalloc(PAGE_SIZE);
	CU_ASSERT_PTR_EQUAL(p, q); /* the lowest gap */
	vfree(q);
	purge_vmap_areas();
	purge_vmap_areas(); /* nothing to do: no flush */
	CU_ASSERT_EQUAL(host_tlb.kernel_range, flushes + 3);
	/* By itself after 8 MiB of addresses. */
	for (unsigned int i = 0; i < 1200; i++)
		vfree(vmalloc(PAGE_SIZE));
	CU_ASSERT_EQUAL(host_tlb.kernel_range, flushes + 4);
}

/* The gap that an area leaves is used again, whole or in part, before anything behind it. */
static void gaps_are_filled(void)
{
	u8 *a, *b, *c, *d, *e;

	purge_vmap_areas();
	a = vmalloc(PAGE_SIZE);
	b = vmalloc(6 * PAGE_SIZE);
	c = vmalloc(PAGE_SIZE);
	vfree(b);
	purge_vmap_areas();
	d = vmalloc(2 * PAGE_SIZE);
	CU_ASSERT_PTR_EQUAL(d, b);
	e = vmalloc(3 * PAGE_SIZE); /* with its guard, all that is left of the gap */
	CU_ASSERT_PTR_EQUAL(e, b + 3 * PAGE_SIZE);
	b = vmalloc(PAGE_SIZE);
	CU_ASSERT_PTR_EQUAL(b, c + 2 * PAGE_SIZE);
	vfree(a);
	vfree(d);
	vfree(e);
	purge_vmap_areas();
	a = vmalloc(8 * PAGE_SIZE); /* three gaps have become one */
	CU_ASSERT(a < c);
	vfree(a);
	vfree(b);
	vfree(c);
}

static void stacks(void)
{
	u8 *s[3];

	for (int i = 0; i < 3; i++) {
		s[i] = __vmalloc(THREAD_SIZE, THREAD_SIZE, GFP_KERNEL, PAGE_STACK, "kthread");
		CU_ASSERT(s[i] && IS_ALIGNED((unsigned long)s[i], THREAD_SIZE));
		memset(s[i], 0xaa, THREAD_SIZE);
		CU_ASSERT(write_faults(s[i] - 1));
		CU_ASSERT(write_faults(s[i] + THREAD_SIZE));
	}
	CU_ASSERT_EQUAL(count_frames(PAGE_STACK), 12);
	CU_ASSERT_EQUAL(global_stat(NR_KERNEL_STACK_KB), 48);
	for (int i = 0; i < 3; i++)
		vfree(s[i]);
	CU_ASSERT_EQUAL(global_stat(NR_KERNEL_STACK_KB), 0);
	CU_ASSERT_EQUAL(count_frames(PAGE_STACK), 0);
}

static void other_peoples_pages(void)
{
	struct page *page[3];
	u8 *p;

	for (int i = 0; i < 3; i++)
		page[i] = alloc_page(GFP_KERNEL);
	p = vmap(page, 3, PAGE_KERNEL);
	for (int i = 0; i < 3; i++) {
		p[i * PAGE_SIZE] = 7 + i;
		CU_ASSERT_EQUAL(*(u8 *)page_address(page[i]), 7 + i);
		CU_ASSERT_PTR_EQUAL(vmalloc_to_page(p + i * PAGE_SIZE), page[i]);
	}
	vunmap(p);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(page_ref_count(page[i]), 1);
		__free_page(page[i]);
	}
	p = vmap(page, 1, PAGE_KERNEL_RO);
	CU_ASSERT(!read_faults(p));
	CU_ASSERT(write_faults(p));
	vunmap(p);
}

static void registers(void)
{
	u8 *p = ioremap(MMVM_VIRTIO_BASE + 0x200, 0x100);
	pte_t *table;

	CU_ASSERT_EQUAL((unsigned long)p & ~PAGE_MASK, 0x200);
	*p = 0x5a; /* the arena's memfd has a byte there as well */
	CU_ASSERT_EQUAL(*p, 0x5a);
	CU_ASSERT_PTR_NULL(vmalloc_to_page(p)); /* mapped, but no RAM */
	table = kernel_pgd();
	for (int level = 3; level > 0; level--)
		table = __va(table[pt_index((unsigned long)p, level)].v & PTE_PFN_MASK);
	CU_ASSERT_EQUAL(table[pt_index((unsigned long)p, 0)].v,
			MMVM_VIRTIO_BASE | PAGE_KERNEL_NOCACHE);
	iounmap(p);
	CU_ASSERT_PTR_NULL(ioremap(~0ull - 10, 100));
	CU_ASSERT_PTR_NULL(ioremap(0, 0));
	/* Across a page border: two pages. */
	p = ioremap(MMVM_VIRTIO_BASE + 0xff0, 0x20);
	CU_ASSERT(!read_faults(p + 0x1f));
	CU_ASSERT(read_faults(p + PAGE_SIZE + 0x10));
	iounmap(p);
}

static void protection(void)
{
	u8 *p = vmalloc(3 * PAGE_SIZE);

	memset(p, 1, 3 * PAGE_SIZE);
	CU_ASSERT_EQUAL(set_memory_prot((unsigned long)p + PAGE_SIZE, 1, PAGE_KERNEL_RO), 0);
	CU_ASSERT(!write_faults(p));
	CU_ASSERT(write_faults(p + PAGE_SIZE));
	CU_ASSERT(!read_faults(p + PAGE_SIZE));
	CU_ASSERT_EQUAL(p[PAGE_SIZE], 1);
	CU_ASSERT_EQUAL(set_memory_prot((unsigned long)p, 4, PAGE_KERNEL_RO), -EINVAL); /* guard */
	CU_ASSERT(!write_faults(p)); /* nothing was done */
	CU_ASSERT_EQUAL(set_memory_prot((unsigned long)p + 1, 1, PAGE_KERNEL), -EINVAL);
	CU_ASSERT_EQUAL(set_memory_prot((unsigned long)p + PAGE_SIZE, 1, PAGE_KERNEL), 0);
	p[PAGE_SIZE] = 2;
	vfree(p);
}

static void failure_unwinds(void)
{
	unsigned int failures = 0;
	u64 before;
	void *p;

	vfree(vmalloc(64 * PAGE_SIZE));
	drain_all_pages();
	before = count_free();
	for (u64 k = 1;; k++) {
		u64 failed = alloc_fail_count();

		alloc_fail_nth(k);
		p = vmalloc(20 * PAGE_SIZE);
		alloc_fail_nth(0);
		if (alloc_fail_count() == failed)
			break;
		CU_ASSERT_PTR_NULL(p);
		failures++;
		CU_ASSERT_EQUAL(count_frames(PAGE_VMALLOC), 0);
	}
	CU_ASSERT(failures >= 21); /* the area and each page */
	CU_ASSERT_EQUAL(count_frames(PAGE_VMALLOC), 20);
	vfree(p);
	purge_vmap_areas();
	CU_ASSERT((s64)(before - count_free()) <= 2); /* tables and slabs stay */
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* Random areas; every word of each is its own address. */
static void random_areas(void)
{
	enum { N = 60 };
	static struct {
		u64 *p;
		unsigned int pages;
	} area[N];
	unsigned int live = 0;

	for (unsigned int op = 0; op < 20000; op++) {
		unsigned int i = get_random_u64() % N;

		if (area[i].p) {
			for (unsigned int k = 0; k < area[i].pages; k++) {
				u64 *w = area[i].p + k * PAGE_SIZE / 8;

				if (*w != (u64)w)
					CU_FAIL("two areas share a page");
			}
			vfree(area[i].p);
			area[i].p = NULL;
			live--;
		} else {
			u64 size = 1 + get_random_u64() % (40 * PAGE_SIZE);
			u64 align = PAGE_SIZE << get_random_u64() % 4;

			area[i].p = __vmalloc(size, align, GFP_KERNEL, PAGE_VMALLOC, "random");
			CU_ASSERT_PTR_NOT_NULL_FATAL(area[i].p);
			area[i].pages = DIV_ROUND_UP(size, PAGE_SIZE);
			for (unsigned int k = 0; k < area[i].pages; k++) {
				u64 *w = area[i].p + k * PAGE_SIZE / 8;

				*w = (u64)w;
			}
			live++;
		}
	}
	CU_ASSERT(live > 10);
	CU_ASSERT_EQUAL(check_pages(), 0);
	for (unsigned int i = 0; i < N; i++)
		vfree(area[i].p);
	purge_vmap_areas();
	/* All gaps are one again: an area of half the space fits, mapped lazily by nobody. */
	CU_ASSERT_EQUAL(count_frames(PAGE_VMALLOC), 0);
}

static void double_vfree(void *arg)
{
	void *p = vmalloc(100);

	vfree(p);
	vfree(p);
}
static void vfree_inside(void *arg)
{
	vfree((char *)vmalloc(2 * PAGE_SIZE) + PAGE_SIZE);
}
static void vfree_of_kmalloc(void *arg)
{
	vfree(kmalloc(100, GFP_KERNEL));
}
static void vunmap_of_vmalloc(void *arg)
{
	vunmap(vmalloc(100));
}

static void misuse_is_named(void)
{
	CU_ASSERT(host_panics(double_vfree, NULL, "free already"));
	CU_ASSERT(host_panics(vfree_inside, NULL, "not the start"));
	CU_ASSERT(host_panics(vfree_of_kmalloc, NULL, "in no area"));
	CU_ASSERT(host_panics(vunmap_of_vmalloc, NULL, "of another kind"));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"memory is there and guarded", memory_is_there_and_guarded},
		{"purge is lazy", purge_is_lazy},
		{"gaps are filled", gaps_are_filled},
		{"stacks", stacks},
		{"other people's pages", other_peoples_pages},
		{"registers", registers},
		{"protection", protection},
		{"failure unwinds", failure_unwinds},
		{"random areas", random_areas},
		{"misuse is named", misuse_is_named},
	};

	host_boot_default("");
	return unit_run("vmalloc", cases, ARRAY_SIZE(cases));
}
