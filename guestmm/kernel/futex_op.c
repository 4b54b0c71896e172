/*
 * FUTEX_WAKE_OP: change the word of one futex, and wake waiters of two.
 *
 * The change is one atomic compare-and-exchange in user memory. It is repeated if another thread has changed the word
 * meanwhile.
 */
#include "kernel/futex_internal.h"
#include "arch/uaccess.h"
#include "lib/errno.h"

/* Extend a signed number of 12 bits. */
static s32 signed12(u32 v)
{
	return (s32)(v << 20) >> 20;
}

/* FUTEX_OP_*: compute the new value of the word. False: there is no such operation. */
static bool apply(u32 op, u32 old, s32 arg, u32 *new)
{
	switch (op) {
	case 0:
		*new = arg;
		return true;
	case 1:
		*new = old + (u32)arg;
		return true;
	case 2:
		*new = old | (u32)arg;
		return true;
	case 3:
		*new = old & ~(u32)arg;
		return true;
	case 4:
		*new = old ^ (u32)arg;
		return true;
	}
	return false;
}

/* FUTEX_OP_CMP_*: is the comparison true? 0, 1, or -ENOSYS. */
static int compare(u32 cmp, s32 old, s32 arg)
{
	switch (cmp) {
	case 0:
		return old == arg;
	case 1:
		return old != arg;
	case 2:
		return old < arg;
	case 3:
		return old <= arg;
	case 4:
		return old > arg;
	case 5:
		return old >= arg;
	}
	return -ENOSYS;
}

/* Change the word at addr2 atomically, wake n1 waiters of the first word and, if the comparison of the old value is
 * true, n2 waiters of the second. Returns how many were woken, or -errno. */
long futex_wake_op(struct futex_key first, u32 n1, struct futex_key second, u32 n2,
		   unsigned long addr2, u32 what)
{
	u32 op = what >> 28 & 7, cmp = what >> 24 & 15, old, new, seen;
	s32 arg = signed12(what >> 12 & 0xfff);
	long woken;
	int also;

	if (what >> 31)
		arg = (s32)(1u << (arg & 31));
	do {
		if (copy_from_user(&old, addr2, sizeof(old)))
			return -EFAULT;
		if (!apply(op, old, arg, &new))
			return -ENOSYS;
		if (cmpxchg_user(addr2, old, new, &seen))
			return -EFAULT;
	} while (seen != old);
	also = compare(cmp, (s32)old, signed12(what & 0xfff));
	if (also < 0)
		return also;
	woken = futex_wake_bitset(first, n1, ~0u);
	return also ? woken + futex_wake_bitset(second, n2, ~0u) : woken;
}
