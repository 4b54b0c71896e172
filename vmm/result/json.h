/*
 * A JSON writer: keeps commas, nesting and indentation right, escapes text, and writes integers
 * exactly. It holds no memory: output goes straight to the stream, and a failure of the stream is
 * seen once, at the end, by ferror().
 */
#ifndef VMM_RESULT_JSON_H
#define VMM_RESULT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 16

struct json {
	FILE *f;
	unsigned int depth;
	bool pretty;
	bool first[JSON_MAX_DEPTH + 1]; /* nothing written yet at this depth */
};

/** A value a line, indented. */
void json_init(struct json *j, FILE *f);
/** No white space. */
void json_init_compact(struct json *j, FILE *f);
/* `key` is NULL inside arrays and at the top. */
void json_object(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_array(struct json *j, const char *key);
void json_end_array(struct json *j);
void json_string(struct json *j, const char *key, const char *text);
void json_string_len(struct json *j, const char *key, const char *text, size_t len);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
/** value / 1000, exactly. */
void json_thousandths(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/** Closing newline. */
void json_finish(struct json *j);

/** One character of `s` (`len` bytes left, at least 1): its length when it is well-formed UTF-8
 * (Unicode 15, table 3-7), else 0. */
size_t utf8_char(const char *s, size_t len);

#endif
