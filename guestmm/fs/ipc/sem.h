/*
 * System V semaphores: declarations that their two files share. sem.c has the sets and operations, sem_ctl.c semctl(2).
 *
 *   set ── sem[0..n)                              process ── undo ── undo
 *    └── undos ── undo: the changes of one process to this set ──┘
 *
 * I1  A set lives while it has an identifier or a task sleeps on it (refs).
 * I2  An undo is in the lists of its set and of its process; removing the set takes it out of both.
 *
 * Locks: sem_ids.lock for everything.
 */
#ifndef FS_IPC_SEM_H
#define FS_IPC_SEM_H
#include "fs/ipc/ipc.h"

#define SEMVMX 32767
typedef short s16;

/* Indexes of sysctl_sem, which ipc.h declares. */
enum { SEMMSL, SEMMNS, SEMOPM, SEMMNI };

struct sembuf {
	u16 num;
	s16 op, flags;
};

struct sem {
	s32 value;
	int pid; /* the process that changed it last */
};

struct sem_set {
	struct ipc_perm perm;
	s32 refs; /* I1 */
	bool removed;
	int nr;
	s64 otime, ctime;
	struct wait_queue wq;
	struct list_head sleepers, undos;
	struct sem sem[];
};

struct sem_undo {
	struct list_head in_set, in_process;
	struct sem_set *set;
	struct process *process;
	s16 adjust[]; /* one for each semaphore: added when the process ends */
};

struct sem_sleeper {
	struct list_head node;
	struct sembuf why; /* the operation it waits for */
};

extern struct ipc_ids sem_ids;
extern int sems_used; /* sem_ids.lock: in all sets */

static inline struct sem_set *to_sem_set(struct ipc_perm *perm)
{
	return container_of(perm, struct sem_set, perm);
}

/** Allocate zeroed memory of any size, or NULL. sem_put_sized() frees it, with the same size. */
void *sem_get_zeroed(size_t size);
void sem_put_sized(void *p, size_t size);
/** Remove the set's identifier, and wake tasks that sleep on the set with -EIDRM. The lock is held. */
void sem_set_remove(struct sem_set *s);
#endif
