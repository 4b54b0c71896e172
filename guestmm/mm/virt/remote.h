/* Memory of an address space that need not be the current one. */
#ifndef MM_REMOTE_H
#define MM_REMOTE_H
#include "mm/virt/mm.h"

/** Copy from `addr` of an address space; its program may not read there: nothing. Bytes that could be
 * read, up to the first that could not. No locks held; may sleep. */
size_t read_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len);
/** Copy to `addr`, as if its program wrote. Bytes that could be written. The same. */
size_t write_remote_vm(struct mm_struct *mm, unsigned long addr, const void *buf, size_t len);
/** A readable page at addr, with a reference on what *held becomes: its folio's head, or NULL for zero pages.
 * NULL: there is none. No locks held; may sleep. */
struct page *get_user_page(struct mm_struct *mm, unsigned long addr, struct page **held);
#endif
