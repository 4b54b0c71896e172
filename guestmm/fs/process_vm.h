/* Another process's memory: who may look into it. */
#ifndef FS_PROCESS_VM_H
#define FS_PROCESS_VM_H
#include "mm/virt/mm.h"

/** The address space of the process that a thread belongs to, with a reference, if the caller could trace it
 * (ptrace(2)). 0; -EACCES; -ESRCH: there is no such thread, or no address space any more. */
int process_access_mm(int tid, struct mm_struct **mm);
#endif
