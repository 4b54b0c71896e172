/* Atomics by the compiler's builtins: the same source in the guest and on the host. Names follow
 * Linux. */
#ifndef LIB_ATOMIC_H
#define LIB_ATOMIC_H

#include "lib/types.h"

#define atomic_load(p)		   __atomic_load_n(p, __ATOMIC_RELAXED)
#define atomic_load_acquire(p)	   __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_store(p, v)	   __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define atomic_add(p, v)	   ((void)__atomic_fetch_add(p, v, __ATOMIC_RELAXED))
#define atomic_sub(p, v)	   ((void)__atomic_fetch_sub(p, v, __ATOMIC_RELAXED))
#define atomic_add_return(p, v)	   __atomic_add_fetch(p, v, __ATOMIC_ACQ_REL)
#define atomic_sub_return(p, v)	   __atomic_sub_fetch(p, v, __ATOMIC_ACQ_REL)
#define atomic_dec_and_test(p)	   (__atomic_sub_fetch(p, 1, __ATOMIC_ACQ_REL) == 0)
#define atomic_xchg(p, v)	   __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
#define atomic_or(p, v)		   ((void)__atomic_fetch_or(p, v, __ATOMIC_RELAXED))
#define atomic_and(p, v)	   ((void)__atomic_fetch_and(p, v, __ATOMIC_RELAXED))
#define atomic_cmpxchg(p, old, new)                                               \
	({                                                                        \
		__typeof__(*(p)) _o = (old);                                      \
		__atomic_compare_exchange_n(p, &_o, new, false, __ATOMIC_ACQ_REL, \
					    __ATOMIC_RELAXED);                    \
		_o;                                                               \
	})

/** A full barrier, without mfence, which not every KVM back end emulates. */
static inline void smp_mb(void)
{
	__asm__ volatile("lock; orq $0, (%%rsp)" ::: "memory", "cc");
}

/* Bits of a u64; compile to lock bts/btr/or/and. */
static inline void set_bit(unsigned int nr, u64 *p)
{
	atomic_or(p, 1ull << nr);
}
static inline void clear_bit(unsigned int nr, u64 *p)
{
	atomic_and(p, ~(1ull << nr));
}
static inline bool test_bit(unsigned int nr, const u64 *p)
{
	return READ_ONCE(*p) >> nr & 1;
}
static inline bool test_and_set_bit(unsigned int nr, u64 *p)
{
	return __atomic_fetch_or(p, 1ull << nr, __ATOMIC_ACQ_REL) >> nr & 1;
}
static inline bool test_and_clear_bit(unsigned int nr, u64 *p)
{
	return __atomic_fetch_and(p, ~(1ull << nr), __ATOMIC_ACQ_REL) >> nr & 1;
}

#endif
