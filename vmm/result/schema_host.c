/*
 * The rows of what the host saw: dirty log, balloon, disks, KVM's statistics, exits.
 */
#include "result/schema_rows.h"

#include <stdlib.h>

static void write_reasons(struct json *j, const struct run_result *r, const void *base)
{
	json_object(j, "reasons");
	for (unsigned int i = 0; i < r->nr_reasons; i++)
		json_u64(j, r->reasons[i].name, r->reasons[i].value);
	json_end_object(j);
}

static void read_reasons(struct loader *l, const struct json_value *v, struct run_result *r,
			 void *base)
{
	schema_read_map(l, "reasons", v, r, run_result_add_reason);
}

const struct value dirty_schema[] = {
	{U64("pages_total"), R(dirty_pages_total), .unit = "pages",
	 .what = "found dirty, each time a sample found them",
	 .metric = METRIC("mmvm_dirty_pages", "counter", NULL,
			  "Pages found dirty, each time a sample found them.")},
	{U64("pages_distinct"), R(dirty_pages_distinct), .unit = "pages",
	 .what = "found dirty at least once",
	 .metric = METRIC("mmvm_dirty_pages_distinct", "gauge", NULL,
			  "Distinct pages ever found dirty.")},
	{U64("heat_pages"), R(heat_pages), .unit = "pages", .what = "as config.heat_pages"},
	{TEXT("mode"), R(dirty_mode), .what = "how KVM kept the log: bitmap, bitmap-manual, ring"},
	{.name = "reasons",
	 .type = VALUE_CUSTOM,
	 .write = write_reasons,
	 .read = read_reasons,
	 .unit = "pages",
	 .what = "in the log beside those a program says it wrote, by why they are there"},
	{0}};

const struct value balloon_schema[] = {
	{U64("target"), R(balloon.target), .unit = "pages", .what = "that it was to have"},
	{U64("actual"), R(balloon.actual), .unit = "pages", .source = "guest",
	 .what = "that the driver says it has"},
	{U64("pages"), R(balloon.pages), .unit = "pages", .what = "in the device's set",
	 .metric =
		 METRIC("mmvm_balloon_pages", "gauge", NULL, "Pages of the guest in the balloon.")},
	{U64("inflated"), R(balloon.inflated), .unit = "pages", .what = "given by the guest"},
	{U64("deflated"), R(balloon.deflated), .unit = "pages", .what = "taken back by it"},
	{U64("reported"), R(balloon.reported), .unit = "pages",
	 .what = "free pages that the guest has told of"},
	{U64("given_back"), R(balloon.given_back), .unit = "pages",
	 .what = "whose memory the host has taken",
	 .metric = METRIC("mmvm_balloon_given_back_pages", "counter", NULL,
			  "Pages whose memory the host has taken back.")},
	{U64("refused"), R(balloon.refused), .what = "times that the host could not take memory"},
	{0}};

#define DISK_OP(key, member, op)                                                               \
	{                                                                                      \
		U64(key), FIELD(run_disk, stats.member),                                       \
			.what = "requests",                                                    \
			.metric = METRIC_BY("mmvm_disk_requests", "counter", NULL,             \
					    "Requests the disk has done.", "op=\"" op "\"", 0) \
	}
#define DISK_SECTORS(key, member, op)                                                          \
	{                                                                                      \
		U64(key), FIELD(run_disk, stats.member),                                       \
			.unit = "sectors", .what = "of 512 bytes",                             \
			.metric = METRIC_BY("mmvm_disk_transferred_bytes", "counter", "bytes", \
					    "Bytes read and written.", "op=\"" op "\"", 9)     \
	}
const struct value disk_schema[] = {
	{TEXT("role"), FIELD(run_disk, role), .what = "swap, disk0 ..."},
	{U64("size_bytes"), FIELD(run_disk, size), .unit = "bytes", .what = "of the disk"},
	DISK_OP("reads", reads, "read"),
	DISK_OP("writes", writes, "write"),
	DISK_OP("flushes", flushes, "flush"),
	DISK_OP("discards", discards, "discard"),
	DISK_OP("errors", errors, "error"),
	DISK_SECTORS("sectors_read", sectors_read, "read"),
	DISK_SECTORS("sectors_written", sectors_written, "write"),
	{0}};

const struct value pmem_schema[] = {
	{TEXT("role"), FIELD(run_pmem, role), .what = "pmem0 ..."},
	{U64("gpa"), FIELD(run_pmem, gpa), .what = "where the guest finds it"},
	{U64("size_bytes"), FIELD(run_pmem, size), .unit = "bytes", .what = "of the file"},
	{U64("flushes"), FIELD(run_pmem, flushes), .what = "requests answered OK",
	 .metric = METRIC("mmvm_pmem_flushes", "counter", NULL,
			  "Flushes of a file that is memory of the guest.")},
	{U64("errors"), FIELD(run_pmem, errors), .what = "requests answered with an error",
	 .metric = METRIC("mmvm_pmem_errors", "counter", NULL,
			  "Flushes of a file that is memory of the guest that failed.")},
	{0}};

const char *schema_add_pmem(struct run_result *r, void *parent, void *element)
{
	run_result_add_pmem(r, element);
	return NULL;
}

void schema_pmem_labels(FILE *f, unsigned int i, const void *element)
{
	metric_label(f, "file", ((const struct run_pmem *)element)->role);
}

const char *schema_add_disk(struct run_result *r, void *parent, void *element)
{
	const struct run_disk *d = element;

	run_result_add_disk(r, d->role, d->size, &d->stats);
	return NULL;
}

void schema_disk_labels(FILE *f, unsigned int i, const void *element)
{
	metric_label(f, "disk", ((const struct run_disk *)element)->role);
}

static void write_kvm_values(struct json *j, const struct run_result *r, const void *base)
{
	const struct run_kvm_stat *s = base;

	if (s->nr_values == 1) {
		json_u64(j, "value", s->values[0]);
		return;
	}
	json_array(j, "values");
	for (unsigned int i = 0; i < s->nr_values; i++)
		json_u64(j, NULL, s->values[i]);
	json_end_array(j);
}

static void read_kvm_values(struct loader *l, const struct json_value *v, struct run_result *r,
			    void *base)
{
	const struct json_value *list = json_get(v, "values"), *one = json_get(v, "value"), *n;
	struct run_kvm_stat *s = base;
	unsigned int i = 0;

	if (list && list->type != JSON_NULL && list->type != JSON_ARRAY) {
		loader_bad(l, "%svalues is not a list", loader_where(l));
		return;
	}
	list = list && list->type == JSON_ARRAY ? list : NULL;
	s->nr_values = list ? list->nr : 1;
	s->values = calloc(s->nr_values ? s->nr_values : 1, sizeof(*s->values));
	if (!s->values) {
		r->no_memory = true;
		s->nr_values = 0;
		return;
	}
	if (!list && one && one->type != JSON_NULL && json_to_u64(one, &s->values[0]))
		loader_bad(l, "%svalue is not a whole number of 64 bits", loader_where(l));
	for (n = list ? list->first : NULL; n; n = n->next, i++)
		if (json_to_u64(n, &s->values[i]))
			loader_bad(l, "%svalues[%u] is not a whole number of 64 bits",
				   loader_where(l), i);
}

const struct value kvm_schema[] = {
	{TEXT("scope"), FIELD(run_kvm_stat, scope), .what = "vm, or vcpu (summed)"},
	{TEXT("name"), FIELD(run_kvm_stat, name), .what = "KVM's name"},
	{TEXT("kind"), FIELD(run_kvm_stat, kind), .what = "cumulative, instant, peak, linear, log"},
	{TEXT("unit"), FIELD(run_kvm_stat, unit), .what = "none, bytes, seconds, cycles, boolean"},
	{INT("base"), FIELD(run_kvm_stat, base), .what = "the value is in base^exponent units"},
	{INT("exponent"), FIELD(run_kvm_stat, exponent), .what = "see base"},
	{.name = "value",
	 .type = VALUE_CUSTOM,
	 .write = write_kvm_values,
	 .read = read_kvm_values,
	 .what = "a number; of a histogram, `values`: a list"},
	{0}};

const char *schema_add_kvm(struct run_result *r, void *parent, void *element)
{
	struct run_kvm_stat *s = element;

	if (s->values)
		run_result_add_kvm(r, s);
	free(s->values);
	return NULL;
}

static unsigned int exit_buckets(const struct run_result *r, const void *base)
{
	return r->has_exit_times ? RUN_EXIT_BUCKETS : 0;
}

const struct value exit_schema[] = {
	{TEXT("reason"), FIELD(run_exit, name), .what = "pio_out, mmio_read ..."},
	{U64("count"), FIELD(run_exit, count), .what = "exits",
	 .metric = METRIC("mmvm_exits", "counter", NULL, "Exits to the VMM by reason.")},
	{U64("ns"), FIELD(run_exit, ns), .flags = VALUE_NULL, HAS_R(has_exit_times), .unit = "ns",
	 .what = "in the VMM",
	 .metric = METRIC("mmvm_exit_seconds", "counter", "seconds", "Time in the VMM by reason.")},
	{U64("log2_ticks"), FIELD(run_exit, log2_ticks), .nr = RUN_EXIT_BUCKETS,
	 .length = exit_buckets,
	 .what = "exits that took from 2^i ticks on, exit_tick_ps each; the first: 0 or 1"},
	{0}};

const char *schema_add_exit(struct run_result *r, void *parent, void *element)
{
	const struct run_exit *e = element;

	run_result_add_exit(r, e->name, e->count, e->ns);
	run_result_exit_times(r, e->log2_ticks);
	return NULL;
}

void schema_exit_labels(FILE *f, unsigned int i, const void *element)
{
	metric_label(f, "reason", ((const struct run_exit *)element)->name);
}

const struct value place_schema[] = {
	{TEXT("reason"), FIELD(run_exit_place, reason), .what = "as exits.reason"},
	{U64("address"), FIELD(run_exit_place, addr),
	 .what = "port or guest physical address, 0: none"},
	{TEXT("device"), FIELD(run_exit_place, device), .what = "whose window that is"},
	{TEXT("function"), FIELD(run_exit_place, function),
	 .what = "of the guest kernel, (program), or an address"},
	{U64("count"), FIELD(run_exit_place, count), .what = "exits"},
	{U64("ns"), FIELD(run_exit_place, ns), .unit = "ns", .what = "in the VMM"},
	{0}};

const char *schema_add_place(struct run_result *r, void *parent, void *element)
{
	run_result_add_exit_place(r, element);
	return NULL;
}
