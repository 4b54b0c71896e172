/*
 * A JSON reader (RFC 8259), strict: what is not JSON is refused with the line and column where it
 * stops being it. A document is a tree of values in one allocation pool, freed at once.
 *
 * Limits, so that a hostile file costs no more than its size: JSON_READ_DEPTH levels of nesting,
 * JSON_READ_MAX bytes, JSON_READ_KEYS members of an object. Keys of an object are unique (a second
 * one is an error): a file that says two things about one number is of no use to anybody here.
 */
#ifndef VMM_RESULT_JSON_READ_H
#define VMM_RESULT_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "machine/machine.h"

#define JSON_READ_DEPTH 32u
#define JSON_READ_KEYS	4096u
#define JSON_READ_MAX	(512ull << 20) /* bytes */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_type type;
	unsigned int nr; /* members or elements */
	const char *key; /* in an object, else NULL; UTF-8 without NUL bytes inside */
	union {
		bool boolean;
		const char *text;	  /* JSON_NUMBER: as it stood there; JSON_STRING: decoded */
		struct json_value *first; /* JSON_ARRAY, JSON_OBJECT: children in order */
	};
	struct json_value *next; /* sibling */
	size_t len;		 /* of text, which may hold NUL bytes; a NUL follows */
};

struct json_doc {
	struct json_value *root;
	struct json_chunk *chunks; /* its memory */
};

/** Parse `len` bytes. Returns 0, -EINVAL with "line L, column C: what" in `why`, or -ENOMEM (why is
 * set too). On failure there is nothing to free. */
int json_parse(struct json_doc *doc, const char *text, size_t len, char *why, size_t why_size);
void json_doc_free(struct json_doc *doc);
/** Read and parse a file; "-" is stdin. Returns 0, or -1 with `err` (MMVM_EXIT_USAGE, or
 * MMVM_EXIT_HOST when there is no memory). */
int json_load(struct json_doc *doc, const char *path, struct mmvm_error *err);

/** Member of an object by name; NULL when `v` is NULL, no object, or has none. */
const struct json_value *json_get(const struct json_value *v, const char *key);
/** Numbers: 0, or -EINVAL when `v` is NULL or not an integer that fits. Exact. */
int json_to_u64(const struct json_value *v, uint64_t *out);
int json_to_i64(const struct json_value *v, int64_t *out);

#endif
