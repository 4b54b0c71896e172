/*
 * Hardware counters of a vCPU's thread.
 *
 * Events that the kernel names for every processor are asked for by those names. Page walks have
 * none, and every maker counts them in its own way:
 *
 *   Intel   DTLB_LOAD_MISSES.WALK_PENDING (0x08, 0x10) since Skylake: cycles in which a walk is under
 *           way, the second stage's part excluded; that is EPT.WALK_PENDING (0x4f, 0x10). Before,
 *           WALK_DURATION was the same numbers with other meanings and included it.
 *   AMD     Zen has no event for the cycles of a walk, only for how often the L2 TLB missed.
 *
 * A hypervisor below us may offer none of it: then opening says ENOENT, which is reported.
 */
#include "observe/perf.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_(id, name, what) name,
#define WHAT_(id, name, what) what,
static const char *const names[] = {PERF_COUNTERS(NAME_)};
static const char *const whats[] = {PERF_COUNTERS(WHAT_)};

#define MODEL_SKYLAKE 0x4eu /* the first of family 6 with WALK_PENDING; models are not in order, */
#define MODEL_ATOM_LO 0x5cu /* but those from here on that are older are Atoms */

const char *perf_counter_name(enum perf_counter c)
{
	return names[c];
}

const char *perf_counter_what(enum perf_counter c)
{
	return whats[c];
}

enum maker { MAKER_OTHER, MAKER_INTEL, MAKER_AMD };

static enum maker maker(unsigned int *model)
{
	unsigned int a, b, c, d, family;
	char name[13] = "";

	if (!__get_cpuid(0, &a, &b, &c, &d))
		return MAKER_OTHER;
	memcpy(name, &b, 4);
	memcpy(name + 4, &d, 4);
	memcpy(name + 8, &c, 4);
	__get_cpuid(1, &a, &b, &c, &d);
	family = a >> 8 & 15;
	*model = (a >> 4 & 15) | (a >> 12 & 0xf0);
	if (!strcmp(name, "GenuineIntel") && family == 6)
		return MAKER_INTEL;
	return strcmp(name, "AuthenticAMD") ? MAKER_OTHER : MAKER_AMD;
}

/** Fill in the event. False: this processor has none, and `why` says so. */
static bool describe(enum perf_counter c, struct perf_event_attr *attr, char why[80])
{
	unsigned int model = 0;
	enum maker who = maker(&model);

	switch (c) {
	case PERF_CYCLES:
	case PERF_INSTRUCTIONS:
		attr->type = PERF_TYPE_HARDWARE;
		attr->config =
			c == PERF_CYCLES ? PERF_COUNT_HW_CPU_CYCLES : PERF_COUNT_HW_INSTRUCTIONS;
		return true;
	case PERF_DTLB_MISSES:
		attr->type = PERF_TYPE_HW_CACHE;
		attr->config = PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 |
			       PERF_COUNT_HW_CACHE_RESULT_MISS << 16;
		return true;
	default:
		attr->type = PERF_TYPE_RAW;
		attr->config = c == PERF_WALK_CYCLES ? 0x1008 : 0x104f;
		if (who == MAKER_INTEL && model >= MODEL_SKYLAKE && model != MODEL_ATOM_LO)
			return true;
		snprintf(why, 80, "%s",
			 who == MAKER_AMD     ? "AMD has no event for it"
			 : who == MAKER_INTEL ? "before Skylake the event means something else"
					      : "no event known for this processor");
		return false;
	}
}

void perf_vcpu_open(struct perf_vcpu *p, int tid)
{
	memset(p, 0, sizeof(*p));
	for (unsigned int i = 0; i < NR_PERF_COUNTERS; i++) {
		struct perf_event_attr attr = {
			.size = sizeof(attr),
			.exclude_host = 1,
			.read_format =
				PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		};

		p->fd[i] = -1;
		if (!describe((enum perf_counter)i, &attr, p->why[i]))
			continue;
		p->fd[i] =
			(int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
		if (p->fd[i] < 0)
			snprintf(p->why[i], sizeof(p->why[i]), "%s%s",
				 errno == ENOENT || errno == EOPNOTSUPP ? "no PMU: " : "",
				 strerror(errno));
	}
}

void perf_vcpu_close(struct perf_vcpu *p)
{
	for (unsigned int i = 0; i < NR_PERF_COUNTERS; i++) {
		if (p->fd[i] >= 0)
			close(p->fd[i]);
		p->fd[i] = -1;
	}
}

void perf_vcpu_read(const struct perf_vcpu *p, uint64_t value[NR_PERF_COUNTERS])
{
	for (unsigned int i = 0; i < NR_PERF_COUNTERS; i++) {
		struct {
			uint64_t value, enabled, running;
		} r;

		value[i] = 0;
		if (p->fd[i] >= 0 && read(p->fd[i], &r, sizeof(r)) == sizeof(r) && r.running)
			value[i] =
				(uint64_t)((double)r.value * (double)r.enabled / (double)r.running);
	}
}
