/*
 * Walking the schema: is a value there, how many are there, which number is it; and the reference
 * page.
 */
#include "result/schema.h"

#include <errno.h>
#include <string.h>

bool value_is_there(const struct value *v, const struct run_result *r, const void *base)
{
	if (v->there && !v->there(r, base))
		return false;
	if (v->has != HAS_NOTHING) {
		const char *from = v->has == HAS_IN_RESULT ? (const char *)r : base;

		if (!*(const bool *)(from + v->has_offset))
			return false;
	}
	if (!(v->flags & VALUE_ZERO_NULL))
		return true;
	return v->type == VALUE_TEXT ? *((const char *)base + v->offset) != '\0'
				     : value_number(v, base, 0) != 0;
}

unsigned int value_count(const struct value *v, const struct run_result *r, const void *base)
{
	if (v->type == VALUE_LIST)
		return *(const unsigned int *)((const char *)base + v->nr_offset);
	return v->length ? v->length(r, base) : v->nr;
}

const void *value_element(const struct value *v, const void *base, unsigned int i)
{
	return *(const char *const *)((const char *)base + v->offset) + v->size * i;
}

uint64_t value_number(const struct value *v, const void *base, unsigned int i)
{
	const char *at = (const char *)base + v->offset;

	switch (v->type) {
	case VALUE_U32:
		return ((const uint32_t *)at)[i];
	case VALUE_INT:
		return (uint64_t)(int64_t)((const int *)at)[i];
	case VALUE_BOOL:
		return ((const bool *)at)[i];
	default: /* 64 bits, signed or not */
		return ((const uint64_t *)at)[i];
	}
}

/* ---- the reference page ------------------------------------------------------------------------ */

static const char *type_text(const struct value *v)
{
	if (v->type == VALUE_OBJECT || v->names)
		return "object";
	if (v->type == VALUE_LIST || v->nr)
		return "list";
	if (v->type == VALUE_TEXT)
		return "text";
	if (v->type == VALUE_BOOL)
		return "true or false";
	if (v->type == VALUE_CUSTOM)
		return "see there";
	return v->type == VALUE_INT || v->type == VALUE_I64 ? "signed" : "number";
}

static void print_table(FILE *f, const struct value *table, const char *prefix, const char *source)
{
	for (const struct value *v = table; v->type != VALUE_END; v++) {
		const char *from = v->source ? v->source : source;
		char name[96];

		snprintf(name, sizeof(name), "%s%s%s", prefix, v->name,
			 v->type == VALUE_LIST ? "[]" : "");
		fprintf(f, "| `%s` | %s%s | %s | %s | %s |", name, type_text(v),
			v->flags & VALUE_NULL ? " or null" : "", v->unit ? v->unit : "",
			from ? from : "", v->what ? v->what : "");
		if (v->metric.family)
			fprintf(f, " `%s%s`", v->metric.family,
				!strcmp(v->metric.type, "counter") ? "_total" : "");
		fputs(" |\n", f);
		if (v->members) {
			strcat(name, ".");
			print_table(f, v->members, name, from);
		}
	}
}

int schema_print(FILE *f)
{
	fprintf(f,
		"# The result of a run\n\n"
		"<!-- Written by `mmvm report --schema`: change vmm/result/schema.c instead. "
		"-->\n\n"
		"`mmvm run --json FILE` writes this, `\"schema\": %u`. Numbers are whole, in the "
		"unit "
		"given. What was\nnot measured is null or not there, never 0. Readers accept files "
		"with keys they do not know, and files\nwithout keys they know. `mmvm report` "
		"makes a "
		"page, a table, CSV or OpenMetrics of it; the last column\nnames the metric. The "
		"CSV has "
		"one line a sample.\n\n"
		"| key | type | unit | source | meaning | metric |\n|---|---|---|---|---|---|\n",
		RUN_RESULT_SCHEMA);
	print_table(f, result_schema, "", NULL);
	return ferror(f) ? -EIO : 0;
}
