/*
 * Allocation failure at every place: each round lets the k-th page allocation fail, for k = 1, 2,
 * ... until a round needs fewer than k. Whatever fails, nothing may leak and nothing may break; the
 * host's audit at the end looks at all of it.
 */
#include "fs/file.h"
#include "fs/internal.h"
#include "tests/tests.h"

#define MEM		 "memory=24M,high=4M"
#define MOST_ALLOCATIONS 400

typedef int (*scenario_fn)(struct test *t);

/** One round for each allocation. With `free` each must leave as many pages free, but for a few that
 * caches keep. Returns the number of allocations that the scenario makes. */
static u64 fail_each(struct test *t, scenario_fn scenario, u64 free)
{
	u64 failed_before, k;
	u32 failed_rounds = 0;

	for (k = 1; k < MOST_ALLOCATIONS; k++) {
		int err;

		drain_all_pages();
		failed_before = alloc_fail_count();
		alloc_fail_nth(k);
		err = scenario(t);
		alloc_fail_nth(0);
		if (alloc_fail_count() == failed_before) {
			CHECK_EQ(err, 0);
			break;
		}
		failed_rounds += err != 0;
		if (free && !free_pages_reach(free - 6)) {
			test_fail(t, __FILE__, __LINE__, "allocation %lu failing: %lu pages gone",
				  (unsigned long)k, (unsigned long)(free - settled_free_pages()));
			free = settled_free_pages(); /* the next one's loss is its own */
		}
	}
	CHECK(k < MOST_ALLOCATIONS);
	CHECK(failed_rounds > 0);
	return k - 1;
}

/** The first sweep fills the caches, also those that only failures use: what the second loses is lost
 * by each. Returns the number of allocations that the scenario makes. */
static u64 sweep(struct test *t, scenario_fn scenario)
{
	CHECK_EQ(scenario(t), 0); /* it works at all */
	fail_each(t, scenario, 0);
	return fail_each(t, scenario, free_pages_at_rest());
}

static int mm_scenario(struct test *t)
{
	struct mm_struct *mm = mm_alloc();
	int err = -ENOMEM;
	long a;

	if (!mm)
		return -ENOMEM;
	a = do_mmap(mm, 0, 32 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (a < 0 && a > -MAX_ERRNO)
		goto out;
	for (int i = 0; i < 32; i += 5)
		if (testmm_write(mm, a + i * PAGE_SIZE, i + 1))
			goto out;
	if (do_mprotect(mm, a + 4 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ) ||
	    do_munmap(mm, a + 20 * PAGE_SIZE, 4 * PAGE_SIZE))
		goto out;
	/* What was there before the failure must be there after it. */
	for (int i = 0; i < 20; i += 5) {
		u64 v = 0;

		CHECK(!testmm_read(mm, a + i * PAGE_SIZE, &v) && v == (u64)i + 1);
	}
	err = 0;
out:
	mmput(mm);
	return err;
}

GUEST_TEST(allocfail, address_space, 0, 120, MEM)
{
	CHECK(sweep(t, mm_scenario) >= 10); /* top table, three levels, seven pages at least */
}

static int thread_body(void *arg)
{
	return 5;
}

static int thread_scenario(struct test *t)
{
	int ret = run_in_thread(thread_body, NULL, "short");

	return ret == 5 ? 0 : ret;
}

GUEST_TEST(allocfail, thread_creation, 0, 120, MEM)
{
	CHECK(sweep(t, thread_scenario) >= 4); /* the stack's pages */
}

static int vmalloc_scenario(struct test *t)
{
	u8 *p = vmalloc(20 * PAGE_SIZE), *q = kmalloc(30000, GFP_KERNEL | __GFP_NOWARN);
	int err = p && q ? 0 : -ENOMEM;

	if (p)
		p[0] = p[20 * PAGE_SIZE - 1] = 1;
	vfree(p);
	kfree(q);
	return err;
}

GUEST_TEST(allocfail, vmalloc_and_kmalloc, 0, 120, MEM)
{
	CHECK(sweep(t, vmalloc_scenario) >= 21);
}

static int process_scenario(struct test *t)
{
	int status = run_program("/bin/hello", "");

	return status;
}

GUEST_TEST(allocfail, process, MMVM_TESTF_USER, 300, MEM)
{
	CHECK(sweep(t, process_scenario) >= 10);
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}

/* A program that dies with a core. Without memory it dies without. */
static int core_scenario(struct test *t)
{
	int status = run_program("/bin/segv", "null");

	vfs_unlink(AT_FDCWD, "/core");
	if (status == (SIGSEGV | CORE_DUMPED))
		return 0;
	CHECK(status == SIGSEGV || status < 0 || status > 255);
	return -ENOMEM;
}

GUEST_TEST(allocfail, core_dump, MMVM_TESTF_USER, 300, MEM)
{
	kernel_limits[RLIMIT_CORE].cur = RLIM_INFINITY;
	CHECK(sweep(t, core_scenario) >= 20);
	kernel_limits[RLIMIT_CORE].cur = 0;
}

static int watches(struct test *t, const char *how)
{
	int status = run_program("/bin/watches", how);

	if (status == ENOMEM << 8)
		return -ENOMEM;
	CHECK(status == 0 || status < 0 || status > 255);
	return status == 1 << 8 ? test_fail(t, __FILE__, __LINE__, "watches %s", how), 0 : status;
}

static int inotify_scenario(struct test *t)
{
	return watches(t, "");
}

GUEST_TEST(allocfail, inotify, MMVM_TESTF_USER, 300, MEM)
{
	CHECK(sweep(t, inotify_scenario) >= 10);
}

static int bind_scenario(struct test *t)
{
	u64 inodes = nr_inodes();
	int err = watches(t, "bind");

	CHECK_EQ(nr_inodes(), inodes); /* the file systems are gone: nothing has kept a mount */
	return err;
}

GUEST_TEST(allocfail, bind_mounts, MMVM_TESTF_USER, 300, MEM)
{
	CHECK(sweep(t, bind_scenario) >= 10);
}

/* ---- copies of mounts ------------------------------------------------------------------------- */

/* /cm: a (shared) has the peers b and c and the slave d. A tree of two mounts, s and s/in, that is put on a is copied
 * three times. */
#define CM_MOUNTS 2
#define CM_COPIES (3 * CM_MOUNTS)

struct cm {
	int mounts;	  /* in the tree of names */
	s32 outer, inner; /* mounts of the two file systems, whether they are in the tree or not */
};

static struct super_block *cm_sb(const char *name)
{
	struct super_block *sb;
	struct path path;

	if (path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &path))
		return NULL;
	sb = path.mnt->sb;
	path_put(&path);
	return sb;
}

static struct cm cm_count(const struct super_block *outer, const struct super_block *inner)
{
	struct cm c = {0};
	struct mount *m;

	mutex_lock(&mount_mutex);
	c.outer = outer->active;
	c.inner = inner->active;
	list_for_each_entry (m, &mounts, list)
		c.mounts++;
	mutex_unlock(&mount_mutex);
	return c;
}

static void cm_umount(struct test *t, const char *name)
{
	CHECK_EQ(vfs_umount(name, 0), 0);
}

/* The number that the next mount has: how many were made between two calls. */
static int cm_next_id(struct test *t)
{
	struct path path;
	int id = 0;

	CHECK_EQ(vfs_mount("tmpfs", "", "/cm/probe", 0, ""), 0);
	CHECK_EQ(path_lookup(AT_FDCWD, "/cm/probe", LOOKUP_FOLLOW, &path), 0);
	id = path.mnt->id;
	path_put(&path);
	cm_umount(t, "/cm/probe");
	return id;
}

/* The tree of two, with nothing in it but the place of the second. */
static void cm_tree(struct test *t)
{
	CHECK_EQ(vfs_mount("tmpfs", "", "/cm/s", 0, ""), 0);
	CHECK_EQ(vfs_mkdir(AT_FDCWD, "/cm/s/in", 0755), 0);
	CHECK_EQ(vfs_mount("tmpfs", "", "/cm/s/in", 0, ""), 0);
}

/* The tree is bound or moved to a, and its k-th allocation fails: no copy stays. Returns how many mounts had been made
 * before one could not be; -1: it is there, and has been taken away again. */
static int cm_attach(struct test *t, u32 flags, u64 k)
{
	const struct super_block *outer = cm_sb("/cm/s"), *inner = cm_sb("/cm/s/in");
	const struct cm before = cm_count(outer, inner);
	const int made = flags & MS_MOVE ? CM_COPIES : CM_MOUNTS + CM_COPIES, id = cm_next_id(t);
	struct cm now;
	int err;

	alloc_fail_nth(k);
	err = vfs_mount(NULL, "/cm/s", "/cm/a/x", flags, "");
	alloc_fail_nth(0);
	now = cm_count(outer, inner);
	if (err) {
		CHECK_EQ(err, -ENOMEM);
		CHECK_EQ(now.mounts, before.mounts);
		CHECK_EQ(now.outer, before.outer);
		CHECK_EQ(now.inner, before.inner);
		return cm_next_id(t) - id - 1;
	}
	CHECK_EQ(now.mounts, before.mounts + made);
	CHECK_EQ(now.outer, before.outer + made / CM_MOUNTS);
	CHECK_EQ(now.inner, before.inner + made / CM_MOUNTS);
	cm_umount(t, "/cm/a/x/in");
	cm_umount(t, "/cm/a/x");
	if (flags & MS_MOVE)
		cm_tree(t);
	return -1;
}

/* Until each mount was the one that could not be made. What other threads allocate at the same time counts,
 * too, so one sweep may miss some. */
static void cm_sweep(struct test *t, u32 flags, unsigned int to_make)
{
	const u32 all = (1u << to_make) - 1;
	u32 made = 0;

	for (int sweeps = 0; made != all && sweeps < 20; sweeps++) {
		int n = 0;

		for (u64 k = 1; n >= 0 && k < MOST_ALLOCATIONS; k++) {
			n = cm_attach(t, flags, k);
			if (n >= 0)
				made |= 1u << (n & 31);
		}
		CHECK_EQ(n, -1);
	}
	CHECK_EQ(made, all);
}

GUEST_TEST(allocfail, copies_of_mounts, 0, 120, MEM)
{
	static const char *const dirs[] = {"/cm/a", "/cm/b", "/cm/c",
					   "/cm/d", "/cm/s", "/cm/probe"};

	CHECK_EQ(vfs_mkdir(AT_FDCWD, "/cm", 0755), 0);
	CHECK_EQ(vfs_mount("tmpfs", "", "/cm", 0, ""), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(dirs); i++)
		CHECK_EQ(vfs_mkdir(AT_FDCWD, dirs[i], 0755), 0);
	CHECK_EQ(vfs_mount("tmpfs", "", "/cm/a", 0, ""), 0);
	CHECK_EQ(vfs_mkdir(AT_FDCWD, "/cm/a/x", 0755), 0);
	CHECK_EQ(vfs_mount(NULL, "", "/cm/a", MS_SHARED, ""), 0);
	for (unsigned int i = 1; i <= 3; i++)
		CHECK_EQ(vfs_mount(NULL, "/cm/a", dirs[i], MS_BIND, ""), 0);
	CHECK_EQ(vfs_mount(NULL, "", "/cm/d", MS_SLAVE, ""), 0);
	cm_tree(t);

	cm_sweep(t, MS_BIND | MS_REC, CM_MOUNTS + CM_COPIES); /* the tree itself is copied, too */
	cm_sweep(t, MS_MOVE, CM_COPIES);
	cm_umount(t, "/cm/s/in");
	for (unsigned int i = 0; i <= 4; i++)
		cm_umount(t, dirs[i]);
	cm_umount(t, "/cm");
	CHECK_EQ(vfs_rmdir(AT_FDCWD, "/cm"), 0);
}

/* Names made, found, linked, moved and removed; what is there in the end goes, whatever failed. */
static int names_scenario(struct test *t)
{
	char longer[201];
	struct file *f;
	int err;

	memset(longer, 'n', sizeof(longer) - 1);
	memcpy(longer, "/af/", 4);
	longer[sizeof(longer) - 1] = '\0';
	err = vfs_mkdir(AT_FDCWD, "/af", 0755);
	if (err)
		return err;
	err = vfs_open(AT_FDCWD, "/af/file", O_RDWR | O_CREAT, 0644, &f);
	if (!err) {
		long n = kernel_file_write(f->mapping, longer, sizeof(longer), 3 * PAGE_SIZE - 50);

		file_put(f);
		err = n == sizeof(longer) ? 0 : n < 0 ? (int)n : -ENOSPC;
	}
	if (!err)
		err = vfs_link(AT_FDCWD, "/af/file", AT_FDCWD, "/af/second", 0);
	if (!err)
		err = vfs_symlink("/af/file", AT_FDCWD, "/af/link");
	if (!err)
		err = vfs_rename(AT_FDCWD, "/af/link", AT_FDCWD, longer, 0);
	if (!err) {
		err = vfs_open(AT_FDCWD, longer, O_RDONLY, 0, &f);
		if (!err)
			file_put(f);
	}
	/* Looking up a name needs memory when it is not cached: try until it is gone. */
	for (int i = 0; i < 10; i++) {
		vfs_unlink(AT_FDCWD, "/af/file");
		vfs_unlink(AT_FDCWD, "/af/second");
		vfs_unlink(AT_FDCWD, "/af/link");
		vfs_unlink(AT_FDCWD, longer);
		if (!vfs_rmdir(AT_FDCWD, "/af"))
			return err;
	}
	CHECK(!"the names do not go");
	return err;
}

GUEST_TEST(allocfail, names, 0, 120, MEM)
{
	CHECK(sweep(t, names_scenario) >= 2); /* the file's two pages */
}
