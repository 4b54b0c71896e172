/*
 * Memory of which each CPU has a copy, allocated at run time. Static variables and the operations on
 * both are in arch/percpu.h.
 *
 * Lock: percpu_lock, interrupts off; innermost. Making a chunk sleeps (percpu_mutex, then vmalloc's).
 */
#ifndef MM_PERCPU_H
#define MM_PERCPU_H
#include "arch/percpu.h"
#include "mm/phys/gfp.h"
#include "lib/format.h"

/** `size` zeroed bytes for each CPU, 1 to a quarter of a unit, aligned to `align`, a power of 2 up to a page. NULL:
 * no memory, or no such size. May sleep; if gfp does not allow that, only existing chunks are used. */
void __percpu *alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp);
void __percpu *alloc_percpu(size_t size, size_t align);
/** Free an object. NULL is allowed. Any context; empty chunks are freed only by callers that may sleep. */
void free_percpu(void __percpu *ptr);

/** Pages behind all areas: Percpu in /proc/meminfo. */
u64 percpu_nr_pages(void);
/** Chunks beyond the first, and bytes in use of a unit, the static variables not among them. For tests. */
unsigned int percpu_nr_chunks(void);
u64 percpu_used_bytes(void);

/* Boot */
/** Size of a unit that holds `statics` bytes of variables and a reserve. */
u64 percpu_unit_size(u64 statics);
/** Set up the first chunk: `n` units of `unit` bytes from `base`, each with `pages` pages of RAM; the first
 * `statics` bytes are taken. */
void percpu_first_chunk(unsigned long base, u64 unit, u64 statics, unsigned int n,
			unsigned int pages);

struct mmvm_audit_percpu;
/** Where the host finds all this (mmvm/audit.h). */
void percpu_audit_layout(struct mmvm_audit_percpu *l);
#endif
