/*
 * Cases of user/conform_files.c about names: directories, links, renaming.
 */
#include "conform_files.h"

static void directories(void)
{
	print("directories\n");
	T(sys_mkdir("d", 0755));
	T(sys_mkdir("d", 0755));
	T(sys_mkdir("d/", 0755));
	T(sys_mkdir("", 0755));
	T(sys_mkdir("/", 0755));
	T(sys_mkdir(".", 0755));
	T(sys_mkdir("d/..", 0755));
	T(sys_mkdir("none/x", 0755));
	T(sys_mkdir("e/", 01777));
	st("d");
	st("e");
	T(sys_mkdir("d/s", 0700));
	make("d/f", "file");
	T(sys_mkdir("d/f", 0755));
	T(sys_mkdir("d/f/x", 0755));
	st("d");
	list("d");
	list("d/f");
	T(sys_rmdir("d"));
	T(sys_rmdir("d/f"));
	T(sys_rmdir("none"));
	T(sys_rmdir("."));
	T(sys_rmdir("d/."));
	T(sys_rmdir("d/.."));
	T(sys_rmdir("/"));
	T(sys_rmdir(""));
	T(sys_unlink("d"));
	T(sys_unlink("d/"));
	T(sys_unlink("d/f/"));
	T(sys_unlink("d/."));
	T(sys_unlink("/"));
	T(sys_unlink("none"));
	T(sys_unlink("none/"));
	T(sys_unlinkat(AT_FDCWD, "d/s", 0));
	T(sys_unlinkat(AT_FDCWD, "d/s", AT_REMOVEDIR));
	T(sys_unlinkat(AT_FDCWD, "d/s", 1));
}

static void working_directories(void)
{
	long fd;

	T(sys_chdir("d"));
	where();
	T(sys_chdir("f"));
	T(sys_chdir("none"));
	T(sys_rmdir("../d"));
	T(sys_unlink("f"));
	T(sys_rmdir("../d"));
	where();
	T(sys_mkdir("x", 0755));
	T(sys_open("x", O_CREAT | O_RDWR, 0644));
	T(sys_open("..", O_RDONLY, 0));
	T(sys_close(3));
	T(sys_open(".", O_RDONLY, 0));
	T(sys_getdents(3, buf, 1000));
	T(sys_close(3));
	T(sys_chdir(".."));
	where();
	fd = sys_open("e", O_RDONLY, 0);
	T(sys_mkdirat(3, "in", 0755));
	T(sys_mkdirat(99, "in", 0755));
	T(sys_getdents(fd, buf, 10));
	T(sys_getdents(fd, buf, 24));
	T(sys_getdents(fd, buf, 24));
	T(sys_getdents(fd, buf, 24));
	T(sys_getdents(fd, buf, 24));
	T(sys_lseek(fd, 0, 0));
	T(sys_getdents(fd, buf, 1000));
	T(sys_getdents(1, buf, 1000));
	T(sys_getdents(99, buf, 1000));
	T(sys_read(fd, buf, 10));
	T(sys_write(fd, buf, 10));
	T(sys_fchdir(fd));
	where();
	T(sys_chdir("/conform"));
	T(sys_fchdir(1));
	T(sys_fchdir(99));
	T(sys_close(fd));
	T(sys_getcwd(buf, 3));
	T(sys_getcwd(buf, 0));
	T(sys_getcwd((char *)8, 100));
	T(sys_rmdir("e/in"));
	T(sys_rmdir("e/"));
	list(".");
}

static void links(void)
{
	print("links\n");
	make("f", "contents");
	T(sys_link("f", "g"));
	st("f");
	T(sys_link("f", "g"));
	T(sys_link("none", "h"));
	T(sys_link("f", "none/h"));
	T(sys_link("f", ""));
	T(sys_link("", "h"));
	T(sys_link(".", "h"));
	T(sys_link("f", "h/"));
	T(sys_link("f/", "h"));
	T(sys_unlink("f"));
	st("g");
	content("g");
}

static void symbolic_links(void)
{
	struct stat s;

	T(sys_symlink("g", "s"));
	T(sys_symlink("", "empty"));
	T(sys_symlink("g", ""));
	T(sys_symlink("g", "s"));
	T(sys_symlink("g", "t/"));
	T(sys_symlink("dir/", "slash"));
	T(sys_symlink("loop2", "loop1"));
	T(sys_symlink("loop1", "loop2"));
	T(sys_symlink("/conform/g", "abs"));
	T(sys_symlink("../conform/./g", "rel"));
	T(sys_symlink("gone", "dangling"));
	T(sys_mkdir("dir", 0755));
	T(sys_symlink("dir", "todir"));
	T(sys_symlink("/conform/todir/..", "up"));
	link_to("s");
	link_to("g");
	link_to(".");
	link_to("none");
	T(sys_readlink("s", buf, 0));
	T(sys_readlink("abs", buf, 3));
	T(sys_readlink("s", buf, -1));
	T(sys_readlink("s", (char *)8, 10));
	st("s");
	show_stat("s/", sys_stat("s/", &s), &s);
	show_stat("s", sys_stat("s", &s), &s);
	content("s");
	content("abs");
	content("rel");
	content("dangling");
	content("loop1");
}

static void opening_links(void)
{
	T(sys_open("loop1", O_NOFOLLOW, 0));
	T(sys_open("s", O_NOFOLLOW, 0));
	T(sys_open("s", O_NOFOLLOW | O_PATH, 0));
	fst(3);
	T(sys_readlinkat(3, "", buf, 100));
	T(sys_close(3));
	T(sys_open("s", O_CREAT | O_EXCL, 0644));
	T(sys_open("dangling", O_CREAT | O_EXCL, 0644));
	T(sys_open("dangling", O_CREAT | O_RDWR, 0644));
	T(sys_close(3));
	list(".");
	T(sys_unlink("gone"));
	T(sys_open("dangling", O_CREAT | O_RDWR | O_NOFOLLOW, 0644));
}

static void links_to_directories(void)
{
	struct stat s;

	T(sys_mkdir("dangling", 0755));
	T(sys_mkdir("todir/x", 0755));
	list("dir");
	list("up");
	T(sys_rmdir("todir"));
	T(sys_rmdir("todir/"));
	T(sys_unlink("todir/"));
	T(sys_rmdir("todir/x"));
	list("todir/");
	show_stat("todir/", sys_lstat("todir/", &s), &s);
	show_stat("slash", sys_stat("slash", &s), &s);
	T(sys_open("slash", O_RDWR, 0));
	T(sys_symlink("none/", "noneslash"));
	T(sys_open("noneslash", O_CREAT | O_RDWR, 0644));
}

static void modes_through_links(void)
{
	T(sys_linkat(AT_FDCWD, "s", AT_FDCWD, "hard1", 0));
	T(sys_linkat(AT_FDCWD, "s", AT_FDCWD, "hard2", AT_SYMLINK_FOLLOW));
	T(sys_linkat(AT_FDCWD, "s", AT_FDCWD, "hard3", 1));
	st("hard1");
	st("hard2");
	T(sys_chmod("s", 0600));
	st("g");
	T(sys_chown("s", 5, 6));
	st("g");
	T(sys_chmod("dangling", 0600));
	T(sys_chmod("g", 0177777));
	st("g");
	T(sys_chown("g", -1, 7));
	st("g");
	T(sys_access("g", 0));
	T(sys_access("g", 7));
	T(sys_chmod("g", 0));
	T(sys_access("g", 1));
	T(sys_access("g", 6));
	T(sys_access("g", 8));
	T(sys_access("none", 0));
	T(sys_access("dangling", 0));
	T(sys_faccessat2(AT_FDCWD, "dangling", 0, AT_SYMLINK_NOFOLLOW));
	T(sys_faccessat2(AT_FDCWD, "g", 0, 1));
}

static void chains_of_links(void)
{
	for (int i = 0; i < 45; i++) {
		char from[4] = {'c', (char)('0' + i / 10), (char)('0' + i % 10), 0};
		char to[4] = {'c', (char)('0' + (i + 1) / 10), (char)('0' + (i + 1) % 10), 0};

		sys_symlink(to, from);
	}
	make("c45", "end of the chain");
	content("c06");
	content("c05");
	content("c04");
	for (int i = 0; i < 46; i++) {
		char from[4] = {'c', (char)('0' + i / 10), (char)('0' + i % 10), 0};

		sys_unlink(from);
	}
	T(sys_unlink("s"));
	T(sys_unlink("abs"));
	T(sys_unlink("rel"));
	T(sys_unlink("up"));
	T(sys_unlink("loop1"));
	T(sys_unlink("loop2"));
	T(sys_unlink("slash"));
	T(sys_unlink("noneslash"));
	T(sys_unlink("dangling"));
	T(sys_unlink("todir"));
	T(sys_unlink("hard1"));
	T(sys_unlink("hard2"));
	T(sys_unlink("g"));
	T(sys_rmdir("dir"));
	list(".");
}

static void renaming(void)
{
	print("renaming\n");
	make("a", "file a");
	make("b", "file b!");
	T(sys_rename("a", "c"));
	T(sys_rename("none", "c"));
	T(sys_rename("c", "b"));
	content("b");
	T(sys_rename("b", "b"));
	T(sys_link("b", "b2"));
	T(sys_rename("b", "b2"));
	list(".");
	T(sys_mkdir("d", 0755));
	T(sys_mkdir("d/e", 0755));
	T(sys_mkdir("d/e/f", 0755));
	T(sys_mkdir("x", 0755));
	T(sys_rename("d", "d/e/g"));
	T(sys_rename("d", "d/e"));
	T(sys_rename("d/e/f", "d"));
	T(sys_rename("d/e", "d"));
	T(sys_rename("d", "b"));
	T(sys_rename("b", "d"));
	T(sys_rename("b", "d/"));
	T(sys_rename("b", "n/"));
	T(sys_rename("b/", "n"));
	T(sys_rename("x", "d"));
	T(sys_rename("d", "x"));
	list("x");
	st("x");
	T(sys_rename("x/e", "y"));
	st("x");
	st("y");
	list("y");
	T(sys_rename("x", "y/"));
	T(sys_rename("x/", "z/"));
	list(".");
}

static void renaming_roots(void)
{
	T(sys_rename(".", "q"));
	T(sys_rename("z", "."));
	T(sys_rename("z", ".."));
	T(sys_rename("/", "q"));
	T(sys_rename("z", "/"));
	T(sys_rename("z/.", "q"));
	T(sys_rename("z", "/dev/q"));
	T(sys_rename("", "q"));
	T(sys_rename("z", ""));
	T(sys_rename("z", "none/q"));
	T(sys_rename("none/q", "z"));
	T(sys_rename("b/q", "z"));
}

static void renaming_flags(void)
{
	T(sys_renameat2(AT_FDCWD, "b", AT_FDCWD, "b2", 1));
	T(sys_renameat2(AT_FDCWD, "b", AT_FDCWD, "b3", 1));
	T(sys_renameat2(AT_FDCWD, "z", AT_FDCWD, ".", 1));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "z", 2));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "none", 2));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "z", 3));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "z", 8));
	T(sys_renameat2(AT_FDCWD, "y/f", AT_FDCWD, "z", 2));
	T(sys_renameat2(AT_FDCWD, "y", AT_FDCWD, "y/f", 2));
	list(".");
	list("y");
	content("y/f");
	content("z");
}

static void renaming_links(void)
{
	T(sys_symlink("y", "l"));
	T(sys_rename("l", "l2"));
	link_to("l2");
	T(sys_rename("l2/", "l3"));
	T(sys_rename("b2", "l2"));
	st("l2");
	T(sys_open("l2", O_RDWR, 0));
	make("l3", "new one");
	T(sys_rename("l3", "l2"));
	fst(3);
	T(sys_read(3, buf, 100));
	T(sys_close(3));
	memset(big, 'n', 255);
	big[255] = '\0';
	T(sys_rename("l2", big));
	st(big);
	T(sys_rename(big, "short"));
	content("short");
	memset(big, 'm', 100);
	big[100] = '\0';
	T(sys_rename("short", big));
	make("short", "another");
	T(sys_renameat2(AT_FDCWD, big, AT_FDCWD, "short", 2));
	content("short");
	content(big);
	T(sys_unlink(big));
	T(sys_unlink("short"));
	list(".");
	list("y");
	list("b3");
	T(sys_unlink("y/f"));
	T(sys_rmdir("y"));
	T(sys_unlink("z"));
	T(sys_rmdir("z"));
	T(sys_rmdir("b3"));
	T(sys_unlink("b2"));
	list(".");
}
