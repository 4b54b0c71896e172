/*
 * A run_result for programs: JSON (everything) and CSV (the timeline). Numbers are integers in the
 * unit their key names (ns, bytes, pages); what was not measured is null, never 0.
 *
 * Accesses, one element a method (mmvm run --access):
 *
 *   "access": [{"method": "guest",   "why_not": null, or why it does not work here
 *     "has_pages": true              false: only numbers of pages; then window has one, heat none
 *     "times", "ns", "guest_ticks"   samples; what they cost the VMM and the guest (TSC)
 *     "pages_total", "points_dropped"
 *     "window_samples": [1, 4, 16, 0]    working sets: of so many samples; 0: since the start
 *     "points": [{"t_ns", "window": [pages ...], "heat": [pages ...]}]   heat: config.heat_pages
 *                                    frames each, RAM from 4 GiB on behind the rest
 *     "score": null, or {...}}]      held against a program's own word (RUN_ACCESS_SCORE)
 *
 * Exits have log2_ticks: how many took from 2^i ticks on, of exit_tick_ps picoseconds each.
 */
#include "result/result.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "result/json.h"

#define LEVEL_NAME_(name, text) text,
static const char *const level_names[] = {MMVM_ZONE_STATS(LEVEL_NAME_)};
#undef LEVEL_NAME_

#define TYPE_NAME_(name, text) text,
static const char *const type_names[] = {MMVM_PAGE_TYPES(TYPE_NAME_)};
#undef TYPE_NAME_

static void emit_config(struct json *j, const struct run_result *r)
{
	json_object(j, "config");
	json_string(j, "kernel", r->kernel_path);
	json_u64(j, "ram_low_bytes", r->ram_low);
	json_u64(j, "ram_high_bytes", r->ram_high);
	json_u64(j, "cpus", r->cpus);
	json_u64(j, "seed", r->seed);
	json_u64(j, "timeout_s", r->timeout_s);
	json_u64(j, "heat_pages", r->heat_pages);
	json_end_object(j);

	json_object(j, "host");
	json_string(j, "backend", r->backend);
	json_string(j, "accel", r->accel);
	json_string(j, "accel_why", r->accel_why);
	json_u64(j, "quirks", r->quirks);
	json_string(j, "kernel", r->host_kernel);
	if (r->tsc_hz)
		json_u64(j, "tsc_hz", r->tsc_hz);
	else
		json_null(j, "tsc_hz");
	json_end_object(j);
}

static void emit_outcome(struct json *j, const struct run_result *r)
{
	const struct mmvm_crash *c = &r->outcome.crash;

	json_object(j, "outcome");
	json_string(j, "kind", outcome_name(r->outcome.kind));
	json_i64(j, "guest_status", r->outcome.status);
	json_i64(j, "exit_status", r->exit_status);
	json_string(j, "text", r->outcome.text);
	if (r->outcome.has_crash) {
		const struct {
			const char *name;
			uint64_t value;
		} regs[] = {
			{"vector", c->vector}, {"error", c->error}, {"cr2", c->cr2},
			{"cr3", c->cr3},       {"rax", c->rax},	    {"rbx", c->rbx},
			{"rcx", c->rcx},       {"rdx", c->rdx},	    {"rsi", c->rsi},
			{"rdi", c->rdi},       {"rbp", c->rbp},	    {"rsp", c->rsp},
			{"r8", c->r8},	       {"r9", c->r9},	    {"r10", c->r10},
			{"r11", c->r11},       {"r12", c->r12},	    {"r13", c->r13},
			{"r14", c->r14},       {"r15", c->r15},	    {"rip", c->rip},
			{"rflags", c->rflags}, {"cs", c->cs},	    {"ss", c->ss},
		};

		json_object(j, "crash");
		for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
			json_u64(j, regs[i].name, regs[i].value);
		json_end_object(j);
	} else {
		json_null(j, "crash");
	}
	json_end_object(j);

	json_object(j, "time");
	json_u64(j, "started_unix_ns", r->started_unix_ns);
	json_u64(j, "wall_ns", r->wall_ns);
	json_u64(j, "first_run_ns", r->first_run_ns);
	json_u64(j, "boot_ticks", r->boot_ticks);
	json_end_object(j);

	json_object(j, "memory");
	json_u64(j, "vmm_bytes", r->vmm_bytes);
	json_u64(j, "guest_ram_resident_bytes", r->guest_ram_resident);
	json_u64(j, "totalram_pages", r->totalram_pages);
	json_u64(j, "swap_total_pages", r->swap_total);
	json_u64(j, "swap_free_pages", r->swap_free);
	json_end_object(j);
}

static void emit_guest(struct json *j, const struct run_result *r)
{
	json_object(j, "guest_counters");
	for (unsigned int i = 0; i < r->nr_counters; i++)
		json_u64(j, r->counters[i].name, r->counters[i].value);
	json_end_object(j);

	json_array(j, "zones");
	for (unsigned int i = 0; i < r->nr_zones; i++) {
		const struct run_zone *z = &r->zones[i];

		json_object(j, NULL);
		json_string(j, "name", z->name);
		json_u64(j, "node", z->node);
		json_u64(j, "start_pfn", z->start_pfn);
		json_u64(j, "spanned", z->spanned);
		json_u64(j, "present", z->present);
		json_u64(j, "managed", z->managed);
		json_u64(j, "wmark_min", z->wmark[0]);
		json_u64(j, "wmark_low", z->wmark[1]);
		json_u64(j, "wmark_high", z->wmark[2]);
		json_object(j, "levels");
		for (unsigned int s = 0; s < NR_ZONE_STAT_ITEMS; s++)
			json_i64(j, level_names[s], z->stat[s]);
		json_end_object(j);
		json_end_object(j);
	}
	json_end_array(j);
}

static void emit_access_score(struct json *j, const struct run_access_score *s)
{
	if (!s->rounds && !s->phases) {
		json_null(j, "score");
		return;
	}
	json_object(j, "score");
#define EMIT_(field) json_u64(j, #field, s->field);
	RUN_ACCESS_SCORE(EMIT_)
#undef EMIT_
	json_end_object(j);
}

static void emit_access(struct json *j, const struct run_result *r)
{
	json_array(j, "access");
	for (unsigned int i = 0; i < r->nr_access; i++) {
		const struct run_access *a = &r->access[i];

		json_object(j, NULL);
		json_string(j, "method", a->method);
		if (a->why[0])
			json_string(j, "why_not", a->why);
		else
			json_null(j, "why_not");
		json_bool(j, "has_pages", a->has_pages);
		json_u64(j, "times", a->times);
		json_u64(j, "ns", a->ns);
		json_u64(j, "guest_ticks", a->guest_ticks);
		json_u64(j, "pages_total", a->pages_total);
		json_u64(j, "points_dropped", a->dropped);
		json_array(j, "window_samples");
		for (unsigned int w = 0; w < RUN_ACCESS_WINDOWS; w++)
			json_u64(j, NULL, run_access_window[w]);
		json_end_array(j);
		json_array(j, "points");
		for (unsigned int p = 0; p < a->nr_points; p++) {
			json_object(j, NULL);
			json_u64(j, "t_ns", a->points[p].t_ns);
			json_array(j, "window");
			for (unsigned int w = 0; w < (a->has_pages ? RUN_ACCESS_WINDOWS : 1); w++)
				json_u64(j, NULL, a->points[p].window[w]);
			json_end_array(j);
			json_array(j, "heat");
			for (unsigned int b = 0; a->has_pages && b < RUN_HEAT_BUCKETS; b++)
				json_u64(j, NULL, a->points[p].heat[b]);
			json_end_array(j);
			json_end_object(j);
		}
		json_end_array(j);
		emit_access_score(j, &a->score);
		json_end_object(j);
	}
	json_end_array(j);
}

static void emit_host(struct json *j, const struct run_result *r)
{
	if (r->has_dirty) {
		json_object(j, "dirty");
		json_u64(j, "pages_total", r->dirty_pages_total);
		json_u64(j, "pages_distinct", r->dirty_pages_distinct);
		json_u64(j, "heat_pages", r->heat_pages);
		json_string(j, "mode", r->dirty_mode);
		json_object(j, "reasons");
		for (unsigned int i = 0; i < r->nr_reasons; i++)
			json_u64(j, r->reasons[i].name, r->reasons[i].value);
		json_end_object(j);
		json_end_object(j);
	} else {
		json_null(j, "dirty");
	}
	if (r->has_audit)
		json_u64(j, "audit_findings", r->audit_findings);
	else
		json_null(j, "audit_findings");
	json_u64(j, "records_dropped", r->records_dropped);

	json_array(j, "disks");
	for (unsigned int i = 0; i < r->nr_disks; i++) {
		const struct run_disk *d = &r->disks[i];

		json_object(j, NULL);
		json_string(j, "role", d->role);
		json_u64(j, "size_bytes", d->size);
		json_u64(j, "reads", d->stats.reads);
		json_u64(j, "writes", d->stats.writes);
		json_u64(j, "flushes", d->stats.flushes);
		json_u64(j, "discards", d->stats.discards);
		json_u64(j, "errors", d->stats.errors);
		json_u64(j, "sectors_read", d->stats.sectors_read);
		json_u64(j, "sectors_written", d->stats.sectors_written);
		json_end_object(j);
	}
	json_end_array(j);

	json_array(j, "kvm");
	for (unsigned int i = 0; i < r->nr_kvm; i++) {
		const struct run_kvm_stat *s = &r->kvm[i];

		json_object(j, NULL);
		json_string(j, "scope", s->scope);
		json_string(j, "name", s->name);
		json_string(j, "kind", s->kind);
		json_string(j, "unit", s->unit);
		json_i64(j, "base", s->base);
		json_i64(j, "exponent", s->exponent);
		if (s->nr_values == 1) {
			json_u64(j, "value", s->values[0]);
		} else {
			json_array(j, "values");
			for (unsigned int v = 0; v < s->nr_values; v++)
				json_u64(j, NULL, s->values[v]);
			json_end_array(j);
		}
		json_end_object(j);
	}
	json_end_array(j);

	json_u64(j, "exit_tick_ps", r->exit_tick_ps);
	json_array(j, "exits");
	for (unsigned int i = 0; i < r->nr_exits; i++) {
		json_object(j, NULL);
		json_string(j, "reason", r->exits[i].name);
		json_u64(j, "count", r->exits[i].count);
		if (r->has_exit_times)
			json_u64(j, "ns", r->exits[i].ns);
		else
			json_null(j, "ns");
		json_array(j, "log2_ticks");
		for (unsigned int b = 0; r->has_exit_times && b < RUN_EXIT_BUCKETS; b++)
			json_u64(j, NULL, r->exits[i].log2_ticks[b]);
		json_end_array(j);
		json_end_object(j);
	}
	json_end_array(j);

	if (r->has_exit_places) {
		json_array(j, "exit_places");
		for (unsigned int p = 0; p < r->nr_places; p++) {
			json_object(j, NULL);
			json_string(j, "reason", r->places[p].reason);
			json_u64(j, "address", r->places[p].addr);
			json_string(j, "device", r->places[p].device);
			json_string(j, "function", r->places[p].function);
			json_u64(j, "count", r->places[p].count);
			json_u64(j, "ns", r->places[p].ns);
			json_end_object(j);
		}
		json_end_array(j);
		json_u64(j, "exits_placed", r->exits_placed);
		json_u64(j, "exits_unplaced", r->exits_unplaced);
	}

	emit_access(j, r);
	json_array(j, "observers");
	for (unsigned int i = 0; i < r->nr_observers; i++) {
		const struct run_observer *o = &r->observers[i];

		json_object(j, NULL);
		json_string(j, "name", o->name);
		json_u64(j, "times", o->times);
		json_u64(j, "ns", o->ns);
		json_u64(j, "exits", o->exits);
		if (o->has_stall)
			json_u64(j, "guest_stall_ns", o->stall_ns);
		else
			json_null(j, "guest_stall_ns");
		json_string(j, "note", o->note);
		json_end_object(j);
	}
	json_end_array(j);
}

/** Only what is not 0: most owners write nothing most of the time. */
static void emit_owners(struct json *j, const struct run_sample *s)
{
	json_object(j, "dirty_owner");
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		if (s->dirty_owner[t])
			json_u64(j, type_names[t], s->dirty_owner[t]);
	json_end_object(j);
	json_array(j, "dirty_zone");
	for (unsigned int z = 0; z < s->nr_zones; z++)
		json_u64(j, NULL, s->dirty_zone[z]);
	json_end_array(j);
	json_array(j, "dirty_region");
	json_u64(j, NULL, s->dirty_region[0]);
	json_u64(j, NULL, s->dirty_region[1]);
	json_end_array(j);
}

static void emit_samples(struct json *j, const struct run_result *r)
{
	json_array(j, "samples");
	for (unsigned int i = 0; i < r->nr_samples; i++) {
		const struct run_sample *s = &r->samples[i];

		json_object(j, NULL);
		json_u64(j, "t_ns", s->t_ns);
		json_u64(j, "dirty", s->dirty);
		json_u64(j, "pswpin", s->pswpin);
		json_u64(j, "pswpout", s->pswpout);
		json_u64(j, "pgfault", s->pgfault);
		json_u64(j, "pgmajfault", s->pgmajfault);
		json_u64(j, "progress_done", s->progress_done);
		json_u64(j, "progress_total", s->progress_total);
		json_u64(j, "free_pages", s->free_pages);
		json_u64(j, "swap_free", s->swap_free);
		json_u64(j, "exits", s->exits);
		if (s->has_kvm) {
			json_object(j, "kvm");
			json_u64(j, "pages_4k", s->mapped[0]);
			json_u64(j, "pages_2m", s->mapped[1]);
			json_u64(j, "pages_1g", s->mapped[2]);
			json_u64(j, "pf_taken", s->pf_taken);
			json_end_object(j);
		} else {
			json_null(j, "kvm");
		}
		json_array(j, "zone_free");
		for (unsigned int z = 0; z < s->nr_zones; z++)
			json_i64(j, NULL, s->zone_free[z]);
		json_end_array(j);
		json_object(j, "levels");
		for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
			json_i64(j, level_names[item], s->level[item]);
		json_end_object(j);
		if (r->has_dirty)
			json_u64(j, "dirty_distinct", s->dirty_distinct);
		if (s->has_owner)
			emit_owners(j, s);
		if (r->has_dirty && r->heat_pages) {
			json_array(j, "heat");
			for (unsigned int b = 0; b < RUN_HEAT_BUCKETS; b++)
				json_u64(j, NULL, s->heat[b]);
			json_end_array(j);
		}
		json_end_object(j);
	}
	json_end_array(j);
}

int report_json(FILE *f, const struct run_result *r)
{
	struct json j;

	json_init(&j, f, true);
	json_object(&j, NULL);
	json_u64(&j, "schema", RUN_RESULT_SCHEMA);
	json_u64(&j, "contract", MMVM_CONTRACT_VERSION);
	json_string(&j, "command", r->command);
	json_bool(&j, "complete", !r->no_memory);
	emit_config(&j, r);
	emit_outcome(&j, r);
	json_array(&j, "checks");
	for (unsigned int i = 0; i < r->nr_checks; i++) {
		const struct run_check *c = &r->checks[i];

		json_object(&j, NULL);
		json_string(&j, "name", c->name);
		json_u64(&j, "guest", c->guest);
		json_u64(&j, "host", c->host);
		json_bool(&j, "equal", c->equal);
		json_string(&j, "note", c->note);
		json_end_object(&j);
	}
	json_end_array(&j);
	emit_guest(&j, r);
	emit_host(&j, r);
	emit_samples(&j, r);
	json_object(&j, "reports");
	for (unsigned int i = 0; i < r->nr_reports; i++)
		json_string(&j, r->reports[i].name, r->reports[i].text);
	json_end_object(&j);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

int report_csv(FILE *f, const struct run_result *r)
{
	fputs("t_ns,dirty,pswpin,pswpout,pgfault,pgmajfault,progress_done,progress_total,"
	      "free_pages,swap_free,exits",
	      f);
	for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
		fprintf(f, ",%s", level_names[item]);
	for (unsigned int z = 0; z < r->nr_zones; z++) {
		/* The guest chose the name: letters, digits and - only, so that a column is one
		 * column. */
		char name[sizeof(r->zones[z].name)];
		size_t n = 0;

		for (; n < sizeof(name) - 1 && r->zones[z].name[n]; n++) {
			char c = r->zones[z].name[n];
			bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
				     (c >= 'a' && c <= 'z') || c == '-';

			name[n] = plain ? c : '_';
		}
		name[n] = '\0';
		fprintf(f, ",free_%u_%s", r->zones[z].node, name);
	}
	putc('\n', f);
	for (unsigned int i = 0; i < r->nr_samples; i++) {
		const struct run_sample *s = &r->samples[i];
		const uint64_t cols[] = {s->t_ns,	   s->dirty,	      s->pswpin,
					 s->pswpout,	   s->pgfault,	      s->pgmajfault,
					 s->progress_done, s->progress_total, s->free_pages,
					 s->swap_free,	   s->exits};

		for (size_t c = 0; c < sizeof(cols) / sizeof(cols[0]); c++)
			fprintf(f, "%s%" PRIu64, c ? "," : "", cols[c]);
		for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
			fprintf(f, ",%" PRId64, s->level[item]);
		for (unsigned int z = 0; z < r->nr_zones; z++) {
			if (z < s->nr_zones)
				fprintf(f, ",%" PRId64, s->zone_free[z]);
			else
				putc(',', f);
		}
		putc('\n', f);
	}
	return ferror(f) ? -EIO : 0;
}
