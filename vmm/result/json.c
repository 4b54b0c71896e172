/*
 * JSON out (RFC 8259). Text that is not UTF-8 becomes U+FFFD, one for each byte that cannot start
 * or go on a character, so that the file is valid whatever a guest prints.
 *
 * Misuse (unbalanced ends, too deep) is a bug of ours, not of the input: it is caught by assert.
 */
#include "result/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

void json_init_compact(struct json *j, FILE *f)
{
	memset(j, 0, sizeof(*j));
	j->f = f;
	j->first[0] = true;
}

void json_init(struct json *j, FILE *f)
{
	json_init_compact(j, f);
	j->pretty = true;
}

size_t utf8_char(const char *s, size_t len)
{
	const unsigned char *c = (const unsigned char *)s;
	/* The second byte's range depends on the first: no overlong forms, no surrogates, nothing
	 * above U+10FFFF. */
	unsigned char low = 0x80, high = 0xbf;
	size_t need;

	if (c[0] < 0x80)
		return 1;
	if (c[0] >= 0xc2 && c[0] <= 0xdf)
		need = 2;
	else if (c[0] >= 0xe0 && c[0] <= 0xef)
		need = 3;
	else if (c[0] >= 0xf0 && c[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (len < need)
		return 0;
	if (c[0] == 0xe0)
		low = 0xa0;
	else if (c[0] == 0xed)
		high = 0x9f;
	else if (c[0] == 0xf0)
		low = 0x90;
	else if (c[0] == 0xf4)
		high = 0x8f;
	if (c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (c[i] < 0x80 || c[i] > 0xbf)
			return 0;
	return need;
}

static void put_text(FILE *f, const char *s, size_t len)
{
	putc('"', f);
	while (len) {
		unsigned char c = (unsigned char)*s;
		size_t n = utf8_char(s, len);

		if (n == 0) {
			fputs("\\ufffd", f);
			n = 1;
		} else if (c == '"' || c == '\\') {
			putc('\\', f);
			putc(c, f);
		} else if (c == '\n') {
			fputs("\\n", f);
		} else if (c == '\t') {
			fputs("\\t", f);
		} else if (c == '\r') {
			fputs("\\r", f);
		} else if (c < 0x20 || c == 0x7f) {
			fprintf(f, "\\u%04x", c);
		} else {
			fwrite(s, 1, n, f);
		}
		s += n;
		len -= n;
	}
	putc('"', f);
}

static void newline(struct json *j)
{
	if (!j->pretty)
		return;
	putc('\n', j->f);
	for (unsigned int i = 0; i < j->depth; i++)
		fputs("  ", j->f);
}

/** What stands before a value: the comma, the line break, the key. */
static void before(struct json *j, const char *key)
{
	if (!j->first[j->depth])
		putc(',', j->f);
	if (j->depth > 0)
		newline(j);
	j->first[j->depth] = false;
	if (key) {
		put_text(j->f, key, strlen(key));
		fputs(j->pretty ? ": " : ":", j->f);
	}
}

static void open_level(struct json *j, const char *key, char bracket)
{
	before(j, key);
	putc(bracket, j->f);
	assert(j->depth < JSON_MAX_DEPTH);
	j->depth++;
	j->first[j->depth] = true;
}

static void close_level(struct json *j, char bracket)
{
	bool empty = j->first[j->depth];

	assert(j->depth > 0);
	j->depth--;
	if (!empty)
		newline(j);
	putc(bracket, j->f);
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, '{');
}

void json_end_object(struct json *j)
{
	close_level(j, '}');
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, '[');
}

void json_end_array(struct json *j)
{
	close_level(j, ']');
}

void json_string_len(struct json *j, const char *key, const char *text, size_t len)
{
	before(j, key);
	put_text(j->f, text, len);
}

void json_string(struct json *j, const char *key, const char *text)
{
	json_string_len(j, key, text, strlen(text));
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	before(j, key);
	fprintf(j->f, "%" PRIu64, value);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
	before(j, key);
	fprintf(j->f, "%" PRId64, value);
}

void json_thousandths(struct json *j, const char *key, uint64_t value)
{
	before(j, key);
	fprintf(j->f, "%" PRIu64 ".%03u", value / 1000, (unsigned int)(value % 1000));
}

void json_bool(struct json *j, const char *key, bool value)
{
	before(j, key);
	fputs(value ? "true" : "false", j->f);
}

void json_null(struct json *j, const char *key)
{
	before(j, key);
	fputs("null", j->f);
}

void json_finish(struct json *j)
{
	assert(j->depth == 0);
	putc('\n', j->f);
}
