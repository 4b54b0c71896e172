/*
 * How a row of the schema is written down, and the tables that schema.c takes from its neighbours.
 */
#ifndef VMM_RESULT_SCHEMA_ROWS_H
#define VMM_RESULT_SCHEMA_ROWS_H

#include "result/schema.h"

#define FIELD(base, member) \
	.offset = offsetof(struct base, member), .size = sizeof(((struct base *)0)->member)
#define R(member)   FIELD(run_result, member)
#define U64(key)    .name = key, .type = VALUE_U64
#define U32(key)    .name = key, .type = VALUE_U32
#define INT(key)    .name = key, .type = VALUE_INT
#define I64(key)    .name = key, .type = VALUE_I64
#define BOOL(key)   .name = key, .type = VALUE_BOOL
#define TEXT(key)   .name = key, .type = VALUE_TEXT
#define OBJECT(key) .name = key, .type = VALUE_OBJECT
#define LIST(key, base, pointer, count)                                            \
	.name = key, .type = VALUE_LIST, .offset = offsetof(struct base, pointer), \
	.size = sizeof(*((struct base *)0)->pointer), .nr_offset = offsetof(struct base, count)
#define HAS(base, member, where) .has = HAS_IN_##where, .has_offset = offsetof(struct base, member)
#define METRIC_BY(f, t, u, h, l, s)                                                  \
	{                                                                            \
		.family = f, .type = t, .unit = u, .help = h, .label = l, .shift = s \
	}
#define METRIC(f, t, u, h) METRIC_BY(f, t, u, h, NULL, 0)
#define HAS_R(member)	   HAS(run_result, member, RESULT)

/** schema.c: read() of a row that is written for readers of the file only. */
void schema_read_nothing(struct loader *l, const struct json_value *v, struct run_result *r,
			 void *base);
/** schema.c: read an object of names and numbers, and give each to `add`. */
void schema_read_map(struct loader *l, const char *key, const struct json_value *v,
		     struct run_result *r,
		     void (*add)(struct run_result *r, const char *name, uint64_t value));

/* schema_host.c, schema_access.c: tables, and the add() and labels() of their lists. */
extern const struct value dirty_schema[], balloon_schema[], disk_schema[], pmem_schema[],
	kvm_schema[], exit_schema[], place_schema[], access_schema[];
const char *schema_add_pmem(struct run_result *r, void *parent, void *element);
void schema_pmem_labels(FILE *f, unsigned int i, const void *element);
const char *schema_add_disk(struct run_result *r, void *parent, void *element);
void schema_disk_labels(FILE *f, unsigned int i, const void *element);
const char *schema_add_kvm(struct run_result *r, void *parent, void *element);
const char *schema_add_exit(struct run_result *r, void *parent, void *element);
void schema_exit_labels(FILE *f, unsigned int i, const void *element);
const char *schema_add_place(struct run_result *r, void *parent, void *element);
const char *schema_add_access(struct run_result *r, void *parent, void *element);

#endif
