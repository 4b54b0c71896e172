/*
 * Identifiers, keys and permissions of System V IPC. svipc(7).
 *
 * As in Linux, indexes are assigned in a circle, and the sequence counts the rounds. So the identifier of a removed
 * object is not used again for a long time.
 */
#include "fs/ipc/ipc.h"
#include "kernel/cred.h"
#include "kernel/boot_info.h"
#include "lib/string.h"
#include "mm/kvirt/vmalloc.h"

#define ROOM_AT_ONCE 64
#define SEQUENCE_MAX (0x7fffffff >> IPC_INDEX_BITS)

s64 ipc_now(void)
{
	return (s64)((boot_info.epoch_ns + ktime_ns()) / 1000000000ull);
}

struct ipc_perm *ipc_at(const struct ipc_ids *ids, int index)
{
	if (index < 0 || index >= ids->room || !ids->entry[index])
		return ERR_PTR(-EINVAL);
	return ids->entry[index];
}

struct ipc_perm *ipc_find(const struct ipc_ids *ids, int id)
{
	struct ipc_perm *perm = id < 0 ? ERR_PTR(-EINVAL) : ipc_at(ids, id & (IPC_INDEX_MAX - 1));

	if (!IS_ERR(perm) && perm->id != id)
		return ERR_PTR(-EIDRM);
	return perm;
}

int ipc_max_index(const struct ipc_ids *ids)
{
	int i = ids->room - 1;

	while (i >= 0 && !ids->entry[i])
		i--;
	return i;
}

static struct ipc_perm *find_key(const struct ipc_ids *ids, s32 key)
{
	for (int i = 0; i < ids->room; i++) {
		if (ids->entry[i] && ids->entry[i]->key == key)
			return ids->entry[i];
	}
	return NULL;
}

static int grow(struct ipc_ids *ids)
{
	int room = ids->room ? ids->room * 2 : ROOM_AT_ONCE;
	struct ipc_perm **entry;

	if (room > IPC_INDEX_MAX)
		return -ENOSPC;
	entry = vmalloc(room * sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memset(entry, 0, room * sizeof(*entry));
	if (ids->room) {
		memcpy(entry, ids->entry, ids->room * sizeof(*entry));
		vfree(ids->entry);
	}
	ids->entry = entry;
	ids->room = room;
	return 0;
}

/* Give the object an identifier. 0 or -errno. ids->lock held. */
static int add(struct ipc_ids *ids, struct ipc_perm *perm, int limit)
{
	int err, index;

	if (ids->in_use >= limit)
		return -ENOSPC;
	if (ids->in_use == ids->room) {
		err = grow(ids);
		if (err)
			return err;
	}
	index = ids->last;
	do {
		if (++index == ids->room) {
			index = 0;
			ids->sequence = ids->sequence == SEQUENCE_MAX ? 0 : ids->sequence + 1;
		}
	} while (ids->entry[index]);
	ids->last = index;
	perm->id = ids->sequence << IPC_INDEX_BITS | index;
	ids->entry[index] = perm;
	ids->in_use++;
	return 0;
}

void ipc_remove(struct ipc_ids *ids, struct ipc_perm *perm)
{
	ids->entry[perm->id & (IPC_INDEX_MAX - 1)] = NULL;
	ids->in_use--;
}

int ipc_permission(const struct ipc_perm *perm, u32 want)
{
	const struct cred *c = current_cred();
	u32 granted = perm->mode;

	want = want >> 6 | want >> 3 | want;
	if (c->euid == perm->cuid || c->euid == perm->uid)
		granted >>= 6;
	else if (in_group(perm->cgid) || in_group(perm->gid))
		granted >>= 3;
	return want & ~granted & 7 && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_may_change(const struct ipc_perm *perm)
{
	u32 uid = current_cred()->euid;

	return uid == perm->cuid || uid == perm->uid || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/* Check an existing object with the key. Returns its identifier, which may be 0, or -errno. ids->lock held. */
static long get_existing(const struct ipc_kind *kind, struct ipc_perm *perm, u64 size, u32 flags)
{
	int err;

	if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		return -EEXIST;
	err = kind->check(perm, size);
	if (!err)
		err = ipc_permission(perm, flags & IPC_MODE);
	return err ? err : perm->id;
}

long ipc_get(const struct ipc_kind *kind, s32 key, u64 size, u32 flags)
{
	struct ipc_ids *ids = kind->ids;
	const struct cred *c = current_cred();
	struct ipc_perm *perm, *new = NULL;
	long ret;

	mutex_lock(&ids->lock);
	perm = key == IPC_PRIVATE ? NULL : find_key(ids, key);
	if (perm) {
		ret = get_existing(kind, perm, size, flags);
		goto unlock;
	}
	ret = -ENOENT;
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		goto unlock;
	new = kind->create(size, flags);
	if (IS_ERR(new)) {
		ret = PTR_ERR(new);
		goto unlock;
	}
	new->key = key;
	new->uid = new->cuid = c->euid;
	new->gid = new->cgid = c->egid;
	new->mode |= flags &IPC_MODE;
	ret = add(ids, new, READ_ONCE(*kind->limit));
	if (ret)
		kind->destroy(new);
	else
		ret = new->id;
unlock:
	mutex_unlock(&ids->lock);
	return ret;
}

void ipc_perm_out(struct ipc64_perm *out, const struct ipc_perm *perm)
{
	*out = (struct ipc64_perm){.key = perm->key,
				   .uid = perm->uid,
				   .gid = perm->gid,
				   .cuid = perm->cuid,
				   .cgid = perm->cgid,
				   .mode = perm->mode,
				   .seq = (u16)(perm->id >> IPC_INDEX_BITS)};
}

int ipc_perm_set(struct ipc_perm *perm, const struct ipc64_perm *in)
{
	if (in->uid == ~0u || in->gid == ~0u)
		return -EINVAL;
	perm->uid = in->uid;
	perm->gid = in->gid;
	perm->mode = (perm->mode & ~IPC_MODE) | (in->mode & IPC_MODE);
	return 0;
}
