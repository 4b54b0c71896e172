/*
 * What a run_result gets from a machine that has stopped: all counters, and the checks of guest against host.
 *
 * Two sources stand side by side. The guest's: event counters and levels in the shared window,
 * summed over CPUs here. The host's: the dirty log, the disks' request counts, KVM's binary
 * statistics, the table of exits. sampler_finish() compares what both sides count:
 *
 *   swap pages written   guest pswpout   ==  (sectors written to all disks - other pgpgout) / 8
 *   swap pages read      guest pswpin    ==  (sectors read from all disks - other pgpgin) / 8
 *
 * pgpgin and pgpgout are what the guest's block layer asked of all its disks, in KiB. What of that was
 * not swapping (the header that swapon reads, file systems, programs that open the disk itself) is
 * taken off.
 *
 * Pages the guest found to be all zeroes (swpout_zero, swpin_zero) cause no disk request and are
 * not in pswpout or pswpin; they are listed among the counters.
 *
 * The guest stops when it says so, the disk's worker may still be at its last requests: the checks
 * wait for it, up to SETTLE_NS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>
#include "devices/devices.h"
#include "kvm/kvm.h"
#include "observe/observers.h"
#include "observe/sample.h"

#define PAGE_SECTORS   8u
#define SETTLE_NS      2000000000ull
#define SETTLE_STEP_NS 2000000l

/** Two readings of the TSC, in picoseconds: the mean of many, as they come one after the other. */
static uint64_t timer_pair_ps(void)
{
	const unsigned int turns = 1000;
	uint64_t t0 = machine_now_ns(), sum = 0;

	for (unsigned int i = 0; i < turns; i++) {
		sum += __rdtsc();
		sum -= __rdtsc();
		__asm__ volatile("" : "+r"(sum));
	}
	return (machine_now_ns() - t0) * 1000 / turns;
}

/** What all this has cost. The dirty log's readings are within the samples' time. */
void sampler_add_observers(struct sampler *s, struct machine *m)
{
	struct run_observer o = {
		.name = "samples", .times = s->ticks, .ns = s->tick_ns, .has_stall = true};
	struct exit_stat exits[MACHINE_MAX_EXITS];
	unsigned int nr = machine_exit_stats(m, exits, MACHINE_MAX_EXITS);
	struct machine_dirty_cost c;
	char a[32], b[32];

	if (s->dirty)
		snprintf(o.note, sizeof(o.note), "with the log; %s to sort pages by owner",
			 format_ns(s->sort_ns, a, sizeof(a)));
	run_result_add_observer(s->result, &o);
	if (s->dirty) {
		machine_dirty_cost(m, &c);
		o = (struct run_observer){
			.name = "dirty log",
			.times = c.readings,
			.ns = c.ns + c.full_ns,
			.exits = c.full_exits,
			/* Readings hold KVM's lock, and each page faults once more: not seen
			 * from here. What a full ring costs is. */
			.stall_ns = c.full_ns,
		};
		snprintf(o.note, sizeof(o.note),
			 "%s: %s get, %s clear, %" PRIu64 " requests; %" PRIu64
			 " pages, each a fault (see mmvm bench dirty)",
			 dirty_mode_name(machine_dirty_mode(m)), format_ns(c.get_ns, a, sizeof(a)),
			 format_ns(c.clear_ns, b, sizeof(b)), c.requests, c.pages);
		run_result_add_observer(s->result, &o);
	}
	if (!s->result->has_exit_times)
		return;
	o = (struct run_observer){.name = "exit times", .has_stall = true};
	for (unsigned int i = 0; i < nr; i++)
		o.times += exits[i].count;
	o.ns = o.stall_ns = o.times * timer_pair_ps() / 1000;
	snprintf(o.note, sizeof(o.note), "two readings of the TSC an exit");
	run_result_add_observer(s->result, &o);
}

static void add_counters(struct run_result *r, const struct mmvm_shared *sh)
{
#define MMVM_COUNTER_(name, text) run_result_add_counter(r, text, sampler_event(sh, name));
	MMVM_VM_EVENTS(MMVM_COUNTER_)
#undef MMVM_COUNTER_
}

static void add_zones(struct run_result *r, const struct mmvm_shared *sh)
{
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++) {
		const struct mmvm_shared_zone *from = &sh->zone[i];
		struct run_zone z = {
			.node = from->node,
			.start_pfn = from->start_pfn,
			.spanned = from->spanned,
			.present = from->present,
			.managed = from->managed,
		};

		if (!from->name[0])
			continue;
		snprintf(z.name, sizeof(z.name), "%.*s", (int)sizeof(from->name) - 1, from->name);
		memcpy(z.wmark, from->wmark, sizeof(z.wmark));
		for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
			z.stat[item] = sampler_level(sh, i, item);
		run_result_add_zone(r, &z);
	}
}

static const char *kind_name(uint32_t type)
{
	switch (type) {
	case KVM_STATS_TYPE_CUMULATIVE:
		return "cumulative";
	case KVM_STATS_TYPE_INSTANT:
		return "instant";
	case KVM_STATS_TYPE_PEAK:
		return "peak";
	case KVM_STATS_TYPE_LINEAR_HIST:
		return "linear";
	case KVM_STATS_TYPE_LOG_HIST:
		return "log";
	default:
		return "unknown";
	}
}

static const char *unit_name(uint32_t unit)
{
	switch (unit) {
	case KVM_STATS_UNIT_NONE:
		return "none";
	case KVM_STATS_UNIT_BYTES:
		return "bytes";
	case KVM_STATS_UNIT_SECONDS:
		return "seconds";
	case KVM_STATS_UNIT_CYCLES:
		return "cycles";
	case KVM_STATS_UNIT_BOOLEAN:
		return "boolean";
	default:
		return "unknown";
	}
}

static void add_kvm_stat(const char *scope, const struct kvm_stat *stat, void *arg)
{
	struct run_kvm_stat s = {
		.base = stat->base == KVM_STATS_BASE_POW2 ? 2 : 10,
		.exponent = stat->exponent,
		.nr_values = stat->nr_values,
		/* The callee copies; the type has no const because a result owns its values. */
		.values = (uint64_t *)stat->values,
	};

	snprintf(s.name, sizeof(s.name), "%s", stat->name);
	snprintf(s.scope, sizeof(s.scope), "%s", scope);
	snprintf(s.kind, sizeof(s.kind), "%s", kind_name(stat->type));
	snprintf(s.unit, sizeof(s.unit), "%s", unit_name(stat->unit));
	run_result_add_kvm(arg, &s);
}

static void add_exits(struct run_result *r, struct machine *m)
{
	uint64_t times[MACHINE_EXIT_BUCKETS];
	struct exit_stat exits[MACHINE_MAX_EXITS];
	unsigned int nr = machine_exit_stats(m, exits, MACHINE_MAX_EXITS);

	for (unsigned int i = 0; i < nr; i++) {
		r->exit_tick_ps = machine_exit_histogram(m, exits[i].name, times);
		run_result_add_exit(r, exits[i].name, exits[i].count, exits[i].ns);
		if (r->has_exit_times)
			run_result_exit_times(r, times);
	}
}

static void add_disks(struct run_result *r, struct machine *m)
{
	struct mmvm_disk_stats stats;
	const char *role;
	uint64_t size;

	for (unsigned int i = 0; machine_disk(m, i, &role, &size); i++)
		if (machine_disk_stats(m, role, &stats))
			run_result_add_disk(r, role, size, &stats);
}

/** With `complete`: the guest has ended, and has seen every answer. */
static void add_pmem(struct run_result *r, struct machine *m, bool complete)
{
	const struct mmvm_shared *sh = machine_shared(m);
	struct machine_pmem_info info;
	struct pmem_state state;
	uint64_t flushes = 0, errors = 0;

	for (unsigned int i = 0; machine_pmem(m, i, &info) && machine_pmem_state(m, i, &state);
	     i++) {
		struct run_pmem p = {.gpa = info.gpa,
				     .size = info.size,
				     .flushes = state.flushes,
				     .errors = state.errors};

		snprintf(p.role, sizeof(p.role), "%s", info.role);
		run_result_add_pmem(r, &p);
		flushes += state.flushes;
		errors += state.errors;
	}
	if (!r->nr_pmem || !complete)
		return;
	run_result_add_check(r, "pmem flushes", sampler_event(sh, MMVM_PMEM_FLUSH), flushes,
			     "mmvm_pmem_flush, requests answered OK");
	run_result_add_check(r, "pmem flushes that failed", sampler_event(sh, MMVM_PMEM_FLUSH_FAIL),
			     errors, "mmvm_pmem_flush_fail, requests answered EIO");
}

static void add_reports(struct run_result *r, struct machine *m)
{
	const struct mmvm_record *rec;

	for (unsigned int i = 0; (rec = machine_record(m, i)); i++)
		if (rec->kind == MMVM_REC_REPORT)
			run_result_add_report(r, rec->name, rec->text, rec->text_len);
	r->records_dropped += machine_records_dropped(m);
}

/** Of the sectors that the disks moved, those of swapping, in pages: all but what the guest asked for
 * otherwise. Rounded, since the guest counts a request of an odd number of sectors up. */
static uint64_t swapped(uint64_t sectors, uint64_t paged_kib, uint64_t swapped_pages)
{
	uint64_t other = paged_kib * 2 - swapped_pages * PAGE_SECTORS;

	return sectors > other ? (sectors - other + PAGE_SECTORS / 2) / PAGE_SECTORS : 0;
}

/** Pages the disks wrote and read for the guest's swapping; false when there is no swap disk. */
static bool swap_disk_pages(struct machine *m, uint64_t *out, uint64_t *in)
{
	const struct mmvm_shared *sh = machine_shared(m);
	uint64_t written = 0, read = 0, size;
	struct mmvm_disk_stats stats;
	const char *role;

	if (!machine_disk_stats(m, "swap", &stats))
		return false;
	/* The guest counts the requests to all its disks together. */
	for (unsigned int i = 0; machine_disk(m, i, &role, &size); i++) {
		if (!machine_disk_stats(m, role, &stats))
			continue;
		written += stats.sectors_written;
		read += stats.sectors_read;
	}
	/* And those to files that are memory, which nobody sees here. */
	*out = swapped(written, sampler_event(sh, PGPGOUT) - sampler_event(sh, MMVM_PMEM_OUT),
		       sampler_event(sh, PSWPOUT));
	*in = swapped(read, sampler_event(sh, PGPGIN) - sampler_event(sh, MMVM_PMEM_IN),
		      sampler_event(sh, PSWPIN));
	return true;
}

static void add_checks(struct run_result *r, struct machine *m)
{
	const struct mmvm_shared *sh = machine_shared(m);
	uint64_t out = sampler_event(sh, PSWPOUT), in = sampler_event(sh, PSWPIN), host_out,
		 host_in;
	uint64_t until = machine_now_ns() + SETTLE_NS;

	if (!swap_disk_pages(m, &host_out, &host_in))
		return;
	while ((host_out != out || host_in != in) && machine_now_ns() < until) {
		struct timespec step = {.tv_nsec = SETTLE_STEP_NS};

		nanosleep(&step, NULL);
		swap_disk_pages(m, &host_out, &host_in);
	}
	run_result_add_check(r, "swap pages written", out, host_out,
			     "pswpout, disk sectors / 8 - other writes");
	run_result_add_check(r, "swap pages read", in, host_in,
			     "pswpin, disk sectors / 8 - other reads");
}

/** Both count pages that enter and leave; a page that moves counts as one that leaves and one that enters. */
static void add_balloon(struct run_result *r, struct machine *m, bool complete)
{
	const struct mmvm_shared *sh = machine_shared(m);
	struct balloon_state s;
	uint64_t moved = sampler_event(sh, BALLOON_MIGRATE);

	if (!machine_balloon_state(m, &s))
		return;
	r->has_balloon = true;
	r->balloon = (struct run_balloon){
		.target = s.target,
		.actual = s.actual,
		.pages = s.pages,
		.inflated = s.inflated,
		.deflated = s.deflated,
		.reported = s.reported,
		.given_back = s.given_back,
		.refused = s.refused,
	};
	if (!complete)
		return;
	run_result_add_check(r, "balloon pages in", sampler_event(sh, BALLOON_INFLATE) + moved,
			     s.inflated,
			     "balloon_inflate + balloon_migrate, frames of inflate requests");
	run_result_add_check(r, "balloon pages out", sampler_event(sh, BALLOON_DEFLATE) + moved,
			     s.deflated,
			     "balloon_deflate + balloon_migrate, frames of deflate requests");
}

static bool is_ram(const struct guest_ram *ram, uint64_t from)
{
	for (unsigned int i = 0; i < ram->nr; i++)
		if (from - (uint64_t)ram->region[i].hva < ram->region[i].size)
			return true;
	return false;
}

/** Memory of this process that is not guest RAM: PSS summed over its other mappings. */
static uint64_t vmm_memory(const struct guest_ram *ram_of)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	uint64_t sum = 0, kb, from, to;
	char line[512];
	bool ram = false;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
			ram = is_ram(ram_of, from);
		else if (!ram && sscanf(line, "Pss: %" SCNu64 " kB", &kb) == 1)
			sum += kb << 10;
	}
	fclose(f);
	return sum;
}

void sampler_finish(struct sampler *s, struct machine *m, const struct machine_outcome *out)
{
	const struct mmvm_shared *sh = machine_shared(m);
	struct run_result *r = s->result;
	bool complete;

	r->wall_ns = machine_now_ns() - s->begin_ns;
	r->outcome = *out;
	sampler_tick(s, m);
	snprintf(r->backend, sizeof(r->backend), "%s", machine_backend(m));
	r->quirks = machine_quirks(m);
	r->tsc_hz = machine_tsc_hz(m);
	r->first_run_ns = machine_start_ns(m);
	r->boot_ticks = sh->boot_ticks;
	r->totalram_pages = sh->totalram;
	r->swap_total = sh->swap_total;
	r->swap_free = sh->swap_free;
	r->vmm_bytes = vmm_memory(machine_ram(m));
	r->guest_ram_resident = machine_ram_resident(m);
	for (unsigned int n = 0; n < s->nr_nodes; n++)
		run_result_add_node(r, &(struct run_node){.memory = s->node[n].memory,
							  .cpus = s->node[n].cpus,
							  .host_node = machine_host_node(m, n)});
	r->has_dirty = s->dirty;
	r->has_exit_times = machine_exits_timed(m);
	if (s->dirty)
		snprintf(r->dirty_mode, sizeof(r->dirty_mode), "%s",
			 dirty_mode_name(machine_dirty_mode(m)));
	r->dirty_pages_distinct = s->dirty_pages;
	/* A machine that was cut off may have counted a page and not written it yet. */
	complete = out->kind == OUTCOME_EXITED && !machine_runs_linux(m);
	if (complete)
		add_checks(r, m);
	add_balloon(r, m, complete);
	if (!machine_runs_linux(m))
		add_counters(r, sh);
	add_zones(r, sh);
	add_disks(r, m);
	add_pmem(r, m, complete);
	machine_kvm_stats(m, add_kvm_stat, r);
	add_exits(r, m);
	add_reports(r, m);
}
