/*
 * The test harness, tested without machines: catalogues from ELF images whole and damaged, plans,
 * verdicts for each combination of facts, and the runner with children that behave well, fail,
 * crash, hang, lie and babble.
 */
#include "../host/unit.h"
#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "harness/harness.h"

/* ---- catalogue ------------------------------------------------------------------------------- */

struct elf {
	Elf64_Ehdr eh;
	Elf64_Shdr sh[3];
	char names[32];
	struct mmvm_test_desc test[3];
};

static void make_elf(struct elf *e)
{
	memset(e, 0, sizeof(*e));
	memcpy(e->eh.e_ident, ELFMAG, SELFMAG);
	e->eh.e_ident[EI_CLASS] = ELFCLASS64;
	e->eh.e_machine = EM_X86_64;
	e->eh.e_shoff = offsetof(struct elf, sh);
	e->eh.e_shentsize = sizeof(Elf64_Shdr);
	e->eh.e_shnum = 3;
	e->eh.e_shstrndx = 1;
	memcpy(e->names, "\0.mmvm_tests\0.shstrtab", 22);
	e->sh[1] = (Elf64_Shdr){.sh_name = 13,
				.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct elf, names),
				.sh_size = sizeof(e->names)};
	e->sh[2] = (Elf64_Shdr){.sh_name = 1,
				.sh_type = SHT_PROGBITS,
				.sh_offset = offsetof(struct elf, test),
				.sh_size = sizeof(e->test)};
	strcpy(e->test[0].name, "slab.poison");
	strcpy(e->test[1].name, "buddy.split");
	strcpy(e->test[2].name, "buddy.merge");
	strcpy(e->test[2].args, "memory=24M");
}

static int parse(const struct elf *e, struct catalog *c, struct mmvm_error *err)
{
	return catalog_parse((const unsigned char *)e, sizeof(*e), "x.elf", c, err);
}

static void test_catalog(void)
{
	struct mmvm_error err;
	struct catalog c;
	struct elf e;

	make_elf(&e);
	CU_ASSERT_EQUAL(parse(&e, &c, &err), 0);
	CU_ASSERT_EQUAL(c.nr, 3);
	CU_ASSERT_STRING_EQUAL(c.test[0].name, "buddy.merge");
	CU_ASSERT_STRING_EQUAL(c.test[0].args, "memory=24M");
	CU_ASSERT_STRING_EQUAL(c.test[2].name, "slab.poison");
	catalog_free(&c);

	strcpy(e.test[1].name, "slab.poison");
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "two tests are named slab.poison"));
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
	make_elf(&e);
	memset(e.test[1].name, 'a', sizeof(e.test[1].name));
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	make_elf(&e);
	strcpy(e.test[1].name, "no dot");
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	make_elf(&e);
	strcpy(e.test[1].name, "a.b\033[1m");
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	make_elf(&e);
	memset(e.test[1].args, 'a', sizeof(e.test[1].args));
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	make_elf(&e);
	e.sh[2].sh_size--;
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	make_elf(&e);
	e.sh[2].sh_offset = UINT64_MAX - 100;
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	make_elf(&e);
	e.names[1] = 'x';
	CU_ASSERT_EQUAL(parse(&e, &c, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "holds no guest tests"));
	CU_ASSERT_EQUAL(catalog_load("/nonexistent", &c, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "No such file"));
	CU_ASSERT_EQUAL(catalog_load("/tmp", &c, &err), -1);
}

/** Every byte of the image, changed and cut: an answer, and no access outside (ASan watches). */
static void test_catalog_damaged(void)
{
	struct elf *e = malloc(sizeof(*e));
	struct mmvm_error err;
	struct catalog c;
	unsigned int refused = 0;

	for (size_t i = 0; i < sizeof(*e); i++) {
		for (unsigned int v = 0; v < 3; v++) {
			static const unsigned char values[] = {0, 0x7f, 0xff};

			make_elf(e);
			((unsigned char *)e)[i] = values[v];
			if (parse(e, &c, &err))
				refused++;
			else
				catalog_free(&c);
		}
	}
	for (size_t len = 0; len < sizeof(*e); len += 7) {
		unsigned char *cut = malloc(len ? len : 1);

		make_elf(e);
		memcpy(cut, e, len);
		CU_ASSERT_EQUAL(catalog_parse(cut, len, "cut", &c, &err), -1);
		free(cut);
	}
	CU_ASSERT_TRUE(refused > 100);
	free(e);
}

static void test_match(void)
{
	CU_ASSERT_TRUE(catalog_match("buddy.split", "buddy"));
	CU_ASSERT_TRUE(catalog_match("buddy.split", "y.s"));
	CU_ASSERT_TRUE(catalog_match("buddy.split", "b*.split"));
	CU_ASSERT_FALSE(catalog_match("buddy.split", "buddy*x"));
	CU_ASSERT_FALSE(catalog_match("buddy.split", "slab"));
}

static void test_plan(void)
{
	static const char *const bad[] = {"memory",	"memory=",	  "memory=1M", "swap=x",
					  "disk=0",	"disk=100",	  "cpus=0",    "cpus=99",
					  "colour=red", "memory=24M swap"};
	struct mmvm_test_desc t = {.timeout_s = 0};
	struct mmvm_error err;
	struct test_plan p;

	CU_ASSERT_EQUAL(plan_parse("", &p, &err), 0);
	CU_ASSERT_EQUAL(p.ram_low, 24u << 20);
	CU_ASSERT_EQUAL(p.ram_high, 8u << 20);
	CU_ASSERT_EQUAL(p.cpus, 1);
	CU_ASSERT_EQUAL(p.swap, 0);
	CU_ASSERT_FALSE(p.dirty_log);
	CU_ASSERT_EQUAL(plan_parse("dirty=ring", &p, &err), 0);
	CU_ASSERT(p.dirty_log && p.dirty_mode == DIRTY_RING);
	CU_ASSERT_EQUAL(plan_parse(" memory=64M,high=16M  swap=64M disk=1M disk=2M "
				   "append=debug_vm slab_debug=FZ ",
				   &p, &err),
			0);
	CU_ASSERT_EQUAL(p.ram_low, 48u << 20);
	CU_ASSERT_EQUAL(p.ram_high, 16u << 20);
	CU_ASSERT_EQUAL(p.swap, 64u << 20);
	CU_ASSERT_EQUAL(p.nr_disks, 2);
	CU_ASSERT_EQUAL(p.disk[1], 2u << 20);
	CU_ASSERT_STRING_EQUAL(p.append, "debug_vm slab_debug=FZ ");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(plan_parse(bad[i], &p, &err), -1);

	CU_ASSERT_EQUAL(plan_limit_s(&t, false, 1), PLAN_LIMIT_S);
	CU_ASSERT_EQUAL(plan_limit_s(&t, true, 1), PLAN_LIMIT_S * PLAN_EMULATED_SLOW);
	t.timeout_s = 10;
	CU_ASSERT_EQUAL(plan_limit_s(&t, false, 2.5), 25);
	CU_ASSERT_EQUAL(plan_limit_s(&t, false, 0.01), 1);
	CU_ASSERT_EQUAL(plan_seed(5, "a.b"), plan_seed(5, "a.b"));
	CU_ASSERT_NOT_EQUAL(plan_seed(5, "a.b"), plan_seed(5, "a.c"));
	CU_ASSERT_NOT_EQUAL(plan_seed(5, "a.b"), plan_seed(6, "a.b"));
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static struct test_facts good(void)
{
	return (struct test_facts){.outcome = {.kind = OUTCOME_EXITED},
				   .ended = true,
				   .value = MMVM_TEST_PASS,
				   .audits = 1,
				   .limit_s = 60};
}

static void expect(uint32_t flags, const struct test_facts *f, enum verdict_kind kind,
		   const char *part)
{
	struct mmvm_test_desc t = {.flags = flags};
	struct verdict v = {0};

	judge(&t, f, &v);
	if (v.kind != kind || !strstr(v.reason, part))
		fprintf(stderr, "verdict %d, \"%s\"; expected %d, \"%s\"\n", v.kind, v.reason, kind,
			part);
	CU_ASSERT_EQUAL(v.kind, kind);
	CU_ASSERT_PTR_NOT_NULL(strstr(v.reason, part));
}

static void test_judge(void)
{
	struct test_facts f = good();

	expect(0, &f, VERDICT_PASS, "");
	f.value = MMVM_TEST_FAIL;
	strcpy(f.text, "a.c:3: x != 4");
	expect(0, &f, VERDICT_FAIL, "a.c:3: x != 4");
	f.value = MMVM_TEST_SKIP;
	strcpy(f.text, "no swap disk");
	expect(0, &f, VERDICT_SKIP, "no swap disk");
	f.value = 77;
	expect(0, &f, VERDICT_FAIL, "no swap disk");

	f = good();
	f.audits = 0;
	expect(0, &f, VERDICT_FAIL, "without an audit");
	f = good();
	f.findings = 3;
	strcpy(f.first_finding, "mapcount: frame 0x12");
	expect(0, &f, VERDICT_FAIL, "audit: 3 findings: mapcount: frame 0x12");
	f = good();
	f.audit_error = -38;
	expect(0, &f, VERDICT_FAIL, "could not be made");
	f = good();
	f.ended = false;
	expect(0, &f, VERDICT_FAIL, "no result");
	f = good();
	f.outcome.status = 1;
	expect(0, &f, VERDICT_FAIL, "exited with status 1");
	f = good();
	f.outcome.kind = OUTCOME_TIMEOUT;
	expect(0, &f, VERDICT_FAIL, "time limit of 60 s");
	/* It passed, and crashed afterwards: that is no pass. */
	f.outcome.kind = OUTCOME_CRASHED;
	strcpy(f.outcome.text, "double fault");
	expect(0, &f, VERDICT_FAIL, "crash: double fault");
	f.outcome.kind = OUTCOME_HOST_ERROR;
	expect(0, &f, VERDICT_FAIL, "host: ");
}

static void test_judge_crash(void)
{
	struct test_facts f = good();

	expect(MMVM_TESTF_EXPECT_CRASH, &f, VERDICT_FAIL, "expected a panic");
	f.outcome.kind = OUTCOME_CRASHED;
	strcpy(f.outcome.text, "triple fault");
	expect(MMVM_TESTF_EXPECT_CRASH, &f, VERDICT_FAIL, "triple fault");
	f.panicked = true;
	expect(MMVM_TESTF_EXPECT_CRASH, &f, VERDICT_PASS, "");
	strcpy(f.missing, "these words");
	expect(MMVM_TESTF_EXPECT_CRASH, &f, VERDICT_FAIL, "without the words \"these words\"");
	f.missing[0] = 0;
	f.outcome.kind = OUTCOME_TIMEOUT;
	expect(MMVM_TESTF_EXPECT_CRASH, &f, VERDICT_FAIL, "time limit");
}

static void test_judge_planted(void)
{
	struct test_facts f = good();

	strcpy(f.text, "audit:mapcount");
	expect(MMVM_TESTF_EXPECT_AUDIT, &f, VERDICT_FAIL, "did not find the planted mapcount");
	f.findings = 2;
	f.named[AUDIT_RSS] = 2;
	expect(MMVM_TESTF_EXPECT_AUDIT, &f, VERDICT_FAIL, "did not find the planted mapcount");
	f.named[AUDIT_MAPCOUNT] = 1;
	expect(MMVM_TESTF_EXPECT_AUDIT, &f, VERDICT_PASS, "");
	strcpy(f.text, "audit:nonsense");
	expect(MMVM_TESTF_EXPECT_AUDIT, &f, VERDICT_FAIL, "no audit finding is named");
	strcpy(f.text, "");
	expect(MMVM_TESTF_EXPECT_AUDIT, &f, VERDICT_FAIL, "did not say");
	f.value = MMVM_TEST_FAIL;
	strcpy(f.text, "could not plant");
	expect(MMVM_TESTF_EXPECT_AUDIT, &f, VERDICT_FAIL, "could not plant");
}

/* ---- runner ---------------------------------------------------------------------------------- */

static void say(int fd, enum verdict_kind kind, const char *reason, const char *detail)
{
	struct job_message m = {.magic = JOB_MAGIC,
				.kind = kind,
				.detail_len = (uint32_t)strlen(detail),
				.ns = 1000000};

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	if (write(fd, &m, sizeof(m)) != sizeof(m) ||
	    write(fd, detail, strlen(detail)) != (ssize_t)strlen(detail))
		_exit(99);
}

/** Children named after what they do. */
static void child(const struct harness *h, const struct mmvm_test_desc *t, int fd)
{
	const char *what = strchr(t->name, '.') + 1;

	if (!strcmp(what, "pass")) {
		say(fd, VERDICT_PASS, "", "");
	} else if (!strcmp(what, "slow")) {
		usleep(300000);
		say(fd, VERDICT_PASS, "", "");
	} else if (!strcmp(what, "fail")) {
		say(fd, VERDICT_FAIL, "because <&>\"", "line one\nline\033 two\n");
	} else if (!strcmp(what, "skip")) {
		say(fd, VERDICT_SKIP, "no disk", "");
	} else if (!strcmp(what, "abort")) {
		signal(SIGABRT, SIG_DFL);
		fprintf(stderr, "assertion broken\n");
		raise(SIGKILL);
	} else if (!strcmp(what, "passes_then_dies")) {
		say(fd, VERDICT_PASS, "", "");
		_exit(23);
	} else if (!strcmp(what, "hang")) {
		for (;;)
			pause();
	} else if (!strcmp(what, "half")) {
		if (write(fd, "half a message", 14) != 14)
			_exit(99);
	} else if (!strcmp(what, "babble")) {
		static char junk[JOB_DETAIL_MAX * 2];

		signal(SIGPIPE, SIG_IGN);
		while (write(fd, junk, sizeof(junk)) > 0)
			;
	} else if (!strcmp(what, "host")) {
		struct job_message m = {.magic = JOB_MAGIC,
					.kind = VERDICT_FAIL,
					.host_error = 1,
					.reason = "no KVM"};

		if (write(fd, &m, sizeof(m)) != sizeof(m))
			_exit(99);
	}
	_exit(0);
}

static char *run_tests(const char *const *names, unsigned int nr, unsigned int jobs,
		       enum test_format format, struct test_output *o, int *ret,
		       struct mmvm_error *err)
{
	struct harness h = {.scale = 0.01, .jobs = jobs, .child = child, .grace_s = 1, .seed = 7};
	struct mmvm_test_desc desc[16] = {0};
	const struct mmvm_test_desc *t[16];
	char *text = NULL;
	size_t len;

	for (unsigned int i = 0; i < nr; i++) {
		snprintf(desc[i].name, sizeof(desc[i].name), "t%u.%s", i, names[i]);
		t[i] = &desc[i];
	}
	memset(o, 0, sizeof(*o));
	o->format = format;
	o->width = 24;
	o->f = open_memstream(&text, &len);
	output_begin(o, nr, 7, "none");
	*ret = runner_run(&h, t, nr, o, err);
	output_end(o);
	fclose(o->f);
	return text;
}

static void test_runner(void)
{
	static const char *const names[] = {
		"slow", "pass", "fail",	  "skip", "abort", "passes_then_dies",
		"hang", "half", "babble", "pass"};
	static const char *const order[] = {"t0.slow", "t1.pass", "t2.fail", "t9.pass"};
	struct mmvm_error err;
	struct test_output o;
	const char *at, *last;
	char *text;
	int ret;

	text = run_tests(names, 10, 4, FORMAT_PRETTY, &o, &ret, &err);
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(o.passed, 3);
	CU_ASSERT_EQUAL(o.failed, 6);
	CU_ASSERT_EQUAL(o.skipped, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n3 passed, 6 failed, 1 skipped\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "because <&>\"\n        line one\n        line. two\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mmvm itself died: Killed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "assertion broken"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mmvm itself failed with status 23"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mmvm itself hung and was killed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mmvm itself gave no verdict"));
	/* In order, though the first was slow and four ran at a time. */
	last = text;
	for (unsigned int i = 0; i < 4; i++) {
		at = strstr(last, order[i]);
		CU_ASSERT_PTR_NOT_NULL(at);
		last = at ? at : last;
	}
	free(text);
}

static void test_runner_host(void)
{
	static const char *const names[] = {"host", "pass", "pass"};
	struct mmvm_error err;
	struct test_output o;
	int ret;

	free(run_tests(names, 3, 1, FORMAT_PRETTY, &o, &ret, &err));
	CU_ASSERT_EQUAL(ret, -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_HOST);
	CU_ASSERT_STRING_EQUAL(err.text, "no KVM");
	CU_ASSERT_EQUAL(o.passed, 0);
}

static void test_formats(void)
{
	static const char *const names[] = {"pass", "fail", "skip"};
	struct mmvm_error err;
	struct test_output o;
	char *text;
	int ret;

	text = run_tests(names, 3, 2, FORMAT_TAP, &o, &ret, &err);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "TAP version 14\n1..3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nok 1 - t0.pass\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nnot ok 2 - t1.fail\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nok 3 - t2.skip # SKIP no disk\n"));
	free(text);
	text = run_tests(names, 3, 2, FORMAT_JUNIT, &o, &ret, &err);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "tests=\"3\" failures=\"1\" skipped=\"1\""));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "<failure message=\"because &lt;&amp;&gt;&quot;\">line one"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "classname=\"t0\" name=\"pass\" time=\"0.001\"/>"));
	/* XML 1.0 has no escape character, not even as &#27;. */
	CU_ASSERT_PTR_NULL(strchr(text, '\033'));
	free(text);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"tests are read from an ELF file", test_catalog},
		{"a damaged ELF file is answered", test_catalog_damaged},
		{"names are matched", test_match},
		{"a test's wishes are parsed", test_plan},
		{"verdicts", test_judge},
		{"verdicts on panics", test_judge_crash},
		{"verdicts on planted corruptions", test_judge_planted},
		{"children of every kind are judged, in order", test_runner},
		{"a host that cannot ends it at once", test_runner_host},
		{"TAP and JUnit", test_formats},
	};
	return unit_run("harness", cases, sizeof(cases) / sizeof(cases[0]));
}
