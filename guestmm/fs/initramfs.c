/*
 * The initial root: the device tree's cpio archive, unpacked into the empty tmpfs.
 *
 * The archive is newc cpio, as fs/initrd.c reads it: folders, regular files, symbolic links, special files, and
 * hard links (several entries with one inode number and nlink > 1, of which one has the data). Missing
 * directories on the way to a file are created. Unusable entries are reported on the console and skipped. Entries after
 * a damaged header are lost.
 *
 * After unpacking, the archive's memory is freed to the buddy.
 */
#include "kernel/boot_info.h"
#include "fs/initrd.h"
#include "fs/pipe.h"
#include "fs/internal.h"
#include "mm/phys/alloc.h"
#include "mm/init.h"

/* Create the missing directories on the way to `path`. */
static int make_parents(char *path)
{
	for (char *p = path + 1; *p; p++) {
		int err;

		if (*p != '/')
			continue;
		*p = '\0';
		err = vfs_mkdir(AT_FDCWD, path, 0755);
		*p = '/';
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}

static int fill_file(const char *path, const struct cpio_entry *e)
{
	struct file *f;
	long n;
	int err = vfs_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &f);

	if (err)
		return err;
	for (u64 pos = 0; pos < e->size; pos += n) {
		n = kernel_file_write(f->mapping, e->data + pos, e->size - pos, pos);
		if (n <= 0) {
			err = n ? (int)n : -ENOSPC;
			break;
		}
	}
	f->inode->mode = e->mode;
	file_put(f);
	return err;
}

static int make_link(const char *path, const struct cpio_entry *e)
{
	char *target = kmalloc(e->size + 1, GFP_KERNEL);
	int err;

	if (!target)
		return -ENOMEM;
	memcpy(target, e->data, e->size);
	target[e->size] = '\0';
	err = e->size ? vfs_symlink(target, AT_FDCWD, path) : -EINVAL;
	kfree(target);
	return err;
}

/* The first name of a file with several links. */
struct known_file {
	struct list_head node;
	u32 ino, major, minor;
	char path[];
};

/* Returns the first name of the same file. NULL: this is the first, and it is stored in `known`. */
static const char *first_name(struct list_head *known, const struct cpio_entry *e, const char *path)
{
	struct known_file *k;
	size_t len = strlen(path) + 1;

	list_for_each_entry (k, known, node) {
		if (k->ino == e->ino && k->major == e->dev_major && k->minor == e->dev_minor)
			return k->path;
	}
	k = kmalloc(sizeof(*k) + len, GFP_KERNEL);
	if (!k)
		return NULL;
	k->ino = e->ino;
	k->major = e->dev_major;
	k->minor = e->dev_minor;
	memcpy(k->path, path, len);
	list_add(&k->node, known);
	return NULL;
}

static int unpack_entry(const struct cpio_entry *e, const char *path, struct list_head *known)
{
	const char *first;
	int err;

	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		err = vfs_mkdir(AT_FDCWD, path, e->mode & 07777);
		return err == -EEXIST ? 0 : err;
	case S_IFLNK:
		return make_link(path, e);
	case S_IFREG:
		first = e->nlink > 1 ? first_name(known, e, path) : NULL;
		if (first) {
			err = vfs_link(AT_FDCWD, first, AT_FDCWD, path, 0);
			if (err || !e->size)
				return err;
		}
		return fill_file(path, e);
	default:
		return vfs_mknod(AT_FDCWD, path, e->mode, MKDEV(e->rdev_major, e->rdev_minor));
	}
}

static int unpack(const void *image, size_t size)
{
	char *path = kmalloc(PATH_MAX + 1, GFP_KERNEL);
	struct known_file *k, *next;
	LIST_HEAD(known);
	struct cpio_entry e;
	size_t pos = 0;
	int err;

	if (!path)
		return -ENOMEM;
	while (!(err = cpio_next(image, size, &pos, &e)) && strcmp(e.name, "TRAILER!!!")) {
		const char *name = cpio_plain_name(e.name);

		if (!*name || !strcmp(name, "."))
			continue;
		path[0] = '/';
		err = strscpy(path + 1, name, PATH_MAX) < 0 ? -ENAMETOOLONG : make_parents(path);
		if (!err)
			err = unpack_entry(&e, path, &known);
		if (err)
			printk("initramfs: %s: error %d\n", path, -err);
		if (err == -ENOMEM || err == -ENOSPC)
			break;
	}
	list_for_each_entry_safe (k, next, &known, node)
		kfree(k);
	kfree(path);
	return err;
}

int initramfs_unpack(void)
{
	phys_addr_t start = boot_info.initrd_start, end = boot_info.initrd_end;
	u32 umask = current_fs()->umask;
	int err;

	if (!start || end <= start)
		return 0;
	current_fs()->umask = 0;
	err = unpack(__va(start), end - start);
	current_fs()->umask = umask;
	if (err)
		printk("initramfs: damaged, or no room: error %d\n", -err);
	boot_info.initrd_start = boot_info.initrd_end = 0;
	free_reserved_area(ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE), "initrd");
	return err;
}

void vfs_init(void)
{
	int err;

	dcache_init();
	inode_cache_init();
	tmpfs_init();
	pipe_init();
	mount_init();
	devices_init();
	err = devices_mount();
	if (err)
		printk("VFS: no /dev: error %d\n", -err);
	proc_init();
}
