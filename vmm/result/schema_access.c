/*
 * The rows of access sampling: one element a method, with its points over time and its score.
 */
#include "result/schema_rows.h"

static unsigned int windows(const struct run_result *r, const void *base)
{
	return RUN_ACCESS_WINDOWS;
}

static void write_window_samples(struct json *j, const struct run_result *r, const void *base)
{
	json_array(j, "window_samples");
	for (unsigned int w = 0; w < windows(r, base); w++)
		json_u64(j, NULL, run_access_window[w]);
	json_end_array(j);
}

static void write_pairs(struct json *j, const struct run_access *a,
			const struct run_access_point *p)
{
	if (!a->nr_nodes)
		return;
	json_array(j, "pairs");
	for (unsigned int i = 0; i < (a->nr_nodes + 1) * a->nr_nodes; i++)
		json_u64(j, NULL, p->pair[i]);
	json_end_array(j);
	json_object(j, "moves");
#define MOVE_(field, item) json_u64(j, #field, p->moves.field);
	RUN_ACCESS_MOVES(MOVE_)
#undef MOVE_
	json_end_object(j);
}

/** Points of a method that only knows how many have one window and no heat. */
static void write_points(struct json *j, const struct run_result *r, const void *base)
{
	const struct run_access *a = base;

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
		write_pairs(j, a, &a->points[p]);
		json_end_object(j);
	}
	json_end_array(j);
}

#define MOVE_(field, item) \
	{U64(#field), FIELD(run_access_point, moves.field), .flags = VALUE_RISES},
static const struct value moves_schema[] = {RUN_ACCESS_MOVES(MOVE_){0}};
#undef MOVE_

static const struct value point_schema[] = {
	{U64("t_ns"), FIELD(run_access_point, t_ns), .flags = VALUE_RISES, .unit = "ns",
	 .what = "since the machine began to run"},
	{U32("window"), FIELD(run_access_point, window), .nr = RUN_ACCESS_WINDOWS, .unit = "pages",
	 .what = "working sets, as access.window_samples; one number without has_pages"},
	{U32("heat"), FIELD(run_access_point, heat), .nr = RUN_HEAT_BUCKETS, .unit = "pages",
	 .what = "by address, config.heat_pages each; empty without has_pages"},
	{U32("pairs"), FIELD(run_access_point, pair), .nr = RUN_ACCESS_PAIRS, .unit = "pages",
	 .what = "row by row: node of the CPU (the last row: several or unknown), node of the "
		 "page; "
		 "only with access.nodes"},
	{OBJECT("moves"), .members = moves_schema, .source = "guest",
	 .what = "its counters so far; only with access.nodes"},
	{0}};

static const char *add_point(struct run_result *r, void *parent, void *element)
{
	run_access_add_point(parent, element);
	return NULL;
}

#define SCORE_(field) {U64(#field), FIELD(run_access, score.field)},
static const struct value score_schema[] = {RUN_ACCESS_SCORE(SCORE_){0}};
#undef SCORE_

static bool has_score(const struct run_result *r, const void *base)
{
	const struct run_access *a = base;

	return a->score.rounds || a->score.phases;
}

const struct value access_schema[] = {
	{TEXT("method"), FIELD(run_access, method), .what = "guest, unmap, dirty, refs"},
	{TEXT("why_not"), FIELD(run_access, why), .flags = VALUE_NULL | VALUE_ZERO_NULL,
	 .what = "why it does not work here; null: it works"},
	{BOOL("has_pages"), FIELD(run_access, has_pages),
	 .what = "it names pages, not only their number"},
	{U64("times"), FIELD(run_access, times), .what = "samples"},
	{U64("ns"), FIELD(run_access, ns), .unit = "ns", .what = "of the VMM"},
	{U64("guest_ticks"), FIELD(run_access, guest_ticks), .unit = "ticks", .source = "guest",
	 .what = "of the guest"},
	{U64("pages_total"), FIELD(run_access, pages_total), .unit = "pages",
	 .what = "over samples"},
	{U64("points_dropped"), FIELD(run_access, dropped), .what = "points without room"},
	{U32("nodes"), FIELD(run_access, nr_nodes),
	 .what = "of the points' matrix of accesses; 0: there is none"},
	{.name = "window_samples",
	 .type = VALUE_CUSTOM,
	 .write = write_window_samples,
	 .read = schema_read_nothing,
	 .what = "working sets of so many samples; 0: since the start"},
	{LIST("points", run_access, points, nr_points), .members = point_schema, .add = add_point,
	 .max = RUN_ACCESS_POINTS, .write = write_points, .what = "one a sample"},
	{OBJECT("score"), .members = score_schema, .there = has_score, .flags = VALUE_NULL,
	 .what = "held against a program's own word: RUN_ACCESS_SCORE of result.h"},
	{0}};

const char *schema_add_access(struct run_result *r, void *parent, void *element)
{
	struct run_access *a = element;

	if (a->nr_nodes > MMVM_MAX_NODES) {
		run_access_free(a);
		return "has more nodes than a machine can have";
	}
	run_result_add_access(r, a);
	run_access_free(a);
	return NULL;
}
