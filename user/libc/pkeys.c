/*
 * Protection keys: what the calls answer, what a closed key forbids, and what it does not. The transcript is the same on
 * Linux and on guestmm where the CPU has keys (tests/vm/pkeys.sh), and where it has none.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#define PAGE	  4096ul
#define NO_ACCESS 1
#define NO_WRITE  2

static long key_alloc(unsigned long flags, unsigned long rights)
{
	return syscall(SYS_pkey_alloc, flags, rights);
}
static long key_free(int key)
{
	return syscall(SYS_pkey_free, key);
}
static long key_protect(void *at, size_t len, int prot, int key)
{
	return syscall(SYS_pkey_mprotect, at, len, prot, key);
}

static uint32_t rdpkru(void)
{
	uint32_t v, zero;

	__asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(v), "=d"(zero) : "c"(0));
	return v;
}
static void wrpkru(uint32_t v)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xef" ::"a"(v), "c"(0), "d"(0) : "memory");
}
static void rights(int key, uint32_t r)
{
	wrpkru((rdpkru() & ~(3u << key * 2)) | r << key * 2);
}

/* ---- an access that may fail ---- */

static sigjmp_buf back;
static siginfo_t seen;
static uint32_t pkru_in_handler;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	pkru_in_handler = rdpkru();
	seen = *info;
	siglongjmp(back, 1);
}

/* How the last access was refused. */
static const char *how(void)
{
	static char text[8][48];
	static unsigned int at;
	char *t = text[at++ % 8];

	if (seen.si_code == SEGV_ACCERR)
		return "ACCERR";
	if (seen.si_code == SEGV_MAPERR)
		return "MAPERR";
	if (seen.si_code != SEGV_PKUERR)
		return "another";
	snprintf(t, 48, "PKUERR key %u", seen.si_pkey);
	return t;
}

static const char *try_read(volatile char *p)
{
	uint32_t before = rdpkru();

	if (sigsetjmp(back, 1)) {
		wrpkru(before); /* a handler that is left by a jump keeps its own */
		return seen.si_addr == (void *)p ? how() : "another address";
	}
	(void)*p;
	return "yes";
}

static const char *try_write(volatile char *p)
{
	uint32_t before = rdpkru();

	if (sigsetjmp(back, 1)) {
		wrpkru(before);
		return seen.si_addr == (void *)p ? how() : "another address";
	}
	*p = 7;
	return "yes";
}

static void catch_segv(void)
{
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &sa, NULL);
}

/* What smaps says of the mapping that begins at `at`. */
static int key_of(void *at)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	char line[256];
	int in = 0, key = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start == (unsigned long)at;
		if (in)
			sscanf(line, "ProtectionKey: %d", &key);
	}
	if (f)
		fclose(f);
	return key;
}

/* ---- cases ---- */

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	memset(p, 1, pages * PAGE);
	return p;
}

/* The arguments, with keys and without. Returns whether there are any. */
static int arguments(char *p)
{
	long key;

	printf("alloc: flags %s, ", result(key_alloc(1, 0)));
	printf("rights %s, ", result(key_alloc(0, 4)));
	printf("rights beyond 32 bits %s\n", result(key_alloc(0, 1ul << 32)));
	printf("free: -1 %s, ", result(key_free(-1)));
	printf("16 %s, 3 %s\n", result(key_free(16)), result(key_free(3)));
	printf("mprotect: key -1 %s, ", result(key_protect(p, PAGE, PROT_READ | PROT_WRITE, -1)));
	printf("-2 %s, 5 %s, ", result(key_protect(p, PAGE, PROT_READ, -2)),
	       result(key_protect(p, PAGE, PROT_READ, 5)));
	printf("16 %s\n", result(key_protect(p, PAGE, PROT_READ, 16)));
	key = key_alloc(0, 0);
	printf("alloc %s\n", result(key));
	if (key >= 0)
		key_free((int)key);
	return key >= 0;
}

static void all_keys(void)
{
	int n = 0;
	long key;

	while (key_alloc(0, 0) >= 0)
		n++;
	printf("keys: %d, then %s\n", n, result(key_alloc(0, 0)));
	printf("free 7: %s, ", result(key_free(7)));
	printf("again %s, ", result(key_free(7)));
	key = key_alloc(0, NO_ACCESS);
	printf("alloc %s, closed %d\n", result(key), rdpkru() >> 7 * 2 & 3);
	for (int i = 1; i < 16; i++)
		key_free(i);
}

static void closed(char *p)
{
	int key = (int)key_alloc(0, 0);
	long n;
	int fd[2];
	struct iovec other = {p + 8, 8};

	printf("protect: %s, ", result(key_protect(p, PAGE, PROT_READ | PROT_WRITE, key)));
	printf("smaps %d\n", key_of(p) == key);
	printf("open: read %s, write %s\n", try_read(p), try_write(p));
	rights(key, NO_WRITE);
	printf("no write: read %s, write %s\n", try_read(p), try_write(p));
	rights(key, NO_ACCESS);
	printf("no access: read %s, write %s, next page %s\n", try_read(p), try_write(p),
	       try_read(p + PAGE));
	printf("in the handler: %x\n", pkru_in_handler);
	/* The kernel on behalf of the program. */
	n = pipe(fd);
	printf("write(2) %s, ", result(write(fd[1], p, 8)));
	n = write(fd[1], "12345678", 8);
	printf("read(2) %s", result(read(fd[0], p, 8)));
	printf(", process_vm_readv %s\n",
	       result(process_vm_readv(getpid(), &(struct iovec){p + PAGE, 8}, 1, &other, 1, 0)));
	(void)n;
	/* What is not there yet is refused as well. */
	madvise(p, PAGE, MADV_DONTNEED);
	printf("not there: read %s, write %s\n", try_read(p), try_write(p));
	rights(key, 0);
	printf("opened: read %s, write %s\n", try_read(p), try_write(p));
	/* mprotect(2) keeps the key; PROT_NONE comes first. */
	rights(key, NO_ACCESS);
	printf("mprotect: %s, ", result(mprotect(p, PAGE, PROT_READ)));
	printf("smaps %d, read %s, write %s\n", key_of(p) == key, try_read(p), try_write(p));
	printf("none: %s, ", result(mprotect(p, PAGE, PROT_NONE)));
	printf("read %s, write %s\n", try_read(p), try_write(p));
	printf("key 0: %s, read %s\n", result(key_protect(p, PAGE, PROT_READ | PROT_WRITE, 0)),
	       try_read(p));
	key_free(key);
}

/* A part of a mapping has a key of its own: it is a mapping of its own then, and joins again. */
static void parts(void)
{
	char *p = map(4);
	int a = (int)key_alloc(0, NO_ACCESS), b = (int)key_alloc(0, NO_ACCESS);

	key_protect(p, 4 * PAGE, PROT_READ | PROT_WRITE, a);
	key_protect(p + PAGE, PAGE, PROT_READ | PROT_WRITE, b);
	printf("parts: %d %d %d\n", key_of(p) == a, key_of(p + PAGE) == b,
	       key_of(p + 2 * PAGE) == a);
	printf("reads: %s, %s, %s\n", try_read(p), try_read(p + PAGE), try_read(p + 2 * PAGE));
	key_protect(p + PAGE, PAGE, PROT_READ | PROT_WRITE, a);
	printf("joined: %d\n", key_of(p + PAGE) == -1);
	p = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	printf("moved: %d, read %s, the new part %s\n", key_of(p) == a, try_read(p),
	       try_read(p + 6 * PAGE));
	munmap(p, 8 * PAGE);
	key_free(a);
	key_free(b);
}

static void *thread(void *p)
{
	printf("thread: inherits %x, reads %s\n", rdpkru(), try_read(p));
	wrpkru(0);
	printf("thread: opened, reads %s\n", try_read(p));
	return NULL;
}

static void others(char *p)
{
	int key = (int)key_alloc(0, NO_ACCESS), status;
	pthread_t t;

	key_protect(p, PAGE, PROT_READ | PROT_WRITE, key);
	pthread_create(&t, NULL, thread, p);
	pthread_join(t, NULL);
	printf("here it is still %s\n", try_read(p));
	fflush(stdout);
	if (!fork()) {
		printf("child: %s, key %d, ", try_read(p), key_of(p) == key);
		printf("the next is %d, ", key_alloc(0, 0) == key + 1);
		rights(key, 0);
		printf("opened: write %s\n", try_write(p));
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	printf("status %d, here %s\n", status, try_read(p));
	fflush(stdout);
	/* Nobody catches it. */
	if (!fork()) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)p = 1;
		_exit(0);
	}
	wait(&status);
	printf("uncaught: signal %d\n", status & 0x7f);
	/* Many switches between two threads of one CPU: each keeps its own. */
	rights(key, 0);
	key_protect(p, PAGE, PROT_READ | PROT_WRITE, 0);
	key_free(key);
}

static void *switcher(void *arg)
{
	long wrong = 0;
	uint32_t mine = (uint32_t)(long)arg;

	wrpkru(mine);
	for (int i = 0; i < 300; i++) {
		sched_yield();
		wrong += rdpkru() != mine;
	}
	return (void *)wrong;
}

static void switches(void)
{
	pthread_t t[4];
	long wrong = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, switcher, (void *)(0x40000000l >> i * 2));
	for (int i = 0; i < 4; i++) {
		void *w;

		pthread_join(t[i], &w);
		wrong += (long)w;
	}
	printf("wrong after a switch: %ld\n", wrong);
}

/* A handler that returns: the interrupted code has what it had. */
static volatile sig_atomic_t quiet;

static void on_usr1(int sig)
{
	quiet = rdpkru() == 0x55555554;
	wrpkru(0);
}

static void returns(void)
{
	uint32_t before;

	signal(SIGUSR1, on_usr1);
	wrpkru(0x44444444);
	before = rdpkru();
	raise(SIGUSR1);
	printf("handler began anew: %d, restored: %d\n", (int)quiet, rdpkru() == before);
	wrpkru(0x55555554);
}

/* Code that may be run and not be read. */
static void execute_only(void)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
	char *p = map(2);
	int (*f)(void) = (int (*)(void))p;

	memcpy(p, code, sizeof(code));
	printf("execute only: %s, ", result(mprotect(p, PAGE, PROT_EXEC)));
	printf("it runs: %d, read %s, write %s, key %d\n", f(), try_read(p), try_write(p),
	       key_of(p));
	printf("nobody may have its key: %s\n",
	       result(key_protect(p + PAGE, PAGE, PROT_READ, key_of(p))));
	printf("nor free it: %s\n", result(key_free(key_of(p))));
	printf("readable again: %s, ", result(mprotect(p, PAGE, PROT_READ)));
	printf("read %s, key %d\n", try_read(p), key_of(p));
	p = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("mapped so: read %s, ", try_read(p));
	printf("key %d\n", key_of(p));
}

int main(int argc, char **argv)
{
	char *p = map(2);

	catch_segv();
	if (arguments(p)) {
		printf("at the start: %x\n", rdpkru());
		all_keys();
		closed(p);
		parts();
		others(p);
		switches();
		returns();
		execute_only();
	} else {
		char *code = map(1);

		printf("without keys: executable %s, ", result(mprotect(code, PAGE, PROT_EXEC)));
		printf("read %s\n", *(volatile char *)code == 1 ? "yes" : "no");
	}
	printf("end\n");
	return 0;
}
