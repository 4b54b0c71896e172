/* pidfd_open(2): a process as a file. */
#ifndef FS_EVENT_PIDFD_H
#define FS_EVENT_PIDFD_H
#include "fs/file.h"

/** Create a pidfd. It holds a reference on the struct of process p, which does not keep the process running. p NULL:
 * pidfd_name() will set the process. NULL: no memory. */
struct file *pidfd_file(struct process *p, u32 flags);
/** The process that a pidfd refers to, with a reference. NULL: the file is no pidfd. */
struct process *pidfd_process(const struct file *f);
#endif
