/* The inside of the cgroup2 file system: the files of every group. */
#ifndef FS_CGROUPFS_H
#define FS_CGROUPFS_H
#include "fs/vfs.h"
#include "kernel/cgroup.h"

/** A file of every group, such as "cgroup.procs". cgroup_lock is held while its functions are called. */
struct cgroup_file {
	const char *name;
	bool on_root;
	bool moves;    /* a write moves a process: cgroup.procs */
	bool notifies; /* poll(2) reports changes of cg->events_seen */
	u8 pressure; /* not 0: the stalls of this enum psi_res + 1, and triggers are written; no functions */
	void (*show)(struct report *r, struct cgroup *cg); /* NULL: write-only */
	int (*write)(struct cgroup *cg, const char *text); /* NULL: read-only. 0 or -errno */
};
extern const struct cgroup_file cgroup_files[]; /* ends with name NULL; fewer than 128 */

/** Parse the pid that is written to cgroup.procs. "0" is the writer. 0 or -EINVAL. */
int cgroup_parse_pid(const char *text, int *pid);
void cgroupfs_init(void); /* registers cgroup2 and mounts it on /sys/fs/cgroup */
#endif
