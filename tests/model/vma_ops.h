/*
 * Address-space operations against a trivial reference: an array with one entry a page. Shared by
 * the random model test and the fuzzer; both only choose the operations.
 *
 * The arena is ARENA_PAGES pages at a fixed address plus whatever the kernel places itself, in one
 * of two address spaces. Every access is checked for its value or its signal, and now and then all
 * structures are checked against each other.
 */
#ifndef TESTS_VMA_OPS_H
#define TESTS_VMA_OPS_H
#include "../unit/mm_user.h"

#define ARENA	    0x200000000000ul
#define ARENA_PAGES 1200u /* crosses PTE tables */
#define NR_SPACES   2

struct model_page {
	bool mapped, lazy; /* lazy: MADV_FREE, so the value may have become 0 */
	u8 prot;
	u64 value; /* first word; 0 when never written */
};
struct model_space {
	struct mm_struct *mm;
	struct model_page page[ARENA_PAGES];
};
static struct model_space space[NR_SPACES];
static struct host_disk *ops_disk;

/** One operation, as chosen by the caller: any values will do. */
struct vma_op {
	u8 kind, which, prot, extra;
	u16 page, len;
};

static inline void vma_ops_init(void)
{
	host_boot_default("debug_vm");
	mm_init();
	ops_disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(ops_disk);
	if (do_swapon(&ops_disk->bdev, -1))
		abort();
	for (int i = 0; i < NR_SPACES; i++)
		space[i].mm = mm_alloc();
}

/** Forget everything, so that each fuzz input starts alike. */
static inline void vma_ops_reset(void)
{
	for (int i = 0; i < NR_SPACES; i++) {
		mmput(space[i].mm);
		memset(&space[i], 0, sizeof(space[i]));
		space[i].mm = mm_alloc();
	}
}

static inline bool model_all_mapped(struct model_space *s, unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++)
		if (!s->page[i].mapped)
			return false;
	return true;
}

static inline void op_mmap(struct model_space *s, unsigned int from, unsigned int n, u8 prot,
			   u8 extra)
{
	unsigned long addr = ARENA + (unsigned long)from * PAGE_SIZE;
	int flags = PRIVATE | (extra & 1 ? MAP_FIXED : MAP_FIXED_NOREPLACE) |
		    (extra & 2 ? MAP_POPULATE : 0) | (extra & 4 ? MAP_NORESERVE : 0);
	bool taken = false;
	long ret;

	for (unsigned int i = from; i < from + n; i++)
		taken |= s->page[i].mapped;
	ret = do_mmap(s->mm, addr, (unsigned long)n * PAGE_SIZE, prot, flags, 0);
	if (taken && !(extra & 1)) {
		MUST(ret == -EEXIST, "mmap over a mapping: %ld", ret);
		return;
	}
	MUST(ret == (long)addr, "mmap at %#lx: %ld", addr, ret);
	for (unsigned int i = from; i < from + n; i++)
		s->page[i] = (struct model_page){.mapped = true, .prot = prot};
}

static inline void op_munmap(struct model_space *s, unsigned int from, unsigned int n)
{
	int ret = do_munmap(s->mm, ARENA + (unsigned long)from * PAGE_SIZE,
			    (unsigned long)n * PAGE_SIZE);

	MUST(!ret, "munmap: %d", ret);
	for (unsigned int i = from; i < from + n; i++)
		s->page[i].mapped = false;
}

static inline void op_mprotect(struct model_space *s, unsigned int from, unsigned int n, u8 prot)
{
	int ret = do_mprotect(s->mm, ARENA + (unsigned long)from * PAGE_SIZE,
			      (unsigned long)n * PAGE_SIZE, prot);

	MUST(ret == (model_all_mapped(s, from, n) ? 0 : -ENOMEM), "mprotect: %d", ret);
	for (unsigned int i = from; i < from + n && s->page[i].mapped; i++)
		s->page[i].prot = prot; /* up to the first hole */
}

static inline void op_dontneed(struct model_space *s, unsigned int from, unsigned int n)
{
	int ret = do_madvise(s->mm, ARENA + (unsigned long)from * PAGE_SIZE,
			     (unsigned long)n * PAGE_SIZE, MADV_DONTNEED);

	MUST(ret == (model_all_mapped(s, from, n) ? 0 : -ENOMEM), "madvise: %d", ret);
	for (unsigned int i = from; i < from + n; i++)
		s->page[i].value = 0;
}

static inline void op_access(struct model_space *s, unsigned int at, bool write, u64 value)
{
	unsigned long addr = ARENA + (unsigned long)at * PAGE_SIZE;
	struct model_page *p = &s->page[at];
	unsigned int want = 0, got;
	u64 v = 0;

	if (!p->mapped)
		want = VM_FAULT_SIGSEGV_MAPERR;
	else if (write ? !(p->prot & PROT_WRITE) : !p->prot)
		want = VM_FAULT_SIGSEGV_ACCERR;
	got = write ? user_write(s->mm, addr, value) : user_read(s->mm, addr, &v);
	MUST(got == want, "%s of page %u: %#x, expected %#x", write ? "write" : "read", at, got,
	     want);
	if (want)
		return;
	if (write) {
		p->value = value;
		p->lazy = false;
	} else if (p->lazy && !v) {
		p->value = 0;
	} else {
		MUST(v == p->value, "page %u holds %#lx, expected %#lx", at, (long)v,
		     (long)p->value);
	}
}

static inline bool one_vma(struct model_space *s, unsigned int from, unsigned int n)
{
	unsigned long addr = ARENA + (unsigned long)from * PAGE_SIZE;
	struct vm_area_struct *vma = find_vma_intersection(s->mm, addr, addr + 1);

	return vma && vma->vm_end - addr >= n * PAGE_SIZE;
}

static inline void model_unmap(struct model_space *s, unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++)
		s->page[i].mapped = false;
}

/* Move n pages to `to`, where they become m. */
static inline void op_mremap_fixed(struct model_space *s, unsigned int from, unsigned int n,
				   unsigned int to, unsigned int m)
{
	unsigned long a = ARENA + from * PAGE_SIZE, b = ARENA + to * PAGE_SIZE;
	bool moves;
	long ret;

	moves = one_vma(s, from, min(n, m));
	ret = do_mremap(s->mm, a, n * PAGE_SIZE, m * PAGE_SIZE, MREMAP_FIXED | MREMAP_MAYMOVE, b);
	if (!s->page[from].mapped) {
		MUST(ret == -EFAULT, "mremap of nothing: %ld", ret);
		return;
	}
	if (from + n > to && to + m > from) {
		MUST(ret == -EINVAL, "mremap onto itself: %ld", ret);
		return;
	}
	/* What was at the new place, and an end that is cut off, go whatever happens then. */
	model_unmap(s, to, m);
	if (n > m)
		model_unmap(s, from + m, n - m);
	n = min(n, m);
	MUST(ret == (moves ? (long)b : -EFAULT), "mremap: %ld", ret);
	for (unsigned int i = 0; moves && i < m; i++) {
		s->page[to + i] =
			i < n ? s->page[from + i]
			      : (struct model_page){.mapped = true, .prot = s->page[from].prot};
		if (i < n)
			s->page[from + i].mapped = false;
	}
}

/* Longer or shorter at the same place. */
static inline void op_mremap_resize(struct model_space *s, unsigned int from, unsigned int n,
				    unsigned int m)
{
	unsigned long a = ARENA + from * PAGE_SIZE;
	bool one = one_vma(s, from, n), ends = s->page[from].mapped;
	long ret, want = (long)a;

	if (!ends || (m > n && !one)) {
		want = -EFAULT;
	} else if (m > n) {
		ends = !one_vma(s, from, n + 1);
		for (unsigned int i = from + n; i < from + m; i++)
			ends &= !s->page[i].mapped;
		/* Behind the arena the kernel never places anything. */
		want = ends ? want : -ENOMEM;
	}
	ret = do_mremap(s->mm, a, n * PAGE_SIZE, m * PAGE_SIZE, 0, 0);
	MUST(ret == want, "mremap in place: %ld, expected %ld", ret, want);
	if (ret < 0)
		return;
	if (n > m)
		model_unmap(s, from + m, n - m);
	for (unsigned int i = n; i < m; i++)
		s->page[from + i] = (struct model_page){.mapped = true, .prot = s->page[from].prot};
}

static inline void op_lock(struct model_space *s, unsigned int from, unsigned int n)
{
	unsigned long a = ARENA + from * PAGE_SIZE;
	bool all = model_all_mapped(s, from, n);
	int ret = do_mlock(s->mm, a, n * PAGE_SIZE, 0);

	for (unsigned int i = from; all && i < from + n; i++)
		all = s->page[i].prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	MUST(ret == (all ? 0 : -ENOMEM), "mlock: %d", ret);
	if (ret == 0)
		MUST(s->mm->locked_vm == n, "locked_vm %lu", (long)s->mm->locked_vm);
	ret = do_munlock(s->mm, a, n * PAGE_SIZE);
	MUST(ret == (model_all_mapped(s, from, n) ? 0 : -ENOMEM), "munlock: %d", ret);
	MUST(s->mm->locked_vm == 0, "locked_vm %lu", (long)s->mm->locked_vm);
}

static inline void op_free(struct model_space *s, unsigned int from, unsigned int n)
{
	int ret = do_madvise(s->mm, ARENA + from * PAGE_SIZE, n * PAGE_SIZE, MADV_FREE);

	MUST(ret == (model_all_mapped(s, from, n) ? 0 : -ENOMEM), "MADV_FREE: %d", ret);
	for (unsigned int i = from; i < from + n; i++)
		s->page[i].lazy = true;
}

static inline void op_advise(struct model_space *s, unsigned int from, unsigned int n, u8 extra)
{
	static const int advice[] = {MADV_PAGEOUT, MADV_COLD,	MADV_WILLNEED,
				     MADV_NORMAL,  MADV_RANDOM, MADV_SEQUENTIAL};
	int ret = do_madvise(s->mm, ARENA + from * PAGE_SIZE, n * PAGE_SIZE, advice[extra % 6]);

	MUST(ret == (model_all_mapped(s, from, n) ? 0 : -ENOMEM), "advice %d: %d",
	     advice[extra % 6], ret);
}

/* A mapping that the kernel places, next to others and away again. */
static inline void op_anywhere(struct model_space *s, unsigned int n, u8 prot)
{
	long a = do_mmap(s->mm, 0, (unsigned long)n * PAGE_SIZE, prot, PRIVATE, 0);

	MUST(a > 0 && !(a & ~PAGE_MASK), "mmap: %ld", a);
	MUST((unsigned long)a + n * PAGE_SIZE <= s->mm->mmap_base, "placed too high");
	if (prot & PROT_WRITE)
		MUST(!user_write(s->mm, a, 1), "write to a new mapping");
	MUST(!do_munmap(s->mm, a, (unsigned long)n * PAGE_SIZE), "munmap of a new mapping");
}

static inline void op_reclaim(u8 extra)
{
	struct scan_control sc = {.gfp = GFP_KERNEL,
				  .highest = ZONE_MOVABLE,
				  .priority = extra % 4,
				  .nr_to_reclaim = 1 + extra * 4};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
}

static inline void vma_op_run(const struct vma_op *op, u64 value)
{
	struct model_space *s = &space[op->which % NR_SPACES];
	unsigned int from = op->page % ARENA_PAGES;
	unsigned int n = 1 + op->len % (op->len & 1 ? 700 : 24);
	unsigned int to = (op->extra * 37u + op->prot * 5u) % ARENA_PAGES, m;
	u8 prot = op->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);

	n = min(n, ARENA_PAGES - from);
	m = min(1 + op->extra % 40u, ARENA_PAGES - to);
	switch (op->kind % 22) {
	case 0:
	case 1:
		op_mmap(s, from, n, prot, op->extra);
		break;
	case 2:
		op_munmap(s, from, n);
		break;
	case 3:
	case 4:
		op_mprotect(s, from, n, prot);
		break;
	case 5:
		op_dontneed(s, from, n);
		break;
	case 6:
		op_anywhere(s, n, prot);
		break;
	case 7:
		op_reclaim(op->extra);
		break;
	case 8:
		/* A run of writes, so that there is something to reclaim and to merge. */
		for (unsigned int i = from; i < from + n; i++)
			op_access(s, i, true, value ^ i);
		break;
	case 9:
		for (unsigned int i = from; i < from + n; i++)
			op_access(s, i, false, 0);
		break;
	case 10:
	case 11:
	case 12:
		op_access(s, from, true, value);
		break;
	case 13:
		op_mremap_fixed(s, from, n, to, m);
		break;
	case 14:
		op_mremap_resize(s, from, n, min(m, ARENA_PAGES - from));
		break;
	case 15:
		op_lock(s, from, n);
		break;
	case 16:
		op_free(s, from, n);
		break;
	case 17:
		op_advise(s, from, n, op->extra);
		break;
	default:
		op_access(s, from, false, 0);
		break;
	}
}

/** Every page of every space, and all structures. */
static inline UNWATCHED void vma_ops_check(void)
{
	check_all();
	for (int i = 0; i < NR_SPACES; i++) {
		struct vm_area_struct *vma, *next;

		list_for_each_entry (vma, &space[i].mm->mmap, link) {
			next = vma_next(vma);
			/* I3: neighbours that are alike and without pages are one. */
			MUST(!next || next->vm_start != vma->vm_end || next->flags != vma->flags ||
				     vma->anon_vma || next->anon_vma,
			     "VMAs at %#lx were not merged", vma->vm_end);
		}
		for (unsigned int p = 0; p < ARENA_PAGES; p++) {
			unsigned long addr = ARENA + (unsigned long)p * PAGE_SIZE;
			const struct model_page *m = &space[i].page[p];

			vma = find_vma_intersection(space[i].mm, addr, addr + 1);
			MUST(!vma == !m->mapped, "page %u mapped", p);
			MUST(!vma || (vma->flags & VM_ACCESS_FLAGS) == m->prot, "rights of page %u",
			     p);
		}
	}
}
#endif
