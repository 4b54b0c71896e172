/* Pressure: there is none while there is memory, some while a program needs more, none afterwards. */
#include "kernel/loadavg.h"
#include "kernel/psi.h"
#include "tests/tests.h"

#define MEM "memory=24M,high=4M swap=64M"

GUEST_TEST(psi, pressure_begins_and_ends_with_its_cause, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	u64 some, full, some_then, full_then, begin, v;

	REQUIRE(a);
	for (unsigned long i = 0; i < 200; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
	psi_totals(&some, &full);
	CHECK_EQ(some, 0); /* memory enough for that */
	CHECK_EQ(full, 0);

	begin = ktime_ns();
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
	for (unsigned long i = 0; i < pages; i += 7)
		CHECK(!testmm_read(mm, a + i * PAGE_SIZE, &v) && v == i);
	psi_totals(&some, &full);
	CHECK(some > 0);
	CHECK(full > 0); /* one CPU: while it reclaims nothing else gets on */
	CHECK(full <= some);
	CHECK(some <= ktime_ns() - begin);

	mmput(mm);
	sleep_ms(100); /* kswapd comes to rest */
	psi_totals(&some_then, &full_then);
	CHECK_EQ(READ_ONCE(psi_stalled), 0);
	sleep_ms(50);
	psi_totals(&some, &full);
	CHECK_EQ(some, some_then);
	CHECK_EQ(full, full_then);
}

/* "avg10=12.34" of the first line, in hundredths. */
static u64 some_avg10(void)
{
	static char buf[512];
	struct report r = {.buf = buf, .size = sizeof(buf)};
	const char *p;
	u64 n = 0;

	report_pressure_memory(&r);
	for (p = buf; *p && strncmp(p, "avg10=", 6); p++)
		;
	for (p += 6; (*p >= '0' && *p <= '9') || *p == '.'; p++)
		n = *p == '.' ? n : n * 10 + (*p - '0');
	return n;
}

GUEST_TEST(psi, averages_are_right_though_nobody_reads, 0, 60, "")
{
	u64 avg;

	/* Three whole periods of two seconds and a bit: 1 - exp(-6 / 10) is 45 %. Of one reading at the
	 * end that knew only of the last period 18 % would be left. */
	psi_memstall_enter();
	sleep_ms(8100);
	psi_memstall_leave();
	avg = some_avg10();
	CHECK(avg > 4000);
	CHECK(avg < 6000); /* four periods: 55 % */
	sleep_ms(4100);
	CHECK(some_avg10() < avg);
	CHECK(some_avg10() > avg / 3);
}

GUEST_TEST(psi, load_averages_decay, 0, 0, "")
{
	u64 load = 0;

	/* One task for ever: up to one, and within a hundredth of it after five times the period. */
	for (int i = 0; i < 60; i++)
		load = load_decay(load, 1884, 1, 1);
	CHECK(load > (99ul << LOAD_SHIFT) / 100 && load <= 1ul << LOAD_SHIFT);
	/* Many periods at once are the same as one after the other, but for rounding. */
	CHECK(load_decay(load, 1884, 0, 12) <= load_decay(load, 1884, 0, 6));
	CHECK(load_decay(1ul << LOAD_SHIFT, 1884, 0, 12) > 700);
	CHECK(load_decay(1ul << LOAD_SHIFT, 1884, 0, 12) < 800); /* 1/e of 2048 is 753 */
	CHECK_EQ(load_decay(1ul << LOAD_SHIFT, 1884, 0, 100000), 0);
}
