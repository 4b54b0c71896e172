/*
 * What the guest kernel's allocators cost: images/linux_bench.c measures Linux's the same way, with
 * the same batches, so that the two columns of `mmvm bench` mean the same.
 *
 * A row is warmed, then repeated; each repetition is a batch of BATCH operations between two reads
 * of the TSC. Interrupts stay on, as in real use: the median leaves out the batch that a timer hit.
 */
#include "arch/processor.h"
#include "tests/tests.h"

#define BATCH 16
#define WARM  4
#define REPS  15
/* Short batches and many: the least of them has not been interrupted, however busy the host. */
#define EXIT_BATCH 50
#define EXIT_REPS  300

static struct kmem_cache *cache;
static u32 failed;

static void page_0(void)
{
	struct page *p = alloc_pages(GFP_KERNEL, 0);

	if (p)
		__free_pages(p, 0);
	else
		failed++;
}

static void page_9(void)
{
	struct page *p = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 9);

	if (p)
		__free_pages(p, 9);
	else
		failed++;
}

static void slab_96(void)
{
	void *p = kmem_cache_alloc(cache, GFP_KERNEL);

	if (p)
		kmem_cache_free(cache, p);
	else
		failed++;
}

static void kmalloc_128(void)
{
	void *p = kmalloc(128, GFP_KERNEL);

	failed += !p;
	kfree(p);
}

static void vmalloc_64k(void)
{
	void *p = vmalloc(65536);

	failed += !p;
	vfree(p);
}

static void sort(u64 *v, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++) {
		u64 x = v[i];
		unsigned int j = i;

		for (; j && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

static void row(struct test *t, const char *name, void (*once)(void))
{
	u64 ticks[REPS];

	for (int i = 0; i < WARM; i++)
		once();
	for (int i = 0; i < REPS; i++) {
		ticks[i] = rdtsc();
		for (int k = 0; k < BATCH; k++)
			once();
		ticks[i] = rdtsc() - ticks[i];
	}
	sort(ticks, REPS);
	CHECK_EQ(failed, 0);
	testchan_record(MMVM_REC_BENCH, name, ticks[REPS / 2] * 1000 / BATCH, REPS, NULL);
}

GUEST_TEST(bench, mm, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	cache = kmem_cache_create("bench_96", 96, 0, 0, NULL);
	REQUIRE(cache);
	row(t, "page_0", page_0);
	row(t, "page_9", page_9);
	row(t, "slab_96", slab_96);
	row(t, "kmalloc_128", kmalloc_128);
	row(t, "vmalloc_64k", vmalloc_64k);
	CHECK_EQ(kmem_cache_destroy(cache), 0);
}

/* A way out to the VMM and back, the cheapest there is: a write to the serial port's scratch
 * register. Beside it the host measures the same three instructions without a machine around them
 * (vmm/bench/exits.c). */
GUEST_TEST(bench, exits, MMVM_TESTF_BENCH, 60, "")
{
	u64 least = ~0ull;

	for (int i = 0; i < EXIT_REPS; i++) {
		u64 count = EXIT_BATCH, start = rdtsc();

		__asm__ volatile("1: outb %b1, %w2; decq %0; jnz 1b"
				 : "+r"(count)
				 : "a"(0), "d"(MMVM_SERIAL_PORT + 7)
				 : "memory");
		least = min(least, rdtsc() - start);
	}
	CHECK(least > EXIT_BATCH);
	testchan_record(MMVM_REC_BENCH, "exit", least * 1000 / EXIT_BATCH, EXIT_REPS, NULL);
}
