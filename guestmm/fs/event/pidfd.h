/* pidfd_open(2): a process as a file. */
#ifndef FS_EVENT_PIDFD_H
#define FS_EVENT_PIDFD_H
#include "fs/file.h"

/** A file for the process, which it keeps (not alive, but known); p NULL: for one that pidfd_name() will
 * tell. NULL: no memory. */
struct file *pidfd_file(struct process *p, u32 flags);
/** The process that a pidfd refers to, with a reference. NULL: the file is no pidfd. */
struct process *pidfd_process(const struct file *f);
#endif
