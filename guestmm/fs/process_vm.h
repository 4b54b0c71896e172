/* Access to another process's memory. */
#ifndef FS_PROCESS_VM_H
#define FS_PROCESS_VM_H
#include "mm/virt/mm.h"

/** Get the address space of a thread's process, with a reference, if the caller would be allowed to trace the process
 * (ptrace(2)). 0; -EACCES; -ESRCH: there is no such thread, or it has left its address space. */
int process_access_mm(int tid, struct mm_struct **mm);
#endif
