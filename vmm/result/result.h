/*
 * One run, as data: everything mmvm says about a machine is put into a run_result first and turned
 * into text afterwards, so that the table, the JSON file and the exit status cannot disagree.
 *
 *   observe/  fills  ->  struct run_result  ->  report/ (tables, pages), write_json.c, read_json.c ...
 *
 * Two kinds of numbers stand side by side and are never mixed: what the guest says of itself
 * (`counters`, `zones`, `reports`) and what the host saw (`disks`, `kvm`, `exits`,
 * `samples[].dirty`). A `check` pairs one of each. Absent is not zero: an optional number has a
 * `has_` flag, or its list is empty.
 *
 * All text is copied; strings from the guest may hold any bytes, and the writers make them safe:
 * control characters become escapes and broken UTF-8 becomes U+FFFD.
 */
#ifndef VMM_RESULT_RESULT_H
#define VMM_RESULT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "machine/machine.h"
#include "mmvm/page.h"
#include "mmvm/shared.h"

/** Raised when a key of the JSON changes its meaning or is removed; new keys do not raise it. */
#define RUN_RESULT_SCHEMA 1u

/** Guest RAM in equal parts, for the picture of what was written where: high RAM behind low RAM. */
#define RUN_HEAT_BUCKETS 64u

/** What the machine looked like at one tick. Counts are since the start; levels are of the moment.
 */
/** Free memory, and what stands in its way, by the guest's page array at one moment. The maps are by address, in
 * parts of run_result.heat_pages. */
#define RUN_FREE_ORDERS 11u
#define RUN_BLOCK_TYPES(X) \
	X(UNMOVABLE, "unmovable") X(MOVABLE, "movable") X(RECLAIMABLE, "reclaimable")
#define RUN_BLOCK_TYPE_(name, text) RUN_BLOCK_##name,
enum { RUN_BLOCK_TYPES(RUN_BLOCK_TYPE_) RUN_NR_BLOCK_TYPES };
#undef RUN_BLOCK_TYPE_
struct run_fragmentation {
	uint32_t free_blocks[RUN_FREE_ORDERS];	      /* by order; those on per-CPU lists, too */
	uint32_t block_types[RUN_NR_BLOCK_TYPES];     /* pageblocks by migrate type */
	uint32_t huge_anon, huge_shmem, huge_hugetlb; /* pages of large folios, by what they hold */
	uint32_t map_free[RUN_HEAT_BUCKETS];	      /* free pages */
	uint32_t map_block
		[RUN_HEAT_BUCKETS]; /* pages of the free block that a free page is in, mean */
	uint32_t map_huge[RUN_HEAT_BUCKETS];	  /* pages of large folios */
	uint32_t map_unmovable[RUN_HEAT_BUCKETS]; /* pages in pageblocks that are not movable */
};

struct run_sample {
	uint64_t t_ns;		      /* since machine_run() began */
	uint64_t dirty;		      /* pages found dirty since the previous sample */
	uint64_t pswpin, pswpout;     /* guest: pages, so far */
	uint64_t pgfault, pgmajfault; /* guest: so far */
	uint64_t progress_done, progress_total;
	uint64_t free_pages; /* guest: all zones */
	uint64_t swap_free;  /* guest: pages */
	uint64_t exits;	     /* all reasons, so far */
	unsigned int nr_zones;
	int64_t zone_free[MMVM_MAX_ZONES]; /* pages; index as run_result.zones */
	int64_t level[NR_ZONE_STAT_ITEMS]; /* guest: summed over zones */
	uint64_t dirty_distinct;	   /* pages found dirty at least once, so far */
	/* KVM: pages of 4K, 2M, 1G mapped in the second stage; faults there, so far. Only when it
	 * has binary statistics. */
	bool has_kvm;
	uint64_t mapped[3], pf_taken;
	/* `dirty` by who owns the pages: the guest's page state, its zone (index as run_result.zones),
	 * and low or high RAM. Only when the guest's page array could be read. */
	bool has_owner;
	uint32_t dirty_owner[NR_PAGE_TYPES], dirty_zone[MMVM_MAX_ZONES], dirty_region[2];
	uint32_t heat[RUN_HEAT_BUCKETS]; /* of `dirty`, by address: run_result.heat_pages each */
	bool has_fragmentation;
	struct run_fragmentation fragmentation;
};

struct run_counter {
	char name[64];
	uint64_t value;
};

struct run_zone {
	char name[16];
	unsigned int node;
	uint64_t start_pfn, spanned, present, managed, wmark[3]; /* pages */
	int64_t stat[NR_ZONE_STAT_ITEMS];			 /* enum zone_stat_item */
};

/** A NUMA node as it was asked for. */
struct run_node {
	uint64_t memory; /* bytes */
	uint64_t cpus;	 /* bits by vCPU */
	int host_node;	 /* that its memory is bound to; -1: not bound */
};

struct run_disk {
	char role[16];
	uint64_t size; /* bytes */
	struct mmvm_disk_stats stats;
};

/** A file that is memory of the guest. */
struct run_pmem {
	char role[16];
	uint64_t gpa, size;	  /* bytes */
	uint64_t flushes, errors; /* requests, by their answer */
};

/** One value of KVM's binary statistics, described as the kernel describes it. */
struct run_kvm_stat {
	char name[64];
	char scope[8];		/* "vm", or "vcpu" (summed over vCPUs) */
	char kind[16];		/* "cumulative", "instant", "peak", "linear", "log" */
	char unit[16];		/* "none", "bytes", "seconds", "cycles", "boolean" */
	int base, exponent;	/* value is in base^exponent units */
	unsigned int nr_values; /* 1, or the buckets of a histogram */
	uint64_t *values;
};

#define RUN_EXIT_BUCKETS MACHINE_EXIT_BUCKETS
struct run_exit {
	char name[32];
	uint64_t count, ns; /* ns: time in the VMM for this reason; 0 without has_exit_times */
	/* exits that took from 2^i ticks on, run_result.exit_tick_ps each; bucket 0: 0 or 1 */
	uint64_t log2_ticks[RUN_EXIT_BUCKETS];
};

/** Exits of one reason, about one address, from one guest function. */
struct run_exit_place {
	char reason[32];
	uint64_t addr;	   /* port or guest physical address, 0: none */
	char device[32];   /* whose window that is, or "" */
	char function[64]; /* of the guest kernel, "(program)", or an address */
	uint64_t count, ns;
};

/** What watching has cost. */
struct run_observer {
	char name[32];
	uint64_t times, ns; /* how often it looked, and how long that took in all */
	uint64_t exits;	    /* exits of vCPUs it caused */
	bool has_stall;	    /* else the guest's stall is not known, and not 0 */
	uint64_t stall_ns;  /* time that the guest stood still for it */
	char note[128];
};

/** Accessed pages as one method tells them (observe/access.h). */
#define RUN_ACCESS_WINDOWS 4u
/** Points kept of one method; what comes after is counted. */
#define RUN_ACCESS_POINTS 4096u
/** The matrix of accesses: a row for each node of CPUs, and the last one for accesses that CPUs of
 * several nodes, or unknown ones, may have made; a column for each node of pages. */
#define RUN_ACCESS_PAIRS ((MMVM_MAX_NODES + 1) * MMVM_MAX_NODES)
/** Windows of the working set in samples; 0: all since the start. */
extern const unsigned int run_access_window[RUN_ACCESS_WINDOWS];

/** Guest counters beside each point: pages that changed their node, and hint faults; so far. */
#define RUN_ACCESS_MOVES(X)                       \
	X(pgmigrate_success, PGMIGRATE_SUCCESS)   \
	X(numa_pages_migrated, NUMA_PAGE_MIGRATE) \
	X(pgdemote_kswapd, PGDEMOTE_KSWAPD)       \
	X(pgdemote_direct, PGDEMOTE_DIRECT)       \
	X(pgpromote_success, PGPROMOTE_SUCCESS)   \
	X(numa_hint_faults, NUMA_HINT_FAULTS)     \
	X(numa_hint_faults_local, NUMA_HINT_FAULTS_LOCAL)
struct run_access_moves {
#define RUN_FIELD_(name, item) uint64_t name;
	RUN_ACCESS_MOVES(RUN_FIELD_)
#undef RUN_FIELD_
};

struct run_access_point {
	uint64_t t_ns; /* since machine_run() began */
	/* Pages accessed in the last run_access_window[i] samples; of a method that only knows how
	 * many, window[0] alone */
	uint32_t window[RUN_ACCESS_WINDOWS];
	uint32_t heat[RUN_HEAT_BUCKETS]; /* of window[0], by address as run_sample.heat */
	/* Pages accessed in this sample, by the node of the CPU (row) and of the page (column):
	 * run_access_pair(). A page that CPUs of two nodes accessed is in both rows. */
	uint32_t pair[RUN_ACCESS_PAIRS];
	struct run_access_moves moves;
};

/**
 * Held against what a program says it accessed: pages, summed over rounds.
 *
 *   rounds   0: nobody compared
 *   truth    accessed; of these hit and missed by the method
 *   wrong    said to be accessed, and were not; stale: of these, accessed in the round before
 *   others   frames that the program says nothing of
 *   nowhere  accessed, and without a frame at the end of the round
 *   counted  pages the method gave in all
 *   ask_ns   from asking the host to its answer
 *   phases   a new set of pages is accessed from now on; found: lag_ns until a sample had 90 % of
 *            it, summed, and the longest of them
 */
#define RUN_ACCESS_SCORE(X) \
	X(rounds)           \
	X(truth)            \
	X(hit)              \
	X(missed)           \
	X(wrong)            \
	X(stale)            \
	X(others)           \
	X(nowhere)          \
	X(counted)          \
	X(ask_ns)           \
	X(phases)           \
	X(found)            \
	X(lag_ns)           \
	X(lag_max_ns)
struct run_access_score {
#define RUN_FIELD_(field) uint64_t field;
	RUN_ACCESS_SCORE(RUN_FIELD_)
#undef RUN_FIELD_
};

struct run_access {
	char method[16];		 /* "guest", "unmap", "dirty", "refs" */
	char why[128];			 /* why it does not work, or stopped; "" = it worked */
	bool has_pages;			 /* else it only knows how many: no heat, no windows */
	uint64_t times, ns, guest_ticks; /* samples; time of the VMM, ticks of the guest for them */
	uint64_t pages_total;		 /* summed over samples */
	uint64_t pages_now, round_pages, ask_ns, records; /* while it runs */
	uint64_t dropped;				  /* points */
	/* Of the points' matrix: so many columns and one row more. 0: the method does not know which
	 * CPU accessed a page, or there is one node. */
	uint32_t nr_nodes;
	struct run_access_point *points;
	unsigned int nr_points;
	struct run_access_score score;
};

/** Guest truth beside host observation. A check that is not `equal` fails the run. */
struct run_check {
	char name[64];
	uint64_t guest, host;
	bool equal;
	char note[96]; /* what was compared, or why they differ */
};

/** More than any guest has reason to send. */
#define RUN_MAX_REPORTS 1024u

struct run_report {
	char name[32]; /* "meminfo" ... */
	char *text;
};

/** The balloon at the end of the run; pages, as the device counts them. */
struct run_balloon {
	uint64_t target, actual, pages;
	uint64_t inflated, deflated, reported, given_back;
	uint64_t refused; /* times that the host did not take memory back */
};

struct run_result {
	/* What was asked for */
	char command[512];
	char backend[32]; /* "SVM", "PVM" ... */
	char accel[16];	  /* "kvm", "lab" */
	char accel_why[128];
	uint32_t quirks; /* MMVM_QUIRK_* */
	char host_kernel[96];
	char kernel_path[256];
	uint64_t ram_low, ram_high; /* bytes */
	unsigned int cpus;
	char backing[16];	/* of guest RAM: "4k", "thp", "hugetlb", "file" */
	struct run_node *nodes; /* more than one only */
	unsigned int nr_nodes;
	uint64_t seed;
	unsigned int timeout_s;

	/* What came of it */
	struct machine_outcome outcome;
	int exit_status; /* of mmvm */
	uint64_t started_unix_ns;
	uint64_t wall_ns;	     /* machine_run(), start to end */
	uint64_t first_run_ns;	     /* process start to first guest instruction */
	uint64_t boot_ticks;	     /* guest: TSC ticks from entry to booted */
	uint64_t tsc_hz;	     /* 0 = not known */
	uint64_t vmm_bytes;	     /* memory of the VMM beside guest RAM (PSS less guest RAM) */
	uint64_t guest_ram_resident; /* bytes of guest RAM the host has given */
	uint64_t records_dropped;
	uint64_t guest_errors;				/* mistakes that the devices noted */
	uint64_t totalram_pages, swap_total, swap_free; /* guest: pages */

	/* Host: pages of guest RAM found dirty, each time a sample found them, and distinct ones */
	bool has_dirty;
	uint64_t dirty_pages_total, dirty_pages_distinct;
	char dirty_mode[16]; /* how KVM kept the log: "bitmap", "bitmap-manual", "ring" */
	uint64_t
		heat_pages; /* pages of RAM in one part of run_sample.heat, the last may be short */
	/* The host's audits of guest memory: the guest asks for one at its end */
	bool has_audit;
	uint64_t audit_findings;
	/* From the last audit of a guest that has used memory cgroups: pages */
	bool has_memcg;
	uint64_t memcg_groups, memcg_charged, memcg_uncharged, memcg_free;
	char audit_missing[80]; /* why there was none */
	bool has_balloon;
	struct run_balloon balloon;

	struct run_sample *samples;
	unsigned int nr_samples;
	struct run_counter *counters; /* guest events, by their vmstat names, summed over CPUs */
	unsigned int nr_counters;
	struct run_zone *zones;
	unsigned int nr_zones;
	struct run_disk *disks;
	unsigned int nr_disks;
	struct run_pmem *pmem;
	unsigned int nr_pmem;
	struct run_kvm_stat *kvm;
	unsigned int nr_kvm;
	struct run_exit *exits;
	bool has_exit_times;
	uint64_t exit_tick_ps; /* a tick of run_exit.log2_ticks in picoseconds; 0: not known */
	unsigned int nr_exits;
	struct run_exit_place *places; /* most frequent first */
	unsigned int nr_places;
	bool has_exit_places;
	uint64_t exits_placed, exits_unplaced; /* looked at; of these, in no line */
	struct run_check *checks;
	unsigned int nr_checks;
	/* Pages in the log beside those a program says it wrote, by why they are there; of the exact
	 * comparison only (observe/dirty_exact.h) */
	struct run_counter *reasons;
	unsigned int nr_reasons;
	struct run_access *access;
	unsigned int nr_access;
	struct run_observer *observers;
	unsigned int nr_observers;
	struct run_report *reports;
	unsigned int nr_reports;
	bool no_memory; /* something could not be stored: the result is incomplete, and says so */
};

/* Building a result. Each add_* copies what it is given; when memory runs out it sets no_memory. */
void run_result_init(struct run_result *r);
void run_result_free(struct run_result *r);
void run_result_set_command(struct run_result *r, int argc, char **argv);
void run_result_add_sample(struct run_result *r, const struct run_sample *s);
void run_result_add_counter(struct run_result *r, const char *name, uint64_t value);
void run_result_add_zone(struct run_result *r, const struct run_zone *z);
void run_result_add_node(struct run_result *r, const struct run_node *n);
void run_result_add_pmem(struct run_result *r, const struct run_pmem *p);
void run_result_add_disk(struct run_result *r, const char *role, uint64_t size,
			 const struct mmvm_disk_stats *stats);
/** The same scope and name again: values are added (so that vCPUs sum). */
void run_result_add_kvm(struct run_result *r, const struct run_kvm_stat *s);
void run_result_add_exit_place(struct run_result *r, const struct run_exit_place *place);
void run_result_add_exit(struct run_result *r, const char *name, uint64_t count, uint64_t ns);
/** Of the exit added last: RUN_EXIT_BUCKETS numbers. */
void run_result_exit_times(struct run_result *r, const uint64_t *log2_ticks);
/** Returns whether they are equal. */
bool run_result_add_check(struct run_result *r, const char *name, uint64_t guest, uint64_t host,
			  const char *note);
/** From a guest: names are made plain and to differ; what comes after RUN_MAX_REPORTS is counted in
 * records_dropped. From a file: kept as it is. */
void run_result_add_reason(struct run_result *r, const char *name, uint64_t pages);
void run_result_add_observer(struct run_result *r, const struct run_observer *o);
/** `a` is empty afterwards: its points belong to the result. */
void run_result_add_access(struct run_result *r, struct run_access *a);
/** Points beyond RUN_ACCESS_POINTS, or without memory for them, are counted in `dropped`. */
void run_access_add_point(struct run_access *a, const struct run_access_point *p);
void run_access_free(struct run_access *a);
/** Number in `pair` of the CPUs' node (nr_nodes: several) and the pages' node. */
static inline unsigned int run_access_pair(unsigned int nr_nodes, unsigned int cpu_node,
					   unsigned int page_node)
{
	return cpu_node * nr_nodes + page_node;
}
/** Time between two points, on average; 0 when there are not two. */
uint64_t run_access_interval_ns(const struct run_access *a);
void run_result_add_report(struct run_result *r, const char *name, const char *text, size_t len);
void run_result_keep_report(struct run_result *r, const char *name, const char *text, size_t len);

/** Value of a guest counter; 0 and *found = false when the guest has none of that name. */
uint64_t run_result_counter(const struct run_result *r, const char *name, bool *found);
/** Sum over zones of a level. */
int64_t run_result_level(const struct run_result *r, unsigned int item);
bool run_result_checks_ok(const struct run_result *r);
/** "exited", "crashed", "timeout", "stopped", "host error". */
const char *outcome_name(enum outcome_kind kind);

/* The way back: what report_json() wrote. Return 0, or -1 with `err`, and then `r` is empty.
 * MMVM_EXIT_USAGE: no such file, or it is not the result of a run, and where; MMVM_EXIT_HOST: no
 * memory. */
/** `name` is for messages. */
int run_result_parse(struct run_result *r, const char *name, const char *text, size_t len,
		     struct mmvm_error *err);
/** From a file; "-" is stdin. */
int run_result_load(struct run_result *r, const char *path, struct mmvm_error *err);

/* Writers. They return 0, or -EIO when the stream failed (a full disk). */
int report_json(FILE *f, const struct run_result *r);
/** The samples, one line each, a header first. */
int report_csv(FILE *f, const struct run_result *r);
/** The numbers at the end in the OpenMetrics text format 1.0. */
int report_openmetrics(FILE *f, const struct run_result *r);

/** Open a file to read. A FIFO that nobody writes is empty and keeps nobody waiting. NULL with errno. */
FILE *report_open_input(const char *path);

/** Write a file so that a kill at any moment leaves the whole new file or what was there before:
 * `emit` writes into an unnamed (or temporary) file of the same folder, which takes the name only
 * when complete and synced. "-" is stdout. Returns 0 or -errno (the first failure); nothing is left
 * behind on failure. */
int report_write_file_atomic(const char *path, int (*emit)(FILE *f, const void *arg),
			     const void *arg);
/** `emit` functions for it; arg is the run_result. */
int report_emit_json(FILE *f, const void *result);
int report_emit_csv(FILE *f, const void *result);
int report_emit_openmetrics(FILE *f, const void *result);

/* Numbers for people */
/** "48 MiB", "4.7 MiB", "512 KiB", "12 B". Returns buf. */
const char *format_bytes(uint64_t bytes, char *buf, size_t size);
/** "1.25 s", "310 ms", "42 us", "7 ns". Returns buf. */
const char *format_ns(uint64_t ns, char *buf, size_t size);
/** "1,234,567". Returns buf. */
const char *format_count(uint64_t n, char *buf, size_t size);

#endif
