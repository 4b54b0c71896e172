/*
 * The relay that carries a suite over a lab that hangs: verdicts on their way out of the lab, and own time.
 */
#include "../host/unit.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "harness/harness.h"
#include "machine/own_time.h"

static const struct mmvm_test_desc desc[] = {{.name = "a.one"}, {.name = "a.two"}, {.name = "b.x"}};
static const struct mmvm_test_desc *const tests[] = {&desc[0], &desc[1], &desc[2]};

struct fixture {
	char *out, *wire;
	size_t out_len, wire_len;
	FILE *f;
	struct test_output o;
	struct relay r;
};

static void begin(struct fixture *x)
{
	memset(x, 0, sizeof(*x));
	x->o = (struct test_output){.format = FORMAT_TAP,
				    .f = open_memstream(&x->out, &x->out_len)};
	x->r = (struct relay){.o = &x->o, .t = tests, .nr = 3};
	x->f = open_memstream(&x->wire, &x->wire_len);
}

static void end(struct fixture *x)
{
	relay_restart(&x->r);
	fclose(x->o.f);
	fclose(x->f);
	free(x->out);
	free(x->wire);
}

static void say(struct fixture *x, unsigned int test, enum verdict_kind kind, const char *reason,
		const char *detail)
{
	struct verdict v = {.kind = kind, .ns = 5000000, .detail = (char *)detail};

	snprintf(v.reason, sizeof(v.reason), "%s", reason);
	relay_verdict(x->f, desc[test].name, &v);
}

static void test_round_trip(void)
{
	struct fixture x;

	begin(&x);
	relay_begin(x.f, 7, "SVM in the lab");
	say(&x, 0, VERDICT_PASS, "", NULL);
	say(&x, 1, VERDICT_FAIL, "two\nlines", "begin 3 x\nverdict 0 1 2 3 b.x\n");
	/* In pieces of every size up to all of it. */
	for (size_t piece = 1; piece <= x.wire_len; piece++) {
		struct fixture y;

		begin(&y);
		for (size_t at = 0; at < x.wire_len; at += piece)
			relay_take(x.wire + at, x.wire_len - at < piece ? x.wire_len - at : piece,
				   &y.r);
		CU_ASSERT_EQUAL(y.r.error, 0);
		CU_ASSERT_EQUAL(y.r.done, 2);
		CU_ASSERT_EQUAL(y.o.passed, 1);
		CU_ASSERT_EQUAL(y.o.failed, 1);
		fflush(y.o.f);
		CU_ASSERT_PTR_NOT_NULL(strstr(y.out, "# SVM in the lab, seed 7"));
		CU_ASSERT_PTR_NOT_NULL(strstr(y.out, "not ok 2 - a.two"));
		end(&y);
	}
	end(&x);
}

/* The lab hangs in the middle of a verdict; another one begins at that test. */
static void test_again(void)
{
	struct fixture x;

	begin(&x);
	relay_begin(x.f, 7, "SVM");
	say(&x, 0, VERDICT_PASS, "", NULL);
	say(&x, 1, VERDICT_FAIL, "lost", "half of it");
	relay_take(x.wire, x.wire_len - 3, &x.r);
	CU_ASSERT_EQUAL(x.r.done, 1);
	relay_restart(&x.r);
	rewind(x.f);
	relay_begin(x.f, 7, "SVM");
	say(&x, 1, VERDICT_PASS, "", NULL);
	say(&x, 2, VERDICT_SKIP, "why", NULL);
	fflush(x.f);
	relay_take(x.wire, x.wire_len, &x.r);
	CU_ASSERT_EQUAL(x.r.error, 0);
	CU_ASSERT_EQUAL(x.r.done, 3);
	CU_ASSERT_EQUAL(x.o.passed, 2);
	CU_ASSERT_EQUAL(x.o.failed, 0);
	CU_ASSERT_EQUAL(x.o.skipped, 1);
	fflush(x.o.f);
	/* One plan, though two labs began. */
	CU_ASSERT_PTR_EQUAL(strstr(x.out, "TAP version"), x.out);
	CU_ASSERT_PTR_NULL(strstr(x.out + 1, "TAP version"));
	end(&x);
}

static void test_damaged(void)
{
	static const char *const bad[] = {
		"nonsense\n",
		"verdict 0 1 0 0 a.one\n",
		"begin 7 x\nverdict 0 1 0 0 a.two\n",
		"begin 7 x\nverdict 9 1 0 0 a.one\n",
		"begin 7 x\nverdict -1 1 0 0 a.one\n",
		"begin 7 x\nverdict 0 1 512 0 a.one\n",
		"begin 7 x\nverdict 0 1 0 18446744073709551615 a.one\n",
		"begin 7 x\nverdict 0 1 0 0\n",
	};
	char line[400];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fixture x;

		begin(&x);
		relay_take(bad[i], strlen(bad[i]), &x.r);
		CU_ASSERT_EQUAL(x.r.error, -EPROTO);
		CU_ASSERT_EQUAL(x.r.done, 0);
		end(&x);
	}
	for (size_t len = 200; len < 400; len += 50) {
		struct fixture x;

		begin(&x);
		memset(line, 'x', len);
		relay_take(line, len, &x.r);
		CU_ASSERT_EQUAL(x.r.error, len < 256 ? 0 : -EPROTO);
		end(&x);
	}
}

static pid_t child(bool busy)
{
	pid_t pid = fork();
	cpu_set_t one;

	if (pid)
		return pid;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	while (!busy)
		pause();
	for (;;)
		;
}

static void until_asleep(pid_t pid)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	char path[64], text[256];
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	do {
		nanosleep(&nap, NULL);
		f = fopen(path, "r");
		p = f && fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
		if (f)
			fclose(f);
	} while (p && p[2] != 'S');
}

/* Look at one of four children a second long: its own time, as a part of the clock's. */
static double part(bool busy)
{
	const struct timespec nap = {.tv_nsec = 250000000};
	pid_t pid[4];
	struct own_time t;
	uint64_t begin, own = 0, clock;

	for (int i = 0; i < 4; i++)
		pid[i] = child(busy);
	own_time_init(&t);
	if (!busy)
		until_asleep(pid[0]);
	nanosleep(&nap, NULL);
	/* Both from the same two looks: between a look and a reading of the clock others may run. */
	begin = own_time_look(&t, pid, 1);
	clock = t.clock;
	for (int i = 0; i < 4; i++) {
		nanosleep(&nap, NULL);
		own = own_time_look(&t, pid, 1) - begin;
	}
	clock = t.clock - clock;
	own_time_free(&t);
	for (int i = 0; i < 4; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	return (double)own / (double)clock;
}

static void test_own_time(void)
{
	double idle = part(false), shared = part(true);

	/* Asleep, it misses nothing. Four on one processor get a quarter each, or less. */
	CU_ASSERT(idle > 0.9 && idle < 1.1);
	if (access("/proc/self/schedstat", R_OK)) {
		CU_ASSERT(shared > 0.9);
		return;
	}
	CU_ASSERT(shared < 0.6);
	printf("asleep %.2f, one of four %.2f ", idle, shared);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"verdicts arrive, in pieces of any size", test_round_trip},
		{"another lab goes on where the last one hung", test_again},
		{"what is damaged is refused", test_damaged},
		{"own time stands still while others run", test_own_time},
	};

	return unit_run("relay", cases, sizeof(cases) / sizeof(cases[0]));
}
