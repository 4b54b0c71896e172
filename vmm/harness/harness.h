/*
 * The guest test harness: `mmvm test`.
 *
 *   catalog.c  which tests the guest ELF holds (section .mmvm_tests; the file is not trusted)
 *   plan.c     what machine a test wants, and how long it may take
 *   job.c      one test: a child process, a fresh machine in it, the facts, the verdict
 *   judge.c    facts -> verdict: a pure function
 *   runner.c   many jobs at a time, in order, with time limits
 *   output.c   pretty, TAP, JUnit
 *   relay.c    verdicts out of the lab, where the suite can be taken up again after a hang
 *
 * Each test has a process of its own, so that a VMM that dies is a failed test and no more.
 */
#ifndef VMM_HARNESS_HARNESS_H
#define VMM_HARNESS_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "machine/machine.h"
#include "mmvm/testchan.h"
#include "observe/audit.h"

/* catalog.c */
#define CATALOG_MAX 4096u
struct catalog {
	struct mmvm_test_desc *test; /* by name; names are checked: letters, digits, _ . - */
	unsigned int nr;
};
/** Read the tests of a guest ELF. 0, or -1 with `err`. */
int catalog_load(const char *elf_path, struct catalog *c, struct mmvm_error *err);
/** The same from a file image (for tests and fuzzing). */
int catalog_parse(const unsigned char *file, uint64_t size, const char *name, struct catalog *c,
		  struct mmvm_error *err);
void catalog_free(struct catalog *c);
/** Does the name match the pattern: a glob when it has one of *?[, otherwise a part of the name. */
bool catalog_match(const char *name, const char *pattern);

/* plan.c */
#define PLAN_MAX_DISKS	   4
#define PLAN_MEMORY	   "32M,high=8M" /* unless the test requests another */
#define PLAN_LIMIT_S	   60
#define PLAN_EMULATED_SLOW 6 /* limits are this much longer where ring 0 is emulated */
/** What a test's args ask for: "memory=24M,high=8M swap=64M disk=16M pmem=16M cpus=1 dirty=auto append=rest of the
 * text". balloon=SIZE: a balloon with that target at boot (0: nothing). nodes=2: two NUMA nodes share the memory
 * evenly; CPU i is on node i, the last CPU's successors have memory only. / */
struct test_plan {
	uint64_t ram_low, ram_high, swap; /* bytes; swap 0 = no swap disk */
	uint64_t disk[PLAN_MAX_DISKS];
	uint64_t pmem[MMVM_MAX_PMEM]; /* bytes: temporary files that are memory */
	unsigned int nr_disks, nr_pmem, cpus, nodes;
	bool cpus_given;
	bool rng; /* rng=1: there is a virtio-rng */
	bool balloon;
	uint64_t balloon_target; /* pages */
	bool dirty_log; /* keep it, and compare at the end of rounds (observe/dirty_exact.h) */
	enum dirty_mode dirty_mode;
	char append[64];
};
int plan_parse(const char *args, struct test_plan *plan, struct mmvm_error *err);
/** Seconds a test may take. */
unsigned int plan_limit_s(const struct mmvm_test_desc *t, bool emulated, double scale);
/** A test's own seed, from the run's and its name. */
uint64_t plan_seed(uint64_t seed, const char *name);

/* judge.c */
enum verdict_kind { VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP };
struct verdict {
	enum verdict_kind kind;
	char reason[512]; /* "" for a pass */
	bool host_error;  /* the host cannot run machines at all: no use in going on */
	uint64_t ns, seed;
	char *detail; /* dump, console, findings; allocated, or NULL */
};
/** What a machine that ran a test left behind. */
struct test_facts {
	struct machine_outcome outcome;
	bool panicked;	   /* the guest sent its panic record */
	bool ended;	   /* it sent TEST_END for this test */
	uint64_t value;	   /* of TEST_END: enum mmvm_test_result */
	char text[256];	   /* of TEST_END */
	char missing[128]; /* words the guest said would be on its console, and were not */
	unsigned int limit_s;
	unsigned int audits; /* audits asked for */
	int audit_error;     /* -errno of an audit that could not be made */
	uint64_t findings;   /* over all audits */
	uint64_t named[NR_AUDIT_FINDINGS];
	char first_finding[256]; /* name and text */
};
void judge(const struct mmvm_test_desc *t, const struct test_facts *facts, struct verdict *v);

/* job.c */
struct harness {
	const char *kernel;
	const struct symtab *symbols;
	const void *initrd; /* for MMVM_TESTF_USER */
	size_t initrd_len;
	uint64_t seed;
	bool sandbox;  /* each test's process drops the privileges that it does not need */
	bool emulated; /* ring 0 is emulated (KVM-PVM) */
	double scale;
	unsigned int cpus;  /* of tests that request no number; 0 = 1 */
	const char *append; /* appended to a test's command line; NULL = nothing */
	unsigned int jobs;
	bool verbose;
	/** What a child does with its test: job_child(). Writes a message to `fd`, then exits. */
	void (*child)(const struct harness *h, const struct mmvm_test_desc *t, int fd);
	unsigned int grace_s; /* a child that outlives its test's limit by this much hangs */
};
/** Run the test in a machine and write the verdict to `fd`; never returns. */
void job_child(const struct harness *h, const struct mmvm_test_desc *t, int fd)
	__attribute__((noreturn));
/** The pipe's format: the header, then `detail_len` bytes. */
struct job_message {
	uint32_t magic, kind, host_error, detail_len;
	char reason[512];
	uint64_t ns;
};
#define JOB_MAGIC      0x544d4d56u
#define JOB_DETAIL_MAX (256u << 10)

/* output.c */
/* FORMAT_RELAY is for the mmvm outside of the lab. */
enum test_format { FORMAT_PRETTY, FORMAT_TAP, FORMAT_JUNIT, FORMAT_RELAY };
struct test_output {
	enum test_format format;
	FILE *f;
	bool colour;
	unsigned int width; /* of the longest name */
	unsigned int nr, passed, failed, skipped;
	uint64_t ns;
	/* JUnit wants the totals first: its cases are kept until the end. */
	char *cases;
	size_t cases_len;
	FILE *cases_f;
};
int output_begin(struct test_output *o, unsigned int tests, uint64_t seed, const char *backend);
void output_test(struct test_output *o, const struct mmvm_test_desc *t, const struct verdict *v);
void output_end(struct test_output *o);

/* relay.c */
void relay_begin(FILE *f, uint64_t seed, const char *backend);
void relay_verdict(FILE *f, const char *name, const struct verdict *v);
/** The other end: verdicts of t[done], t[done + 1], ... are put out as they come. */
struct relay {
	struct test_output *o;
	const struct mmvm_test_desc *const *t;
	unsigned int nr, done;
	bool begun;
	char *buf; /* an incomplete message */
	size_t len;
	int error; /* -EPROTO: not what relay_verdict() writes; -ENOMEM. Nothing more is taken then */
};
/** Take output; `arg` is the struct relay. */
void relay_take(const char *data, size_t len, void *arg);
/** Forget half a message: a new lab begins with t[done]. Also frees what is held. */
void relay_restart(struct relay *r);

/* runner.c */
/** Run tests t[0..nr) and put their verdicts out in that order. Returns 0, a signal's number when
 * one stopped it, or -1 with `err` (host). */
int runner_run(const struct harness *h, const struct mmvm_test_desc *const *t, unsigned int nr,
	       struct test_output *o, struct mmvm_error *err);

#endif
