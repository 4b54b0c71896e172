/*
 * Reading a trace (observe/trace_file.h) back: every record checked, all of them in one order.
 */
#ifndef VMM_RESULT_TRACE_READ_H
#define VMM_RESULT_TRACE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "machine/machine.h"
#include "result/trace_file.h"

/**
 * No time and no duration read from a trace is further from 0 than this (73 years): the file may hold
 * any number, and a time plus or minus a time must still fit an int64_t.
 */
#define TRACE_NS_MAX (1ll << 61)

struct trace_event {
	int64_t ns; /* since the run began; host's clock; within TRACE_NS_MAX */
	uint32_t seq;
	bool host;
	uint8_t cpu; /* of guest records */
	union {
		const struct mmvm_trace_rec *guest;
		const struct trace_host_rec *rec; /* host */
	};
};

struct trace_sym {
	uint64_t addr;
	const char *name;
};
struct trace_count {
	const char *name;
	uint64_t value;
};

#define TRACE_MAX_EXITS 64u
#define TRACE_MAX_DISKS 8u
#define TRACE_MAX_STATS 512u
/** Frames a trace may speak of: those of RAM, high RAM from MMVM_RAM_HIGH_BASE on. */
struct trace_data {
	struct trace_file_header head;
	struct trace_file_end end; /* all zero unless `complete` */
	bool complete;		   /* the run came to its end; else what follows was lost: */
	const char *cut;	   /* why reading stopped */
	uint64_t bad;		   /* records that say nothing sensible, left out */
	struct trace_event *event; /* by time */
	size_t nr, room;	   /* there are `room` records in the file, `nr` of them good */
	const char *exit_name[TRACE_MAX_EXITS], *disk[TRACE_MAX_DISKS], *stat[TRACE_MAX_STATS];
	struct trace_sym *sym; /* by address */
	size_t nr_syms;
	struct trace_count *vmstat;
	size_t nr_vmstat;
	/* a copy of the file, and copies of its text */
	void *map;
	size_t map_len, map_room;
	char **text;
	size_t nr_text;
};

/** 0, or -1 with err: no such file, not a trace, of another version, no memory. */
int trace_load(struct trace_data *t, const char *path, struct mmvm_error *err);
void trace_unload(struct trace_data *t);

const char *trace_event_name(const struct trace_event *e);
const char *trace_event_category(const struct trace_event *e);
/** Name of a guest's system call; "unknown call" for a number that has none. */
const char *trace_call_name(unsigned int number);
/** Is the event about a page (pfn means something)? */
bool trace_event_has_page(enum mmvm_trace_event event);
/** "alloc_page+0x12", or hex. Returns buf. */
const char *trace_symbol(const struct trace_data *t, uint64_t addr, char *buf, size_t size);
/** A counter of the guest at the end; false: not in the trace. */
bool trace_vmstat(const struct trace_data *t, const char *name, uint64_t *value);
/** Number of the disk of that role, or -1. */
int trace_disk(const struct trace_data *t, const char *role);
/** Is it a frame of this machine's RAM? */
bool trace_pfn_ok(const struct trace_data *t, uint64_t pfn);
/** Frames numbered without the hole, for arrays; there are trace_frames() of them. */
uint64_t trace_frame(const struct trace_data *t, uint64_t pfn);
uint64_t trace_frames(const struct trace_data *t);
uint64_t trace_frame_pfn(const struct trace_data *t, uint64_t frame);
/** Ticks of the host's TSC as nanoseconds; TRACE_NS_MAX at most. */
uint64_t trace_ns(const struct trace_data *t, uint64_t ticks);

#endif
