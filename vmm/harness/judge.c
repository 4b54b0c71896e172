/*
 * Facts to verdict. The order of the questions matters: a machine that crashed has nothing more to
 * say, whatever it sent before; then the test's own word; then the host's audit, which may overrule
 * a pass but never rescues a failure.
 *
 *   EXPECT_CRASH   passes on the guest's own panic, and on nothing else
 *   EXPECT_AUDIT   passes when the test ended with "audit:<finding>" and the audit named that finding
 *   others         pass when the test passed, the guest ended by itself, and every audit was clean
 */
#include "harness/harness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static void __attribute__((format(printf, 3, 4)))
set(struct verdict *v, enum verdict_kind kind, const char *fmt, ...)
{
	va_list ap;

	v->kind = kind;
	va_start(ap, fmt);
	vsnprintf(v->reason, sizeof(v->reason), fmt, ap);
	va_end(ap);
}

/** The guest did not come to its end by itself. */
static void judge_abnormal(const struct test_facts *f, struct verdict *v)
{
	switch (f->outcome.kind) {
	case OUTCOME_TIMEOUT:
		set(v, VERDICT_FAIL, "time limit of %u s reached", f->limit_s);
		break;
	case OUTCOME_CRASHED:
		set(v, VERDICT_FAIL, "crash: %.400s", f->outcome.text);
		break;
	case OUTCOME_STOPPED:
		set(v, VERDICT_FAIL, "stopped by a signal");
		break;
	default:
		set(v, VERDICT_FAIL, "host: %.400s", f->outcome.text);
	}
}

static void judge_planted(const struct test_facts *f, struct verdict *v)
{
	const char *wanted = f->text + 6;

	if (f->value != MMVM_TEST_PASS) {
		set(v, VERDICT_FAIL, "%s", f->text[0] ? f->text : "failed, and gave no reason");
		return;
	}
	if (strncmp(f->text, "audit:", 6)) {
		set(v, VERDICT_FAIL, "the test did not say which finding it planted, but \"%s\"",
		    f->text);
		return;
	}
	for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++) {
		if (strcmp(wanted, audit_finding_name(k)))
			continue;
		if (f->named[k])
			set(v, VERDICT_PASS, "%s", "");
		else
			set(v, VERDICT_FAIL,
			    "the audit did not find the planted %s (%" PRIu64 " findings%s%s)",
			    wanted, f->findings, f->findings ? ", first: " : "", f->first_finding);
		return;
	}
	set(v, VERDICT_FAIL, "no audit finding is named \"%s\"", wanted);
}

void judge(const struct mmvm_test_desc *t, const struct test_facts *f, struct verdict *v)
{
	if (t->flags & MMVM_TESTF_EXPECT_CRASH) {
		if (f->outcome.kind == OUTCOME_CRASHED && f->panicked && f->missing[0])
			set(v, VERDICT_FAIL, "a panic, but without the words \"%s\": %.300s",
			    f->missing, f->outcome.text);
		else if (f->outcome.kind == OUTCOME_CRASHED && f->panicked)
			set(v, VERDICT_PASS, "%s", "");
		else if (f->outcome.kind == OUTCOME_CRASHED)
			set(v, VERDICT_FAIL,
			    "expected a panic, but the machine died without: %.400s",
			    f->outcome.text);
		else if (f->outcome.kind == OUTCOME_EXITED && f->ended &&
			 f->value == MMVM_TEST_SKIP)
			set(v, VERDICT_SKIP, "%s", f->text);
		else if (f->outcome.kind == OUTCOME_EXITED)
			set(v, VERDICT_FAIL, "expected a panic, but the guest ended%s%s",
			    f->text[0] ? ": " : "", f->text);
		else
			judge_abnormal(f, v);
		return;
	}
	if (f->outcome.kind != OUTCOME_EXITED) {
		judge_abnormal(f, v);
		return;
	}
	if (!f->ended) {
		set(v, VERDICT_FAIL, "the guest ended with status %d and no result",
		    f->outcome.status);
		return;
	}
	if (f->value == MMVM_TEST_SKIP) {
		set(v, VERDICT_SKIP, "%s", f->text[0] ? f->text : "no reason given");
		return;
	}
	if (f->audit_error) {
		set(v, VERDICT_FAIL, "the audit could not be made: %s", strerror(-f->audit_error));
		return;
	}
	if (t->flags & MMVM_TESTF_EXPECT_AUDIT) {
		judge_planted(f, v);
		return;
	}
	if (f->value != MMVM_TEST_PASS)
		set(v, VERDICT_FAIL, "%s", f->text[0] ? f->text : "failed, and gave no reason");
	else if (!f->audits)
		set(v, VERDICT_FAIL, "the guest ended without an audit");
	else if (f->findings)
		set(v, VERDICT_FAIL, "audit: %" PRIu64 " finding%s: %s", f->findings,
		    f->findings == 1 ? "" : "s", f->first_finding);
	else if (f->outcome.status != 0)
		set(v, VERDICT_FAIL, "passed, but the guest exited with status %d",
		    f->outcome.status);
	else
		set(v, VERDICT_PASS, "%s", "");
}
