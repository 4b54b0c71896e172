/*
 * Address spaces: birth, death, and what they look like from outside.
 *
 * I1  Every mm with users > 0 is on mm_list; it leaves in the last mmput(), after its pages.
 *
 * Lock order of the virtual half, outer to inner:
 *   mmap_lock > page lock > anon_vma root->lock > page_table_lock > lruvec->lock > swap_info lock >
 *   zone->lock. mm_list_lock is taken alone.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/hugetlb.h"
#include "mm/ksm/ksm.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/pkey.h"
#include "mm/rmap/rmap.h"
#include "mm/fault/userfault.h"
#include "mm/cache/shmem.h"
#include "mm/slab/slab.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"

LIST_HEAD(mm_list);
spinlock_t mm_list_lock = SPINLOCK_INIT;
struct page *zero_page;

static struct kmem_cache *mm_cache;

#define STACK_ROOM_MIN (128ul << 20) /* as Linux keeps for the stack at least */

void mm_init(void)
{
	mm_cache = kmem_cache_create("mm_struct", sizeof(struct mm_struct), 64,
				     SLAB_PANIC | SLAB_ACCOUNT, NULL);
	vma_init();
	rmap_init();
	swap_io_init();
	pagecache_init();
	overcommit_init();
	zero_page = alloc_pages_type(GFP_KERNEL | __GFP_ZERO, 0, PAGE_ZERO);
	if (!zero_page)
		panic("no memory for the zero page");
}

struct mm_struct *mm_alloc(void)
{
	struct mm_struct *mm = kmem_cache_alloc(mm_cache, GFP_KERNEL);
	struct page *pgd;

	if (!mm)
		return NULL;
	memset(mm, 0, sizeof(*mm));
	mm->dumpable = MM_DUMP_USER;
	mm->dump_filter = DUMP_FILTER_DEFAULT;
	mem_cgroup_init_mm(mm);
	pgd = pgtable_alloc(mm);
	if (!pgd) {
		mem_cgroup_exit_mm(mm);
		kmem_cache_free(mm_cache, mm);
		return NULL;
	}
	mm->pgd = page_address(pgd);
	arch_pgd_init(mm->pgd);
	init_rwsem(&mm->mmap_lock);
	spin_lock_init(&mm->page_table_lock);
	INIT_LIST_HEAD(&mm->mmap);
	mm->users = 1;
	mm->pkey_map = arch_has_pkeys();
	mm->mmap_base = DEFAULT_MAP_WINDOW - STACK_ROOM_MIN - STACK_GUARD_GAP;
	spin_lock(&mm_list_lock);
	list_add_tail(&mm->mm_list, &mm_list);
	spin_unlock(&mm_list_lock);
	return mm;
}

void mmget(struct mm_struct *mm)
{
	atomic_add(&mm->users, 1);
}

bool mmget_not_zero(struct mm_struct *mm)
{
	s32 users = atomic_load(&mm->users);

	while (users > 0) {
		s32 seen = atomic_cmpxchg(&mm->users, users, users + 1);

		if (seen == users)
			return true;
		users = seen;
	}
	return false;
}

struct mm_struct *mm_next(struct mm_struct *mm)
{
	struct mm_struct *next = NULL;
	struct list_head *p;

	spin_lock(&mm_list_lock);
	for (p = mm ? mm->mm_list.next : mm_list.next; p != &mm_list && !next; p = p->next) {
		next = list_entry(p, struct mm_struct, mm_list);
		if (!mmget_not_zero(next))
			next = NULL;
	}
	spin_unlock(&mm_list_lock);
	if (mm)
		mmput(mm);
	return next;
}

void mm_set_exe_file(struct mm_struct *mm, struct file *f)
{
	struct file *old = mm->exe_file;

	WRITE_ONCE(mm->exe_file, f);
	if (old)
		exe_file_put(old);
}

void mmput(struct mm_struct *mm)
{
	if (!atomic_dec_and_test(&mm->users))
		return;
	arch_release_mm(mm);
	exit_mmap(mm);
	ksm_exit(mm);
	if (unlikely(atomic_load(&nr_uffd)))
		uffd_mm_gone(mm);
	spin_lock(&mm_list_lock);
	list_del(&mm->mm_list);
	spin_unlock(&mm_list_lock);
	if (mm->exe_file)
		exe_file_put(mm->exe_file);
	VM_BUG_ON(mm->rss_anon || mm->rss_file || mm->rss_shmem || mm->rss_swap ||
		  mm->hugetlb_usage || mm->map_count || mm->committed);
	pgtable_free(mm, virt_to_page(mm->pgd));
	mem_cgroup_exit_mm(mm);
	psi_exit_mm(mm);
	kmem_cache_free(mm_cache, mm);
}

#define MAPS_NAME_COLUMN 72 /* where Linux pads to before a blank and the name */

struct vma_description {
	unsigned long offset; /* in the file */
	u32 major, minor;
	u64 ino;
	char name[256];
};

static void describe_vma(const struct vm_area_struct *vma, struct vma_description *d)
{
	*d = (struct vma_description){0};
	if (vma->file || vma->mapping)
		d->offset = vma->mapping ? vma->pgoff << PAGE_SHIFT : 0;
	if (vma->file) {
		file_describe(vma->file, &d->major, &d->minor, &d->ino, d->name, sizeof(d->name));
	} else if (vma->flags & VM_HUGETLB) {
		d->minor = 14;
		d->ino = hugetlb_object_ino(vma->mapping);
		ksnprintf(d->name, sizeof(d->name), "/anon_hugepage (deleted)");
	} else if (vma->mapping && (vma->mapping->flags & AS_OBJECT)) {
		/* In Linux anonymous shared memory is a file of this name. */
		d->minor = 1;
		d->ino = shmem_object_ino(vma->mapping);
		ksnprintf(d->name, sizeof(d->name), "/dev/zero (deleted)");
	} else if (vma->name) {
		ksnprintf(d->name, sizeof(d->name), "%s", vma->name);
	}
}

void report_vma(struct report *r, const struct vm_area_struct *vma)
{
	struct vma_description d;
	unsigned long f = vma->flags;
	char line[96];

	describe_vma(vma, &d);
	ksnprintf(line, sizeof(line), "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", vma->vm_start,
		  vma->vm_end, f & VM_READ ? 'r' : '-', f & VM_WRITE ? 'w' : '-',
		  f & VM_EXEC ? 'x' : '-', f & VM_MAYSHARE ? 's' : 'p', d.offset, d.major, d.minor,
		  (unsigned long)d.ino);
	if (d.name[0])
		report_printf(r, "%-*s %s\n", MAPS_NAME_COLUMN, line, d.name);
	else
		report_printf(r, "%s\n", line);
}

void report_maps(struct report *r, struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link)
		report_vma(r, vma);
	up_read(&mm->mmap_lock);
}
