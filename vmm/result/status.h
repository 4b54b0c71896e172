/*
 * What a running machine is doing, for others to look at while it runs (mmvm top).
 *
 * Every `mmvm run` keeps one small file, PID.status, in a folder of the user's:
 * $XDG_RUNTIME_DIR/mmvm, or /tmp/mmvm-UID. It is written anew at each tick, in place, and removed at
 * the end. Its process holds a lock on it (flock): a file that can be locked is nobody's any more,
 * and whoever finds it removes it.
 *
 * A run in the lab writes the same file: the outer process makes and locks it, and tells the inner
 * one its name in MMVM_STATUS, which writes through the lab's shared files.
 */
#ifndef VMM_RESULT_STATUS_H
#define VMM_RESULT_STATUS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "machine/machine.h"

#define STATUS_ENV     "MMVM_STATUS"
#define STATUS_MAGIC   0x505453564d4d564dull
#define STATUS_VERSION 1u
#define STATUS_DISKS   8u

struct status_zone {
	char name[16];
	uint64_t managed, wmark[3];
	int64_t stat[MMVM_MAX_ZONE_STATS];
};
struct status_exit {
	char name[24];
	uint64_t count, ns;
};
struct status_disk {
	char role[16];
	struct mmvm_disk_stats stats;
};
/** All counts go up from the start of the run. */
struct status_snapshot {
	uint64_t t_ns; /* since the run began; 0: there is none yet */
	uint64_t progress_done, progress_total;
	uint64_t totalram, swap_total, swap_free; /* pages */
	uint64_t resident;			  /* bytes of guest RAM with memory behind them */
	uint64_t dirty;				  /* pages found dirty, all harvests together */
	uint64_t event[MMVM_MAX_EVENTS];
	struct status_zone zone[MMVM_MAX_ZONES];
	struct status_exit exits[MACHINE_MAX_EXITS];
	struct status_disk disk[STATUS_DISKS];
};
struct status {
	uint64_t magic;
	uint32_t version, size;
	uint32_t sum; /* of all that follows */
	uint32_t pid; /* of the outer process */
	uint32_t cpus, tick_ms, linux_guest, pad;
	uint64_t started_ns; /* CLOCK_REALTIME */
	uint64_t ram;	     /* bytes */
	char accel[16], backend[16], command[256];
	struct status_snapshot now, before;
};

/* ---- the run that is looked at */

struct status_file;
/** Make the file, or in the lab take the one that the outer process made. NULL when that cannot be
 * (no folder, full disk): the run goes on without. */
struct status_file *status_open(const char *command);
/** Its name, for the lab. */
const char *status_path(const struct status_file *f);
/** What does not change. */
void status_describe(struct status_file *f, struct machine *m, const struct machine_config *config,
		     const char *accel);
/** A tick. `dirty`: as in the snapshot. */
void status_write(struct status_file *f, struct machine *m, uint64_t t_ns, uint64_t dirty);
/** Remove it, if it is ours; NULL is fine. */
void status_close(struct status_file *f);

/* ---- who looks */

/** Read and check a file of status_list(). 0, -EAGAIN (being written, again later), -ESRCH (nobody's
 * any more: removed), or -errno. */
int status_read(const char *path, struct status *out);
/** Paths of the runs that go on now, newest first, at most `max`. */
unsigned int status_list(char (*path)[PATH_MAX], unsigned int max);

#endif
