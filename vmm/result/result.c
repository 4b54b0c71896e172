/*
 * The run_result's memory: arrays that grow by doubling, texts cut at the size of their field. A
 * result that could not be stored in full says so (no_memory) instead of ending the run: the
 * numbers that are there stay right.
 */
#include "result/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const unsigned int run_access_window[RUN_ACCESS_WINDOWS] = {1, 4, 16, 0};

void run_result_init(struct run_result *r)
{
	memset(r, 0, sizeof(*r));
}

void run_result_free(struct run_result *r)
{
	for (unsigned int i = 0; i < r->nr_kvm; i++)
		free(r->kvm[i].values);
	for (unsigned int i = 0; i < r->nr_reports; i++)
		free(r->reports[i].text);
	for (unsigned int i = 0; i < r->nr_access; i++)
		run_access_free(&r->access[i]);
	free(r->access);
	free(r->samples);
	free(r->counters);
	free(r->nodes);
	free(r->zones);
	free(r->disks);
	free(r->pmem);
	free(r->kvm);
	free(r->exits);
	free(r->places);
	free(r->checks);
	free(r->reasons);
	free(r->observers);
	free(r->reports);
	run_result_init(r);
}

/** Copy text into a field, cut to fit; the writers mend a character that the cut broke. */
static void set_text(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = '\0';
}
#define SET_TEXT(field, src) set_text(field, sizeof(field), src)

void run_result_set_command(struct run_result *r, int argc, char **argv)
{
	size_t used = 0;

	r->command[0] = '\0';
	for (int i = 0; i < argc && used < sizeof(r->command) - 1; i++) {
		if (i > 0)
			r->command[used++] = ' ';
		set_text(r->command + used, sizeof(r->command) - used, argv[i]);
		used += strlen(r->command + used);
	}
}

/** Room for one more element at the end of an array of `*nr` elements; NULL when there is none. The
 * capacity is not stored: it is the next power of two, at least 8. */
static void *grow(struct run_result *r, void **array, unsigned int *nr, size_t elem)
{
	unsigned int n = *nr;

	if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) {
		size_t room = n < 8 ? 8 : (size_t)n * 2;
		void *bigger = realloc(*array, room * elem);

		if (!bigger) {
			r->no_memory = true;
			return NULL;
		}
		*array = bigger;
	}
	*nr = n + 1;
	return memset((char *)*array + (size_t)n * elem, 0, elem);
}
#define GROW(r, list) grow(r, (void **)&(r)->list, &(r)->nr_##list, sizeof(*(r)->list))

void run_result_add_sample(struct run_result *r, const struct run_sample *s)
{
	struct run_sample *slot = GROW(r, samples);

	if (!slot)
		return;
	*slot = *s;
	if (slot->nr_zones > MMVM_MAX_ZONES)
		slot->nr_zones = MMVM_MAX_ZONES;
}

void run_result_add_counter(struct run_result *r, const char *name, uint64_t value)
{
	struct run_counter *slot = GROW(r, counters);

	if (!slot)
		return;
	SET_TEXT(slot->name, name);
	slot->value = value;
}

void run_result_add_reason(struct run_result *r, const char *name, uint64_t pages)
{
	struct run_counter *slot = GROW(r, reasons);

	if (!slot)
		return;
	SET_TEXT(slot->name, name);
	slot->value = pages;
}

void run_result_add_observer(struct run_result *r, const struct run_observer *o)
{
	struct run_observer *slot = GROW(r, observers);

	if (slot)
		*slot = *o;
}

void run_result_add_node(struct run_result *r, const struct run_node *n)
{
	struct run_node *slot = GROW(r, nodes);

	if (slot)
		*slot = *n;
}

void run_result_add_zone(struct run_result *r, const struct run_zone *z)
{
	struct run_zone *slot = GROW(r, zones);

	if (slot) {
		*slot = *z;
		slot->name[sizeof(slot->name) - 1] = '\0';
	}
}

void run_result_add_disk(struct run_result *r, const char *role, uint64_t size,
			 const struct mmvm_disk_stats *stats)
{
	struct run_disk *slot = GROW(r, disks);

	if (!slot)
		return;
	SET_TEXT(slot->role, role);
	slot->size = size;
	slot->stats = *stats;
}

void run_result_add_pmem(struct run_result *r, const struct run_pmem *p)
{
	struct run_pmem *slot = GROW(r, pmem);

	if (slot)
		*slot = *p;
}

void run_result_add_kvm(struct run_result *r, const struct run_kvm_stat *s)
{
	struct run_kvm_stat *slot;
	uint64_t *values;

	for (unsigned int i = 0; i < r->nr_kvm; i++) {
		slot = &r->kvm[i];
		if (strcmp(slot->name, s->name) || strcmp(slot->scope, s->scope) ||
		    slot->nr_values != s->nr_values)
			continue;
		for (unsigned int v = 0; v < s->nr_values; v++)
			slot->values[v] += s->values[v];
		return;
	}
	values = malloc(sizeof(*values) * (s->nr_values ? s->nr_values : 1));
	if (!values) {
		r->no_memory = true;
		return;
	}
	slot = GROW(r, kvm);
	if (!slot) {
		free(values);
		return;
	}
	*slot = *s;
	slot->values = values;
	memcpy(values, s->values, sizeof(*values) * s->nr_values);
}

void run_result_add_exit(struct run_result *r, const char *name, uint64_t count, uint64_t ns)
{
	struct run_exit *slot = GROW(r, exits);

	if (!slot)
		return;
	SET_TEXT(slot->name, name);
	slot->count = count;
	slot->ns = ns;
}

void run_result_add_exit_place(struct run_result *r, const struct run_exit_place *place)
{
	struct run_exit_place *slot = GROW(r, places);

	if (slot)
		*slot = *place;
}

void run_result_exit_times(struct run_result *r, const uint64_t *log2_ticks)
{
	if (r->nr_exits)
		memcpy(r->exits[r->nr_exits - 1].log2_ticks, log2_ticks,
		       sizeof(r->exits->log2_ticks));
}

bool run_result_add_check(struct run_result *r, const char *name, uint64_t guest, uint64_t host,
			  const char *note)
{
	struct run_check *slot = GROW(r, checks);

	if (slot) {
		SET_TEXT(slot->name, name);
		slot->guest = guest;
		slot->host = host;
		slot->equal = guest == host;
		SET_TEXT(slot->note, note ? note : "");
	}
	return guest == host;
}

/** A guest may send a report again, or many of one name; as keys of an object they must differ: the
 * later ones get their number. Only that number stands behind a '#', and what is not plain ASCII
 * (and might look the same once made safe) is replaced, so that no name is taken twice. */
static void unique_report_name(const struct run_result *r, const char *name, char out[32])
{
	set_text(out, 32, name);
	for (char *c = out; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '#')
			*c = '_';
	for (unsigned int i = 0; i < r->nr_reports; i++) {
		if (strcmp(r->reports[i].name, out))
			continue;
		snprintf(out + strnlen(out, 20), 12, "#%u", r->nr_reports + 1);
		return;
	}
}

void run_result_keep_report(struct run_result *r, const char *name, const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	struct run_report *slot;

	if (!copy) {
		r->no_memory = true;
		return;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	slot = GROW(r, reports);
	if (!slot) {
		free(copy);
		return;
	}
	SET_TEXT(slot->name, name);
	slot->text = copy;
}

void run_result_add_report(struct run_result *r, const char *name, const char *text, size_t len)
{
	char unique[sizeof(r->reports->name)];

	if (r->nr_reports == RUN_MAX_REPORTS) {
		r->records_dropped++;
		return;
	}
	unique_report_name(r, name, unique);
	run_result_keep_report(r, unique, text, len);
}

uint64_t run_result_counter(const struct run_result *r, const char *name, bool *found)
{
	for (unsigned int i = 0; i < r->nr_counters; i++) {
		if (strcmp(r->counters[i].name, name))
			continue;
		if (found)
			*found = true;
		return r->counters[i].value;
	}
	if (found)
		*found = false;
	return 0;
}

int64_t run_result_level(const struct run_result *r, unsigned int item)
{
	int64_t sum = 0;

	if (item >= NR_ZONE_STAT_ITEMS)
		return 0;
	/* Guest values: they may overflow by malice; wrap, as unsigned numbers may. */
	for (unsigned int i = 0; i < r->nr_zones; i++)
		sum = (int64_t)((uint64_t)sum + (uint64_t)r->zones[i].stat[item]);
	return sum;
}

bool run_result_checks_ok(const struct run_result *r)
{
	for (unsigned int i = 0; i < r->nr_checks; i++)
		if (!r->checks[i].equal)
			return false;
	return !r->no_memory;
}

const char *outcome_name(enum outcome_kind kind)
{
	switch (kind) {
	case OUTCOME_EXITED:
		return "exited";
	case OUTCOME_CRASHED:
		return "crashed";
	case OUTCOME_TIMEOUT:
		return "timeout";
	case OUTCOME_STOPPED:
		return "stopped";
	case OUTCOME_HOST_ERROR:
		return "host error";
	}
	return "unknown";
}

void run_access_free(struct run_access *a)
{
	free(a->points);
	a->points = NULL;
	a->nr_points = 0;
}

void run_access_add_point(struct run_access *a, const struct run_access_point *p)
{
	unsigned int n = a->nr_points;

	if (n == RUN_ACCESS_POINTS) {
		a->dropped++;
		return;
	}
	if (n == 0 || (n >= 64 && (n & (n - 1)) == 0)) {
		struct run_access_point *more =
			realloc(a->points, (n ? 2 * (size_t)n : 64) * sizeof(*more));

		if (!more) {
			a->dropped++;
			return;
		}
		a->points = more;
	}
	a->points[n] = *p;
	a->nr_points = n + 1;
}

void run_result_add_access(struct run_result *r, struct run_access *a)
{
	struct run_access *slot = GROW(r, access);

	if (!slot)
		return;
	*slot = *a;
	a->points = NULL;
	a->nr_points = 0;
}
