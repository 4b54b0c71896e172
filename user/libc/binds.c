/*
 * Bind mounts as Linux has them: what is visible where, read-only places, trees, unmounting, mountinfo. The
 * output is a transcript that is compared with Linux's (tests/vm/conform_programs.sh). Runs as root, with
 * /proc; on a tmpfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#define FOLDER "/binds"

static void bind_at(const char *from, const char *to, unsigned long flags)
{
	printf("bind %s on %s, %lx: %s\n", from, to, flags,
	       result(mount(from, to, NULL, MS_BIND | flags, NULL)));
}

static void undo(const char *what, int flags)
{
	printf("umount %s, %d: %s\n", what, flags, result(umount2(what, flags)));
}

static void remount(const char *what, unsigned long flags)
{
	printf("remount %s, %lx: %s\n", what, flags,
	       result(mount(NULL, what, NULL, MS_REMOUNT | flags, NULL)));
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	printf("write %s: %s\n", path, result(fd < 0 ? -1 : write(fd, text, strlen(text))));
	if (fd >= 0)
		close(fd);
}

static void get_file(const char *path)
{
	char text[64];
	int fd = open(path, O_RDONLY);
	long n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		printf("%s: -%d\n", path, errno);
	} else {
		text[n] = 0;
		printf("%s: %s\n", path, text);
	}
	if (fd >= 0)
		close(fd);
}

/* Lines of mountinfo about our folder, without their numbers. */
static void show_mounts(void)
{
	char line[512], root[200], place[200], options[100], rest[200];
	FILE *f = fopen("/proc/self/mountinfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %*s %199s %199s %99s - %199[^\n]", root, place, options,
			   rest) == 4 &&
		    !strncmp(place, FOLDER, strlen(FOLDER)))
			printf("  %s on %s (%s) %s\n", root, place, options, strtok(rest, " "));
	}
	if (f)
		fclose(f);
	f = fopen("/proc/mounts", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %199s %199s %99s", place, root, options) == 3 &&
		    !strncmp(place, FOLDER "/", strlen(FOLDER) + 1))
			printf("  mounts: %s %s %.2s\n", place, root, options);
	}
	if (f)
		fclose(f);
}

static void simple(void)
{
	struct stat a, b;

	printf("# a folder\n");
	bind_at("a", "b", 0);
	get_file("b/file");
	put_file("b/new", "by b");
	get_file("a/new");
	stat("a/new", &a);
	stat("b/new", &b);
	printf("the same: %d %d\n", a.st_ino == b.st_ino, a.st_dev == b.st_dev);
	printf("rename across: %s\n", result(rename("a/new", "b/other")));
	printf("link across: %s\n", result(link("a/new", "b/other")));
	printf("rename within: %s\n", result(rename("b/new", "b/other")));
	printf("rmdir the point: %s, remove it by its other name: %s\n", result(rmdir("b")),
	       result(unlink("a/other")));
	show_mounts();
	undo("b", 0);
	get_file("b/file");
	printf("# errors\n");
	bind_at("nothing", "b", 0);
	bind_at("a", "nothing", 0);
	bind_at("", "b", 0);
	bind_at("a", "plain", 0);
	bind_at("plain", "b", 0);
	undo("b", 0);
	undo("plain", 0);
	remount("b", MS_BIND | MS_RDONLY);
	printf("NULL: %s\n", result(mount(NULL, "b", NULL, MS_BIND, NULL)));
}

static void one_file(void)
{
	printf("# a file\n");
	bind_at("plain", "other", 0);
	get_file("other");
	put_file("other", "through the other");
	get_file("plain");
	printf("unlink the point: %s\n", result(unlink("other")));
	printf("rename over it: %s\n", result(rename("a/file", "other")));
	show_mounts();
	undo("other", 0);
	get_file("other");
}

static void read_only(void)
{
	struct statvfs st;
	int fd;

	printf("# read-only in one place\n");
	bind_at("a", "b", MS_RDONLY); /* is not heeded */
	put_file("b/x", "1");
	remount("b", MS_BIND | MS_RDONLY);
	put_file("b/x", "2");
	put_file("a/x", "3");
	get_file("b/x");
	printf("mkdir %s, unlink %s, chmod %s, rename %s, truncate %s\n",
	       result(mkdir("b/d", 0755)), result(unlink("b/x")), result(chmod("b/x", 0600)),
	       result(rename("b/x", "b/y")), result(truncate("b/x", 0)));
	printf("access %s %s\n", result(access("b/x", W_OK)), result(access("a/x", W_OK)));
	statvfs("b", &st);
	printf("statvfs %lx", st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NOEXEC));
	statvfs("a", &st);
	printf(" %lx\n", st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NOEXEC));
	show_mounts();
	remount("b", MS_BIND | MS_NOSUID | MS_NOEXEC | MS_NOATIME);
	put_file("b/x", "4");
	show_mounts();
	remount("b", MS_BIND | MS_RDONLY);
	show_mounts();
	remount("b", MS_BIND);
	printf("# with a file open for writing\n");
	fd = open("b/x", O_WRONLY);
	remount("b", MS_BIND | MS_RDONLY);
	close(fd);
	fd = open("a/x", O_WRONLY);
	remount("b", MS_BIND | MS_RDONLY);
	close(fd);
	unlink("a/x");
	undo("b", 0);
}

static void trees(void)
{
	printf("# trees\n");
	mkdir("a/in", 0755);
	printf("mount %s\n", result(mount("inner", "a/in", "tmpfs", 0, "")));
	put_file("a/in/deep", "deep");
	mkdir("a/in/more", 0755);
	printf("mount %s\n", result(mount("most", "a/in/more", "tmpfs", 0, "")));
	put_file("a/in/more/deepest", "deepest");
	bind_at("a", "b", 0);
	get_file("b/in/deep");
	undo("b", 0);
	bind_at("a", "b", MS_REC);
	get_file("b/in/deep");
	get_file("b/in/more/deepest");
	show_mounts();
	undo("b", 0);
	undo("b/in", 0);
	undo("b/in/more", 0);
	undo("b/in", 0);
	undo("b", 0);
	printf("# a part\n");
	bind_at("a/in", "b", MS_REC);
	show_mounts();
	undo("b", MNT_DETACH);
	show_mounts();
	printf("# onto itself\n");
	bind_at("a", "a", 0);
	get_file("a/in/deep");
	undo("a", 0);
	get_file("a/in/deep");
	bind_at(".", "b", 0);
	get_file("b/a/file");
	get_file("b/a/in/deep");
	undo("b", 0);
}

static void busy(void)
{
	char path[200];
	int fd;

	printf("# in use\n");
	bind_at("a", "b", 0);
	fd = open("b/file", O_RDONLY);
	undo("b", 0);
	close(fd);
	chdir("b");
	undo(FOLDER "/b", 0);
	printf("# lazily\n");
	undo(FOLDER "/b", MNT_DETACH);
	get_file("file");
	printf("cwd %s\n", getcwd(path, sizeof(path)) ? "named" : result(-1));
	chdir(FOLDER);
	get_file("b/file");
	undo("b", MNT_DETACH);
	/* A file system is unmounted with its last mount. */
	printf("mount %s\n", result(mount("two", "b", "tmpfs", 0, "")));
	put_file("b/f", "kept");
	bind_at("b", "c", 0);
	undo("b", 0);
	get_file("c/f");
	fd = open("c/f", O_RDWR);
	undo("c", 0);
	undo("c", MNT_DETACH);
	printf("written %s\n", result(pwrite(fd, "K", 1, 0)));
	close(fd);
	get_file("c/f");
	printf("# the whole tree\n");
	undo("a/in", 0);
	undo("a/in", MNT_DETACH);
	get_file("a/in/deep");
	show_mounts();
	printf("flags %s %s\n", result(umount2("b", 16)),
	       result(umount2("b", MNT_EXPIRE | MNT_FORCE)));
}

static void add(const char *what, const char *type, unsigned long flags)
{
	printf("mount %s, %lx: %s\n", what, flags, result(mount("flags", what, type, flags, "")));
}

/* Without what tells how Linux was built. */
static const char *plain(char *options)
{
	char *inode = strstr(options, ",inode64");

	if (inode)
		*inode = 0;
	return options;
}

static void show_options(const char *what)
{
	char line[512], place[200], own[100], super[200];
	struct statvfs st;
	FILE *f = fopen("/proc/self/mountinfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %*s %*s %199s %99s - %*s %*s %199s", place, own, super) ==
			    3 &&
		    !strcmp(place, what))
			printf("  %s %s\n", own, plain(super));
	}
	if (f)
		fclose(f);
	f = fopen("/proc/mounts", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %199s %*s %99s", place, own) == 2 && !strcmp(place, what))
			printf("  mounts: %s\n", plain(own));
	}
	if (f)
		fclose(f);
	if (!statvfs(what, &st))
		printf("  statvfs: %lx\n",
		       st.f_flag & ~0x20ul); /* ST_VALID: glibc removes it, musl does not */
}

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#define MS_BIT9 512ul /* no flag has it */

static void flags_of_mounts(void)
{
	static const unsigned long flags[] = {
		0,
		MS_NOSYMFOLLOW,
		MS_DIRSYNC,
		MS_SYNCHRONOUS,
		MS_LAZYTIME,
		MS_MANDLOCK,
		MS_SILENT,
		MS_STRICTATIME,
		MS_RELATIME,
		MS_NODIRATIME,
		MS_NOATIME,
		MS_NOATIME | MS_STRICTATIME,
		MS_NOATIME | MS_RELATIME,
		MS_NODIRATIME | MS_STRICTATIME,
		MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_NOATIME | MS_NOSYMFOLLOW,
		MS_RDONLY | MS_LAZYTIME | MS_DIRSYNC | MS_SYNCHRONOUS,
		MS_BIT9,
		MS_POSIXACL | MS_I_VERSION | MS_KERNMOUNT | 1 << 26,
		0xc0ed0000 | MS_NOSUID,
		MS_NOUSER & 0xffffffff,
	};
	static const unsigned long later[] = {
		0,
		MS_DIRSYNC,
		MS_LAZYTIME,
		MS_SYNCHRONOUS | MS_NOATIME,
		MS_BIND | MS_SYNCHRONOUS,
		MS_BIND | MS_NOSYMFOLLOW,
		MS_BIND | MS_STRICTATIME,
		MS_NODIRATIME,
		MS_BIND | MS_RELATIME,
		MS_RDONLY | MS_SILENT,
	};

	printf("# flags\n");
	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		add("b", "tmpfs", flags[i]);
		show_options(FOLDER "/b");
		umount("b");
	}
	add("b", "tmpfs", MS_DIRSYNC | MS_NODIRATIME);
	for (unsigned int i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		remount("b", later[i]);
		show_options(FOLDER "/b");
	}
	undo("b", 0);
	printf("no type: %s\n", result(mount("flags", "b", NULL, 0, "")));
	add("b", "nonsense", 0);
	add("plain", "nonsense", 0);
	add("plain", "tmpfs", 0);
	add("nothing", "tmpfs", MS_NOUSER & 0xffffffff);
}

static void no_links(void)
{
	printf("# links\n");
	add("b", "tmpfs", MS_NOSYMFOLLOW);
	mkdir("b/dir", 0755);
	put_file("b/dir/f", "in dir");
	printf("symlink %s\n", result(symlink("dir", "b/link")));
	printf("symlink %s\n", result(symlink("dir/f", "b/last")));
	symlink("b/dir", "outside");
	get_file("b/link/f");
	get_file("b/last");
	get_file("outside/f");
	printf("access %s\n", result(access("b/last", F_OK)));
	printf("O_PATH|O_NOFOLLOW %d\n", open("b/last", O_PATH | O_NOFOLLOW) >= 0);
	printf("creat %s\n", result(open("b/last", O_CREAT | O_WRONLY, 0600)));
	printf("rename %s\n", result(rename("b/last", "b/moved")));
	printf("chdir %s\n", result(chdir("b/link")));
	remount("b", MS_BIND);
	get_file("b/link/f");
	unlink("outside");
	undo("b", MNT_DETACH);
}

static void expiring(void)
{
	int fd;

	printf("# expiring\n");
	undo("b", MNT_EXPIRE);
	undo("b", 16 | MNT_EXPIRE);
	undo("nothing", MNT_EXPIRE);
	undo("/", MNT_EXPIRE);
	add("b", "tmpfs", 0);
	put_file("b/f", "kept");
	undo("b", MNT_EXPIRE | MNT_FORCE);
	undo("b", MNT_EXPIRE | MNT_DETACH);
	fd = open("b/f", O_RDONLY);
	undo("b", MNT_EXPIRE);
	close(fd);
	undo("b", MNT_EXPIRE);
	get_file("b/f"); /* a use */
	undo("b", MNT_EXPIRE);
	undo("b", MNT_EXPIRE);
	undo("b", MNT_EXPIRE);
	printf("symlink %s\n", result(symlink("b", "to_b")));
	add("b", "tmpfs", 0);
	undo("to_b", UMOUNT_NOFOLLOW);
	undo("to_b", UMOUNT_NOFOLLOW | MNT_EXPIRE);
	undo("b", UMOUNT_NOFOLLOW | MNT_EXPIRE);
	undo("to_b", MNT_EXPIRE);
	unlink("to_b");
}

/* What one's own root's umount() does. */
static void own_root(void)
{
	pid_t pid;

	printf("# one's own root\n");
	add("b", "tmpfs", 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int fd;

		chroot("b");
		chdir("/");
		fd = open("/file", O_RDWR | O_CREAT, 0600);
		undo("/", 0);
		close(fd);
		undo("/", MNT_EXPIRE);
		undo("/", 0);
		undo("/", 0);
		put_file("/file", "text");
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	show_options(FOLDER "/b");
	put_file("b/other", "text");
	remount("b", 0);
	put_file("b/other", "text");
	undo("b", 0);
}

static void moved_outside(void)
{
	char path[200];

	printf("# a folder moves out of what is bound\n");
	mkdir("a/out", 0755);
	mkdir("a/out/deep", 0755);
	bind_at("a/out", "b", 0);
	printf("rename %s\n", result(rename("a/out/deep", "a/deep")));
	printf("%s %s\n", result(access("b/deep", F_OK)), result(access("a/deep", F_OK)));
	undo("b", 0);
	rmdir("a/deep");
	rmdir("a/out");
	bind_at("a", "b", 0);
	chdir("b");
	printf("cwd %s\n", getcwd(path, sizeof(path)));
	chdir("..");
	printf("cwd %s\n", getcwd(path, sizeof(path)));
	undo("b", 0);
}

static void rights(void)
{
	int status;
	pid_t pid;

	printf("# without the right\n");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setresuid(12, 12, 12);
		bind_at("a", "b", 0);
		undo("b", MNT_DETACH);
		undo("nothing", 0);
		undo("b", 16);
		add("nothing", "tmpfs", 0);
		add("b", "tmpfs", MS_NOUSER & 0xffffffff);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

int main(void)
{
	mkdir(FOLDER, 0755);
	if (mount("base", FOLDER, "tmpfs", 0, "") || chdir(FOLDER))
		return 1;
	mkdir("a", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	put_file("a/file", "in a");
	put_file("plain", "plain");
	put_file("other", "other");
	simple();
	one_file();
	read_only();
	trees();
	busy();
	flags_of_mounts();
	no_links();
	expiring();
	own_root();
	moved_outside();
	rights();
	show_mounts();
	chdir("/");
	undo(FOLDER, 0);
	printf("end\n");
	return 0;
}
