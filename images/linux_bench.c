// SPDX-License-Identifier: GPL-2.0
/*
 * Linux's own allocators, measured as guestmm/tests/bench_mm.c measures ours: the same operations,
 * batches and repetitions. Reading /proc/mmvm_bench runs them and gives lines
 *
 *     bench NAME MEDIAN MIN REPS        costs in thousandths of a TSC tick
 *
 * Loaded with hang=1 or hang=2 it stops all processors instead, in a loop that changes no register, or
 * one: how the lab takes that is tested by tests/vm/lab_hang.sh.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/msr.h>

#define BATCH 16
#define WARM  4
#define REPS  15

static struct kmem_cache *cache;

static void page_0(void)
{
	__free_pages(alloc_pages(GFP_KERNEL, 0), 0);
}

static void page_9(void)
{
	struct page *p = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 9);

	if (p)
		__free_pages(p, 9);
}

static void slab_96(void)
{
	kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
}

static void kmalloc_128(void)
{
	void *p = kmalloc(128, GFP_KERNEL);

	/* or the compiler may take out the pair */
	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
}

static void vmalloc_64k(void)
{
	vfree(vmalloc(65536));
}

static int smaller(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}

static void row(struct seq_file *m, const char *name, void (*once)(void))
{
	u64 t[REPS];
	int i, k;

	for (i = 0; i < WARM; i++)
		once();
	for (i = 0; i < REPS; i++) {
		t[i] = rdtsc();
		for (k = 0; k < BATCH; k++)
			once();
		t[i] = rdtsc() - t[i];
	}
	sort(t, REPS, sizeof(t[0]), smaller, NULL);
	seq_printf(m, "bench %s %llu %llu %d\n", name, t[REPS / 2] * 1000 / BATCH,
		   t[0] * 1000 / BATCH, REPS);
}

static int show(struct seq_file *m, void *unused)
{
	row(m, "page_0", page_0);
	row(m, "page_9", page_9);
	row(m, "slab_96", slab_96);
	row(m, "kmalloc_128", kmalloc_128);
	row(m, "vmalloc_64k", vmalloc_64k);
	return 0;
}

static int hang;
module_param(hang, int, 0);

static void stop(void *unused)
{
	local_irq_disable();
	if (hang == 1)
		asm volatile("1: jmp 1b");
	else
		asm volatile("1: inc %%rcx; jmp 1b" ::: "rcx");
}

static int __init bench_init(void)
{
	if (hang)
		on_each_cpu(stop, NULL, 0);
	cache = kmem_cache_create("mmvm_bench_96", 96, 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	if (!proc_create_single("mmvm_bench", 0400, NULL, show)) {
		kmem_cache_destroy(cache);
		return -ENOMEM;
	}
	return 0;
}

static void __exit bench_exit(void)
{
	remove_proc_entry("mmvm_bench", NULL);
	kmem_cache_destroy(cache);
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_LICENSE("GPL");
