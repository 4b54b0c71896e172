/*
 * The numbers of a run in the OpenMetrics text format 1.0: metric families one after the other,
 * each with its type, unit and help, and "# EOF" at the end. A collector can scrape it as it is.
 *
 * The rules that matter here: a family's lines stand together; a counter's samples end in _total,
 * an info's in _info; a unit is also the end of the family's name; in one family no two samples
 * have the same labels. Names are ours, labels may be strangers' and are escaped.
 */
#include "result/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void family(FILE *f, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(f, "# TYPE %s %s\n", name, type);
	if (unit)
		fprintf(f, "# UNIT %s %s\n", name, unit);
	fprintf(f, "# HELP %s %s\n", name, help);
}

/** name="value" with what the format wants escaped; what is no text becomes U+FFFD. */
void metric_label(FILE *f, const char *name, const char *value)
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

/* ---- families from the schema ------------------------------------------------------------------ */

static void put_number(FILE *f, const struct value *v, const void *base, unsigned int i)
{
	uint64_t n = value_number(v, base, i) << v->metric.shift;

	if (v->metric.unit && !strcmp(v->metric.unit, "seconds"))
		seconds(f, n);
	else if (v->type == VALUE_I64 || v->type == VALUE_INT)
		fprintf(f, "%" PRId64 "\n", (int64_t)n);
	else
		fprintf(f, "%" PRIu64 "\n", n);
}

static const char *suffix(const struct value *v)
{
	return !strcmp(v->metric.type, "counter") ? "_total" : "";
}

/** Single values: a family each. What is 0 and means nothing then is left out. */
static void emit_values(FILE *f, const struct value *table, const struct run_result *r)
{
	for (const struct value *v = table; v->type != VALUE_END; v++) {
		if (!value_is_there(v, r, r))
			continue;
		if (v->type == VALUE_OBJECT)
			emit_values(f, v->members, r);
		if (!v->metric.family || v->type == VALUE_OBJECT)
			continue;
		family(f, v->metric.family, v->metric.type, v->metric.unit, v->metric.help);
		fprintf(f, "%s%s ", v->metric.family, suffix(v));
		put_number(f, v, r, 0);
	}
}

/** Samples of one element in family `name`: of each row, of each number of an array. */
static void emit_element(FILE *f, const struct value *list, const char *name,
			 const struct run_result *r, const void *element, unsigned int index)
{
	for (const struct value *v = list->members; v->type != VALUE_END; v++) {
		if (!v->metric.family || strcmp(v->metric.family, name) != 0 ||
		    !value_is_there(v, r, element))
			continue;
		for (unsigned int i = 0; i < (v->nr ? v->nr : 1); i++) {
			fprintf(f, "%s%s{", name, suffix(v));
			list->labels(f, index, element);
			if (v->names)
				fprintf(f, ",%s=\"%s\"", v->metric.label, v->names[i]);
			else if (v->metric.label)
				fprintf(f, ",%s", v->metric.label);
			fputs("} ", f);
			put_number(f, v, element, i);
		}
	}
}

/** Is this row the first of its family? */
static bool is_first(const struct value *table, const struct value *row)
{
	for (const struct value *v = table; v != row; v++)
		if (v->metric.family && !strcmp(v->metric.family, row->metric.family))
			return false;
	return true;
}

/** Lists: a family for each different name among the rows of their elements. */
static void emit_lists(FILE *f, const struct value *table, const struct run_result *r)
{
	for (const struct value *list = table; list->type != VALUE_END; list++) {
		unsigned int nr;

		if (list->type != VALUE_LIST || !list->labels)
			continue;
		nr = value_count(list, r, r);
		for (const struct value *v = list->members; nr && v->type != VALUE_END; v++) {
			if (!v->metric.family || !is_first(list->members, v) ||
			    !value_is_there(v, r, value_element(list, r, 0)))
				continue;
			family(f, v->metric.family, v->metric.type, v->metric.unit, v->metric.help);
			for (unsigned int i = 0; i < nr; i++)
				emit_element(f, list, v->metric.family, r,
					     value_element(list, r, i), i);
		}
	}
}

/* ---- families with rules of their own ---------------------------------------------------------- */

static void emit_info(FILE *f, const struct run_result *r)
{
	family(f, "mmvm_run", "info", NULL, "What ran where, and how it ended.");
	fputs("mmvm_run_info{", f);
	metric_label(f, "backend", r->backend);
	putc(',', f);
	metric_label(f, "accel", r->accel);
	putc(',', f);
	metric_label(f, "host_kernel", r->host_kernel);
	putc(',', f);
	metric_label(f, "outcome", outcome_name(r->outcome.kind));
	fputs("} 1\n", f);
	family(f, "mmvm_ram_bytes", "gauge", "bytes", "Guest RAM.");
	fprintf(f, "mmvm_ram_bytes %" PRIu64 "\n", r->ram_low + r->ram_high);
}

static void emit_counters(FILE *f, const struct run_result *r)
{
	if (r->nr_counters)
		family(f, "mmvm_guest_events", "counter", NULL, "Guest events by vmstat name.");
	for (unsigned int i = 0; i < r->nr_counters; i++) {
		fputs("mmvm_guest_events_total{", f);
		metric_label(f, "event", r->counters[i].name);
		fprintf(f, "} %" PRIu64 "\n", r->counters[i].value);
	}
}

static void kvm_labels(FILE *f, const char *metric, const struct run_kvm_stat *s)
{
	fprintf(f, "%s{", metric);
	metric_label(f, "scope", s->scope);
	putc(',', f);
	metric_label(f, "stat", s->name);
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
			metric_label(f, "method", a->method);
			fprintf(f, ",samples=\"%u\"} %" PRIu32 "\n", run_access_window[w],
				a->points[a->nr_points - 1].window[w]);
		}
	}
}

int report_openmetrics(FILE *f, const struct run_result *r)
{
	emit_info(f, r);
	emit_values(f, result_schema, r);
	emit_counters(f, r);
	emit_lists(f, result_schema, r);
	emit_kvm(f, r);
	emit_access(f, r);
	fputs("# EOF\n", f);
	return ferror(f) ? -EIO : 0;
}

int report_emit_openmetrics(FILE *f, const void *result)
{
	return report_openmetrics(f, result);
}
