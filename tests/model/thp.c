/*
 * Random operations on huge pages, anonymous and of shared memory, against arrays of bytes: writes and reads of any length and
 * alignment, fork and exit, munmap and mmap, mprotect, mremap there and back, MADV_DONTNEED, FREE, COLD,
 * PAGEOUT, HUGEPAGE, NOHUGEPAGE, COLLAPSE, REMOVE of shared memory, its modes, khugepaged, late splits, migration, reclaim and swap. Everything
 * that counts is checked against a walk of all tables each 200 operations.    thp [SEED [OPS]]
 */
#include "../unit/mm_user.h"
#include "mm/init.h"
#include "mm/move/migrate.h"

#define AREA	 0x100000000000ul
#define PAGES	 2048u /* four huge pages */
#define BYTES	 (PAGES * PAGE_SIZE)
#define AWAY	 (AREA - 64 * PMD_SIZE)
#define SHARED	 (AREA + 128 * PMD_SIZE) /* of all address spaces */
#define S_PAGES	 1300u
#define S_BYTES	 (S_PAGES * PAGE_SIZE)
#define CHECKED	 200u
#define NR_TWINS 3

/* An address space, and what its program knows: 0 where nothing was written since. */
struct twin {
	struct mm_struct *mm;
	u8 *byte;
	u8 lazy[PAGES]; /* MADV_FREE: the page may be zeroes now */
};
static struct twin twin[NR_TWINS];
static u8 shared[S_BYTES];
static u64 rng;
static u64 done[16];

static u64 next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static u8 *touch(struct twin *w, unsigned long at, bool write)
{
	unsigned int fault;
	u8 *p = user_touch(w->mm, AREA + at, write, &fault);

	MUST(p, "page %lu: fault %u", at >> PAGE_SHIFT, fault);
	return p;
}

/* A page that was given up with MADV_FREE holds what it held, or zeroes, until it is written. */
static void settle_lazy(struct twin *w, unsigned long page)
{
	const u8 *p;

	if (!w->lazy[page])
		return;
	p = touch(w, page << PAGE_SHIFT, true);
	if (memcmp(p, w->byte + (page << PAGE_SHIFT), PAGE_SIZE))
		memset(w->byte + (page << PAGE_SHIFT), 0, PAGE_SIZE);
	w->lazy[page] = 0;
}

static void write_bytes(struct twin *w, unsigned long at, unsigned long n, u8 value)
{
	for (unsigned long part; n; at += part, n -= part) {
		part = min(n, PAGE_SIZE - (at & ~PAGE_MASK));
		settle_lazy(w, at >> PAGE_SHIFT);
		memset(touch(w, at, true), value, part);
		memset(w->byte + at, value, part);
	}
}

static void read_bytes(struct twin *w, unsigned long at, unsigned long n)
{
	for (unsigned long part; n; at += part, n -= part) {
		part = min(n, PAGE_SIZE - (at & ~PAGE_MASK));
		settle_lazy(w, at >> PAGE_SHIFT);
		MUST(!memcmp(touch(w, at, false), w->byte + at, part), "bytes at %#lx", at);
	}
}

static void forget(struct twin *w, unsigned long page, unsigned long n)
{
	memset(w->byte + (page << PAGE_SHIFT), 0, n << PAGE_SHIFT);
	memset(w->lazy + page, 0, n);
}

static bool spared_by_free(struct twin *w, unsigned long page, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		settle_lazy(w, page + i);
	if (do_madvise(w->mm, AREA + (page << PAGE_SHIFT), n << PAGE_SHIFT, MADV_FREE))
		return false;
	memset(w->lazy + page, 1, n);
	return true;
}

static void move_there_and_back(struct twin *w, unsigned long page, unsigned long n, u64 r)
{
	unsigned long at = AREA + (page << PAGE_SHIFT);
	unsigned long to = AWAY + (page << PAGE_SHIFT) + (r & PAGE_SIZE);
	long moved = do_mremap(w->mm, at, n << PAGE_SHIFT, n << PAGE_SHIFT,
			       MREMAP_MAYMOVE | MREMAP_FIXED, to);

	if (moved == -EFAULT)
		return; /* several VMAs */
	MUST(moved == (long)to, "mremap says %ld", moved);
	moved = do_mremap(w->mm, to, n << PAGE_SHIFT, n << PAGE_SHIFT,
			  MREMAP_MAYMOVE | MREMAP_FIXED, at);
	MUST(moved == (long)at, "mremap back says %ld", moved);
}

/* One time in eight there is no place for a huge page. */
static struct folio *migration_target(struct folio *src, void *private)
{
	return folio_test_large(src) && next_random() % 8 == 0
		       ? NULL
		       : alloc_migration_target(src, private);
}

static void migrate_page(struct twin *w, unsigned long page)
{
	unsigned int level = 0;
	unsigned long next;
	pte_t *leaf = walk_leaf(w->mm->pgd, AREA + (page << PAGE_SHIFT), &level, &next),
	      e = leaf ? pte_read(leaf) : __pte(0);
	struct page *head;
	LIST_HEAD(list);

	lru_add_drain();
	if (!pte_present(e) || pte_special(e))
		return;
	head = &pfn_folio(pte_pfn(e))->page;
	if (!isolate_movable_page(head))
		return;
	list_add(&head->lru, &list);
	migrate_pages(&list, migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL, NULL);
	putback_movable_pages(&list);
}

static void one_operation(struct twin *w, u64 r)
{
	unsigned long page = r % PAGES, n = min(1 + (r >> 12) % 700, PAGES - page);
	unsigned long at = AREA + (page << PAGE_SHIFT), len = n << PAGE_SHIFT;
	unsigned int kind = r >> 40 & 15;

	if (r >> 44 & 1) { /* often just what huge pages are made of */
		at &= PMD_MASK;
		page = (at - AREA) >> PAGE_SHIFT;
		n = HPAGE_PMD_NR;
		len = PMD_SIZE;
	}
	done[kind]++;
	switch (kind) {
	case 0 ... 2:
		write_bytes(w, (at - AREA) + (r >> 20 & 4095), min(len - 4096, r >> 50) + 1,
			    r >> 32);
		break;
	case 3 ... 4:
		read_bytes(w, (at - AREA) + (r >> 20 & 4095), min(len - 4096, r >> 46) + 1);
		break;
	case 5:
		MUST(!do_madvise(w->mm, at, len, MADV_DONTNEED), "DONTNEED");
		forget(w, page, n);
		break;
	case 6:
		MUST(!do_mprotect(w->mm, at, len, r & 1ull << 50 ? PROT_READ : PROT_NONE), "none");
		MUST(!do_mprotect(w->mm, AREA, BYTES, RW), "rw");
		break;
	case 7:
		do_madvise(w->mm, at & PMD_MASK, PMD_SIZE, MADV_COLLAPSE);
		break;
	case 8:
		do_madvise(w->mm, at, len, r & 1ull << 50 ? MADV_PAGEOUT : MADV_COLD);
		break;
	case 9:
		do_madvise(w->mm, at, len, r & 1ull << 50 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	case 10:
		move_there_and_back(w, page, n, r);
		break;
	case 11:
		khugepaged_scan(4096);
		break;
	case 12:
		shrink_slab(GFP_KERNEL, 0);
		break;
	case 13:
		spared_by_free(w, page, min(n, 60ul));
		break;
	case 14:
		MUST(!do_munmap(w->mm, at, len), "munmap");
		MUST(do_mmap(w->mm, at, len, RW, PRIVATE | MAP_FIXED, 0) == (long)at, "mmap");
		forget(w, page, n);
		break;
	case 15:
		for (unsigned long i = 0; i < min(n, 32ul); i++)
			migrate_page(w, page + i * 5 % n);
		break;
	}
}

/* Where many address spaces look: what one writes, or takes out of the file, the others see. */
static void shared_access(struct twin *w, unsigned long at, unsigned long n, int value)
{
	for (unsigned long part; n; at += part, n -= part) {
		unsigned int fault;
		u8 *p = user_touch(w->mm, SHARED + at, value >= 0, &fault);

		MUST(p, "shared page %lu: fault %u", at >> PAGE_SHIFT, fault);
		part = min(n, PAGE_SIZE - (at & ~PAGE_MASK));
		if (value >= 0) {
			memset(p, value, part);
			memset(shared + at, value, part);
		}
		MUST(!memcmp(p, shared + at, part), "shared bytes at %#lx", at);
	}
}

static void migrate_shared(struct twin *w, unsigned long page, unsigned long n)
{
	for (unsigned long i = 0; i < min(n, 32ul); i++)
		migrate_page(w, ((SHARED - AREA) >> PAGE_SHIFT) + page + i);
}

static void shared_operation(struct twin *w, u64 r)
{
	unsigned long page = r % S_PAGES, n = min(1 + (r >> 12) % 700, S_PAGES - page);
	unsigned long at, len;
	const u64 flag = 1ull << 50;

	if (r >> 44 & 1 && page < S_PAGES / HPAGE_PMD_NR * HPAGE_PMD_NR) {
		page -= page % HPAGE_PMD_NR;
		n = HPAGE_PMD_NR;
	}
	at = SHARED + (page << PAGE_SHIFT);
	len = n << PAGE_SHIFT;
	switch (r >> 40 & 15) {
	case 0 ... 4:
		shared_access(w, at - SHARED, min(len, r >> 46), (u8)(r >> 32));
		break;
	case 5 ... 7:
		shared_access(w, at - SHARED, min(len, r >> 46), -1);
		break;
	case 8:
		MUST(!do_madvise(w->mm, at, len, MADV_REMOVE), "REMOVE");
		memset(shared + (at - SHARED), 0, len);
		break;
	case 9:
		MUST(!do_madvise(w->mm, at, len, MADV_DONTNEED), "DONTNEED");
		break;
	case 10:
		MUST(!do_mprotect(w->mm, at, len, r & flag ? PROT_READ : PROT_NONE), "none");
		MUST(!do_mprotect(w->mm, SHARED, S_BYTES, RW), "rw");
		break;
	case 11:
		do_madvise(w->mm, at & PMD_MASK, PMD_SIZE, MADV_COLLAPSE);
		break;
	case 12:
		do_madvise(w->mm, at, len, r & flag ? MADV_PAGEOUT : MADV_COLD);
		break;
	case 13:
		do_madvise(w->mm, at, len, r & flag ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	case 14:
		shmem_set_enabled((r >> 50) % NR_SHMEM_HUGE);
		break;
	case 15:
		migrate_shared(w, page, n);
		break;
	}
}

/* One that lives: at least one does. */
static struct twin *one_of(u64 r)
{
	while (!twin[r % NR_TWINS].mm)
		r++;
	return &twin[r % NR_TWINS];
}

static void fork_or_exit(u64 r)
{
	struct twin *a = &twin[r % NR_TWINS], *b = &twin[(r >> 8) % NR_TWINS];

	if (a == b)
		return;
	if (!a->mm) {
		struct twin *t = a;

		a = b;
		b = t;
	}
	if (!a->mm)
		return;
	if (b->mm) {
		mmput(b->mm);
		b->mm = NULL;
		return;
	}
	b->mm = dup_mm(a->mm);
	MUST(b->mm, "fork");
	memcpy(b->byte, a->byte, BYTES);
	memcpy(b->lazy, a->lazy, sizeof(b->lazy));
}

/* Less than the three programs have together. */
static const struct host_region ram = {0, 24 * MIB, 0};

static void begin(void)
{
	struct host_disk *disk;

	host_boot(&ram, 1, "debug_vm");
	mm_init();
	disk = host_disk_create("swap", 96 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	thp_enabled = THP_ALWAYS;
	for (unsigned int i = 0; i < NR_TWINS; i++)
		twin[i].byte = calloc(1, BYTES);
	twin[0].mm = mm_alloc();
	MUST(twin[0].mm && do_mmap(twin[0].mm, AREA, BYTES, RW, PRIVATE | MAP_FIXED, 0) == AREA,
	     "a place");
	shmem_set_enabled(SHMEM_HUGE_ALWAYS);
	MUST(do_mmap(twin[0].mm, SHARED, S_BYTES, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, 0) ==
		     SHARED,
	     "a place for all");
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261129;
	u64 ops = argc > 2 ? strtoull(argv[2], NULL, 0) : 6000;

	printf("huge page model: seed %lu, %lu operations\n", (long)seed, (long)ops);
	fflush(stdout);
	begin();
	rng = seed * 2 + 1;
	for (u64 i = 0; i < ops; i++) {
		u64 r = next_random();

		if (r % 37 == 0)
			fork_or_exit(next_random());
		else if (r % 3 == 0)
			shared_operation(one_of(r >> 32), next_random());
		else
			one_operation(one_of(r >> 32), next_random());
		if (i % CHECKED == 0)
			check_all();
	}
	for (unsigned int i = 0; i < NR_TWINS; i++) {
		if (!twin[i].mm)
			continue;
		read_bytes(&twin[i], 0, BYTES);
		shared_access(&twin[i], 0, S_BYTES, -1);
		mmput(twin[i].mm);
	}
	check_all();
#define COUNT(event) (long)sum_vm_event(event)
	printf("huge page model: ok; %ld huge faults, %ld collapsed, %ld PMDs and %ld pages split, "
	       "%ld "
	       "deferred, %ld swapped out, %ld in, %ld migrated\n",
	       COUNT(THP_FAULT_ALLOC), COUNT(THP_COLLAPSE_ALLOC), COUNT(THP_SPLIT_PMD),
	       COUNT(THP_SPLIT_PAGE), COUNT(THP_DEFERRED_SPLIT_PAGE), COUNT(PSWPOUT), COUNT(PSWPIN),
	       COUNT(PGMIGRATE_SUCCESS));
	printf("shared: %ld made, %ld mapped by a PMD; %ld moved as a whole, %ld split to move\n",
	       COUNT(THP_FILE_ALLOC), COUNT(THP_FILE_MAPPED), COUNT(THP_MIGRATION_SUCCESS),
	       COUNT(THP_MIGRATION_SPLIT));
	fflush(stdout);
	MUST(COUNT(THP_FAULT_ALLOC) > 50 && COUNT(THP_COLLAPSE_ALLOC) > 20 &&
		     COUNT(THP_SPLIT_PAGE) > 20 && COUNT(PSWPOUT) > 100 && COUNT(PSWPIN) > 100 &&
		     COUNT(PGMIGRATE_SUCCESS) > 20 && COUNT(THP_FILE_ALLOC) > 10 &&
		     COUNT(THP_FILE_MAPPED) > 20 && COUNT(THP_MIGRATION_SUCCESS) > 20 &&
		     COUNT(THP_MIGRATION_SPLIT) > 5,
	     "each path was taken");
	MUST(!swap_areas[0].inuse && !vm_committed() && !thp_nr_deferred, "something is left");
	return 0;
}
