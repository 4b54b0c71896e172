/*
 * A run_result from the JSON that report_json() wrote: the way back, so that reports, comparisons
 * and metrics made from a file cannot differ from those made from the run.
 *
 *   RUN.json -> json_parse() -> the schema's rows -> struct run_result
 *
 * The first error is kept.
 *
 * Strict where it matters, open where it must be: a value of the wrong type, a list that is too
 * long or a number that does not fit is an error that names the place ("samples[3].dirty"); a key
 * that is not there stays absent, a key that is not known is ignored, so that files of older and
 * newer versions of the same schema can be read.
 */
#include "result/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct loader {
	const char *path;
	struct mmvm_error *err;
	bool failed;
	char where[96]; /* of the values being read, with a dot at the end: "samples[3]." */
};

void loader_bad(struct loader *l, const char *fmt, ...)
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

const char *loader_where(const struct loader *l)
{
	return l->where;
}

static bool absent(const struct json_value *v)
{
	return !v || v->type == JSON_NULL;
}

/** A whole number, element `i` of an array, checked for its type. */
static void read_number(struct loader *l, const struct value *v, const char *key,
			const struct json_value *n, void *base, unsigned int i)
{
	char *at = (char *)base + v->offset;
	uint64_t u = 0;
	int64_t s = 0;

	switch (v->type) {
	case VALUE_BOOL:
		if (n->type != JSON_BOOL)
			loader_bad(l, "%s%s is neither true nor false", l->where, key);
		else
			((bool *)at)[i] = n->boolean;
		return;
	case VALUE_I64:
	case VALUE_INT:
		if (json_to_i64(n, &s))
			loader_bad(l, "%s%s is not a signed whole number of 64 bits", l->where,
				   key);
		else if (v->type == VALUE_I64)
			((int64_t *)at)[i] = s;
		else if (s > INT32_MAX || s < INT32_MIN)
			loader_bad(l, "%s%s is above 32 bits", l->where, key);
		else
			((int *)at)[i] = (int)s;
		return;
	default:
		if (json_to_u64(n, &u))
			loader_bad(l, "%s%s is not a whole number of 64 bits", l->where, key);
		else if (v->type == VALUE_U64)
			((uint64_t *)at)[i] = u;
		else if (u > UINT32_MAX)
			loader_bad(l, "%s%s is above 32 bits", l->where, key);
		else
			((uint32_t *)at)[i] = (uint32_t)u;
	}
}

/** Cut to fit: the fields are as long as the writer's. */
static void read_text(struct loader *l, const struct value *v, const struct json_value *n,
		      void *base)
{
	char *to = (char *)base + v->offset;
	size_t len;

	if (n->type != JSON_STRING) {
		loader_bad(l, "%s%s is not a text", l->where, v->name);
		return;
	}
	len = n->len < v->size - 1 ? n->len : v->size - 1;
	memcpy(to, n->text, len);
	to[len] = '\0';
}

/** Numbers side by side; those that are not there stay as they are. */
static void read_array(struct loader *l, const struct value *v, const struct json_value *a,
		       void *base)
{
	unsigned int i = 0;

	if (v->names) {
		for (; i < v->nr; i++) {
			const struct json_value *n = json_get(a, v->names[i]);

			if (!absent(n))
				read_number(l, v, v->names[i], n, base, i);
		}
		return;
	}
	for (const struct json_value *n = a->first; n; n = n->next, i++) {
		if (i == v->nr) {
			loader_bad(l, "%s%s has more than %u elements", l->where, v->name, v->nr);
			return;
		}
		read_number(l, v, v->name, n, base, i);
	}
	if (v->nr_offset)
		*(unsigned int *)((char *)base + v->nr_offset) = i;
}

/** Rows that must not fall from element to element. */
static void check_rises(struct loader *l, const struct value *list, const void *element,
			uint64_t *last)
{
	for (const struct value *v = list->members; v->type != VALUE_END; v++) {
		if (!(v->flags & VALUE_RISES))
			continue;
		if (value_number(v, element, 0) < *last)
			loader_bad(l, "%s%s goes back in time", l->where, v->name);
		*last = value_number(v, element, 0);
		return;
	}
}

static void read_list(struct loader *l, const struct value *v, const struct json_value *a,
		      struct run_result *r, void *base)
{
	char where[sizeof(l->where)];
	unsigned int i = 0;
	uint64_t last = 0;

	memcpy(where, l->where, sizeof(where));
	for (const struct json_value *n = a->first; n && !l->failed; n = n->next, i++) {
		void *element = calloc(1, v->size);
		const char *wrong;

		if (!element) {
			r->no_memory = true;
			return;
		}
		if (n->type != JSON_OBJECT)
			loader_bad(l, "%s%s[%u] is not an object", where, v->name, i);
		if (v->max && i >= v->max)
			loader_bad(l, "%s%s has more than %u elements", where, v->name, v->max);
		snprintf(l->where, sizeof(l->where), "%.60s%s[%u].", where, v->name, i);
		schema_read(l, v->members, n, r, element);
		check_rises(l, v, element, &last);
		wrong = v->add(r, base, element);
		if (wrong)
			loader_bad(l, "%s %s", l->where, wrong);
		free(element);
	}
	memcpy(l->where, where, sizeof(where));
}

/** The value is there and not null. */
static void read_value(struct loader *l, const struct value *v, const struct json_value *n,
		       struct run_result *r, void *base)
{
	const bool array = v->type == VALUE_LIST || (v->nr && !v->names);
	char where[sizeof(l->where)];

	if ((array && n->type != JSON_ARRAY) ||
	    ((v->type == VALUE_OBJECT || v->names) && n->type != JSON_OBJECT)) {
		loader_bad(l, "%s%s is not %s", l->where, v->name, array ? "a list" : "an object");
		return;
	}
	memcpy(where, l->where, sizeof(where));
	if (v->type == VALUE_OBJECT || v->names)
		snprintf(l->where, sizeof(l->where), "%.60s%.30s.", where, v->name);
	if (v->type == VALUE_OBJECT)
		schema_read(l, v->members, n, r, base);
	else if (v->type == VALUE_LIST)
		read_list(l, v, n, r, base);
	else if (v->type == VALUE_TEXT)
		read_text(l, v, n, base);
	else if (v->nr)
		read_array(l, v, n, base);
	else
		read_number(l, v, v->name, n, base, 0);
	memcpy(l->where, where, sizeof(where));
}

void schema_read(struct loader *l, const struct value *table, const struct json_value *o,
		 struct run_result *r, void *base)
{
	for (const struct value *v = table; v->type != VALUE_END && !l->failed; v++) {
		const struct json_value *n = json_get(o, v->name);

		if (v->type == VALUE_CUSTOM) {
			v->read(l, o, r, base);
			continue;
		}
		if (absent(n))
			continue;
		if (v->has != HAS_NOTHING)
			*(bool *)((v->has == HAS_IN_RESULT ? (char *)r : (char *)base) +
				  v->has_offset) = true;
		if (!(v->flags & VALUE_IGNORE))
			read_value(l, v, n, r, base);
	}
}

static int load_root(struct loader *l, const struct json_value *root, struct run_result *r)
{
	const struct json_value *version, *complete;
	uint64_t schema = 0;

	if (root->type != JSON_OBJECT) {
		loader_bad(l, "it is not an object");
		return -1;
	}
	version = json_get(root, "schema");
	complete = json_get(root, "complete");
	if (absent(version))
		loader_bad(l, "it has no \"schema\"");
	else if (json_to_u64(version, &schema))
		loader_bad(l, "schema is not a whole number of 64 bits");
	else if (schema != RUN_RESULT_SCHEMA)
		loader_bad(l, "schema %llu, and this mmvm reads %u", (unsigned long long)schema,
			   RUN_RESULT_SCHEMA);
	if (!absent(complete) && complete->type != JSON_BOOL)
		loader_bad(l, "complete is neither true nor false");
	schema_read(l, result_schema, root, r, r);
	if (!l->failed && absent(json_get(root, "outcome")))
		loader_bad(l, "outcome.kind is missing or not one that is known");
	if (!l->failed && r->no_memory) {
		l->failed = true;
		mmvm_error(l->err, MMVM_EXIT_HOST, "not enough memory for %s", l->path);
	}
	/* Until here no_memory spoke of the loading. */
	r->no_memory = !absent(complete) && complete->type == JSON_BOOL && !complete->boolean;
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
