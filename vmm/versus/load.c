/*
 * Back from the JSON of `mmvm versus`. The file is a stranger's: what is missing or of the wrong kind is refused, and
 * what is more than fits, too.
 */
#include <stdlib.h>
#include <string.h>
#include "result/json_read.h"
#include "versus/versus.h"

static int bad(struct mmvm_error *err, const char *path, const char *what)
{
	return mmvm_error(err, MMVM_EXIT_USAGE, "%s is no result of mmvm versus: %s", path, what);
}

static bool is_array(const struct json_value *v)
{
	return v && v->type == JSON_ARRAY;
}

static bool copy_text(const struct json_value *v, char *to, size_t size)
{
	if (!v || v->type != JSON_STRING || v->len >= size || strlen(v->text) != v->len)
		return false;
	strcpy(to, v->text);
	return true;
}

bool versus_is_result(const char *path)
{
	struct json_doc doc;
	bool is = false;

	if (!strcmp(path, "-") || json_load(&doc, path, NULL))
		return false;
	is = is_array(json_get(doc.root, "systems")) && json_get(doc.root, "swap_bytes");
	json_doc_free(&doc);
	return is;
}

static const char *load_run(struct versus_run *run, const struct json_value *v)
{
	if (v->type != JSON_OBJECT)
		return "a run is no object";
	for (const struct json_value *m = v->first; m; m = m->next) {
		struct versus_value *value = &run->value[run->nr];

		if (run->nr == VERSUS_MAX_VALUES)
			return "a run has too many values";
		if (strlen(m->key) >= sizeof(value->name) || json_to_u64(m, &value->value))
			return "a value of a run is no number with a short name";
		strcpy(value->name, m->key);
		run->nr++;
	}
	return NULL;
}

static const char *load_curve(struct versus_curve *curve, const struct json_value *v)
{
	for (const struct json_value *m = v->first; m; m = m->next) {
		struct versus_point *p = &curve->point[curve->nr];

		if (curve->nr == VERSUS_MAX_POINTS)
			return "a curve has too many points";
		if (json_to_u64(json_get(m, "ticks"), &p->ticks) ||
		    json_to_u64(json_get(m, "rss_kib"), &p->rss) ||
		    json_to_u64(json_get(m, "referenced_kib"), &p->referenced) ||
		    json_to_u64(json_get(m, "swap_kib"), &p->swap))
			return "a point of a curve is not whole";
		curve->nr++;
	}
	return NULL;
}

static const char *load_system(struct versus_system *s, const struct json_value *v)
{
	const struct json_value *runs = json_get(v, "runs"), *curve = json_get(v, "curve");
	const char *why;

	if (!copy_text(json_get(v, "name"), s->name, sizeof(s->name)))
		return "a system has no name";
	if (json_to_u64(json_get(v, "ram_bytes"), &s->memory))
		return "a system has no RAM";
	if (!is_array(runs) || !runs->nr)
		return "a system has no runs";
	s->policy = strcmp(s->name, "linux") ? s->name : NULL;
	for (const struct json_value *m = runs->first; m; m = m->next) {
		if (s->nr_runs == VERSUS_MAX_RUNS)
			return "a system has too many runs";
		why = load_run(&s->run[s->nr_runs++], m);
		if (why)
			return why;
	}
	return is_array(curve) ? load_curve(&s->curve, curve) : NULL;
}

/** A list of strings, in memory of its own. */
static int load_words(const struct json_value *v, const char *const **words, unsigned int *nr)
{
	char **list;

	*nr = 0;
	if (!is_array(v))
		return 0;
	list = calloc(v->nr + 1, sizeof(*list));
	if (!list)
		return -1;
	*words = (const char *const *)list;
	for (const struct json_value *m = v->first; m; m = m->next)
		if (m->type == JSON_STRING && (list[*nr] = strdup(m->text)))
			++*nr;
	return 0;
}

int versus_load(struct versus *v, const char *path, struct mmvm_error *err)
{
	const struct json_value *systems, *program;
	const char *why = NULL;
	uint64_t schema, ms = 0;
	struct json_doc doc;
	int rc = -1;

	memset(v, 0, sizeof(*v));
	if (json_load(&doc, path, err))
		return -1;
	systems = json_get(doc.root, "systems");
	program = json_get(doc.root, "program");
	if (json_to_u64(json_get(doc.root, "schema"), &schema) || schema != 1) {
		bad(err, path, "it has no \"schema\" that is 1");
		goto out;
	}
	if (!is_array(systems) || !systems->nr || systems->nr > VERSUS_MAX_SYSTEMS || !program ||
	    program->type != JSON_STRING ||
	    json_to_u64(json_get(doc.root, "swap_bytes"), &v->swap) ||
	    !copy_text(json_get(doc.root, "linux"), v->release, sizeof(v->release))) {
		bad(err, path, "program, swap, Linux or systems are missing");
		goto out;
	}
	if (!json_to_u64(json_get(doc.root, "curve_ms"), &ms) && ms <= 60000)
		v->curve_ms = (unsigned int)ms;
	v->program = strdup(program->text);
	if (!v->program || load_words(json_get(doc.root, "arguments"), &v->args, &v->nr_args) ||
	    load_words(json_get(doc.root, "sysctl"), &v->knobs, &v->nr_knobs)) {
		mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
		goto out;
	}
	for (const struct json_value *m = systems->first; m && !why; m = m->next)
		why = load_system(&v->system[v->nr++], m);
	if (why) {
		bad(err, path, why);
		goto out;
	}
	v->runs = v->system[0].nr_runs;
	v->memory = v->system[0].memory;
	rc = 0;
out:
	json_doc_free(&doc);
	return rc;
}

static void free_words(const char *const *words, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		free((char *)words[i]);
	free((void *)words);
}

void versus_free(struct versus *v)
{
	free((char *)v->program);
	free_words(v->args, v->nr_args);
	free_words(v->knobs, v->nr_knobs);
	memset(v, 0, sizeof(*v));
}
