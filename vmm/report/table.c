/*
 * A run_result for people: at most 100 columns, numbers right-aligned, the guest's counts beside the
 * host's, and no empty sections. The first lines say what ran where, the middle whether both sides agree,
 * and the last what it cost and found.
 *
 * Strings that came from the guest are printed with control characters replaced: a guest must not
 * drive the terminal.
 */
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WIDTH 100

struct out {
	FILE *f;
	const struct report_options *opt;
};

static void colour(const struct out *o, const char *code)
{
	if (o->opt->colour)
		fprintf(o->f, "\033[%sm", code);
}

static void heading(const struct out *o, const char *text)
{
	putc('\n', o->f);
	colour(o, "1");
	fputs(text, o->f);
	colour(o, "0");
	putc('\n', o->f);
}

static void table_config(const struct out *o, const struct run_result *r)
{
	char low[32], high[32], vmm[32], ram[32], t[32];

	heading(o, "machine");
	fprintf(o->f, "  backend        %s, accel %s", r->backend, r->accel);
	if (r->accel_why[0]) {
		fputs(" (", o->f);
		put_safe(o->f, r->accel_why, sizeof(r->accel_why));
		putc(')', o->f);
	}
	fprintf(o->f, "\n  host           %s\n", r->host_kernel);
	fprintf(o->f, "  RAM            %s", format_bytes(r->ram_low, low, sizeof(low)));
	if (r->ram_high)
		fprintf(o->f, " + %s above 4 GiB", format_bytes(r->ram_high, high, sizeof(high)));
	if (r->nr_nodes > 1)
		fprintf(o->f, " in %u nodes", r->nr_nodes);
	if (r->backing[0] && strcmp(r->backing, "thp") != 0)
		fprintf(o->f, ", backing %s", r->backing);
	fprintf(o->f, ", %u CPU%s, seed %" PRIu64 "\n", r->cpus, r->cpus == 1 ? "" : "s", r->seed);
	fprintf(o->f, "  VMM memory     %s beside guest RAM",
		format_bytes(r->vmm_bytes, vmm, sizeof(vmm)));
	if (r->guest_ram_resident)
		fprintf(o->f, " (%s of it resident)",
			format_bytes(r->guest_ram_resident, ram, sizeof(ram)));
	putc('\n', o->f);
	if (r->has_balloon)
		fprintf(o->f, "  balloon        %s of %s wanted; the host has taken back %s%s\n",
			format_bytes(r->balloon.pages << MMVM_PAGE_SHIFT, vmm, sizeof(vmm)),
			format_bytes(r->balloon.target << MMVM_PAGE_SHIFT, ram, sizeof(ram)),
			format_bytes(r->balloon.given_back << MMVM_PAGE_SHIFT, t, sizeof(t)),
			r->balloon.refused ? " (and could not always)" : "");
	for (unsigned int i = 0; i < r->nr_pmem; i++) {
		const struct run_pmem *p = &r->pmem[i];

		fprintf(o->f,
			"  %-14s %s at 0x%" PRIx64 ", %" PRIu64 " flushes, %" PRIu64 " errors\n",
			p->role, format_bytes(p->size, ram, sizeof(ram)), p->gpa, p->flushes,
			p->errors);
	}
	fprintf(o->f, "  start          %s from process start to the first guest instruction\n",
		format_ns(r->first_run_ns, t, sizeof(t)));
	if (r->boot_ticks && r->tsc_hz) {
		double ns = (double)r->boot_ticks * 1e9 / (double)r->tsc_hz;

		fprintf(o->f, "  boot           %s in the guest\n",
			format_ns((uint64_t)ns, t, sizeof(t)));
	}
	fprintf(o->f, "  ran            %s\n", format_ns(r->wall_ns, t, sizeof(t)));
}

static void table_checks(const struct out *o, const struct run_result *r)
{
	char a[32], b[32];

	if (!r->nr_checks)
		return;
	heading(o, "guest truth beside host observation");
	fprintf(o->f, "  %-26s %15s %15s\n", "", "guest", "host");
	for (unsigned int i = 0; i < r->nr_checks; i++) {
		const struct run_check *c = &r->checks[i];

		fprintf(o->f, "  %-26s %15s %15s  ", c->name, format_count(c->guest, a, sizeof(a)),
			format_count(c->host, b, sizeof(b)));
		colour(o, c->equal ? "32" : "1;31");
		fputs(c->equal ? "equal " : "DIFFER", o->f);
		colour(o, "0");
		fputs("  ", o->f);
		put_safe(o->f, c->note, WIDTH - 69);
		putc('\n', o->f);
	}
}

/** The most important counters, in the order of a page's life. */
static void table_faults(const struct out *o, const struct run_result *r)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{"pgfault", "page faults, all"},
		{"pgmajfault", "  major (read from disk)"},
		{"mmvm_fault_anon", "  demand zero"},
		{"mmvm_fault_zero", "  shared zero page"},
		{"mmvm_fault_cow", "  copy on write"},
		{"mmvm_fault_swap", "  swap in"},
		{"mmvm_fault_spurious", "  spurious"},
		{"pswpout", "pages swapped out"},
		{"pswpin", "pages swapped in"},
		{"mmvm_swap_drop_clean", "clean pages dropped, no write"},
		{"pgscan_kswapd", "scanned by kswapd"},
		{"pgsteal_kswapd", "reclaimed by kswapd"},
		{"pgscan_direct", "scanned by direct reclaim"},
		{"pgsteal_direct", "reclaimed by direct reclaim"},
		{"oom_kill", "killed, out of memory"},
	};
	char n[32];

	heading(o, "guest counters");
	if (!r->nr_counters) {
		fputs("  none: this guest keeps no statistics page for the host\n", o->f);
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool found;
		uint64_t value = run_result_counter(r, rows[i].name, &found);

		if (found && (value || rows[i].text[0] != ' '))
			fprintf(o->f, "  %-34s %15s\n", rows[i].text,
				format_count(value, n, sizeof(n)));
	}
	if (!o->opt->verbose)
		return;
	for (unsigned int i = 0; i < r->nr_counters; i++)
		if (r->counters[i].value)
			fprintf(o->f, "    %-32s %15s\n", r->counters[i].name,
				format_count(r->counters[i].value, n, sizeof(n)));
}

static void table_zones(const struct out *o, const struct run_result *r)
{
	if (!r->nr_zones)
		return;
	heading(o, "zones at the end, pages");
	fprintf(o->f, "  %-10s %4s %9s %9s %9s %17s %9s %9s %9s\n", "", "node", "managed", "free",
		"anon", "min/low/high", "slab", "tables", "file");
	for (unsigned int i = 0; i < r->nr_zones; i++) {
		const struct run_zone *z = &r->zones[i];
		char marks[64];

		snprintf(marks, sizeof(marks), "%" PRIu64 "/%" PRIu64 "/%" PRIu64, z->wmark[0],
			 z->wmark[1], z->wmark[2]);
		fputs("  ", o->f);
		put_safe(o->f, z->name, sizeof(z->name));
		fprintf(o->f,
			"%*s %4u %9" PRIu64 " %9" PRId64 " %9" PRId64 " %17s %9" PRId64 " %9" PRId64
			" %9" PRId64 "\n",
			(int)(10 - strnlen(z->name, 10)), "", z->node, z->managed,
			z->stat[NR_FREE_PAGES],
			(int64_t)((uint64_t)z->stat[NR_INACTIVE_ANON] +
				  (uint64_t)z->stat[NR_ACTIVE_ANON]),
			marks,
			(int64_t)((uint64_t)z->stat[NR_SLAB_RECLAIMABLE] +
				  (uint64_t)z->stat[NR_SLAB_UNRECLAIMABLE]),
			z->stat[NR_PAGETABLE], z->stat[NR_FILE_PAGES]);
	}
}

/** The owners of the pages written, summed over the samples for which they are known. */
static void table_dirty_owners(const struct out *o, const struct run_result *r)
{
#define TYPE_NAME_(name, text) text,
	static const char *const names[] = {MMVM_PAGE_TYPES(TYPE_NAME_)};
#undef TYPE_NAME_
	uint64_t owner[NR_PAGE_TYPES] = {0}, zone[MMVM_MAX_ZONES] = {0}, sum = 0;
	char a[32];

	for (unsigned int i = 0; i < r->nr_samples; i++) {
		const struct run_sample *s = &r->samples[i];

		for (unsigned int t = 0; s->has_owner && t < NR_PAGE_TYPES; t++) {
			owner[t] += s->dirty_owner[t];
			sum += s->dirty_owner[t];
		}
		for (unsigned int z = 0; s->has_owner && z < s->nr_zones; z++)
			zone[z] += s->dirty_zone[z];
	}
	if (!sum)
		return;
	fputs("    by owner     ", o->f);
	for (unsigned int t = 0, n = 0; t < NR_PAGE_TYPES; t++)
		if (owner[t])
			fprintf(o->f, "%s%s %s", n++ ? ", " : "", names[t],
				format_count(owner[t], a, sizeof(a)));
	fputs("\n    by zone      ", o->f);
	for (unsigned int z = 0, n = 0; z < r->nr_zones; z++) {
		if (!zone[z])
			continue;
		fputs(n++ ? ", " : "", o->f);
		put_safe(o->f, r->zones[z].name, sizeof(r->zones[z].name));
		fprintf(o->f, " %s", format_count(zone[z], a, sizeof(a)));
	}
	putc('\n', o->f);
}

/** What each observer cost, and what it saw. */
static void table_observers(const struct out *o, const struct run_result *r)
{
	char a[32], b[32], c[32];

	if (!r->nr_observers)
		return;
	heading(o, "observers: their own cost");
	fprintf(o->f, "  %-20s %9s %12s %10s %12s  %s\n", "", "times", "time", "exits",
		"guest stall", "");
	for (unsigned int i = 0; i < r->nr_observers; i++) {
		const struct run_observer *ob = &r->observers[i];

		fprintf(o->f, "  %-20s %9" PRIu64 " %12s %10s %12s  %s\n", ob->name, ob->times,
			format_ns(ob->ns, a, sizeof(a)), format_count(ob->exits, b, sizeof(b)),
			ob->has_stall ? format_ns(ob->stall_ns, c, sizeof(c)) : "not known",
			ob->note);
	}
}

/* The group of each page. The groups and the uncharged pages add up to the machine. */
static void table_memcg(const struct out *o, const struct run_result *r)
{
	char a[32], b[32], c[32], d[32];

	fprintf(o->f, "  memory cgroups %s: %s pages charged + %s not",
		format_count(r->memcg_groups, d, sizeof(d)),
		format_count(r->memcg_charged, a, sizeof(a)),
		format_count(r->memcg_uncharged, b, sizeof(b)));
	fprintf(o->f, " + %s free = %s\n", format_count(r->memcg_free, a, sizeof(a)),
		format_count(r->memcg_charged + r->memcg_uncharged + r->memcg_free, c, sizeof(c)));
}

static void table_host(const struct out *o, const struct run_result *r)
{
	char a[32], b[32], c[32];
	bool any = false;

	if (r->has_dirty || r->nr_disks || r->has_audit || r->audit_missing[0]) {
		heading(o, "host");
		if (r->has_dirty)
			fprintf(o->f, "  dirty log      %s pages found dirty, %s distinct\n",
				format_count(r->dirty_pages_total, a, sizeof(a)),
				format_count(r->dirty_pages_distinct, b, sizeof(b)));
		if (r->has_dirty)
			table_dirty_owners(o, r);
		for (unsigned int i = 0; i < r->nr_reasons; i++)
			fprintf(o->f, "    beside what the program wrote: %-20s %12s\n",
				r->reasons[i].name,
				format_count(r->reasons[i].value, a, sizeof(a)));
		for (unsigned int i = 0; i < r->nr_disks; i++) {
			const struct run_disk *d = &r->disks[i];

			fprintf(o->f, "  disk %-9s %s: %s reads", d->role,
				format_bytes(d->size, c, sizeof(c)),
				format_count(d->stats.reads, a, sizeof(a)));
			fprintf(o->f, " (%s),",
				format_bytes(d->stats.sectors_read << 9, a, sizeof(a)));
			fprintf(o->f, " %s writes", format_count(d->stats.writes, a, sizeof(a)));
			fprintf(o->f, " (%s)",
				format_bytes(d->stats.sectors_written << 9, a, sizeof(a)));
			if (d->stats.errors)
				fprintf(o->f, ", %s errors",
					format_count(d->stats.errors, a, sizeof(a)));
			putc('\n', o->f);
		}
		if (r->guest_errors)
			fprintf(o->f, "  devices        the guest broke their rules %s times\n",
				format_count(r->guest_errors, a, sizeof(a)));
		if (r->has_audit)
			fprintf(o->f, "  audit          %s finding%s\n",
				format_count(r->audit_findings, a, sizeof(a)),
				r->audit_findings == 1 ? "" : "s");
		else if (r->audit_missing[0])
			fprintf(o->f, "  audit          none: %s\n", r->audit_missing);
		if (r->has_memcg)
			table_memcg(o, r);
	}

	/* Statistics about memory are always printed, the others with --verbose. */
	for (unsigned int i = 0; i < r->nr_kvm; i++) {
		const struct run_kvm_stat *s = &r->kvm[i];
		bool about_pages = strstr(s->name, "pages_") || strstr(s->name, "pf_") ||
				   strstr(s->name, "tlb") || strstr(s->name, "mmu_");

		if (s->nr_values != 1 || (!o->opt->verbose && (!about_pages || !s->values[0])))
			continue;
		if (!any)
			heading(o, "KVM statistics");
		any = true;
		fprintf(o->f, "  %-34s %15s  %s%s%s\n", s->name,
			format_count(s->values[0], a, sizeof(a)), s->scope,
			strcmp(s->unit, "none") ? ", " : "",
			strcmp(s->unit, "none") ? s->unit : "");
	}

	if (!r->nr_exits)
		return;
	heading(o, "exits to the VMM");
	fprintf(o->f, "  %-20s %12s %14s %12s\n", "reason", "count", "time", "each");
	for (unsigned int i = 0; i < r->nr_exits; i++) {
		const struct run_exit *e = &r->exits[i];

		if (e->count)
			fprintf(o->f, "  %-20s %12s %14s %12s\n", e->name,
				format_count(e->count, a, sizeof(a)),
				r->has_exit_times ? format_ns(e->ns, b, sizeof(b)) : "not timed",
				r->has_exit_times ? format_ns(e->ns / e->count, c, sizeof(c)) : "");
	}
}

/* Lines to print; the JSON has all places. */
#define TABLE_PLACES 16

static void table_places(const struct out *o, const struct run_result *r)
{
	char a[32], b[32], where[64];

	if (!r->has_exit_places)
		return;
	heading(o, "exits by place");
	fprintf(o->f, "  %-14s %-28s %-28s %9s %12s\n", "reason", "address", "guest function",
		"count", "time");
	for (unsigned int i = 0; i < r->nr_places && i < TABLE_PLACES; i++) {
		const struct run_exit_place *p = &r->places[i];

		where[0] = 0;
		if (p->addr)
			snprintf(where, sizeof(where), "%#" PRIx64 " %s", p->addr, p->device);
		fprintf(o->f, "  %-14s %-28s %-28s %9s %12s\n", p->reason, where, p->function,
			format_count(p->count, a, sizeof(a)), format_ns(p->ns, b, sizeof(b)));
	}
	if (r->nr_places > TABLE_PLACES)
		fprintf(o->f, "  %u more in the JSON file\n", r->nr_places - TABLE_PLACES);
	if (r->exits_unplaced)
		fprintf(o->f, "  %s exits found no room in the table\n",
			format_count(r->exits_unplaced, a, sizeof(a)));
}

static void table_outcome(const struct out *o, const struct run_result *r)
{
	bool good = r->exit_status == MMVM_EXIT_OK;

	heading(o, "outcome");
	fputs("  ", o->f);
	colour(o, good ? "32" : "1;31");
	switch (r->outcome.kind) {
	case OUTCOME_EXITED:
		fprintf(o->f, "the guest exited with status %d", r->outcome.status);
		break;
	case OUTCOME_CRASHED:
		fputs("the guest crashed", o->f);
		break;
	case OUTCOME_TIMEOUT:
		fprintf(o->f, "time limit of %u s reached", r->timeout_s);
		break;
	case OUTCOME_STOPPED:
		fputs("stopped by a signal", o->f);
		break;
	case OUTCOME_HOST_ERROR:
		fputs("the host could not go on", o->f);
		break;
	}
	colour(o, "0");
	if (r->outcome.text[0] && r->outcome.kind != OUTCOME_STOPPED) {
		fputs(": ", o->f);
		put_safe(o->f, r->outcome.text, sizeof(r->outcome.text));
	}
	putc('\n', o->f);
	for (unsigned int i = 0; i < r->nr_checks; i++)
		if (!r->checks[i].equal)
			fprintf(o->f, "  check failed: %s: guest %" PRIu64 ", host %" PRIu64 "\n",
				r->checks[i].name, r->checks[i].guest, r->checks[i].host);
	if (r->no_memory)
		fputs("  the host ran out of memory for this report: it is incomplete\n", o->f);
}

int report_table(FILE *f, const struct run_result *r, const struct report_options *opt)
{
	const struct out o = {.f = f, .opt = opt};

	table_config(&o, r);
	table_checks(&o, r);
	table_faults(&o, r);
	table_zones(&o, r);
	table_host(&o, r);
	if (r->nr_access) {
		heading(&o, "accessed memory");
		report_table_access(f, r);
	}
	table_observers(&o, r);
	if (opt->verbose) {
		for (unsigned int i = 0; i < r->nr_reports; i++) {
			heading(&o, r->reports[i].name);
			put_lines(f, "  ", r->reports[i].text);
		}
	}
	table_places(&o, r);
	table_outcome(&o, r);
	return ferror(f) ? -EIO : 0;
}
