/*
 * The audit: the host reads the guest's memory manager from outside and adds everything up.
 *
 * The contract is mmvm/audit.h: the guest says where its page array, lists, address spaces and swap
 * maps are; the host walks them through the guest's own page tables and trusts nothing. It runs
 * while the guest stands still.
 */
#ifndef VMM_OBSERVE_AUDIT_H
#define VMM_OBSERVE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "devices/device.h"
#include "machine/machine.h"
#include "mmvm/audit.h"
#include "mmvm/shared.h"

#define AUDIT_MAX_KEPT 32 /* findings kept with their text; all are counted */

struct audit_entry {
	enum mmvm_audit_finding kind;
	char text[200]; /* where, what was found, what was expected */
};

struct audit_result {
	uint64_t total;			   /* findings */
	uint64_t count[NR_AUDIT_FINDINGS]; /* by kind */
	struct audit_entry kept[AUDIT_MAX_KEPT];
	unsigned int nr_kept;
	uint64_t ram_frames;
	uint64_t frames[NR_PAGE_TYPES]; /* by state; their sum is ram_frames when all is well */
	uint64_t nr_mm, nr_caches, nr_swap_used;
	/* Memory cgroups, if the guest has them: how many, and pages that are charged to one, to nobody,
	 * and free. The three sum up to RAM. */
	bool has_memcg;
	uint64_t nr_memcgs, memcg_charged, memcg_uncharged, memcg_free;
	uint64_t memcg_protections; /* groups whose effective min and low were checked */
	uint64_t steps; /* along lists, into tables, to nodes of trees; bounded by RAM */
	uint64_t ns;	/* time it took */
};

/** The input of an audit: RAM, the page tables to read it by, the root's address, the levels. */
struct audit_source {
	const struct guest_ram *ram;
	uint64_t cr3;
	unsigned int levels; /* of the tables; 0: four */
	uint64_t root_gva;
	const struct mmvm_shared *shared;
	/** Does the host have this page of the balloon? NULL: there is no balloon. */
	bool (*in_balloon)(void *arg, uint64_t gpa);
	void *balloon_arg;
	/** Files that are memory, as the machine has them, and the flushes that their devices have answered. */
	struct {
		uint64_t gpa, size; /* bytes */
	} pmem[MMVM_MAX_PMEM];
	unsigned int nr_pmem;
	uint64_t pmem_flushes;
	bool (*late)(void *arg); /* is it time to give up? NULL: never */
	void *late_arg;
};

/** Look at everything. Returns the number of findings, -ENOMEM, or -ECANCELED: it was late. Time
 * and memory are linear in the guest's RAM, whatever the guest says. */
int audit_memory(const struct audit_source *src, struct audit_result *out);

/** The same for a machine. The root is the guest's symbol `mmvm_audit_root`; a guest without it is
 * not audited: -ENOSYS. In a call-back on a vCPU's thread it gives up when the machine wants to end:
 * -ECANCELED. */
int audit_machine(struct machine *m, const struct symtab *symbols, uint64_t cr3,
		  struct audit_result *out);

/** "mapcount" ... */
const char *audit_finding_name(enum mmvm_audit_finding kind);
enum audit_detail {
	AUDIT_BRIEF,	  /* the findings, one a line */
	AUDIT_WITH_STATES /* and how many pages are in which state */
};
/** Each line begins with `prefix`. */
void audit_print(FILE *f, const char *prefix, const struct audit_result *r,
		 enum audit_detail detail);

#endif
