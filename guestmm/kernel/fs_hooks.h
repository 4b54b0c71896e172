/*
 * The functions of fs/ that kernel/ calls. The floor below declares, the floor above implements: as lib/env.h is
 * the door out of mm/, this is the door out of kernel/, and the only one. A process refers to its files and places
 * by pointers to structs that only fs/ can see into.
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
/** A table with descriptors 0, 1, 2 on the console. NULL if no memory. */
struct files *files_console(void);
/** A copy for fork. NULL if no memory. */
struct files *files_dup(struct files *files);
void files_get(struct files *files);
/** Drop a reference; the last one closes all descriptors. NULL is fine. May sleep. */
void files_put(struct files *files);
/** Close the files that file_put_later() has left to the current thread (fs/file.c). No locks held. */
void task_close_files(void);

/* ---- root, working directory, umask: fs/fs_struct.c ---- */
/** A copy for fork; of NULL, the places of a first program. NULL if no memory. */
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
/** Load the ELF program into the current address space. Returns 0, entry, stack pointer, and the
 * credentials it is to get (to commit, or to put), or -errno. May sleep. */
int exec_load(const struct exec_args *args, unsigned long *entry, unsigned long *sp,
	      struct cred **cred);

/* ---- cores: fs/exec/coredump.c ---- */
struct core_dump;
/** Write the core of the current process, whose other threads stand still. True: there is a core, whole or as far as
 * limit, disk and SIGKILL let it. May sleep. */
bool core_dump_write(const struct core_dump *core);

/* ---- the terminal: fs/tty.c. task_list_lock held ---- */
/** A process that the kernel starts leads a session; the console is its terminal. */
void tty_adopt_session(struct process *p);
/** The leader of a session ends: the session loses its terminal. */
void tty_session_ends(struct process *p);

/* ---- waitid(2) with P_PIDFD: fs/event/pidfd.c ---- */
/** The process of pidfd `fd`, with a reference, or NULL: `fd` is not a pidfd. Sets *nonblock when the
 * descriptor has O_NONBLOCK. */
struct process *pidfd_get_process(unsigned int fd, bool *nonblock);

/* ---- clone(2) with CLONE_PIDFD: fs/event/pidfd.c ---- */
/** A new descriptor that names nobody until pidfd_name(); its number is written to `user`. *held: its
 * file, with a reference. The number, or -errno. May sleep. */
int pidfd_begin(unsigned long user, struct file **held);
/** It names this process from now on. Any context. */
void pidfd_name(struct file *held, struct process *p);
/** Drop the reference; close the descriptor as well unless it is below 0. May sleep. */
void pidfd_end(struct file *held, int fd);

/* ---- System V semaphores: fs/ipc/sem.c ---- */
/** The process ends: undo what semop(2) did with SEM_UNDO. May sleep. */
void sem_exit(struct process *p);
#endif
