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

/* Linux's numbers (uapi/linux/capability.h). Capabilities without a name here are stored and shown, but allow
 * nothing. */
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
	u32 groups[]; /* sorted, smallest first */
};

/** The current thread's credentials. A kernel thread has all rights. */
const struct cred *current_cred(void);
struct cred *cred_init(void); /* root's, with a reference */
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c); /* NULL is fine */
/** Copy the current thread's credentials, with one reference, to change and commit them. NULL: no memory. */
struct cred *cred_prepare(void);
/** /proc/sys/fs/suid_dumpable: an MM_DUMP_* for processes that have changed their rights or run a program that they may
 * not read. */
extern int sysctl_suid_dumpable;
/** Make `c` the current thread's credentials, and take over the caller's reference. If the user or the capabilities
 * grow, its memory is no longer dumped (sysctl_suid_dumpable). */
void cred_commit(struct cred *c);
bool capable(int cap);
/** Act with the credentials `c` for a while. Returns the old ones; call it again with them to restore them. Changes no
 * reference count, and is not a change of user as cred_commit() is. */
struct cred *cred_override(struct cred *c);
/** Is the group the caller's fsgid or one of its other groups? For access to files. */
bool in_group(u32 gid);
bool cred_has_group(const struct cred *c, u32 gid);
/** May the caller signal `target`'s process? T held. */
struct process;
bool may_signal(const struct process *p, int sig);
/** Does p belong to the caller's user? For the right to change priorities and limits. T held. */
bool same_user(const struct process *p);
/** Owner and mode of a program's file. */
struct program_owner {
	u32 uid, gid;
	u32 mode; /* without S_ISUID and S_ISGID if they are to be ignored (MS_NOSUID) */
};
/** The credentials that the current process has after execve() of such a file, with a reference, to commit or to put.
 * *secure: the program gets rights that its caller does not have (AT_SECURE). NULL: no memory. */
struct cred *cred_for_exec(const struct program_owner *owner, bool *secure);
#endif
