/* Inspecting another process, for /proc: its open files, directories and program. All functions may sleep. */
#ifndef FS_PROCESS_VIEW_H
#define FS_PROCESS_VIEW_H
#include "fs/file.h"

/** Descriptor `fd` of process `pid`, with a reference, or NULL. */
struct file *process_get_file(int pid, u32 fd);
/** Is the descriptor closed by execve(2)? */
bool process_fd_cloexec(int pid, u32 fd);
/** The highest descriptor in use + 1; 0: the process has ended. */
u32 process_fd_end(int pid);
/** The program it runs, with a reference, or NULL. */
struct file *process_get_exe(int pid);
/** Its root, or its working directory, with references. 0 or -ESRCH. */
int process_get_place(int pid, enum fs_place place, struct path *path);
#endif
