/*
 * JSON in. A recursive descent over a buffer; values and decoded text come from chunks that are
 * freed together, so that an error in the middle leaks nothing.
 *
 * I1: r->p <= r->end always; every byte is looked at behind a test of it.
 * I2: text in the tree is valid UTF-8 and ends with a NUL outside its length.
 */
#include "result/json_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result/json.h"
#include "result/result.h"

#define CHUNK_BYTES (64u << 10)

struct json_chunk {
	struct json_chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct reader {
	const char *text, *p, *end;
	struct json_doc *doc;
	char *why;
	size_t why_size;
	int err;
};

static void *pool_alloc(struct reader *r, size_t size)
{
	struct json_chunk *c = r->doc->chunks;
	void *at;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		c = malloc(sizeof(*c) + room);
		if (!c) {
			r->err = -ENOMEM;
			snprintf(r->why, r->why_size, "not enough memory to read it");
			return NULL;
		}
		c->size = room;
		c->used = 0;
		c->next = r->doc->chunks;
		r->doc->chunks = c;
	}
	at = c->data + c->used;
	c->used += size;
	return at;
}

/** Note the first thing that is wrong, at `at`. Always false, so that it ends a parse. */
__attribute__((format(printf, 3, 4))) static bool bad(struct reader *r, const char *at,
						      const char *fmt, ...)
{
	size_t line = 1, column = 1;
	va_list args;
	int n;

	if (r->err)
		return false;
	r->err = -EINVAL;
	for (const char *c = r->text; c < at; c++) {
		column++;
		if (*c == '\n') {
			line++;
			column = 1;
		}
	}
	n = snprintf(r->why, r->why_size, "line %zu, column %zu: ", line, column);
	va_start(args, fmt);
	if (n >= 0 && (size_t)n < r->why_size)
		vsnprintf(r->why + n, r->why_size - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

static void blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

/** The next byte, or NUL at the end (a NUL in the text is no JSON anywhere we ask). */
static char peek(const struct reader *r)
{
	return r->p < r->end ? *r->p : '\0';
}

static bool expected(struct reader *r, const char *what)
{
	if (r->p == r->end)
		return bad(r, r->p, "%s expected, but the file ends", what);
	return bad(r, r->p, "%s expected", what);
}

static bool hex4(struct reader *r, unsigned int *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++) {
		char c = peek(r);

		if (c >= '0' && c <= '9')
			*out = *out * 16 + (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			*out = *out * 16 + (unsigned int)((c | 0x20) - 'a') + 10;
		else
			return expected(r, "four hexadecimal digits behind \\u");
		r->p++;
	}
	return true;
}

static char *put_utf8(char *to, unsigned int c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/** What follows a backslash: one decoded character at *to. */
static bool escape(struct reader *r, char **to)
{
	static const char from[] = "\"\\/bfnrt", as[] = "\"\\/\b\f\n\r\t";
	const char *at = r->p - 1, *found;
	unsigned int c, low;

	if (peek(r) != 'u') {
		found = peek(r) ? strchr(from, peek(r)) : NULL;
		if (!found)
			return bad(r, at, "unknown escape in a string");
		*(*to)++ = as[found - from];
		r->p++;
		return true;
	}
	r->p++;
	if (!hex4(r, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
			return bad(r, at, "half of a surrogate pair");
		r->p += 2;
		if (!hex4(r, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return bad(r, at, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c < 0xe000) {
		return bad(r, at, "half of a surrogate pair");
	}
	*to = put_utf8(*to, c);
	return true;
}

/** r->p is behind the opening quote. Decoded text is never longer than its source. */
static bool string(struct reader *r, const char **text, size_t *len)
{
	const char *close = r->p, *begin = r->p - 1;
	char *to, *start;

	while (close < r->end && *close != '"')
		close += *close == '\\' && r->end - close > 1 ? 2 : 1;
	if (close == r->end)
		return bad(r, begin, "a string that does not end");
	start = to = pool_alloc(r, (size_t)(close - r->p) + 1);
	if (!to)
		return false;
	while (r->p < close) {
		size_t n = utf8_char(r->p, (size_t)(close - r->p));

		if (n == 0)
			return bad(r, r->p, "not UTF-8");
		if ((unsigned char)*r->p < 0x20)
			return bad(r, r->p, "a control character in a string");
		if (*r->p == '\\') {
			r->p++;
			if (!escape(r, &to))
				return false;
			continue;
		}
		memcpy(to, r->p, n);
		to += n;
		r->p += n;
	}
	r->p = close + 1;
	*to = '\0';
	*text = start;
	*len = (size_t)(to - start);
	return true;
}

static bool digits(struct reader *r)
{
	if (peek(r) < '0' || peek(r) > '9')
		return expected(r, "a digit");
	while (peek(r) >= '0' && peek(r) <= '9')
		r->p++;
	return true;
}

static bool number(struct reader *r, struct json_value *v)
{
	const char *start = r->p;
	char *copy;

	if (peek(r) == '-')
		r->p++;
	if (peek(r) == '0')
		r->p++;
	else if (!digits(r))
		return false;
	if (peek(r) == '.') {
		r->p++;
		if (!digits(r))
			return false;
	}
	if (peek(r) == 'e' || peek(r) == 'E') {
		r->p++;
		if (peek(r) == '+' || peek(r) == '-')
			r->p++;
		if (!digits(r))
			return false;
	}
	v->type = JSON_NUMBER;
	v->len = (size_t)(r->p - start);
	copy = pool_alloc(r, v->len + 1);
	if (!copy)
		return false;
	memcpy(copy, start, v->len);
	copy[v->len] = '\0';
	v->text = copy;
	return true;
}

static bool word(struct reader *r, const char *w)
{
	size_t len = strlen(w);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, w, len))
		return expected(r, "a value");
	r->p += len;
	return true;
}

static bool value(struct reader *r, struct json_value *v, unsigned int depth);

/** Members of an object or elements of an array; r->p is behind the opening bracket. */
static bool children(struct reader *r, struct json_value *v, unsigned int depth)
{
	char close = v->type == JSON_OBJECT ? '}' : ']';
	struct json_value **link = &v->first, *child;

	if (depth >= JSON_READ_DEPTH)
		return bad(r, r->p - 1, "nested deeper than %u levels", JSON_READ_DEPTH);
	blanks(r);
	if (peek(r) == close) {
		r->p++;
		return true;
	}
	for (;;) {
		child = pool_alloc(r, sizeof(*child));
		if (!child)
			return false;
		memset(child, 0, sizeof(*child));
		blanks(r);
		if (v->type == JSON_OBJECT) {
			const char *at = r->p;
			size_t len;

			/* Each key is compared with all before it: keep that small. */
			if (v->nr == JSON_READ_KEYS)
				return bad(r, at, "an object of more than %u keys", JSON_READ_KEYS);
			if (peek(r) != '"')
				return expected(r, "a key in quotes");
			r->p++;
			if (!string(r, &child->key, &len))
				return false;
			if (strlen(child->key) != len)
				return bad(r, at, "a NUL character in a key");
			if (json_get(v, child->key))
				return bad(r, at, "the key \"%.40s\" a second time", child->key);
			blanks(r);
			if (peek(r) != ':')
				return expected(r, "':'");
			r->p++;
		}
		if (!value(r, child, depth + 1))
			return false;
		*link = child;
		link = &child->next;
		v->nr++;
		blanks(r);
		if (peek(r) == close) {
			r->p++;
			return true;
		}
		if (peek(r) != ',')
			return expected(r, close == '}' ? "',' or '}'" : "',' or ']'");
		r->p++;
	}
}

static bool value(struct reader *r, struct json_value *v, unsigned int depth)
{
	blanks(r);
	switch (peek(r)) {
	case '{':
	case '[':
		v->type = *r->p++ == '{' ? JSON_OBJECT : JSON_ARRAY;
		return children(r, v, depth);
	case '"':
		r->p++;
		v->type = JSON_STRING;
		return string(r, &v->text, &v->len);
	case 't':
		v->type = JSON_BOOL;
		v->boolean = true;
		return word(r, "true");
	case 'f':
		v->type = JSON_BOOL;
		return word(r, "false");
	case 'n':
		return word(r, "null");
	case '-':
	case '0' ... '9':
		return number(r, v);
	default:
		return expected(r, "a value");
	}
}

int json_parse(struct json_doc *doc, const char *text, size_t len, char *why, size_t why_size)
{
	struct reader r = {
		.text = text,
		.p = text,
		.end = text + len,
		.doc = doc,
		.why = why,
		.why_size = why_size,
	};

	memset(doc, 0, sizeof(*doc));
	if (why_size)
		why[0] = '\0';
	doc->root = pool_alloc(&r, sizeof(*doc->root));
	if (doc->root) {
		memset(doc->root, 0, sizeof(*doc->root));
		if (value(&r, doc->root, 0)) {
			blanks(&r);
			if (r.p < r.end)
				bad(&r, r.p, "more text behind the end of the document");
		}
	}
	if (r.err)
		json_doc_free(doc);
	return r.err;
}

void json_doc_free(struct json_doc *doc)
{
	while (doc->chunks) {
		struct json_chunk *next = doc->chunks->next;

		free(doc->chunks);
		doc->chunks = next;
	}
	doc->root = NULL;
}

/** The whole of a stream, at most JSON_READ_MAX bytes. Caller frees. */
static char *read_all(FILE *f, const char *name, size_t *len, struct mmvm_error *err)
{
	size_t room = 64u << 10;
	char *text = NULL, *bigger;

	*len = 0;
	for (;;) {
		bigger = realloc(text, room);
		if (!bigger) {
			mmvm_error(err, MMVM_EXIT_HOST, "not enough memory for %s", name);
			break;
		}
		text = bigger;
		*len += fread(text + *len, 1, room - *len, f);
		if (ferror(f)) {
			mmvm_error(err, MMVM_EXIT_USAGE, "cannot read %s: %s", name,
				   strerror(errno));
			break;
		}
		if (*len < room)
			return text;
		if (room >= JSON_READ_MAX) {
			mmvm_error(err, MMVM_EXIT_USAGE, "%s is larger than %llu MiB", name,
				   JSON_READ_MAX >> 20);
			break;
		}
		room *= 2;
	}
	free(text);
	return NULL;
}

int json_load(struct json_doc *doc, const char *path, struct mmvm_error *err)
{
	bool is_stdin = !strcmp(path, "-");
	const char *name = is_stdin ? "standard input" : path;
	FILE *f = is_stdin ? stdin : report_open_input(path);
	char why[160];
	size_t len;
	char *text;
	int ret = -1;

	if (!f)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open %s: %s", path,
				  strerror(errno));
	text = read_all(f, name, &len, err);
	if (!text)
		goto out;
	ret = json_parse(doc, text, len, why, sizeof(why));
	if (ret)
		ret = mmvm_error(err, ret == -ENOMEM ? MMVM_EXIT_HOST : MMVM_EXIT_USAGE, "%s: %s",
				 name, why);
	free(text);
out:
	if (!is_stdin)
		fclose(f);
	return ret;
}

const struct json_value *json_get(const struct json_value *v, const char *key)
{
	if (!v || v->type != JSON_OBJECT)
		return NULL;
	for (const struct json_value *m = v->first; m; m = m->next)
		if (!strcmp(m->key, key))
			return m;
	return NULL;
}

int json_to_u64(const struct json_value *v, uint64_t *out)
{
	unsigned long long n;
	char *end;

	if (!v || v->type != JSON_NUMBER || v->text[0] == '-')
		return -EINVAL;
	errno = 0;
	n = strtoull(v->text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*out = n;
	return 0;
}

int json_to_i64(const struct json_value *v, int64_t *out)
{
	long long n;
	char *end;

	if (!v || v->type != JSON_NUMBER)
		return -EINVAL;
	errno = 0;
	n = strtoll(v->text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*out = n;
	return 0;
}
