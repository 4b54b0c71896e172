/* What was accessed, what was written: /proc/PID/clear_refs (soft_dirty.c). */
#ifndef MM_SOFT_DIRTY_H
#define MM_SOFT_DIRTY_H
#include "mm/virt/mm.h"

/** Linux's numbers. */
enum clear_refs {
	CLEAR_REFS_ALL = 1,    /* accessed bits and PG_referenced of all pages, */
	CLEAR_REFS_ANON,       /* of mappings of no file, */
	CLEAR_REFS_MAPPED,     /* or of a file */
	CLEAR_REFS_SOFT_DIRTY, /* from now on every page that is written becomes soft-dirty */
	CLEAR_REFS_HIWATER,    /* VmHWM begins again at what is resident now */
};
/** 0, or -EINVAL: there is no such number. Takes mmap_lock. */
int mm_clear_refs(struct mm_struct *mm, enum clear_refs what);
#endif
