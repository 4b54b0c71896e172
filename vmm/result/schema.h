/*
 * The schema of a result: every value of struct run_result declared once, with its name, type, unit,
 * source and meaning. From it come the JSON that is written, the JSON that is read, the CSV's
 * columns, the OpenMetrics families, and the reference page doc/result.md.
 *
 * A value is a row of a table; a table describes one struct, its base. Rows of type VALUE_OBJECT
 * have a table of their own for the same base, rows of type VALUE_LIST one for their elements.
 */
#ifndef VMM_RESULT_SCHEMA_H
#define VMM_RESULT_SCHEMA_H

#include "result/json.h"
#include "result/json_read.h"
#include "result/result.h"

enum value_type {
	VALUE_END, /* of a table */
	VALUE_U64,
	VALUE_U32,
	VALUE_INT,
	VALUE_I64,
	VALUE_BOOL,
	VALUE_TEXT,   /* char[size] */
	VALUE_OBJECT, /* `members` of the same base */
	VALUE_LIST,   /* of structs: a pointer at `offset`, their number at `nr_offset`; write()
		       * may replace the writing */
	VALUE_CUSTOM, /* write() and read() do it */
};

/* What a row asks for beside its type */
#define VALUE_NULL	0x01u /* what is not there is null; without this, the key is not there */
#define VALUE_ZERO_NULL 0x02u /* 0 or "" means not known: null */
#define VALUE_SKIP_ZERO 0x04u /* of an array with names: only what is not 0 */
#define VALUE_CSV	0x08u /* a column of the CSV (samples only) */
#define VALUE_RISES	0x10u /* from element to element of its list it does not fall */
#define VALUE_IGNORE	0x20u /* written for readers of the file; what is read is ignored */

struct value;
/** Where a file is wrong; the first mistake is kept. */
struct loader;
void loader_bad(struct loader *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The object that is being read: "kvm[3]." */
const char *loader_where(const struct loader *l);

/** As a metric. The unit "seconds" makes seconds of nanoseconds, "bytes" of sectors bytes. */
struct value_metric {
	const char *family; /* NULL: it is none */
	const char *type;   /* "counter", "gauge" */
	const char *unit;   /* "seconds", "bytes", or NULL */
	const char *help;
	const char *label;  /* more labels of this value: "op=\"read\"", or NULL */
	unsigned int shift; /* the value is shifted left by so many bits */
};

struct value {
	const char *name; /* its key */
	enum value_type type;
	size_t offset;	  /* in the base */
	size_t size;	  /* of the field; of a list's element */
	unsigned int nr;  /* > 0: an array of so many; a JSON list, or with names an object */
	size_t nr_offset; /* where the number of elements stands (unsigned int) */
	const char *const *names; /* of an array's elements */
	const struct value *members;
	unsigned int flags;
	/** Where a bool says that the value is there; offset in the result or in the base. Reading
	 * sets it. */
	enum { HAS_NOTHING, HAS_IN_RESULT, HAS_IN_BASE } has;
	size_t has_offset;
	/** More about being there, or NULL. */
	bool (*there)(const struct run_result *r, const void *base);
	/** Number of an array's elements that are written; NULL: all. */
	unsigned int (*length)(const struct run_result *r, const void *base);
	/** VALUE_LIST: keep an element that was read (`parent`: the base of the list). NULL or what
	 * is wrong with it. */
	const char *(*add)(struct run_result *r, void *parent, void *element);
	unsigned int max; /* elements of a list; 0: any number */
	void (*write)(struct json *j, const struct run_result *r, const void *base);
	/** `v` is the object that the row belongs to. */
	void (*read)(struct loader *l, const struct json_value *v, struct run_result *r,
		     void *base);

	const char *unit; /* "pages", "bytes", "ns" ..., or NULL */
	const char
		*source;  /* who says so: "guest", "KVM", "mmvm" ...; NULL: as the row around it */
	const char *what; /* one line */
	struct value_metric metric;
	/** VALUE_LIST: labels of its elements' metrics: writes them after "{". */
	void (*labels)(FILE *f, unsigned int i, const void *element);
};

/** The whole. */
extern const struct value result_schema[];
/** The table of a sample, for the CSV. */
extern const struct value sample_schema[];

/** Is the value there? */
bool value_is_there(const struct value *v, const struct run_result *r, const void *base);
/** Number of an array's or a list's elements. */
unsigned int value_count(const struct value *v, const struct run_result *r, const void *base);
/** Element i of a list. */
const void *value_element(const struct value *v, const void *base, unsigned int i);
/** A whole number, element `i` of an array; signed ones in two's complement. */
uint64_t value_number(const struct value *v, const void *base, unsigned int i);

/** Members of a table, into an open object. */
void schema_write(struct json *j, const struct value *table, const struct run_result *r,
		  const void *base);
/** Members of `o` into `base`. */
void schema_read(struct loader *l, const struct value *table, const struct json_value *o,
		 struct run_result *r, void *base);
/** Labels: name="value", what the format wants escaped. */
void metric_label(FILE *f, const char *name, const char *value);

/** The reference page, in Markdown. */
int schema_print(FILE *f);

#endif
