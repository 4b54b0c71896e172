/*
 * The lab without QEMU: the archives it writes, read back byte by byte, and its supervision of a
 * machine that a script plays (found as qemu-system-x86_64 in a PATH of our own). The script does
 * what a QEMU of each kind would: run well, crash, fail at its start, say half a line, flood.
 */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lab/archive.h"
#include "lab/lab.h"

static char folder[PATH_MAX];

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[PATH_MAX + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, mode))
		abort();
}

static char *read_all(int fd, size_t *len)
{
	struct stat st;
	char *buf;

	if (fstat(fd, &st) || !(buf = malloc((size_t)st.st_size + 1)) ||
	    pread(fd, buf, (size_t)st.st_size, 0) != st.st_size)
		abort();
	buf[st.st_size] = 0;
	*len = (size_t)st.st_size;
	return buf;
}

/* ---- archives ------------------------------------------------------------------------------- */

struct entry {
	const char *name, *data;
	unsigned long mode, size;
};

static unsigned long field(const char *header, int i)
{
	char digits[9] = {0};

	memcpy(digits, header + 6 + 8 * i, 8);
	return strtoul(digits, NULL, 16);
}

/** Entries behind `start`, until the trailer; -1 when the archive is broken. */
static int read_archive(const char *buf, size_t len, size_t start, struct entry *e, int max)
{
	size_t pos = start;
	int n = 0;

	for (;;) {
		unsigned long name_size;

		if (pos % 4 || pos + 110 > len || memcmp(buf + pos, "070701", 6) || n == max)
			return -1;
		e[n].mode = field(buf + pos, 1);
		e[n].size = field(buf + pos, 6);
		name_size = field(buf + pos, 11);
		e[n].name = buf + pos + 110;
		if (strlen(e[n].name) + 1 != name_size)
			return -1;
		pos = (pos + 110 + name_size + 3) & ~3ul;
		e[n].data = buf + pos;
		if (!strcmp(e[n].name, "TRAILER!!!"))
			return n;
		pos = (pos + e[n].size + 3) & ~3ul;
		n++;
	}
}

static void test_archive_content(void)
{
	struct entry e[16];
	struct archive a;
	char path[PATH_MAX + 8];
	size_t len;
	char *buf;
	int n;

	write_file("base", "1234567", 0644);
	write_file("program", "#!/bin/sh\n", 0755);
	snprintf(path, sizeof(path), "%s/base", folder);
	CU_ASSERT_EQUAL_FATAL(archive_open(&a, path), 0);
	archive_add(&a, "/job", 0600, "abc", 3);
	snprintf(path, sizeof(path), "%s/program", folder);
	archive_add_file(&a, "/a/b/program", path);
	archive_add_folder(&a, "/a/c");
	CU_ASSERT_EQUAL(archive_finish(&a), 0);
	buf = read_all(a.fd, &len);
	CU_ASSERT_EQUAL(a.size, len);
	CU_ASSERT_EQUAL(memcmp(buf, "1234567\0", 8), 0);
	n = read_archive(buf, len, 8, e, 16);
	CU_ASSERT_EQUAL_FATAL(n, 6);
	CU_ASSERT_STRING_EQUAL(e[0].name, "job");
	CU_ASSERT_EQUAL(e[0].mode, S_IFREG | 0600);
	CU_ASSERT_EQUAL(e[0].size, 3);
	CU_ASSERT_EQUAL(memcmp(e[0].data, "abc", 3), 0);
	CU_ASSERT_STRING_EQUAL(e[1].name, "a");
	CU_ASSERT_EQUAL(e[1].mode, S_IFDIR | 0755);
	CU_ASSERT_STRING_EQUAL(e[2].name, "a/b");
	CU_ASSERT_STRING_EQUAL(e[3].name, "a/b/program");
	CU_ASSERT_EQUAL(e[3].mode, S_IFREG | 0755);
	CU_ASSERT_EQUAL(e[3].size, 10);
	CU_ASSERT_EQUAL(memcmp(e[3].data, "#!/bin/sh\n", 10), 0);
	CU_ASSERT_STRING_EQUAL(e[4].name, "a");
	CU_ASSERT_STRING_EQUAL(e[5].name, "a/c");
	CU_ASSERT_EQUAL(e[5].mode, S_IFDIR | 0755);
	free(buf);
	archive_close(&a);
}

static void test_archive_errors(void)
{
	struct archive a;
	char path[PATH_MAX + 8];
	uint64_t size;

	CU_ASSERT_EQUAL(archive_open(&a, "/nonexistent/base"), -ENOENT);
	snprintf(path, sizeof(path), "%s/base", folder);
	CU_ASSERT_EQUAL_FATAL(archive_open(&a, path), 0);
	archive_add_file(&a, "/x", "/nonexistent/x");
	size = a.size;
	archive_add(&a, "/job", 0600, "abc", 3);
	CU_ASSERT_EQUAL(a.size, size);
	CU_ASSERT_EQUAL(archive_finish(&a), -ENOENT);
	archive_close(&a);
}

/* ---- supervision ---------------------------------------------------------------------------- */

/* Reads its command line as QEMU would: descriptors of the channels, and the initramfs. */
#define PLAYER                                        \
	"#!/bin/bash\n"                               \
	"for a; do case $a in\n"                      \
	"socket,id=control,*) control=${a##*fd=};;\n" \
	"socket,id=stdout,*) out=${a##*fd=};;\n"      \
	"socket,id=stderr,*) err=${a##*fd=};;\n"      \
	"socket,id=console,*) console=${a##*fd=};;\n" \
	"/proc/self/fd/*) initrd=$a;;\n"              \
	"esac; done\n"                                \
	"args=$*\n"

struct played {
	int status;
	struct mmvm_error err;
	char *out;
	size_t out_len;
};

/** Run `argv` in a lab whose machine does what `script` says. */
static void play(struct played *p, const char *script, const struct lab_options *options,
		 char **argv)
{
	struct lab_options opt = *options;
	char text[4096];
	int argc = 0;

	snprintf(text, sizeof(text), PLAYER "%s\nexec sleep 30\n", script);
	write_file("qemu-system-x86_64", text, 0755);
	opt.stdout_fd = memfd_create("out", MFD_CLOEXEC);
	while (argv[argc])
		argc++;
	memset(&p->err, 0, sizeof(p->err));
	p->status = lab_exec_command(argc, argv, &opt, &p->err);
	p->out = read_all(opt.stdout_fd, &p->out_len);
	close(opt.stdout_fd);
}

static const struct lab_options live;
static char *just_true[] = {(char *)"true", NULL};

static void test_run_well(void)
{
	struct played p;

	play(&p,
	     "printf 'start\\n' >&$control; printf 'a\\0b' >&$out; printf 'exit 5\\n' >&$control",
	     &live, just_true);
	CU_ASSERT_EQUAL(p.status, 5);
	CU_ASSERT_EQUAL(p.out_len, 3);
	CU_ASSERT_EQUAL(memcmp(p.out, "a\0b", 3), 0);
	free(p.out);
}

/** A line that comes in pieces, and output far beyond what a socket holds. */
static void test_pieces_and_flood(void)
{
	struct played p;

	play(&p,
	     "printf 'sta' >&$control; sleep 0.1; printf 'rt\\n.\\nex' >&$control\n"
	     "head -c 3000000 /dev/zero >&$out\n"
	     "printf 'it 0\\n' >&$control",
	     &live, just_true);
	CU_ASSERT_EQUAL(p.status, 0);
	CU_ASSERT_EQUAL(p.out_len, 3000000);
	free(p.out);
}

static void test_failures(void)
{
	static const struct {
		const char *script, *says;
	} failure[] = {
		{"echo 'qemu: no such CPU' >&2; exit 1",
		 "QEMU could not run the lab: qemu: no such CPU"},
		{"exit 0", "QEMU ended before the command did"},
		{"printf 'start\\n' >&$control; kill -9 $$", "QEMU ended before the command did"},
		{"printf 'x\\r\\n[ 1.0] Kernel panic - not syncing: VFS\\r\\n[ 1.1] more\\r\\n' "
		 ">&$console\n"
		 "sleep 0.2; exit 0",
		 "the lab's kernel crashed ([ 1.0] Kernel panic - not syncing: VFS)"},
		{"printf 'fail module kvm.ko: No such device\\n' >&$control",
		 "the lab failed: module kvm.ko: No such device"},
		/* a line longer than any of ours, then the end */
		{"head -c 100000 /dev/zero | tr '\\0' x >&$control; printf '\\nfail y\\n' "
		 ">&$control",
		 "the lab failed: y"},
	};

	for (size_t i = 0; i < sizeof(failure) / sizeof(failure[0]); i++) {
		struct played p;

		play(&p, failure[i].script, &live, just_true);
		CU_ASSERT_EQUAL(p.status, -1);
		CU_ASSERT_EQUAL(p.err.status, MMVM_EXIT_HOST);
		CU_ASSERT_PTR_NOT_NULL(strstr(p.err.text, failure[i].says));
		if (!strstr(p.err.text, failure[i].says))
			fprintf(stderr, "script %zu: %s\n", i, p.err.text);
		free(p.out);
	}
}

/** A machine that stops, before or after the command has begun. */
static void test_hang(void)
{
	const struct lab_options impatient = {.patience_s = 1, .boot_patience_s = 1};
	struct played p;

	play(&p, ":", &impatient, just_true);
	CU_ASSERT_EQUAL(p.status, -1);
	CU_ASSERT_EQUAL(p.err.status, MMVM_EXIT_HOST);
	CU_ASSERT_PTR_NOT_NULL(strstr(p.err.text, "the lab did not start for 1 s"));
	free(p.out);
	play(&p, "printf 'start\\n' >&$control; kill -STOP $$", &impatient, just_true);
	CU_ASSERT_EQUAL(p.status, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(p.err.text, "the lab hung: no sign of life for 1 s"));
	free(p.out);
}

/** The job for init: found in the archive by the script, which hands it out. */
static void test_job(void)
{
	char *argv[] = {(char *)"cmd", (char *)"", (char *)"a b", NULL};
	const struct lab_options sealed = {.icount = true};
	struct entry e[64];
	struct played p;
	const char *s;
	int n;

	setenv("MMVM_UNIT", "x y", 1);
	setenv("UNRELATED", "z", 1);
	for (int seal = 0; seal < 2; seal++) {
		play(&p,
		     "cat $initrd >&$out\n"
		     "case $args in *-icount\\ shift=0*) s=1;; *) s=0;; esac\n"
		     "printf \"exit $s\\n\" >&$control",
		     seal ? &sealed : &live, argv);
		CU_ASSERT_EQUAL(p.status, seal);
		n = read_archive(p.out, p.out_len, 8, e, 64);
		CU_ASSERT_FATAL(n > 0);
		CU_ASSERT_STRING_EQUAL(e[n - 1].name, "job");
		s = e[n - 1].data;
		CU_ASSERT_STRING_EQUAL(s, seal ? "sealed" : "live");
		s += strlen(s) + 1;
		CU_ASSERT_STRING_EQUAL(s, "none"); /* no standard input */
		s += strlen(s) + 1;
		CU_ASSERT_EQUAL(s[0], '/');
		s += strlen(s) + 1;
		CU_ASSERT_EQUAL(memcmp(s, "3\0cmd\0\0a b", 11), 0);
		CU_ASSERT_PTR_NOT_NULL(memmem(s, e[n - 1].size - (size_t)(s - e[n - 1].data),
					      "\0MMVM_UNIT=x y", 15));
		CU_ASSERT_PTR_NULL(
			memmem(s, e[n - 1].size - (size_t)(s - e[n - 1].data), "\0UNRELATED", 11));
		free(p.out);
	}
}

/** mmvm is interrupted while the machine runs: the machine is gone when the call returns. */
static void test_signal(void)
{
	char path[PATH_MAX + 64], script[PATH_MAX + 256];
	pid_t self = getpid(), player;
	int machine = 0, n = 0;
	struct played p;
	FILE *f;

	snprintf(path, sizeof(path), "%s/machine", folder);
	/* The file has its name when it is whole: then the machine runs. */
	snprintf(script, sizeof(script),
		 "f=%s; printf 'start\\n' >&$control; echo $$ >$f.new; mv $f.new $f", path);
	player = fork();
	if (!player) {
		while (access(path, F_OK))
			usleep(1000);
		kill(self, SIGTERM);
		_exit(0);
	}
	play(&p, script, &live, just_true);
	waitpid(player, NULL, 0);
	CU_ASSERT_EQUAL(p.status, 128 + SIGTERM);
	f = fopen(path, "r");
	if (f) {
		n = fscanf(f, "%d", &machine);
		fclose(f);
	}
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_EQUAL(kill(machine, 0), -1);
	free(p.out);
}

/** The argument list that lab_exec() makes of mmvm's own. */
static void test_exec_arguments(void)
{
	char *argv[] = {(char *)"mmvm",	       (char *)"run",	   (char *)"--accel",
			(char *)"lab",	       (char *)"--icount", (char *)"-v",
			(char *)"--accel=lab", (char *)"--exec",   (char *)"prog",
			(char *)"--accel",     (char *)"lab",	   NULL};
	static const char expected[] = "\0run\0--accel\0kvm\0-v\0--exec\0prog\0--accel\0lab";
	struct lab_options opt = {.stdout_fd = memfd_create("out", MFD_CLOEXEC)};
	struct mmvm_error err = {0};
	struct entry e[64];
	size_t len;
	char *buf;
	int n;

	write_file("qemu-system-x86_64",
		   PLAYER "cat $initrd >&$out; printf 'exit 0\\n' >&$control; exec sleep 30\n",
		   0755);
	CU_ASSERT_EQUAL(lab_exec(11, argv, &opt, &err), 0);
	buf = read_all(opt.stdout_fd, &len);
	n = read_archive(buf, len, 8, e, 64);
	CU_ASSERT_FATAL(n > 0);
	CU_ASSERT_PTR_NOT_NULL(memmem(e[n - 1].data, e[n - 1].size, expected, sizeof(expected)));
	free(buf);
	close(opt.stdout_fd);
}

static void test_available(void)
{
	char why[300] = "", *path = strdup(getenv("PATH"));

	CU_ASSERT_TRUE(lab_available(why, sizeof(why)));
	setenv("PATH", "/nonexistent", 1);
	CU_ASSERT_FALSE(lab_available(why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "qemu-system-x86"));
	setenv("PATH", path, 1);
	setenv("MMVM_LAB", "/nonexistent", 1);
	CU_ASSERT_FALSE(lab_available(why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "make lab-image"));
	setenv("MMVM_LAB", folder, 1);
	setenv("MMVM_LAB_INSIDE", "svm", 1);
	CU_ASSERT_FALSE(lab_available(why, sizeof(why)));
	CU_ASSERT_TRUE(lab_inside());
	unsetenv("MMVM_LAB_INSIDE");
	free(path);
}

int main(void)
{
	char path[2 * PATH_MAX];
	unsigned int failures;
	CU_pSuite suite;

	/* a machine that fails early closes its end while we may still be reading */
	signal(SIGPIPE, SIG_IGN);
	snprintf(folder, sizeof(folder), "%s/mmvm-lab-unit.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(folder) || CU_initialize_registry())
		return 1;
	snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
	setenv("PATH", path, 1);
	setenv("MMVM_LAB", folder, 1);
	write_file("vmlinux", "kernel", 0644);
	write_file("initrd", "12345678", 0644);

	suite = CU_add_suite("lab", NULL, NULL);
	CU_add_test(suite, "archive: entries, folders, alignment", test_archive_content);
	CU_add_test(suite, "archive: the first error stays", test_archive_errors);
	write_file("qemu-system-x86_64", "#!/bin/sh\n", 0755);
	CU_add_test(suite, "available, and why not", test_available);
	CU_add_test(suite, "output and status", test_run_well);
	CU_add_test(suite, "lines in pieces, a flood of output", test_pieces_and_flood);
	CU_add_test(suite, "each failure its sentence", test_failures);
	CU_add_test(suite, "a hang is noticed", test_hang);
	CU_add_test(suite, "the job", test_job);
	CU_add_test(suite, "mmvm's own arguments", test_exec_arguments);
	CU_add_test(suite, "a signal ends the machine", test_signal);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();

	for (const char *const *name =
		     (const char *const[]){"vmlinux", "initrd", "qemu-system-x86_64", "base",
					   "program", NULL};
	     *name; name++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *name);
		unlink(path);
	}
	rmdir(folder);
	return failures != 0;
}
