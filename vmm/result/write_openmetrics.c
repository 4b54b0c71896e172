/*
 * The numbers of a run in the OpenMetrics text format 1.0: metric families one after the other,
 * each with its type, unit and help, and "# EOF" at the end. A collector can scrape it as it is.
 *
 * The rules that matter here: a family's lines stand together; a counter's samples end in _total,
 * an info's in _info; a unit is also the end of the family's name; in one family no two samples
 * have the same labels. Names are ours, labels may be strangers' and are escaped.
 */
#include "result/result.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "result/json.h"

#define LEVEL_NAME_(name, text) text,
static const char *const level_names[] = {MMVM_ZONE_STATS(LEVEL_NAME_)};
#undef LEVEL_NAME_

static void family(FILE *f, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(f, "# TYPE %s %s\n", name, type);
	if (unit)
		fprintf(f, "# UNIT %s %s\n", name, unit);
	fprintf(f, "# HELP %s %s\n", name, help);
}

/** name="value" with what the format wants escaped; what is no text becomes U+FFFD. */
static void label(FILE *f, const char *name, const char *value)
{
	size_t len = strlen(value), n;

	fprintf(f, "%s=\"", name);
	for (; len; value += n, len -= n) {
		n = utf8_char(value, len);
		if (n == 0) {
			n = 1;
			fputs("\357\277\275", f);
		} else if (*value == '\n') {
			fputs("\\n", f);
		} else if (*value == '"' || *value == '\\') {
			fprintf(f, "\\%c", *value);
		} else {
			fwrite(value, 1, n, f);
		}
	}
	putc('"', f);
}

static void seconds(FILE *f, uint64_t ns)
{
	fprintf(f, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void gauge(FILE *f, const char *name, const char *unit, const char *help, uint64_t value)
{
	family(f, name, "gauge", unit, help);
	fprintf(f, "%s %" PRIu64 "\n", name, value);
}

static void emit_run(FILE *f, const struct run_result *r)
{
	family(f, "mmvm_run", "info", NULL, "What ran where, and how it ended.");
	fputs("mmvm_run_info{", f);
	label(f, "backend", r->backend);
	putc(',', f);
	label(f, "accel", r->accel);
	putc(',', f);
	label(f, "host_kernel", r->host_kernel);
	putc(',', f);
	label(f, "outcome", outcome_name(r->outcome.kind));
	fputs("} 1\n", f);

	gauge(f, "mmvm_exit_status", NULL, "Exit status of mmvm.", (uint64_t)r->exit_status);
	family(f, "mmvm_wall_seconds", "gauge", "seconds", "Time the machine ran.");
	fputs("mmvm_wall_seconds ", f);
	seconds(f, r->wall_ns);
	family(f, "mmvm_start_seconds", "gauge", "seconds",
	       "Process start to the first guest instruction.");
	fputs("mmvm_start_seconds ", f);
	seconds(f, r->first_run_ns);
	gauge(f, "mmvm_ram_bytes", "bytes", "Guest RAM.", r->ram_low + r->ram_high);
	gauge(f, "mmvm_vmm_memory_bytes", "bytes", "Memory of the VMM beside guest RAM.",
	      r->vmm_bytes);
	if (r->guest_ram_resident)
		gauge(f, "mmvm_ram_resident_bytes", "bytes", "Guest RAM the host has given.",
		      r->guest_ram_resident);
	if (r->has_audit)
		gauge(f, "mmvm_audit_findings", NULL, "Contradictions found in guest memory.",
		      r->audit_findings);
	if (r->has_dirty) {
		family(f, "mmvm_dirty_pages", "counter", NULL,
		       "Pages found dirty, each time a sample found them.");
		fprintf(f, "mmvm_dirty_pages_total %" PRIu64 "\n", r->dirty_pages_total);
		gauge(f, "mmvm_dirty_pages_distinct", NULL, "Distinct pages ever found dirty.",
		      r->dirty_pages_distinct);
	}
}

static void emit_checks(FILE *f, const struct run_result *r)
{
	if (!r->nr_checks)
		return;
	family(f, "mmvm_check", "gauge", NULL,
	       "What guest and host both count, by either side's count.");
	for (unsigned int i = 0; i < r->nr_checks; i++) {
		fputs("mmvm_check{", f);
		label(f, "check", r->checks[i].name);
		fprintf(f, ",side=\"guest\"} %" PRIu64 "\nmmvm_check{", r->checks[i].guest);
		label(f, "check", r->checks[i].name);
		fprintf(f, ",side=\"host\"} %" PRIu64 "\n", r->checks[i].host);
	}
}

static void emit_guest(FILE *f, const struct run_result *r)
{
	if (r->nr_counters)
		family(f, "mmvm_guest_events", "counter", NULL, "Guest events by vmstat name.");
	for (unsigned int i = 0; i < r->nr_counters; i++) {
		fputs("mmvm_guest_events_total{", f);
		label(f, "event", r->counters[i].name);
		fprintf(f, "} %" PRIu64 "\n", r->counters[i].value);
	}
	if (!r->nr_zones)
		return;
	family(f, "mmvm_zone_managed", "gauge", NULL, "Pages the zone's allocator has.");
	for (unsigned int i = 0; i < r->nr_zones; i++) {
		/* Two zones could have one name: the number tells them apart. */
		fprintf(f, "mmvm_zone_managed{index=\"%u\",node=\"%u\",", i, r->zones[i].node);
		label(f, "zone", r->zones[i].name);
		fprintf(f, "} %" PRIu64 "\n", r->zones[i].managed);
	}
	family(f, "mmvm_zone_level", "gauge", NULL,
	       "Levels of the zone at the end, in the unit of their vmstat name (pages or KiB).");
	for (unsigned int i = 0; i < r->nr_zones; i++) {
		for (unsigned int s = 0; s < NR_ZONE_STAT_ITEMS; s++) {
			fprintf(f, "mmvm_zone_level{index=\"%u\",node=\"%u\",", i,
				r->zones[i].node);
			label(f, "zone", r->zones[i].name);
			fprintf(f, ",level=\"%s\"} %" PRId64 "\n", level_names[s],
				r->zones[i].stat[s]);
		}
	}
}

static void disk_sample(FILE *f, const char *metric, const struct run_disk *d, const char *op,
			uint64_t value)
{
	fprintf(f, "%s{", metric);
	label(f, "disk", d->role);
	fprintf(f, ",op=\"%s\"} %" PRIu64 "\n", op, value);
}

static void emit_disks(FILE *f, const struct run_result *r)
{
	if (!r->nr_disks)
		return;
	family(f, "mmvm_disk_requests", "counter", NULL, "Requests the disk has done.");
	for (unsigned int i = 0; i < r->nr_disks; i++) {
		const struct run_disk *d = &r->disks[i];

		disk_sample(f, "mmvm_disk_requests_total", d, "read", d->stats.reads);
		disk_sample(f, "mmvm_disk_requests_total", d, "write", d->stats.writes);
		disk_sample(f, "mmvm_disk_requests_total", d, "flush", d->stats.flushes);
		disk_sample(f, "mmvm_disk_requests_total", d, "discard", d->stats.discards);
		disk_sample(f, "mmvm_disk_requests_total", d, "error", d->stats.errors);
	}
	family(f, "mmvm_disk_transferred_bytes", "counter", "bytes", "Bytes read and written.");
	for (unsigned int i = 0; i < r->nr_disks; i++) {
		const struct run_disk *d = &r->disks[i];

		disk_sample(f, "mmvm_disk_transferred_bytes_total", d, "read",
			    d->stats.sectors_read << 9);
		disk_sample(f, "mmvm_disk_transferred_bytes_total", d, "write",
			    d->stats.sectors_written << 9);
	}
}

static void kvm_labels(FILE *f, const char *metric, const struct run_kvm_stat *s)
{
	fprintf(f, "%s{", metric);
	label(f, "scope", s->scope);
	putc(',', f);
	label(f, "stat", s->name);
}

/** Buckets of a log histogram: [0, 1), [1, 2), [2, 4) ..., the last without an upper end. */
static void kvm_histogram(FILE *f, const struct run_kvm_stat *s)
{
	uint64_t sum = 0;

	for (unsigned int v = 0; v < s->nr_values; v++) {
		sum += s->values[v];
		kvm_labels(f, "mmvm_kvm_histogram_bucket", s);
		if (v + 1 == s->nr_values)
			fputs(",le=\"+Inf\"} ", f);
		else
			fprintf(f, ",le=\"%" PRIu64 ".0\"} ", (uint64_t)1 << v);
		fprintf(f, "%" PRIu64 "\n", sum);
	}
}

static bool is_log(const struct run_kvm_stat *s)
{
	/* A bucket above 2^62 has no end that could be written. */
	return !strcmp(s->kind, "log") && s->nr_values > 1 && s->nr_values <= 63;
}

static void emit_kvm(FILE *f, const struct run_result *r)
{
	const struct {
		const char *family, *metric, *type, *help;
		bool cumulative;
	} kinds[] = {
		{"mmvm_kvm_events", "mmvm_kvm_events_total", "counter",
		 "KVM's cumulative statistics by their names, vCPUs summed.", true},
		{"mmvm_kvm_level", "mmvm_kvm_level", "gauge",
		 "KVM's instant and peak statistics by their names, vCPUs summed.", false},
	};
	bool begun;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		begun = false;
		for (unsigned int i = 0; i < r->nr_kvm; i++) {
			const struct run_kvm_stat *s = &r->kvm[i];

			if (s->nr_values != 1 ||
			    kinds[k].cumulative != !strcmp(s->kind, "cumulative"))
				continue;
			if (!begun)
				family(f, kinds[k].family, kinds[k].type, NULL, kinds[k].help);
			begun = true;
			kvm_labels(f, kinds[k].metric, s);
			fprintf(f, "} %" PRIu64 "\n", s->values[0]);
		}
	}
	begun = false;
	for (unsigned int i = 0; i < r->nr_kvm; i++) {
		if (!is_log(&r->kvm[i]))
			continue;
		if (!begun)
			family(f, "mmvm_kvm_histogram", "histogram", NULL,
			       "KVM's histograms, in the unit KVM gives them.");
		begun = true;
		kvm_histogram(f, &r->kvm[i]);
	}
}

static void emit_exits(FILE *f, const struct run_result *r)
{
	if (!r->nr_exits)
		return;
	family(f, "mmvm_exits", "counter", NULL, "Exits to the VMM by reason.");
	for (unsigned int i = 0; i < r->nr_exits; i++) {
		fputs("mmvm_exits_total{", f);
		label(f, "reason", r->exits[i].name);
		fprintf(f, "} %" PRIu64 "\n", r->exits[i].count);
	}
	if (!r->has_exit_times)
		return;
	family(f, "mmvm_exit_seconds", "counter", "seconds", "Time in the VMM by reason.");
	for (unsigned int i = 0; i < r->nr_exits; i++) {
		fputs("mmvm_exit_seconds_total{", f);
		label(f, "reason", r->exits[i].name);
		fputs("} ", f);
		seconds(f, r->exits[i].ns);
	}
}

static void emit_observers(FILE *f, const struct run_result *r)
{
	if (!r->nr_observers)
		return;
	family(f, "mmvm_observer_seconds", "counter", "seconds", "What watching has cost.");
	for (unsigned int i = 0; i < r->nr_observers; i++) {
		fputs("mmvm_observer_seconds_total{", f);
		label(f, "observer", r->observers[i].name);
		fputs("} ", f);
		seconds(f, r->observers[i].ns);
	}
}

/** The working set at the end, by method and window. */
static void emit_access(FILE *f, const struct run_result *r)
{
	bool begun = false;

	for (unsigned int i = 0; i < r->nr_access; i++) {
		const struct run_access *a = &r->access[i];

		for (unsigned int w = 0; a->nr_points && w < RUN_ACCESS_WINDOWS; w++) {
			if (w && !a->has_pages)
				break;
			if (!begun)
				family(f, "mmvm_working_set_pages", "gauge", "pages",
				       "Pages accessed in the last samples; 0: since the start.");
			begun = true;
			fputs("mmvm_working_set_pages{", f);
			label(f, "method", a->method);
			fprintf(f, ",samples=\"%u\"} %" PRIu32 "\n", run_access_window[w],
				a->points[a->nr_points - 1].window[w]);
		}
	}
}

int report_openmetrics(FILE *f, const struct run_result *r)
{
	emit_run(f, r);
	emit_checks(f, r);
	emit_guest(f, r);
	emit_disks(f, r);
	emit_kvm(f, r);
	emit_exits(f, r);
	emit_access(f, r);
	emit_observers(f, r);
	fputs("# EOF\n", f);
	return ferror(f) ? -EIO : 0;
}

int report_emit_openmetrics(FILE *f, const void *result)
{
	return report_openmetrics(f, result);
}
