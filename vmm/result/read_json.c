/*
 * A run_result from the JSON that report_json() wrote: the way back, so that reports, comparisons
 * and metrics made from a file cannot differ from those made from the run.
 *
 *   RUN.json -> json_parse() -> struct loader (first error kept) -> struct run_result
 *
 * Strict where it matters, open where it must be: a value of the wrong type, a list that is too
 * long or a number that does not fit is an error that names the place ("samples[3].dirty"); a key
 * that is not there stays absent, a key that is not known is ignored, so that files of older and
 * newer versions of the same schema can be read.
 */
#include "result/result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "result/json_read.h"

#define LEVEL_NAME_(name, text) text,
static const char *const level_names[] = {MMVM_ZONE_STATS(LEVEL_NAME_)};
#undef LEVEL_NAME_

struct loader {
	const char *path;
	struct mmvm_error *err;
	bool failed;
	char where[96]; /* of the values being read, with a dot at the end: "samples[3]." */
};

__attribute__((format(printf, 2, 3))) static void bad(struct loader *l, const char *fmt, ...)
{
	char what[160];
	va_list args;

	if (l->failed)
		return;
	l->failed = true;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	mmvm_error(l->err, MMVM_EXIT_USAGE, "%s is no result of mmvm run: %s", l->path, what);
}

static bool absent(const struct json_value *v)
{
	return !v || v->type == JSON_NULL;
}

static void get_u64(struct loader *l, const struct json_value *o, const char *key, uint64_t *out)
{
	const struct json_value *v = json_get(o, key);

	if (!absent(v) && json_to_u64(v, out))
		bad(l, "%s%s is not a whole number of 64 bits", l->where, key);
}

static void get_i64(struct loader *l, const struct json_value *o, const char *key, int64_t *out)
{
	const struct json_value *v = json_get(o, key);

	if (!absent(v) && json_to_i64(v, out))
		bad(l, "%s%s is not a signed whole number of 64 bits", l->where, key);
}

static void get_u32(struct loader *l, const struct json_value *o, const char *key,
		    unsigned int *out)
{
	uint64_t n = *out;

	get_u64(l, o, key, &n);
	if (n > UINT32_MAX)
		bad(l, "%s%s is above 32 bits", l->where, key);
	*out = (unsigned int)n;
}

static void get_int(struct loader *l, const struct json_value *o, const char *key, int *out)
{
	int64_t n = *out;

	get_i64(l, o, key, &n);
	if (n > INT32_MAX || n < INT32_MIN)
		bad(l, "%s%s is above 32 bits", l->where, key);
	*out = (int)n;
}

static void get_bool(struct loader *l, const struct json_value *o, const char *key, bool *out)
{
	const struct json_value *v = json_get(o, key);

	if (absent(v))
		return;
	if (v->type != JSON_BOOL)
		bad(l, "%s%s is neither true nor false", l->where, key);
	else
		*out = v->boolean;
}

/** Cut to fit: the fields are as long as the writer's. */
static void get_text(struct loader *l, const struct json_value *o, const char *key, char *out,
		     size_t size)
{
	const struct json_value *v = json_get(o, key);
	size_t n;

	if (absent(v))
		return;
	if (v->type != JSON_STRING) {
		bad(l, "%s%s is not a text", l->where, key);
		return;
	}
	n = v->len < size - 1 ? v->len : size - 1;
	memcpy(out, v->text, n);
	out[n] = '\0';
}
#define GET_TEXT(l, o, key, field) get_text(l, o, key, field, sizeof(field))

/** A member that must be an object or an array when it is there; NULL when it is not. */
static const struct json_value *get_part(struct loader *l, const struct json_value *o,
					 const char *key, enum json_type type)
{
	const struct json_value *v = json_get(o, key);

	if (absent(v))
		return NULL;
	if (v->type != type) {
		bad(l, "%s%s is not %s", l->where, key,
		    type == JSON_ARRAY ? "a list" : "an object");
		return NULL;
	}
	return v;
}

/** Begin to read members of element `i` of list `key`. */
static bool element(struct loader *l, const struct json_value *v, const char *key, unsigned int i)
{
	l->where[0] = '\0';
	if (v->type != JSON_OBJECT)
		bad(l, "%s[%u] is not an object", key, i);
	snprintf(l->where, sizeof(l->where), "%s[%u].", key, i);
	return !l->failed;
}

static const struct json_value *part(struct loader *l, const struct json_value *root,
				     const char *key)
{
	const struct json_value *v;

	l->where[0] = '\0';
	v = get_part(l, root, key, JSON_OBJECT);
	snprintf(l->where, sizeof(l->where), "%s.", key);
	return v;
}

/** For each element `v` (index `i`) of the list `key` of `root`, while nothing is wrong. */
#define for_each_element(l, root, key, v, i)                                          \
	for ((l)->where[0] = '\0', (i) = 0, (v) = get_part(l, root, key, JSON_ARRAY), \
	    (v) = (v) ? (v)->first : NULL;                                            \
	     (v) && element(l, v, key, i); (v) = (v)->next, (i)++)

static void load_config(struct loader *l, const struct json_value *root, struct run_result *r)
{
	const struct json_value *o = part(l, root, "config");

	GET_TEXT(l, o, "kernel", r->kernel_path);
	get_u64(l, o, "ram_low_bytes", &r->ram_low);
	get_u64(l, o, "ram_high_bytes", &r->ram_high);
	get_u32(l, o, "cpus", &r->cpus);
	get_u64(l, o, "seed", &r->seed);
	get_u32(l, o, "timeout_s", &r->timeout_s);
	get_u64(l, o, "heat_pages", &r->heat_pages);

	o = part(l, root, "host");
	GET_TEXT(l, o, "backend", r->backend);
	GET_TEXT(l, o, "accel", r->accel);
	GET_TEXT(l, o, "accel_why", r->accel_why);
	get_u32(l, o, "quirks", &r->quirks);
	GET_TEXT(l, o, "kernel", r->host_kernel);
	get_u64(l, o, "tsc_hz", &r->tsc_hz);

	o = part(l, root, "time");
	get_u64(l, o, "started_unix_ns", &r->started_unix_ns);
	get_u64(l, o, "wall_ns", &r->wall_ns);
	get_u64(l, o, "first_run_ns", &r->first_run_ns);
	get_u64(l, o, "boot_ticks", &r->boot_ticks);

	o = part(l, root, "memory");
	get_u64(l, o, "vmm_bytes", &r->vmm_bytes);
	get_u64(l, o, "guest_ram_resident_bytes", &r->guest_ram_resident);
	get_u64(l, o, "totalram_pages", &r->totalram_pages);
	get_u64(l, o, "swap_total_pages", &r->swap_total);
	get_u64(l, o, "swap_free_pages", &r->swap_free);
}

static void load_outcome(struct loader *l, const struct json_value *root, struct run_result *r)
{
	static const enum outcome_kind kinds[] = {OUTCOME_EXITED, OUTCOME_CRASHED, OUTCOME_TIMEOUT,
						  OUTCOME_STOPPED, OUTCOME_HOST_ERROR};
	const struct json_value *o = part(l, root, "outcome"), *crash;
	struct mmvm_crash *c = &r->outcome.crash;
	char kind[32] = "";
	size_t k;

	GET_TEXT(l, o, "kind", kind);
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (!strcmp(kind, outcome_name(kinds[k])))
			break;
	if (k == sizeof(kinds) / sizeof(kinds[0]))
		bad(l, "outcome.kind is missing or not one that is known");
	else
		r->outcome.kind = kinds[k];
	get_int(l, o, "guest_status", &r->outcome.status);
	get_int(l, o, "exit_status", &r->exit_status);
	GET_TEXT(l, o, "text", r->outcome.text);
	crash = get_part(l, o, "crash", JSON_OBJECT);
	if (crash) {
		const struct {
			const char *name;
			uint64_t *to;
		} regs[] = {
			{"vector", &c->vector}, {"error", &c->error}, {"cr2", &c->cr2},
			{"cr3", &c->cr3},	{"rax", &c->rax},     {"rbx", &c->rbx},
			{"rcx", &c->rcx},	{"rdx", &c->rdx},     {"rsi", &c->rsi},
			{"rdi", &c->rdi},	{"rbp", &c->rbp},     {"rsp", &c->rsp},
			{"r8", &c->r8},		{"r9", &c->r9},	      {"r10", &c->r10},
			{"r11", &c->r11},	{"r12", &c->r12},     {"r13", &c->r13},
			{"r14", &c->r14},	{"r15", &c->r15},     {"rip", &c->rip},
			{"rflags", &c->rflags}, {"cs", &c->cs},	      {"ss", &c->ss},
		};

		r->outcome.has_crash = true;
		for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
			get_u64(l, crash, regs[i].name, regs[i].to);
	}
}

static void load_guest(struct loader *l, const struct json_value *root, struct run_result *r)
{
	const struct json_value *o = part(l, root, "guest_counters"), *v;
	unsigned int i;

	for (v = o ? o->first : NULL; v && !l->failed; v = v->next) {
		uint64_t n = 0;

		get_u64(l, o, v->key, &n);
		run_result_add_counter(r, v->key, n);
	}
	for_each_element(l, root, "zones", v, i)
	{
		struct run_zone z = {0};

		if (i >= MMVM_MAX_ZONES)
			bad(l, "more than %u zones", (unsigned int)MMVM_MAX_ZONES);
		GET_TEXT(l, v, "name", z.name);
		get_u32(l, v, "node", &z.node);
		get_u64(l, v, "start_pfn", &z.start_pfn);
		get_u64(l, v, "spanned", &z.spanned);
		get_u64(l, v, "present", &z.present);
		get_u64(l, v, "managed", &z.managed);
		get_u64(l, v, "wmark_min", &z.wmark[0]);
		get_u64(l, v, "wmark_low", &z.wmark[1]);
		get_u64(l, v, "wmark_high", &z.wmark[2]);
		o = get_part(l, v, "levels", JSON_OBJECT);
		for (unsigned int s = 0; s < NR_ZONE_STAT_ITEMS; s++)
			get_i64(l, o, level_names[s], &z.stat[s]);
		run_result_add_zone(r, &z);
	}
	o = part(l, root, "reports");
	for (v = o ? o->first : NULL; v && !l->failed; v = v->next) {
		if (v->type != JSON_STRING)
			bad(l, "reports.%.40s is not a text", v->key);
		else
			run_result_keep_report(r, v->key, v->text, v->len);
	}
}

static void load_kvm_stat(struct loader *l, const struct json_value *v, struct run_result *r)
{
	struct run_kvm_stat s = {.nr_values = 1};
	const struct json_value *list = get_part(l, v, "values", JSON_ARRAY), *n;
	unsigned int i = 0;

	GET_TEXT(l, v, "scope", s.scope);
	GET_TEXT(l, v, "name", s.name);
	GET_TEXT(l, v, "kind", s.kind);
	GET_TEXT(l, v, "unit", s.unit);
	get_int(l, v, "base", &s.base);
	get_int(l, v, "exponent", &s.exponent);
	if (list)
		s.nr_values = list->nr;
	s.values = calloc(s.nr_values ? s.nr_values : 1, sizeof(*s.values));
	if (!s.values) {
		r->no_memory = true;
		return;
	}
	if (!list)
		get_u64(l, v, "value", &s.values[0]);
	for (n = list ? list->first : NULL; n; n = n->next, i++)
		if (json_to_u64(n, &s.values[i]))
			bad(l, "%svalues[%u] is not a whole number of 64 bits", l->where, i);
	run_result_add_kvm(r, &s);
	free(s.values);
}

/** Numbers of a list, at most `max`; those that are not there stay 0. */
static void get_list64(struct loader *l, const struct json_value *v, const char *key, uint64_t *to,
		       unsigned int max)
{
	const struct json_value *o = get_part(l, v, key, JSON_ARRAY), *n;
	unsigned int at = 0;

	for (n = o ? o->first : NULL; n; n = n->next) {
		if (at == max || json_to_u64(n, &to[at])) {
			bad(l, "%s%s holds what is no number, or too many", l->where, key);
			return;
		}
		at++;
	}
}

static void load_host(struct loader *l, const struct json_value *root, struct run_result *r)
{
	const struct json_value *o = part(l, root, "dirty"), *v;
	unsigned int i;

	r->has_dirty = o != NULL;
	get_u64(l, o, "pages_total", &r->dirty_pages_total);
	get_u64(l, o, "pages_distinct", &r->dirty_pages_distinct);
	get_u64(l, o, "heat_pages", &r->heat_pages);
	GET_TEXT(l, o, "mode", r->dirty_mode);
	o = get_part(l, o, "reasons", JSON_OBJECT);
	for (v = o ? o->first : NULL; v; v = v->next) {
		uint64_t pages = 0;

		get_u64(l, o, v->key, &pages);
		run_result_add_reason(r, v->key, pages);
	}
	l->where[0] = '\0';
	r->has_audit = !absent(json_get(root, "audit_findings"));
	get_u64(l, root, "audit_findings", &r->audit_findings);
	get_u64(l, root, "records_dropped", &r->records_dropped);

	for_each_element(l, root, "disks", v, i)
	{
		struct run_disk d = {0};

		GET_TEXT(l, v, "role", d.role);
		get_u64(l, v, "size_bytes", &d.size);
		get_u64(l, v, "reads", &d.stats.reads);
		get_u64(l, v, "writes", &d.stats.writes);
		get_u64(l, v, "flushes", &d.stats.flushes);
		get_u64(l, v, "discards", &d.stats.discards);
		get_u64(l, v, "errors", &d.stats.errors);
		get_u64(l, v, "sectors_read", &d.stats.sectors_read);
		get_u64(l, v, "sectors_written", &d.stats.sectors_written);
		run_result_add_disk(r, d.role, d.size, &d.stats);
	}
	for_each_element(l, root, "kvm", v, i) load_kvm_stat(l, v, r);
	for_each_element(l, root, "exit_places", v, i)
	{
		struct run_exit_place p = {0};

		GET_TEXT(l, v, "reason", p.reason);
		get_u64(l, v, "address", &p.addr);
		GET_TEXT(l, v, "device", p.device);
		GET_TEXT(l, v, "function", p.function);
		get_u64(l, v, "count", &p.count);
		get_u64(l, v, "ns", &p.ns);
		run_result_add_exit_place(r, &p);
	}
	r->has_exit_places = !absent(json_get(root, "exit_places"));
	if (r->has_exit_places) {
		get_u64(l, root, "exits_placed", &r->exits_placed);
		get_u64(l, root, "exits_unplaced", &r->exits_unplaced);
	}
	l->where[0] = '\0';
	get_u64(l, root, "exit_tick_ps", &r->exit_tick_ps);
	for_each_element(l, root, "exits", v, i)
	{
		struct run_exit e = {0};

		GET_TEXT(l, v, "reason", e.name);
		get_u64(l, v, "count", &e.count);
		get_u64(l, v, "ns", &e.ns);
		r->has_exit_times |= !absent(json_get(v, "ns"));
		get_list64(l, v, "log2_ticks", e.log2_ticks, RUN_EXIT_BUCKETS);
		run_result_add_exit(r, e.name, e.count, e.ns);
		run_result_exit_times(r, e.log2_ticks);
	}
	for_each_element(l, root, "observers", v, i)
	{
		struct run_observer ob = {0};

		GET_TEXT(l, v, "name", ob.name);
		get_u64(l, v, "times", &ob.times);
		get_u64(l, v, "ns", &ob.ns);
		get_u64(l, v, "exits", &ob.exits);
		ob.has_stall = !absent(json_get(v, "guest_stall_ns"));
		get_u64(l, v, "guest_stall_ns", &ob.stall_ns);
		GET_TEXT(l, v, "note", ob.note);
		run_result_add_observer(r, &ob);
	}
	for_each_element(l, root, "checks", v, i)
	{
		struct run_check c = {0};

		GET_TEXT(l, v, "name", c.name);
		get_u64(l, v, "guest", &c.guest);
		get_u64(l, v, "host", &c.host);
		GET_TEXT(l, v, "note", c.note);
		run_result_add_check(r, c.name, c.guest, c.host, c.note);
	}
}

/** `dirty_owner` and its kin; numbers of a list that is too short stay 0. */
static void load_owners(struct loader *l, const struct json_value *v, struct run_sample *s)
{
#define TYPE_NAME_(name, text) text,
	static const char *const type_names[] = {MMVM_PAGE_TYPES(TYPE_NAME_)};
#undef TYPE_NAME_
	const struct json_value *o = get_part(l, v, "dirty_owner", JSON_OBJECT), *n;
	const struct {
		const char *key;
		uint32_t *to;
		unsigned int max;
	} lists[] = {{"dirty_zone", s->dirty_zone, MMVM_MAX_ZONES},
		     {"dirty_region", s->dirty_region, 2}};

	s->has_owner = o != NULL;
	for (unsigned int t = 0; o && t < NR_PAGE_TYPES; t++)
		get_u32(l, o, type_names[t], &s->dirty_owner[t]);
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int at = 0;
		uint64_t value;

		o = get_part(l, v, lists[i].key, JSON_ARRAY);
		for (n = o ? o->first : NULL; n; n = n->next, at++) {
			if (at == lists[i].max || json_to_u64(n, &value) || value > UINT32_MAX) {
				bad(l, "%s%s holds what is no number, or too many", l->where,
				    lists[i].key);
				return;
			}
			lists[i].to[at] = (uint32_t)value;
		}
	}
}

/** Numbers of a list, at most `max` of 32 bits; those that are not there stay 0. */
static void get_list(struct loader *l, const struct json_value *v, const char *key, uint32_t *to,
		     unsigned int max)
{
	const struct json_value *o = get_part(l, v, key, JSON_ARRAY), *n;
	unsigned int at = 0;
	uint64_t value;

	for (n = o ? o->first : NULL; n; n = n->next) {
		if (at == max || json_to_u64(n, &value) || value > UINT32_MAX) {
			bad(l, "%s%s holds what is no number, or too many", l->where, key);
			return;
		}
		to[at++] = (uint32_t)value;
	}
}

static void load_access(struct loader *l, const struct json_value *v, struct run_result *r)
{
	const struct json_value *points, *score, *n;
	struct run_access a = {0};
	char where[sizeof(l->where)];

	GET_TEXT(l, v, "method", a.method);
	GET_TEXT(l, v, "why_not", a.why);
	get_bool(l, v, "has_pages", &a.has_pages);
	get_u64(l, v, "times", &a.times);
	get_u64(l, v, "ns", &a.ns);
	get_u64(l, v, "guest_ticks", &a.guest_ticks);
	get_u64(l, v, "pages_total", &a.pages_total);
	get_u64(l, v, "points_dropped", &a.dropped);
	score = get_part(l, v, "score", JSON_OBJECT);
#define LOAD_(field) get_u64(l, score, #field, &a.score.field);
	RUN_ACCESS_SCORE(LOAD_)
#undef LOAD_
	points = get_part(l, v, "points", JSON_ARRAY);
	memcpy(where, l->where, sizeof(where));
	for (n = points ? points->first : NULL; n && !l->failed; n = n->next) {
		struct run_access_point p = {0};

		snprintf(l->where, sizeof(l->where), "%.60spoints[%u].", where, a.nr_points);
		if (n->type != JSON_OBJECT || a.nr_points == RUN_ACCESS_POINTS)
			bad(l, "%.80s is not an object, or one too many", l->where);
		get_u64(l, n, "t_ns", &p.t_ns);
		get_list(l, n, "window", p.window, RUN_ACCESS_WINDOWS);
		get_list(l, n, "heat", p.heat, RUN_HEAT_BUCKETS);
		if (a.nr_points && p.t_ns < a.points[a.nr_points - 1].t_ns)
			bad(l, "%st_ns goes back in time", l->where);
		run_access_add_point(&a, &p);
	}
	run_result_add_access(r, &a);
	run_access_free(&a);
}

static void load_sample(struct loader *l, const struct json_value *v, struct run_result *r)
{
	struct run_sample s = {0};
	const struct json_value *o, *n;
	unsigned int b = 0;
	uint64_t heat;

	get_u64(l, v, "t_ns", &s.t_ns);
	get_u64(l, v, "dirty", &s.dirty);
	get_u64(l, v, "pswpin", &s.pswpin);
	get_u64(l, v, "pswpout", &s.pswpout);
	get_u64(l, v, "pgfault", &s.pgfault);
	get_u64(l, v, "pgmajfault", &s.pgmajfault);
	get_u64(l, v, "progress_done", &s.progress_done);
	get_u64(l, v, "progress_total", &s.progress_total);
	get_u64(l, v, "free_pages", &s.free_pages);
	get_u64(l, v, "swap_free", &s.swap_free);
	get_u64(l, v, "exits", &s.exits);
	get_u64(l, v, "dirty_distinct", &s.dirty_distinct);
	o = get_part(l, v, "kvm", JSON_OBJECT);
	s.has_kvm = o != NULL;
	get_u64(l, o, "pages_4k", &s.mapped[0]);
	get_u64(l, o, "pages_2m", &s.mapped[1]);
	get_u64(l, o, "pages_1g", &s.mapped[2]);
	get_u64(l, o, "pf_taken", &s.pf_taken);
	o = get_part(l, v, "zone_free", JSON_ARRAY);
	for (n = o ? o->first : NULL; n; n = n->next) {
		if (s.nr_zones == MMVM_MAX_ZONES || json_to_i64(n, &s.zone_free[s.nr_zones])) {
			bad(l, "%szone_free holds what is no number, or too many", l->where);
			return;
		}
		s.nr_zones++;
	}
	o = get_part(l, v, "levels", JSON_OBJECT);
	for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
		get_i64(l, o, level_names[item], &s.level[item]);
	o = get_part(l, v, "heat", JSON_ARRAY);
	for (n = o ? o->first : NULL; n; n = n->next, b++) {
		if (b == RUN_HEAT_BUCKETS || json_to_u64(n, &heat) || heat > UINT32_MAX) {
			bad(l, "%sheat holds what is no number, or too many", l->where);
			return;
		}
		s.heat[b] = (uint32_t)heat;
	}
	load_owners(l, v, &s);
	if (r->nr_samples && s.t_ns < r->samples[r->nr_samples - 1].t_ns)
		bad(l, "%st_ns goes back in time", l->where);
	run_result_add_sample(r, &s);
}

static int load_root(struct loader *l, const struct json_value *root, struct run_result *r)
{
	uint64_t schema = 0;
	bool complete = true;
	const struct json_value *v;
	unsigned int i;

	if (root->type != JSON_OBJECT) {
		bad(l, "it is not an object");
		return -1;
	}
	if (absent(json_get(root, "schema")))
		bad(l, "it has no \"schema\"");
	get_u64(l, root, "schema", &schema);
	if (!l->failed && schema != RUN_RESULT_SCHEMA)
		bad(l, "schema %llu, and this mmvm reads %u", (unsigned long long)schema,
		    RUN_RESULT_SCHEMA);
	get_bool(l, root, "complete", &complete);
	GET_TEXT(l, root, "command", r->command);
	load_config(l, root, r);
	load_outcome(l, root, r);
	load_guest(l, root, r);
	load_host(l, root, r);
	for_each_element(l, root, "access", v, i) load_access(l, v, r);
	for_each_element(l, root, "samples", v, i) load_sample(l, v, r);
	if (!l->failed && r->no_memory) {
		l->failed = true;
		mmvm_error(l->err, MMVM_EXIT_HOST, "not enough memory for %s", l->path);
	}
	r->no_memory = !complete;
	return l->failed ? -1 : 0;
}

static int load_doc(struct run_result *r, const char *name, struct json_doc *doc,
		    struct mmvm_error *err)
{
	struct loader l = {.path = name, .err = err};
	int ret = load_root(&l, doc->root, r);

	json_doc_free(doc);
	if (ret)
		run_result_free(r);
	return ret;
}

int run_result_parse(struct run_result *r, const char *name, const char *text, size_t len,
		     struct mmvm_error *err)
{
	struct json_doc doc;
	char why[160];
	int ret = json_parse(&doc, text, len, why, sizeof(why));

	run_result_init(r);
	if (ret)
		return mmvm_error(err, ret == -ENOMEM ? MMVM_EXIT_HOST : MMVM_EXIT_USAGE, "%s: %s",
				  name, why);
	return load_doc(r, name, &doc, err);
}

int run_result_load(struct run_result *r, const char *path, struct mmvm_error *err)
{
	struct json_doc doc;

	run_result_init(r);
	if (json_load(&doc, path, err))
		return -1;
	return load_doc(r, strcmp(path, "-") ? path : "standard input", &doc, err);
}
