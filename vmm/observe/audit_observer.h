/*
 * The audit as an observer: the guest asks the host to look at its memory, and the host counts what
 * it finds. A command that wants more than the counts sets `taken`.
 */
#ifndef VMM_OBSERVE_AUDIT_OBSERVER_H
#define VMM_OBSERVE_AUDIT_OBSERVER_H

#include "observe/audit.h"
#include "observe/observers.h"

struct audit_watch {
	const char *prefix; /* of each finding's line on stderr; NULL: "mmvm: " */
	const struct symtab *symbols;
	uint64_t audits, findings, ns;
	uint64_t said_ns; /* when findings were said last */
	uint64_t unsaid;  /* audits whose findings were only counted */
	int error;	  /* -errno of the last audit that could not be made */
	enum outcome_kind end;
	/* Of the last audit: see audit_result. */
	bool has_memcg;
	uint64_t memcg_groups, memcg_charged, memcg_uncharged, memcg_free;
	/** For the command: called after each audit instead of printing its findings. `rc`: findings,
	 * or -errno and then `found` holds nothing. */
	void (*taken)(void *arg, int rc, const struct audit_result *found);
	void *arg;
};

/** Why there was no audit, as a clause; NULL: there was one. */
const char *audit_missing(const struct audit_watch *w, bool linux_guest);

#endif
