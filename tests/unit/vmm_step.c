/*
 * The step profiler: instructions are decoded; the operation is cut out between its marks; calls, tail
 * calls, traps and context switches are followed; and the profile in each of its output forms.
 */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "observe/step_profile.h"

#define K    0xffffffff80000000ull /* function 'a' is at K + 0x1000, 'b' at K + 0x2000 ... */
#define F(c) (K + 0x1000ull * (unsigned int)((c) - 'a' + 1))
#define USER 0x401000ull
#define SP   0xffffc90000013f00ull
#define SP2  0xffffc90000023f00ull /* of another thread */

static struct profiler *p;

static const char *namer(const void *arg, uint64_t rip, char *buf, size_t size)
{
	unsigned int off = rip & 0xfff;
	char c = (char)('a' + (rip - K) / 0x1000 - 1);

	/* the last quarter of a function is its unlikely part */
	if (off >= 0xc00)
		snprintf(buf, size, "%c.cold+0x%x", c, off - 0xc00);
	else
		snprintf(buf, size, off ? "%c+0x%x" : "%c", c, off);
	return buf;
}

static void insn(uint64_t rip, uint64_t rsp, enum step_insn class)
{
	profiler_step(p, &(struct machine_step){
				 .kind = STEP_INSN, .rip = rip, .rsp = rsp, .insn = class});
}
static void trap(uint64_t rip, uint64_t rsp, uint64_t from)
{
	profiler_step(
		p, &(struct machine_step){.kind = STEP_TRAP, .rip = rip, .rsp = rsp, .from = from});
}
static void begin(const char *name, uint64_t root)
{
	profiler_step(p, &(struct machine_step){.kind = STEP_BEGIN, .name = name, .root = root});
}
static void end(void)
{
	profiler_step(p, &(struct machine_step){.kind = STEP_END, .name = "op"});
}

static const struct profile_func *func(const struct profile *r, const char *name)
{
	static const struct profile_func none = {.self = ~0ull, .total = ~0ull, .calls = ~0ull};

	for (unsigned int i = 0; i < r->nr_funcs; i++)
		if (!strcmp(r->func[i].name, name))
			return &r->func[i];
	return &none;
}

static char *shown(void (*print)(FILE *f, const struct profile *p), const struct profile *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	print(f, r);
	fclose(f);
	return text;
}

static int setup(void)
{
	return 0;
}
static void fresh(void)
{
	profiler_free(p);
	p = profiler_new(namer, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
}

static void test_decode(void)
{
	static const struct {
		unsigned char bytes[4];
		enum step_insn class;
	} cases[] = {
		{{0xe8, 1, 2, 3}, INSN_CALL},
		{{0xff, 0xd0}, INSN_CALL},
		{{0xff, 0x14, 0xc5}, INSN_CALL},
		{{0x41, 0xff, 0xd4}, INSN_CALL},
		{{0xff, 0xe0}, INSN_OTHER},
		{{0xff, 0x30}, INSN_OTHER},
		{{0xc3}, INSN_RET},
		{{0xf3, 0xc3}, INSN_RET},
		{{0xc2, 8, 0}, INSN_RET},
		{{0x48, 0xcf}, INSN_IRET},
		{{0x0f, 0x05}, INSN_SYSCALL},
		{{0x48, 0x0f, 0x07}, INSN_SYSRET},
		{{0x9c}, INSN_PUSHF},
		{{0x9d}, INSN_POPF},
		{{0xf4}, INSN_HLT},
		{{0xfb}, INSN_STI},
		{{0xf3, 0x48, 0xab}, INSN_OTHER},
		{{0x0f, 0x1f, 0x00}, INSN_OTHER},
		{{0x66, 0x66, 0x66, 0x66}, INSN_OTHER},
		{{0x90}, INSN_OTHER},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(step_decode(cases[i].bytes, 4), cases[i].class);
	/* what is cut off is nothing */
	CU_ASSERT_EQUAL(step_decode((const unsigned char *)"\x0f", 1), INSN_OTHER);
	CU_ASSERT_EQUAL(step_decode((const unsigned char *)"\xff", 1), INSN_OTHER);
	CU_ASSERT_EQUAL(step_decode((const unsigned char *)"", 0), INSN_OTHER);
}

/** a calls b twice; b tail-calls c the second time. Around it, what the marks cost. */
static void one_call(void)
{
	begin("op", F('a'));
	insn(F('z') + 1, SP, INSN_OTHER);
	insn(F('z') + 2, SP, INSN_CALL);
	insn(F('a'), SP - 8, INSN_OTHER);
	insn(F('a') + 1, SP - 8, INSN_CALL);
	insn(F('b'), SP - 16, INSN_OTHER);
	insn(F('b') + 0xc00, SP - 16, INSN_OTHER); /* the unlikely part */
	insn(F('b') + 1, SP - 16, INSN_RET);
	insn(F('a') + 2, SP - 8, INSN_CALL);
	insn(F('b'), SP - 16, INSN_OTHER);
	insn(F('c'), SP - 16, INSN_OTHER); /* by a jump */
	insn(F('c') + 1, SP - 16, INSN_RET);
	insn(F('a') + 3, SP - 8, INSN_RET);
	insn(F('z') + 3, SP, INSN_OTHER);
	insn(F('z') + 4, SP, INSN_CALL);
	end();
}

static void test_calls(void)
{
	const struct profile *r;
	char *text;

	fresh();
	one_call();
	one_call();
	r = profiler_result(p);
	CU_ASSERT_STRING_EQUAL(r->error, "");
	CU_ASSERT_STRING_EQUAL(r->op, "op");
	CU_ASSERT_EQUAL(r->reps, 2);
	CU_ASSERT_TRUE(r->identical);
	CU_ASSERT_EQUAL(r->min, 10);
	CU_ASSERT_EQUAL(r->max, 10);
	CU_ASSERT_EQUAL(func(r, "a")->self, 4);
	CU_ASSERT_EQUAL(func(r, "a")->total, 10);
	CU_ASSERT_EQUAL(func(r, "a")->calls, 1);
	CU_ASSERT_EQUAL(func(r, "b")->self, 4);
	CU_ASSERT_EQUAL(func(r, "b")->calls, 2);
	CU_ASSERT_EQUAL(func(r, "c")->self, 2);
	CU_ASSERT_EQUAL(func(r, "z")->self, ~0ull);
	text = shown(profile_print_folded, r);
	CU_ASSERT_STRING_EQUAL(text, "a 4\na;b 4\na;c 2\n");
	free(text);
	text = shown(profile_print_tree, r);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "        10           4         1  a\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "         4           4         2    b\n"));
	free(text);
	text = shown(profile_print_table, r);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "         4   40.00          10         1  a\n"));
	free(text);
}

/** A function that calls itself has its total once. */
static void test_recursion(void)
{
	const struct profile *r;

	fresh();
	begin("op", F('a'));
	insn(F('a'), SP, INSN_CALL);
	insn(F('a'), SP - 8, INSN_CALL);
	insn(F('a'), SP - 16, INSN_RET);
	insn(F('a') + 1, SP - 8, INSN_RET);
	insn(F('a') + 1, SP, INSN_RET);
	insn(F('z'), SP + 8, INSN_OTHER);
	end();
	r = profiler_result(p);
	CU_ASSERT_EQUAL(func(r, "a")->self, 5);
	CU_ASSERT_EQUAL(func(r, "a")->total, 5);
	CU_ASSERT_EQUAL(func(r, "a")->calls, 3);
}

/** From user mode: a fault, whose instruction counts once; the mark's own system calls do not. */
static void test_user_fault(void)
{
	const struct profile *r;

	fresh();
	begin("op", 0);
	insn(F('z'), SP, INSN_SYSRET);
	insn(USER, 0x7000, INSN_OTHER);
	insn(USER + 4, 0x7000, INSN_OTHER); /* faults */
	trap(F('a'), SP, USER + 4);
	insn(F('a') + 1, SP, INSN_CALL);
	insn(F('b'), SP - 8, INSN_RET);
	insn(F('a') + 2, SP, INSN_IRET);
	insn(USER + 4, 0x7000, INSN_OTHER);
	insn(USER + 8, 0x7000, INSN_SYSCALL); /* the mark */
	trap(F('y'), 0x7000, USER + 10);
	insn(F('y') + 1, SP, INSN_OTHER);
	end();
	r = profiler_result(p);
	CU_ASSERT_STRING_EQUAL(r->error, "");
	CU_ASSERT_EQUAL(r->min, 6);
	CU_ASSERT_EQUAL(func(r, "[user]")->self, 2);
	CU_ASSERT_EQUAL(func(r, "[user]")->total, 6);
	CU_ASSERT_EQUAL(func(r, "a")->self, 3);
	CU_ASSERT_EQUAL(func(r, "a")->total, 4);
	CU_ASSERT_EQUAL(func(r, "b")->self, 1);
}

/** An interrupt in the middle: below what it interrupted, which goes on afterwards. */
static void test_interrupt(void)
{
	const struct profile *r;
	char *text;

	fresh();
	begin("op", F('a'));
	insn(F('a'), SP, INSN_CALL);
	insn(F('b'), SP - 8, INSN_OTHER);
	trap(F('i'), SP - 48, F('b') + 1);
	insn(F('i') + 1, SP - 48, INSN_IRET);
	insn(F('b') + 1, SP - 8, INSN_RET);
	insn(F('a') + 1, SP, INSN_RET);
	insn(F('z'), SP + 8, INSN_OTHER);
	end();
	r = profiler_result(p);
	text = shown(profile_print_folded, r);
	CU_ASSERT_STRING_EQUAL(text, "a 2\na;b 2\na;b;i 2\n");
	free(text);
}

/** To another thread, which was in the middle of something, and back. */
static void test_switch(void)
{
	const struct profile *r;
	char *text;

	fresh();
	begin("op", F('a'));
	insn(F('a'), SP, INSN_CALL);
	insn(F('s'), SP - 8, INSN_OTHER); /* loads the other stack pointer */
	insn(F('s') + 1, SP2, INSN_RET);
	insn(F('t'), SP2 + 8, INSN_CALL);
	insn(F('s'), SP2, INSN_OTHER); /* and this one again */
	insn(F('s') + 1, SP - 8, INSN_RET);
	insn(F('a') + 1, SP, INSN_RET);
	insn(F('z'), SP + 8, INSN_OTHER);
	end();
	r = profiler_result(p);
	CU_ASSERT_STRING_EQUAL(r->error, "");
	CU_ASSERT_EQUAL(r->min, 7);
	text = shown(profile_print_folded, r);
	CU_ASSERT_STRING_EQUAL(text, "a 2\na;s 2\n[other_thread];s 1\n[other_thread];t 1\n"
				     "[other_thread];t;s 1\n");
	free(text);
}

static void test_differences(void)
{
	const struct profile *r;

	fresh();
	one_call();
	begin("op", F('a'));
	insn(F('a'), SP, INSN_RET);
	insn(F('z'), SP + 8, INSN_OTHER);
	end();
	r = profiler_result(p);
	CU_ASSERT_FALSE(r->identical);
	CU_ASSERT_EQUAL(r->min, 1);
	CU_ASSERT_EQUAL(r->max, 10);
	/* the cheapest is shown, and nothing of the other */
	CU_ASSERT_EQUAL(func(r, "a")->self, 1);
	CU_ASSERT_EQUAL(func(r, "b")->self, ~0ull);
}

static void test_errors(void)
{
	fresh();
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error, "no operation was marked");
	fresh();
	begin("op", F('a'));
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error, "the operation did not end");
	fresh();
	begin("op", F('a'));
	insn(F('b'), SP, INSN_OTHER);
	end();
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error, "the operation is not between its marks");
	fresh();
	begin("op", 0);
	end();
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error, "the operation is not between its marks");
	fresh();
	begin("op", F('a'));
	begin("op", F('a'));
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error,
			       "the guest begins an operation within another");
	fresh();
	one_call();
	begin("another", F('a'));
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error, "the guest marks a second operation");
	fresh();
	begin("op", F('a'));
	profiler_step(p, &(struct machine_step){.kind = STEP_FAILED, .name = "no stepping here"});
	end();
	CU_ASSERT_STRING_EQUAL(profiler_result(p)->error, "no stepping here");
	/* endless calls are reported, not followed beyond the room there is */
	fresh();
	begin("op", F('a'));
	for (unsigned int i = 0; i < 2000; i++)
		insn(F('a'), SP - 8 * i, INSN_CALL);
	insn(F('a'), SP - 8 * 2000, INSN_RET);
	insn(F('a'), SP, INSN_RET);
	insn(F('z'), SP + 8, INSN_OTHER);
	end();
	CU_ASSERT_PTR_NOT_NULL(strstr(profiler_result(p)->error, "deeper"));
	profiler_free(p);
	p = NULL;
}

int main(void)
{
	CU_pSuite s;
	unsigned int failed;

	CU_initialize_registry();
	s = CU_add_suite("steps", setup, NULL);
	CU_add_test(s, "instructions that matter are told apart", test_decode);
	CU_add_test(s, "calls, tail calls, unlikely parts", test_calls);
	CU_add_test(s, "recursion has its total once", test_recursion);
	CU_add_test(s, "a fault from user mode", test_user_fault);
	CU_add_test(s, "an interrupt", test_interrupt);
	CU_add_test(s, "to another thread and back", test_switch);
	CU_add_test(s, "repetitions that differ", test_differences);
	CU_add_test(s, "errors are told", test_errors);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed != 0;
}
