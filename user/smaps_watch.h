/*
 * For programs about huge pages: print the VMAs of a fixed area from smaps, and the growth of counters of
 * /proc/vmstat. The includer defines `counters` and NR_COUNTERS before.
 */
#ifndef USER_SMAPS_WATCH_H
#define USER_SMAPS_WATCH_H
#include "transcript.h"

#define AT   0x100000000000ul
#define SPAN (64 * HUGE)

static long counted[NR_COUNTERS];

static unsigned long hex(char **p)
{
	unsigned long n = 0;

	for (;; (*p)++) {
		if (**p >= '0' && **p <= '9')
			n = n * 16 + (unsigned long)(**p - '0');
		else if (**p >= 'a' && **p <= 'f')
			n = n * 16 + (unsigned long)(**p - 'a' + 10);
		else
			return n;
	}
}

static void deltas(bool say)
{
	read_file("/proc/vmstat");
	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		for (char *p = text; *p; p = next_line(p)) {
			long n;

			if (!number_of(p, counters[i], &n) || p[strlen(counters[i])] != ' ')
				continue;
			if (say && n != counted[i])
				print("  %s +%ld\n", counters[i], n - counted[i]);
			counted[i] = n;
		}
}

static void show_vma(char *p)
{
	long rss = 0, huge = 0, shmem = 0, eligible = 0, locked = 0;

	for (p = next_line(p); *p >= 'A' && *p <= 'Z'; p = next_line(p)) {
		number_of(p, "Rss:", &rss);
		number_of(p, "AnonHugePages:", &huge);
		number_of(p, "ShmemPmdMapped:", &shmem);
		number_of(p, "THPeligible:", &eligible);
		number_of(p, "Locked:", &locked);
		if (memcmp(p, "VmFlags:", 8))
			continue;
		for (char *f = p; *f != '\n'; f++)
			if (!memcmp(f, " hg ", 4) || !memcmp(f, " nh ", 4))
				print(" %c%c", f[1], f[2]);
	}
	print(" rss %ld huge %ld eligible %ld locked %ld", rss, huge, eligible, locked);
	if (shmem)
		print(" shmem %ld", shmem);
	print("\n");
}

static void show(const char *when)
{
	print("%s\n", when);
	deltas(true);
	read_file("/proc/self/smaps");
	for (char *p = text; *p; p = next_line(p)) {
		char *at = p;
		unsigned long start = hex(&at), end = *at == '-' ? (at++, hex(&at)) : 0;

		if (*at != ' ' || start < AT || end > AT + SPAN)
			continue;
		print("  %lx..%lx", (start - AT) / PAGE_SIZE, (end - AT) / PAGE_SIZE);
		show_vma(p);
	}
}
#endif
