/*
 * The lab's /init: PID 1 of the Linux that QEMU boots, and all of its user space.
 *
 * It loads the modules that lie beside it, runs one command in the outer machine's files, and says
 * how that ended. Three I/O ports lead out (QEMU's isa-debugcon): a byte written has left the
 * machine when the instruction ends. So nothing is lost when the machine dies, a broken module can
 * be told, and output brings no interrupt whose moment would change an instruction count.
 *
 *   0xe9 control   one line each: "start", "." every second, "fail TEXT" (the lab is broken), and
 *                  last "exit N". The reader ends the machine when it has read the last line.
 *   0xea stdout    of the command, byte for byte
 *   0xeb stderr
 *
 * A serial port leads in: each byte is so many hundredths of a second that the machine has had for
 * itself on the outer one. Their sum is kept in OWN_TIME_FILE (vmm/machine/own_time.h), so that time
 * limits inside follow what was possible and not the outer machine's load.
 *
 *   ttyS2   standard input of the command, when it has one: records of a kind, a length (u16) and
 *           data. 'd' bytes, 'e' the end, 'w' rows and columns of the terminal (2 u16). No more bytes
 *           come than "in N" on the control port has asked for, so no buffer overflows on the way.
 *
 *   /job       what to do: NUL-terminated strings
 *                mode ("live" or "sealed"), input ("none", "pipe", "tty"), working directory,
 *                count, arguments...  count, environment...  count, files to hand back...
 *                a random name for new files there
 *                count, shares: "ro" or "rw" and the folder, in turn; those with others in them first
 *   /modules   module file names, one a line, in the order to load; below "--" those of 9p
 *   /host      the command's root. live: folders of the outer machine, shared by 9p, and what every
 *              system has: links to them where the outer machine has links, /tmp and the like in memory.
 *              sealed: what the archive brought, so that no file traffic disturbs a count; files to
 *              hand back are copied out through 9p when the command has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define OWN_TIME_FILE "/dev/mmvm-own-time"

enum port { PORT_CONTROL = 0xe9, PORT_STDOUT, PORT_STDERR };

/** <sys/io.h>'s outsb() does not tell the compiler that it reads memory. */
static void port_write(enum port port, const void *data, size_t len)
{
	__asm__ volatile("rep outsb" : "+S"(data), "+c"(len) : "d"(port) : "memory");
}

struct strings {
	unsigned int n;
	char **s; /* ends with NULL */
};

static void control(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void control(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n] = '\n';
	port_write(PORT_CONTROL, line, (size_t)n + 1);
}

/** The machine cannot be used: say why and wait to be ended. */
static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	control("fail %s", text);
	for (;;)
		pause();
}

static void load_module(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/lib/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		fail("module %s: %s", name, strerror(errno));
	close(fd);
}

/** Load the modules of /modules up to a line "--", or the rest of the file after it. */
static void load_modules(FILE *list)
{
	char line[128];

	while (fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = 0;
		if (!strcmp(line, "--"))
			return;
		load_module(line);
	}
}

/** Read one string from a job; the job's reader ends at `end`. */
static char *next_string(char **pos, char *end)
{
	char *s = *pos;
	size_t len = strnlen(s, (size_t)(end - s));

	if (s + len >= end)
		fail("the job is cut short");
	*pos = s + len + 1;
	return s;
}

static void next_strings(char **pos, char *end, struct strings *out)
{
	unsigned long n = strtoul(next_string(pos, end), NULL, 10);

	/* Each takes at least its NUL. */
	if (n > (unsigned long)(end - *pos))
		fail("the job is cut short");
	out->s = calloc(n + 1, sizeof(*out->s));
	if (!out->s)
		fail("no memory for the job");
	for (out->n = 0; out->n < n; out->n++)
		out->s[out->n] = next_string(pos, end);
	out->s[out->n] = NULL;
}

static char *read_job(size_t *len)
{
	struct stat st;
	char *buf;
	int fd = open("/job", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) || !(buf = malloc((size_t)st.st_size + 1)) ||
	    read(fd, buf, (size_t)st.st_size) != st.st_size)
		fail("cannot read /job: %s", strerror(errno));
	close(fd);
	*len = (size_t)st.st_size;
	return buf;
}

static void make_folders(const char *path)
{
	char folder[PATH_MAX];

	for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		mkdir(folder, 0755);
	}
	mkdir(path, 0755);
}

/** Mount the outer machine's folders at their places below `root`. */
static void mount_shares(const char *root, const struct strings *shares)
{
	char where[PATH_MAX], tag[16];

	for (unsigned int i = 0; i + 1 < shares->n; i += 2) {
		unsigned long flags = strcmp(shares->s[i], "ro") ? 0 : MS_RDONLY;

		snprintf(tag, sizeof(tag), "share%u", i / 2);
		if (snprintf(where, sizeof(where), "%s%s", root, shares->s[i + 1]) >=
		    (int)sizeof(where))
			fail("the name of a folder is too long");
		make_folders(where);
		if (mount(tag, where, "9p", MS_NOATIME | flags,
			  "trans=virtio,version=9p2000.L,msize=524288,cache=mmap"))
			fail("cannot mount the outer machine's %s: %s", shares->s[i + 1],
			     strerror(errno));
	}
}

/** What the shares leave out, where it is not there: links as Debian has them, and places for files
 * that nobody keeps. */
static void complete_root(void)
{
	static const char *const links[] = {"bin", "sbin", "lib", "lib64"};
	static const char *const folders[] = {"/host/tmp", "/host/var/tmp", "/host/run",
					      "/host/root"};
	char from[32], to[32];

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(from, sizeof(from), "usr/%s", links[i]);
		snprintf(to, sizeof(to), "/host/%s", links[i]);
		/* Fails where the folder itself is shared. */
		(void)!symlink(from, to);
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		make_folders(folders[i]);
		if (i < 2)
			chmod(folders[i], 01777);
	}
}

/** Kernel file systems inside the command's root; /dev/shm is the place for its temporary files. */
static void mount_inside(bool live)
{
	static const char *const place[] = {"/host/dev", "/host/proc", "/host/sys"};
	static const char *const from[] = {"/dev", "/proc", "/sys"};

	for (int i = 0; i < 3; i++) {
		mkdir(place[i], 0755);
		if (mount(from[i], place[i], NULL, MS_BIND, NULL))
			fail("cannot bind %s: %s", place[i], strerror(errno));
	}
	mkdir("/host/dev/shm", 01777);
	if (mount("tmpfs", "/host/dev/shm", "tmpfs", 0, "size=90%"))
		fail("cannot mount /dev/shm: %s", strerror(errno));
	/* A terminal of the command's own, if it wants one (tests/vm/top.sh). */
	mkdir("/host/dev/pts", 0755);
	if (mount("devpts", "/host/dev/pts", "devpts", 0, "ptmxmode=0666"))
		fail("cannot mount /dev/pts: %s", strerror(errno));
}

/** Copy a changed file out, whole or not at all. Others may write into the folder, too: the new file
 * gets a name that nobody can have prepared, and is made by us. */
static void hand_back(const char *path, const char *suffix, time_t since)
{
	char from[PATH_MAX + 8], to[PATH_MAX + 8], temp[PATH_MAX + 40], buf[65536];
	struct stat st;
	int in, out;
	ssize_t n;

	snprintf(from, sizeof(from), "/host%s", path);
	snprintf(to, sizeof(to), "/share%s", path);
	snprintf(temp, sizeof(temp), "%.*s.lab-%.40s", (int)(strrchr(to, '/') + 1 - to), to,
		 suffix);
	if (stat(from, &st) || !S_ISREG(st.st_mode) || st.st_mtime < since)
		return;
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, st.st_mode & 0777);
	if (in < 0 || out < 0)
		fail("cannot hand back %s: %s", path, strerror(errno));
	while ((n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n) {
			n = -1;
			break;
		}
	}
	if (n < 0 || fsync(out) || close(out) || rename(temp, to)) {
		unlink(temp);
		fail("cannot hand back %s: %s", path, strerror(errno));
	}
	close(in);
}

/* ---- standard input ------------------------------------------------------------------------- */

#define INPUT_ROOM 2048 /* bytes on their way at most */

struct input {
	int port;     /* ttyS2, or -1: the command has no input */
	int to, from; /* the command's end is `from`; to < 0: the end has come */
	bool tty, has_ended;
	unsigned char head[3]; /* of the record that is arriving */
	unsigned int head_len, left, nr_size;
	uint16_t size[2];
	char buf[INPUT_ROOM]; /* arrived, not yet passed on */
	unsigned int len;
};

static void input_open(struct input *in, const char *kind)
{
	struct termios t;
	int fd[2], zero = 0;

	memset(in, 0, sizeof(*in));
	in->port = in->to = -1;
	if (!strcmp(kind, "none")) {
		in->from = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return;
	}
	in->tty = !strcmp(kind, "tty");
	in->port = open("/dev/ttyS2", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (in->port < 0 || tcgetattr(in->port, &t))
		fail("ttyS2: %s", strerror(errno));
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&t, B115200);
	if (tcsetattr(in->port, TCSANOW, &t))
		fail("ttyS2: %s", strerror(errno));
	if (in->tty) {
		mkdir("/dev/pts", 0755);
		mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666");
		in->to = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (in->to < 0 || ioctl(in->to, TIOCSPTLCK, &zero))
			fail("no pseudo-terminal: %s", strerror(errno));
		in->from = ioctl(in->to, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (in->from < 0)
			fail("no pseudo-terminal: %s", strerror(errno));
	} else {
		if (pipe2(fd, O_CLOEXEC))
			fail("pipe: %s", strerror(errno));
		in->from = fd[0];
		in->to = fd[1];
		fcntl(in->to, F_SETPIPE_SZ, 4096);
		fcntl(in->to, F_SETFL, O_NONBLOCK);
	}
}

static void input_record_done(struct input *in)
{
	struct winsize w = {.ws_row = in->size[0], .ws_col = in->size[1]};

	in->head_len = 0;
	if (in->head[0] == 'e')
		in->has_ended = true;
	else if (in->head[0] == 'w' && in->tty)
		ioctl(in->to, TIOCSWINSZ, &w);
}

static void input_byte(struct input *in, unsigned char c)
{
	if (in->head_len < 3) {
		in->head[in->head_len++] = c;
		if (in->head_len < 3)
			return;
		in->left = in->head[1] | (unsigned int)in->head[2] << 8;
		in->nr_size = 0;
		if (!in->left)
			input_record_done(in);
		return;
	}
	if (in->head[0] == 'd' && in->len < sizeof(in->buf))
		in->buf[in->len++] = (char)c;
	else if (in->head[0] == 'w' && in->nr_size < sizeof(in->size))
		((unsigned char *)in->size)[in->nr_size++] = c;
	if (!--in->left)
		input_record_done(in);
}

/** Take what has come, give the command what it takes, and ask for as much again. */
static void input_pass(struct input *in)
{
	unsigned char buf[512];
	ssize_t n;

	if (in->port < 0)
		return;
	while ((n = read(in->port, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			input_byte(in, buf[i]);
	while (in->len && in->to >= 0) {
		n = write(in->to, in->buf, in->len);
		if (n < 0 && errno == EAGAIN)
			return;
		/* The command does not read any more: what comes is for nobody. */
		if (n <= 0)
			n = in->len;
		in->len -= (unsigned int)n;
		memmove(in->buf, in->buf + n, in->len);
		control("in %zd", n);
	}
	if (in->has_ended && !in->tty && in->to >= 0) {
		close(in->to);
		in->to = -1;
	}
}

static pid_t start(const char *cwd, char **argv, char **envp, const struct input *in,
		   const int out[2], const int err[2])
{
	sigset_t none;
	pid_t pid = fork();

	if (pid)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	dup2(in->from, 0);
	if (in->tty)
		ioctl(0, TIOCSCTTY, 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	if (chroot("/host") || chdir(cwd)) {
		fprintf(stderr, "mmvm: lab: cannot enter %s: %s\n", cwd, strerror(errno));
		_exit(126);
	}
	environ = envp;
	execvp(argv[0], argv);
	fprintf(stderr, "mmvm: lab: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/** Pass on what there is. Returns false at the end of the file, or when there is nothing now. */
static bool pass_on(int fd, enum port port)
{
	static char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		port_write(port, buf, (size_t)n);
	return n > 0;
}

/** The serial port that own time comes from, and the file it is written to; -1: none. */
static void open_clock(int *port, int *file)
{
	struct termios raw;
	uint64_t zero = 0;

	*file = -1;
	*port = open("/dev/ttyS1", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (*port < 0)
		return;
	/* A port that is not there opens, too, and fails here. */
	if (tcgetattr(*port, &raw)) {
		close(*port);
		*port = -1;
		return;
	}
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	raw.c_cflag |= CLOCAL | CREAD;
	tcsetattr(*port, TCSANOW, &raw);
	*file = open(OWN_TIME_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (*file >= 0 && pwrite(*file, &zero, sizeof(zero), 0) != sizeof(zero))
		fail("cannot write " OWN_TIME_FILE);
}

static void take_clock(int port, int file)
{
	static uint64_t ns;
	unsigned char byte[64];
	ssize_t n = port < 0 ? 0 : read(port, byte, sizeof(byte));

	if (n <= 0)
		return;
	for (ssize_t i = 0; i < n; i++)
		ns += byte[i] * UINT64_C(10000000);
	if (pwrite(file, &ns, sizeof(ns), 0) != sizeof(ns))
		fail("cannot write " OWN_TIME_FILE);
}

static int as_shell_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/**
 * Run the command: pass its output on, reap it and its orphans, give a sign of life every second.
 * It is over when the command itself has ended; what it had written by then is passed on.
 */
static int run(const char *cwd, char **argv, char **envp, const char *input_kind)
{
	static struct input in;
	int out[2], err[2], status = -1, child_status, clock, clock_file;
	struct signalfd_siginfo info;
	sigset_t set;
	pid_t child, pid;
	time_t last = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) || pipe2(err, O_CLOEXEC | O_NONBLOCK))
		fail("pipe: %s", strerror(errno));
	/* the writers' ends block as usual */
	fcntl(out[1], F_SETFL, 0);
	fcntl(err[1], F_SETFL, 0);

	open_clock(&clock, &clock_file);
	input_open(&in, input_kind);

	struct pollfd p[] = {{out[0], POLLIN, 0},
			     {err[0], POLLIN, 0},
			     {signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0},
			     {clock, POLLIN, 0},
			     {in.port, POLLIN, 0},
			     {-1, POLLOUT, 0}};
	signal(SIGPIPE, SIG_IGN);
	child = start(cwd, argv, envp, &in, out, err);
	close(in.from);
	if (in.port >= 0)
		control("in %d", INPUT_ROOM);
	if (child < 0 || p[2].fd < 0)
		fail("cannot start a process: %s", strerror(errno));
	while (status < 0) {
		struct timespec now;

		p[5].fd = in.len ? in.to : -1;
		poll(p, 6, 1000);
		take_clock(clock, clock_file);
		input_pass(&in);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec != last) {
			last = now.tv_sec;
			control(".");
		}
		pass_on(out[0], PORT_STDOUT);
		pass_on(err[0], PORT_STDERR);
		while (read(p[2].fd, &info, sizeof(info)) > 0) {
		}
		while ((pid = waitpid(-1, &child_status, WNOHANG)) > 0) {
			if (pid == child)
				status = as_shell_status(child_status);
		}
	}
	while (pass_on(out[0], PORT_STDOUT)) {
	}
	while (pass_on(err[0], PORT_STDERR)) {
	}
	return status;
}

/** Start every second CPU after the first, where vmm/lab/qemu.c has set that many aside. It says there why. */
static void start_cpus(void)
{
	const char *const text = getenv("mmvm_cpus");
	unsigned int n = text ? (unsigned int)atoi(text) : 1;
	char path[64];

	if (n > 1)
		control("turns");
	for (unsigned int i = 1; i < n; i++) {
		int fd;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", 2 * i);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			fail("a CPU of the lab does not start");
		close(fd);
	}
}

int main(void)
{
	struct strings args, env, files, shares;
	char *job, *pos, *cwd, *suffix, *input;
	time_t since;
	size_t len;
	FILE *list;
	int status;
	bool live;

	/* no port, no word: the reader's patience ends then */
	if (iopl(3))
		return 1;
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/host", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);

	job = read_job(&len);
	pos = job;
	live = !strcmp(next_string(&pos, job + len), "live");
	input = next_string(&pos, job + len);
	cwd = next_string(&pos, job + len);
	next_strings(&pos, job + len, &args);
	next_strings(&pos, job + len, &env);
	next_strings(&pos, job + len, &files);
	suffix = next_string(&pos, job + len);
	next_strings(&pos, job + len, &shares);

	list = fopen("/modules", "re");
	if (!list)
		fail("no /modules");
	load_modules(list);
	if (live) {
		load_modules(list);
		mount_shares("/host", &shares);
		complete_root();
	}
	mount_inside(live);
	start_cpus();
	since = time(NULL);
	control("start");
	status = run(cwd, args.s, env.s, input);

	if (!live && files.n) {
		load_modules(list);
		mount_shares("/share", &shares);
		for (unsigned int i = 0; i < files.n; i++)
			hand_back(files.s[i], suffix, since);
	}
	fclose(list);
	sync();
	control("exit %d", status);
	for (;;)
		pause();
}
