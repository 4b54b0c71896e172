/*
 * The vDSO: the C library's clock without a system call, as a program sees it. The transcript is the same on Linux
 * and on guestmm (tests/vm/vdso.sh); numbers that depend on the machine are compared, not printed.
 *    vdso            the transcript
 *    vdso count      a million readings, whose system calls are counted from outside (tests/vm/vdso.sh)
 *    vdso none       with vdso=0: there must be no vDSO
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "transcript.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static int (*v_gettime)(clockid_t, struct timespec *);
static int (*v_getres)(clockid_t, struct timespec *);
static int (*v_gettimeofday)(struct timeval *, void *);
static time_t (*v_time)(time_t *);
static int (*v_getcpu)(unsigned int *, unsigned int *, void *);

/* ---- the image, read as a C library reads it ---- */

static const char *image;

/* The symbol of this name and version, by the classic hash table's list of symbols. */
static void *symbol(const char *name)
{
	const Elf64_Ehdr *eh = (const void *)image;
	const Elf64_Phdr *ph = (const void *)(image + eh->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *sym = NULL;
	const char *str = NULL;
	const uint32_t *hash = NULL;
	unsigned long bias = 0;

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			bias = (unsigned long)image + ph[i].p_offset - ph[i].p_vaddr;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(image + ph[i].p_offset);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		void *at = (void *)(bias + dyn->d_un.d_ptr);

		if (dyn->d_tag == DT_STRTAB)
			str = at;
		if (dyn->d_tag == DT_SYMTAB)
			sym = at;
		if (dyn->d_tag == DT_HASH)
			hash = at;
	}
	if (!str || !sym || !hash)
		return NULL;
	for (uint32_t i = 0; i < hash[1]; i++)
		if (sym[i].st_shndx != SHN_UNDEF && !strcmp(str + sym[i].st_name, name))
			return (void *)(bias + sym[i].st_value);
	return NULL;
}

static void find_all(void)
{
	v_gettime = symbol("__vdso_clock_gettime");
	v_getres = symbol("__vdso_clock_getres");
	v_gettimeofday = symbol("__vdso_gettimeofday");
	v_time = symbol("__vdso_time");
	v_getcpu = symbol("__vdso_getcpu");
	printf("symbols: gettime %d getres %d gettimeofday %d time %d getcpu %d other %d\n",
	       !!v_gettime, !!v_getres, !!v_gettimeofday, !!v_time, !!v_getcpu,
	       !!symbol("__vdso_sleep"));
	printf("without the prefix: %d %d %d %d\n", symbol("clock_gettime") == v_gettime,
	       symbol("gettimeofday") == v_gettimeofday, symbol("time") == v_time,
	       symbol("getcpu") == v_getcpu);
}

/* ---- /proc/self ---- */

static unsigned long map_start[2], map_end[2]; /* [vdso], [vvar] */

/* Lines of /proc/self/FILE that name one of the two, without addresses. */
static void maps(void)
{
	char line[256], rights[8], name[64];
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end, offset;

	while (f && fgets(line, sizeof(line), f)) {
		name[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %63s", &start, &end, rights, &offset,
			   name) < 4)
			continue;
		if (strcmp(name, "[vdso]") && strcmp(name, "[vvar]"))
			continue;
		map_start[name[2] == 'v'] = start;
		map_end[name[2] == 'v'] = end;
		printf("maps: %s %s offset %lx\n", name, rights, offset);
	}
	if (f)
		fclose(f);
	printf("AT_SYSINFO_EHDR is its start: %d; [vvar] is below: %d\n",
	       getauxval(AT_SYSINFO_EHDR) == map_start[0], map_end[1] == map_start[0]);
}

/* What smaps says of a mapping after its name. */
static void smaps(const char *which)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256];
	int in = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && strstr(line, " 00:00 "))
			in = strstr(line, which) != NULL;
		if (in && (!strncmp(line, "Anonymous", 9) || !strncmp(line, "Locked", 6) ||
			   !strncmp(line, "VmFlags", 7)))
			printf("%s %s", which, line);
	}
	if (f)
		fclose(f);
}

/* ---- what the functions answer ---- */

static int64_t ns(const struct timespec *t)
{
	return t->tv_sec * 1000000000ll + t->tv_nsec;
}

static long sys_gettime(long clock, struct timespec *t)
{
	return syscall(SYS_clock_gettime, clock, t);
}

/* Is what the vDSO says between two answers of the system call? `slack`: a coarse clock may lie behind. */
static void agrees(const char *name, clockid_t clock, int64_t slack)
{
	struct timespec before, now, after;
	int ok = 0, bad = 0;

	for (int i = 0; i < 200; i++) {
		sys_gettime(clock, &before);
		if (v_gettime(clock, &now))
			bad++;
		sys_gettime(clock, &after);
		ok += ns(&before) - slack <= ns(&now) && ns(&now) <= ns(&after) &&
		      now.tv_nsec < 1000000000;
	}
	printf("%s: %d of 200 agree, %d failed\n", name, ok, bad);
}

static void errors(void)
{
	struct timespec t = {7, 7};

	printf("clock 99: %d, and by the call %s\n", v_gettime(99, &t),
	       result(sys_gettime(99, &t)));
	printf("clock -1: %d\n", v_gettime(-1, &t));
	printf("the process's: %d, the thread's: %d\n", v_gettime(CLOCK_PROCESS_CPUTIME_ID, &t),
	       v_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
	printf("getres: %d", v_getres(CLOCK_MONOTONIC, &t));
	printf(" %ld, more than 0 ns %d", (long)t.tv_sec, t.tv_nsec > 0);
	printf("; NULL %d; clock 99 %d\n", v_getres(CLOCK_REALTIME, NULL), v_getres(99, NULL));
}

/* microseconds; timercmp() takes an operator, which the checker does not parse */
static int64_t us_of(const struct timeval *t)
{
	return t->tv_sec * 1000000ll + t->tv_usec;
}

static void time_of_day(void)
{
	struct timeval before, now, after;
	int zone[2] = {-1, -1}, ok = 0;
	struct timespec t;
	time_t got;

	for (int i = 0; i < 200; i++) {
		syscall(SYS_gettimeofday, &before, NULL);
		v_gettimeofday(&now, NULL);
		syscall(SYS_gettimeofday, &after, NULL);
		ok += us_of(&now) >= us_of(&before) && us_of(&now) <= us_of(&after);
	}
	printf("gettimeofday: %d of 200 agree\n", ok);
	printf("gettimeofday NULL: %d", v_gettimeofday(NULL, zone));
	printf(", zone %d %d\n", zone[0], zone[1]);
	sys_gettime(CLOCK_REALTIME, &t);
	got = v_time(NULL);
	printf("time: %d", got == t.tv_sec || got == t.tv_sec - 1 || got == t.tv_sec + 1);
	printf(", stored %d\n", v_time(&got) - got <= 1);
}

static void cpu(void)
{
	unsigned int c = 99, n = 99, sc = 0, sn = 0;
	int ok = 0;

	for (int i = 0; i < 100; i++) {
		v_getcpu(&c, &n, NULL);
		syscall(SYS_getcpu, &sc, &sn, NULL);
		ok += c == sc && n == sn; /* it may have moved between: seldom */
	}
	printf("getcpu: %d, NULLs %d\n", ok > 50, v_getcpu(NULL, NULL, NULL));
}

/* On each CPU that there is, getcpu says so. */
static void on_each_cpu(void)
{
	cpu_set_t all, one;
	int wrong = 0;

	sched_getaffinity(0, sizeof(all), &all);
	for (unsigned int i = 0; i < CPU_SETSIZE; i++) {
		unsigned int c = 99, n = 99;

		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		v_getcpu(&c, &n, NULL);
		wrong += c != i;
	}
	sched_setaffinity(0, sizeof(all), &all);
	printf("getcpu is wrong on %d CPUs\n", wrong);
}

/* Several threads hand a reading on: it never goes back, whoever reads next, and by whichever way. */
static int64_t last; /* under `lock` */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int backwards;

static void *reader(void *arg)
{
	struct timespec t;

	for (int i = 0; i < 5000; i++) {
		pthread_mutex_lock(&lock);
		if ((i + (long)arg) % 7)
			v_gettime(CLOCK_MONOTONIC, &t);
		else
			sys_gettime(CLOCK_MONOTONIC, &t);
		backwards += ns(&t) < last;
		last = ns(&t);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void monotonic(void)
{
	pthread_t thread[4];

	for (long i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, reader, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("went backwards: %d\n", backwards);
}

/* ---- the mapping, as the memory calls see it ---- */

static void mappings(void)
{
	char *vdso = (char *)map_start[0], *vvar = (char *)map_start[1];
	const size_t page = 4096, len = map_end[0] - map_start[0], vlen = map_end[1] - map_start[1];
	unsigned char resident[8];
	struct timespec t;
	int status;
	void *to;

	printf("vvar: writable %s, ", result(mprotect(vvar, vlen, PROT_READ | PROT_WRITE)));
	printf("executable %s, none %s, ", result(mprotect(vvar, vlen, PROT_READ | PROT_EXEC)),
	       result(mprotect(vvar, vlen, PROT_NONE)));
	printf("read again %s\n", result(mprotect(vvar, vlen, PROT_READ)));
	printf("vvar: dontneed %s, ", result(madvise(vvar, vlen, MADV_DONTNEED)));
	printf("cold %s, free %s, ", result(madvise(vvar, vlen, MADV_COLD)),
	       result(madvise(vvar, vlen, MADV_FREE)));
	printf("dofork %s, dodump %s\n", result(madvise(vvar, vlen, MADV_DOFORK)),
	       result(madvise(vvar, vlen, MADV_DODUMP)));
	printf("vdso: free %s, dodump %s, ", result(madvise(vdso, len, MADV_FREE)),
	       result(madvise(vdso, len, MADV_DODUMP)));
	printf("dontneed %s, gettime %d\n", result(madvise(vdso, len, MADV_DONTNEED)),
	       v_gettime(CLOCK_MONOTONIC, &t));
	printf("populate: vvar %s, vdso %s\n", result(madvise(vvar, vlen, MADV_POPULATE_READ)),
	       result(madvise(vdso, len, MADV_POPULATE_READ)));
	printf("mlock %s, munlock %s, ", result(mlock(vdso, len)), result(munlock(vdso, len)));
	printf("mlock vvar %s\n", result(mlock(vvar, vlen)));
	munlock(vvar, vlen);
	printf("mincore %s\n", result(mincore(vdso, page, resident)));
	printf("longer: vdso %s, vvar %s; dontunmap %s\n",
	       done((long)mremap(vdso, len, len + page, MREMAP_MAYMOVE)),
	       done((long)mremap(vvar, vlen, vlen + page, MREMAP_MAYMOVE)),
	       done((long)mremap(vdso, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP)));
	to = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("write(2) from it: vdso %s", result(write(open("/dev/null", O_WRONLY), vdso, page)));
	munmap(to, page);
	printf("\n");
	/* A copy of one's own, which others do not see. */
	fflush(stdout);
	if (!fork()) {
		printf("child: writable %s, ",
		       result(mprotect(vdso, len, PROT_READ | PROT_WRITE | PROT_EXEC)));
		vdso[8] = 0x5a; /* of e_ident: padding */
		printf("it reads %x, the code runs: %d\n", vdso[8], v_gettime(CLOCK_MONOTONIC, &t));
		fflush(stdout);
		if (!fork()) {
			printf("grandchild reads %x, ", vdso[8]);
			vdso[8] = 0x6b;
			printf("then %x: %d\n", vdso[8], v_gettime(CLOCK_MONOTONIC, &t));
			fflush(stdout);
			_exit(0);
		}
		wait(&status);
		printf("child still reads %x\n", vdso[8]);
		printf("discarded: %s, ", result(madvise(vdso, len, MADV_DONTNEED)));
		printf("reads %x\n", vdso[8]);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	printf("status %d, the parent reads %x\n", status, vdso[8]);
	fflush(stdout);
	/* Moved, and then unmapped: the program goes on by system calls. */
	if (!fork()) {
		to = mmap(NULL, vlen + len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		printf("moved: %s %s, ",
		       done((long)mremap(vvar, vlen, vlen, MREMAP_MAYMOVE | MREMAP_FIXED, to)),
		       done((long)mremap(vdso, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
					 (char *)to + vlen)));
		v_gettime = (void *)((char *)v_gettime - vdso + (char *)to + vlen);
		printf("it runs there: %d\n", v_gettime(CLOCK_MONOTONIC, &t));
		printf("unmapped: %s, ", result(munmap(to, vlen + len)));
		printf("the call: %s\n", result(sys_gettime(CLOCK_MONOTONIC, &t)));
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	printf("status %d\n", status);
}

/* ---- the other uses ---- */

/* A million readings of the clock, for whoever counts system calls from outside. */
static int count(void)
{
	struct timespec t;
	unsigned int c;

	for (int i = 0; i < 250000; i++) {
		v_gettime(CLOCK_MONOTONIC, &t);
		v_gettimeofday((void *)&t, NULL);
		v_time(NULL);
		v_getcpu(&c, NULL, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	image = (const char *)getauxval(AT_SYSINFO_EHDR);
	if (argc > 1 && !strcmp(argv[1], "none")) {
		struct timespec t;

		printf("image %s, clock_gettime %s\n", image ? "there" : "none",
		       result(clock_gettime(CLOCK_MONOTONIC, &t)));
		return image != NULL;
	}
	if (!image)
		return 1;
	find_all();
	if (!v_gettime || !v_getres || !v_gettimeofday || !v_time || !v_getcpu)
		return 1;
	if (argc > 1)
		return count();
	maps();
	agrees("realtime", CLOCK_REALTIME, 0);
	agrees("monotonic", CLOCK_MONOTONIC, 0);
	agrees("raw", CLOCK_MONOTONIC_RAW, 0);
	agrees("boottime", CLOCK_BOOTTIME, 0);
	agrees("tai", CLOCK_TAI, 0);
	agrees("coarse", CLOCK_MONOTONIC_COARSE, 10000000);
	agrees("coarse realtime", CLOCK_REALTIME_COARSE, 10000000);
	errors();
	time_of_day();
	cpu();
	on_each_cpu();
	monotonic();
	smaps("[vdso]");
	smaps("[vvar]");
	mappings();
	printf("end\n");
	return 0;
}
