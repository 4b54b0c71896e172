/*
 * Verdicts on their way out of the lab.
 *
 *   mmvm test --accel lab                    QEMU: mmvm test --accel kvm --format relay --first N
 *     output_test() <--- relay_take() <--- standard output <--- relay_verdict()
 *
 * The suite runs inside; what is printed, counted and repeated is decided outside, so that a lab that
 * hangs costs one test's time and not the suite's.
 *
 *   begin SEED BACKEND\n
 *   verdict KIND NS REASON_BYTES DETAIL_BYTES NAME\n REASON DETAIL      one after another, in order
 *
 * The inner mmvm runs guests that may do anything to it: every number is checked.
 */
#include "harness/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 256u
#define DETAIL_BYTES   (JOB_DETAIL_MAX + 65536u) /* with what the job printed */

void relay_begin(FILE *f, uint64_t seed, const char *backend)
{
	fprintf(f, "begin %" PRIu64 " %s\n", seed, backend);
	fflush(f);
}

void relay_verdict(FILE *f, const char *name, const struct verdict *v)
{
	size_t detail = v->detail ? strlen(v->detail) : 0;

	if (detail > DETAIL_BYTES)
		detail = DETAIL_BYTES;
	fprintf(f, "verdict %d %" PRIu64 " %zu %zu %s\n", (int)v->kind, v->ns, strlen(v->reason),
		detail, name);
	fwrite(v->reason, 1, strlen(v->reason), f);
	if (detail)
		fwrite(v->detail, 1, detail, f);
	fflush(f);
}

/** Take one message from the front of the buffer. Its length; 0: not all there; -EPROTO. */
static ssize_t take_one(struct relay *r)
{
	const char *end = memchr(r->buf, '\n', r->len);
	char line[LINE_MAX_BYTES], name[64], backend[64];
	size_t used, reason, detail;
	struct verdict v = {0};
	unsigned int kind;
	uint64_t seed;

	if (!end)
		return r->len < sizeof(line) ? 0 : -EPROTO;
	used = (size_t)(end - r->buf) + 1;
	if (used > sizeof(line))
		return -EPROTO;
	memcpy(line, r->buf, used - 1);
	line[used - 1] = 0;
	if (sscanf(line, "begin %" SCNu64 " %63[^\n]", &seed, backend) == 2) {
		/* A lab that was started again says so, too. */
		if (!r->begun && output_begin(r->o, r->nr, seed, backend))
			return -ENOMEM;
		r->begun = true;
		return (ssize_t)used;
	}
	if (sscanf(line, "verdict %u %" SCNu64 " %zu %zu %63s", &kind, &v.ns, &reason, &detail,
		   name) != 5 ||
	    kind > VERDICT_SKIP || reason >= sizeof(v.reason) || detail > DETAIL_BYTES ||
	    !r->begun || r->done >= r->nr || strcmp(name, r->t[r->done]->name))
		return -EPROTO;
	if (r->len < used + reason + detail)
		return 0;
	v.kind = (enum verdict_kind)kind;
	memcpy(v.reason, r->buf + used, reason);
	if (detail) {
		v.detail = strndup(r->buf + used + reason, detail);
		if (!v.detail)
			return -ENOMEM;
	}
	output_test(r->o, r->t[r->done++], &v);
	free(v.detail);
	return (ssize_t)(used + reason + detail);
}

void relay_take(const char *data, size_t len, void *arg)
{
	struct relay *r = arg;
	char *more;

	if (r->error)
		return;
	more = realloc(r->buf, r->len + len + 1);
	if (!more) {
		r->error = -ENOMEM;
		return;
	}
	r->buf = more;
	memcpy(r->buf + r->len, data, len);
	r->len += len;
	while (!r->error && r->len) {
		ssize_t n = take_one(r);

		if (n < 0)
			r->error = (int)n;
		if (n <= 0)
			break;
		r->len -= (size_t)n;
		memmove(r->buf, r->buf + n, r->len);
	}
}

void relay_restart(struct relay *r)
{
	free(r->buf);
	r->buf = NULL;
	r->len = 0;
	r->error = 0;
}
