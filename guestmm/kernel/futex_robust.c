/*
 * Robust lists: a thread tells the kernel where its list of the locks that it holds is. When the thread ends, the
 * kernel marks the word of each lock (FUTEX_OWNER_DIED) and wakes one waiter.
 *
 * The list is in user memory and cannot be trusted: it may be broken, or endless (ROBUST_LIST_LIMIT).
 */
#include "kernel/futex.h"
#include "kernel/futex_internal.h"
#include "arch/uaccess.h"
#include "lib/errno.h"

#define ROBUST_LIST_LIMIT 2048
#define ROBUST_HEAD_SIZE  24

long sys_set_robust_list(struct pt_regs *r)
{
	if (r->rsi != ROBUST_HEAD_SIZE)
		return -EINVAL;
	current->robust_list = r->rdi;
	return 0;
}

long sys_get_robust_list(struct pt_regs *r)
{
	u64 size = ROBUST_HEAD_SIZE, head;
	unsigned long flags;
	struct task *t;

	flags = spin_lock_irqsave(&task_list_lock);
	t = r->rdi ? find_task((int)r->rdi) : current;
	head = t && t->user ? t->robust_list : 0;
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!t || !t->user)
		return -ESRCH;
	if (copy_to_user(r->rdx, &size, sizeof(size)) || copy_to_user(r->rsi, &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

/* Mark the lock of an entry. Bit 0 of the entry says that it is a lock with priority inheritance, whose waiters
 * futex_release_pi() wakes. False: the list cannot be followed further. */
static bool owner_died(u64 entry, s64 offset)
{
	unsigned long addr = (entry & ~1ul) + offset;
	u32 word, seen;

	if (addr & 3)
		return false;
	do {
		if (copy_from_user(&word, addr, sizeof(word)))
			return false;
		if ((word & FUTEX_TID_MASK) != (u32)current->pid)
			return true;
		if (cmpxchg_user(addr, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
			return false;
	} while (seen != word);
	if (!(entry & 1))
		futex_wake(current->mm, addr, 1);
	return true;
}

void futex_exit_robust_list(void)
{
	struct {
		u64 next;
		s64 offset;
		u64 pending;
	} head;
	unsigned long list = current->robust_list;
	u64 entry;

	current->robust_list = 0;
	if (!list || copy_from_user(&head, list, sizeof(head)))
		return;
	entry = head.next;
	for (int i = 0; entry != list && i < ROBUST_LIST_LIMIT; i++) {
		u64 next;

		if (copy_from_user(&next, entry & ~1ul, sizeof(next)))
			return;
		if (entry != head.pending && !owner_died(entry, head.offset))
			return;
		entry = next;
	}
	if (head.pending)
		owner_died(head.pending, head.offset);
}
