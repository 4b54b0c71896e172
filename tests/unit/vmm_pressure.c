/*
 * Pressure as the host sums it up from the beginnings and ends of states: numbers worked out by hand from
 * Linux's formula.
 */
#include <stdio.h>
#include <string.h>
#include "../host/unit.h"
#include "result/pressure.h"

#define S 1000000000ull

static struct pressure p;
static char buf[256];

static const char *text(unsigned int resource, uint64_t ns)
{
	return pressure_text(&p, resource, ns, buf, sizeof(buf));
}

static void expect(unsigned int resource, uint64_t ns, const char *some, const char *full)
{
	char want[256];

	snprintf(want, sizeof(want), "some %s\nfull %s\n", some, full);
	CU_ASSERT_STRING_EQUAL(text(resource, ns), want);
}

/* 100 % of 2 s: 100 * (1 - e), e = 1677, 1981, 2034 of 2048; and the sum is not rounded. */
static void one_period(void)
{
	memset(&p, 0, sizeof(p));
	expect(1, 1 * S, "avg10=0.00 avg60=0.00 avg300=0.00 total=0",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	pressure_event(&p, TRACE_STALL_MEM_SOME, STALL_BEGIN, 2 * S);
	pressure_event(&p, TRACE_STALL_MEM_SOME, STALL_END, 4 * S);
	expect(1, 4 * S, "avg10=18.11 avg60=3.27 avg300=0.68 total=2000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	/* Half a period later it is the same; at the next end it decays: 37100 * 1677 / 2048 = 30379. */
	expect(1, 5 * S, "avg10=18.11 avg60=3.27 avg300=0.68 total=2000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	expect(1, 6 * S, "avg10=14.83 avg60=3.16 avg300=0.67 total=2000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	CU_ASSERT_EQUAL(p.impossible, 0);
}

/* A stall over the end of a period counts in both, in whole percent, and less than 1 % is none. */
static void parts_of_periods(void)
{
	memset(&p, 0, sizeof(p));
	pressure_event(&p, TRACE_STALL_IO_FULL, STALL_BEGIN, S);
	pressure_event(&p, TRACE_STALL_IO_FULL, STALL_END, 3 * S);
	/* 50 %: 18550; then 18550 * 1677 / 2048 + 18550 rounded up = 33740 */
	expect(0, 2 * S + S, "avg10=0.00 avg60=0.00 avg300=0.00 total=0",
	       "avg10=9.05 avg60=1.63 avg300=0.34 total=2000000");
	expect(0, 4 * S, "avg10=0.00 avg60=0.00 avg300=0.00 total=0",
	       "avg10=16.47 avg60=3.21 avg300=0.68 total=2000000");
	memset(&p, 0, sizeof(p));
	pressure_event(&p, TRACE_STALL_CPU_SOME, STALL_BEGIN, 0);
	pressure_event(&p, TRACE_STALL_CPU_SOME, STALL_END, S / 51);
	expect(2, 2 * S, "avg10=0.00 avg60=0.00 avg300=0.00 total=19607",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
}

/* A state that lasts rises to 100 %, and one that has ended falls to 0; hours without events cost no time. */
static void for_ever(void)
{
	memset(&p, 0, sizeof(p));
	pressure_event(&p, TRACE_STALL_CPU_SOME, STALL_BEGIN, 0);
	expect(2, 7200 * S, "avg10=100.00 avg60=100.00 avg300=100.00 total=7200000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	pressure_event(&p, TRACE_STALL_CPU_SOME, STALL_END, 7200 * S);
	expect(2, 1000000000 * S, "avg10=0.00 avg60=0.00 avg300=0.00 total=7200000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	pressure_event(&p, TRACE_STALL_CPU_SOME, STALL_BEGIN, 1000000001 * S);
	expect(2, 1000000002 * S, "avg10=9.05 avg60=1.63 avg300=0.34 total=7201000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
}

/* The trace is the guest's: what cannot be is counted and changes nothing. */
static void impossible(void)
{
	memset(&p, 0, sizeof(p));
	pressure_event(&p, TRACE_STALL_IO_SOME, STALL_END, S);
	CU_ASSERT_EQUAL(p.impossible, 1);
	pressure_event(&p, TRACE_STALL_IO_SOME, STALL_BEGIN, 3 * S);
	pressure_event(&p, TRACE_STALL_IO_SOME, STALL_BEGIN, 4 * S);
	CU_ASSERT_EQUAL(p.impossible, 2);
	pressure_event(&p, TRACE_STALL_IO_SOME, STALL_END, 2 * S);
	CU_ASSERT_EQUAL(p.impossible, 3);
	pressure_event(&p, TRACE_STALL_IO_SOME, STALL_END, UINT64_MAX);
	CU_ASSERT_EQUAL(p.impossible, 4);
	expect(0, 4 * S, "avg10=9.05 avg60=1.63 avg300=0.34 total=1000000",
	       "avg10=0.00 avg60=0.00 avg300=0.00 total=0");
	text(0, S);
	CU_ASSERT_EQUAL(p.impossible, 6); /* both lines */
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"one_period", one_period},
		{"parts_of_periods", parts_of_periods},
		{"for_ever", for_ever},
		{"impossible", impossible},
	};

	return unit_run("pressure", cases, sizeof(cases) / sizeof(cases[0]));
}
