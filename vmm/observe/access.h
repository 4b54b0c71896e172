/*
 * Which pages the guest accessed, as several methods see it; the working set over time; and how
 * good each method is.
 *
 *   access_init() -> machine_create() -> access_open() -> access_tick() at each sample,
 *   access_record() as the guest reports, access_round() for a program that knows the truth
 *   -> access_finish() when the machine has stopped -> access_free()
 *
 * The methods (each a way to know of accesses since it was last asked):
 *
 *   guest   the guest's accessed bits, which its kernel samples by itself (mmvm/access.h)
 *   unmap   the host drops its mappings of guest RAM: what is mapped again was accessed
 *   dirty   the dirty log: what was written, so the least that was accessed
 *   refs    /proc/self/clear_refs and smaps' Referenced: a number of pages without their names
 */
#ifndef VMM_OBSERVE_ACCESS_H
#define VMM_OBSERVE_ACCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "machine/machine.h"
#include "result/result.h"
#include "devices/locking.h"

enum access_method { ACCESS_GUEST, ACCESS_UNMAP, ACCESS_DIRTY, ACCESS_REFS, NR_ACCESS_METHODS };

struct access_host;

/** What one method has said. */
struct access_source {
	struct run_access out;
	uint64_t *now;	 /* accessed since the last point; bits by frame, as all below */
	uint64_t *round; /* since the round began */
	uint32_t *last;	 /* by frame: number of the point that saw it last, 0: none */
	uint64_t point;	 /* number of points so far */
	bool on, lagging;
};

/** Which CPUs' nodes accessed which pages: the guest's method on a machine with nodes. */
struct access_pairs {
	unsigned int nr_nodes;	      /* 0: not kept */
	uint64_t end[MMVM_MAX_NODES]; /* number of the frame behind the node's memory */
	/* Accessed since the last point by CPUs of node i, [nr_nodes]: of several; bits by frame */
	uint64_t *row[MMVM_MAX_NODES + 1];
	struct run_access_moves moves;
};

struct access_watch {
	struct access_source source[NR_ACCESS_METHODS];
	uint64_t begin_ns; /* time 0 of the points (CLOCK_MONOTONIC) */
	uint64_t nr_frames, heat_pages;
	struct access_host *host;
	struct access_pairs pairs;
	pthread_mutex_t lock; /* A: all of this once the machine runs */
	uint64_t *phase;      /* frames of the set that is accessed now, for the lag */
	uint64_t phase_size, phase_ns;
	uint64_t *before; /* accessed in the round before, as the program says */
	uint64_t *truth;
	bool in_round, any;
	bool audited; /* the host has read all memory since: what it finds next is its own */
};

/** "guest,unmap", "all", "host", "none" into a set of bits by method. 0 or -EINVAL. */
int access_parse(const char *text, unsigned int *methods, bool *all);
const char *access_method_name(enum access_method method);

/** Sets what the machine must know (config->access_ms). `methods`: bits. -ENOMEM or 0. */
int access_init(struct access_watch *w, unsigned int methods, struct machine_config *config,
		unsigned int sample_ms, uint64_t begin_ns);
/** Open what the host must give. A method that does not work here is an error, unless `all` were
 * asked for: then it is left out and the result says why. Returns 0 or -1 with `err`. */
int access_open(struct access_watch *w, struct machine *m, bool all, struct mmvm_error *err);
/** Take a sample with the host's methods. */
void access_tick(struct access_watch *w, struct machine *m);
/** MMVM_REC_ACCESS: take the guest's bits. On the vCPU's thread. */
void access_record(struct access_watch *w, struct machine *m, const struct mmvm_record *rec);
/** A program that knows what it accesses: rounds ("access-begin", "access-end") and phases
 * ("access-phase"). Returns the answer for the guest: methods compared, or -errno. */
int access_round(struct access_watch *w, struct machine *m, uint64_t cr3,
		 const struct mmvm_record *rec);
/** The end: everything into the result. */
void access_finish(struct access_watch *w, struct machine *m, struct run_result *r);
void access_free(struct access_watch *w);

/* Between the files of access*.c */

/** Frames are numbered through the regions of RAM; UINT64_MAX: no RAM. */
uint64_t access_frame(const struct guest_ram *ram, uint64_t gpa);
/** Ask every host method that is on now: into source[].now. Lock A held. */
void access_ask_host(struct access_watch *w, struct machine *m) NEEDS_LOCK(w->lock);
/** Take the guest's bitmap out of the shared window: what CPUs of node `cpu_node` accessed. Lock A
 * held. */
void access_take_guest(struct access_watch *w, struct machine *m, unsigned int cpu_node)
	NEEDS_LOCK(w->lock);
#define ACCESS_CPU_UNKNOWN MMVM_MAX_NODES
/** The same of a bitmap by frame number of the guest. */
void access_take_bitmap(struct access_watch *w, const struct guest_ram *ram, uint64_t *from,
			unsigned int cpu_node) NEEDS_LOCK(w->lock);
/** Which node the name of an MMVM_REC_ACCESS says: ACCESS_CPU_UNKNOWN if none. */
unsigned int access_record_node(const struct access_watch *w, const char *name);
/** What is in source[].now is added to the rounds, and to a point of `method`. Lock A held. */
void access_point(struct access_watch *w, enum access_method method) NEEDS_LOCK(w->lock);

/* The methods of the host (access_host.c) */
/** Which work is in `works`, why not in `why`. */
#define ACCESS_WHY 96u
struct access_host *access_host_open(struct machine *m, const bool want[NR_ACCESS_METHODS],
				     char why[NR_ACCESS_METHODS][ACCESS_WHY]);
void access_host_close(struct access_host *h);
/** Pages accessed since the last call, as bits by frame ORed into `bits`. Returns how many or
 * -errno. */
int64_t access_host_unmap(struct access_host *h, uint64_t *bits);
/** Pages the kernel calls referenced since the last call. */
int64_t access_host_refs(struct access_host *h);
/** For `mmvm doctor`: "" when it works on this host, else why not. Makes a small mapping. */
void access_host_probe(enum access_method method, char why[ACCESS_WHY]);

#endif
