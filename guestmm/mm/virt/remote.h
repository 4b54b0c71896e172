/* Another address space's memory, read by the kernel. */
#ifndef MM_REMOTE_H
#define MM_REMOTE_H
#include "mm/virt/mm.h"

/** Copy `len` bytes at `addr` of `mm` to kernel memory, faulting pages in as if its program had
 * read them. Returns the bytes copied: fewer where nothing is mapped or reading is not allowed. The
 * caller holds a reference on mm, none of its locks. May sleep. */
size_t read_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len);
#endif
