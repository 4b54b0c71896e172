/*
 * Core dumps as Linux makes them: which processes leave one, its name, which memory is in it, and whose
 * registers. The output is a transcript that is compared with Linux's (tests/vm/conform_programs.sh). Runs
 * as root, with /proc.
 *
 * Cores are written to a tmpfs, where SEEK_DATA shows which pages are holes.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "asleep.h"
#include "transcript.h"

#define PAGE	     4096ul
#define AT	     0x100000000000ul
#define FOLDER	     "/cores"
#define DODUMP	     17
#define DONTDUMP     16
#define UNUSUAL_NAME "a/b c"
#define RW	     (PROT_READ | PROT_WRITE)
#define NR_THREADS   3

static long put_file(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY);
	long n = fd < 0 ? -1 : write(fd, what, strlen(what));
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return n;
}

static const char *get_file(const char *path)
{
	static char text[256];
	int fd = open(path, O_RDONLY);
	long n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = 0;
	if (fd >= 0)
		close(fd);
	return n < 0 ? "cannot be read" : text;
}

static void pattern(const char *p)
{
	printf("pattern %s: %s\n", p, result(put_file("/proc/sys/kernel/core_pattern", p)));
}

static void limit(rlim_t n)
{
	struct rlimit r = {n, RLIM_INFINITY};

	setrlimit(RLIMIT_CORE, &r);
}

/* ---- a child that dies ------------------------------------------------------------------------ */

static pid_t child_pid;
static int die(void (*fn)(long), long arg)
{
	int status = 0;

	fflush(stdout);
	child_pid = fork();
	if (!child_pid) {
		fn(arg);
		_exit(77);
	}
	waitpid(child_pid, &status, 0);
	return status;
}

static void show_status(const char *what, int status)
{
	if (WIFSIGNALED(status))
		printf("%s: signal %d%s\n", what, WTERMSIG(status),
		       WCOREDUMP(status) ? ", core" : "");
	else
		printf("%s: exit %d\n", what, WEXITSTATUS(status));
}

static void by_signal(long sig)
{
	signal((int)sig, SIG_DFL);
	raise((int)sig);
}

static void by_null(long unused)
{
	__asm__ volatile("movl $1, (%0)" : : "r"(8 + unused) : "memory");
}

static void signals(void)
{
	printf("# signals\n");
	for (int sig = 1; sig < 32; sig++) {
		char what[32];

		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
			continue;
		snprintf(what, sizeof(what), "signal %d", sig);
		show_status(what, die(by_signal, sig));
		unlink(FOLDER "/core");
	}
	show_status("null", die(by_null, 0));
	printf("there: %s\n", done(unlink(FOLDER "/core")));
}

/* ---- limits, rights --------------------------------------------------------------------------- */

static void undumpable(long how)
{
	if (how == 0)
		prctl(PR_SET_DUMPABLE, 0);
	if (how == 1) {
		setresuid(12, 12, 12);
		setresgid(12, 12, 12);
	}
	if (how == 2) {
		setresuid(12, 12, 12);
		prctl(PR_SET_DUMPABLE, 1);
	}
	abort();
}

static void say_dumpable(long unused)
{
	(void)unused;
	printf("in a child: %d\n", prctl(PR_GET_DUMPABLE));
	setresuid(12, 12, 12);
	printf("as somebody else: %d\n", prctl(PR_GET_DUMPABLE));
	printf("again: %s %d\n", result(prctl(PR_SET_DUMPABLE, 1)), prctl(PR_GET_DUMPABLE));
	fflush(stdout);
}

static void rights(void)
{
	static const rlim_t limits[] = {0, 1, 4095, 4096, 20000, RLIM_INFINITY};
	char what[40];

	printf("# limits\n");
	for (unsigned int i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct stat st = {0};
		int status;

		limit(limits[i]);
		status = die(by_null, 0);
		snprintf(what, sizeof(what), "limit %ld", (long)limits[i]);
		show_status(what, status);
		printf("file: %s", result(stat(FOLDER "/core", &st)));
		printf(", within the limit: %d, mode %o\n", (rlim_t)st.st_size <= limits[i],
		       st.st_mode);
		unlink(FOLDER "/core");
	}
	printf("# dumpable\n");
	printf("%d\n", prctl(PR_GET_DUMPABLE));
	for (int v = -1; v < 4; v++)
		printf("set %d: %s\n", v, result(prctl(PR_SET_DUMPABLE, v)));
	printf("set 1: %s\n", result(prctl(PR_SET_DUMPABLE, 1)));
	die(say_dumpable, 0);
	chmod(FOLDER, 0777);
	for (int i = 0; i < 3; i++) {
		snprintf(what, sizeof(what), "undumpable %d", i);
		show_status(what, die(undumpable, i));
		printf("there: %s\n", done(unlink(FOLDER "/core")));
	}
}

/* ---- names ------------------------------------------------------------------------------------ */

static void named(long unused)
{
	(void)unused;
	prctl(PR_SET_NAME, UNUSUAL_NAME);
	abort();
}

/* '#' in the name is the process's number. */
static void expect_core(const char *p, const char *name)
{
	char path[200], what[200] = "";
	size_t len = 0;
	int status;

	pattern(p);
	status = die(named, 0);
	show_status("it died", status);
	for (const char *c = name; *c; c++)
		len += (size_t)(*c == '#'
					? snprintf(what + len, sizeof(what) - len, "%d", child_pid)
					: snprintf(what + len, sizeof(what) - len, "%c", *c));
	snprintf(path, sizeof(path), name[0] == '/' ? "%s" : FOLDER "/%s", what);
	printf("%s: %s\n", name, done(unlink(path)));
}

static void names(void)
{
	printf("# names\n");
	limit(RLIM_INFINITY);
	expect_core("core", "core");
	expect_core("core.%p", "core.#");
	expect_core("c%%c", "c%c");
	expect_core("%e.%s.%u.%g.%d", "a!b c.6.0.0.1");
	expect_core("x%q%", "x");
	expect_core("%P-%i-%I", "#-#-#");
	expect_core("%c", "-1");
	expect_core(FOLDER "/abs", FOLDER "/abs");
	expect_core("/no/such/folder/core", "core");
	printf("uses pid: %s", get_file("/proc/sys/kernel/core_uses_pid"));
	printf(" %s\n", result(put_file("/proc/sys/kernel/core_uses_pid", "1")));
	expect_core("core", "core.#");
	expect_core("core-%p", "core-#");
	printf("uses pid: %s\n", result(put_file("/proc/sys/kernel/core_uses_pid", "0")));
	/* What is there already is replaced, but for a folder. */
	symlink(FOLDER "/elsewhere", FOLDER "/core");
	expect_core("core", "core");
	printf("elsewhere: %s\n", done(unlink(FOLDER "/elsewhere")));
	mkdir(FOLDER "/core", 0755);
	expect_core("core", "core");
	rmdir(FOLDER "/core");
	pattern("core");
	printf("%s\n", get_file("/proc/sys/kernel/core_pattern"));
}

/* ---- of another user -------------------------------------------------------------------------- */

static void of_root(const char *what, const char *path)
{
	struct stat st = {0};

	show_status(what, die(undumpable, 1));
	printf("file: %s", result(lstat(path, &st)));
	printf(", of %u, mode %o, empty %d\n", st.st_uid, st.st_mode, !st.st_size);
	unlink(path);
}

static void chrooted(long unused)
{
	(void)unused;
	mkdir(FOLDER "/inner", 0777);
	chroot(FOLDER "/inner");
	chdir("/");
	undumpable(1);
}

/* /proc/sys/fs/suid_dumpable: a core that is root's. */
static void by_root(void)
{
	static const char *const values[] = {"3", "-1", "x", "1", "2"};

	printf("# suid_dumpable\n");
	for (unsigned int i = 0; i < sizeof(values) / sizeof(*values); i++) {
		printf("set %s: %s", values[i],
		       result(put_file("/proc/sys/fs/suid_dumpable", values[i])));
		printf(" %s\n", get_file("/proc/sys/fs/suid_dumpable"));
		if (values[i][0] == '1')
			of_root("as any other", FOLDER "/core");
	}
	die(say_dumpable, 0);
	for (int v = 0; v < 3; v++)
		printf("prctl %d: %s\n", v, result(prctl(PR_SET_DUMPABLE, v)));
	prctl(PR_SET_DUMPABLE, 1);
	of_root("a relative path", FOLDER "/core");
	show_status("one's own", die(by_null, 0));
	printf("there: %s\n", done(unlink(FOLDER "/core")));
	printf("set 0: %s\n", result(put_file("/proc/sys/fs/suid_dumpable", "0")));
}

/* An absolute path is one from the root of process 1, which may not be ours where this is compared with Linux: run by
 * tests/vm/cores.sh alone. */
static void absolute_paths(void)
{
	pattern(FOLDER "/abs.%d");
	printf("set 2: %s\n", result(put_file("/proc/sys/fs/suid_dumpable", "2")));
	chmod(FOLDER, 0755);
	of_root("an absolute path", FOLDER "/abs.2");
	close(open(FOLDER "/abs.2", O_CREAT | O_WRONLY, 0644));
	of_root("there is one", FOLDER "/abs.2");
	symlink(FOLDER "/elsewhere", FOLDER "/abs.2");
	of_root("a link", FOLDER "/abs.2");
	printf("elsewhere: %s\n", done(unlink(FOLDER "/elsewhere")));
	show_status("chrooted", die(chrooted, 0));
	printf("there: %s\n", done(unlink(FOLDER "/abs.2")));
	printf("set 0: %s\n", result(put_file("/proc/sys/fs/suid_dumpable", "0")));
	of_root("none", FOLDER "/abs.0");
}

/* ---- the filter ------------------------------------------------------------------------------- */

static void filter_text(void)
{
	static const char *const texts[] = {"0x7f", "0",  "077",	"33",	      "0x33\n", "x",
					    "",	    "-1", "4294967296", "0xffffffff", "0x1ff"};

	printf("# coredump_filter\n%s\n", get_file("/proc/self/coredump_filter"));
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		printf("%u: %s", i, result(put_file("/proc/self/coredump_filter", texts[i])));
		printf(" %s\n", get_file("/proc/self/coredump_filter"));
	}
	put_file("/proc/self/coredump_filter", "0x33");
}

/* ---- what is in a core ------------------------------------------------------------------------ */

static int file_fd;
static void *map(unsigned long i, unsigned long pages, int prot, int flags, int fd,
		 unsigned long from)
{
	return mmap((void *)(AT + i * 0x100000), pages * PAGE, prot, flags | MAP_FIXED, fd,
		    (long)(from * PAGE));
}
static const char *const area[] = {"written, not written, zero page",
				   "never touched",
				   "PROT_NONE with contents",
				   "MADV_DONTDUMP",
				   "DONTDUMP and DODUMP",
				   "anonymous, shared",
				   "file, private, untouched",
				   "file, private, written",
				   "file, shared, written",
				   "file, private, from page 1",
				   "memfd, shared",
				   "shared, to read only",
				   "guard pages"};
#define NR_AREAS (sizeof(area) / sizeof(*area))

static void set_up(void)
{
	int anon = MAP_PRIVATE | MAP_ANONYMOUS, fd;
	volatile char *p;

	p = map(0, 8, RW, anon, -1, 0);
	p[0] = 'a';
	p[3 * PAGE + 5] = 'd';
	(void)p[5 * PAGE];
	map(1, 4, RW, anon, -1, 0);
	p = map(2, 2, RW, anon, -1, 0);
	p[PAGE] = 'n';
	mprotect((void *)p, 2 * PAGE, PROT_NONE);
	p = map(3, 2, RW, anon, -1, 0);
	p[0] = 'x';
	madvise((void *)p, 2 * PAGE, DONTDUMP);
	p = map(4, 2, RW, anon, -1, 0);
	p[0] = 'y';
	madvise((void *)p, 2 * PAGE, DONTDUMP);
	madvise((void *)p, 2 * PAGE, DODUMP);
	p = map(5, 4, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p[2 * PAGE] = 's';
	map(6, 4, RW, MAP_PRIVATE, file_fd, 0);
	p = map(7, 4, RW, MAP_PRIVATE, file_fd, 0);
	p[2 * PAGE] = 'P';
	p = map(8, 4, RW, MAP_SHARED, file_fd, 0);
	p[3 * PAGE] = 'S';
	map(9, 2, PROT_READ, MAP_PRIVATE, file_fd, 1);
	fd = (int)syscall(SYS_memfd_create, "m", 0);
	ftruncate(fd, 2 * PAGE);
	p = map(10, 2, RW, MAP_SHARED, fd, 0);
	p[0] = 'm';
	fd = open(FOLDER "/file", O_RDONLY);
	map(11, 2, PROT_READ, MAP_SHARED, fd, 0);
	p = map(12, 4, RW, anon, -1, 0);
	p[0] = 'g';
	mprotect((void *)(p + PAGE), PAGE, PROT_NONE);
}

static void with_registers(long unused)
{
	static const double known[2] = {1.5, -2.25};

	(void)unused;
	set_up();
	__asm__ volatile("movupd %0, %%xmm7\n"
			 "movq $0x1111, %%rbx\n movq $0x2222, %%r12\n movq $0x3333, %%r13\n movq "
			 "$0x4444, %%r14\n"
			 "movq $0x5555, %%r15\n movq $0x6666, %%r11\n movq $0x7777, %%rsi\n movq "
			 "$0x8888, %%rdi\n"
			 "movq $0x10, %%rax\n movb $1, (%%rax)\n"
			 :
			 : "m"(*(const char(*)[16])known)
			 : "rbx", "r12", "r13", "r14", "r15", "r11", "rsi", "rdi", "rax", "xmm7",
			   "memory");
}

static char *core;
static size_t core_size;
static int core_fd;

static int open_core(void)
{
	struct stat st;

	core_fd = open(FOLDER "/core", O_RDONLY);
	if (core_fd < 0 || fstat(core_fd, &st)) {
		printf("no core\n");
		return -1;
	}
	core_size = (size_t)st.st_size;
	core = mmap(NULL, core_size, PROT_READ, MAP_PRIVATE, core_fd, 0);
	return core == MAP_FAILED ? -1 : 0;
}

static void close_core(void)
{
	munmap(core, core_size);
	close(core_fd);
	unlink(FOLDER "/core");
}

static const Elf64_Phdr *segment(unsigned long addr)
{
	const Elf64_Ehdr *eh = (void *)core;
	const Elf64_Phdr *ph = (void *)(core + eh->e_phoff);

	for (unsigned int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr <= addr &&
		    addr < ph[i].p_vaddr + ph[i].p_memsz)
			return &ph[i];
	return NULL;
}

/* Each page: its first byte that is not zero, '.' zeroes, `hole` a hole. */
static void show_pages(const Elf64_Phdr *p, char hole)
{
	for (unsigned long at = 0; at < p->p_filesz; at += PAGE) {
		const char *page = core + p->p_offset + at;
		off_t data = lseek(core_fd, (off_t)(p->p_offset + at), SEEK_DATA);
		char c = '.';

		for (unsigned long i = 0; c == '.' && i < PAGE; i++)
			if (page[i])
				c = page[i];
		printf("%c", data != (off_t)(p->p_offset + at) ? hole : c);
	}
	printf("\n");
}

static void show_areas(void)
{
	for (unsigned long i = 0; i < NR_AREAS; i++) {
		for (unsigned long at = AT + i * 0x100000; at < AT + (i + 1) * 0x100000;) {
			const Elf64_Phdr *p = segment(at);

			if (!p || p->p_vaddr != at)
				break;
			printf("%s: flags %x, %lu of %lu pages: ", area[i], p->p_flags,
			       (long)p->p_filesz / PAGE, (long)p->p_memsz / PAGE);
			/* Linux makes the pages of shared memory that nobody had made, to write them down. */
			show_pages(p, i == 5 || i == 10 ? '.' : '-');
			at += p->p_memsz;
		}
	}
}

/* The n-th note of a type. */
static const void *note(unsigned int type, unsigned int n, size_t *size)
{
	const Elf64_Ehdr *eh = (void *)core;
	const Elf64_Phdr *ph = (void *)(core + eh->e_phoff);
	const char *at = core + ph->p_offset, *end = at + ph->p_filesz;

	while (at < end) {
		const Elf64_Nhdr *h = (const void *)at;
		const char *desc = at + sizeof(*h) + ((h->n_namesz + 3) & ~3u);

		if (h->n_type == type && !strcmp(at + sizeof(*h), "CORE") && !n--) {
			*size = h->n_descsz;
			return desc;
		}
		at = desc + ((h->n_descsz + 3) & ~3u);
	}
	return NULL;
}

static void show_notes(void)
{
	const Elf64_Ehdr *eh = (void *)core;
	const Elf64_Phdr *ph = (void *)(core + eh->e_phoff);
	const char *at = core + ph->p_offset, *end = at + ph->p_filesz;

	printf("type %d, machine %d, first is a note: %d\n", eh->e_type, eh->e_machine,
	       ph->p_type == PT_NOTE);
	while (at < end) {
		const Elf64_Nhdr *h = (const void *)at;
		const char *name = at + sizeof(*h);

		if (!strcmp(name, "CORE")) {
			/* These two are as long as what there is. */
			if (h->n_type == NT_AUXV || h->n_type == NT_FILE)
				printf("note %x\n", h->n_type);
			else
				printf("note %x, %u bytes\n", h->n_type, h->n_descsz);
		}
		at = name + ((h->n_namesz + 3) & ~3u) + ((h->n_descsz + 3) & ~3u);
	}
}

static void show_files(void)
{
	size_t size;
	const long *v = note(NT_FILE, 0, &size);
	const char *name = (const char *)(v + 2 + 3 * v[0]);

	printf("pages of %ld\n", v[1]);
	for (long i = 0; i < v[0]; i++, name += strlen(name) + 1) {
		const long *row = v + 2 + 3 * i;

		if ((unsigned long)row[0] >= AT && (unsigned long)row[0] < AT + NR_AREAS * 0x100000)
			printf("%lx-%lx from page %ld: %s\n", row[0], row[1], row[2], name);
	}
}

static void show_thread(const prstatus_t *s)
{
	const unsigned long *r = (const unsigned long *)&s->pr_reg;

	printf("signal %d %d %d, current %d, pid %d, parent %d, group %d, session %d\n",
	       s->pr_info.si_signo, s->pr_info.si_code, s->pr_info.si_errno, s->pr_cursig,
	       s->pr_pid == child_pid, s->pr_ppid == getpid(), s->pr_pgrp == getpgrp(),
	       s->pr_sid == getsid(0));
	printf("r15 %lx r14 %lx r13 %lx r12 %lx rbx %lx r11 %lx rax %lx rsi %lx rdi %lx\n", r[0],
	       r[1], r[2], r[3], r[5], r[6], r[10], r[13], r[14]);
	printf("orig_rax %lx cs %lx ss %lx ds %lx es %lx fs %lx gs %lx gs_base %lx, fs_base set: "
	       "%d\n",
	       r[15], r[17], r[20], r[23], r[24], r[25], r[26], r[22], r[21] != 0);
	printf("held %lx pending %lx fpvalid %d\n", s->pr_sighold, s->pr_sigpend, s->pr_fpvalid);
}

static void contents(void)
{
	const prpsinfo_t *ps;
	const prstatus_t *st;
	const siginfo_t *si;
	double xmm7[2];
	const long *aux;
	size_t size;
	const Elf64_Phdr *p;
	unsigned long code = 0;

	printf("# contents\n");
	show_status("it died", die(with_registers, 0));
	if (open_core())
		return;
	show_notes();
	show_areas();
	show_files();
	st = note(NT_PRSTATUS, 0, &size);
	show_thread(st);
	/* The instruction that failed: movb $1, (%rax). */
	p = segment(((const unsigned long *)&st->pr_reg)[16]);
	code = ((const unsigned long *)&st->pr_reg)[16];
	printf("at the instruction: %d, its mapping runs: %d\n",
	       !memcmp((const void *)code, "\xc6\x00\x01", 3), p && p->p_flags == (PF_R | PF_X));
	ps = note(NT_PRPSINFO, 0, &size);
	printf("state %d %c %d, nice %d, uid %d gid %d, pid %d, name %.16s, arguments %s\n",
	       ps->pr_state, ps->pr_sname, ps->pr_zomb, ps->pr_nice, (int)ps->pr_uid,
	       (int)ps->pr_gid, ps->pr_pid == child_pid,
	       strncmp(ps->pr_fname, "cores.", 6) ? ps->pr_fname : "cores",
	       strstr(ps->pr_psargs, "cores.") ? "cores" : "?");
	si = note(NT_SIGINFO, 0, &size);
	printf("siginfo %d %d at %lx\n", si->si_signo, si->si_code, (long)si->si_addr);
	aux = note(NT_AUXV, 0, &size);
	for (; aux[0]; aux += 2)
		if (aux[0] == AT_PAGESZ || aux[0] == AT_PHENT || aux[0] == AT_CLKTCK ||
		    aux[0] == AT_UID)
			printf("aux %ld: %ld\n", aux[0], aux[1]);
	memcpy(xmm7, (const char *)note(NT_FPREGSET, 0, &size) + 160 + 7 * 16, sizeof(xmm7));
	printf("xmm7 %g %g\n", xmm7[0], xmm7[1]);
	close_core();
}

static void filters(void)
{
	static const char *const texts[] = {"0", "1", "2", "4", "8", "0x10", "0x7f"};

	printf("# filters\n");
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const Elf64_Ehdr *eh;

		put_file("/proc/self/coredump_filter", texts[i]);
		printf("filter %s\n", texts[i]);
		show_status("it died", die(with_registers, 0));
		if (open_core())
			continue;
		eh = (void *)core;
		for (unsigned long k = 0; k < NR_AREAS; k++) {
			const Elf64_Phdr *p = segment(AT + k * 0x100000);

			if (p)
				printf("%lu:%ld ", k, (long)p->p_filesz / (long)PAGE);
		}
		printf("of %d\n", eh->e_phnum > 10);
		close_core();
	}
	put_file("/proc/self/coredump_filter", "0x33");
}

static void sparse(long unused)
{
	volatile char *p = map(0, 0x8000, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)unused;
	p[0] = 1;
	p[0x7fff * PAGE] = 2;
	abort();
}

static void holes(void)
{
	const Elf64_Phdr *p;
	struct stat st;

	printf("# a sparse heap\n");
	show_status("it died", die(sparse, 0));
	if (open_core())
		return;
	fstat(core_fd, &st);
	p = segment(AT);
	printf("%lu pages, in less than a MiB: %d, ends: %d %d\n", (long)p->p_filesz / PAGE,
	       st.st_blocks < 2048, core[p->p_offset], core[p->p_offset + 0x7fff * PAGE]);
	close_core();
}

/* ---- threads ---------------------------------------------------------------------------------- */

static pid_t *tids; /* shared with the parent */
static pthread_barrier_t all_there;
static volatile int in_loop;

static void *wait_in_a_call(void *arg)
{
	tids[(long)arg] = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&all_there);
	for (;;)
		pause();
	return NULL;
}
static void *run_in_a_loop(void *arg)
{
	tids[(long)arg] = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&all_there);
	__asm__ volatile("movq $0xabcd, %%r12\n movl $1, %0\n1: pause\n jmp 1b\n"
			 : "=m"(in_loop)
			 :
			 : "r12");
	return NULL;
}
static void *crash(void *arg)
{
	tids[(long)arg] = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&all_there);
	until_asleep(getpid(), &tids[0]);
	while (!in_loop)
		usleep(1000);
	by_null(0);
	return NULL;
}

static void threaded(long unused)
{
	pthread_t t;

	(void)unused;
	pthread_barrier_init(&all_there, NULL, NR_THREADS + 1);
	pthread_create(&t, NULL, wait_in_a_call, (void *)0);
	pthread_create(&t, NULL, run_in_a_loop, (void *)1);
	pthread_create(&t, NULL, crash, (void *)2);
	pthread_barrier_wait(&all_there);
	for (;;)
		pause();
}

static void threads(void)
{
	const prstatus_t *s;
	size_t size;
	int i;

	printf("# threads\n");
	tids = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	show_status("it died", die(threaded, 0));
	if (open_core())
		return;
	for (i = 0; (s = note(NT_PRSTATUS, (unsigned int)i, &size)); i++) {
		const unsigned long *r = (const unsigned long *)&s->pr_reg;

		if (s->pr_pid == child_pid)
			continue;
		if (!i)
			printf("the first one is who got the signal: %d\n", s->pr_pid == tids[2]);
		if (s->pr_pid == tids[0])
			printf("in a call: %lx\n", r[15]);
		if (s->pr_pid == tids[1])
			printf("in a loop: %lx, no call: %d\n", r[3], r[15] == ~0ul);
	}
	printf("%d threads\n", i);
	for (i = 0; note(NT_FPREGSET, (unsigned int)i, &size); i++)
		;
	printf("%d with floating-point registers\n", i);
	close_core();
}

/* ---- swap ------------------------------------------------------------------------------------- */

static void paged_out(long unused)
{
	volatile char *p = map(0, 16, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	for (int i = 0; i < 16; i++)
		p[i * PAGE] = (char)('a' + i);
	madvise((void *)p, 16 * PAGE, MADV_PAGEOUT);
	abort();
}

static void swapped(void)
{
	printf("# paged out\n");
	show_status("it died", die(paged_out, 0));
	if (open_core())
		return;
	show_pages(segment(AT), '-');
	close_core();
}

/* ---- a dump that ends early ------------------------------------------------------------------- */

static void much_memory(long pages)
{
	volatile char *p = map(0, (unsigned long)pages, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (long i = 0; i < pages; i++)
		p[i * (long)PAGE] = 1;
	abort();
}

static void cut_off(void)
{
	struct stat st = {0};
	int status = 0;
	pid_t pid;

	printf("# no room on the disk\n");
	mkdir(FOLDER "/small", 0755);
	if (mount("none", FOLDER "/small", "tmpfs", 0, "size=1M") || chdir(FOLDER "/small"))
		return;
	show_status("it died", die(much_memory, 1000));
	stat("core", &st);
	printf("not more than there is: %d\n", st.st_size > 0 && st.st_blocks <= 2048);
	unlink("core");
	chdir(FOLDER);
	umount(FOLDER "/small");
	printf("# killed while it is written\n");
	fflush(stdout);
	pid = fork();
	if (!pid)
		much_memory(2000);
	while (stat(FOLDER "/core", &st) || !st.st_size)
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("signal %d\n", WTERMSIG(status));
	unlink(FOLDER "/core");
}

/* `cores leave FOLDER`: one core there, for a debugger. */
static int leave(const char *folder)
{
	mkdir(FOLDER, 0755);
	file_fd = open(FOLDER "/file", O_RDWR | O_CREAT, 0644);
	ftruncate(file_fd, 4 * PAGE);
	limit(RLIM_INFINITY);
	if (chdir(folder))
		return 1;
	pattern("core");
	show_status("it died", die(with_registers, 0));
	printf("end\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc == 3)
		return leave(argv[2]);

	mkdir(FOLDER, 0755);
	if (mount("none", FOLDER, "tmpfs", 0, "") || chdir(FOLDER)) {
		printf("no tmpfs: %d\n", errno);
		return 1;
	}
	file_fd = open(FOLDER "/file", O_RDWR | O_CREAT, 0644);
	for (int i = 0; i < 4; i++)
		pwrite(file_fd, &"0123"[i], 1, (long)(i * PAGE));
	printf("%s\n", get_file("/proc/sys/kernel/core_pattern"));
	pattern("core");
	limit(RLIM_INFINITY);
	umask(0);
	if (argc == 2) {
		absolute_paths();
		return 0;
	}
	signals();
	rights();
	names();
	by_root();
	filter_text();
	contents();
	filters();
	holes();
	threads();
	swapped();
	cut_off();
	printf("a core is left: %d\n", !stat(FOLDER "/core", &st));
	chdir("/");
	umount2(FOLDER, MNT_DETACH);
	printf("end\n");
	return 0;
}
