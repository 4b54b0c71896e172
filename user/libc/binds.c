/*
 * Bind mounts as Linux has them: what is visible where, read-only places, trees, unmounting, mountinfo, shared mounts
 * and their slaves, moving. The output is a transcript that is compared with Linux's (tests/vm/conform_programs.sh).
 * Runs as root, with /proc, on a tmpfs.
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

/* ---- who receives what is mounted ------------------------------------------------------------- */

#define MAX_LINES  100
#define MAX_GROUPS 40

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "shared:17 master:4" with the groups' numbers in the order in which they are met: these are the kernel's affair. */
static void print_groups(char *text)
{
	static int known[MAX_GROUPS];
	static int nr;

	if (!text)
		nr = 0;
	for (char *word = text ? strtok(text, " ") : NULL; word; word = strtok(NULL, " ")) {
		char *colon = strchr(word, ':');
		int i = 0, group = colon ? atoi(colon + 1) : 0;

		if (!colon) {
			printf(" %s", word);
			continue;
		}
		while (i < nr && known[i] != group)
			i++;
		if (i == nr && nr < MAX_GROUPS)
			known[nr++] = group;
		printf(" %.*s:%d", (int)(colon - word), word, i + 1);
	}
}

/* What mountinfo says of mounts below our folder, or of all, sorted. */
static void show_types_of(FILE *f, const char *below)
{
	static char text[MAX_LINES][600];
	static char *lines[MAX_LINES];
	char line[512], root[200], place[200];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f) && nr < MAX_LINES) {
		char *options, *end;
		int at;

		if (sscanf(line, "%*d %*d %*s %199s %199s %n", root, place, &at) != 2 ||
		    strncmp(place, below, strlen(below)))
			continue;
		options = line + at;
		end = strstr(options, " - ");
		*end = 0;
		options += strcspn(options, " ");
		snprintf(text[nr], sizeof(text[nr]), "%s of %s:%s", place, root, options);
		lines[nr] = text[nr];
		nr++;
	}
	qsort(lines, nr, sizeof(lines[0]), by_text);
	print_groups(NULL);
	for (int i = 0; i < nr; i++) {
		char *colon = strchr(lines[i], ':');

		printf("  %.*s", (int)(colon - lines[i]), lines[i]);
		print_groups(colon + 1);
		printf("\n");
	}
	if (f)
		fclose(f);
}

static void show_types(void)
{
	show_types_of(fopen("/proc/self/mountinfo", "r"), FOLDER "/");
}

static void type(const char *what, unsigned long flags)
{
	printf("type of %s, %lx: %s\n", what, flags, result(mount(NULL, what, NULL, flags, NULL)));
}

static void move(const char *from, const char *to)
{
	printf("move %s to %s: %s\n", from, to, result(mount(from, to, NULL, MS_MOVE, NULL)));
}

/* One file in it, so that it is seen where it is. */
static void new_mount(const char *what, const char *name)
{
	char path[200];
	int fd;

	printf("mount %s on %s: %s\n", name, what, result(mount(name, what, "tmpfs", 0, "")));
	snprintf(path, sizeof(path), "%s/%s", what, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd >= 0)
		close(fd);
}

static void see(const char *path)
{
	printf("%s: %s\n", path, result(access(path, F_OK)));
}

/* p1, p2, p3, p4: mounts of the folder "tree" with the folders x, y, x/in. */
static void four_places(void)
{
	static const char *const names[] = {"p1", "p2", "p3", "p4"};

	for (int i = 0; i < 4; i++)
		mkdir(names[i], 0755);
	mkdir("tree", 0755);
	mkdir("tree/x", 0755);
	mkdir("tree/x/in", 0755);
	mkdir("tree/y", 0755);
	bind_at("tree", "p1", 0);
}

static void no_places(void)
{
	static const char *const names[] = {"p1", "p2", "p3", "p4"};

	for (int i = 0; i < 4; i++)
		while (!umount2(names[i], MNT_DETACH))
			printf("%s undone\n", names[i]);
	show_types();
}

static void types(void)
{
	static const unsigned long all[] = {MS_SHARED, MS_SLAVE, MS_UNBINDABLE, MS_PRIVATE};

	printf("# types, and each after each\n");
	four_places();
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < 4; j++) {
			type("p1", all[i]);
			type("p1", all[j] | MS_SILENT);
			show_types();
		}
	}
	type("p1", MS_SHARED | MS_PRIVATE);
	type("p1", MS_SHARED | MS_NOSUID);
	type("p1", MS_SHARED | MS_MOVE);
	type("p1", MS_SHARED | MS_NODIRATIME | MS_REC);
	type("tree", MS_SHARED);
	type("nothing", MS_PRIVATE);
	type("p1/x", MS_PRIVATE | MS_REC);
	type("p1", MS_SHARED);
	bind_at("p1", "p2", 0);
	type("p2", MS_UNBINDABLE);
	show_types();
	bind_at("p2", "p3", 0);
	bind_at("p2/x", "p3", MS_REC);
	type("p2", MS_SHARED);
	show_types();
	bind_at("p2", "p3", 0);
	show_types();
	no_places();
}

static void receiving(void)
{
	printf("# peers and slaves\n");
	four_places();
	type("p1", MS_SHARED);
	bind_at("p1", "p2", 0);
	bind_at("p1", "p3", 0);
	type("p3", MS_SLAVE);
	show_types();
	new_mount("p1/x", "one");
	see("p2/x/one");
	see("p3/x/one");
	see("tree/x/one");
	show_types();
	new_mount("p3/y", "two");
	see("p1/y/two");
	type("p3", MS_SHARED);
	bind_at("p3", "p4", 0);
	show_types();
	new_mount("p2/y", "three"); /* p3 has one there already: that stays on top */
	see("p1/y/three");
	see("p3/y/three");
	see("p3/y/two");
	see("p4/y/three");
	show_types();
	undo("p2/y", 0);
	see("p3/y/two");
	see("p4/y/three");
	show_types();
	printf("# in use elsewhere\n");
	chdir("p3/x");
	undo(FOLDER "/p1/x", 0);
	chdir(FOLDER);
	mkdir("p3/x/deep", 0755);
	new_mount("p3/x/deep", "four");
	show_types();
	undo("p1/x", 0); /* p3's has one on it, and stays */
	see("p2/x/one");
	see("p3/x/one");
	see("p3/x/deep/four");
	show_types();
	printf("# lazily\n");
	new_mount("p1/x", "five");
	mkdir("p1/x/sub", 0755);
	new_mount("p1/x/sub", "six");
	show_types();
	undo("p2/x", MNT_DETACH);
	show_types();
	printf("# who leaves\n");
	type("p1", MS_PRIVATE); /* p3's and p4's master is p2 now */
	show_types();
	new_mount("p2/y", "seven");
	see("p1/y/seven");
	see("p4/y/seven");
	undo("p2", MNT_DETACH);
	show_types();
	no_places();
}

static void receiving_trees(void)
{
	printf("# trees\n");
	four_places();
	new_mount("p1/y", "one");
	mkdir("p1/y/sub", 0755);
	new_mount("p1/y/sub", "two");
	type("p1/y/sub", MS_UNBINDABLE);
	bind_at("p1", "p2", MS_REC);
	show_types();
	type("p1", MS_SHARED | MS_REC);
	show_types();
	bind_at("p1", "p3", MS_REC);
	bind_at("p1/y", "p3/x", MS_REC); /* onto a peer */
	show_types();
	see("p1/x/sub/two");
	type("p3", MS_SLAVE | MS_REC);
	show_types();
	bind_at("tree/x", "p1/y/sub", 0);
	show_types();
	type("p3", MS_PRIVATE | MS_REC);
	type("p2", MS_UNBINDABLE | MS_REC);
	show_types();
	no_places();
	printf("# parts\n");
	four_places();
	type("p1", MS_SHARED);
	bind_at("p1/x", "p2", 0);
	new_mount("p1/x/in", "inside");
	new_mount("p1/y", "outside");
	see("p2/in/inside");
	show_types();
	bind_at("p1", "p1/x", 0);
	show_types();
	bind_at("p1", "p1", 0);
	show_types();
	no_places();
}

static void moving(void)
{
	int fd;

	printf("# moving\n");
	four_places();
	new_mount("p1/x", "one");
	move("p1", "p2");
	see("p1/x/one");
	see("p2/x/one");
	show_types();
	fd = open("p2/x/one", O_WRONLY);
	chdir("p2/x");
	move(FOLDER "/p2/x", FOLDER "/p2/y");
	see("one");
	printf("written %s\n", result(write(fd, "1", 1)));
	close(fd);
	chdir(FOLDER);
	see("p2/y/one");
	show_types();
	move("p2", "p2/y");
	move("p2", "p2");
	move("p2/x", "p3");
	move("p2", "plain");
	move("plain", "p3");
	move("nothing", "p3");
	move("p2", "nothing");
	move("", "p3");
	move("/", "p3");
	printf("NULL: %s\n", result(mount(NULL, "p3", NULL, MS_MOVE, NULL)));
	bind_at("plain", "other", 0);
	move("other", "p3");
	move("other", "c");
	put_file("file", "file");
	move("other", "file");
	get_file("file");
	get_file("other");
	undo("file", 0);
	unlink("file");
	printf("# moving and types\n");
	type("p2", MS_SHARED);
	move("p2/y", "p3"); /* the parent is shared */
	bind_at("p2", "p4", 0);
	new_mount("p3", "two");
	mkdir("p3/sub", 0755);
	new_mount("p3/sub", "three");
	type("p3/sub", MS_UNBINDABLE);
	move("p3", "p2/x");
	type("p3/sub", MS_PRIVATE);
	move("p3", "p2/x");
	see("p4/x/sub/three");
	show_types();
	move("p4", "p1"); /* a peer itself moves */
	new_mount("p1/x/in", "four");
	new_mount("p1/y", "five");
	see("p2/y/five");
	show_types();
	move("p1", "p2/x/sub");
	show_types();
	undo("p2/x", MNT_DETACH);
	show_types();
	no_places();
}

static void seen_from_a_root(void)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY);
	pid_t pid;

	printf("# from another root\n");
	four_places();
	type("p1", MS_SHARED);
	bind_at("p1", "p2", 0);
	type("p2", MS_SLAVE);
	type("p2", MS_SHARED);
	bind_at("p2", "p3", 0);
	type("p3", MS_SLAVE);
	new_mount("p4", "root");
	mkdir("p4/a", 0755);
	mkdir("p4/b", 0755);
	bind_at("p1", "p4/a", 0);
	bind_at("p3", "p4/b", 0);
	show_types();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		chroot("p4");
		chdir("/");
		show_types_of(fdopen(openat(proc, "self/mountinfo", O_RDONLY), "r"), "/");
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	close(proc);
	no_places();
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
		type("b", MS_SHARED);
		move("a", "b");
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
	types();
	receiving();
	receiving_trees();
	moving();
	seen_from_a_root();
	rights();
	show_mounts();
	chdir("/");
	undo(FOLDER, 0);
	printf("end\n");
	return 0;
}
