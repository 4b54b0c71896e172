/*
 * System V IPC: identifiers, keys and permissions, which shared memory and semaphores have in common.
 *
 *   ids: entry[index] ──> struct ipc_perm, the head of a segment or a set
 *   identifier = sequence << 15 | index: so an object has another identifier than a removed one at its index
 *
 * Lock: ids->lock, a mutex; user memory is not touched while it is held (mmap_lock > ids->lock).
 */
#ifndef FS_IPC_H
#define FS_IPC_H
#include "lib/env.h"
#include "lib/errno.h"
#include "lib/types.h"

#define IPC_PRIVATE 0
#define IPC_CREAT   01000u
#define IPC_EXCL    02000u
#define IPC_NOWAIT  04000u
#define IPC_RMID    0
#define IPC_SET	    1
#define IPC_STAT    2
#define IPC_INFO    3
#define IPC_MODE    0777u

#define IPC_INDEX_BITS 15
#define IPC_INDEX_MAX  (1 << IPC_INDEX_BITS)

/** Owner, creator and mode of one object. All fields are under ids->lock, except `id`, which is constant. */
struct ipc_perm {
	s32 key;
	int id;
	u32 uid, gid, cuid, cgid;
	u32 mode; /* 0777, and bits of the object's own */
};

struct ipc_ids {
	struct mutex lock;
	struct ipc_perm **entry; /* lock: `room` of them, NULL: free */
	int room;		 /* lock */
	int in_use;		 /* lock */
	int last, sequence;	 /* lock: index and sequence of the identifier given last */
};
#define IPC_IDS_INIT(name)                                   \
	{                                                    \
		.lock = MUTEX_INIT((name).lock), .last = -1, \
	}

/** struct ipc64_perm of Linux. */
struct ipc64_perm {
	s32 key;
	u32 uid, gid, cuid, cgid, mode;
	u16 seq, pad[3];
	u64 unused[2];
};
_Static_assert(sizeof(struct ipc64_perm) == 48, "Linux's ABI");

/** A kind of object, for shmget(2) and semget(2). */
struct ipc_kind {
	struct ipc_ids *ids;
	/** Limit on their number. */
	int *limit;
	/** Create an object whose key, mode and owner are filled in later. Or ERR_PTR(-errno). May sleep. */
	struct ipc_perm *(*create)(u64 size, u32 flags);
	/** Free an object that could not be added. */
	void (*destroy)(struct ipc_perm *perm);
	/** Is the object at least `size` large? 0 or -EINVAL. */
	int (*check)(const struct ipc_perm *perm, u64 size);
};
/** shmget(2), semget(2): the identifier, or -errno. */
long ipc_get(const struct ipc_kind *kind, s32 key, u64 size, u32 flags);

/* ids->lock held: */
/** Find an object by its identifier. ERR_PTR(-EINVAL): there is none; ERR_PTR(-EIDRM): another one has its index. */
struct ipc_perm *ipc_find(const struct ipc_ids *ids, int id);
/** The object at an index (SHM_STAT...), or ERR_PTR(-EINVAL). */
struct ipc_perm *ipc_at(const struct ipc_ids *ids, int index);
/** Highest index in use, or -1. */
int ipc_max_index(const struct ipc_ids *ids);
/** Remove the object's identifier. */
void ipc_remove(struct ipc_ids *ids, struct ipc_perm *perm);
/** Does the caller have the rights `want`? They are bits of a mode, in any of its three groups. 0 or -EACCES. */
int ipc_permission(const struct ipc_perm *perm, u32 want);
/** May the caller change or remove it? 0 or -EPERM. */
int ipc_may_change(const struct ipc_perm *perm);
void ipc_perm_out(struct ipc64_perm *out, const struct ipc_perm *perm);
/** IPC_SET. 0, or -EINVAL: the owner is no valid id. */
int ipc_perm_set(struct ipc_perm *perm, const struct ipc64_perm *in);
/** The present time in seconds since 1970. */
s64 ipc_now(void);

struct report;
void report_sysvipc_shm(struct report *r);
void report_sysvipc_sem(struct report *r);
extern u64 sysctl_shmmax, sysctl_shmall;
extern int sysctl_shmmni;
/** The four numbers of /proc/sys/kernel/sem: SEMMSL, SEMMNS, SEMOPM, SEMMNI. */
extern int sysctl_sem[4];
#endif
