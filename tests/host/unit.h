/*
 * A CUnit program in one table. Include it once in a program. The tests run in order, on one machine.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/Basic.h>

struct unit_case {
	const char *name;
	void (*fn)(void);
};

/* A case that has the name of its function. */
#define UNIT_CASE(function)         \
	{                           \
#function, function \
	}

/* The status of the program: 0 when all ran and none failed. */
static int unit_run(const char *suite_name, const struct unit_case *cases, unsigned int n)
{
	unsigned int failed;
	CU_pSuite suite;

	CU_initialize_registry();
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (unsigned int i = 0; i < n; i++)
		CU_add_test(suite, cases[i].name, cases[i].fn);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures() + (CU_get_number_of_tests_run() != n);
	CU_cleanup_registry();
	return failed ? 1 : 0;
}

#endif
