/*
 * Observers: what watches a machine. A command attaches a list of them to the machine's
 * configuration; the machine calls them, and nobody else does.
 *
 *   observers_attach ...            the command
 *   observers_open                  machine_create(), first: an observer may ask the configuration
 *                                   for what it needs
 *   observers_start                 machine_create(), last: RAM and devices are there
 *   tick, exit_event, device_event, vcpu_sample, request ...     while it runs
 *   observers_stop                  the command, when machine_run() has returned
 *   observers_result                the command: each adds its part and its own cost
 *   observers_close                 the command, at the end
 *
 * A new observer is one file with one `struct observer`, and one row in observe/observers.c.
 *
 * Threads: tick is called on the thread of machine_run(); exit_event, ring_full, vcpu_start,
 * vcpu_sample, request, record and step on the thread of the vCPU they are about; device_event on
 * the device's. No lock of the machine is held, but a device's own may be. During a request the
 * other vCPUs stand still. All other hooks are called while no vCPU runs.
 */
#ifndef VMM_MACHINE_OBSERVER_H
#define VMM_MACHINE_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mmvm/testchan.h"

struct cli_option;
struct device_event;
struct machine;
struct machine_config;
struct machine_outcome;
struct machine_step;
struct mmvm_error;
struct run_result;
struct symtab;

/** An exit that was served. */
struct machine_exit_event {
	unsigned int cpu, reason; /* machine_exit_name() */
	uint64_t addr;		  /* port, or guest-physical address */
	uint64_t tsc, ticks;	  /* when it came, how long the VMM took */
};

/** A vCPU that was interrupted to be looked at. */
struct machine_sample {
	unsigned int cpu;
	uint64_t rip, rsp, rbp, cr3;
};

/** A request of the guest to its observers; the guest waits for the answer. */
struct machine_request {
	enum { REQUEST_AUDIT, REQUEST_ROUND } kind;
	uint64_t cr3;
	const struct mmvm_record *rec; /* REQUEST_ROUND: its MMVM_REC_ROUND */
};

/** What all observers of one machine share. Set by the command before machine_create(). */
struct observation {
	const struct symtab *symbols; /* of the guest's kernel; may be NULL */
	struct run_result *result;    /* may be NULL */
	unsigned int sample_ms;	      /* time between samples; 0: none */
	const char *accel, *command;  /* for headers; may be NULL */
	uint64_t begin_ns;	      /* CLOCK_MONOTONIC at observers_open() */
};

/** Every hook may be NULL. `self` is the observer's state. */
struct observer {
	const char *name;		  /* one word */
	const char *what;		  /* one line */
	size_t size;			  /* of its state, which begins as zeroes */
	const struct cli_option *options; /* their base is the state; NULL: none */

	/** After the options are parsed: is the observer needed? NULL: always. */
	bool (*wanted)(const void *self, const struct observation *run,
		       const struct machine_config *config);
	/** It does nothing without samples (observation.sample_ms). */
	bool needs_samples;
	/** Before there is a machine. May change the configuration: ask for samples of vCPUs, for
	 * ticks (observers_want_tick()). 0, or -1 with err. */
	int (*open)(void *self, struct observation *run, struct machine_config *config,
		    struct mmvm_error *err);
	/** The machine exists and does not run yet. 0, or -1 with err. */
	int (*start)(void *self, struct machine *m, struct mmvm_error *err);
	/** Time for a sample; see `every_tick`. */
	void (*tick)(void *self, struct machine *m);
	/** Tick at each tick of the machine, not only when a sample is due. */
	bool every_tick;
	void (*exit_event)(void *self, const struct machine_exit_event *e);
	void (*device_event)(void *self, const struct device_event *e);
	/** A trace ring of the guest is full, and it waits (include/mmvm/trace.h). The number comes
	 * from the guest. */
	void (*ring_full)(void *self, unsigned int cpu);
	/** A vCPU begins, on its thread. */
	void (*vcpu_start)(void *self, struct machine *m, unsigned int cpu);
	/** Each config.vcpu_sample_ns. */
	void (*vcpu_sample)(void *self, struct machine *m, const struct machine_sample *s);
	/** Returns what the guest receives, >= 0 or -errno; -ENOSYS: ask the next observer. */
	int (*request)(void *self, struct machine *m, const struct machine_request *q);
	/** MMVM_REC_ACCESS: the guest has filled the bitmap of mmvm/access.h. */
	void (*record)(void *self, struct machine *m, const struct mmvm_record *rec);
	/** A step of an operation that the guest wants profiled (machine/step.h). */
	void (*step)(void *self, struct machine *m, const struct machine_step *s);
	/** The machine has stopped: read the remaining data, write files. Returns 0 or an exit status. */
	int (*stop)(void *self, struct machine *m, const struct machine_outcome *out);
	/** The observer's part of the result. */
	void (*result)(void *self, struct machine *m, struct run_result *r);
	/** What watching has cost: run_result_add_observer(). */
	void (*cost)(void *self, struct machine *m, struct run_result *r);
	/** Free what the state holds, not the state. Called once for each observer, opened or not. */
	void (*close)(void *self);
};

#define OBSERVERS_MAX 24u
struct observers {
	struct observation run;
	struct {
		const struct observer *ops;
		void *self;
		bool allocated;
	} slot[OBSERVERS_MAX];
	unsigned int nr;
	unsigned int hooks;   /* OBSERVER_HAS_* of all of them, from observers_open() on */
	unsigned int tick_ms; /* the shortest that an observer wants; 0: none asked */
	uint64_t since_ms;    /* last sample */
};
#define OBSERVER_HAS_TICK   0x01u
#define OBSERVER_HAS_EXIT   0x02u
#define OBSERVER_HAS_DEVICE 0x04u
#define OBSERVER_HAS_SAMPLE 0x08u
#define OBSERVER_HAS_STEP   0x10u

/* ---- for commands. All accept NULL: nobody watches. */

/** Add an observer to the end of the list. `self`: its state, or NULL: it is allocated. Returns the
 * state; NULL: no memory, or the list is full. */
void *observers_attach(struct observers *o, const struct observer *ops, void *self);
/** Options are parsed: take those off the list that are not wanted, and close them. */
void observers_drop_unwanted(struct observers *o, const struct machine_config *config);
/** The first observer that is wanted and needs samples; NULL: none. */
const struct observer *observers_need_samples(const struct observers *o,
					      const struct machine_config *config);
/** In order; the first failure's status is returned, all are called. */
int observers_stop(struct observers *o, struct machine *m, const struct machine_outcome *out);
void observers_result(struct observers *o, struct machine *m, struct run_result *r);
void observers_close(struct observers *o);
/** From an open hook: the machine is to tick at least so often. */
void observers_want_tick(struct machine_config *config, unsigned int ms);

/* ---- for the machine. All accept NULL. */

int observers_open(struct observers *o, struct machine_config *config, struct mmvm_error *err);
int observers_start(struct observers *o, struct machine *m, struct mmvm_error *err);
/** The time of config.tick_ms has passed. */
void observers_tick(struct observers *o, struct machine *m, unsigned int tick_ms);
void observers_exit_event(struct observers *o, const struct machine_exit_event *e);
void observers_device_event(struct observers *o, const struct device_event *e);
void observers_ring_full(struct observers *o, unsigned int cpu);
void observers_vcpu_start(struct observers *o, struct machine *m, unsigned int cpu);
void observers_vcpu_sample(struct observers *o, struct machine *m, const struct machine_sample *s);
int observers_request(struct observers *o, struct machine *m, const struct machine_request *q);
void observers_record(struct observers *o, struct machine *m, const struct mmvm_record *rec);
void observers_step(struct observers *o, struct machine *m, const struct machine_step *s);
static inline bool observers_have(const struct observers *o, unsigned int hook)
{
	return o && (o->hooks & hook);
}

#endif
