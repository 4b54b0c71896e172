/*
 * x86-64 page-table entries: bits, constructors, predicates. Pure C: the host build of mm/ uses it
 * too and walks the same tables in software. Source: AMD APM vol. 2, section 5.3; Intel SDM vol.
 * 3, 4.5.
 */
#ifndef ARCH_PGTABLE_H
#define ARCH_PGTABLE_H

#include "arch/page.h"
#include "lib/atomic.h"
#include "mmvm/audit.h"

typedef struct {
	u64 v;
} pte_t;
/** Upper-level entries share the type: a table is 512 of them at every level. */
typedef u64 pgprot_t;

#define _PAGE_PRESENT  (1ull << 0)
#define _PAGE_RW       (1ull << 1)
#define _PAGE_USER     (1ull << 2)
#define _PAGE_PWT      (1ull << 3)
#define _PAGE_PCD      (1ull << 4)
#define _PAGE_ACCESSED (1ull << 5)
#define _PAGE_DIRTY    (1ull << 6)
#define _PAGE_PSE      (1ull << 7)
#define _PAGE_GLOBAL   (1ull << 8)
#define _PAGE_SPECIAL  (1ull << 9) /* software: no struct page accounting (the zero page) */
/** Software: the frame is a page of ZONE_DEVICE, with no reference held (mm/fault/dax_fault.c). Always
 * with _PAGE_SPECIAL. Linux's bit. */
#define _PAGE_DEVMAP MMVM_PTE_DEVMAP
/** Software: userfaultfd is asked before a write (mm/fault/userfault.h). Never together with _PAGE_RW. A swap entry has
 * MMVM_SWP_UFFD_WP instead. */
#define _PAGE_UFFD_WP (1ull << 10)
/** Software: written since clear_refs (mm/pgtable/soft_dirty.c). The CPU does not set it: the code that makes an
 * entry writable does. A swap entry has MMVM_SWP_SOFT_DIRTY instead. */
#define _PAGE_SOFT_DIRTY MMVM_PTE_SOFT_DIRTY
/** Protection key (arch/pkey.h). */
#define _PAGE_PKEY_SHIFT MMVM_PTE_PKEY_SHIFT
#define _PAGE_PKEY_MASK	 (0xfull << _PAGE_PKEY_SHIFT)
/** What an entry gets for a write. */
#define _PAGE_WRITTEN (_PAGE_DIRTY | _PAGE_SOFT_DIRTY)
/** Present bit clear, this set, and PFN kept: PROT_NONE. Never set in a swap entry. */
#define _PAGE_PROTNONE (1ull << 8)
#define _PAGE_NX       (1ull << 63)
#define PTE_PFN_MASK   0x000ffffffffff000ull

#define _PAGE_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY)
#define PAGE_KERNEL \
	(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_GLOBAL | _PAGE_NX)
#define PAGE_KERNEL_RO	    (PAGE_KERNEL & ~(_PAGE_RW | _PAGE_DIRTY))
#define PAGE_KERNEL_EXEC    ((PAGE_KERNEL & ~(_PAGE_NX | _PAGE_RW | _PAGE_DIRTY)))
#define PAGE_KERNEL_NOCACHE (PAGE_KERNEL | _PAGE_PCD | _PAGE_PWT)

#define PTRS_PER_PTE 512

/** May a table of level 2 map pages of 1 GiB? */
bool arch_has_gbpages(void);

static inline unsigned int pt_index(unsigned long addr,
				    int level) /* level 0 = PTE .. 3 = PGD (4-level) */
{
	return addr >> (PAGE_SHIFT + 9 * level) & (PTRS_PER_PTE - 1);
}

static inline pte_t __pte(u64 v)
{
	return (pte_t){v};
}
static inline u64 pte_val(pte_t p)
{
	return p.v;
}
static inline pte_t mk_pte(unsigned long pfn, pgprot_t prot)
{
	return __pte((u64)pfn << PAGE_SHIFT | prot);
}
static inline unsigned long pte_pfn(pte_t p)
{
	return (p.v & PTE_PFN_MASK) >> PAGE_SHIFT;
}
static inline bool pte_none(pte_t p)
{
	return p.v == 0;
}
/** Maps a page: present to the CPU, or kept unreachable by PROT_NONE. */
static inline bool pte_present(pte_t p)
{
	return p.v & (_PAGE_PRESENT | _PAGE_PROTNONE);
}
static inline bool pte_protnone(pte_t p)
{
	return (p.v & (_PAGE_PRESENT | _PAGE_PROTNONE)) == _PAGE_PROTNONE;
}
static inline bool pte_write(pte_t p)
{
	return p.v & _PAGE_RW;
}
static inline bool pte_dirty(pte_t p)
{
	return p.v & _PAGE_DIRTY;
}
static inline bool pte_young(pte_t p)
{
	return p.v & _PAGE_ACCESSED;
}
static inline bool pte_special(pte_t p)
{
	return p.v & _PAGE_SPECIAL;
}
static inline bool pte_devmap(pte_t p)
{
	return p.v & _PAGE_DEVMAP;
}
static inline bool pte_huge(pte_t p)
{
	return p.v & _PAGE_PSE;
}
static inline pte_t pte_mkwrite(pte_t p)
{
	return __pte(p.v | _PAGE_RW);
}
static inline pte_t pte_wrprotect(pte_t p)
{
	return __pte(p.v & ~_PAGE_RW);
}
static inline pte_t pte_mkdirty(pte_t p)
{
	return __pte(p.v | _PAGE_WRITTEN);
}
static inline pte_t pte_mkclean(pte_t p)
{
	return __pte(p.v & ~_PAGE_DIRTY);
}
static inline pte_t pte_mkyoung(pte_t p)
{
	return __pte(p.v | _PAGE_ACCESSED);
}
static inline pte_t pte_mkold(pte_t p)
{
	return __pte(p.v & ~_PAGE_ACCESSED);
}

/* The CPU sets the A and D bits at any time, so live entries are changed only by atomic operations. */
static inline pte_t pte_read(const pte_t *p)
{
	return __pte(READ_ONCE(p->v));
}
static inline void pte_set(pte_t *p, pte_t v)
{
	WRITE_ONCE(p->v, v.v);
}
static inline pte_t pte_get_and_clear(pte_t *p)
{
	return __pte(__atomic_exchange_n(&p->v, 0, __ATOMIC_ACQ_REL));
}
static inline bool pte_test_and_clear_young(pte_t *p)
{
	return __atomic_fetch_and(&p->v, ~_PAGE_ACCESSED, __ATOMIC_ACQ_REL) & _PAGE_ACCESSED;
}

/* Swap entries: type and slot offset in a non-present PTE. Layout shared with the host
 * (mmvm/audit.h). */
typedef struct {
	u64 v;
} swp_entry_t; /* type in bits 58..62, offset below; never 0: offset >= 1 */
static inline swp_entry_t swp_entry(unsigned int type, u64 offset)
{
	return (swp_entry_t){(u64)type << 58 | offset};
}
static inline unsigned int swp_type(swp_entry_t e)
{
	return e.v >> 58;
}
static inline u64 swp_offset(swp_entry_t e)
{
	return e.v & ((1ull << 50) - 1);
}
static inline bool pte_is_swap(pte_t p)
{
	return p.v && !pte_present(p);
}
static inline pte_t swp_entry_to_pte(swp_entry_t e)
{
	return __pte((u64)swp_type(e) << MMVM_SWP_TYPE_SHIFT | swp_offset(e)
								       << MMVM_SWP_OFFSET_SHIFT);
}
static inline swp_entry_t pte_to_swp_entry(pte_t p)
{
	return swp_entry(p.v >> MMVM_SWP_TYPE_SHIFT & ((1u << MMVM_SWP_TYPE_BITS) - 1),
			 p.v >> MMVM_SWP_OFFSET_SHIFT & ((1ull << MMVM_SWP_OFFSET_BITS) - 1));
}
static inline bool pte_uffd_wp(pte_t p)
{
	return p.v & (pte_present(p) ? _PAGE_UFFD_WP : MMVM_SWP_UFFD_WP);
}
/** The entry, not to be written before somebody is asked. */
static inline pte_t pte_mkuffd_wp(pte_t p)
{
	return __pte(pte_present(p) ? (p.v & ~_PAGE_RW) | _PAGE_UFFD_WP : p.v | MMVM_SWP_UFFD_WP);
}
/* The two software bits that an entry keeps while its page is in swap or moves lie beside each other in both forms. */
#define SWP_KEPT_SHIFT 49
#define PTE_KEPT_BITS  (_PAGE_UFFD_WP | _PAGE_SOFT_DIRTY)
#define SWP_KEPT_BITS  (MMVM_SWP_UFFD_WP | MMVM_SWP_SOFT_DIRTY)
_Static_assert(PTE_KEPT_BITS << SWP_KEPT_SHIFT == SWP_KEPT_BITS, "one shift moves both");
/** The swap entry, with what the entry `old` of the page kept. */
static inline pte_t swp_pte_keep(pte_t swp, pte_t old)
{
	return __pte(swp.v | (old.v & PTE_KEPT_BITS) << SWP_KEPT_SHIFT);
}
/** The bits of a PTE that takes the swap entry's place. */
static inline u64 swp_pte_kept(pte_t swp)
{
	return (swp.v & SWP_KEPT_BITS) >> SWP_KEPT_SHIFT;
}
static inline bool pte_soft_dirty(pte_t p)
{
	return p.v & (pte_present(p) ? _PAGE_SOFT_DIRTY : MMVM_SWP_SOFT_DIRTY);
}
static inline pte_t pte_mksoft_dirty(pte_t p)
{
	return __pte(p.v | (pte_present(p) ? _PAGE_SOFT_DIRTY : MMVM_SWP_SOFT_DIRTY));
}
/** Nothing is mapped, and userfaultfd is asked before it is written (mm/fault/userfault.h). The entry says nothing
 * else: without its protection it is empty. */
static inline pte_t uffd_wp_marker(void)
{
	return __pte(swp_entry_to_pte(swp_entry(MMVM_SWP_GUARD, MMVM_GUARD_UFFD_WP)).v |
		     MMVM_SWP_UFFD_WP);
}
static inline bool pte_is_uffd_wp_marker(pte_t p)
{
	return (p.v & ~MMVM_SWP_SOFT_DIRTY) == uffd_wp_marker().v;
}
static inline pte_t pte_clear_uffd_wp(pte_t p)
{
	if (pte_present(p))
		return __pte(p.v & ~_PAGE_UFFD_WP);
	return __pte(pte_is_uffd_wp_marker(p) ? 0 : p.v & ~MMVM_SWP_UFFD_WP);
}

#endif
