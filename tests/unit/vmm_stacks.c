/*
 * Sampled stacks: the counts that are written are those that were taken, and a full table says how much it
 * lost.
 */
#include "../host/unit.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "observe/observers.h"
#include "observe/stacks.h"

static char *written(const struct stacks *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_EQUAL(stacks_write(f, s, NULL), 0);
	fclose(f);
	return text;
}

static uint64_t sum(const char *text)
{
	uint64_t total = 0;

	for (const char *p = text; *p; p = strchr(p, '\n') + 1)
		total += strtoull(strchr(p, ' ') + 1, NULL, 10);
	return total;
}

static void test_lines(void)
{
	static const uint64_t inner[] = {0xffffffff80100010, 0xffffffff80100200},
			      outer[] = {0xffffffff80100200};
	struct stacks *s = stacks_new();
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	text = written(s);
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
	stacks_add(s, inner, 2);
	stacks_add(s, outer, 1);
	stacks_add(s, inner, 2);
	stacks_add(s, inner, 0);
	text = written(s);
	/* outermost first; without symbols, addresses */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "0xffffffff80100200;0xffffffff80100010 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "0xffffffff80100200 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[user] 1\n"));
	CU_ASSERT_EQUAL(sum(text), 4);
	free(text);
	stacks_free(s);
}

static void test_full(void)
{
	struct run_result r;
	struct observation run = {.symbols = NULL};
	struct machine_outcome out = {.kind = OUTCOME_EXITED};
	struct machine_config c = {0};
	struct mmvm_error err = {0};
	uint64_t added = 60000, lost = 0;
	char *text, path[64] = "/tmp/mmvm-stacks-XXXXXX";
	int fd = mkstemp(path);
	struct stacks_observer o = {.file = path};

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_TRUE(stacks_observer.wanted(&o, &run, &c));
	CU_ASSERT_EQUAL_FATAL(stacks_observer.open(&o, &run, &c, &err), 0);
	CU_ASSERT_EQUAL(c.vcpu_sample_ns, 1000000000 / STACKS_HZ);
	for (uint64_t i = 0; i < added; i++)
		stacks_add(o.stacks, (uint64_t[]){0xffffffff80000000 + i * 16}, 1);
	text = written(o.stacks);
	run_result_init(&r);
	CU_ASSERT_EQUAL(stacks_observer.stop(&o, NULL, &out), 0);
	stacks_observer.cost(&o, NULL, &r);
	close(fd);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(r.nr_observers, 1);
	CU_ASSERT_EQUAL(r.observers[0].times, added);
	CU_ASSERT_EQUAL(sscanf(strchr(r.observers[0].note, ',') + 1, "%lu lost", &lost), 1);
	CU_ASSERT_TRUE(lost > 0);
	CU_ASSERT_EQUAL(sum(text) + lost, added);
	free(text);
	run_result_free(&r);
	stacks_observer.close(&o);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"lines", test_lines},
		{"a full table", test_full},
	};

	return unit_run("stacks", cases, sizeof(cases) / sizeof(cases[0]));
}
