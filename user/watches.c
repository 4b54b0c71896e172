/*
 * inotify and bind mounts while any allocation may fail: each call either does all that it should, or fails with
 * ENOMEM. Exit: 0 all was done, 12 there was no memory, 1 something is wrong. (tests in
 * guestmm/tests/test_allocfail.c, test_notify.c)
 *   watches            watch a folder while files in it come and go
 *   watches bind       bind a tree of two shared mounts, mount on it in many places, move another there, and take it away
 */
#include "files.h"

#define SYS_inotify_init1     294
#define SYS_inotify_add_watch 254
#define IN_CREATE	      0x100
#define IN_DELETE	      0x200
#define IN_Q_OVERFLOW	      0x4000
#define MS_BIND		      4096
#define MS_BIND_REC	      (4096 | 16384)
#define MS_MOVE		      8192
#define MS_SHARED_REC	      (1 << 20 | 16384)
#define DETACH		      2
#define NO_MEMORY	      12
#define FILES		      20

struct event {
	int wd;
	unsigned int mask, cookie, len;
};

static void check(long ret)
{
	if (ret == -NO_MEMORY)
		exit(NO_MEMORY);
	if (is_error(ret)) {
		print("watches: %ld\n", ret);
		exit(1);
	}
}

static const char *name(int i)
{
	static char n[] = "/w/file-with-a-name-00";

	n[sizeof(n) - 3] = (char)('0' + i / 10);
	n[sizeof(n) - 2] = (char)('0' + i % 10);
	return n;
}

/* Names that there is no memory to look up stay: tried until they are gone. */
static void clean_up(void)
{
	for (int i = 0; i < FILES; i++)
		for (int n = 0; n < 5 && sys_unlink(name(i)) == -NO_MEMORY; n++)
			;
	sys_unlinkat(AT_FDCWD, "/w", AT_REMOVEDIR);
}

static int watch(void)
{
	static char buf[8192] __attribute__((aligned(8)));
	int created = 0, overflow = 0, made = 0;
	long in = syscall3(SYS_inotify_init1, 04000, 0, 0), n, err;

	check(in);
	err = sys_mkdir("/w", 0755);
	if (err && err != -EEXIST)
		check(err);
	err = syscall3(SYS_inotify_add_watch, in, (long)"/w", IN_CREATE | IN_DELETE);
	for (int i = 0; i < FILES && err >= 0; i++) {
		long fd = sys_open(name(i), O_WRONLY | O_CREAT | O_EXCL, 0644);

		if (is_error(fd))
			err = fd;
		else
			sys_close(fd);
		made += !is_error(fd);
	}
	n = sys_read(in, buf, sizeof(buf));
	for (char *p = buf; p < buf + n;) {
		struct event *e = (struct event *)p;

		created += e->mask == IN_CREATE;
		overflow += e->mask == IN_Q_OVERFLOW;
		p += sizeof(*e) + e->len;
	}
	clean_up();
	check(err);
	sys_close(in);
	/* What is lost is said. */
	if (created != made && !overflow)
		return 1;
	return overflow ? NO_MEMORY : 0;
}

/* All places have the mount, or none has it. */
static long mount_in_all(void)
{
	long err = sys_mkdir("/w/more", 0755);

	if (err)
		return err;
	err = sys_mount("none", "/w/more", "tmpfs", 0, "");
	if (err)
		return sys_unlinkat(AT_FDCWD, "/w/more", AT_REMOVEDIR) ? -EEXIST : err;
	err = sys_mkdir("/w/too/more/one", 0755);
	if (!err)
		err = sys_unlinkat(AT_FDCWD, "/w/more/one", AT_REMOVEDIR);
	return err;
}

/* A mount that moves to all of them, or stays. */
static long move_to_all(void)
{
	long err = sys_mkdir("/x", 0755);

	if (!err || err == -EEXIST)
		err = sys_mount("none", "/x", "tmpfs", 0, "");
	if (!err)
		err = sys_mkdir("/x/two", 0755);
	if (err)
		return err;
	err = sys_mount("/x", "/w/more", "", MS_MOVE, "");
	if (err)
		return sys_unlinkat(AT_FDCWD, "/x/two", AT_REMOVEDIR) ? -EEXIST : err;
	return sys_unlinkat(AT_FDCWD, "/w/to/too/more/two", AT_REMOVEDIR);
}

static int bind(void)
{
	long err = sys_mkdir("/w", 0755);

	if (!err || err == -EEXIST)
		err = sys_mount("none", "/w", "tmpfs", 0, "");
	if (!err)
		err = sys_mkdir("/w/in", 0755);
	if (!err)
		err = sys_mkdir("/w/to", 0755);
	if (!err)
		err = sys_mount("none", "/w/in", "tmpfs", 0, "");
	if (!err)
		err = sys_mount("none", "/w", "", MS_SHARED_REC, "");
	if (!err)
		err = sys_mount("/w", "/w/to", "", MS_BIND_REC, "");
	if (!err)
		err = sys_mkdir("/w/too", 0755);
	if (!err)
		err = sys_mount("/w", "/w/too", "", MS_BIND, "");
	if (!err)
		err = mount_in_all();
	if (!err)
		err = move_to_all();
	while (!sys_umount("/x", DETACH) || !sys_umount("/w", DETACH) || !sys_umount("/w", DETACH))
		;
	sys_unlinkat(AT_FDCWD, "/x", AT_REMOVEDIR);
	sys_unlinkat(AT_FDCWD, "/w", AT_REMOVEDIR);
	check(err);
	return 0;
}

int main(int argc, char **argv)
{
	return argc > 1 ? bind() : watch();
}
