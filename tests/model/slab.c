/*
 * The slab allocator against a trivial reference: every object filled with a byte of its own, all
 * of which must still be there when it is freed, so no two objects share one.
 *
 * 400,000 random operations, one by one and in bulk, on caches of several sizes and on kmalloc; the
 * slabs are walked often (check.c); in the end every cache can be destroyed and no page is missing.
 *
 *   slab [SEED [OPERATIONS [OPTIONS]]]      OPTIONS: kernel command line, e.g. slab_debug=FZPU
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "host.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab_internal.h"

#define MAX_OBJECTS 4000
#define BULK	    24

static const struct {
	unsigned int size, align, flags;
	bool ctor;
} kind[] = {
	{8, 0, 0, false},
	{24, 0, 0, true},
	{40, 16, 0, false},
	{64, 64, 0, true},
	{100, 0, SLAB_HWCACHE_ALIGN, false},
	{520, 0, 0, false},
	{1500, 0, SLAB_RECLAIM_ACCOUNT, false},
	{4096, 0, 0, false},
	{9000, 0, 0, false},
};
#define NR_KINDS ARRAY_SIZE(kind)
static struct kmem_cache *cache[NR_KINDS];

static struct object {
	u8 *p;
	unsigned int kind; /* NR_KINDS: kmalloc */
	size_t size;
	u8 fill;
} object[MAX_OBJECTS];
static unsigned int nr_objects;
static unsigned long op;

#define REQUIRE(cond, ...)                                              \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "operation %lu: " __VA_ARGS__); \
			fputc('\n', stderr);                            \
			exit(1);                                        \
		}                                                       \
	} while (0)

#define CTOR_BYTE 0xc7
static void ctor24(void *obj)
{
	memset(obj, CTOR_BYTE, 24);
}
static void ctor64(void *obj)
{
	memset(obj, CTOR_BYTE, 64);
}

static bool all(const u8 *p, u8 byte, size_t n)
{
	return !n || (p[0] == byte && !memcmp(p, p + 1, n - 1));
}

static void note(void *p, unsigned int k, size_t size, bool zeroed)
{
	struct object *o = &object[nr_objects++];

	*o = (struct object){p, k, size, get_random_u64()};
	if (zeroed)
		REQUIRE(all(p, 0, size), "not zero", op);
	else if (k < NR_KINDS && kind[k].ctor)
		REQUIRE(all(p, CTOR_BYTE, size), "not constructed", op);
	if (k < NR_KINDS && kind[k].align)
		REQUIRE(IS_ALIGNED((unsigned long)p, kind[k].align), "not aligned", op);
	memset(p, o->fill, size);
}

/* Make an object ready to go back. */
static void *forget(unsigned int which)
{
	struct object *o = &object[which];
	void *p = o->p;

	REQUIRE(all(o->p, o->fill, o->size), "object of %zu bytes was overwritten", op, o->size);
	if (o->kind < NR_KINDS && kind[o->kind].ctor)
		memset(p, CTOR_BYTE, o->size);
	*o = object[--nr_objects];
	return p;
}

static void alloc_some(void)
{
	unsigned int k = get_random_u64() % (NR_KINDS + 3);
	bool zero = get_random_u64() % 8 == 0;
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	void *objs[BULK];

	if (k >= NR_KINDS) {
		size_t size =
			get_random_u64() % 40 ? get_random_u64() % 600 : get_random_u64() % 20000;
		u8 *p = zero ? kzalloc(size, gfp) : kmalloc(size, gfp);

		if (p == ZERO_SIZE_PTR || !p)
			return;
		REQUIRE(ksize(p) >= size, "kmalloc(%zu) has %zu", op, size, ksize(p));
		if (!zero && get_random_u64() % 4 == 0) {
			size_t bigger = size + get_random_u64() % 300;

			memset(p, 0x11, size);
			p = krealloc(p, bigger, gfp);
			REQUIRE(p && all(p, 0x11, size), "krealloc lost bytes", op);
			size = bigger;
		}
		note(p, NR_KINDS, size, zero);
	} else if (get_random_u64() % 16 == 0) {
		unsigned int n = 1 + get_random_u64() % BULK;

		n = kmem_cache_alloc_bulk(cache[k], gfp, n, objs);
		for (unsigned int i = 0; i < n; i++)
			note(objs[i], k, kind[k].size, false);
	} else {
		if (kind[k].ctor)
			zero = false;
		objs[0] = kmem_cache_alloc(cache[k], zero ? gfp | __GFP_ZERO : gfp);
		if (objs[0])
			note(objs[0], k, kind[k].size, zero);
	}
}

static void free_some(void)
{
	unsigned int which = get_random_u64() % nr_objects, k = object[which].kind;
	void *objs[BULK];
	unsigned int n = 0;

	if (k == NR_KINDS) {
		kfree(forget(which));
	} else if (get_random_u64() % 16) {
		void *p = forget(which);

		if (get_random_u64() % 4)
			kmem_cache_free(cache[k], p);
		else
			kfree(p); /* finds the cache by itself */
	} else {
		for (unsigned int i = nr_objects; i-- > 0 && n < BULK;)
			if (object[i].kind == k)
				objs[n++] = forget(i);
		kmem_cache_free_bulk(cache[k], n, objs);
	}
}

int main(int argc, char **argv)
{
	unsigned long ops = argc > 2 ? strtoul(argv[2], NULL, 0) : 400000;
	u64 free_before, refills = 0, flushes = 0;
	unsigned int target = 0;
	struct kmem_cache *c;

	if (argc > 1)
		host_random = strtoull(argv[1], NULL, 0);
	printf("seed %#lx, %lu operations\n", (unsigned long)host_random, ops);
	host_boot_default(argc > 3 ? argv[3] : "");
	list_for_each_entry (c, &slab_caches, list)
		kmem_cache_shrink(c);
	free_before = count_free();
	for (unsigned int k = 0; k < NR_KINDS; k++) {
		cache[k] = kmem_cache_create("model", kind[k].size, kind[k].align, kind[k].flags,
					     !kind[k].ctor	  ? NULL
					     : kind[k].size == 24 ? ctor24
								  : ctor64);
		REQUIRE(cache[k], "cannot create a cache of %u bytes", op, kind[k].size);
	}
	for (op = 0; op < ops; op++) {
		if (op % 4000 == 0)
			target = get_random_u64() % (MAX_OBJECTS - BULK);
		if (nr_objects < MAX_OBJECTS - BULK &&
		    (!nr_objects || get_random_u64() % 100 < (nr_objects < target ? 65 : 35)))
			alloc_some();
		else
			free_some();
		if (op % 1000 == 0)
			kmem_cache_shrink(cache[get_random_u64() % NR_KINDS]);
		if (op % 4000 == 0)
			REQUIRE(!check_slabs() && !check_pages(), "invariants broken", op);
	}
	while (nr_objects)
		free_some();
	REQUIRE(!check_slabs(), "invariants broken", op);
	for (unsigned int k = 0; k < NR_KINDS; k++) {
		refills += cache[k]->nr_refills;
		flushes += cache[k]->nr_flushes;
		REQUIRE(!kmem_cache_destroy(cache[k]), "cache %u has objects left", op, k);
	}
	list_for_each_entry (c, &slab_caches, list)
		kmem_cache_shrink(c);
	/* The kmalloc caches may have got their sheaves meanwhile: 13 of 256 bytes fill one page.
	 */
	REQUIRE(free_before - count_free() <= 1, "%ld pages lost", op,
		(long)(free_before - count_free()));
	REQUIRE(!check_slabs() && !check_pages(), "invariants broken", op);
	REQUIRE(refills > 1000 && flushes > 1000, "sheaves hardly used", op);
	printf("ok: %lu refills, %lu flushes\n", (unsigned long)refills, (unsigned long)flushes);
	return 0;
}
