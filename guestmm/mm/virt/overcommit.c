/*
 * Overcommit: how much memory may be promised.
 *
 * Private writable mappings are promises: each of their pages may have to be filled. vm_committed()
 * is the sum of all promises, in pages. Mode 0 refuses only a single request that the whole machine
 * could not hold; mode 1 refuses nothing; mode 2 keeps the sum within ratio % of RAM plus swap.
 *
 * I1  total_committed = sum of mm->committed over all address spaces, of the promises for objects of shared
 *     memory, and of the pages of its files that no promise covers, at rest.
 */
#include "lib/errno.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/alloc.h"
#include "mm/swap/swap.h"
#include "mm/virt/vma.h"
#include "mmvm/audit.h"

int sysctl_overcommit_memory;
int sysctl_overcommit_ratio = 50;
u64 sysctl_overcommit_kbytes;
u64 sysctl_user_reserve_kbytes, sysctl_admin_reserve_kbytes;
u32 sysctl_max_map_count = 65530;

static s64 total_committed; /* A: pages */
static LIST_HEAD(promises); /* mm_list_lock */

/* The reserves of Linux: a 32nd of what is free at the start, but at most these. */
#define USER_RESERVE_MOST_KB  (128ul << 10)
#define ADMIN_RESERVE_MOST_KB (8ul << 10)
#define KB_SHIFT	      (PAGE_SHIFT - 10)

void overcommit_init(void)
{
	u64 kb = (nr_free_pages() << KB_SHIFT) / 32;

	sysctl_user_reserve_kbytes = min(kb, (u64)USER_RESERVE_MOST_KB);
	sysctl_admin_reserve_kbytes = min(kb, (u64)ADMIN_RESERVE_MOST_KB);
}

u64 vm_committed(void)
{
	s64 n = atomic_load(&total_committed);

	return n < 0 ? 0 : n;
}

u64 vm_commit_limit(void)
{
	u64 kbytes = READ_ONCE(sysctl_overcommit_kbytes), pages = kbytes >> KB_SHIFT;

	/* Huge pages of the pool were taken out when it was filled: they are not there to be promised again. */
	if (!kbytes)
		pages = (totalram_pages() - hugetlb_total_pages()) *
			(u64)READ_ONCE(sysctl_overcommit_ratio) / 100;
	return pages + swap_total_pages();
}

bool overcommit_allows(int mode, u64 request, u64 committed, u64 totalram, u64 totalswap, u64 limit,
		       u64 reserve)
{
	if (mode == 1)
		return true;
	if (mode == 0)
		return request <= totalram + totalswap;
	return committed <= limit - min(limit, reserve);
}

bool vm_accountable(unsigned long flags, int mode)
{
	if ((flags & (VM_SHARED | VM_WRITE)) != VM_WRITE)
		return false;
	return mode == 2 || !(flags & VM_NORESERVE);
}

/* `reserve`: in mode 2, pages to leave for other processes. */
static int charge(u64 pages, u64 reserve)
{
	u64 committed = atomic_add_return(&total_committed, (s64)pages);
	int mode = sysctl_overcommit_memory;
	bool ok = true;

	if (mode == 2 && !task_is_admin())
		reserve += READ_ONCE(sysctl_admin_reserve_kbytes) >> KB_SHIFT;
	if (mode == 2)
		ok = overcommit_allows(mode, pages, committed, 0, 0, vm_commit_limit(), reserve);
	else if (mode == 0)
		ok = overcommit_allows(mode, pages, committed, totalram_pages(), swap_total_pages(),
				       0, 0);
	if (!ok) {
		atomic_sub(&total_committed, (s64)pages);
		return -ENOMEM;
	}
	return 0;
}

int vm_charge(struct mm_struct *mm, unsigned long pages)
{
	/* The reserve keeps one process from taking all that is left. It is small for a small
	 * process. */
	int err = charge(pages, min((u64)mm->total_vm / 32,
				    READ_ONCE(sysctl_user_reserve_kbytes) >> KB_SHIFT));

	if (!err)
		mm->committed += pages;
	return err;
}

int vm_charge_object(u64 pages)
{
	return charge(pages, 0);
}

void vm_uncharge_object(u64 pages)
{
	atomic_sub(&total_committed, (s64)pages);
}

int vm_promise(struct vm_promise *p, u64 pages)
{
	int err = pages ? vm_charge_object(pages) : 0;

	p->pages = err ? 0 : pages;
	if (!p->pages)
		return err;
	spin_lock(&mm_list_lock);
	list_add_tail(&p->link, &promises);
	spin_unlock(&mm_list_lock);
	return 0;
}

void vm_promise_end(struct vm_promise *p)
{
	if (!p->pages)
		return;
	spin_lock(&mm_list_lock);
	list_del(&p->link);
	spin_unlock(&mm_list_lock);
	vm_uncharge_object(p->pages);
}

void overcommit_audit_layout(struct mmvm_audit_commit_layout *l)
{
	*l = (struct mmvm_audit_commit_layout){
		.total_gva = (u64)(unsigned long)&total_committed,
		.promises_gva = (u64)(unsigned long)&promises,
		.promise_link_offset = offsetof(struct vm_promise, link),
		.promise_pages_offset = offsetof(struct vm_promise, pages),
		.mm_committed_offset = offsetof(struct mm_struct, committed),
		.mapping_promised_flag = AS_CHARGED,
		.vm_account = VM_ACCOUNT,
	};
}

void vm_charge_unchecked(struct mm_struct *mm, unsigned long pages)
{
	atomic_add(&total_committed, (s64)pages);
	mm->committed += pages;
}

void vm_uncharge(struct mm_struct *mm, unsigned long pages)
{
	atomic_sub(&total_committed, (s64)pages);
	mm->committed -= pages;
}

static bool is_data(unsigned long flags)
{
	return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

void vm_stat_account(struct mm_struct *mm, unsigned long flags, long pages)
{
	if (pages < 0)
		mm->hiwater_vm = max(mm->hiwater_vm, mm->total_vm);
	mm->total_vm += pages;
	if (flags & VM_GROWSDOWN)
		mm->stack_vm += pages;
	else if (is_data(flags))
		mm->data_vm += pages;
	else if ((flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
		mm->exec_vm += pages;
	if (flags & VM_LOCKED)
		mm->locked_vm += pages;
}

bool may_expand_vm(const struct mm_struct *mm, unsigned long flags, unsigned long pages)
{
	if (mm->total_vm + pages > rlimit(RLIMIT_AS) >> PAGE_SHIFT)
		return false;
	if (!is_data(flags) || mm->data_vm + pages <= rlimit(RLIMIT_DATA) >> PAGE_SHIFT)
		return true;
	/* As in Linux: a limit of 0 is for programs without a heap, and concerns brk(2) alone. */
	return !rlimit(RLIMIT_DATA) && mm->data_vm + pages <= rlimit_max(RLIMIT_DATA) >> PAGE_SHIFT;
}
