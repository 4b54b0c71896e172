/*
 * prctl(PR_SET_MM), by which a program sets the addresses of its parts, and timerfd's alarm clocks: a transcript to
 * compare (tests/vm/conform_programs.sh).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "transcript.h"

#ifndef PR_SET_MM_MAP
#define PR_SET_MM_MAP	   14
#define PR_SET_MM_MAP_SIZE 15
#endif
#define ALARM_REAL 8
#define ALARM_BOOT 9
#define PAGE	   4096l

static const char *set(int what, unsigned long addr)
{
	return result(prctl(PR_SET_MM, what, addr, 0, 0));
}

static void show_cmdline(void)
{
	char text[32] = "";
	int fd = open("/proc/self/cmdline", O_RDONLY);

	printf("cmdline: %ld bytes ", (long)read(fd, text, sizeof(text) - 1));
	printf("%s\n", text);
	close(fd);
}

/* The n-th word of /proc/self/stat, n from 1. */
static unsigned long stat_word(int n)
{
	static char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY);
	char *p;

	text[read(fd, text, sizeof(text) - 1)] = 0;
	close(fd);
	p = strrchr(text, ')') + 2;
	for (int i = 3; i < n; i++)
		p = strchr(p, ' ') + 1;
	return strtoul(p, NULL, 10);
}

static void fields(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long brk = (unsigned long)syscall(SYS_brk, 0);
	uint64_t auxv[60] = {31, 5, 0, 0};
	char seen[16];
	int fd;

	strcpy(p, "hello");
	strcpy(p + 6, "there");
	/* The strings below the stack's: the end is still behind the start. */
	printf("arguments %s", set(PR_SET_MM_ARG_START, (long)p));
	printf(" %s\n", set(PR_SET_MM_ARG_END, (long)p + 12));
	show_cmdline();
	printf("start behind the end %s", set(PR_SET_MM_ARG_START, (long)p + 13));
	printf(" end before the start %s", set(PR_SET_MM_ARG_END, (long)p - 1));
	printf(" low %s", set(PR_SET_MM_START_CODE, 4096));
	printf(" high %s", set(PR_SET_MM_ENV_END, 1ul << 62));
	printf(" no such part %s", set(99, (long)p));
	printf(" %s", set(0, (long)p));
	printf(" rest %s\n", result(prctl(PR_SET_MM, PR_SET_MM_BRK, brk, 1, 0)));
	printf("data %s", set(PR_SET_MM_START_DATA, 0x20000));
	printf(" %s", set(PR_SET_MM_END_DATA, 0x30000));
	printf(" %lx %lx\n", stat_word(45), stat_word(46));
	printf("code %s", set(PR_SET_MM_START_CODE, 0x20000));
	printf(" %s", set(PR_SET_MM_END_CODE, 0x20000));
	printf(" %s", set(PR_SET_MM_END_CODE, 0x20001));
	printf(" %lx %lx\n", stat_word(26), stat_word(27));
	printf("brk %s", set(PR_SET_MM_BRK, brk + PAGE));
	printf(" %ld", (long)((unsigned long)syscall(SYS_brk, 0) - brk));
	printf(" below its start %s", set(PR_SET_MM_BRK, 0x20000));
	printf(" start %s", set(PR_SET_MM_START_BRK, brk));
	printf(" %d\n", stat_word(47) == brk);
	set(PR_SET_MM_BRK, brk);
	printf("auxv %s", result(prctl(PR_SET_MM, PR_SET_MM_AUXV, auxv, 32, 0)));
	printf(" too long %s", result(prctl(PR_SET_MM, PR_SET_MM_AUXV, auxv, sizeof(auxv), 0)));
	printf(" nowhere %s", result(prctl(PR_SET_MM, PR_SET_MM_AUXV, 16, 32, 0)));
	fd = open("/proc/self/auxv", O_RDONLY);
	printf(": %ld bytes of it\n", (long)read(fd, seen, sizeof(seen)));
	close(fd);
}

static void whole(void)
{
	struct {
		uint64_t part[11], auxv;
		uint32_t auxv_size;
		int32_t exe;
	} map = {.exe = -1};
	unsigned int size = 0;

	for (int i = 0; i < 11; i++)
		map.part[i] = 0x100000 + i;
	map.part[5] = map.part[4]; /* brk */
	printf("size %s", result(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0)));
	printf(" %u %d\n", size, size == sizeof(map));
	printf("wrong size %s", result(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, 8, 0)));
	printf(" nowhere %s", result(prctl(PR_SET_MM, PR_SET_MM_MAP, 16, size, 0)));
	map.part[0] = 1;
	printf(" low %s", result(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, size, 0)));
	map.part[0] = 0x200000;
	printf(" order %s", result(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, size, 0)));
	if (!fork()) {
		map.part[0] = 0x100000;
		printf(" set %s", result(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, size, 0)));
		printf(": %lx %lx %lx\n", stat_word(26), stat_word(27), stat_word(28));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void alarms(const char *who)
{
	static int fd = -1;
	struct itimerspec its = {{0, 0}, {0, 1000}}, past = {{0, 0}, {1, 0}};
	uint64_t n = 0;

	printf("%s: set %s\n", who,
	       fd < 0 ? "nothing yet" : result(timerfd_settime(fd, 0, &its, NULL)));
	for (int clock = ALARM_REAL; clock <= ALARM_BOOT; clock++) {
		int t = timerfd_create(clock, 0);

		printf("%s: %s", who, done(t));
		if (t < 0) {
			printf("\n");
			continue;
		}
		printf(" set %s", result(timerfd_settime(t, 0, &its, NULL)));
		printf(" read %s", result(read(t, &n, 8)));
		printf(" %ld", (long)n);
		printf(" in the past %s",
		       result(timerfd_settime(t, TFD_TIMER_ABSTIME, &past, NULL)));
		printf(" read %s\n", result(read(t, &n, 8)));
		fd = t;
	}
	printf("%s: flags %s\n", who, result(timerfd_create(ALARM_REAL, 1)));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	fields();
	whole();
	printf("nobody's name: %s\n", result(prctl(0x53564d41, 1, 0, 0, 0)));
	alarms("root");
	if (!fork()) {
		setuid(1000);
		printf("a user: %s", set(PR_SET_MM_BRK, syscall(SYS_brk, 0)));
		printf(" %s\n", result(prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 1)));
		alarms("a user");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	puts("end");
	return 0;
}
