/*
 * The functions of fs/ that kernel/ calls. fs/ lies above kernel/, so kernel/ declares here what it needs, and fs/
 * implements it; lib/env.h does the same for mm/. kernel/ includes no other header for fs/. A process has
 * pointers to its files and directories, but only fs/ knows these structs.
 */
#ifndef KERNEL_FS_HOOKS_H
#define KERNEL_FS_HOOKS_H
#include "lib/types.h"

struct cred;
struct file;
struct files;
struct fs_struct;
struct process;

/* ---- descriptors: fs/fdtable.c ---- */
/** Create a table whose descriptors 0, 1 and 2 are the console. NULL: no memory. */
struct files *files_console(void);
/** A copy for fork. NULL if no memory. */
struct files *files_dup(struct files *files);
void files_get(struct files *files);
/** Drop a reference; the last one closes all descriptors. NULL is fine. May sleep. */
void files_put(struct files *files);
/** Close the files that file_put_later() has queued for the current thread (fs/file.c). No locks held. */
void task_close_files(void);

/* ---- root, working directory, umask: fs/fs_struct.c ---- */
/** Copy `fs` for fork. If fs is NULL: those of a process that the kernel starts. NULL: no memory. */
struct fs_struct *fs_dup(struct fs_struct *fs);
void fs_get(struct fs_struct *fs);
void fs_put(struct fs_struct *fs); /* NULL is fine */

/* ---- programs: fs/exec/exec.c ---- */
/** A new program's strings: "argv0\0argv1\0...env0\0..." */
struct exec_args {
	const char *path;
	const char *strings;
	u32 len;	/* bytes in all */
	u32 argc, envc; /* strings */
};
/** Load the ELF program into the current address space. Returns 0 and its entry point, stack pointer and credentials
 * (with a reference, to commit or to put), or -errno. May sleep. */
int exec_load(const struct exec_args *args, unsigned long *entry, unsigned long *sp,
	      struct cred **cred);

/* ---- cores: fs/exec/coredump.c ---- */
struct core_dump;
/** Write the core of the current process, whose other threads stand still. True: there is a core. It may be cut off by
 * the limit, by a full disk or by SIGKILL. May sleep. */
bool core_dump_write(const struct core_dump *core);

/* ---- the terminal: fs/tty.c. task_list_lock held ---- */
/** The kernel starts process p: make it the leader of a session whose terminal is the console. */
void tty_adopt_session(struct process *p);
/** The leader of a session ends: the session loses its terminal. */
void tty_session_ends(struct process *p);

/* ---- waitid(2) with P_PIDFD: fs/event/pidfd.c ---- */
/** The process of pidfd `fd`, with a reference, or NULL: `fd` is not a pidfd. Sets *nonblock when the
 * descriptor has O_NONBLOCK. */
struct process *pidfd_get_process(unsigned int fd, bool *nonblock);

/* ---- clone(2) with CLONE_PIDFD: fs/event/pidfd.c ---- */
/** Open a pidfd that refers to no process until pidfd_name(), and write its number to user memory at `user`. *held
 * receives its file, with a reference. Returns the number or -errno. May sleep. */
int pidfd_begin(unsigned long user, struct file **held);
/** Let the pidfd refer to p. Any context. */
void pidfd_name(struct file *held, struct process *p);
/** Drop the reference of pidfd_begin(), and close the descriptor fd unless it is negative. May sleep. */
void pidfd_end(struct file *held, int fd);

/* ---- System V semaphores: fs/ipc/sem.c ---- */
/** The process ends: undo its semop(2) calls with SEM_UNDO. May sleep. */
void sem_exit(struct process *p);
#endif
