/* Memory of an address space that need not be the current one. */
#ifndef MM_REMOTE_H
#define MM_REMOTE_H
#include "mm/virt/mm.h"

/** Copy from `addr` of an address space; its program may not read there: nothing. Bytes that could be
 * read, up to the first that could not. No locks held; may sleep. */
size_t read_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len);
/** Copy to `addr`, as if its program wrote. Bytes that could be written. The same. */
size_t write_remote_vm(struct mm_struct *mm, unsigned long addr, const void *buf, size_t len);
/** What a tracer may do (FOLL_FORCE in Linux): read what could be made readable, and write to what is private and could
 * be made writable. The page is copied then, as if its program had written, and stays as protected as it was. Shared
 * memory that its program may not write is refused. The same otherwise. */
size_t read_remote_vm_forced(struct mm_struct *mm, unsigned long addr, void *buf, size_t len);
size_t write_remote_vm_forced(struct mm_struct *mm, unsigned long addr, const void *buf,
			      size_t len);
/** A readable page at addr, with a reference on what *held becomes: its folio's head, or NULL for zero pages.
 * NULL: there is none. No locks held; may sleep. */
struct page *get_user_page(struct mm_struct *mm, unsigned long addr, struct page **held);
/** The page that a core dump writes for addr, whatever its program may do there, with a reference on *held. NULL: a
 * hole, which reads as zeroes: nothing has been written there, or nothing can be read. What is in swap is read back;
 * what is in a file's cache is used where it is. No page table grows. No locks held; may sleep. */
struct page *get_dump_page(struct mm_struct *mm, unsigned long addr, struct page **held);
#endif
