/*
 * A run_result for programs, by its schema: JSON (everything) and CSV (the timeline).
 */
#include "result/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void write_number(struct json *j, const char *key, const struct value *v, const void *base,
			 unsigned int i)
{
	uint64_t n = value_number(v, base, i);

	if (v->type == VALUE_INT || v->type == VALUE_I64)
		json_i64(j, key, (int64_t)n);
	else if (v->type == VALUE_BOOL)
		json_bool(j, key, n != 0);
	else
		json_u64(j, key, n);
}

/** Numbers side by side: a list, or by their names an object. */
static void write_array(struct json *j, const struct value *v, const struct run_result *r,
			const void *base)
{
	unsigned int nr = value_count(v, r, base);

	if (v->names)
		json_object(j, v->name);
	else
		json_array(j, v->name);
	for (unsigned int i = 0; i < nr; i++)
		if (!(v->flags & VALUE_SKIP_ZERO) || value_number(v, base, i))
			write_number(j, v->names ? v->names[i] : NULL, v, base, i);
	if (v->names)
		json_end_object(j);
	else
		json_end_array(j);
}

static void write_list(struct json *j, const struct value *v, const struct run_result *r,
		       const void *base)
{
	unsigned int nr = value_count(v, r, base);

	json_array(j, v->name);
	for (unsigned int i = 0; i < nr; i++) {
		json_object(j, NULL);
		schema_write(j, v->members, r, value_element(v, base, i));
		json_end_object(j);
	}
	json_end_array(j);
}

static void write_value(struct json *j, const struct value *v, const struct run_result *r,
			const void *base)
{
	if (v->write) {
		v->write(j, r, base);
	} else if (v->type == VALUE_OBJECT) {
		json_object(j, v->name);
		schema_write(j, v->members, r, base);
		json_end_object(j);
	} else if (v->type == VALUE_LIST) {
		write_list(j, v, r, base);
	} else if (v->type == VALUE_TEXT) {
		json_string(j, v->name, (const char *)base + v->offset);
	} else if (v->nr) {
		write_array(j, v, r, base);
	} else {
		write_number(j, v->name, v, base, 0);
	}
}

void schema_write(struct json *j, const struct value *table, const struct run_result *r,
		  const void *base)
{
	for (const struct value *v = table; v->type != VALUE_END; v++) {
		if (value_is_there(v, r, base))
			write_value(j, v, r, base);
		else if (v->flags & VALUE_NULL)
			json_null(j, v->name);
	}
}

int report_json(FILE *f, const struct run_result *r)
{
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	schema_write(&j, result_schema, r, r);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

/* ---- CSV --------------------------------------------------------------------------------------- */

/** The guest chose the name: letters, digits and - only, so that a column is one column. */
static void put_zone_column(FILE *f, const struct run_zone *z)
{
	fprintf(f, ",free_%u_", z->node);
	for (size_t n = 0; n < sizeof(z->name) - 1 && z->name[n]; n++) {
		char c = z->name[n];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || c == '-';

		putc(plain ? c : '_', f);
	}
}

static void put_cell(FILE *f, const struct value *v, const void *base, unsigned int i)
{
	if (v->type == VALUE_I64 || v->type == VALUE_INT)
		fprintf(f, "%" PRId64, (int64_t)value_number(v, base, i));
	else
		fprintf(f, "%" PRIu64, value_number(v, base, i));
}

/** A line: the columns' names, or (s) their values. Free pages of each zone come last. */
static void put_line(FILE *f, const struct run_result *r, const struct run_sample *s)
{
	const char *comma = "";

	for (const struct value *v = sample_schema; v->type != VALUE_END; v++) {
		for (unsigned int i = 0; (v->flags & VALUE_CSV) && i < (v->nr ? v->nr : 1); i++) {
			fputs(comma, f);
			comma = ",";
			if (s)
				put_cell(f, v, s, i);
			else
				fputs(v->names ? v->names[i] : v->name, f);
		}
	}
	for (unsigned int z = 0; z < r->nr_zones; z++) {
		if (!s)
			put_zone_column(f, &r->zones[z]);
		else if (z < s->nr_zones)
			fprintf(f, ",%" PRId64, s->zone_free[z]);
		else
			putc(',', f);
	}
	putc('\n', f);
}

int report_csv(FILE *f, const struct run_result *r)
{
	put_line(f, r, NULL);
	for (unsigned int i = 0; i < r->nr_samples; i++)
		put_line(f, r, &r->samples[i]);
	return ferror(f) ? -EIO : 0;
}
