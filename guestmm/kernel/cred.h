/*
 * Credentials of a thread: users, groups, capabilities.
 *
 * Credentials are constant once published: to change them, make a copy (prepare), change the copy, and commit it.
 * A thread may use its own without a lock; another's only under task_list_lock.
 */
#ifndef KERNEL_CRED_H
#define KERNEL_CRED_H
#include "lib/types.h"

#define NGROUPS_MAX 65536u

/* Linux's numbers (uapi/linux/capability.h); the others are kept and shown. */
#define CAP_CHOWN	    0
#define CAP_DAC_OVERRIDE    1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER	    3
#define CAP_FSETID	    4
#define CAP_KILL	    5
#define CAP_SETGID	    6
#define CAP_SETUID	    7
#define CAP_SETPCAP	    8
#define CAP_IPC_LOCK	    14
#define CAP_IPC_OWNER	    15
#define CAP_SYS_CHROOT	    18
#define CAP_SYS_PTRACE	    19
#define CAP_SYS_ADMIN	    21
#define CAP_SYS_NICE	    23
#define CAP_SYS_RESOURCE    24
#define CAP_MKNOD	    27
#define CAP_WAKE_ALARM	    35
#define CAP_LAST	    40
#define CAP_ALL		    ((1ull << (CAP_LAST + 1)) - 1)

struct cred {
	s32 refs; /* A */
	u32 uid, euid, suid, fsuid;
	u32 gid, egid, sgid, fsgid;
	u64 inheritable, permitted, effective, bounding, ambient;
	bool keep_caps;	   /* PR_SET_KEEPCAPS */
	bool no_new_privs; /* PR_SET_NO_NEW_PRIVS */
	u32 nr_groups;
	u32 groups[]; /* rising */
};

/** The current thread's; a kernel thread has all rights. */
const struct cred *current_cred(void);
struct cred *cred_init(void); /* root's, with a reference */
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c); /* NULL is fine */
/** A copy of the current thread's with one reference, to change and commit. NULL: no memory. */
struct cred *cred_prepare(void);
/** /proc/sys/fs/suid_dumpable: MM_DUMP_* of a process that has changed its rights, or runs a program that it may
 * not read. */
extern int sysctl_suid_dumpable;
/** The current thread has these from now on; takes the reference over. When they are others', its memory is not dumped
 * any more. */
void cred_commit(struct cred *c);
bool capable(int cap);
/** The current thread has `c`'s credentials until it is called with what it returns: no change of user (cred_commit()).
 * References stay where they are. */
struct cred *cred_override(struct cred *c);
/** Is the group one of the caller's, by which files are judged? */
bool in_group(u32 gid);
bool cred_has_group(const struct cred *c, u32 gid);
/** May the caller signal `target`'s process? T held. */
struct process;
bool may_signal(const struct process *p, int sig);
/** Same user as the caller, or CAP_SYS_NICE / CAP_SYS_RESOURCE...: for priorities and limits. T held. */
bool same_user(const struct process *p);
/** Whom the file of a program belongs to, and its mode. */
struct program_owner {
	u32 uid, gid;
	u32 mode; /* without S_ISUID and S_ISGID where these do not count (MS_NOSUID) */
};
/** The credentials that execve() of such a file gives the current process, to commit or to put.
 * *secure: the program gets rights that its caller does not have (AT_SECURE). NULL if no memory. */
struct cred *cred_for_exec(const struct program_owner *owner, bool *secure);
#endif
