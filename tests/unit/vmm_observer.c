/*
 * The list of observers, and options from tables: the order of calls, which observers are called and closed,
 * and the messages.
 */
#include "../host/unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/option.h"
#include "observe/audit_observer.h"
#include "observe/observers.h"

/* ---- observers that write down what they see --------------------------------------------------- */

static char seen[256];

static void note(const void *self, const char *what)
{
	snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s%s ", (const char *)self,
		 what);
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	note(self, "open");
	observers_want_tick(config, 100);
	return 0;
}

static int on_open_fails(void *self, struct observation *run, struct machine_config *config,
			 struct mmvm_error *err)
{
	note(self, "fails");
	return mmvm_error(err, MMVM_EXIT_HOST, "no");
}

static void on_tick(void *self, struct machine *m)
{
	note(self, "tick");
}

static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	note(self, "asked");
	return q->kind == REQUEST_AUDIT ? 7 : -ENOSYS;
}

static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	note(self, "stop");
	return *(const char *)self == 'b' ? MMVM_EXIT_FAILED : 0;
}

static void on_close(void *self)
{
	note(self, "close");
}

static bool never(const void *self, const struct observation *run,
		  const struct machine_config *config)
{
	return false;
}

static const struct observer slow = {.name = "slow",
				     .open = on_open,
				     .tick = on_tick,
				     .request = on_request,
				     .stop = on_stop,
				     .close = on_close};
static const struct observer quick = {.name = "quick",
				      .tick = on_tick,
				      .every_tick = true,
				      .request = on_request,
				      .stop = on_stop,
				      .close = on_close};
static const struct observer failing = {
	.name = "failing", .open = on_open_fails, .close = on_close};
static const struct observer unwanted = {
	.name = "unwanted", .wanted = never, .open = on_open, .close = on_close};

static void test_order(void)
{
	struct machine_request round = {.kind = REQUEST_ROUND}, audit = {.kind = REQUEST_AUDIT};
	struct observers o = {.run.sample_ms = 250};
	struct machine_config c = {.tick_ms = 250};
	struct mmvm_error err = {0};

	seen[0] = 0;
	observers_attach(&o, &slow, (char *)"a");
	observers_attach(&o, &quick, (char *)"b");
	observers_attach(&o, &unwanted, (char *)"c");
	observers_drop_unwanted(&o, &c);
	CU_ASSERT_STRING_EQUAL(seen, "cclose ");
	CU_ASSERT_EQUAL(o.nr, 2);
	CU_ASSERT_EQUAL(observers_open(&o, &c, &err), 0);
	CU_ASSERT_EQUAL(c.tick_ms, 100);
	CU_ASSERT_TRUE(observers_have(&o, OBSERVER_HAS_TICK));
	CU_ASSERT_FALSE(observers_have(&o, OBSERVER_HAS_EXIT));
	seen[0] = 0;
	/* A sample is due each third tick of 100 ms: 250 have passed then. */
	for (unsigned int i = 0; i < 6; i++)
		observers_tick(&o, NULL, 100);
	CU_ASSERT_STRING_EQUAL(seen, "btick btick atick btick btick btick atick btick ");
	seen[0] = 0;
	CU_ASSERT_EQUAL(observers_request(&o, NULL, &audit), 7);
	CU_ASSERT_EQUAL(observers_request(&o, NULL, &round), -ENOSYS);
	CU_ASSERT_STRING_EQUAL(seen, "aasked aasked basked ");
	seen[0] = 0;
	CU_ASSERT_EQUAL(observers_stop(&o, NULL, NULL), MMVM_EXIT_FAILED);
	observers_close(&o);
	CU_ASSERT_STRING_EQUAL(seen, "astop bstop aclose bclose ");
	CU_ASSERT_EQUAL(o.nr, 0);
}

static void test_open_fails(void)
{
	struct observers o = {.nr = 0};
	struct machine_config c = {0};
	struct mmvm_error err = {0};

	seen[0] = 0;
	observers_attach(&o, &failing, (char *)"a");
	observers_attach(&o, &slow, (char *)"b");
	CU_ASSERT_EQUAL(observers_open(&o, &c, &err), -1);
	CU_ASSERT_STRING_EQUAL(err.text, "no");
	observers_close(&o);
	CU_ASSERT_STRING_EQUAL(seen, "afails aclose bclose ");
}

static void test_full(void)
{
	struct observers o = {.nr = 0};

	for (unsigned int i = 0; i < OBSERVERS_MAX; i++)
		CU_ASSERT_PTR_NOT_NULL(observers_attach(&o, &quick, (char *)"x"));
	CU_ASSERT_PTR_NULL(observers_attach(&o, &quick, (char *)"x"));
	observers_close(&o);
}

/** No audit is said to be none, with its reason; one audit is enough, however the guest ended then. */
static void test_audit_missing(void)
{
	struct audit_watch w = {.end = OUTCOME_EXITED};

	CU_ASSERT_STRING_EQUAL(audit_missing(&w, false), "the guest did not ask for one");
	CU_ASSERT_PTR_NOT_NULL(strstr(audit_missing(&w, true), "Linux"));
	w.end = OUTCOME_CRASHED;
	CU_ASSERT_PTR_NOT_NULL(strstr(audit_missing(&w, false), "died"));
	w.end = OUTCOME_TIMEOUT;
	CU_ASSERT_PTR_NOT_NULL(strstr(audit_missing(&w, false), "stopped"));
	w.error = -ENOSYS;
	CU_ASSERT_PTR_NOT_NULL(strstr(audit_missing(&w, false), "no audit root"));
	w.error = -ENOMEM;
	CU_ASSERT_PTR_NOT_NULL(strstr(audit_missing(&w, false), "could not be made"));
	w.audits = 1;
	CU_ASSERT_PTR_NULL(audit_missing(&w, false));
}

/** Every observer of the table says what it is; what costs says so. */
static void test_table(void)
{
	struct option_set sets[OPTION_SETS_MAX];
	const struct observer *ops;
	unsigned int n = 0;

	for (; (ops = observer_at(n)); n++) {
		CU_ASSERT_TRUE(ops->name[0] && ops->what[0]);
		for (unsigned int i = 0; i < n; i++)
			CU_ASSERT_STRING_NOT_EQUAL(observer_at(i)->name, ops->name);
	}
	CU_ASSERT_TRUE(n >= 9);
	CU_ASSERT_TRUE(observers_option_tables(sets, OPTION_SETS_MAX) >= 4);
}

/* ---- options ---------------------------------------------------------------------------------- */

struct values {
	bool flag;
	unsigned int number;
	uint64_t size;
	int word;
	const char *text;
	struct option_list list, rest;
};

#define AT(field) .offset = offsetof(struct values, field)
static const struct cli_option table[] = {
	{.name = "--flag", .alias = "-f", .help = "a flag", .kind = OPTION_FLAG, AT(flag)},
	{.name = "--number",
	 .value = "N",
	 .help = "a number",
	 .kind = OPTION_UINT,
	 AT(number),
	 .min = 1,
	 .max = 9},
	{.name = "--size",
	 .value = "SIZE",
	 .help = "a size",
	 .kind = OPTION_SIZE,
	 AT(size),
	 .min = 4096,
	 .max = 1 << 20},
	{.name = "--word",
	 .value = "WORD",
	 .help = "a word\nin two lines",
	 .kind = OPTION_CHOICE,
	 AT(word),
	 .words = "one two three"},
	{.name = "--text", .value = "TEXT", .help = "text", .kind = OPTION_TEXT, AT(text)},
	{.name = "--list", .value = "X", .help = "list", .kind = OPTION_LIST, AT(list), .max = 2},
	{.name = "--rest", .value = "ARGS", .help = "rest", .kind = OPTION_REST, AT(rest)},
	{0},
};
static const struct command cmd = {
	.name = "try", .what = "w", .synopsis = "", .about = "about.", .options = table};

static int parse(struct values *v, struct option_list *operands, const char *line)
{
	static char copy[256];
	char *argv[32] = {(char *)"mmvm", (char *)"try"}, *save;
	int argc = 2;

	memset(v, 0, sizeof(*v));
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	if (operands)
		operands->nr = 0;
	return command_parse(&cmd, v, argc, argv, operands);
}

static void test_options(void)
{
	struct option_list operands;
	struct values v;

	CU_ASSERT_EQUAL(parse(&v, NULL, "-f --number 9 --size 64K --word two --text x"), 0);
	CU_ASSERT_TRUE(v.flag && v.number == 9 && v.size == 65536 && v.word == 1);
	CU_ASSERT_STRING_EQUAL(v.text, "x");
	CU_ASSERT_EQUAL(parse(&v, &operands, "a --list x - --list y b"), 0);
	CU_ASSERT_EQUAL(v.list.nr, 2);
	CU_ASSERT_EQUAL(operands.nr, 3);
	CU_ASSERT_STRING_EQUAL(operands.item[1], "-");
	CU_ASSERT_EQUAL(parse(&v, NULL, "--rest prog -x --flag"), 0);
	CU_ASSERT_TRUE(v.rest.nr == 2 && v.flag);
	CU_ASSERT_EQUAL(parse(&v, NULL, "--rest prog -- --flag"), 0);
	CU_ASSERT_TRUE(v.rest.nr == 2 && !v.flag);
	CU_ASSERT_STRING_EQUAL(v.rest.item[1], "--flag");
}

static void test_wrong(void)
{
	static const char *const wrong[] = {
		"--nothing",
		"--number",
		"--number 0",
		"--number 10",
		"--number 9x",
		"--size 1",
		"--size 2M",
		"--size 5Q",
		"--word four",
		"--word on",
		"--list 1 --list 2 --list 3",
		"operand",
		"--number=3",
	};
	struct values v;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(parse(&v, NULL, wrong[i]), MMVM_EXIT_USAGE);
}

static void test_texts(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	command_help(f, &cmd);
	fflush(f);
	for (const struct cli_option *o = table; o->name; o++)
		CU_ASSERT_PTR_NOT_NULL(strstr(text, o->name));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "-f, --flag"));
	command_man(f, &cmd, "0");
	command_completion(f, &cmd);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n.B \\-\\-word WORD\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--word) values='one two three'"));
	free(text);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"order, ticks, requests", test_order},
		{"one that cannot be opened", test_open_fails},
		{"a full list", test_full},
		{"a run without an audit", test_audit_missing},
		{"the table", test_table},
		{"options", test_options},
		{"wrong options", test_wrong},
		{"help, manual, completion", test_texts},
	};

	if (!freopen("/dev/null", "w", stderr))
		return 1;
	return unit_run("observers and options", cases, sizeof(cases) / sizeof(cases[0]));
}
